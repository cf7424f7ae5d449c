package maps

import (
	"encoding/binary"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
)

// A Socket is a host's socket, as maps of sockets know it: linux.Socket is one.
type Socket interface {
	// Cookie returns the number that Lookup shows.
	Cookie() uint64
	// Fits returns why a map of type t cannot hold the socket; nil if it can.
	Fits(t Type) error
	// Closed is Lifetime's, which every Socket embeds: maps no longer have a
	// socket that was closed.
	Closed() bool
	lived
}

// lived is what embeds a Lifetime.
type lived interface{ lifetime() *Lifetime }

// A Lifetime is the part of a Socket that ends, and knows which maps it is in. The
// zero value is open.
type Lifetime struct {
	closed atomic.Bool
	// How many entries of sockmaps and sockhashes have it; inArray: an entry of
	// a reuseport array. It cannot be in both (sk_user_data, in the kernel).
	entries atomic.Int64
}

const inArray = -1

// enter notes that an entry gets the socket. EBUSY: there is another that does not
// go with it.
func (l *Lifetime) enter(t Type) error {
	for {
		n := l.entries.Load()
		next := n + 1
		if t == ReuseportSockArray {
			next = inArray
		}
		if n == inArray || n != 0 && next == inArray {
			return errno.EBUSY
		}
		if l.entries.CompareAndSwap(n, next) {
			return nil
		}
	}
}

// leave notes that an entry has lost the socket at s, if there was one.
func leave(s *Socket, t Type) {
	switch {
	case s == nil:
	case t == ReuseportSockArray:
		(*s).lifetime().entries.Store(0)
	default:
		(*s).lifetime().entries.Add(-1)
	}
}

// closures counts the sockets that were closed.
var closures atomic.Uint64

// Close takes the socket out of all maps. A second Close does nothing.
func (l *Lifetime) Close() error {
	if !l.closed.Swap(true) {
		closures.Add(1)
	}
	return nil
}

// Closed reports whether Close was called.
func (l *Lifetime) Closed() bool { return l.closed.Load() }

func (l *Lifetime) lifetime() *Lifetime { return l }

// A SocketMap holds Sockets: maps of types SockMap, SockHash and
// ReuseportSockArray.
type SocketMap interface {
	// StoreSocket puts s at key, for Go code. The errors are Update's, and what
	// s.Fits says.
	StoreSocket(key []byte, s Socket, flags UpdateFlags) error
	// SocketElem returns the socket at key for a program, or nil.
	SocketElem(key []byte) Socket
	// UpdateSocketElem puts s at key for a program.
	UpdateSocketElem(key []byte, s Socket, flags UpdateFlags) error
}

// checkSockets is what sock_map_alloc and sock_hash_alloc check
// (net/core/sock_map.c).
func checkSockets(s *Spec) error {
	hash := s.Type == SockHash
	switch bad := s.Flags &^ (NUMANode | ReadOnly | WriteOnly); {
	case s.MaxEntries == 0:
		return refuse(s, errno.EINVAL, "max_entries is 0")
	case !hash && s.KeySize != 4:
		return refuse(s, errno.EINVAL, "key size is %d, not 4", s.KeySize)
	case s.KeySize == 0:
		return refuse(s, errno.EINVAL, "key size is 0")
	case s.ValueSize != 4 && s.ValueSize != 8:
		return refuse(s, errno.EINVAL, "value size is %d, not 4 or 8", s.ValueSize)
	case bad != 0:
		return refuse(s, errno.EINVAL, "flags %v are not for type %v", bad, s.Type)
	case s.KeySize > maxSockKey:
		return refuse(s, errno.E2BIG, "key size is %d, above %d", s.KeySize, maxSockKey)
	case hash && s.MaxEntries > 1<<28:
		return refuse(s, errno.EINVAL, "max_entries is %d, above %d", s.MaxEntries, 1<<28)
	}
	return nil
}

// maxSockKey is MAX_BPF_STACK.
const maxSockKey = 512

// checkSockArray is reuseport_array_alloc_check
// (kernel/bpf/reuseport_array.c).
func checkSockArray(s *Spec) error {
	if s.ValueSize != 4 && s.ValueSize != 8 {
		return refuse(s, errno.EINVAL, "value size is %d, not 4 or 8", s.ValueSize)
	}
	return checkArray(s)
}

