package vm_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/vm"
)

// foldBuffer mixes R0 and the 48 bytes at fp-48 into R9.
func foldBuffer() string {
	s := "r9 *= 31\nr9 += r0\n"
	for off := -48; off < 0; off += 8 {
		s += fmt.Sprintf("r1 = *(u64 *)(r10 %d)\nr9 *= 31\nr9 += r1\n", off)
	}
	return s
}

// fillBuffer writes b, of 48 bytes, to fp-48.
func fillBuffer(b []byte) (s string) {
	for i := 0; i < 48; i += 8 {
		s += fmt.Sprintf("r1 = %#x ll\n*(u64 *)(r10 %d) = r1\n", binary.NativeEndian.Uint64(b[i:]), i-48)
	}
	return s
}

// askOp returns one random call of a helper that asks about a packet, or tells
// what goes with it.
func askOp(r *rand.Rand, frame []byte, hashed *bool) string {
	pick := func(vs ...uint64) uint64 { return vs[r.IntN(len(vs))] }
	b := make([]byte, 48)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	call := func(id int, args ...string) string {
		s := fillBuffer(b) + "r1 = r6\n"
		for i, a := range args {
			s += fmt.Sprintf("r%d = %s\n", i+2, a)
		}
		s = strings.ReplaceAll(s, "= buffer", "= r10\nrX += -48")
		for i := range args {
			s = strings.Replace(s, fmt.Sprintf("r%d = r10\nrX", i+2), fmt.Sprintf("r%d = r10\nr%d", i+2, i+2), 1)
		}
		s += fmt.Sprintf("call %d\n", id)
		if id == 84 { // it is nobody's address
			s += "if r0 == 0 goto +3\nr1 = r0\ncall 86\nr0 = 1\n"
		}
		return s + foldBuffer()
	}
	num := func(v uint64) string { return fmt.Sprintf("%#x ll", v) }
	size := num(pick(44, 44, 44, 28, 24, 22, 8, 4, 12, 48, 40, 1))
	switch r.IntN(11) {
	case 0, 1: // set the tunnel's key; what is padding or IPv6 is mostly 0
		for _, at := range []int{22, 23, 24, 25, 26, 27} {
			if r.IntN(8) != 0 {
				b[at] = 0
			}
		}
		return call(21, "buffer", size, num(pick(0, 0, 1, 1, 2, 4, 8, 0x10, 0x1f, 0x20, 0x40, 7)))
	case 2, 3:
		return call(20, "buffer", size, num(pick(0, 0, 1, 1, 0x10, 0x11, 2, 0x20)))
	case 4:
		return call(30, "buffer", num(pick(4, 8, 12, 48, 5, 1, 2)))
	case 5:
		return call(29, "buffer", num(pick(4, 8, 12, 48, 5, 1, 13)))
	case 6:
		*hashed = true
		return call(48, num(pick(0, 1, 0xffffffff, 77))) + call(34)
	case 7:
		if !*hashed { // a hash that is computed has a secret in it
			return call(66, num(pick(0, 1, 100)), "buffer", num(pick(28, 27, 48)), num(pick(0, 1)))
		}
		return call(34)
	case 8:
		return call(192, num(pick(0, 1, 1<<40)), num(pick(0, 1, 2, 3, 1<<32)))
	case 9:
		switch b[0] = byte(pick(0, 99, 0xff)); r.IntN(2) {
		case 0:
			return call(69, "buffer", num(pick(1, 48)), num(pick(0, 1, 0x40, 1<<31, 1<<32)))
		}
		return call(84, "buffer", num(pick(12, 36, 11, 13, 48)), num(pick(0, 1<<64-1, 1<<31, 1<<32, 1<<33)), num(pick(0, 1)))
	}
	n := uint32(pick(0, 0, 65536, 65535, 65500, 1, 100000))
	binary.NativeEndian.PutUint32(b, n)
	return call(163, num(pick(0, 1, 999999)), "buffer", num(pick(0, 0, 1, 36, 1<<64-1, 1<<64-36, 65536, 70000, 1<<31-1)), num(pick(0, 0, 1, 2)))
}

// asking is the host of TestKernelAsk: a loopback device like the kernel's, and
// neither routes nor sockets.
func asking(t *testing.T) helpers.Host {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip("no loopback device:", err)
	}
	return helpers.Host{Platform: &linux.Host{
		Routes: linux.Routes{
			Lookup: func(helpers.Env, *linux.FIBLookup, uint32) (int, error) { return 0, errno.EIO },
			MTU:    func(_ helpers.Env, ifindex uint32) (uint32, bool) { return uint32(lo.MTU), ifindex <= 1 },
		},
		Sockets: linux.Sockets{Lookup: func(helpers.Env, linux.SocketQuery) *linux.Socket { return nil }},
	}}
}

