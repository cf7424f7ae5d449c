package helpers_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
	"github.com/skepvm/skep/maps"
)

func newMap(t *testing.T, s maps.Spec) maps.Map {
	t.Helper()
	m, err := maps.New(&s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// u32 returns v as a key.
func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// TestMapHelpers takes each map helper through its results on a hash map.
func TestMapHelpers(t *testing.T) {
	var env helpertest.Env
	handle := env.AddMap(newMap(t, maps.Spec{Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 2}))
	key, value := u32(1), []byte("12345678")
	k, v := env.Put(key), env.Put(value)
	for _, tc := range []struct {
		name string
		fn   *helpers.Func
		args [4]uint64
		want uint64
	}{
		{"lookup of nothing", helpers.MapLookupElem, [4]uint64{handle, k}, 0},
		{"delete of nothing", helpers.MapDeleteElem, [4]uint64{handle, k}, errno.ENOENT.R0()},
		{"update, exist", helpers.MapUpdateElem, [4]uint64{handle, k, v, uint64(maps.Exist)}, errno.ENOENT.R0()},
		{"update, bad flags", helpers.MapUpdateElem, [4]uint64{handle, k, v, 1 << 40}, errno.EINVAL.R0()},
		{"update", helpers.MapUpdateElem, [4]uint64{handle, k, v, 0}, 0},
		{"update, noexist", helpers.MapUpdateElem, [4]uint64{handle, k, v, uint64(maps.NoExist)}, errno.EEXIST.R0()},
		{"bad key", helpers.MapUpdateElem, [4]uint64{handle, 1, v, 0}, errno.EFAULT.R0()},
		{"bad map", helpers.MapLookupElem, [4]uint64{1, k}, 0},
		{"percpu lookup of a plain map", helpers.MapLookupPerCPUElem, [4]uint64{handle, k, 0}, 0},
	} {
		if got := tc.fn.Impl(&env, tc.args[0], tc.args[1], tc.args[2], tc.args[3], 0); got != tc.want {
			t.Errorf("%s = %d, want %d", tc.name, int64(got), int64(tc.want))
		}
	}
	addr := helpers.MapLookupElem.Impl(&env, handle, k, 0, 0, 0)
	if got := string(env.Bytes(addr, 8)); got != "12345678" {
		t.Errorf("value %q", got)
	}
	for name, f := range map[string]func(){
		"lookup": func() { helpers.MapLookupElem.Impl(&env, handle, k, 0, 0, 0) },
		"update": func() { helpers.MapUpdateElem.Impl(&env, handle, k, v, 0, 0) },
		"miss":   func() { helpers.MapUpdateElem.Impl(&env, handle, k, v, uint64(maps.NoExist), 0) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations per call", name, n)
		}
	}
	if got := helpers.MapDeleteElem.Impl(&env, handle, k, 0, 0, 0); got != 0 {
		t.Errorf("delete = %d", int64(got))
	}
}

// TestForEach checks which elements the callback gets, and when it ends.
func TestForEach(t *testing.T) {
	m := newMap(t, maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 5})
	env := &helpertest.Env{}
	handle := env.AddMap(m)
	var seen []uint32
	stopAt := uint32(100)
	env.Callback = func(fn, mp, key, value, ctx, _ uint64) (uint64, error) {
		k := binary.NativeEndian.Uint32(env.Bytes(key, 4))
		seen = append(seen, k)
		if fn != 77 || mp != handle || ctx != 9 || len(env.Bytes(value, 8)) != 8 {
			t.Errorf("callback(%d, %d, %d)", fn, mp, ctx)
		}
		if k == stopAt {
			return 1, nil
		}
		return 0, nil
	}
	if n := helpers.ForEachMapElem.Impl(env, handle, 77, 9, 0, 0); n != 5 || len(seen) != 5 || seen[4] != 4 {
		t.Errorf("%d elements, saw %v", n, seen)
	}
	seen, stopAt = nil, 2
	if n := helpers.ForEachMapElem.Impl(env, handle, 77, 9, 0, 0); n != 3 || len(seen) != 3 {
		t.Errorf("%d elements up to key 2, saw %v", n, seen)
	}
	if n := helpers.ForEachMapElem.Impl(env, handle, 77, 9, 1, 0); n != errno.EINVAL.R0() {
		t.Errorf("with flags: %d", int64(n))
	}
}

func TestLoop(t *testing.T) {
	env := &helpertest.Env{}
	calls := uint64(0)
	stopAt := ^uint64(0)
	over := errors.New("over")
	var fail error
	env.Callback = func(_, i, ctx, _, _, _ uint64) (uint64, error) {
		if i != calls || ctx != 5 {
			t.Errorf("call %d gets %d, %d", calls, i, ctx)
		}
		calls++
		if i == stopAt {
			return 1, fail
		}
		return 0, nil
	}
	for _, tc := range []struct {
		n, flags, stopAt uint64
		fail             error
		want, calls      uint64
	}{
		{0, 0, ^uint64(0), nil, 0, 0},
		{10, 0, ^uint64(0), nil, 10, 10},
		{10, 0, 3, nil, 4, 4},
		{10, 0, 3, over, 4, 4},
		{10, 1, ^uint64(0), nil, errno.EINVAL.R0(), 0},
		{8<<20 + 1, 0, ^uint64(0), nil, errno.E2BIG.R0(), 0},
		{1 << 32, 0, ^uint64(0), nil, 0, 0}, // a u32
	} {
		calls, stopAt, fail = 0, tc.stopAt, tc.fail
		if got := helpers.Loop.Impl(env, tc.n, 1, 5, tc.flags, 0); got != tc.want || calls != tc.calls {
			t.Errorf("loop(%d, flags %d) = %d after %d calls, want %d after %d", tc.n, tc.flags, int64(got), calls, int64(tc.want), tc.calls)
		}
	}
}

// TestRingBuf checks the life of records: reserved, submitted or discarded,
// exactly once.
func TestRingBuf(t *testing.T) {
	var env helpertest.Env
	handle := env.AddMap(newMap(t, maps.Spec{Type: maps.RingBuf, MaxEntries: 4096}))
	reserve := func(n, flags uint64) uint64 {
		return helpers.RingBufReserve.Impl(&env, handle, n, flags, 0, 0)
	}
	a := reserve(16, 0)
	if a == 0 || env.Borrowed() != 1 || len(env.Bytes(a, 16)) != 16 {
		t.Fatalf("reserve = %#x, %d borrowed", a, env.Borrowed())
	}
	if b := reserve(16, 1); b != 0 {
		t.Errorf("reserve with flags = %#x", b)
	}
	if b := reserve(1<<30, 0); b != 0 {
		t.Errorf("reserve of 1 GiB = %#x", b)
	}
	helpers.RingBufSubmit.Impl(&env, a, 0, 0, 0, 0)
	if env.Borrowed() != 0 {
		t.Errorf("submitted, yet %d borrowed", env.Borrowed())
	}
	if got := helpers.RingBufQuery.Impl(&env, handle, 0, 0, 0, 0); got != 24 { // header and record
		t.Errorf("available: %d bytes, want 24", got)
	}
	helpers.RingBufDiscard.Impl(&env, reserve(8, 0), 0, 0, 0, 0)
	data := env.Put(make([]byte, 4096))
	for _, tc := range []struct{ size, flags, want uint64 }{
		{8, 0, 0}, {8, 4, errno.EINVAL.R0()}, {4096, 0, errno.EAGAIN.R0()}, {0, 0, 0},
	} {
		if got := helpers.RingBufOutput.Impl(&env, handle, data, tc.size, tc.flags, 0); got != tc.want {
			t.Errorf("output of %d, flags %d = %d, want %d", tc.size, tc.flags, int64(got), int64(tc.want))
		}
	}
}

// TestBuiltins checks memset and its like, overlap included.
func TestBuiltins(t *testing.T) {
	var env helpertest.Env
	b := []byte("0123456789")
	a := env.Put(b)
	call := func(name string, r1, r2, n uint64) uint64 {
		return helpers.Builtin(name).Impl(&env, r1, r2, n, 0, 0)
	}
	if got := call("memmove", a+2, a, 8); got != a+2 || string(b) != "0101234567" {
		t.Errorf("memmove = %#x, %q", got, b)
	}
	if call("memset", a, 0x141, 3); string(b) != "AAA1234567" {
		t.Errorf("memset: %q", b)
	}
	if call("memcpy", a, a+5, 2); string(b) != "34A1234567" {
		t.Errorf("memcpy: %q", b)
	}
	for _, tc := range []struct {
		n    uint64
		want int64
	}{{0, 0}, {2, 0}, {3, 1}} { // 34A and 345
		if got := int64(call("memcmp", a, a+5, tc.n)); got != tc.want {
			t.Errorf("memcmp of %d = %d, want %d", tc.n, got, tc.want)
		}
	}
	if env.Aborted != nil {
		t.Fatal(env.Aborted)
	}
	if call("memset", a, 0, 11); env.Aborted == nil {
		t.Errorf("memset past the end of memory goes on")
	}
	if helpers.Builtin("strlen") != nil {
		t.Errorf("strlen is built in")
	}
}

func TestComm(t *testing.T) {
	env := helpertest.Env{HostFuncs: helpers.Host{Comm: func() string { return "a-process-with-a-long-name" }}}
	b := []byte("xxxxxxxxxxxxxxxxxxxx")
	a := env.Put(b)
	for _, tc := range []struct {
		n    uint64
		want string
	}{{20, "a-process-with-\x00\x00\x00\x00\x00"}, {4, "a-p\x00"}, {1, "\x00"}} {
		if got := helpers.GetCurrentComm.Impl(&env, a, tc.n, 0, 0, 0); got != 0 || string(b[:tc.n]) != tc.want {
			t.Errorf("comm of %d bytes: %d, %q, want %q", tc.n, int64(got), b[:tc.n], tc.want)
		}
	}
}

// BenchmarkCall measures helpers alone, without an engine.
func BenchmarkCall(b *testing.B) {
	m, err := maps.New(&maps.Spec{Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 8})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	var env helpertest.Env
	handle := env.AddMap(m)
	k, v := env.Put(u32(1)), env.Put(make([]byte, 1500))
	env.HostFuncs.Random = func() uint32 { return 4 }
	typed := helpers.New2("typed", func(_ helpers.Env, b []byte, n uint32) int64 { return int64(len(b)) + int64(n) })
	helpers.MapUpdateElem.Impl(&env, handle, k, v, 0, 0)
	for _, bc := range []struct {
		name string
		fn   *helpers.Func
		args [5]uint64
	}{
		{"map_lookup_elem", helpers.MapLookupElem, [5]uint64{handle, k}},
		{"map_update_elem", helpers.MapUpdateElem, [5]uint64{handle, k, v}},
		{"csum_diff/1500", helpers.CsumDiff, [5]uint64{0, 0, v, 1500, 0}},
		{"get_prandom_u32", helpers.GetPrandomU32, [5]uint64{}},
		{"typed", typed, [5]uint64{v, 64, 7}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			a := bc.args
			for b.Loop() {
				bc.fn.Impl(&env, a[0], a[1], a[2], a[3], a[4])
			}
		})
	}
}