// sockets is what maps of sockets have in common.
type sockets struct {
	core
	get func(key []byte) Socket // at a key of the right size
	put func(key []byte, s Socket, flags UpdateFlags) error
}

// SocketElem returns the socket at key, for a program.
func (m *sockets) SocketElem(key []byte) Socket {
	if len(key) != int(m.spec.KeySize) {
		return nil
	}
	return m.get(key)
}

// UpdateSocketElem puts s at key, for a program.
func (m *sockets) UpdateSocketElem(key []byte, s Socket, flags UpdateFlags) error {
	if err := m.checkKey(key); err != nil {
		return err
	}
	return m.put(key, s, flags)
}

// StoreSocket puts s at key.
func (m *sockets) StoreSocket(key []byte, s Socket, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkKey(key); err != nil {
		return err
	}
	if err := m.checkLock(flags); err != nil {
		return err
	}
	return m.put(key, s, flags)
}

// LookupElem returns nil: programs get sockets, by SocketElem.
func (m *sockets) LookupElem(int, []byte) []byte { return nil }

// UpdateElem returns EINVAL: programs store sockets, by UpdateSocketElem.
func (m *sockets) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.EINVAL }

// Lookup writes the socket's cookie. ENOSPC: values of the map are too small for
// one.
func (m *sockets) Lookup(key, value []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	if m.value.size != 8 {
		return errno.ENOSPC
	}
	s := m.get(key)
	if s == nil {
		return errno.ENOENT
	}
	binary.NativeEndian.PutUint64(value, s.Cookie())
	return nil
}

// Update returns EBADF, as bpf(2) does for a value that is no socket's file
// descriptor: there are none here. StoreSocket takes the socket itself.
func (m *sockets) Update(key, value []byte, flags UpdateFlags) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	if err := m.checkEntry(key, value, m.value.size); err != nil {
		return err
	}
	if err := m.checkLock(flags); err != nil {
		return err
	}
	array := m.spec.Type == ReuseportSockArray
	if array {
		switch i := binary.NativeEndian.Uint32(key); {
		case flags > Exist:
			return errno.EINVAL
		case i >= m.spec.MaxEntries:
			return errno.E2BIG
		}
	}
	if m.value.size == 8 && binary.NativeEndian.Uint64(value) > math.MaxInt32 || !array && m.value.size == 4 && binary.NativeEndian.Uint32(value) > math.MaxInt32 {
		return errno.EINVAL
	}
	return m.fail("a socket is put in by StoreSocket", errno.EBADF)
}

// mayReplace reports why s cannot be stored where old, which may be nil, is.
func mayReplace(old Socket, flags UpdateFlags) error {
	switch {
	case old != nil && flags == NoExist:
		return errno.EEXIST
	case old == nil && flags == Exist:
		return errno.ENOENT
	}
	return nil
}

func (m *sockets) batch() batchOp { return 0 }

// sockArray is a BPF_MAP_TYPE_SOCKMAP or a BPF_MAP_TYPE_REUSEPORT_SOCKARRAY: a
// socket for each index, or none.
type sockArray struct {
	sockets
	mu sync.Mutex // held to write
	at []atomic.Pointer[Socket]
}

func newSockArray(spec *Spec) (Map, error) {
	if err := checkMemory(spec, uint64(spec.MaxEntries), 8); err != nil {
		return nil, err
	}
	m := &sockArray{at: make([]atomic.Pointer[Socket], spec.MaxEntries)}
	m.init(spec)
	m.get, m.put = m.load, m.store
	return m, nil
}

func (m *sockArray) Bytes() int64 { return int64(len(m.at)) * 8 }

func (m *sockArray) load(key []byte) Socket {
	i := binary.NativeEndian.Uint32(key)
	if i >= m.spec.MaxEntries {
		return nil
	}
	return present(m.at[i].Load())
}

// present returns the socket at s, if it is there and not closed.
func present(s *Socket) Socket {
	if s == nil || (*s).Closed() {
		return nil
	}
	return *s
}

