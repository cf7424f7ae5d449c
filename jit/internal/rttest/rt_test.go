//go:build (linux || darwin || windows) && (amd64 || arm64)

package rttest

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/rt"
)

func TestEnter(t *testing.T) {
	r := newRun()
	for _, v := range []uint64{0, 1, 1 << 63, 0xdeadbeefcafebabe} {
		if e := rt.Enter(r, load(t, func(c coder) { c.constant(v) })); e != rt.Done || r.Context.R0 != v {
			t.Errorf("exit %v, R0 %#x; want %#x", e, r.Context.R0, v)
		}
	}
	r.Context.Arg = [5]uint64{1, 10, 100, 1000, 1 << 60}
	if e := rt.Enter(r, load(t, coder.arguments)); e != rt.Done || r.Context.R0 != 1+20+300+4000+5<<60 {
		t.Errorf("arguments: exit %v, R0 %#x", e, r.Context.R0)
	}
	for _, e := range []rt.Exit{rt.Custom, rt.Custom - 100, -1 << 31} {
		if got := rt.Enter(r, load(t, func(c coder) { c.custom(e, 7) })); got != e || r.Context.R0 != 7 {
			t.Errorf("exit %v, R0 %d; want %v, 7", got, r.Context.R0, e)
		}
	}
}

func TestHelper(t *testing.T) {
	var got [][2]uint64
	r := newRun(
		func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { t.Error("wrong helper"); return 0 },
		func(env helpers.Env, a1, a2, a3, a4, a5 uint64) uint64 {
			if env != nil {
				t.Error("env is not the run's")
			}
			if a3 != 33 || a4 != 44 || a5 != 55 {
				t.Errorf("a3 to a5: %d %d %d", a3, a4, a5)
			}
			got = append(got, [2]uint64{a1, a2})
			return 1<<40 + a1
		})
	r.Context.Arg = [5]uint64{0, 0, 33, 44, 55}
	const n = 5
	if e := rt.Enter(r, load(t, func(c coder) { c.calls(1, n, 0x123456789) })); e != rt.Done || r.Context.R0 != n<<40+n*(n-1)/2 {
		t.Errorf("exit %v, R0 %#x", e, r.Context.R0)
	}
	for i, a := range got {
		if a != [2]uint64{uint64(i), 0x123456789} {
			t.Errorf("call %d: arguments %#x", i, a)
		}
	}
	if len(got) != n {
		t.Errorf("%d calls", len(got))
	}
}

func TestYieldKeepsRegisters(t *testing.T) {
	const seed = 0x1122334455667788
	want := make([]uint64, kept)
	for i := range want {
		want[i] = seed + uint64(i)
	}
	want[kept-1] = 0 // how far Frame has moved
	r := newRun()
	yields := 0
	r.Yield = func(c *rt.Context) { yields++; grow(100); runtime.GC() }
	if e := rt.Enter(r, load(t, func(c coder) { c.yields(seed) })); e != rt.Done || r.Context.R0 != fold(want) {
		t.Errorf("exit %v, R0 %#x; want %#x", e, r.Context.R0, fold(want))
	}
	if yields != 1 {
		t.Errorf("%d yields", yields)
	}
}

func TestMeter(t *testing.T) {
	r := newRun()
	r.Context.Meter = 10
	yields := 0
	r.Yield = func(c *rt.Context) {
		if c.Meter != -1 {
			t.Errorf("yield with %d left", c.Meter)
		}
		c.Meter = 99
		yields++
	}
	if e := rt.Enter(r, load(t, func(c coder) { c.spins(1000) })); e != rt.Done || r.Context.R0 != 1000 {
		t.Errorf("exit %v, R0 %d", e, r.Context.R0)
	}
	if want := (1000 - 11 + 100) / 100; yields != want {
		t.Errorf("%d yields, want %d", yields, want)
	}
}

