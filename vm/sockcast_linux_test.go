package vm_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/vm"
)

// TestKernelSocketCasts looks sockets of several kinds up, here and in the kernel,
// and asks of each what else it is, with every helper that says so. What it is then
// is released in the socket's place.
func TestKernelSocketCasts(t *testing.T) {
	oracle.Skip(t)
	var single, several net.ListenConfig
	single.SetMultipathTCP(false)
	several.SetMultipathTCP(true)
	enabled, _ := os.ReadFile("/proc/sys/net/mptcp/enabled")
	ctx := context.Background()
	tcp4, err := single.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Skip("no socket:", err)
	}
	defer tcp4.Close()
	udp4, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Skip("no socket:", err)
	}
	defer udp4.Close()
	sockets := []*linux.Socket{
		linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: linux.SockStream, Protocol: 6, State: linux.TCPListen, Local: tcp4.Addr().(*net.TCPAddr).AddrPort()}),
		linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: linux.SockDgram, Protocol: 17, State: linux.TCPClose, Local: udp4.LocalAddr().(*net.UDPAddr).AddrPort()}),
	}
	if tcp6, err := several.Listen(ctx, "tcp6", "[::1]:0"); err == nil {
		defer tcp6.Close()
		sockets = append(sockets, linux.NewSocket(linux.SocketInfo{Family: linux.AFInet6, Type: linux.SockStream, Protocol: 6, MPTCP: string(enabled) == "1\n", State: linux.TCPListen, Local: tcp6.Addr().(*net.TCPAddr).AddrPort()}))
	}
	if udp6, err := net.ListenPacket("udp6", "[::1]:0"); err == nil {
		defer udp6.Close()
		sockets = append(sockets, linux.NewSocket(linux.SocketInfo{Family: linux.AFInet6, Type: linux.SockDgram, Protocol: 17, State: linux.TCPClose, Local: udp6.LocalAddr().(*net.UDPAddr).AddrPort()}))
	}
	host := helpers.Host{Platform: &linux.Host{Sockets: linux.Sockets{Lookup: func(_ helpers.Env, q linux.SocketQuery) *linux.Socket {
		for _, s := range sockets {
			if i := s.Info(); i.Protocol == q.Protocol && i.Local == q.Dst {
				return s
			}
		}
		return nil
	}}}}
	found := 0
	for _, s := range sockets {
		i := s.Info()
		id := map[uint32]int{6: 84, 17: 85}[i.Protocol]
		for _, cast := range []int{95, 96, 136, 137, 138, 139, 140, 178, 196} {
			released := "r0"
			if cast == 178 {
				released = "r6" // to the kernel a unix_sock is no reference to the socket
			}
			text := fmt.Sprintf(`
				r7 = r1
				%s
				r2 = r10
				r2 += -64
				r4 = -1
				r5 = 0
				call %d
				if r0 == 0 goto none
				r6 = r0
				r1 = r6
				call %d
				if r0 == 0 goto other
				r1 = %s
				call 86
				r0 = 1
				exit
			other:
				r1 = r6
				call 86
				r0 = 0
				exit
			none:
				r0 = 12345
				exit`, tupleOf(i.Local), id, cast, released)
			k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.SchedCls, Insns: assemble(t, text)})
			if err != nil {
				t.Fatalf("%d of %d: %v\n%s", cast, i.Protocol, err, log)
			}
			want, err := k.Run(oracle.RunInput{Data: make([]byte, 64)})
			k.Close()
			if err != nil {
				t.Fatal(err)
			}
			if want.Retval == 12345 {
				t.Fatalf("the kernel has no socket at %v", i.Local)
			}
			found += int(want.Retval)
			for _, e := range usable(t) {
				got, err := load(t, linux.SchedCls, text, vm.Options{Engine: e, Host: host}).Program("p").Run(make([]byte, 64))
				if err != nil || uint32(got) != want.Retval {
					t.Errorf("helper %d of %v, protocol %d, %s: %d, %v; the kernel %d", cast, i.Local, i.Protocol, e, int32(got), err, int32(want.Retval))
				}
			}
			if s.Refs() != 0 {
				t.Fatalf("helper %d: %d references are left", cast, s.Refs())
			}
		}
	}
	if found < 5 {
		t.Errorf("%d casts gave a socket", found)
	}
}

// tupleOf returns code that stores the addresses of a connection to at, of 12 or 36
// bytes, at R10-64, and their size in R3.
func tupleOf(at netip.AddrPort) (text string) {
	addr := at.Addr().AsSlice()
	tuple := append(append([]byte{}, addr...), addr...)
	tuple = binary.BigEndian.AppendUint16(append(tuple, 0x12, 0x34), at.Port())
	for i := 0; i < len(tuple); i += 4 {
		text += fmt.Sprintf("*(u32 *)(r10 -%d) = %d\n", 64-i, int32(binary.LittleEndian.Uint32(tuple[i:])))
	}
	return text + fmt.Sprintf("r3 = %d\n", len(tuple))
}