// TestKernelAsk compares sequences of such calls with the kernel's.
func TestKernelAsk(t *testing.T) {
	oracle.Skip(t)
	n := envInt(t, "SKEP_DIFF_PROGS", 300)
	if testing.Short() {
		n = 50
	}
	host := asking(t)
	for seed := range uint64(n) {
		r := rand.New(rand.NewPCG(seed, 99))
		frame := make([]byte, 100)
		for i := range frame {
			frame[i] = byte(r.Uint32())
		}
		binary.BigEndian.PutUint16(frame[12:], []uint16{0x0800, 0x86dd, 0x88b5}[r.IntN(3)])
		frame[14] = 0x45
		if frame[12] == 0x86 {
			frame[14] = 0x60
		}
		var ops []string
		hashed := false
		for range 1 + r.IntN(10) {
			ops = append(ops, askOp(r, frame, &hashed))
		}
		const end = "r0 = r9\nr9 >>= 32\nr0 ^= r9\nw0 = w0\nexit"
		run := func(text string) string {
			k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.SchedCls, Insns: assemble(t, text)})
			if err != nil {
				t.Fatalf("%v\n%s\n%s", err, text, log)
			}
			defer k.Close()
			want, err := k.Run(oracle.RunInput{Data: frame})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range usable(t) {
				got, err := load(t, linux.SchedCls, text, vm.Options{Engine: e, Host: host}).Program("p").Run(frame)
				if err != nil || uint32(got) != want.Retval {
					return fmt.Sprintf("%s: %#x, %v; the kernel %#x", e, uint32(got), err, want.Retval)
				}
			}
			return ""
		}
		if run("r9 = 0\nr6 = r1\n"+strings.Join(ops, "")+end) == "" {
			continue
		}
		for i := range ops {
			before := "r9 = 0\nr6 = r1\n" + strings.Join(ops[:i], "") + strings.TrimSuffix(ops[i], foldBuffer())
			for _, what := range append([]string{"r0"}, strings.Fields("-48 -40 -32 -24 -16 -8")...) {
				text := before + "exit"
				if what != "r0" {
					text = before + fmt.Sprintf("r0 = *(u64 *)(r10 %s)\nr1 = r0\nr1 >>= 32\nr0 ^= r1\nw0 = w0\nexit", what)
				}
				if diff := run(text); diff != "" {
					t.Fatalf("seed %d, call %d, %s: %s\n%s", seed, i, what, diff, text)
				}
			}
		}
		t.Fatalf("seed %d", seed)
	}
}

// TestKernelSocketLookup looks a listening socket up, here and in the kernel, and
// reads it.
func TestKernelSocketLookup(t *testing.T) {
	oracle.Skip(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Skip("no socket:", err)
	}
	defer l.Close()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	s := linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: linux.SockStream, Protocol: 6, State: linux.TCPListen, Local: at, RxQueue: -1})
	host := helpers.Host{Platform: &linux.Host{Sockets: linux.Sockets{Lookup: func(_ helpers.Env, q linux.SocketQuery) *linux.Socket {
		if q.Protocol == 6 && q.Dst == at {
			return s
		}
		return nil
	}}}}
	be := func(p uint16) uint16 { return p<<8 | p>>8 }
	for _, tc := range []struct {
		name string
		call int
		port uint16
		read string
	}{
		{"family", 84, at.Port(), "r0 = *(u32 *)(r6 +4)"},
		{"type", 84, at.Port(), "r0 = *(u32 *)(r6 +8)"},
		{"protocol", 84, at.Port(), "r0 = *(u32 *)(r6 +12)"},
		{"address", 84, at.Port(), "r0 = *(u32 *)(r6 +24)"},
		{"port", 84, at.Port(), "r0 = *(u32 *)(r6 +44)"},
		{"state", 84, at.Port(), "r0 = *(u32 *)(r6 +72)"},
		{"queue", 84, at.Port(), "r0 = *(u32 *)(r6 +76)"},
		{"state of any", 99, at.Port(), "r0 = *(u32 *)(r6 +72)"},
		{"of UDP", 85, at.Port(), "r0 = 5"},
		{"another port", 84, at.Port() ^ 1, "r0 = 5"},
		{"full", 84, at.Port(), "r1 = r6\ncall 95\nif r0 == 0 goto +1\nr0 = *(u32 *)(r0 +8)"},
		{"tcp", 84, at.Port(), "r1 = r6\ncall 96\nif r0 == 0 goto +1\nr0 = 1"},
		{"listener", 84, at.Port(), "r1 = r6\ncall 98\nif r0 == 0 goto +1\nr0 = *(u32 *)(r0 +12)"},
		{"assign", 84, at.Port(), "r1 = r7\nr2 = r6\nr3 = 0\ncall 124"},
	} {
		text := fmt.Sprintf(`
			r7 = r1
			*(u32 *)(r10 -16) = 0x0100007f
			*(u32 *)(r10 -12) = 0x0100007f
			*(u32 *)(r10 -8) = %#x
			r2 = r10
			r2 += -16
			r3 = 12
			r4 = -1
			r5 = 0
			call %d
			if r0 == 0 goto none
			r6 = r0
			%s
			r8 = r0
			r1 = r6
			call 86
			r0 = r8
			exit
		none:
			r0 = 12345
			exit`, uint32(be(tc.port))<<16|0x3412, tc.call, tc.read)
		k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.SchedCls, Insns: assemble(t, text)})
		if err != nil {
			t.Fatalf("%s: %v\n%s", tc.name, err, log)
		}
		want, err := k.Run(oracle.RunInput{Data: make([]byte, 64)})
		k.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range usable(t) {
			got, err := load(t, linux.SchedCls, text, vm.Options{Engine: e, Host: host}).Program("p").Run(make([]byte, 64))
			if err != nil || uint32(got) != want.Retval {
				t.Errorf("%s, %s: %d, %v; the kernel %d", tc.name, e, int32(got), err, int32(want.Retval))
			}
		}
		if s.Refs() != 0 {
			t.Fatalf("%s: %d references are left", tc.name, s.Refs())
		}
	}
}
