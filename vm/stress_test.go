package vm_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// The stress test runs programs whose helpers do all that a host's may do
// (grow the stack, collect garbage, block, run other programs, panic, end the
// goroutine, end the run) while the collector, the profilers, the tracer and the
// preemption of goroutines do their work, and collections come and go. Results
// are checked, and that nothing stays borrowed.

// A stress is what the workers share.
type stress struct {
	t        *testing.T
	stop     atomic.Bool
	borrowed atomic.Int64
	count    maps.Map

	unwinds *vm.Program // callbacks, borrowed memory and trouble
	adds    *vm.Program // counts exactly
	quick   *vm.Program // calls nothing
	tails   *vm.Program
	fresh   *prog.Program // to be loaded

	runs, panics, exits, aborts, adding, loads atomic.Uint64
	wg                                         sync.WaitGroup
}

func (s *stress) Discard([]byte) { s.borrowed.Add(-1) }

var errStress = errors.New("this run ends here")

type stressPanic struct{}

// trouble is a helper that does something else each time.
func (s *stress) trouble(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	switch rand.IntN(16) {
	case 0:
		deepen(rand.IntN(400))
	case 1:
		if rand.IntN(40) == 0 {
			runtime.GC()
		}
	case 2:
		time.Sleep(time.Duration(rand.IntN(20)) * time.Microsecond)
	case 3:
		runtime.Gosched()
	case 4:
		if got, err := s.quick.Run(make([]byte, 9)); got != 9*1000 || err != nil {
			s.t.Errorf("a run within a helper: %d, %v", got, err)
		}
	case 5:
		if rand.IntN(8) == 0 {
			panic(stressPanic{})
		}
	case 6:
		if rand.IntN(20) == 0 {
			runtime.Goexit()
		}
	case 7:
		if rand.IntN(8) == 0 {
			env.Abort(errStress)
		}
	case 8:
		if !bytes.Contains(debug.Stack(), []byte("Program")) {
			s.t.Error("the stack of a helper does not show the run")
		}
	}
	return 0
}

// deepen makes the goroutine's stack grow.
func deepen(n int) int {
	var pad [256]byte
	if n == 0 {
		return int(pad[rand.IntN(len(pad))])
	}
	return deepen(n-1) + int(pad[n%len(pad)])
}

func (s *stress) helpers() map[helpers.ID]*helpers.Func {
	return map[helpers.ID]*helpers.Func{
		1001: {Name: "borrow", Proto: helpers.Proto{Ret: helpers.Ret{Kind: helpers.RetMem, Size: 16, RingBuf: true, Nullable: true}, AcquiresObject: true},
			Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
				s.borrowed.Add(1)
				return env.Acquire(make([]byte, 16), s)
			}},
		1002: {Name: "give_back", Proto: helpers.Proto{
			Args: [5]helpers.Arg{{Kind: helpers.ArgRingBufMem, Release: true}}, Ret: helpers.Ret{Kind: helpers.RetVoid}},
			Impl: func(env helpers.Env, addr, _, _, _, _ uint64) uint64 {
				if _, _, ok := env.Release(addr); ok {
					s.borrowed.Add(-1)
				}
				return 0
			}},
		1003: {Name: "trouble", Impl: s.trouble},
	}
}

const (
	stressUnwinds = "call 1001\nif r0 != 0 goto +2\nr0 = 0\nexit\nr6 = r0\n*(u64 *)(r6 +0) = 7\ncall 1003\nr1 = 5\nr2 = subprog[f]\nr3 = 0\nr4 = 0\ncall 181\n" +
		"r7 = *(u64 *)(r6 +0)\nr1 = r6\ncall 1002\nr0 = r7\nexit\nf:\nr6 = r1\ncall 1003\ncall g\nr0 = 0\nexit\ng:\ncall 1003\nr0 = 0\nexit"
	stressAdds  = "r6 = map[0][0]+0\nr7 = 0\nr1 = 1\nlock *(u64 *)(r6 +0) += r1\nr7 += 1\nif r7 < 50 goto -4\nr0 = 3\nexit"
	stressQuick = "r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr2 -= r1\nr0 = 0\nr3 = 0\nr0 += r2\nr3 += 1\nif r3 < 1000 goto -3\nexit"
	stressTails = "r6 = r1\ncall 1003\nr1 = r6\nr2 = map[0]\nr3 = 0\ncall 12\nr0 = 11\nexit"
)

