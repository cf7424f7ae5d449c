package vm_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// TestPrograms runs what the conformance vectors cannot say: contexts, maps,
// frames and control flow.
func TestPrograms(t *testing.T) {
	pkt := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0x81, 0x82}
	for _, tc := range []struct {
		name, text string
		want       uint64
	}{
		{"packet length", "r0 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr0 -= r1\nexit", 16},
		{"signed packet load", "r1 = *(u32 *)(r1 +0)\nr0 = *(s8 *)(r1 +14)\nexit", 0xffff_ffff_ffff_ff81},
		{"ctx narrow load", "r0 = *(u8 *)(r1 +13)\nexit", 0x33},
		{"ctx store and load", "r2 = 0x12345678 ll\n*(u32 *)(r1 +16) = r2\n*(u16 *)(r1 +18) = 7\nr0 = *(u32 *)(r1 +16)\nexit", 0x75678},
		{"legacy absolute", "r6 = r1\nr0 = *(u16 *)skb[14]\nexit", 0x8182},
		{"legacy indirect", "r6 = r1\nr7 = 2\nr0 = *(u32 *)skb[r7 + 1]\nexit", 0x04050607},
		{"legacy past the end", "r6 = r1\nr0 = *(u32 *)skb[14]\nr0 = 9\nexit", 0},
		{"legacy past the end in a subprogram", "call f\nr0 += 5\nexit\nf:\nr6 = r1\nr0 = *(u32 *)skb[14]\nr0 = 9\nexit", 5},
		{"saved registers", "r6 = 1\nr7 = 2\nr8 = 3\nr9 = 4\ncall f\nr0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nexit\nf:\nr6 = 100\nr7 = 100\nr8 = 100\nr9 = 100\nr0 = 1000\nexit", 1010},
		{"own frames", "*(u64 *)(r10 -8) = 5\ncall f\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nexit\nf:\n*(u64 *)(r10 -8) = 70\nr0 = *(u64 *)(r10 -8)\nexit", 75},
		{"caller's frame", "r1 = r10\nr1 += -8\n*(u64 *)(r10 -8) = 5\ncall f\nr0 = *(u64 *)(r10 -8)\nexit\nf:\n*(u64 *)(r1 +0) = 6\nr0 = 0\nexit", 6},
		{"eight frames", "r1 = 7\ncall f\nexit\nf:\nr0 = r1\nif r1 == 1 goto +2\nr1 += -1\ncall f\nexit", 1},
		{"callx of a subprogram", "r2 = subprog[f]\nr1 = 4\ncallx r2\nexit\nf:\nr0 = r1\nr0 *= 3\nexit", 12},
		{"may_goto falls through", "r0 = 1\nmay_goto +1\nr0 = 2\nexit", 2},
		{"map value", "*(u32 *)(r10 -4) = 2\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto +3\n*(u64 *)(r0 +0) = 41\nr1 = 1\nlock *(u64 *)(r0 +0) += r1\nr0 = *(u64 *)(r0 +0)\nexit", 42},
		{"no map value", "*(u32 *)(r10 -4) = 4\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nexit", 0},
		{"may-initialised register", "r2 = *(u32 *)(r1 +12)\nif r2 == 1 goto +1\nr3 = 8\nif r2 == 1 goto +1\nr0 = r3\nexit", 8},
		{"stack through a window", "r2 = r10\nr2 += -64\nr3 = 0\nr4 = r2\nr4 += r3\n*(u8 *)(r4 +0) = r3\nr3 += 1\nif r3 != 64 goto -5\nr0 = *(u64 *)(r10 -64)\nexit", 0x0706050403020100},
		{"loop", "r1 = 100\nr0 = 0\nr0 += r1\nr1 += -1\nif r1 != 0 goto -3\nexit", 5050},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := load(t, packetType, tc.text, unproven, counters)
			for range 3 { // a slot is reused
				r, err := c.Program("p").Do(context.Background(), bytes.Clone(pkt), vm.RunOptions{Fields: map[string]uint64{"ro": 0x11223344}})
				if err != nil {
					t.Fatal(err)
				}
				want := tc.want
				if r.R0 != want {
					t.Fatalf("got %#x, want %#x", r.R0, want)
				}
				if m := c.Map("counters"); m != nil {
					m.Update([]byte{2, 0, 0, 0}, make([]byte, 12), maps.Any)
				}
			}
		})
	}
}

