//go:build (linux || darwin || windows) && (amd64 || arm64)

package rttest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/rt"
)

// The stress test runs code whose helpers do everything that makes Go look at,
// move, unwind or throw away the stack they are on, while the collector, the
// profilers, the tracer and the preemption of goroutines do the same from
// outside. The code destroys every register it may. Each run's results are
// checked, and so is what its callers keep on the stack.

// A stresser is one goroutine's share.
type stresser struct {
	t     *testing.T
	rng   *rand.Rand
	run   *rt.Run
	codes *stressCodes
	ping  chan *int
	level int
	sink  []byte
}

// stressCodes are shared by all goroutines.
type stressCodes struct {
	calls [stressHelpers]uintptr // by helper
	spins uintptr
	busy  uintptr
}

const (
	stressHelpers = 6
	stressCalls   = 4    // per run
	stressSpins   = 5000 // per run
)

// Bits that helpers return, so that sums tell who was called.
const helperResult = 1 << 32

func newStresser(t *testing.T, seed int64, codes *stressCodes, ping chan *int) *stresser {
	s := &stresser{t: t, rng: rand.New(rand.NewSource(seed)), codes: codes, ping: ping}
	s.run = newRun(
		s.helper((*stresser).growStack), s.helper((*stresser).collect), s.helper((*stresser).block),
		s.helper((*stresser).nest), s.helper((*stresser).unwind), s.helper((*stresser).look))
	s.run.Yield = func(c *rt.Context) {
		c.Meter = int64(s.rng.Intn(1000))
		s.growStack()
	}
	return s
}

// helper wraps what a helper does with checks of its arguments, and with values
// on the stack that point to heap and stack.
func (s *stresser) helper(do func(*stresser)) helpers.Impl {
	return func(_ helpers.Env, a1, a2, _, _, _ uint64) uint64 {
		var local [4]int
		onStack, onHeap := &local[2], new(int)
		*onStack, *onHeap = int(a1), int(a2)
		do(s)
		if local[2] != int(a1) || *onHeap != int(a2) || a2 != 77 || a1 >= stressCalls {
			s.t.Errorf("arguments %d, %d; kept %d, %d", a1, a2, local[2], *onHeap)
		}
		return helperResult + a1
	}
}

func (s *stresser) growStack() { grow(s.rng.Intn(500)) }

func (s *stresser) collect() {
	s.sink = make([]byte, s.rng.Intn(10000))
	switch s.rng.Intn(20) {
	case 0:
		runtime.GC()
	case 1:
		debug.FreeOSMemory()
	}
}

// block hands a pointer to its own stack's variable to another goroutine and
// waits for one.
func (s *stresser) block() {
	x := s.rng.Int()
	select {
	case s.ping <- &x:
	case y := <-s.ping:
		runtime.KeepAlive(*y)
	case <-time.After(time.Duration(s.rng.Intn(100)) * time.Microsecond):
	}
	runtime.Gosched()
}

func (s *stresser) nest() {
	if s.level >= 4 {
		return
	}
	s.level++
	defer func() { s.level-- }()
	c := s.run.Context
	saved := c.Frame
	c.Frame += 64
	defer func() { c.Frame = saved }()
	s.once()
}

type unwound struct{}

func (s *stresser) unwind() {
	if s.rng.Intn(2) == 0 {
		panic(unwound{})
	}
}

// look walks the stack in the ways there are.
func (s *stresser) look() {
	pcs := make([]uintptr, 64)
	if n := runtime.Callers(0, pcs); n < 5 {
		s.t.Errorf("%d callers", n)
	}
	if !strings.Contains(string(debug.Stack()), "internal/rt.enter") {
		s.t.Error("the stub is not in the stack trace")
	}
	s.sink = make([]byte, 600<<10) // sampled by the memory profile
}

// once runs one code and checks what it returns.
func (s *stresser) once() {
	defer func() {
		if p := recover(); p != nil && p != (unwound{}) {
			panic(p)
		}
	}()
	c := s.run.Context
	switch which := s.rng.Intn(stressHelpers + 2); which {
	case stressHelpers:
		c.Meter = 0
		if e := rt.Enter(s.run, s.codes.spins); e != rt.Done || c.R0 != stressSpins {
			s.t.Errorf("spins: %v, R0 %d", e, c.R0)
		}
	case stressHelpers + 1:
		if e := rt.Enter(s.run, s.codes.busy); e != rt.Done {
			s.t.Errorf("busy: %v", e)
		}
	default:
		const want = stressCalls*helperResult + stressCalls*(stressCalls-1)/2
		if e := rt.Enter(s.run, s.codes.calls[which]); e != rt.Done || c.R0 != want {
			s.t.Errorf("helper %d: %v, R0 %#x, want %#x", which, e, c.R0, uint64(want))
		}
	}
}

// deep runs once below depth frames, of which the outermost may be moved.
func (s *stresser) deep(depth int, above *int) {
	here := depth
	if depth > 0 {
		s.deep(depth-1, &here)
	} else {
		s.once()
	}
	if here != depth || *above != depth+1 {
		s.t.Errorf("the stack holds %d and %d, want %d and %d", here, *above, depth, depth+1)
	}
}

