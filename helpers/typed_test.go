package helpers_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
)

// TestTyped checks contract, arguments and result of helpers made of Go
// functions.
func TestTyped(t *testing.T) {
	var env helpertest.Env
	text := []byte("memory")
	addr := env.Put(text)
	m, err := maps.New(&maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	handle := env.AddMap(m)
	env.Context = []byte{1, 2, 3}

	mem2 := func(write, uninit bool) []helpers.Arg {
		return []helpers.Arg{{Kind: helpers.ArgMem, Write: write, Uninit: uninit}, {Kind: helpers.ArgSizeOrZero}}
	}
	number := helpers.Arg{Kind: helpers.ArgAnything}
	for _, tc := range []struct {
		fn   *helpers.Func
		args []helpers.Arg
		ret  helpers.Ret
		regs [5]uint64
		want uint64
	}{
		{helpers.New0("none", func(helpers.Env) uint32 { return 7 }), nil, helpers.Ret{Max: 1<<32 - 1}, [5]uint64{}, 7},
		{helpers.New1("low bits", func(_ helpers.Env, v uint8) uint8 { return v }), []helpers.Arg{number}, helpers.Ret{Max: 255}, [5]uint64{0x1ff}, 0xff},
		{helpers.New1("sign", func(_ helpers.Env, v int32) int32 { return v }), []helpers.Arg{number}, helpers.Ret{Min: -1 << 31, Max: 1<<31 - 1}, [5]uint64{0x1_8000_0000}, 0xffff_ffff_8000_0000},
		{helpers.New1("bool", func(_ helpers.Env, v bool) bool { return !v }), []helpers.Arg{number}, helpers.Ret{Max: 1}, [5]uint64{256}, 0},
		{helpers.New2("read", func(_ helpers.Env, b []byte, c uint8) int { return strings.IndexByte(string(b), c) }),
			append(mem2(false, false), number), helpers.Ret{}, [5]uint64{addr, 6, 'o'}, 3},
		{helpers.New2("write", func(_ helpers.Env, n int64, b helpers.Out) int64 { return int64(copy(b, "OUT")) + n }),
			append([]helpers.Arg{number}, mem2(true, true)...), helpers.Ret{}, [5]uint64{^uint64(9), addr, 3}, ^uint64(6)},
		{helpers.New3("both", func(_ helpers.Env, c helpers.Ctx, b helpers.InOut, m helpers.Map) uint64 {
			b[0]++
			return uint64(len(c)) + uint64(m.Spec().ValueSize)
		}), append(append([]helpers.Arg{{Kind: helpers.ArgCtx}}, mem2(true, false)...), helpers.Arg{Kind: helpers.ArgMapPtr}),
			helpers.Ret{}, [5]uint64{1, addr, 1, handle}, 11},
		{helpers.New4("four", func(_ helpers.Env, a, b, c uint16, d []byte) int16 { return int16(a - b - c - uint16(len(d))) }),
			append([]helpers.Arg{number, number, number}, mem2(false, false)...), helpers.Ret{Min: -1 << 15, Max: 1<<15 - 1}, [5]uint64{1, 2, 3, addr, 4}, ^uint64(7)},
	} {
		t.Run(tc.fn.Name, func(t *testing.T) {
			if d := cmp.Diff(tc.args, tc.fn.Proto.Args[:tc.fn.Proto.NumArgs()], cmp.Transformer("nil", func(a []helpers.Arg) []helpers.Arg { return append([]helpers.Arg{}, a...) })); d != "" && len(tc.args) > 0 {
				t.Errorf("arguments (-want +got):\n%s", d)
			}
			if tc.fn.Proto.Ret != tc.ret {
				t.Errorf("result %+v, want %+v", tc.fn.Proto.Ret, tc.ret)
			}
			r := tc.regs
			if got := tc.fn.Impl(&env, r[0], r[1], r[2], r[3], r[4]); got != tc.want {
				t.Errorf("R0 = %#x, want %#x", got, tc.want)
			}
			if n := testing.AllocsPerRun(100, func() { tc.fn.Impl(&env, r[0], r[1], r[2], r[3], r[4]) }); n != 0 {
				t.Errorf("%v allocations per call", n)
			}
		})
	}
	if env.Aborted != nil {
		t.Errorf("aborted: %v", env.Aborted)
	}
	if !strings.HasPrefix(string(text[1:]), "UT") {
		t.Errorf("memory holds %q", text)
	}
}

// TestTypedBadMemory checks that a helper does not run on memory that is not
// the program's, of whatever size.
func TestTypedBadMemory(t *testing.T) {
	called := false
	f := helpers.New1("f", func(helpers.Env, []byte) int64 { called = true; return 0 })
	for _, r := range [][2]uint64{{1, 1}, {0, 1 << 40}, {0, 1<<63 + 1}, {^uint64(0), ^uint64(0)}} {
		var env helpertest.Env
		env.Put(make([]byte, 8))
		f.Impl(&env, r[0], r[1], 0, 0, 0)
		if called || env.Aborted == nil {
			t.Errorf("address %#x, size %#x: called %v, aborted %v", r[0], r[1], called, env.Aborted)
		}
	}
}

func TestTypedTooMany(t *testing.T) {
	defer func() {
		if r, _ := recover().(string); !strings.Contains(r, "6 registers") {
			t.Errorf("panic %q", r)
		}
	}()
	helpers.New3("f", func(_ helpers.Env, a, b, c []byte) int64 { return 0 })
}

// TestTrusting: what may take memory at its word stands for a typed helper only as
// long as nobody has changed what it is or what calls are held to.
func TestTrusting(t *testing.T) {
	sum := func(b []byte) (n uint64) {
		for _, c := range b {
			n += uint64(c)
		}
		return n
	}
	for name, made := range map[string]func() *helpers.Func{
		"typed": func() *helpers.Func {
			return helpers.New1("sum", func(_ helpers.Env, b []byte) uint64 { return sum(b) })
		},
		"with memory": func() *helpers.Func {
			return (&helpers.Func{
				Name:  "sum",
				Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgMem}, {Kind: helpers.ArgSizeOrZero}}},
			}).WithMem(func(mem helpers.MemFunc) helpers.Impl {
				return func(env helpers.Env, addr, n, _, _, _ uint64) uint64 {
					b := mem(env, addr, n)
					if b == nil {
						env.Abort(errors.New("no memory"))
					}
					return sum(b)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) { testTrusting(t, made) })
	}
}