func newStress(t *testing.T) *stress {
	s := &stress{t: t}
	o := compiled
	o.Helpers = s.helpers()
	typ := *packetType
	s.unwinds = load(t, &typ, stressUnwinds, o).Program("p")
	s.quick = load(t, packetType, stressQuick, compiled).Program("p")
	s.fresh = s.quick.Linked()
	c := load(t, packetType, stressAdds, compiled, sum64())
	s.adds = c.Program("p")
	s.count = c.Map("sum")
	jumps := &maps.Spec{Name: "jumps", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	tc := load(t, linux.Platform.Type("sched_cls"), stressTails, o, jumps)
	s.tails = tc.Program("p")
	if err := tc.Map("jumps").(maps.ProgramArray).Store(0, s.tails); err != nil {
		t.Fatal(err)
	}
	return s
}

// work runs programs until it is told to stop. A helper may end the goroutine:
// then another one goes on.
func (s *stress) work() {
	ended := false
	defer func() {
		if !ended && !s.t.Failed() {
			s.exits.Add(1)
			s.wg.Add(1)
			go s.work()
		}
		s.wg.Done()
	}()
	pkt := make([]byte, 20)
	for !s.stop.Load() {
		s.once(pkt)
		s.runs.Add(1)
	}
	ended = true
}

// once makes one run and checks it.
func (s *stress) once(pkt []byte) {
	defer func() {
		if x := recover(); x != nil {
			if x != any(stressPanic{}) {
				panic(x)
			}
			s.panics.Add(1)
		}
	}()
	p, want := s.unwinds, uint64(7)
	switch rand.IntN(8) {
	case 0:
		p, want = s.adds, 3
		s.adding.Add(50)
	case 1:
		p, want = s.quick, uint64(len(pkt))*1000
	case 2:
		p, want = s.tails, 11
	case 3:
		c, err := vm.LoadProgram(s.fresh, compiled)
		if err != nil {
			s.t.Error(err)
			return
		}
		defer c.Close()
		s.loads.Add(1)
		p, want = c.Program("p"), uint64(len(pkt))*1000
	}
	got, err := p.Run(pkt)
	switch {
	case errors.Is(err, errStress):
		s.aborts.Add(1)
	case got != want || err != nil:
		s.t.Errorf("got %d, %v, want %d", got, err, want)
	}
}

// stressEnvs are the settings of the Go runtime, each in a process of its own.
var stressEnvs = []struct{ gogc, godebug string }{
	{"1", ""},
	{"1", "gccheckmark=1,clobberfree=1"},
	{"1", "gcstoptheworld=1"},
	{"1", "gcstoptheworld=2,gcshrinkstackoff=0"},
	{"100", "asyncpreemptoff=1"},
}

const stressEnv = "SKEP_TEST_STRESS"

// TestStress runs the stress in processes with different settings of the Go
// runtime. SKEP_STRESS_TIME says how long each.
func TestStress(t *testing.T) {
	if how := os.Getenv(stressEnv); how != "" {
		stressed(t, how)
		return
	}
	needCompiler(t)
	d, envs := time.Second, stressEnvs
	if testing.Short() {
		d, envs = 300*time.Millisecond, envs[:2]
	}
	if x, err := time.ParseDuration(os.Getenv("SKEP_STRESS_TIME")); err == nil {
		d, envs = x, stressEnvs
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range envs {
		t.Run(cmp.Or(e.godebug, "plain"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*d+3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, self, "-test.run=^TestStress$", "-test.v")
			cmd.Env = append(os.Environ(), "GOGC="+e.gogc, "GODEBUG="+e.godebug, stressEnv+"="+d.String()+" "+e.godebug)
			out, err := cmd.CombinedOutput()
			if errors.Is(err, syscall.ENOEXEC) {
				t.Skipf("an emulated process cannot start itself: %v", err)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, " runs, ") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

// stressed is the process that is under stress.
func stressed(t *testing.T, how string) {
	length, godebug, _ := strings.Cut(how, " ")
	d, err := time.ParseDuration(length)
	if err != nil {
		t.Fatal(err)
	}
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	// A stop of the world for the collector and one for the tracer wait for
	// each other under gcstoptheworld.
	if tracing := !strings.Contains(godebug, "gcstoptheworld"); tracing {
		if err := trace.Start(io.Discard); err != nil {
			t.Fatal(err)
		}
		defer trace.Stop()
	}
	s := newStress(t)
	for range 4 {
		s.wg.Add(1)
		go s.work()
	}
	time.Sleep(d)
	happened := func() bool { return s.runs.Load() > 0 && s.exits.Load() > 0 && s.panics.Load() > 0 }
	for end := time.Now().Add(time.Minute); !happened() && !t.Failed() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	s.stop.Store(true)
	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the workers do not end")
	}
	pprof.StopCPUProfile()
	if n := s.borrowed.Load(); n != 0 {
		t.Errorf("%d borrowed", n)
	}
	var n [8]byte
	s.count.Lookup(make([]byte, 4), n[:])
	if got := binary.NativeEndian.Uint64(n[:]); got != s.adding.Load() {
		t.Errorf("counted %d of %d", got, s.adding.Load())
	}
	fmt.Printf("%d runs, %d panics, %d goroutines ended, %d aborted, %d additions, %d collections\n",
		s.runs.Load(), s.panics.Load(), s.exits.Load(), s.aborts.Load(), s.adding.Load(), s.loads.Load())
	if !happened() {
		t.Error("nothing happened")
	}
}
