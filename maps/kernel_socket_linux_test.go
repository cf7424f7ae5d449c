package maps_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
)

// A realSocket is a socket of the kernel's, and the same here.
type realSocket struct {
	name string
	fd   int
	ours *linux.Socket
}

// realSockets opens sockets of many kinds.
func realSockets(t *testing.T) []realSocket {
	t.Helper()
	var all []realSocket
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	open := func(family, typ, proto int) int {
		t.Helper()
		fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, proto)
		must(err)
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	group := uint64(0)
	add := func(name string, fd int, state uint32, reuse uint64) {
		t.Helper()
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		must(err)
		option := func(o int) uint32 {
			n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, o)
			must(err)
			return uint32(n)
		}
		info := linux.SocketInfo{
			Family: option(unix.SO_DOMAIN), Type: option(unix.SO_TYPE), Protocol: option(unix.SO_PROTOCOL),
			State: state, Cookie: cookie, Reuseport: reuse,
		}
		local, err := unix.Getsockname(fd)
		must(err)
		switch a := local.(type) {
		case *unix.SockaddrInet4:
			info.Local = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
		case *unix.SockaddrInet6:
			info.Local = netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
		}
		all = append(all, realSocket{name, fd, linux.NewSocket(info)})
	}
	loopback := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	shared := func(fd int) uint64 {
		must(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		group++
		return group
	}
	listener := open(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(unix.Bind(listener, loopback))
	must(unix.Listen(listener, 4))
	add("tcp listener", listener, linux.TCPListen, 0)
	addr, err := unix.Getsockname(listener)
	must(err)
	for i := range 2 {
		client := open(unix.AF_INET, unix.SOCK_STREAM, 0)
		must(unix.Connect(client, addr))
		server, _, err := unix.Accept(listener)
		must(err)
		t.Cleanup(func() { unix.Close(server) })
		add(fmt.Sprintf("tcp client %d", i), client, linux.TCPEstablished, 0)
		add(fmt.Sprintf("tcp server %d", i), server, linux.TCPEstablished, 0)
	}
	add("tcp, not connected", open(unix.AF_INET, unix.SOCK_STREAM, 0), linux.TCPClose, 0)
	add("udp", open(unix.AF_INET, unix.SOCK_DGRAM, 0), linux.TCPClose, 0)
	add("udp6", open(unix.AF_INET6, unix.SOCK_DGRAM, 0), linux.TCPClose, 0)
	bound := open(unix.AF_INET, unix.SOCK_DGRAM, 0)
	must(unix.Bind(bound, loopback))
	add("udp, bound", bound, linux.TCPClose, 0)
	bound6 := open(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	must(unix.Bind(bound6, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}))
	add("udp6, bound", bound6, linux.TCPClose, 0)
	for range 3 {
		u := open(unix.AF_INET, unix.SOCK_DGRAM, 0)
		n := shared(u)
		must(unix.Bind(u, loopback))
		add("udp of a group", u, linux.TCPClose, n)
		l := open(unix.AF_INET, unix.SOCK_STREAM, 0)
		n = shared(l)
		must(unix.Bind(l, loopback))
		must(unix.Listen(l, 1))
		add("tcp listener of a group", l, linux.TCPListen, n)
	}
	for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
		pair, err := unix.Socketpair(unix.AF_UNIX, typ, 0)
		must(err)
		t.Cleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
		add("unix", pair[0], linux.TCPEstablished, 0)
		add("unix, not connected", open(unix.AF_UNIX, typ, 0), linux.TCPClose, 0)
	}
	add("netlink", open(unix.AF_NETLINK, unix.SOCK_RAW, 0), linux.TCPClose, 0)
	add("raw", open(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP), linux.TCPClose, 0)
	return all
}

