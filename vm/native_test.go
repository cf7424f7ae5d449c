package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

var compiled = vm.Options{Engine: vm.JIT}

// eachProven runs f with each engine that needs a proof.
func eachProven(t *testing.T, f func(t *testing.T, o vm.Options)) {
	for _, e := range engines {
		if e == vm.Checked {
			continue
		}
		t.Run(string(e), func(t *testing.T) {
			if e == vm.JIT {
				needCompiler(t)
			}
			f(t, vm.Options{Engine: e})
		})
	}
}

// sum64 is a map of one number.
func sum64() *maps.Spec {
	return &maps.Spec{Name: "sum", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1}
}

// TestNativeCalls runs what leaves code and comes back.
func TestNativeCalls(t *testing.T) { eachProven(t, testCalls) }

func testCalls(t *testing.T, o vm.Options) {
	for _, tc := range []struct {
		name, text string
		want       uint64
	}{
		{"subprograms keep R6 to R9", "r6 = 1\nr7 = 20\nr8 = 300\nr9 = 4000\nr1 = 5\ncall f\nr0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nexit\n" +
			"f:\nr6 = r1\nr7 = 7\nr8 = 7\nr9 = 7\ncall g\nr0 += r6\nexit\ng:\nr6 = 9\nr0 = 10000\nexit", 14326},
		{"subprograms that leave R6 to R9 alone", "r6 = 1\nr7 = 20\nr8 = 300\nr9 = 4000\nr1 = 5\ncall f\nr1 = r0\ncall h\nr0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nexit\n" +
			"f:\nr2 = r1\n*(u64 *)(r10 -8) = r2\ncall g\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nexit\ng:\nr6 = r1\nr7 = 7\nr8 = 7\nr9 = 7\ncall h\nr0 += r6\nexit\nh:\nr0 = 10000\nr0 += r1\nexit", 24336},
		{"may_goto in a subprogram, twice", "r6 = 0\ncall f\nr6 += r0\ncall f\nr0 += r6\nexit\nf:\nr0 = 0\nmay_goto +2\nr0 += 1\ngoto -3\nexit", 16 << 20},
		{"loop", "r6 = 1000\n*(u64 *)(r10 -8) = 0\nr1 = 10\nr2 = subprog[f]\nr3 = r10\nr3 += -8\nr4 = 0\ncall 181\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nr0 += r6\nexit\n" +
			"f:\nr3 = *(u64 *)(r2 +0)\nr3 += r1\n*(u64 *)(r2 +0) = r3\nr0 = 0\nexit", 1055},
		{"loop of none", "r1 = 0\nr2 = subprog[f]\nr3 = 0\nr4 = 0\ncall 181\nexit\nf:\nr0 = 1\nexit", 0},
		{"loop of 32 bits", "r1 = 0x700000003 ll\nr2 = subprog[f]\nr3 = 0\nw4 = 0\ncall 181\nexit\nf:\nr0 = 0\nexit", 3},
		{"loop of too many", "r1 = 8388609\nr2 = subprog[f]\nr3 = 0\nr4 = 0\ncall 181\nexit\nf:\nr0 = 0\nexit", 1<<64 - 7},
		{"loop with flags", "r1 = 1\nr2 = subprog[f]\nr3 = 0\nr4 = 1\ncall 181\nexit\nf:\nr0 = 0\nexit", 1<<64 - 22},
		{"loop with a function that was moved", "r7 = subprog[f]\nr1 = 5\nr2 = r7\nr3 = 0\nr4 = 0\ncall 181\nr7 = 0\nexit\nf:\nr0 = 0\nif r1 != 3 goto +1\nr0 = 1\nexit", 4},
		{"for each, with the key", "r1 = map[0][0]+0\n*(u64 *)(r1 +0) = 17\n*(u64 *)(r10 -8) = 0\nr1 = map[0]\nr2 = subprog[f]\nr3 = r10\nr3 += -8\nr4 = 0\ncall 164\nr1 = *(u64 *)(r10 -8)\nr0 += r1\nexit\n" +
			"f:\nr6 = r4\ncall 1\nif r0 == 0 goto +2\nr1 = *(u64 *)(r0 +0)\n*(u64 *)(r6 +0) = r1\nr0 = 0\nexit", 18},
		{"loop that stops", "r1 = 10\nr2 = subprog[f]\nr3 = 0\nr4 = 0\ncall 181\nexit\nf:\nr0 = 0\nif r1 != 3 goto +1\nr0 = 1\nexit", 4},
		{"loop in a loop", "*(u64 *)(r10 -8) = 0\nr1 = 5\nr2 = subprog[f]\nr3 = r10\nr3 += -8\nr4 = 0\ncall 181\nr0 = *(u64 *)(r10 -8)\nexit\n" +
			"f:\nr6 = r2\nr1 = 7\nr2 = subprog[g]\nr3 = r6\nr4 = 0\ncall 181\nr1 = *(u64 *)(r6 +0)\nr1 += 100\n*(u64 *)(r6 +0) = r1\nr0 = 0\nexit\n" +
			"g:\nr3 = *(u64 *)(r2 +0)\nr3 += 1\n*(u64 *)(r2 +0) = r3\nr0 = 0\nexit", 535},
		{"value by address", "r1 = map[0][0]+0\n*(u64 *)(r1 +0) = 42\nr0 = *(u64 *)(r1 +0)\nexit", 42},
		{"for each", "r1 = map[0][0]+0\n*(u64 *)(r1 +0) = 17\n*(u64 *)(r10 -8) = 0\nr1 = map[0]\nr2 = subprog[f]\nr3 = r10\nr3 += -8\nr4 = 0\ncall 164\nr0 = *(u64 *)(r10 -8)\nexit\n" +
			"f:\nr1 = *(u64 *)(r3 +0)\n*(u64 *)(r4 +0) = r1\nr0 = 0\nexit", 17},
		{"may_goto ends", "r0 = 0\nmay_goto +2\nr0 += 1\ngoto -3\nexit", 8 << 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, o := range []vm.Options{o, {Engine: vm.Checked}} {
				if got, err := load(t, packetType, tc.text, o, sum64()).Program("p").Run(nil); err != nil || got != tc.want {
					t.Errorf("%s: got %d, %v, want %d", o.Engine, got, err, tc.want)
				}
			}
		})
	}
}

