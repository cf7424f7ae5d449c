package linux

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
	"github.com/skepvm/skep/internal/kcall"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
)

// asked returns a run that asks h.
func asked(h *Host) *helpertest.Env {
	return &helpertest.Env{HostFuncs: helpers.Host{Platform: h}, RunState: &State{}, Context: make([]byte, 256)}
}

// TestProbeReadKernel compares reads of what is not there with the kernel's, and
// of the program's own memory.
func TestProbeReadKernel(t *testing.T) {
	addrs := []uint64{0, 1, 8, 4096, 1<<47 - 4097, 1<<47 - 4096, 1<<47 - 1, 1 << 47, 1<<47 + 4096, 1 << 48, 1 << 63, 1<<64 - 1<<47 - 1,
		1<<64 - 1<<47, 1<<64 - 1<<46, 1<<64 - 4096, 1<<64 - 1}
	for _, tc := range []struct {
		name string
		id   helpers.ID
	}{{"user", 112}, {"kernel", 113}, {"user_str", 114}, {"kernel_str", 115}} {
		t.Run(tc.name, func(t *testing.T) {
			c := on(t, XDP, oracle.XDP, tc.id, kcall.Arg{Kind: kcall.Addr, Off: memOff}, kcall.Arg{Kind: kcall.SizeOrZero, Off: 24, Max: 64}, num(4))
			for _, addr := range addrs {
				for _, n := range []uint64{0, 1, 8, 64} {
					if tc.id < 114 && n == 0 && addr >= 1<<64-4096 {
						continue // the last page is an error pointer's; reads of nothing differ by version
					}
					buf := bytes.Repeat([]byte{0xaa}, kcall.BufSize)
					put64(buf, 24, n)
					put64(buf, 32, addr)
					c.Compare(fmt.Sprintf("%d bytes at %#x", n, addr), buf, make([]byte, 64))
				}
			}
		})
	}
	for _, text := range []string{"", "a", "123456789012345678901234567890123456789012345678901234567890123", "four and sixty bytes without a NUL: four and sixty bytes without.", "ab\x00cd"} {
		c := on(t, XDP, oracle.XDP, 115, kcall.Arg{Kind: kcall.Addr, Off: memOff}, kcall.Arg{Kind: kcall.SizeOrZero, Off: 24, Max: 64},
			kcall.Arg{Kind: kcall.Addr, Off: 1024})
		r := on(t, XDP, oracle.XDP, 113, kcall.Arg{Kind: kcall.Addr, Off: memOff}, kcall.Arg{Kind: kcall.SizeOrZero, Off: 24, Max: 64},
			kcall.Arg{Kind: kcall.Addr, Off: 1024})
		for _, n := range []uint64{0, 1, 2, 3, 63, 64} {
			buf := bytes.Repeat([]byte{0xaa}, kcall.BufSize)
			put64(buf, 24, n)
			copy(buf[1024:], text+"\x00")
			c.Compare(fmt.Sprintf("%q, %d bytes", text, n), bytes.Clone(buf), make([]byte, 64))
			r.Compare(fmt.Sprintf("%q, %d bytes", text, n), buf, make([]byte, 64))
		}
	}
}

// TestProbeReadHost reads memory that a host gives, to its end.
func TestProbeReadHost(t *testing.T) {
	const kernel, user = 1<<64 - 1<<40, 0x7000_1000
	page := append(bytes.Repeat([]byte("x"), 4090), "hello\x00"...) // ends with a page
	env := asked(&Host{Memory: Memory{Read: func(_ helpers.Env, s Space, addr uint64, b []byte) bool {
		base := uint64(kernel)
		if s == UserSpace {
			base = user
		}
		off := addr - base
		if off > uint64(len(page)) || uint64(len(b)) > uint64(len(page))-off {
			return false
		}
		copy(b, page[off:])
		return true
	}}})
	dst := make([]byte, 64)
	to := env.Put(dst)
	for _, tc := range []struct {
		id   helpers.ID
		addr uint64
		n    uint64
		want int64
		text string
	}{
		{113, kernel + 4090, 5, 0, "hello"},
		{112, user + 4090, 6, 0, "hello\x00"},
		{112, user + 4091, 6, -int64(errno.EFAULT), "\x00\x00\x00\x00\x00\x00"},
		{113, user + 4090, 5, -int64(errno.ERANGE), "\x00\x00\x00\x00\x00"},
		{112, kernel + 4090, 5, -int64(errno.EFAULT), "\x00\x00\x00\x00\x00"},
		{114, user + 4090, 64, 6, "hello\x00"},
		{115, kernel + 4090, 4, 4, "hel\x00"},
		{115, kernel + 4000, 64, 64, string(bytes.Repeat([]byte("x"), 63)) + "\x00"},
		{114, user + 4097, 64, -int64(errno.EFAULT), string(make([]byte, 64))},
		{4, user + 4090, 5, 0, "hello"}, {4, kernel + 4090, 5, 0, "hello"}, {45, user + 4090, 64, 6, "hello\x00"},
		{148, user + 4090, 5, 0, "hello"},
	} {
		for i := range dst {
			dst[i] = 0xaa
		}
		got := int64(declared.Helper(tc.id).Impl(env, to, tc.n, tc.addr, 0, 0))
		if got != tc.want || string(dst[:len(tc.text)]) != tc.text {
			t.Errorf("helper %d, %d bytes at %#x: %d, %q; want %d, %q", tc.id, tc.n, tc.addr, got, dst[:len(tc.text)], tc.want, tc.text)
		}
	}
}