func testTrusting(t *testing.T, made func() *helpers.Func) {
	memory := []byte("memory")
	var env helpertest.Env
	addr := env.Put(memory)
	call := func(f helpers.Impl, addr, size uint64) uint64 {
		env.Aborted = nil
		return f(&env, addr, size, 0, 0, 0)
	}
	f := made()
	want := call(f.Impl, addr, 6)
	if got := call(f.Trusting(), mem.Addr(memory), 6); got != want || want == 0 {
		t.Errorf("sum %d, want %d", got, want)
	}
	if got := call(f.Trusting(), 0, 0); got != 0 || env.Aborted != nil {
		t.Errorf("no memory: %d, %v", got, env.Aborted)
	}
	if plain := f.Plain(); plain != nil {
		if got := plain(&env, memory); got != want {
			t.Errorf("plain sum %d, want %d", got, want)
		}
	} else if t.Name() == "TestTrusting/typed" {
		t.Error("a function of memory has no plain form")
	}
	own := func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { return 42 }
	for name, change := range map[string]func(f *helpers.Func){
		"another Impl":           func(f *helpers.Func) { f.Impl = own },
		"that of its like":       func(f *helpers.Func) { f.Impl = made().Impl },
		"an address of anything": func(f *helpers.Func) { f.Proto.Args[0] = helpers.Arg{Kind: helpers.ArgAnything} },
		"a size of anything":     func(f *helpers.Func) { f.Proto.Args[1] = helpers.Arg{Kind: helpers.ArgAnything} },
	} {
		f, untouched := made(), made()
		change(f)
		copied := *untouched
		change(&copied)
		for _, f := range []*helpers.Func{f, &copied} {
			if call(f.Trusting(), 8, 8); env.Aborted == nil && call(f.Trusting(), addr, 6) != 42 {
				t.Errorf("%s: memory that is nowhere is trusted", name)
			}
			if f.Plain() != nil {
				t.Errorf("%s: it has a plain form", name)
			}
		}
	}
}
