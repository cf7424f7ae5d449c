package vm_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestKernelChoice compares programs that choose the socket which takes a
// connection or a datagram (sk_lookup, sk_reuseport) with the kernel's.
func TestKernelChoice(t *testing.T) {
	oracle.Skip(t)
	var all []attached
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for _, typ := range []int{unix.SOCK_STREAM, unix.SOCK_DGRAM} {
			all = append(all, lookups(family, typ)...)
		}
		all = append(all, deliveries(family)...)
	}
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			oracle.Isolate(t, nil)
			target := -1
			if a.kernel == oracle.SkLookup {
				ns, err := os.Open("/proc/thread-self/ns/net")
				if err != nil {
					t.Fatal(err)
				}
				defer ns.Close()
				target = int(ns.Fd())
			}
			a.check(t, target, helpers.Host{})
		})
	}
}

func protocolOf(typ int) uint32 {
	if typ == unix.SOCK_STREAM {
		return 6
	}
	return 17
}

// takers are two sockets that take what comes to them, at ports of their own, and
// a socket of the other protocol, in a map.
type takers struct {
	fds  []int
	ours []*linux.Socket
}

func newTakers(t *testing.T, family, typ int) (k takers) {
	t.Helper()
	for i := range 3 {
		of := typ
		if i == 2 {
			of = unix.SOCK_STREAM + unix.SOCK_DGRAM - typ
		}
		fd, at := bound(t, family, of)
		state := uint32(linux.TCPClose)
		if of == unix.SOCK_STREAM {
			if err := unix.Listen(fd, 4); err != nil {
				t.Fatal(err)
			}
			state = linux.TCPListen
		}
		k.fds = append(k.fds, fd)
		k.ours = append(k.ours, linux.NewSocket(linux.SocketInfo{Family: uint32(family), Type: uint32(of), Protocol: protocolOf(of), State: state, Local: at, RxQueue: -1}))
	}
	return k
}

func (k *takers) begin(t *testing.T, theirs []*oracle.Map) {
	for i, fd := range k.fds {
		if err := theirs[1].Update(word(uint32(i)), binary.NativeEndian.AppendUint64(nil, uint64(fd)), 0); err != nil {
			t.Fatal(err)
		}
	}
}

func (k *takers) fill(t *testing.T, c *vm.Collection) {
	for i, o := range k.ours {
		if err := c.Map("socks").(maps.SocketMap).StoreSocket(word(uint32(i)), o, 0); err != nil {
			t.Fatalf("socket %d: %v", i, err)
		}
	}
}

// lookups choose by sk_assign.
func lookups(family, typ int) (all []attached) {
	const none = 41000 // nobody is bound to it
	// assign gives socket key, and leaves what the helper says.
	assign := func(n, key, flags int) string {
		return fmt.Sprintf("*(u32 *)(r10 -4) = %d\nr1 = map[1]\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto +10\nr7 = r0\nr1 = r6\nr2 = r7\nr3 = %d\ncall 124\n*(u64 *)(r9 +%d) = r0\nr0 = *(u32 *)(r7 +72)\n*(u64 *)(r9 +%d) = r0\nr1 = r7\ncall 86\n", key, flags, own+8*n, own+8*n+8)
	}
	const pass, drop = "r0 = 1\nexit", "r0 = 0\nexit"
	chosen := "r7 = *(u64 *)(r6 +0)\nr0 = 1\nif r7 == 0 goto +1\nr0 = *(u32 *)(r7 +44)\n" // of which socket, its port
	for what, text := range map[string]string{
		"none": chosen + "*(u64 *)(r9 +1024) = r0\n" + pass, "dropped": drop,
		"assigned": assign(0, 0, 0) + pass, "assigned, dropped": assign(0, 0, 0) + drop, "bad flags": assign(0, 0, 4) + pass,
		"twice": assign(0, 0, 0) + assign(2, 1, 0) + assign(4, 1, 1) + pass, "of the other protocol": assign(0, 2, 0) + pass,
		"taken back": assign(0, 0, 0) + "r1 = r6\nr2 = 0\nr3 = 0\ncall 124\n" + save(4) + "r1 = r6\nr2 = 0\nr3 = 1\ncall 124\n" + save(5) + pass,
		"alone":      assign(0, 1, 2) + pass,
	} {
		var k takers
		a := attached{name: fmt.Sprintf("lookup, family %d, type %d, %s", family, typ, what), section: "sk_lookup", kernel: oracle.SkLookup, attach: oracle.AtSkLookup, text: text,
			extra: []*maps.Spec{{Name: "socks", Type: maps.SockMap, KeySize: 4, ValueSize: 8, MaxEntries: 4}}}
		a.begin = func(t *testing.T, theirs []*oracle.Map, _ int) {
			k = newTakers(t, family, typ)
			k.begin(t, theirs)
		}
		a.fill = func(t *testing.T, c *vm.Collection) { k.fill(t, c) }
		a.act = func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
			fd, from := bound(t, family, typ)
			to := netip.AddrPortFrom(from.Addr(), none)
			err := unix.Connect(fd, sockaddrOf(to))
			if typ == unix.SOCK_DGRAM {
				_, err = unix.Write(fd, []byte("x"))
			}
			took := -1
			for i, s := range k.fds[:2] {
				if typ == unix.SOCK_STREAM && err != nil {
					break
				}
				if p := []unix.PollFd{{Fd: int32(s), Events: unix.POLLIN}}; poll(t, p) {
					took = i
				}
			}
			return &linux.Lookup{Protocol: protocolOf(typ), Remote: from, Local: to, Ifindex: 1}, func(t *testing.T, r0 uint64, src hook.Source) {
				l := src.(*linux.Lookup)
				ours := -1
				for i, s := range k.ours {
					if r0 == 1 && l.Assigned == s {
						ours = i
					}
				}
				if ours != took {
					t.Errorf("%d: socket %d; in the kernel socket %d", r0, ours, took)
				}
			}
		}
		all = append(all, a)
	}
	return all
}