// TestNativeVariadic: what a variadic helper gets is more than its contract
// names.
func TestNativeVariadic(t *testing.T) { eachProven(t, testVariadic) }

func testVariadic(t *testing.T, o vm.Options) {
	var line string
	o.Host = helpers.Host{Trace: func(s string) { line = s }}
	load(t, packetType, "r1 = 0x642520642520 ll\nr1 >>= 8\n*(u64 *)(r10 -8) = r1\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = 12\nr4 = 34\ncall 6\nr0 = 0\nexit", o).Program("p").Run(nil)
	if line != "12 34" {
		t.Errorf("traced %q", line)
	}
}

// TestNativeUnset: registers that a program has not set are 0 in a variadic
// helper, and what it has set on one path arrives.
func TestNativeUnset(t *testing.T) {
	needCompiler(t)
	const print = "\nr1 = 0x642520642520 ll\nr1 >>= 8\n*(u64 *)(r10 -8) = r1\nr1 = r10\nr1 += -8\nr2 = 8\ncall 6\nr0 = 0\nexit\n"
	for _, tc := range []struct{ name, text, want string }{
		{"at the beginning", print, "0 0"},
		{"after a call", "r3 = 12\nr4 = 34\ncall 7" + print, "0 0"},
		{"set after a call", "call 7\nr3 = 12" + print, "12 0"},
		{"in a subprogram", "call f\nr0 = 0\nexit\nf:" + print, "0 0"},
		{"for a subprogram", "r4 = 34\ncall f\nr0 = 0\nexit\nf:" + print, "0 34"},
		{"on one path", "r1 = *(u32 *)(r1 +12)\nif r1 != 0 goto +1\nr4 = 34" + print, "0 34"},
		{"after a packet load", "r6 = r1\nr3 = 12\nr4 = 34\nr0 = *(u8 *)skb[0]" + print, "0 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var line string
			o := compiled
			o.Host = helpers.Host{Trace: func(s string) { line = s }}
			if _, err := load(t, packetType, tc.text, o).Program("p").Run([]byte{1}); err != nil || line != tc.want {
				t.Errorf("traced %q, %v; want %q", line, err, tc.want)
			}
		})
	}
}