func TestStop(t *testing.T) {
	calls := 0
	var r *rt.Run
	r = newRun(func(_ helpers.Env, a1, _, _, _, _ uint64) uint64 {
		calls++
		if a1 == 3 {
			r.Context.Stop()
		}
		return 0
	})
	code := load(t, func(c coder) { c.calls(0, 100, 0) })
	if e := rt.Enter(r, code); e != rt.Stopped || calls != 4 || !r.Context.Stopped() {
		t.Errorf("exit %v after %d calls, want %v after 4", e, calls, rt.Stopped)
	}
	r.Context.Resume()
	r.Yield = func(c *rt.Context) { c.Stop() }
	r.Context.Meter = 50
	if e := rt.Enter(r, load(t, func(c coder) { c.spins(100) })); e != rt.Stopped {
		t.Errorf("exit %v, want %v", e, rt.Stopped)
	}
}

// TestEndless runs code that would never end, with a yield every 100
// microseconds or so: the world can be stopped meanwhile, and another goroutine
// ends the run.
func TestEndless(t *testing.T) {
	r := newRun()
	r.Yield = func(c *rt.Context) { c.Meter = 100000 }
	done := make(chan rt.Exit)
	code := load(t, func(c coder) { c.spins(1 << 62) })
	go func() { done <- rt.Enter(r, code) }()
	for range 20 {
		runtime.GC()
	}
	select {
	case e := <-done:
		t.Fatalf("ended by itself: %v", e)
	default:
	}
	start := time.Now()
	r.Context.Stop()
	if e := <-done; e != rt.Stopped {
		t.Errorf("exit %v", e)
	}
	t.Logf("stopped within %v", time.Since(start))
}

// TestNested runs code from a helper of code, each in the frames that the outer
// one leaves free.
func TestNested(t *testing.T) {
	const depth, width = 8, 3
	var r *rt.Run
	var code uintptr
	var level int
	r = newRun(func(_ helpers.Env, a1, _, _, _, _ uint64) uint64 {
		if level == depth {
			return 1
		}
		level++
		c := r.Context
		c.Frame += 64
		e := rt.Enter(r, code)
		c.Frame -= 64
		level--
		if e != rt.Done {
			t.Errorf("level %d: exit %v", level, e)
		}
		grow(10)
		return c.R0
	})
	code = load(t, func(c coder) { c.calls(0, width, 0) })
	want := uint64(1)
	for range depth + 1 {
		want *= width
	}
	if e := rt.Enter(r, code); e != rt.Done || r.Context.R0 != want {
		t.Errorf("exit %v, R0 %d; want %d", e, r.Context.R0, want)
	}
	if r.Context.Frame != r.Context.FrameBase() {
		t.Error("Frame is not what it was")
	}
}

// TestUnwind lets a helper panic or end its goroutine, and runs the same context
// again.
func TestUnwind(t *testing.T) {
	mode := ""
	r := newRun(func(_ helpers.Env, a1, _, _, _, _ uint64) uint64 {
		if a1 == 2 {
			switch mode {
			case "panic":
				panic("from a helper")
			case "fault":
				var p *int
				return uint64(*p)
			case "goexit":
				runtime.Goexit()
			}
		}
		return 1
	})
	code := load(t, func(c coder) { c.calls(0, 5, 0) })
	for _, mode = range []string{"panic", "fault", "goexit", ""} {
		var e rt.Exit
		var recovered any
		done := make(chan bool)
		go func() {
			returned := false
			defer func() { recovered = recover(); done <- returned }()
			e = rt.Enter(r, code)
			returned = true
		}()
		returned := <-done
		switch mode {
		case "panic":
			if recovered != "from a helper" {
				t.Errorf("recovered %v", recovered)
			}
		case "fault":
			if _, ok := recovered.(runtime.Error); !ok {
				t.Errorf("recovered %v", recovered)
			}
		case "goexit":
			if recovered != nil || returned {
				t.Errorf("recovered %v, returned %v", recovered, returned)
			}
		default:
			if e != rt.Done || r.Context.R0 != 5 {
				t.Errorf("exit %v, R0 %d", e, r.Context.R0)
			}
		}
	}
}