// TestCounts compares instruction counts with a count by hand: wide
// instructions are one, and what the interpreter adds is none.
func TestCounts(t *testing.T) {
	for _, tc := range []struct {
		text string
		want uint64
	}{
		{"r0 = 1\nexit", 2},
		{"r0 = 1 ll\nexit", 2},
		{"r1 = 100\nr0 = 0\nr0 += r1\nr1 += -1\nif r1 != 0 goto -3\nexit", 303},
		{"call f\nexit\nf:\nr0 = 0\nexit", 4},
		{"r2 = *(u32 *)(r1 +12)\nif r2 == 1 goto +1\nr3 = 8\nif r2 == 1 goto +1\nr0 = r3\nr0 = 0\nexit", 7}, // R3 is followed
	} {
		c := load(t, packetType, tc.text, unproven)
		p := c.Program("p")
		r, err := p.Do(context.Background(), nil, vm.RunOptions{})
		if err != nil || r.Insns != tc.want {
			t.Errorf("%q: %d instructions, %v, want %d", tc.text, r.Insns, err, tc.want)
		}
		var seen uint64
		if _, err := p.Do(context.Background(), nil, vm.RunOptions{Observe: func(*vm.Program, int, *[16]uint64) { seen++ }}); err != nil || seen != tc.want {
			t.Errorf("%q: observed %d, %v, want %d", tc.text, seen, err, tc.want)
		}
		for n := int64(1); n <= int64(tc.want); n++ {
			_, err := p.Do(context.Background(), nil, vm.RunOptions{MaxInsns: n})
			if n < int64(tc.want) && !errors.Is(err, vm.ErrMaxInsns) || n == int64(tc.want) && err != nil {
				t.Errorf("%q: budget %d of %d: %v", tc.text, n, tc.want, err)
			}
		}
		if s := p.Stats(); s.Runs != 2+tc.want || s.Errors != tc.want-1 || s.Insns != 3*tc.want+tc.want*(tc.want-1)/2 {
			t.Errorf("%q: stats %+v", tc.text, s)
		}
	}
}

func TestCancel(t *testing.T) {
	c := load(t, packetType, "r0 = 0\ngoto -1", vm.Options{Engine: vm.Checked, MaxInsns: -1})
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if _, err := c.Program("p").RunContext(ctx, nil); err != why {
		t.Errorf("got %v, want the cause", err)
	}
	if _, err := load(t, packetType, "r0 = 0\nexit", vm.Options{}).Program("p").RunContext(ctx, nil); err != why {
		t.Errorf("a run that begins cancelled: got %v", err)
	}
	c = load(t, packetType, "r0 = 0\ngoto -1", vm.Options{Engine: vm.Checked, MaxInsns: 1_000_000})
	if _, err := c.Program("p").Run(nil); !errors.Is(err, vm.ErrMaxInsns) {
		t.Errorf("got %v, want ErrMaxInsns", err)
	}
}

func TestUninitStack(t *testing.T) {
	const text = "r1 = 77\n*(u64 *)(r10 -16) = r1\nr0 = *(u64 *)(r10 -8)\nexit"
	if _, err := load(t, packetType, text, unproven).Program("p").Run(nil); err == nil {
		t.Error("strict: no fault")
	}
	dirty := load(t, packetType, "r1 = 77\n*(u64 *)(r10 -8) = r1\nr0 = 0\nexit", unproven).Program("p")
	lax := load(t, packetType, text, vm.Options{Engine: vm.Checked, AllowUninitStack: true}).Program("p")
	for range 4 {
		if _, err := dirty.Run(nil); err != nil {
			t.Fatal(err)
		}
		if r0, err := lax.Run(nil); err != nil || r0 != 0 {
			t.Errorf("got %d, %v, want 0: another run's stack shows", r0, err)
		}
	}
}