// TestNativeCallX calls through registers: always the same function, and
// different ones, which needs another engine.
func TestNativeCallX(t *testing.T) {
	needCompiler(t)
	for _, tc := range []struct {
		name, text string
		want       uint64
		asked      vm.Engine
		engine     vm.Engine
	}{
		{"one", "r7 = 40\nr2 = subprog[g]\ncallx r2\nr0 += r7" + "\nexit\ng:\nr7 = 5\nr0 = 2\nexit", 42, vm.JIT, vm.JIT},
		{"the same twice", "r7 = subprog[g]\ncallx r7\nr8 = r0\ncallx r7\nr0 += r8\nexit\ng:\nr0 = 2\nexit", 4, vm.JIT, vm.JIT},
		{"by path", "r1 = *(u32 *)(r1 +12)\nr2 = subprog[f]\nif r1 == 0 goto +2\nr2 = subprog[g]\ncallx r2\nexit\nf:\nr0 = 1\nexit\ng:\nr0 = 2\nexit", 1, vm.Auto, vm.Interp},
		{"a helper in a loop", "r6 = 5\nr7 = 8\ncallx r7\nr6 += -1\nif r6 != 0 goto -3\nr0 = 9\nexit", 9, vm.JIT, vm.JIT},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := load(t, packetType, tc.text, vm.Options{Engine: tc.asked, Deterministic: true}).Program("p")
			if e, why := p.Engine(); e != tc.engine {
				t.Errorf("it runs in %s: %s", e, why)
			}
			if got, err := p.Run(nil); got != tc.want || err != nil {
				t.Errorf("got %d, %v, want %d", got, err, tc.want)
			}
		})
	}
}

// TestNativeTailCalls goes on in other programs, from the main program and from
// a subprogram, up to the limit.
func TestNativeTailCalls(t *testing.T) { eachProven(t, testTailCalls) }

func testTailCalls(t *testing.T, o vm.Options) {
	jumps := &maps.Spec{Name: "jumps", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4}
	count := sum64()
	const add = "r2 = map[1][0]+0\nr3 = *(u64 *)(r2 +0)\nr3 += 1\n*(u64 *)(r2 +0) = r3\n"
	for _, o := range []vm.Options{o, {Engine: vm.Checked}} {
		for name, tc := range map[string]struct {
			text        string
			want, count uint64
		}{
			"main":       {"r6 = r1\n" + add + "r1 = r6\nr2 = map[0]\nr3 = 0\ncall 12\nr0 = 7\nexit", 7, 34},
			"none there": {"r2 = map[0]\nr3 = 3\ncall 12\nr0 = 8\nexit", 8, 0},
			"subprogram": {"r6 = 100\ncall f\nr0 += r6\nexit\nf:\nr6 = r1\n" + add + "r1 = r6\nr2 = map[0]\nr3 = 1\ncall 12\nr0 = 3\nexit", 103, 1},
		} {
			c := load(t, linux.Platform.Type("sched_cls"), tc.text, o, jumps, count)
			p := c.Program("p")
			if err := c.Map("jumps").(maps.ProgramArray).Store(0, p); err != nil {
				t.Fatal(err)
			}
			got, err := p.Run(make([]byte, 14))
			var n [8]byte
			c.Map("sum").Lookup(make([]byte, 4), n[:])
			if err != nil || got != tc.want || binary.NativeEndian.Uint64(n[:]) != tc.count {
				t.Errorf("%s, %s: got %d, %v, %d calls; want %d, %d calls", o.Engine, name, got, err, binary.NativeEndian.Uint64(n[:]), tc.want, tc.count)
			}
		}
	}
}

// TestMixedTailCalls goes on in programs without machine code and back.
func TestMixedTailCalls(t *testing.T) { eachProven(t, testMixedTailCalls) }

