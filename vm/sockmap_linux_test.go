package vm_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// socketProgram does what its packet says to a map of sockets: looks up word 0,
// stores that socket at word 1 with flags word 2, and removes word 3 if word 4 is
// not 0. It returns the socket's port and the low bits of both results.
const socketProgram = `
r6 = *(u32 *)(r1 +76)
r3 = *(u32 *)(r1 +80)
r4 = r6
r4 += 20
r0 = 4095
if r4 > r3 goto out
r8 = 0
r9 = 0
*(u64 *)(r10 -16) = 0
*(u64 *)(r10 -8) = 0
r1 = *(u32 *)(r6 +0)
*(u32 *)(r10 -8) = r1
r1 = *(u32 *)(r6 +4)
*(u32 *)(r10 -16) = r1
r2 = r10
r2 += -8
r1 = map[0]
call 1
if r0 == 0 goto none
r7 = r0
r9 = *(u32 *)(r7 +44)
r1 = map[0]
r2 = r10
r2 += -16
r3 = r7
r4 = *(u32 *)(r6 +8)
call 2
r8 = r0
r1 = r7
call 86
none:
r9 <<= 16
r8 &= 255
r8 <<= 8
r9 |= r8
r1 = *(u32 *)(r6 +16)
r0 = 0
if r1 == 0 goto end
r1 = *(u32 *)(r6 +12)
*(u32 *)(r10 -16) = r1
r1 = map[0]
r2 = r10
r2 += -16
call 3
end:
r0 &= 255
r0 |= r9
out: exit`

// TestKernelSocketOps compares what programs find, store and remove in maps of
// sockets.
func TestKernelSocketOps(t *testing.T) {
	oracle.Skip(t)
	type pair struct {
		fd   int
		ours *linux.Socket
	}
	var sockets []pair
	for range 3 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		name, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		a := name.(*unix.SockaddrInet4)
		sockets = append(sockets, pair{fd, linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: linux.SockDgram, Protocol: 17,
			State: linux.TCPClose, Local: netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))})})
	}
	runs, found := 0, 0
	for _, spec := range []maps.Spec{{Type: maps.SockMap, KeySize: 4}, {Type: maps.SockHash, KeySize: 4}, {Type: maps.SockHash, KeySize: 8}} {
		spec.Name, spec.ValueSize, spec.MaxEntries = "m", 4, 4
		for _, e := range usable(t) {
			theirs, err := oracle.NewMap(&spec, nil)
			if err != nil {
				t.Fatal(err)
			}
			kernel, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.SchedCls, Insns: assemble(t, socketProgram), Maps: []*oracle.Map{theirs}})
			if err != nil {
				t.Fatalf("%v\n%s", err, log)
			}
			c := load(t, linux.SchedCls, socketProgram, vm.Options{Engine: e}, &spec)
			for i, s := range sockets {
				key := make([]byte, spec.KeySize)
				key[0] = byte(i)
				if err := theirs.Update(key, word(uint32(s.fd)), 0); err != nil {
					t.Fatal(err)
				}
				if err := c.Map("m").(maps.SocketMap).StoreSocket(key, s.ours, 0); err != nil {
					t.Fatal(err)
				}
			}
			r := rand.New(rand.NewPCG(7, uint64(spec.Type)))
			for range 400 {
				var packet []byte
				for _, w := range []uint32{r.Uint32N(6), r.Uint32N(6), r.Uint32N(4), r.Uint32N(6), r.Uint32N(8) / 7} {
					packet = binary.NativeEndian.AppendUint32(packet, w)
				}
				packet = append(packet, make([]byte, 44)...)
				want, err := kernel.Run(oracle.RunInput{Data: packet})
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.Program("p").Run(packet)
				if err != nil || uint32(got) != want.Retval {
					t.Fatalf("%v, key size %d, %s, run %d: %x: %#x, %v; the kernel: %#x", spec.Type, spec.KeySize, e, runs, packet[:20], got, err, want.Retval)
				}
				runs++
				if got>>16 != 0 {
					found++
				}
			}
			for _, s := range sockets {
				if s.ours.Refs() != 0 {
					t.Fatalf("%s: %d references are left", e, s.ours.Refs())
				}
			}
			c.Close()
			kernel.Close()
			theirs.Close()
		}
	}
	t.Logf("%d runs, %d found a socket", runs, found)
	if found < runs/10 {
		t.Errorf("%d of %d runs found a socket", found, runs)
	}
}