// TestNamespaceKernel compares questions about a namespace that is not there.
func TestNamespaceKernel(t *testing.T) {
	c := on(t, XDP, oracle.XDP, 120, num(2), num(3), kcall.Arg{Kind: kcall.Addr, Off: memOff}, kcall.Arg{Kind: kcall.Size, Off: 40, Max: 16})
	c.Env = func([]byte) *helpertest.Env {
		return asked(&Host{Task: Task{Namespace: func(helpers.Env, uint64, uint64) (uint32, uint32, error) { return 0, 0, errno.EINVAL }}})
	}
	for _, dev := range []uint64{0, 1, 1 << 32, 1<<64 - 1} {
		for _, size := range []uint64{1, 7, 8, 9, 16} {
			buf := bytes.Repeat([]byte{0xaa}, kcall.BufSize)
			put64(buf, 16, dev)
			put64(buf, 24, 12345)
			put64(buf, 40, size)
			c.Compare(fmt.Sprintf("device %d, %d bytes", dev, size), buf, nil)
		}
	}
}

// TestTask checks what a host says of the current task.
func TestTask(t *testing.T) {
	var sent []string
	env := asked(&Host{Task: Task{
		Pointer:   func(helpers.Env) uint64 { return 0xffff888000001000 },
		Cgroups:   func(helpers.Env) []uint64 { return []uint64{1, 20, 300} },
		ClassID:   func(helpers.Env) uint32 { return 0x10001 },
		Namespace: func(_ helpers.Env, dev, ino uint64) (uint32, uint32, error) { return uint32(dev), uint32(ino), nil },
		Signal: func(_ helpers.Env, sig int, thread bool) error {
			sent = append(sent, fmt.Sprint(sig, thread))
			return nil
		},
	}})
	info := make([]byte, 8)
	to := env.Put(info)
	for _, tc := range []struct {
		id   helpers.ID
		args [4]uint64
		want int64
	}{
		{35, [4]uint64{}, -0x777ffffff000}, {80, [4]uint64{}, 300}, {17, [4]uint64{}, 0x10001},
		{123, [4]uint64{0}, 1}, {123, [4]uint64{2}, 300}, {123, [4]uint64{3}, 0}, {123, [4]uint64{1<<64 - 1}, 0}, {123, [4]uint64{1 << 32}, 1},
		{120, [4]uint64{7, 9, to, 8}, 0}, {109, [4]uint64{9}, 0}, {117, [4]uint64{10}, 0}, {109, [4]uint64{65}, -int64(errno.EINVAL)},
	} {
		if got := int64(declared.Helper(tc.id).Impl(env, tc.args[0], tc.args[1], tc.args[2], tc.args[3], 0)); got != tc.want {
			t.Errorf("helper %d(%d) = %#x, want %#x", tc.id, tc.args, got, tc.want)
		}
	}
	if binary.NativeEndian.Uint64(info) != 9<<32|7 && binary.NativeEndian.Uint64(info) != 7<<32|9 {
		t.Errorf("pid and tgid %x", info)
	}
	if len(sent) != 2 || sent[0] != "9 false" || sent[1] != "10 true" {
		t.Errorf("signals %q", sent)
	}
}