func testMixedTailCalls(t *testing.T, o vm.Options) {
	jumps, err := maps.New(&maps.Spec{Name: "jumps", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer jumps.Close()
	count, err := maps.New(sum64())
	if err != nil {
		t.Fatal(err)
	}
	defer count.Close()
	given := map[string]maps.Map{"jumps": jumps, "sum": count}
	specs := []*maps.Spec{jumps.Spec(), count.Spec()}
	typ := linux.Platform.Type("sched_cls")
	const add = "r6 = r1\nr2 = map[1][0]+0\nr3 = *(u64 *)(r2 +0)\nr3 += 1\n*(u64 *)(r2 +0) = r3\nr1 = r6\nr2 = map[0]\n"
	const next = add + "r3 = 1\ncall 12\nr0 = 7\nexit"
	for _, tc := range []struct {
		name, text  string
		limit       int64 // of instructions
		want, count uint64
		err         error
	}{
		// 34 programs run: the first and 33 targets.
		{"main", add + "r3 = 1\ncall 12\nr0 = 7\nexit", 0, 7, 34, nil},
		{"subprogram", "r7 = 100\ncall f\nr0 += r7\nexit\nf:\n" + add + "r3 = 1\ncall 12\nr0 = 3\nexit", 0, 107, 34, nil},
		{"many from subprograms", "r8 = r1\nr2 = map[1][0]+0\nr7 = 100\ncall f\nr0 += r7\nr7 = r0\nr1 = r8\ncall f\nr0 += r7\nexit\nf:\nr2 = map[0]\nr3 = 2\ncall 12\nr0 = 3\nexit", 0, 118, 0, nil},
		{"spins", add + "r3 = 3\ncall 12\nr0 = 7\nexit", 100_000, 0, 1, vm.ErrMaxInsns},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := vm.Options{Engine: o.Engine, Maps: given, MaxInsns: tc.limit}
			slow := o
			slow.Engine = vm.Checked
			first := load(t, typ, tc.text, o, specs...).Program("p")
			if e, why := first.Engine(); e != o.Engine {
				t.Fatalf("the first runs in %s: %s", e, why)
			}
			second := load(t, typ, next, slow, specs...).Program("p")
			nine := load(t, typ, "r0 = 9\nexit", unproven).Program("p")
			spin := load(t, typ, "goto -1\nexit", unproven).Program("p")
			for i, p := range []*vm.Program{first, second, nine, spin} {
				if err := jumps.(maps.ProgramArray).Store(uint32(i), p); err != nil {
					t.Fatal(err)
				}
			}
			count.Update(make([]byte, 4), make([]byte, 8), 0)
			got, err := first.Run(make([]byte, 14))
			var n [8]byte
			count.Lookup(make([]byte, 4), n[:])
			if !errors.Is(err, tc.err) || got != tc.want || binary.NativeEndian.Uint64(n[:]) != tc.count {
				t.Errorf("got %d, %v, %d programs; want %d, %v, %d", got, err, binary.NativeEndian.Uint64(n[:]), tc.want, tc.err, tc.count)
			}
		})
	}
}

// TestNativeMeter ends runs that do not end.
func TestNativeMeter(t *testing.T) { eachProven(t, testMeter) }

func testMeter(t *testing.T, o vm.Options) {
	const text = "r1 = 0\nr0 = *(u32 *)(r10 -4)\nif r1 == 1 goto +1\ngoto -3\nexit"
	o.Rules.AllowUnbounded = true
	o.MaxInsns = 1_000_000
	p := load(t, packetType, text, o).Program("p")
	r, err := p.Do(context.Background(), nil, vm.RunOptions{})
	var f *vm.Fault
	if !errors.Is(err, vm.ErrMaxInsns) || !errors.As(err, &f) || r.Insns < 900_000 || r.Insns > 1_100_000 {
		t.Errorf("%v after %d instructions", err, r.Insns)
	}
	o.MaxInsns = -1
	p = load(t, packetType, text, o).Program("p")
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	var at time.Time
	time.AfterFunc(20*time.Millisecond, func() { at = time.Now(); cancel(cause) })
	_, err = p.RunContext(ctx, nil)
	if took := time.Since(at); !errors.Is(err, cause) || took > 30*time.Second {
		t.Errorf("%v, %v after it was cancelled", err, took)
	}
	if _, err = p.RunContext(ctx, nil); !errors.Is(err, cause) {
		t.Errorf("cancelled before it began: %v", err)
	}
}