// TestInputs gives each kind of program what it takes and what it does not.
func TestInputs(t *testing.T) {
	ctxType := &hook.Type{Name: "test_ctx", Input: hook.InputContext, Return: hook.AnyReturn,
		Ctx: hook.NewCtx("test_ctx", 16, hook.Field{Name: "b", Off: 0, Size: 16, Kind: hook.FieldBytes, Read: 15, Write: 15})}
	raw := load(t, ctxType, "r0 = *(u64 *)(r1 +8)\n*(u16 *)(r1 +2) = 0x1234\nexit", unproven).Program("p")
	buf := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	if r0, err := raw.Run(buf); err != nil || r0 != 0x0f0e0d0c0b0a0908 || buf[2] != 0x34 || buf[3] != 0x12 || buf[4] != 4 {
		t.Errorf("context: %#x, %v, %x", r0, err, buf)
	}
	if r0, err := raw.Run(nil); err != nil || r0 != 0 {
		t.Errorf("no context: %v, %v", r0, err)
	}
	if _, err := raw.Run(buf[:12]); err == nil || !strings.Contains(err.Error(), "12 bytes") {
		t.Errorf("short context: %v", err)
	}
	if _, err := raw.Run(make([]byte, 17)); err == nil {
		t.Error("long context: no error")
	}
	if _, err := raw.Run(vm.NewPacket(nil, 0, 0)); err == nil {
		t.Error("packet for a context: no error")
	}
	// A helper may use bytes of a context, inside it.
	ctxType.Helpers = helpers.Base()
	for n, ok := range map[string]bool{"8": true, "9": false} {
		p := load(t, ctxType, "r3 = r10\nr3 += -8\n*(u64 *)(r10 -8) = 0\nr2 = "+n+"\nr1 += 8\nr4 = r3\nr3 = 10\ncall 105\nr0 = *(u64 *)(r10 -8)\nexit", unproven).Program("p")
		copy(buf[8:], "12345678")
		if r0, err := p.Run(buf); (err == nil) != ok || ok && r0 != 12345678 {
			t.Errorf("strtol of %s bytes of the context: %d, %v", n, r0, err)
		}
	}
	pkt := load(t, packetType, "r0 = 1\nexit", vm.Options{}).Program("p")
	for _, bad := range []any{"text", 7, (*vm.Packet)(nil), &vm.Packet{Head: 3}, &vm.Packet{Buf: make([]byte, 9), Tail: 10}} {
		if _, err := pkt.Run(bad); err == nil {
			t.Errorf("%#v: no error", bad)
		}
	}
	if _, err := pkt.Run(make([]byte, vm.MaxPacket+1)); !errors.Is(err, vm.ErrPacketSize) {
		t.Errorf("large packet: %v", err)
	}
}

// TestGrow has a helper move the packet's head and tail.
func TestGrow(t *testing.T) {
	typ := *packetType
	typ.Helpers = helpers.NewSet(map[helpers.ID]*helpers.Func{
		1: {Name: "grow", Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgAnything}}, ChangesPacket: true},
			Impl: func(env helpers.Env, _, n, _, _, _ uint64) uint64 {
				p := env.Packet()
				p.Head -= int(n)
				p.Meta = p.Head
				env.SetPacket()
				return 0
			}},
	}, nil)
	c := load(t, &typ, lines(
		"r6 = r1",
		"r7 = *(u32 *)(r1 +0)",
		"r2 = 4",
		"call 1",
		"r1 = *(u32 *)(r6 +0)",
		"*(u32 *)(r1 +0) = 0x01020304",
		"r0 = *(u32 *)(r6 +4)",
		"r0 -= r1",
		"exit"), unproven)
	p := vm.NewPacket([]byte{9, 9}, 8, 0)
	if r0, err := c.Program("p").Run(p); err != nil || r0 != 6 {
		t.Fatalf("got %d, %v", r0, err)
	}
	if got := p.Data(); !bytes.Equal(got, []byte{4, 3, 2, 1, 9, 9}) {
		t.Errorf("packet is %x", got)
	}
}