// store is sock_map_update_elem and sock_map_update_common; of a reuseport array
// reuseport_array_update_check, which asks about the socket last.
func (m *sockArray) store(key []byte, s Socket, flags UpdateFlags) error {
	if s == nil {
		return errno.EINVAL
	}
	typ := m.spec.Type
	i := binary.NativeEndian.Uint32(key)
	if typ == SockMap {
		if err := s.Fits(typ); err != nil {
			return err
		}
	}
	switch {
	case flags > Exist:
		return errno.EINVAL
	case i >= m.spec.MaxEntries:
		return errno.E2BIG
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.at[i].Load()
	err := mayReplace(present(old), flags)
	if typ == SockMap {
		if busy := s.lifetime().enter(typ); busy != nil {
			return busy
		}
		if err != nil {
			leave(&s, typ)
		}
	} else if err == nil {
		if err = s.Fits(typ); err == nil {
			err = s.lifetime().enter(typ)
		}
	}
	if err != nil {
		return err
	}
	m.at[i].Store(&s)
	leave(old, typ)
	return nil
}

// take empties place i and returns what was there.
func (m *sockArray) take(i uint32) Socket {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.at[i].Swap(nil)
	leave(old, m.spec.Type)
	return present(old)
}

// DeleteElem is sock_map_delete_elem; in a reuseport array programs delete
// nothing.
func (m *sockArray) DeleteElem(_ int, key []byte) error {
	if err := m.checkKey(key); err != nil {
		return err
	}
	outside, none := errno.EINVAL, errno.EINVAL
	if m.spec.Type == ReuseportSockArray {
		outside, none = errno.E2BIG, errno.ENOENT
	}
	i := binary.NativeEndian.Uint32(key)
	if i >= m.spec.MaxEntries {
		return outside
	}
	if m.take(i) == nil {
		return none
	}
	return nil
}

func (m *sockArray) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.DeleteElem(0, key)
}

// NextKey visits every index, whether there is a socket or not.
func (m *sockArray) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	return m.nextIndex(key, next)
}

// Close lets go of the sockets.
func (m *sockArray) Close() error {
	for i := range m.at {
		m.take(uint32(i))
	}
	return m.core.Close()
}

// sockHash is a BPF_MAP_TYPE_SOCKHASH.
type sockHash struct {
	sockets
	seeds   seeds
	entries chained[Socket]
}

func newSockHash(spec *Spec) (Map, error) {
	buckets := uint64(1) << bits.Len32(spec.MaxEntries-1)
	if err := checkMemory(spec, buckets, 8); err != nil {
		return nil, err
	}
	m := &sockHash{seeds: newSeeds(spec.Flags)}
	m.init(spec)
	m.entries.init(uint32(buckets), spec.MaxEntries, m.seeds.bytes)
	m.entries.gone = func(s *Socket) bool { return (*s).Closed() }
	m.entries.changed = &closures
	m.get, m.put = m.load, m.store
	return m, nil
}

func (m *sockHash) Bytes() int64 { return int64(len(m.entries.buckets)) * 8 }

func (m *sockHash) load(key []byte) Socket { return present(m.entries.get(key)) }

// store is sock_hash_update_common.
func (m *sockHash) store(key []byte, s Socket, flags UpdateFlags) error {
	if s == nil {
		return errno.EINVAL
	}
	if err := s.Fits(m.spec.Type); err != nil {
		return err
	}
	if flags > Exist {
		return errno.EINVAL
	}
	if err := s.lifetime().enter(SockHash); err != nil {
		return err
	}
	old, err := m.entries.put(key, &s, func(old *Socket) error { return mayReplace(present(old), flags) })
	if err != nil {
		old = &s
	}
	leave(old, SockHash)
	return err
}

// DeleteElem is sock_hash_delete_elem.
func (m *sockHash) DeleteElem(_ int, key []byte) error {
	if err := m.checkKey(key); err != nil {
		return err
	}
	old := m.entries.remove(key)
	leave(old, SockHash)
	if present(old) == nil {
		return errno.ENOENT
	}
	return nil
}

func (m *sockHash) Delete(key []byte) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	return m.DeleteElem(0, key)
}

func (m *sockHash) NextKey(key, next []byte) error {
	if err := m.mayRead(); err != nil {
		return err
	}
	if err := m.checkKey(next); err != nil {
		return err
	}
	if key != nil {
		if err := m.checkKey(key); err != nil {
			return err
		}
	}
	return m.entries.next(key, next)
}

// Close lets go of the sockets.
func (m *sockHash) Close() error {
	m.entries.clear(func(s *Socket) { leave(s, SockHash) })
	return m.core.Close()
}