// TestNativeUnwinds: a panic, an exit of the goroutine or an abort in a helper
// leaves nothing borrowed, also if it happens in a callback.
func TestNativeUnwinds(t *testing.T) { eachProven(t, testUnwinds) }

func testUnwinds(t *testing.T, o vm.Options) {
	var p pool
	typ := *packetType
	typ.Helpers = helpers.Base().With(nil, nil)
	o.Helpers = map[helpers.ID]*helpers.Func{}
	for _, id := range p.helpers().IDs() {
		f := *p.helpers().Helper(id)
		f.Proto.Ret.RingBuf = f.Proto.Ret.Kind == helpers.RetMem // what the verifier lets give_back take
		f.Proto.Ret.Nullable = f.Proto.Ret.RingBuf
		o.Helpers[1000+id] = &f
	}
	const loop = "call 1001\nif r0 == 0 goto +1\ngoto +2\nr0 = 0\nexit\nr6 = r0\nr1 = 3\nr2 = subprog[f]\nr3 = 0\nr4 = 0\ncall 181\nr1 = r6\ncall 1002\nr0 = 1\nexit\nf:\ncall "
	for id, want := range map[string]any{"1003": "helper", "1004": nil} {
		c := load(t, &typ, loop+id+"\nr0 = 0\nexit", o)
		for range 3 {
			done := make(chan any)
			go func() {
				defer func() { done <- recover() }()
				c.Program("p").Run(nil)
				t.Errorf("helper %s: Run returned", id)
			}()
			if got := <-done; got != want || p.out != 0 {
				t.Errorf("helper %s: recovered %v, %d borrowed", id, got, p.out)
			}
		}
	}
	_, err := load(t, &typ, loop+"1005\nr0 = 0\nexit", o).Program("p").Run(nil)
	var f *vm.Fault
	if !errors.Is(err, errAborted) || !errors.As(err, &f) || f.Insn != "call 1005" || p.out != 0 {
		t.Errorf("abort: %v, %d borrowed", err, p.out)
	}
	if got, err := load(t, &typ, loop+"7\nr0 = 0\nexit", o).Program("p").Run(nil); got != 1 || err != nil || p.out != 0 {
		t.Errorf("the run after: %d, %v, %d borrowed", got, err, p.out)
	}
}

// TestNativeAllocates nothing.
func TestNativeAllocates(t *testing.T) { eachProven(t, testAllocates) }

func testAllocates(t *testing.T, o vm.Options) {
	p := load(t, packetType, "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 +0)\nexit", o, sum64()).Program("p")
	pkt := make([]byte, 64)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Run(pkt); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
}

// TestNativeStress runs, replaces and closes compiled programs from several
// goroutines while the collector never rests.
func TestNativeStress(t *testing.T) { eachProven(t, testStress) }

func testStress(t *testing.T, o vm.Options) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	const text = "*(u64 *)(r10 -8) = 0\nr1 = 20\nr2 = subprog[f]\nr3 = r10\nr3 += -8\nr4 = 0\ncall 181\nr0 = *(u64 *)(r10 -8)\nexit\n" +
		"f:\nr6 = r1\nr7 = r2\nr1 = map[0]\nr2 = r10\nr2 += -4\n*(u32 *)(r10 -4) = 0\ncall 1\nif r0 == 0 goto +2\nr1 = 1\nlock *(u64 *)(r0 +0) += r1\n" +
		"r1 = *(u64 *)(r7 +0)\nr1 += r6\n*(u64 *)(r7 +0) = r1\nr0 = 0\nexit"
	d := time.Second
	if testing.Short() {
		d = 200 * time.Millisecond
	}
	shared, err := maps.New(sum64())
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	o.Maps = map[string]maps.Map{"sum": shared}
	insns := assemble(t, text)
	fresh := func() *vm.Collection {
		p, err := prog.FromInsns("p", packetType, insns, []*maps.Spec{sum64()})
		if err != nil {
			t.Error(err)
			return nil
		}
		c, err := vm.LoadProgram(p, o)
		if err != nil {
			t.Error(err)
		}
		return c
	}
	var current atomic.Pointer[vm.Collection]
	current.Store(fresh())
	var stop atomic.Bool
	var runs atomic.Uint64
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !stop.Load() {
				got, err := current.Load().Program("p").Run([]byte{1, 2, 3})
				if errors.Is(err, vm.ErrClosed) {
					continue
				}
				if got != 190 || err != nil {
					t.Errorf("got %d, %v", got, err)
					return
				}
				runs.Add(1)
			}
		}()
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		c := fresh()
		current.Swap(c).Close()
		runtime.Gosched()
	}
	stop.Store(true)
	wg.Wait()
	current.Load().Close()
	var n [8]byte
	shared.Lookup(make([]byte, 4), n[:])
	if got := binary.NativeEndian.Uint64(n[:]); got != 20*runs.Load() {
		t.Errorf("%d additions in %d runs of 20", got, runs.Load())
	}
	t.Logf("%d runs", runs.Load())
}

