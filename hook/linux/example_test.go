package linux_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// load stands for elf.Open and vm.Load: the program of an object.
func load(t *hook.Type, text string, h *linux.Host) *vm.Program {
	insns, err := prog.Assemble(text)
	if err != nil {
		panic(err)
	}
	p, err := prog.FromInsns("p", t, insns, nil)
	if err != nil {
		panic(err)
	}
	c, err := vm.LoadProgram(p, vm.Options{Host: helpers.Host{Platform: h}})
	if err != nil {
		panic(err)
	}
	return c.Program("p")
}

// A program at connect(2) sends connections to port 80 to port 8080.
func ExampleSockAddr() {
	p := load(linux.CgroupSockAddr, `
		r2 = *(u32 *)(r1 +24)
		if r2 != 0x5000 goto +2
		r2 = 0x901f
		*(u32 *)(r1 +24) = r2
		r0 = 1
		exit`, nil)
	a := &linux.SockAddr{Addr: netip.MustParseAddrPort("192.0.2.1:80")}
	verdict, err := p.RunSource(context.Background(), a)
	fmt.Println(verdict, a.Addr, err)
	// Output: 1 192.0.2.1:8080 <nil>
}

// A program at a write to /proc/sys stores another value.
func ExampleSysctl() {
	p := load(linux.CgroupSysctl, `
		*(u16 *)(r10 -8) = 0x0a31
		r2 = r10
		r2 += -8
		r3 = 2
		call 104
		r0 = 1
		exit`, nil)
	s := &linux.Sysctl{Name: "net/ipv4/ip_forward", Current: []byte("0\n"), New: []byte("7\n"), Write: true}
	verdict, err := p.RunSource(context.Background(), s)
	fmt.Printf("%d %q %v %v\n", verdict, s.New, s.Updated, err)
	// Output: 1 "1\n" true <nil>
}

// A kprobe reads the string that the first argument points to, in memory that the
// host gives.
func ExampleCall() {
	h := &linux.Host{Memory: linux.Memory{Read: func(_ helpers.Env, s linux.Space, addr uint64, b []byte) bool {
		return s == linux.UserSpace && addr == 0x1000 && copy(b, "/etc/passwd\x00") > 0
	}}}
	p := load(linux.Kprobe, `
		r3 = *(u64 *)(r1 +112)
		r1 = r10
		r1 += -64
		r2 = 64
		call 114
		exit`, h)
	n, err := p.RunSource(context.Background(), &linux.Call{Regs: linux.Regs{Args: []uint64{0x1000}}})
	fmt.Println(n, err)
	// Output: 12 <nil>
}

// A program sends connections to odd ports to the socket that was chosen before it,
// and takes that choice back for the others.
func ExampleLookup() {
	web := linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: linux.SockStream, Protocol: 6, State: linux.TCPListen})
	p := load(linux.SkLookup, `
		r2 = *(u32 *)(r1 +60)
		r2 &= 1
		if r2 != 0 goto +3
		r2 = 0
		r3 = 1
		call 124
		r0 = 1
		exit`, nil)
	for _, local := range []string{"10.0.0.2:81", "10.0.0.2:80"} {
		l := &linux.Lookup{Protocol: 6, Remote: netip.MustParseAddrPort("10.0.0.1:1234"), Local: netip.MustParseAddrPort(local), Socket: web}
		verdict, err := p.RunSource(context.Background(), l)
		fmt.Println(verdict, l.Assigned == web, err)
	}
	// Output:
	// 1 true <nil>
	// 1 false <nil>
}
