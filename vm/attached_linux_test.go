package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// An attached is a program of a type that BPF_PROG_TEST_RUN does not run. It is
// attached in the kernel, and made to run by what it judges; then skep runs it on
// the same. It leaves what it saw in map 0; R6 is its context, R9 the map's value.
type attached struct {
	name    string
	section string
	kernel  uint32 // program type
	attach  uint32
	without []string // fields of its context that it does not leave in the map before
	text    string
	// act makes the kernel run it, once, and returns what to give skep, and what
	// then compares what came of both: got is R0, and src what the run left of it.
	act func(t *testing.T) (src hook.Source, check func(t *testing.T, got uint64, src hook.Source))
	// only, if it is not empty, goes to skip for what else the kernel runs it for.
	only string
	// extra are the maps after the first, target says what to attach to (nil: the
	// test's cgroup; -1: begin does it, with the program's descriptor), begin fills the kernel's maps when the program is attached, and
	// fill skep's.
	extra  []*maps.Spec
	target func(theirs []*oracle.Map) int
	begin  func(t *testing.T, theirs []*oracle.Map, fd int)
	fill   func(t *testing.T, ours *vm.Collection)
	// learn, if it is not nil, completes the source with what the kernel's run saw.
	learn func(src hook.Source, seen []byte)
}

// attachedSpec is the map: the number of runs, then what the program leaves.
var attachedSpec = &maps.Spec{Name: "out", Type: maps.Array, KeySize: 4, ValueSize: 4096, MaxEntries: 1}

// program assembles a, and says where in the map each field is.
func (a *attached) program(t *testing.T, typ *hook.Type) (text string, where map[int]string) {
	t.Helper()
	text = "r6 = r1\nr9 = map[0][0]+0\n" + a.only + "r1 = *(u64 *)(r9 +0)\nr1 += 1\n*(u64 *)(r9 +0) = r1\n"
	where = map[int]string{0: "the number of runs"}
	at := 8
	skip := map[string]bool{}
	for _, name := range a.without {
		if typ.Ctx.Field(name) == nil {
			t.Fatalf("%s has no field %s", typ.Name, name)
		}
		skip[name] = true
	}
	for _, f := range typ.Ctx.Fields {
		if f.Kind != hook.FieldScalar && f.Kind != hook.FieldBytes || skip[f.Name] {
			continue
		}
		n := f.Size
		if f.Kind == hook.FieldBytes {
			n = 4
		}
		for off := uint32(0); off < f.Size; off += n {
			text += fmt.Sprintf("r1 = *(u%d *)(r6 +%d)\n", 8*n, f.Off+off)
			if n == 4 { // the kernel gives a rx_queue_mapping of -1 as 64 bits
				text += "w1 = w1\n"
			}
			text += fmt.Sprintf("*(u64 *)(r9 +%d) = r1\n", at)
			where[at] = fmt.Sprintf("%s+%d", f.Name, off)
			at += 8
		}
	}
	if at > own {
		t.Fatalf("fields take %d bytes", at)
	}
	text += a.text
	if a.only != "" {
		text += "\nskip:\nr0 = 1\nexit"
	}
	return text, where
}

// own is where in the map the program's own words begin.
const own = 1024

// save leaves R0 in word n of these; load does so of a load.
func save(n int) string { return fmt.Sprintf("*(u64 *)(r9 +%d) = r0\n", own+8*n) }
func saveLoad(n int, what string) string {
	return fmt.Sprintf("r0 = %s\n%s", what, save(n))
}

// checkAttached runs all of them, attached to g.
func checkAttached(t *testing.T, g *oracle.Cgroup, all []attached, host helpers.Host) {
	for _, a := range all {
		t.Run(a.name, func(t *testing.T) {
			oracle.Isolate(t, nil)
			a.check(t, g.FD(), host)
		})
	}
}