// loop runs until ctx is done, on goroutines that Goexit ends now and then.
func (s *stresser) loop(ctx context.Context, runs *atomic.Int64) {
	for ctx.Err() == nil {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 20 {
				depth := s.rng.Intn(30)
				above := depth + 1
				s.deep(depth, &above)
				runs.Add(1)
			}
			// The last run on this goroutine ends it, from within a helper.
			at, exits := s.run.Target(), &rt.Target{Helpers: []helpers.Impl{func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 {
				runtime.Goexit()
				return 0
			}}}
			defer func() {
				s.run.Go(at)
				s.level = 0
				runtime.KeepAlive(exits)
			}()
			s.run.Go(exits)
			rt.Enter(s.run, s.codes.calls[0])
			s.t.Error("Goexit returned")
		}()
		<-done
	}
}

// disturb does from outside what makes the runtime look at all stacks.
func disturb(ctx context.Context, t *testing.T) {
	for i := 0; ctx.Err() == nil; i++ {
		switch i % 4 {
		case 0:
			runtime.GC()
		case 1:
			runtime.Stack(make([]byte, 1<<16), true)
		case 2:
			if err := pprof.Lookup("goroutine").WriteTo(io.Discard, 2); err != nil {
				t.Error(err)
			}
		case 3:
			for _, p := range []string{"block", "mutex", "heap"} {
				if err := pprof.Lookup(p).WriteTo(io.Discard, 0); err != nil {
					t.Error(err)
				}
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// stress runs code for d, under the execution tracer if traced is set.
func stress(t *testing.T, d time.Duration, traced bool) {
	var codes stressCodes
	for h := range codes.calls {
		codes.calls[h] = load(t, func(c coder) { c.calls(uint32(h), stressCalls, 77) })
	}
	codes.spins = load(t, func(c coder) { c.spins(stressSpins) })
	codes.busy = load(t, func(c coder) { c.busy(200000) })

	runtime.SetBlockProfileRate(1)
	defer runtime.SetBlockProfileRate(0)
	defer runtime.SetMutexProfileFraction(runtime.SetMutexProfileFraction(1))
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Logf("no CPU profile: %v", err)
	} else {
		defer pprof.StopCPUProfile()
	}
	if traced {
		if err := trace.Start(io.Discard); err != nil {
			t.Logf("no trace: %v", err)
		} else {
			defer trace.Stop()
		}
	}

	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var runs atomic.Int64
	var wg sync.WaitGroup
	ping := make(chan *int)
	for i := range 6 {
		s := newStresser(t, int64(i), &codes, ping)
		wg.Go(func() { s.loop(ctx, &runs) })
	}
	wg.Go(func() { disturb(ctx, t) })
	wg.Wait()
	t.Logf("%d runs in %v", runs.Load(), d)
	if runs.Load() == 0 {
		t.Error("nothing ran")
	}
}

// TestStress is the stress test in this process, collecting all the time.
func TestStress(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	d := 3 * time.Second
	if testing.Short() {
		d = 300 * time.Millisecond // the point is made elsewhere, for longer
	}
	stress(t, d, true)
}

// untraced is what RTTEST_CHILD says to a child that is not to be traced.
const untraced = "untraced"

// TestStressModes repeats the stress test in children, each under another of
// the runtime's checks.
func TestStressModes(t *testing.T) {
	if child := os.Getenv("RTTEST_CHILD"); child != "" {
		stress(t, 3*time.Second, child != untraced)
		return
	}
	if testing.Short() {
		t.Skip("takes 3 s per mode; skipped with -short")
	}
	for _, tc := range []struct {
		name  string
		env   string
		build []string // flags of go test, if the test is to be built anew
		child string   // how the child is told
	}{
		{name: "GOGC=1", env: "GOGC=1"},
		{name: "gccheckmark", env: "GODEBUG=gccheckmark=1"},
		// With this check the tracer and the collector of Go 1.26 wait for one
		// another for ever, in a program of any kind: a goroutine that writes
		// a trace and has to assist the collector waits for those that it
		// keeps from running.
		{name: "gcstoptheworld", env: "GODEBUG=gcstoptheworld=2", child: untraced},
		{name: "clobberfree", env: "GODEBUG=clobberfree=1"},
		{name: "asyncpreemptoff", env: "GODEBUG=asyncpreemptoff=1"},
		{name: "checkptr", env: "GOGC=1", build: []string{"-gcflags=github.com/skepvm/skep/...=-d=checkptr=2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := []string{"-test.run=^TestStressModes$", "-test.v"}
			cmd := exec.Command(os.Args[0], args...)
			if tc.build != nil {
				bin := t.TempDir() + "/rttest.test"
				out, err := exec.Command("go", append([]string{"test", "-c", "-o", bin}, append(tc.build, ".")...)...).CombinedOutput()
				if errors.Is(err, exec.ErrNotFound) {
					t.Skipf("no go command to build with: %v", err)
				} else if err != nil {
					t.Fatalf("go test -c: %v\n%s", err, out)
				}
				cmd = exec.Command(bin, args...)
			}
			cmd.Env = append(os.Environ(), "RTTEST_CHILD="+cmp.Or(tc.child, "1"), tc.env)
			dump := time.AfterFunc(2*time.Minute, func() { cmd.Process.Signal(syscall.SIGQUIT) })
			out, err := cmd.CombinedOutput()
			dump.Stop()
			if errors.Is(err, syscall.ENOEXEC) {
				t.Skipf("the host runs this program through an emulator, and cannot run it as a child: %v", err)
			}
			if err != nil {
				t.Fatalf("%v\n%.20000s", err, out)
			}
			if !strings.Contains(string(out), " runs in") {
				t.Fatalf("the child ran nothing:\n%s", out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, " runs in") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}