func TestTailCalls(t *testing.T) {
	typ := *packetType
	typ.Helpers = typ.Helpers.With(map[helpers.ID]*helpers.Func{12: {Name: "tail_call", Proto: helpers.Proto{
		Args: [5]helpers.Arg{{Kind: helpers.ArgCtx}, {Kind: helpers.ArgMapPtr}, {Kind: helpers.ArgAnything}},
		Ret:  helpers.Ret{Kind: helpers.RetVoid}, Control: helpers.TailCall}}}, nil)
	jumps := &maps.Spec{Name: "jumps", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4}
	seen := &maps.Spec{Name: "seen", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
	fn := func(name, text string) *prog.Spec {
		insns := assemble(t, text)
		f := &prog.Func{Name: name, Insns: insns}
		for pc, in := range insns {
			switch {
			case in.IsWide() && in.Src == 1: // map[N]
				f.Refs = append(f.Refs, prog.Ref{PC: prog.PC(pc), Kind: prog.RefMap, Map: jumps})
			case in.IsWide() && in.Src == 2: // map[N][0]
				f.Refs = append(f.Refs, prog.Ref{PC: prog.PC(pc), Kind: prog.RefMapValue, Map: seen})
			}
		}
		return &prog.Spec{Name: name, Type: &typ, Func: f}
	}
	count := "r2 = map[1][0]+0\nr3 = 1\nlock *(u64 *)(r2 +0) += r3\n"
	obj := &prog.Object{
		Maps: []*maps.Spec{jumps, seen},
		Programs: []*prog.Spec{
			fn("itself", count+"r2 = map[0]\nr3 = 0\ncall 12\nr0 = 7\nexit"),
			fn("other", "r2 = map[0]\nr3 = 1\ncall 12\nr0 = 7\nexit"),
			fn("missing", "r2 = map[0]\nr3 = 3\ncall 12\nr0 = 8\nexit"),
			fn("outside", "r2 = map[0]\nr3 = 400\ncall 12\nr0 = 9\nexit"),
			fn("target", "r0 = *(u32 *)(r1 +12)\nexit"),
		},
	}
	jumps.Contents = []maps.Entry{{Key: []byte{0, 0, 0, 0}, Program: "itself"}, {Key: []byte{1, 0, 0, 0}, Program: "target"}}
	c, err := vm.Load(obj, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, want := range map[string]uint64{"itself": 7, "other": 5, "missing": 8, "outside": 9} {
		r, err := c.Program(name).Do(context.Background(), nil, vm.RunOptions{Fields: map[string]uint64{"ro": 5}})
		if err != nil || r.R0 != want {
			t.Errorf("%s: got %d, %v, want %d", name, r.R0, err, want)
		}
	}
	v := make([]byte, 8)
	if err := c.Map("seen").Lookup(make([]byte, 4), v); err != nil || v[0] != 34 { // once, and 33 tail calls
		t.Errorf("ran %d times, %v, want 34", v[0], err)
	}
}

// TestCallbacks runs a subprogram from a helper, with registers and frames of
// the caller kept.
func TestCallbacks(t *testing.T) {
	set := helpers.NewSet(map[helpers.ID]*helpers.Func{
		181: {Name: "loop", Proto: helpers.Proto{
			Args:    [5]helpers.Arg{{Kind: helpers.ArgAnything}, {Kind: helpers.ArgFunc}, {Kind: helpers.ArgStack, Nullable: true}},
			Control: helpers.Callback},
			Impl: func(env helpers.Env, n, fn, ctx, _, _ uint64) uint64 {
				for i := range n {
					stop, err := env.Call(fn, i, ctx, 0, 0, 0)
					if err != nil || stop != 0 {
						return i
					}
				}
				return n
			}},
	}, nil)
	typ := *packetType
	typ.Helpers = set
	c := load(t, &typ, lines(
		"*(u64 *)(r10 -8) = 0",
		"r6 = 1000",
		"r1 = 11",
		"r2 = subprog[body]",
		"r3 = r10",
		"r3 += -8",
		"call 181",
		"r0 *= 10000",
		"r1 = *(u64 *)(r10 -8)",
		"r0 += r1",
		"r0 += r6",
		"exit",
		"body:",
		"r6 = 5",
		"r3 = *(u64 *)(r2 +0)",
		"r3 += r1",
		"*(u64 *)(r2 +0) = r3",
		"r0 = 0",
		"if r1 != 9 goto +1",
		"r0 = 1",
		"exit"), unproven)
	if r0, err := c.Program("p").Run(nil); err != nil || r0 != 9*10000+1000+45 {
		t.Errorf("got %d, %v", r0, err)
	}
	c = load(t, &typ, "r1 = 3\nr2 = subprog[body]\nr3 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr0 = *(u64 *)(r1 +0)\nexit", unproven)
	var f *vm.Fault
	if _, err := c.Program("p").Run(nil); !errors.As(err, &f) || f.PC != 7 || f.Func != "subprog_1" {
		t.Errorf("fault in a callback: %v", err)
	}
}

// TestLoadErrors: what cannot run is refused by name, and the rest runs.
func TestLoadErrors(t *testing.T) {
	declared := &helpers.Func{Name: "declared_only"}
	spec := func(name, text string) *prog.Spec {
		return &prog.Spec{Name: name, Type: packetType, Func: &prog.Func{Name: name, Insns: assemble(t, text)}}
	}
	obj := &prog.Object{File: "x.o", Programs: []*prog.Spec{
		spec("good", "r0 = 3\nexit"),
		spec("unknown", "call 99\nexit"),
		spec("declared", "call 100\nr0 = 0\nexit"),
		{Name: "untyped", Section: "from-netdev", Func: &prog.Func{Name: "untyped", Insns: assemble(t, "r0 = 0\nexit")}},
	}}
	o := vm.Options{Helpers: map[helpers.ID]*helpers.Func{100: declared}}
	c, err := vm.Load(obj, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r0, err := c.Program("good").Run(nil); err != nil || r0 != 3 {
		t.Errorf("good: %d, %v", r0, err)
	}
	for name, want := range map[string]string{
		"unknown": "helper 99", "declared": "declared_only", "untyped": "choose a program type",
	} {
		if err := c.Err(name); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if _, err := c.Program(name).Run(nil); err == nil {
			t.Errorf("%s runs", name)
		}
	}
	o.RequireAll = true
	if _, err := vm.Load(obj, o); err == nil || !strings.Contains(err.Error(), "x.o") {
		t.Errorf("RequireAll: %v", err)
	}
	obj.Programs = obj.Programs[:1]
	obj.Maps = []*maps.Spec{{Name: "big", Type: maps.Array, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 1 << 20}}
	if _, err := vm.Load(obj, vm.Options{}); err == nil || !strings.Contains(err.Error(), `"big"`) {
		t.Errorf("big map: %v", err)
	}
	if _, err := vm.Load(obj, vm.Options{Engine: "fast"}); err == nil {
		t.Error("unknown engine: no error")
	}
	obj.Maps = []*maps.Spec{counters}
	shared, err := maps.New(counters)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vm.Load(obj, vm.Options{Maps: map[string]maps.Map{"other": shared}}); err == nil {
		t.Error("replacement of a map that is not there: no error")
	}
	small := *counters
	small.ValueSize = 4
	wrong, err := maps.New(&small)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vm.Load(obj, vm.Options{Maps: map[string]maps.Map{"counters": wrong}}); err == nil || !strings.Contains(err.Error(), "value size") {
		t.Errorf("replacement of another size: %v", err)
	}
	c2, err := vm.Load(obj, vm.Options{Maps: map[string]maps.Map{"counters": shared}})
	if err != nil {
		t.Fatal(err)
	}
	c2.Close()
	if err := shared.Update(make([]byte, 4), make([]byte, 12), maps.Any); err != nil {
		t.Errorf("the host's own map was closed: %v", err)
	}
}

func TestDeterministic(t *testing.T) {
	const text = "call 7\nr6 = r0\ncall 5\nr0 *= 31\nr0 += r6\nr7 = r0\ncall 8\nr0 += r7\nexit"
	var got [3][4]uint64
	for i := range got {
		c := load(t, packetType, text, vm.Options{Deterministic: true})
		for j := range got[i] {
			r0, err := c.Program("p").Run(nil)
			if err != nil {
				t.Fatal(err)
			}
			got[i][j] = r0
		}
	}
	if got[0] != got[1] || got[1] != got[2] || got[0][0] == got[0][1] {
		t.Errorf("runs differ, or all are the same: %x", got)
	}
}

// hostMap is a map of the host's own: one value, outside any slab.
type hostMap struct {
	maps.Base
	value []byte
}

func (m *hostMap) LookupElem(int, []byte) []byte { return m.value }

// TestMapAccess: flags say what programs may do, on skep's maps and on the
// host's.
func TestMapAccess(t *testing.T) {
	const lookup = "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto +2\n"
	read, write := lookup+"r0 = *(u64 *)(r0 +0)\nexit\nr0 = 99\nexit", lookup+"*(u64 *)(r0 +0) = 7\nr0 = 0\nexit"
	for _, tc := range []struct {
		flags       maps.Flags
		read, write bool
	}{{0, true, true}, {maps.ReadOnlyProg, true, false}, {maps.WriteOnlyProg, false, true}} {
		spec := &maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: tc.flags}
		own := &hostMap{maps.Base{Description: *spec}, make([]byte, 8)}
		for name, o := range map[string]vm.Options{"skep's": unproven, "host's": {Engine: vm.Checked, Maps: map[string]maps.Map{"m": own}}} {
			for op, want := range map[string]bool{read: tc.read, write: tc.write} {
				_, err := load(t, packetType, op, o, spec).Program("p").Run(nil)
				if (err == nil) != want {
					t.Errorf("%s map, flags %#x, %q: %v", name, tc.flags, op, err)
				}
			}
		}
	}
}