// TestCountersKernel compares reads of counters that nobody opened.
func TestCountersKernel(t *testing.T) {
	oracle.Skip(t)
	m, err := maps.New(&maps.Spec{Name: "counters", Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	env := asked(&Host{Counters: Counters{Read: func(_ helpers.Env, _ maps.Map, i uint32) (Counter, error) {
		if i == 1 {
			return Counter{5, 6, 7}, nil
		}
		return Counter{}, errno.ENOENT
	}}})
	handle := env.AddMap(m)
	buf := make([]byte, 25)
	to := env.Put(buf)
	for _, tc := range []struct {
		flags, size uint64
		want, read  int64
	}{
		{0, 24, -2, -2}, {1, 24, 0, 5}, {2, 24, -7, -7}, {1, 23, -22, 5}, {1, 25, -22, 5}, {1 << 32, 24, -22, -22}, {1<<32 - 1, 24, -2, -2},
	} {
		for i := range buf {
			buf[i] = 0xaa
		}
		got := int64(declared.Helper(55).Impl(env, handle, tc.flags, to, tc.size, 0))
		read := int64(declared.Helper(22).Impl(env, handle, tc.flags, 0, 0, 0))
		if got != tc.want || read != tc.read {
			t.Errorf("flags %#x, %d bytes: %d and %d, want %d and %d", tc.flags, tc.size, got, read, tc.want, tc.read)
		}
		if value := binary.NativeEndian.Uint64(buf); (got == 0) != (value == 5) || got != 0 && value != 0 {
			t.Errorf("flags %#x: value %d", tc.flags, value)
		}
	}
}

// TestProbe checks what a run at a probe is given.
func TestProbe(t *testing.T) {
	env := asked(nil)
	p := &env.RunState.(*State).Probe
	*p = Probe{FuncIP: 0xabc, Cookie: 77, Args: 2, Counter: Counter{1, 2, 3}}
	for i := range 4 {
		binary.NativeEndian.PutUint64(env.Context[8*i:], uint64(100+i))
	}
	buf := make([]byte, 72)
	to := env.Put(buf)
	call := func(id helpers.ID, args ...uint64) int64 {
		var a [5]uint64
		copy(a[:], args)
		f := declared.Helper(id)
		return int64(f.Impl(env, a[0], a[1], a[2], a[3], a[4]))
	}
	check := func(what string, got, want int64) {
		t.Helper()
		if got != want {
			t.Errorf("%s = %d, want %d", what, got, want)
		}
	}
	check("get_func_ip", call(173, 0), 0xabc)
	check("get_attach_cookie", call(174, 0), 77)
	check("get_func_arg_cnt", call(185, 0), 2)
	check("get_func_arg(1)", call(183, 0, 1, to), 0)
	check("argument 1", int64(binary.NativeEndian.Uint64(buf)), 101)
	check("get_func_arg(2)", call(183, 0, 2, to), -int64(errno.EINVAL))
	check("get_func_ret at entry", call(184, 0, to), -int64(errno.EOPNOTSUPP))
	p.Returned = true
	check("get_func_ret", call(184, 0, to), 0)
	check("what it returned", int64(binary.NativeEndian.Uint64(buf)), 102)
	check("override_return", call(58, 0, 5), 0)
	if !p.Overridden || p.Override != 5 {
		t.Errorf("override %v, %d", p.Overridden, p.Override)
	}
	check("perf_prog_read_value", call(56, 0, to, 24), 0)
	check("perf_prog_read_value, 16 bytes", call(56, 0, to, 16), -int64(errno.EINVAL))
	check("branches that were not recorded", call(119, 0, to, 72, 0), -int64(errno.ENOENT))
	check("a snapshot of none", call(176, to, 72, 0), -int64(errno.ENOENT))
	p.Branches = []Branch{{1, 2, 3}, {4, 5, 6}}
	check("size of the branches", call(119, 0, 0, 0, 1), 48)
	check("branches, flags", call(119, 0, to, 72, 2), -int64(errno.EINVAL))
	check("branches, half of one", call(119, 0, to, 30, 0), -int64(errno.EINVAL))
	check("one branch", call(119, 0, to, 24, 0), 24)
	check("branches", call(119, 0, to, 72, 0), 48)
	check("the second one's source", int64(binary.NativeEndian.Uint64(buf[24:])), 4)
	check("snapshot", call(176, to, 30, 0), 24)
	check("snapshot, flags", call(176, to, 72, 1), -int64(errno.EINVAL))
}

// TestNeeds checks that a helper asks for what it needs, and is content with it.
func TestNeeds(t *testing.T) {
	f := declared.Helper(80)
	given := &helpers.Host{Platform: &Host{Task: Task{Cgroups: func(helpers.Env) []uint64 { return nil }}}}
	for h, want := range map[*helpers.Host]string{nil: "linux.Host.Task.Cgroups", {}: "linux.Host.Task.Cgroups", {Platform: (*Host)(nil)}: "linux.Host.Task.Cgroups", given: ""} {
		if got := f.Missing(h); got != want {
			t.Errorf("with %v it needs %q, want %q", h, got, want)
		}
	}
	if got := int64(f.Impl(asked(given.Platform.(*Host)), 0, 0, 0, 0, 0)); got != 0 {
		t.Errorf("a task in no cgroup: %d", got)
	}
}
