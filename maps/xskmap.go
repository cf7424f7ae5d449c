package maps

import "github.com/skepvm/skep/errno"

// xskMap is a BPF_MAP_TYPE_XSKMAP: packets go to an XDP socket (net/xdp/xskmap.c),
// which the host puts in by StoreTarget. A program that looks one up gets a struct
// bpf_xdp_sock.
type xskMap struct{ targetArray }

func newXSKMap(spec *Spec) (Map, error) {
	m := &xskMap{}
	return m, m.alloc(spec)
}

// Lookup returns EOPNOTSUPP: a socket has no value to show.
func (m *xskMap) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	return errno.EOPNOTSUPP
}

// Update returns EBADF, as bpf(2) does for a value that is no file descriptor:
// there are none here. StoreTarget takes the socket itself.
func (m *xskMap) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.beginUpdate(key, value, flags); err != nil {
		return err
	}
	if _, err := m.place(key, flags); err != nil {
		return err
	}
	return m.fail("a socket is put in by StoreTarget", errno.EBADF)
}

// StoreTarget puts a socket at key, t.To, which receives from queue t.Index.
func (m *xskMap) StoreTarget(key []byte, t Target, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	i, err := m.place(key, flags)
	if err != nil {
		return err
	}
	t.QueueSize = 0
	s, err := newTarget(t, m.value.size, t.Index)
	if err != nil {
		return err
	}
	for {
		old := m.at[i].Load()
		switch {
		case old != nil && flags == NoExist:
			return errno.EEXIST
		case old == nil && flags == Exist:
			return errno.ENOENT
		}
		if m.at[i].CompareAndSwap(old, s) {
			return nil
		}
	}
}