// TestKernelSockets compares random operations on maps of sockets, which hold
// sockets of this machine.
func TestKernelSockets(t *testing.T) {
	oracle.Skip(t)
	sockets := realSockets(t)
	access := []maps.Flags{0, 0, maps.ReadOnly, maps.WriteOnly, maps.NUMANode}
	for _, typ := range []maps.Type{maps.SockMap, maps.SockHash, maps.ReuseportSockArray} {
		t.Run(typ.String(), func(t *testing.T) {
			ops, total := diffOps(t), 0
			for round := 0; total < ops; round++ {
				s := maps.Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: []uint32{4, 8, 8}[round%3]}
				s.MaxEntries = []uint32{1, 2, 3, 8, 30, 60}[round%6]
				s.Flags = access[round%len(access)]
				if typ == maps.SockHash {
					s.KeySize = []uint32{4, 8, 1, 13, 40}[round%5]
					s.Flags &^= maps.WriteOnly // what is left could not be found
				}
				p := newPair(t, s, uint64(round))
				other := newPair(t, maps.Spec{Name: "o", Type: []maps.Type{maps.SockMap, maps.ReuseportSockArray}[round%2],
					KeySize: 4, ValueSize: 4, MaxEntries: 4}, uint64(round))
				p.values = func() []byte { // no file descriptors
					b := binary.NativeEndian.AppendUint64(nil, []uint64{1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1<<32 + 1<<30}[p.r.IntN(5)])
					return b[:s.ValueSize]
				}
				for i := range max(100, min(1000, ops/60)) {
					total++
					var err error
					switch at := p.r.IntN(8); {
					case at == 0:
						err = p.step()
					case at == 1:
						err = other.storeSocket(sockets)
					case at == 2:
						key := other.key()
						if g, w := number(other.ours.Delete(key)), number(other.theirs.Delete(key)); g != w {
							err = fmt.Errorf("delete from the other map: %s, the kernel: %s", text(g), text(w))
						}
					default:
						err = p.storeSocket(sockets)
					}
					if err != nil {
						t.Fatalf("%v, key %d, value %d, entries %d, flags %v, step %d: %v", typ, s.KeySize, s.ValueSize, s.MaxEntries, s.Flags, i, err)
					}
				}
				if err := p.sameSockets(); err != nil {
					t.Fatalf("%v, value %d, flags %v: %v", typ, s.ValueSize, s.Flags, err)
				}
				for _, m := range []*pair{p, other} { // the kernel lets go of sockets a moment after the last descriptor is closed
					if err := m.empty(); err != nil {
						t.Fatalf("%v: %v", typ, err)
					}
					m.theirs.Close()
					m.ours.Close()
				}
			}
			t.Logf("%d operations", total)
		})
	}
}

// storeSocket puts one of sockets in both maps.
func (p *pair) storeSocket(sockets []realSocket) error {
	s := sockets[p.r.IntN(len(sockets))]
	key, flags := p.key(), p.flags()
	value := binary.NativeEndian.AppendUint64(nil, uint64(s.fd))[:p.spec.ValueSize]
	got, want := number(p.ours.(maps.SocketMap).StoreSocket(key, s.ours, flags)), number(p.theirs.Update(key, value, flags))
	if got != want {
		return fmt.Errorf("store %s at %x of a %v, flags %#x: %s, the kernel: %s", s.name, key, p.spec.Type, flags, text(got), text(want))
	}
	return nil
}

// keys returns the keys that a map may have.
func (p *pair) keys() (all [][]byte) {
	saved := p.r
	defer func() { p.r = saved }()
	p.r = rand.New(rand.NewPCG(1, 1))
	seen := map[string]bool{}
	for range 2000 {
		if k := p.key(); !seen[string(k)] {
			seen[string(k)] = true
			all = append(all, k)
		}
	}
	return all
}

// sameSockets compares all entries.
func (p *pair) sameSockets() error {
	for _, k := range p.keys() {
		a, b := make([]byte, p.vsize), make([]byte, p.vsize)
		got, want := number(p.ours.Lookup(k, a)), number(p.theirs.Lookup(k, b, 0))
		if got != want || !bytes.Equal(a, b) {
			return fmt.Errorf("entry %x: %x, %s; the kernel: %x, %s", k, a, text(got), b, text(want))
		}
	}
	return nil
}

// empty removes all entries.
func (p *pair) empty() error {
	remove := func(k []byte) error {
		if got, want := number(p.ours.Delete(k)), number(p.theirs.Delete(k)); got != want {
			return fmt.Errorf("delete %x: %s, the kernel: %s", k, text(got), text(want))
		}
		return nil
	}
	k := make([]byte, p.spec.KeySize)
	if p.spec.Type != maps.SockHash {
		for i := range p.spec.MaxEntries {
			binary.NativeEndian.PutUint32(k, i)
			if err := remove(k); err != nil {
				return err
			}
		}
		return nil
	}
	for p.theirs.NextKey(nil, k) == nil {
		if err := remove(k); err != nil {
			return err
		}
	}
	if err := p.ours.NextKey(nil, k); number(err) != errno.ENOENT {
		return fmt.Errorf("a key is left: %x, %v", k, err)
	}
	return nil
}
