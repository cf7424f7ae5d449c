package linux_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// engines are those that every host has; the others run the same proof.
var engines = []vm.Engine{vm.Checked, vm.Interp, vm.Auto}

// run runs text on what src makes, in each engine, and checks the result.
func run(t *testing.T, typ *hook.Type, text string, want uint64, src func() hook.Source) {
	t.Helper()
	insns, err := prog.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prog.FromInsns("p", typ, insns, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range engines {
		c, err := vm.LoadProgram(p, vm.Options{Engine: e})
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if got, err := c.Program("p").RunSource(context.Background(), src()); err != nil || got != want {
			t.Errorf("%s, %s: %#x, %v; want %#x in\n%s", typ.Name, e, got, err, want, text)
		}
		c.Close()
	}
}

// is returns a program that returns 1 if the field of 4 bytes at off is want, as
// the C of bpf-helpers(7) and the kernel's selftests would read it.
func is(off int, want uint32) string {
	return fmt.Sprintf("r1 = *(u32 *)(r1 +%d)\nr0 = 1\nr2 = %#x ll\nif r1 == r2 goto +1\nr0 = 0\nexit", off, want)
}

// be32 and be16 are htonl and htons on hosts that skep runs on, all little-endian.
func be32(v uint32) uint32 { return v<<24 | v>>24 | v&0xff00<<8 | v>>8&0xff00 }
func be16(v uint16) uint32 { return uint32(v<<8 | v>>8) }

func section(t *testing.T, name string) *hook.Type {
	t.Helper()
	s, ok := linux.Platform.Section(name)
	if !ok {
		t.Fatalf("no section %q", name)
	}
	return s.Type
}

var tcp = linux.SocketInfo{
	Family: linux.AFInet, Type: linux.SockStream, Protocol: 6, State: linux.TCPEstablished,
	Local: netip.MustParseAddrPort("10.0.0.1:4660"), Remote: netip.MustParseAddrPort("192.0.2.1:22136"),
	Mark: 3, Priority: 4, BoundDevIf: 5, Cookie: 99, TCP: &linux.TCPInfo{SndCwnd: 10, SegsOut: 77, BytesAcked: 1 << 33},
}

// TestSockAddrSource reads and writes addresses of both families.
func TestSockAddrSource(t *testing.T) {
	s := linux.NewSocket(tcp)
	v4 := func() hook.Source {
		return &linux.SockAddr{Addr: netip.MustParseAddrPort("192.0.2.9:4660"), Type: linux.SockStream, Protocol: 6, Socket: s}
	}
	v6 := func() hook.Source {
		return &linux.SockAddr{Addr: netip.MustParseAddrPort("[2001:db8::7]:4660"), Source: netip.MustParseAddr("::1"), Type: linux.SockDgram, Protocol: 17}
	}
	connect4, sendmsg6 := section(t, "cgroup/connect4"), section(t, "cgroup/sendmsg6")
	for text, want := range map[string]uint64{
		is(0, linux.AFInet): 1, is(4, be32(0xc0000209)): 1, is(24, be16(4660)): 1, is(32, linux.SockStream): 1, is(36, 6): 1,
		"r1 = *(u64 *)(r1 +64)\n" + is(72, linux.TCPEstablished):   1,
		"call 46\nif r0 == 99 goto +2\nr0 = 0\nexit\nr0 = 1\nexit": 1,
	} {
		run(t, connect4, text, want, v4)
	}
	for _, text := range []string{is(0, linux.AFInet6), is(8, be32(0x20010db8)), is(20, be32(7)), is(24, be16(4660)), is(56, be32(1)), is(32, linux.SockDgram)} {
		run(t, sendmsg6, text, 1, v6)
	}
	a := v6().(*linux.SockAddr)
	run(t, sendmsg6, "r2 = 0x0100007f\n*(u32 *)(r1 +20) = r2\n*(u32 *)(r1 +56) = r2\nr2 = 1\n*(u32 *)(r1 +24) = r2\nr0 = 1\nexit", 1, func() hook.Source { return a })
	if a.Addr.String() != "[2001:db8::7f00:1]:256" || a.Source.String() != "::7f00:1" {
		t.Errorf("the program made it %v from %v", a.Addr, a.Source)
	}
}

// TestSockCreateSource changes what a program may change of a new socket.
func TestSockCreateSource(t *testing.T) {
	s := linux.NewSocket(tcp)
	run(t, linux.CgroupSock, "r2 = *(u32 *)(r1 +4)\nr3 = *(u32 *)(r1 +16)\nr2 *= 10\nr2 += r3\nr3 = 8\n*(u32 *)(r1 +16) = r3\nr0 = 1\nexit", 1, func() hook.Source { return &linux.SockCreate{Socket: s} })
	if i := s.Info(); i.Mark != 8 || i.Priority != 4 || i.BoundDevIf != 5 {
		t.Errorf("mark %d, priority %d, device %d", i.Mark, i.Priority, i.BoundDevIf)
	}
	run(t, section(t, "cgroup/post_bind4"), is(44, 4660), 1, func() hook.Source { return &linux.SockCreate{Socket: s} })
	run(t, section(t, "cgroup/post_bind4"), is(24, be32(0x0a000001)), 1, func() hook.Source { return &linux.SockCreate{Socket: s} })
}

// TestSockoptSource: a program reads and replaces the value of an option.
func TestSockoptSource(t *testing.T) {
	var o *linux.Sockopt
	src := func() hook.Source {
		o = &linux.Sockopt{Level: 1, Name: -2, Value: []byte{1, 2, 3, 4}, Retval: -5}
		return o
	}
	const change = "r6 = r1\nr2 = *(u64 *)(r1 +8)\nr3 = *(u64 *)(r1 +16)\nr0 = 0\nr4 = r2\nr4 += 4\nif r4 > r3 goto +5\nr5 = 9\n*(u8 *)(r2 +3) = r5\nr5 = 2\n*(u32 *)(r6 +32) = r5\nr0 = 1\nexit"
	run(t, section(t, "cgroup/setsockopt"), change, 1, src)
	if o.Value[3] != 9 || o.Len != 2 || o.Name != -2 || o.Retval != -5 {
		t.Errorf("%+v", o)
	}
	get := section(t, "cgroup/getsockopt")
	run(t, get, is(28, 0xfffffffe), 1, src)
	run(t, get, is(36, 0xfffffffb), 1, src)
	run(t, get, "r6 = r1\ncall 186\nr7 = r0\nr1 = 0\ncall 187\nr1 = *(u32 *)(r6 +36)\nr0 = 0\nif r1 != 0 goto +2\nif r7 != -5 goto +1\nr0 = 1\nexit", 1, src)
	if o.Retval != 0 {
		t.Errorf("returns %d", o.Retval)
	}
}

// TestDeviceSource: struct bpf_cgroup_dev_ctx.
func TestDeviceSource(t *testing.T) {
	src := func() hook.Source {
		return &linux.Device{Type: linux.CharDevice, Access: linux.DeviceRead | linux.DeviceWrite, Major: 1, Minor: 5}
	}
	for _, text := range []string{is(0, 6<<16|2), is(4, 1), is(8, 5)} {
		run(t, linux.CgroupDevice, text, 1, src)
	}
	run(t, linux.CgroupSysctl, is(0, 1), 1, func() hook.Source { return &linux.Sysctl{Write: true} })
	run(t, linux.CgroupSysctl, is(4, 9), 1, func() hook.Source { return &linux.Sysctl{Pos: 9} })
}

// TestSockEventSource: struct bpf_sock_ops; remote_port is a word in network
// order, local_port a number.
func TestSockEventSource(t *testing.T) {
	s := linux.NewSocket(tcp)
	var ev *linux.SockEvent
	src := func() hook.Source {
		ev = &linux.SockEvent{Op: 4, Args: [4]uint32{1, 2, 3, 4}, Socket: s, Callbacks: 1,
			Packet: []byte("\x12\x34\x00\x50\x00\x00\x00\x00\x00\x00\x00\x00\x50\x12\x00\x00\x00\x00\x00\x00")}
		return ev
	}
	for _, text := range []string{
		is(0, 4), is(4, 1), is(16, 4), is(20, linux.AFInet), is(24, be32(0xc0000201)), is(28, be32(0x0a000001)),
		is(64, be32(22136)), is(68, 4660), is(72, 1), is(76, 10), is(88, linux.TCPEstablished), is(148, 77), "r1 = *(u64 *)(r1 +176)\nr0 = r1\nr0 >>= 33\nr0 &= 1\nexit", is(208, 20), is(212, 0x12),
		"r6 = r1\nr1 = *(u64 *)(r1 +184)\nr0 = 0\nif r1 == 0 goto +3\nr2 = *(u32 *)(r1 +44)\nif r2 != 4660 goto +1\nr0 = 1\nexit",
		"r2 = *(u64 *)(r1 +192)\nr3 = *(u64 *)(r1 +200)\nr0 = 0\nr2 += 20\nif r2 > r3 goto +3\nr4 = *(u8 *)(r2 -20)\nif r4 != 0x12 goto +1\nr0 = 1\nexit",
		"r6 = r1\nr2 = 0x85\ncall 59\nr1 = r0\nr2 = 7\n*(u32 *)(r6 +4) = r2\nr0 = 0\nif r1 != 0x80 goto +1\nr0 = 1\nexit",
	} {
		run(t, linux.SockOps, text, 1, src)
	}
	if ev.Callbacks != 5 || ev.Reply != 7 {
		t.Errorf("callbacks %d, reply %d", ev.Callbacks, ev.Reply)
	}
	run(t, linux.SockOps, is(0, 1), 1, func() hook.Source { return &linux.SockEvent{Op: 1} })
}

// TestSendMessageSource: struct sk_msg_md.
func TestSendMessageSource(t *testing.T) {
	s := linux.NewSocket(tcp)
	var m *linux.SendMessage
	src := func() hook.Source {
		m = &linux.SendMessage{Data: []byte("GET / HTTP/1.1"), Socket: s}
		return m
	}
	for _, text := range []string{is(16, linux.AFInet), is(20, be32(0xc0000201)), is(24, be32(0x0a000001)), is(60, be32(22136)), is(64, 4660), is(68, 14)} {
		run(t, linux.SkMsg, text, 1, src)
	}
	run(t, linux.SkMsg, "r6 = r1\nr2 = 4\ncall 61\nr1 = r6\nr2 = 4\nr3 = 2\nr4 = 0\ncall 90\nr1 = r6\nr2 = 4\nr3 = 6\nr4 = 0\ncall 63\n"+
		"r2 = *(u64 *)(r6 +0)\nr3 = *(u64 *)(r6 +8)\nr4 = r2\nr4 += 2\nr0 = 0\nif r4 > r3 goto +4\nr5 = 0x2f2f\n*(u16 *)(r2 +0) = r5\nr0 = r3\nr0 -= r2\nexit", 2, src)
	if string(m.Data) != "GET /// HTTP/1.1" || m.Message.Apply != 4 {
		t.Errorf("%q, %+v", m.Data, m.Message)
	}
}

// TestDeliverySource: struct sk_reuseport_md.
func TestDeliverySource(t *testing.T) {
	s, mini := linux.NewSocket(tcp), linux.NewSocket(linux.SocketInfo{Mini: true, State: linux.TCPNewSynRecv})
	src := func() hook.Source {
		return &linux.Delivery{Packet: []byte("\x12\x34\x00\x50 and the rest"), EthProtocol: 0x0800, IPProtocol: 6, AnyAddress: true, Hash: 77, Socket: s, Migrating: mini}
	}
	for _, text := range []string{
		is(16, 17), is(20, be16(0x0800)), is(24, 6), is(28, 1), is(32, 77),
		"r1 = *(u64 *)(r1 +40)\n" + is(72, linux.TCPEstablished),
		"r1 = *(u64 *)(r1 +48)\nr0 = 0\nif r1 == 0 goto +3\nr2 = *(u32 *)(r1 +72)\nif r2 != 12 goto +1\nr0 = 1\nexit",
		"r6 = r1\nr1 = *(u64 *)(r6 +40)\ncall 46\nr1 = r0\nr0 = 1\nif r1 == 99 goto +1\nr0 = 0\nexit",
		"r2 = *(u64 *)(r1 +0)\nr3 = *(u64 *)(r1 +8)\nr0 = 0\nr2 += 4\nif r2 > r3 goto +3\nr4 = *(u8 *)(r2 -1)\nif r4 != 0x50 goto +1\nr0 = 1\nexit",
	} {
		run(t, section(t, "sk_reuseport/migrate"), text, 1, src)
	}
}

// TestCallSource: registers of both machines, arguments of traced functions.
func TestCallSource(t *testing.T) {
	c := func() hook.Source {
		return &linux.Call{Regs: linux.Regs{Args: []uint64{1, 20, 300}, IP: 5000, SP: 60000}, Probe: linux.Probe{Cookie: 700000}}
	}
	run(t, linux.Kprobe, "r6 = r1\ncall 174\nr1 = *(u64 *)(r6 +112)\nr0 += r1\nr1 = *(u64 *)(r6 +104)\nr0 += r1\nr1 = *(u64 *)(r6 +96)\nr0 += r1\n"+
		"r1 = *(u64 *)(r6 +128)\nr0 += r1\nr1 = *(u64 *)(r6 +152)\nr0 += r1\nexit", 765321, c)
	s, ok := linux.PlatformARM64.Section("kprobe/do_sys_open")
	if !ok || s.Type == linux.Kprobe || linux.PlatformARM64.Type("kprobe") != s.Type {
		t.Fatalf("section %+v", s)
	}
	run(t, s.Type, "r0 = *(u64 *)(r1 +0)\nr2 = *(u64 *)(r1 +8)\nr0 += r2\nr2 = *(u64 *)(r1 +16)\nr0 += r2\nr2 = *(u64 *)(r1 +256)\nr0 += r2\nr2 = *(u64 *)(r1 +248)\nr0 += r2\nexit", 65321, c)
	if s, ok := linux.PlatformARM64.Section("xdp"); !ok || s.Type != linux.XDP {
		t.Errorf("xdp: %+v", s)
	}
	for _, typ := range linux.PlatformARM64.Types() {
		if err := typ.Check(); err != nil {
			t.Error(err)
		}
	}
	fexit := func() hook.Source { return &linux.Call{Args: []uint64{7, 8, 99}, Probe: linux.Probe{Returned: true}} }
	run(t, linux.LSM, "r6 = r1\nr2 = r10\nr2 += -8\ncall 184\nr7 = *(u64 *)(r10 -8)\nr1 = r6\ncall 185\nr7 *= 10\nr7 += r0\nr1 = *(u64 *)(r6 +8)\nr7 *= 10\nr7 += r1\nr0 = r7\nexit", 9928, fexit)
	sample := func() hook.Source {
		return &linux.Sample{Regs: linux.Regs{IP: 1}, Period: 20, Addr: 300, Probe: linux.Probe{Branches: []linux.Branch{{From: 4}}}}
	}
	run(t, linux.PerfEvent, "r6 = r1\nr2 = 0\nr3 = 0\nr4 = 1\ncall 119\nr1 = *(u64 *)(r6 +128)\nr0 += r1\nr1 = *(u64 *)(r6 +168)\nr0 += r1\nr1 = *(u64 *)(r6 +176)\nr0 += r1\nexit", 345, sample)
	run(t, linux.PlatformARM64.Type("perf_event"), "r0 = *(u64 *)(r1 +256)\nr2 = *(u64 *)(r1 +272)\nr0 += r2\nr2 = *(u64 *)(r1 +280)\nr0 += r2\nexit", 321, sample)
}

// TestFrameSource: what goes with a packet, before and after the run.
func TestFrameSource(t *testing.T) {
	var f *linux.Frame
	src := func() hook.Source {
		f = &linux.Frame{Packet: linux.NewPacket(make([]byte, 64)), Fields: map[string]uint64{"mark": 5}, Socket: linux.NewSocket(tcp),
			State: linux.State{Tunnel: &linux.Tunnel{ID: 600, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2")}}}
		return f
	}
	run(t, linux.SchedCls, "r6 = r1\nr7 = *(u32 *)(r1 +8)\nr2 = r10\nr2 += -48\nr3 = 44\nr4 = 0\ncall 20\nr1 = *(u32 *)(r10 -48)\nr7 += r1\nr1 = r6\ncall 46\nr7 += r0\n"+
		"r1 = r6\nr2 = 20\nr3 = 0\ncall 43\nr1 = 9\nr2 = 0\ncall 23\nr0 = r7\nexit", 704, src)
	if n := len(f.Packet.Data()); n != 84 || f.State.Redirect.Index != 9 {
		t.Errorf("%d bytes, redirect %+v", n, f.State.Redirect)
	}
}

// TestWrongSource: a source that is not the type's is an error, and no crash.
func TestWrongSource(t *testing.T) {
	for _, src := range []hook.Source{&linux.SockAddr{}, &linux.SockCreate{}, &linux.Sockopt{}, &linux.Sysctl{}, &linux.Device{}, &linux.Lookup{},
		&linux.SockEvent{}, &linux.SendMessage{}, &linux.Delivery{}, &linux.Dissection{}, &linux.Call{}, &linux.Sample{}, nil} {
		if _, err := load(linux.XDP, "r0 = 0\nexit", nil).RunSource(context.Background(), src); err == nil {
			t.Errorf("xdp took %T", src)
		}
	}
	for what, tc := range map[string]struct {
		typ *hook.Type
		src hook.Source
	}{
		"no socket":         {linux.CgroupSock, &linux.SockCreate{}},
		"no full":           {linux.CgroupSock, &linux.SockCreate{Socket: linux.NewSocket(linux.SocketInfo{Mini: true})}},
		"no Ethernet":       {linux.FlowDissector, &linux.Dissection{Packet: make([]byte, 13)}},
		"7 arguments":       {linux.Kprobe, &linux.Call{Regs: linux.Regs{Args: make([]uint64, 7)}}},
		"13 arguments":      {linux.LSM, &linux.Call{Args: make([]uint64, 13)}},
		"on packets, not":   {linux.Kprobe, &linux.Frame{Packet: linux.NewPacket(nil)}},
		"has no field":      {linux.SchedCls, &linux.Frame{Packet: linux.NewPacket(nil), Fields: map[string]uint64{"none": 1}}},
		"of type perf_even": {linux.Kprobe, &linux.Sample{}},
	} {
		if _, err := load(tc.typ, "r0 = 1\nexit", nil).RunSource(context.Background(), tc.src); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