// TestCallers checks that a stack trace leads from a helper through the stub to
// the test.
func TestCallers(t *testing.T) {
	var names []string
	r := newRun(func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 {
		pcs := make([]uintptr, 32)
		frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs)])
		for {
			f, more := frames.Next()
			names = append(names, f.Function)
			if !more {
				return 0
			}
		}
	})
	rt.Enter(r, load(t, func(c coder) { c.calls(0, 1, 0) }))
	const pkg = "github.com/skepvm/skep/"
	want := []string{pkg + "internal/rt.helper", pkg + "internal/rt.enter", pkg + "internal/rt.Enter", pkg + "jit/internal/rttest.TestCallers"}
	for _, n := range names {
		if len(want) > 0 && n == want[0] {
			want = want[1:]
		}
	}
	if len(want) > 0 {
		t.Errorf("%v are missing, or in another order, in %v", want, names)
	}
}

func TestContext(t *testing.T) {
	for _, size := range []int{0, 1, 8, 4096} {
		c := rt.NewContext(size)
		f := c.Frames()
		if len(f) != size || c.Frame != c.FrameBase() || c.FrameBase()%8 != 0 {
			t.Errorf("size %d: %d bytes of frames at %#x, Frame %#x", size, len(f), c.FrameBase(), c.Frame)
		}
		if size > 0 && uint64(uintptr(unsafe.Pointer(&f[0]))) != c.FrameBase() {
			t.Errorf("frames at %p, want %#x", &f[0], c.FrameBase())
		}
		if c.FrameBase() != uint64(uintptr(unsafe.Pointer(c)))+uint64(rt.OffFrames) {
			t.Errorf("frames are not at OffFrames")
		}
		clear(f)
	}
}

// grow uses enough stack, depth times 200 bytes or so, that it moves.
func grow(depth int) byte {
	var pad [200]byte
	if depth > 0 {
		pad[depth%len(pad)] = grow(depth - 1)
	}
	return pad[depth%100]
}

// probe is where pointersAreChecked leaves something.
var probe *byte

// pointersAreChecked reports whether the compiler has conversions of pointers checked
// (-d=checkptr=2), which allocates.
func pointersAreChecked() bool {
	return testing.AllocsPerRun(10, func() {
		var addr uintptr
		probe = *(**byte)(unsafe.Pointer(&addr))
	}) > 0
}

func TestNoAllocation(t *testing.T) {
	if pointersAreChecked() {
		t.Skip("the compiler has pointers checked, which allocates")
	}
	r := newRun(func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { return 0 })
	code := load(t, func(c coder) { c.calls(0, 10, 0) })
	if n := testing.AllocsPerRun(100, func() { rt.Enter(r, code) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEnter(b *testing.B) {
	r := newRun()
	code := load(b, func(c coder) { c.constant(1) })
	for b.Loop() {
		rt.Enter(r, code)
	}
}

// BenchmarkHelper measures one helper call: what 1000 of them take.
func BenchmarkHelper(b *testing.B) {
	const n = 1000
	r := newRun(func(_ helpers.Env, a1, a2, _, _, _ uint64) uint64 { return a1 + a2 })
	code := load(b, func(c coder) { c.plainCalls(0, n) })
	for b.Loop() {
		rt.Enter(r, code)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/call")
}

// BenchmarkNested measures a helper call that enters code again.
func BenchmarkNested(b *testing.B) {
	const n = 1000
	var inner uintptr
	var r *rt.Run
	r = newRun(func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 {
		rt.Enter(r, inner)
		return r.Context.R0
	})
	inner = load(b, func(c coder) { c.constant(1) })
	code := load(b, func(c coder) { c.plainCalls(0, n) })
	for b.Loop() {
		rt.Enter(r, code)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/call")
}

func BenchmarkYield(b *testing.B) {
	r := newRun()
	r.Yield = func(c *rt.Context) { c.Meter = 0 }
	const n = 1000
	code := load(b, func(c coder) { c.spins(n) })
	for b.Loop() {
		r.Context.Meter = 0
		rt.Enter(r, code)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/yield")
}