func (a *attached) check(t *testing.T, target int, host helpers.Host) {
	s, ok := linux.Platform.Section(a.section)
	if !ok {
		t.Fatalf("no section %q", a.section)
	}
	text, where := a.program(t, s.Type)
	specs := append([]*maps.Spec{attachedSpec}, a.extra...)
	var theirs []*oracle.Map
	for _, spec := range specs {
		m, err := oracle.NewMap(spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		theirs = append(theirs, m)
	}
	kernel, log, err := oracle.Load(oracle.LoadOptions{Type: a.kernel, Attach: a.attach, Insns: assemble(t, text), Maps: theirs})
	if err != nil {
		t.Fatalf("the kernel: %v\n%s", err, log)
	}
	defer kernel.Close()
	if a.target != nil {
		target = a.target(theirs)
	}
	detach := func() {}
	if target >= 0 {
		if detach, err = kernel.Attach(target, a.attach); err != nil {
			t.Fatalf("the kernel: %v", err)
		}
	}
	src, check := func() (hook.Source, func(*testing.T, uint64, hook.Source)) {
		defer detach()
		if a.begin != nil {
			a.begin(t, theirs, kernel.FD())
		}
		return a.act(t)
	}()
	want := make([]byte, attachedSpec.ValueSize)
	if err := theirs[0].Lookup(word(0), want, 0); err != nil {
		t.Fatal(err)
	}
	if n := binary.NativeEndian.Uint64(want); n != 1 {
		t.Fatalf("the kernel ran it %d times", n)
	}
	kernel.Ran()
	if a.learn != nil {
		a.learn(src, want)
	}
	p, err := prog.FromInsns("p", s.Type, assemble(t, text), specs)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range usable(t) {
		a.compare(t, p, e, host, clone(src), want, where, check)
	}
}

// compare runs p on src, and compares what it left in the map with want.
func (a *attached) compare(t *testing.T, p *prog.Program, e vm.Engine, host helpers.Host, src hook.Source, want []byte, where map[int]string, check func(*testing.T, uint64, hook.Source)) {
	c, err := vm.LoadProgram(p, vm.Options{Engine: e, Host: host})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if a.fill != nil {
		a.fill(t, c)
	}
	got, err := c.Program("p").RunSource(context.Background(), src)
	if err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	have := make([]byte, len(want))
	if err := c.Map("out").Lookup(word(0), have); err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(want); at += 8 {
		h, w := binary.NativeEndian.Uint64(have[at:]), binary.NativeEndian.Uint64(want[at:])
		if h == w {
			continue
		}
		name := where[at]
		if name == "" {
			name = fmt.Sprintf("word %d of its own", (at-own)/8)
		}
		t.Errorf("%s: %s is %#x, in the kernel %#x", e, name, h, w)
	}
	check(t, got, src)
}

// clone returns a copy of src, so that each run finds the same.
func clone(src hook.Source) hook.Source {
	switch s := src.(type) {
	case *linux.SockAddr:
		c := *s
		return &c
	case *linux.SockCreate:
		return &linux.SockCreate{Socket: linux.NewSocket(s.Socket.Info())}
	case *linux.Sockopt:
		c := *s
		c.Value = append([]byte(nil), s.Value...)
		return &c
	case *linux.Sysctl:
		c := *s
		return &c
	case *linux.Device:
		c := *s
		return &c
	case *linux.SockEvent:
		c := *s
		c.Packet = append([]byte(nil), s.Packet...)
		if s.Packet == nil {
			c.Packet = nil
		}
		return &c
	case *linux.Lookup:
		c := *s
		return &c
	case *linux.Delivery:
		c := *s
		return &c
	case *linux.Frame:
		c := *s
		c.Packet = linux.NewPacket(s.Packet.Data())
		return &c
	case *linux.SendMessage:
		c := *s
		c.Data = append([]byte(nil), s.Data...)
		return &c
	}
	return src
}

// same reports whether skep's error is the kernel's.
func same(ours, kernels error) bool {
	var e errno.Errno
	if ours != nil && !errors.As(ours, &e) {
		return ours == kernels
	}
	return uint64(e) == uint64(errnoOf(kernels))
}

// errnoOf returns the number of what a system call returned.
func errnoOf(err error) unix.Errno {
	e, _ := err.(unix.Errno)
	return e
}

// socketFor makes a socket; the test closes it.
func socketFor(t *testing.T, family, typ int) int {
	t.Helper()
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// socketBare is socketFor without options of its own.
func socketBare(t *testing.T, family, typ int) int {
	t.Helper()
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// setsockopt and getsockopt are the system calls, with any level, name and size.
func setsockopt(fd, level, name int, value []byte) error {
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(len(value)), 0)
	if e != 0 {
		return e
	}
	return nil
}

func getsockopt(fd, level, name int, value []byte) (n int, err error) {
	size := int32(len(value))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return 0, e
	}
	return int(size), nil
}

// again repeats f as long as signals interrupt it.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// addrOf returns a as Go has it.
func addrOf(t *testing.T, a unix.Sockaddr, err error) netip.AddrPort {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	t.Fatalf("an address of type %T", a)
	return netip.AddrPort{}
}

func sockaddrOf(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// bound makes a socket that is bound to loopback.
func bound(t *testing.T, family, typ int) (fd int, at netip.AddrPort) {
	t.Helper()
	fd = socketFor(t, family, typ)
	a := netip.MustParseAddrPort("127.0.0.1:0")
	if family == unix.AF_INET6 {
		a = netip.MustParseAddrPort("[::1]:0")
	}
	if err := unix.Bind(fd, sockaddrOf(a)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	return fd, addrOf(t, name, err)
}

// readSocket is a program's reading of the socket at off in its context, whose
// fields it leaves in words from n on.
func readSocket(n, off int, fields ...int) string {
	s := fmt.Sprintf("r7 = *(u64 *)(r6 +%d)\n", off)
	for i, f := range fields {
		s += saveLoad(n+i, fmt.Sprintf("*(u32 *)(r7 +%d)", f))
	}
	return s
}