// TestNativeAtomics hammers one value from programs and from Go.
func TestNativeAtomics(t *testing.T) { eachProven(t, testAtomics) }

func testAtomics(t *testing.T, o vm.Options) {
	o.Rules.AllowUnbounded = true
	c := load(t, packetType, "r6 = map[0][0]+0\nr7 = 0\n"+
		"r1 = 1\nlock *(u64 *)(r6 +0) += r1\n"+
		"r1 = 1\nr1 = atomic64_fetch_add((u64 *)(r6 +8), r1)\n"+
		"r1 = 1\nr1 = atomic64_fetch_xor((u64 *)(r6 +16), r1)\n"+
		"r8 = *(u64 *)(r6 +24)\nr0 = r8\nr2 = r8\nr2 += 1\nr0 = atomic64_cmpxchg((u64 *)(r6 +24), r0, r2)\nif r0 != r8 goto -6\n"+
		"r7 += 1\nif r7 < 100 goto -14\nr0 = 0\nexit", o,
		&maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 32, MaxEntries: 1})
	value := c.Map("m").(interface {
		LookupElem(int, []byte) []byte
	}).LookupElem(0, make([]byte, 4))
	words := (*[4]atomic.Uint64)(unsafe.Pointer(&value[0]))
	const goroutines, rounds = 4, 200
	var wg sync.WaitGroup
	for range goroutines {
		wg.Add(2)
		go func() {
			defer wg.Done()
			for range rounds {
				if _, err := c.Program("p").Run(nil); err != nil {
					t.Error(err)
				}
			}
		}()
		go func() {
			defer wg.Done()
			for range rounds * 100 {
				words[0].Add(1)
				words[1].Add(1)
				for old := words[3].Load(); !words[3].CompareAndSwap(old, old+1); old = words[3].Load() {
				}
			}
		}()
	}
	wg.Wait()
	const want = 2 * goroutines * rounds * 100
	for i, want := range []uint64{want, want, 0, want} {
		if got := words[i].Load(); got != want {
			t.Errorf("word %d: %d, want %d", i, got, want)
		}
	}
}

// BenchmarkRun is what a run costs, by engine.
func BenchmarkRun(b *testing.B) {
	pkt := make([]byte, 1500)
	for name, text := range map[string]string{
		"trivial": "r0 = 2\nexit",
		"fnv1500": "r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr0 = -2128831035\nw0 = w0\nr3 = 0\nr4 = r1\nr4 += r3\nr5 = r4\nr5 += 1\nif r5 > r2 goto +6\nr5 = *(u8 *)(r4 +0)\nw0 ^= w5\nw0 *= 16777619\nr3 += 1\nif r3 == 1500 goto +1\ngoto -11\nexit",
		"lookup":  "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 +0)\nexit",
	} {
		for _, e := range engines {
			b.Run(name+"/"+string(e), func(b *testing.B) {
				p := load(b, packetType, text, vm.Options{Engine: e}, sum64()).Program("p")
				b.ReportAllocs()
				for b.Loop() {
					if _, err := p.Run(pkt); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