// poll reports whether there is something to read, within a moment.
func poll(t *testing.T, p []unix.PollFd) bool {
	t.Helper()
	n := 0
	if err := again(func() (err error) { n, err = unix.Poll(p, 10); return err }); err != nil {
		t.Fatal(err)
	}
	return n > 0
}

// deliveries choose by sk_select_reuseport, of datagrams.
func deliveries(family int) (all []attached) {
	selectKey := func(n, key, flags int) string {
		return fmt.Sprintf("*(u32 *)(r10 -4) = %d\nr1 = r6\nr2 = map[1]\nr3 = r10\nr3 += -4\nr4 = %d\ncall 82\n", key, flags) + save(n)
	}
	const pass, drop = "r0 = 1\nexit", "r0 = 0\nexit"
	seen := "r7 = *(u64 *)(r6 +0)\nr8 = *(u64 *)(r6 +8)\nr1 = r7\nr1 += 6\nif r1 > r8 goto no\n" + saveLoad(8, "*(u32 *)(r7 +0)") + saveLoad(9, "*(u16 *)(r7 +4)") + "no:\n"
	for what, text := range map[string]string{
		"dropped": seen + drop, "first": seen + selectKey(0, 0, 0) + pass, "second": seen + selectKey(0, 1, 0) + pass,
		"changed": selectKey(0, 1, 0) + selectKey(1, 0, 0) + pass, "empty": selectKey(0, 0, 0) + selectKey(1, 3, 0) + pass,
		"of another group": selectKey(0, 1, 0) + selectKey(1, 2, 0) + pass, "dropped after all": selectKey(0, 1, 0) + drop,
	} {
		var k takers
		var at netip.AddrPort
		a := attached{name: fmt.Sprintf("delivery, family %d, %s", family, what), section: "sk_reuseport", kernel: oracle.SkReuseport, attach: oracle.AtReuseportSelect, text: text,
			without: []string{"hash"}, extra: []*maps.Spec{{Name: "socks", Type: maps.ReuseportSockArray, KeySize: 4, ValueSize: 8, MaxEntries: 4}}}
		a.begin = func(t *testing.T, theirs []*oracle.Map, program int) {
			k = takers{}
			for i := range 3 { // two of a group, and one of another
				fd := socketFor(t, family, unix.SOCK_DGRAM)
				if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
					t.Fatal(err)
				}
				if i != 1 {
					at = netip.MustParseAddrPort("127.0.0.1:0")
					if family == unix.AF_INET6 {
						at = netip.MustParseAddrPort("[::1]:0")
					}
				}
				if err := unix.Bind(fd, sockaddrOf(at)); err != nil {
					t.Fatal(err)
				}
				name, err := unix.Getsockname(fd)
				at = addrOf(t, name, err)
				k.fds = append(k.fds, fd)
				k.ours = append(k.ours, linux.NewSocket(linux.SocketInfo{Family: uint32(family), Type: 2, Protocol: 17, State: linux.TCPClose, Local: at, RxQueue: -1, Reuseport: uint64(1 + i/2)}))
			}
			at = k.ours[0].Info().Local
			if err := unix.SetsockoptInt(k.fds[0], unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_EBPF, program); err != nil {
				t.Fatal(err)
			}
			k.begin(t, theirs)
		}
		a.fill = func(t *testing.T, c *vm.Collection) { k.fill(t, c) }
		a.act = func(t *testing.T) (hook.Source, func(*testing.T, uint64, hook.Source)) {
			fd, from := bound(t, family, unix.SOCK_DGRAM)
			if err := unix.Sendto(fd, []byte("datagram"), 0, sockaddrOf(at)); err != nil {
				t.Fatal(err)
			}
			took := -1
			for i, s := range k.fds {
				if poll(t, []unix.PollFd{{Fd: int32(s), Events: unix.POLLIN}}) {
					took = i
				}
			}
			d := &linux.Delivery{EthProtocol: 0x0800, IPProtocol: 17, Socket: k.ours[0]}
			if family == unix.AF_INET6 {
				d.EthProtocol = 0x86dd
			}
			d.Packet = binary.BigEndian.AppendUint16(d.Packet, from.Port())
			d.Packet = binary.BigEndian.AppendUint16(d.Packet, at.Port())
			d.Packet = append(binary.BigEndian.AppendUint16(d.Packet, 16), "\x00\x00datagram"...)
			return d, func(t *testing.T, r0 uint64, src hook.Source) {
				ours := -1
				for i, s := range k.ours {
					if r0 == 1 && src.(*linux.Delivery).Selected == s {
						ours = i
					}
				}
				if ours != took {
					t.Errorf("%d: socket %d; in the kernel socket %d", r0, ours, took)
				}
			}
		}
		all = append(all, a)
	}
	return all
}
