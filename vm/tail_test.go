package vm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// tailSpecs are the maps of programs that make tail calls: a prog array, and a
// number that each program changes.
func tailSpecs() []*maps.Spec {
	return []*maps.Spec{{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 8}, sum64()}
}

// tailProgram returns program i of a chain: it changes the number, may loop, call
// helpers and subprograms, and goes on in a program that is always the same or
// depends on the number.
func tailProgram(r *rand.Rand, i int) string {
	var b, sub strings.Builder
	b.WriteString("r6 = r1\nr7 = map[1][0]+0\nr8 = *(u64 *)(r7 +0)\n")
	fmt.Fprintf(&b, "r1 = 6364136223846793005 ll\nr8 *= r1\nr8 += %d\n*(u64 *)(r7 +0) = r8\n", 2*i+1)
	if r.IntN(3) == 0 {
		fmt.Fprintf(&b, "r9 = %d\nr8 ^= r9\nr9 += -1\nif r9 != 0 goto -3\n", 1+r.IntN(300))
	}
	if r.IntN(4) == 0 {
		fmt.Fprintf(&b, "r1 = r8\ncall 1000\nr8 ^= r0\n")
	}
	jump := func(w *strings.Builder, ctx, n string) {
		fmt.Fprintf(w, "r1 = %s\nr2 = map[0]\n", ctx)
		switch r.IntN(4) {
		case 0:
			fmt.Fprintf(w, "r3 = %d\n", r.IntN(9))
		case 1:
			fmt.Fprintf(w, "r3 = %s\nr3 >>= 40\nr3 &= 15\n", n)
		default:
			fmt.Fprintf(w, "r3 = %s\nr3 >>= 37\nr3 &= 7\n", n)
		}
		if r.IntN(8) == 0 {
			w.WriteString("r4 = -4294967296 ll\nr3 |= r4\n") // only 32 bits count
		}
		w.WriteString("call 12\n")
	}
	if r.IntN(10) == 0 {
		b.WriteString("r1 = r6\nr2 = r8\ncall f\nr8 += r0\n")
		sub.WriteString("f:\nr6 = r1\nr7 = r2\n")
		jump(&sub, "r6", "r7")
		sub.WriteString("r0 = 77\nexit\n")
	}
	for range 1 + r.IntN(2) {
		jump(&b, "r6", "r8")
	}
	fmt.Fprintf(&b, "r0 = %d\nr0 ^= r8\nexit\n", i)
	return b.String() + sub.String()
}

// TestTails compares engines on chains of programs, each of a collection of its
// own. Some places are empty, some hold programs of another engine or another type.
func TestTails(t *testing.T) { eachProven(t, testTails) }

func testTails(t *testing.T, o vm.Options) {
	n := envInt(t, "SKEP_DIFF_PROGS", 400) / 4
	o.Rules.AllowUnbounded = true
	o.Helpers = map[helpers.ID]*helpers.Func{1000: helpers.New1("mix", func(_ helpers.Env, x uint64) uint64 { return x * 31 })}
	other := &hook.Type{}
	*other = *packetType
	other.Name = "test_other"
	runs, insns := 0, uint64(0)
	for k := range n {
		seed := uint64(envInt(t, "SKEP_DIFF_SEED", 1) + k)
		r := rand.New(rand.NewPCG(seed, 4))
		texts := make([]string, 8)
		kinds := make([]int, 8)
		for i := range texts {
			texts[i], kinds[i] = tailProgram(r, i), r.IntN(10)
		}
		kinds[0] = 9
		mixed := slices.Contains(kinds, 2) || slices.Contains(kinds, 3)
		var first [2]*vm.Program
		var sums [2]maps.Map
		for side, engine := range []vm.Engine{o.Engine, vm.Checked} {
			o := o
			o.Maps = map[string]maps.Map{}
			for _, s := range tailSpecs() {
				m, err := maps.New(s)
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				o.Maps[s.Name] = m
			}
			sums[side] = o.Maps["sum"]
			for i, text := range texts {
				o.Engine = engine
				typ := packetType
				switch kinds[i] {
				case 0:
					continue // empty
				case 1:
					typ = other
				case 2:
					o.Engine = vm.Checked
				case 3:
					o.Engine = vm.Interp
				}
				if engine == vm.Checked {
					o.Engine = engine
				}
				p := load(t, typ, text, o, tailSpecs()...).Program("p")
				if err := o.Maps["progs"].(maps.ProgramArray).Store(uint32(i), p); err != nil {
					t.Fatal(err)
				}
				if i == 0 {
					first[side] = p
				}
			}
		}
		for i := range 5 {
			if i%2 == 1 { // the short cut
				got, err := first[0].Run([]byte{1})
				want, wantErr := first[1].Run([]byte{1})
				if wantErr != nil && (err != nil || mixed) {
					break
				}
				if got != want || err != nil || wantErr != nil {
					t.Fatalf("seed %d: got %#x, %v, checked %#x, %v\n%s", seed, got, err, want, wantErr, strings.Join(texts, "--\n"))
				}
				runs++
				continue
			}
			got, err := first[0].Do(context.Background(), nil, vm.RunOptions{})
			want, wantErr := first[1].Do(context.Background(), nil, vm.RunOptions{})
			if wantErr != nil && (err != nil || mixed) {
				break // too many frames; another engine has its own
			}
			if got.R0 != want.R0 || err != nil || wantErr != nil {
				t.Fatalf("seed %d: got %#x, %v, checked %#x, %v\n%s", seed, got.R0, err, want.R0, wantErr, strings.Join(texts, "--\n"))
			}
			if got.Insns < want.Insns {
				t.Fatalf("seed %d: %d instructions, of which the meter saw %d\n%s", seed, want.Insns, got.Insns, strings.Join(texts, "--\n"))
			}
			runs++
			insns += want.Insns
			var a, b [8]byte
			if sums[0].Lookup(make([]byte, 4), a[:]) != nil || sums[1].Lookup(make([]byte, 4), b[:]) != nil || a != b {
				t.Fatalf("seed %d: the number is %x, checked %x\n%s", seed, a, b, strings.Join(texts, "--\n"))
			}
		}
	}
	t.Logf("%d chains, %d runs, %d instructions", n, runs, insns)
	if runs < 3*n {
		t.Errorf("%d of %d runs ended early", 5*n-runs, 5*n)
	}
}

// TestTailLimit: the 34th tail call does nothing, however the others were made.
func TestTailLimit(t *testing.T) { eachProven(t, testTailLimit) }

func testTailLimit(t *testing.T, o vm.Options) {
	const text = "r7 = map[1][0]+0\nr0 = *(u64 *)(r7 +0)\nr0 += 1\n*(u64 *)(r7 +0) = r0\nr2 = map[0]\nr3 = 0\ncall 12\nr7 = map[1][0]+0\nr0 = *(u64 *)(r7 +0)\nexit"
	c := load(t, packetType, text, o, tailSpecs()...)
	if err := c.Map("progs").(maps.ProgramArray).Store(0, c.Program("p")); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(3) {
		if got, err := c.Program("p").Run(nil); got != 34*(i+1) || err != nil {
			t.Errorf("run %d: %d programs ran, %v; want %d", i, got, err, 34*(i+1))
		}
	}
}

// TestTailMeter: tail calls do not get round MaxInsns, nor round a cancellation.
func TestTailMeter(t *testing.T) { eachProven(t, testTailMeter) }

func testTailMeter(t *testing.T, o vm.Options) {
	o.MaxInsns = 1000
	text := "r9 = r1\n" + strings.Repeat("r0 = 1\n", 100) + "r1 = r9\nr2 = map[0]\nr3 = 0\ncall 12\nr0 = 0\nexit"
	c := load(t, packetType, text, o, tailSpecs()...)
	if err := c.Map("progs").(maps.ProgramArray).Store(0, c.Program("p")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		var f *vm.Fault
		if _, err := c.Program("p").Run([]byte{}); !errors.Is(err, vm.ErrMaxInsns) || !errors.As(err, &f) {
			t.Errorf("%v", err)
		}
	}
}

// TestTailStress runs chains while their programs are replaced, closed and
// dropped, and while the collector never rests.
func TestTailStress(t *testing.T) { eachProven(t, testTailStress) }

func testTailStress(t *testing.T, o vm.Options) {
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	d := 2 * time.Second
	if testing.Short() {
		d = 300 * time.Millisecond
	}
	progs, err := maps.New(tailSpecs()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer progs.Close()
	array := progs.(maps.ProgramArray)
	o.Maps = map[string]maps.Map{"progs": progs}
	o.Helpers = map[helpers.ID]*helpers.Func{1000: {Name: "pause", Proto: helpers.Proto{Ret: helpers.Ret{Min: 0, Max: 1}},
		Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { runtime.Gosched(); return 0 }}}
	// Each adds to a map of its own, calls, which lets the collector in, and adds
	// again, before it goes on.
	fresh := func(next int) (*vm.Collection, error) {
		text := fmt.Sprintf("r6 = r1\nr7 = map[1][0]+0\nr1 = *(u64 *)(r7 +0)\nr1 += 1\n*(u64 *)(r7 +0) = r1\ncall 1000\nr1 = *(u64 *)(r7 +0)\nr1 += 1\n*(u64 *)(r7 +0) = r1\n"+
			"r1 = r6\nr2 = map[0]\nr3 = %d\ncall 12\nr1 = *(u64 *)(r7 +0)\nr0 = 5\nexit", next)
		insns, err := prog.Assemble(text)
		if err != nil {
			return nil, err
		}
		p, err := prog.FromInsns("p", packetType, insns, tailSpecs())
		if err != nil {
			return nil, err
		}
		return vm.LoadProgram(p, o)
	}
	entry, err := fresh(0)
	if err != nil {
		t.Fatal(err)
	}
	defer entry.Close()
	var stop atomic.Bool
	var runs atomic.Uint64
	var wg sync.WaitGroup
	for range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for !stop.Load() {
				if got, err := entry.Program("p").Run([]byte{1}); got != 5 || err != nil {
					t.Errorf("got %d, %v", got, err)
					return
				}
				runs.Add(1)
			}
		}()
	}
	r := rand.New(rand.NewPCG(1, 1))
	current := make([]*vm.Collection, 8)
	replaced := 0
	for end := time.Now().Add(d); time.Now().Before(end); replaced++ {
		i := r.IntN(8)
		c, err := fresh((i + 1) % 9)
		if err != nil {
			t.Fatal(err)
		}
		old := current[i]
		current[i] = c
		switch r.IntN(5) {
		case 0: // closed while it is there
			if old != nil {
				old.Close()
			}
		case 1:
			if old != nil {
				_ = array.Store(uint32(i), nil)
				old.Close()
			}
		}
		// Otherwise nobody closes it: the collector does.
		if err := array.Store(uint32(i), c.Program("p")); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(true)
	wg.Wait()
	for _, c := range current {
		if c != nil {
			c.Close()
		}
	}
	t.Logf("%d runs, %d programs replaced", runs.Load(), replaced)
}

// TestTailKeepsMaps: a target whose collection nobody holds any more works until
// the runs that are in it have ended.
func TestTailKeepsMaps(t *testing.T) { eachProven(t, testTailKeepsMaps) }

func testTailKeepsMaps(t *testing.T, o vm.Options) {
	inside, resume := make(chan struct{}), make(chan struct{})
	o.Helpers = map[helpers.ID]*helpers.Func{1000: {Name: "wait", Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 {
		inside <- struct{}{}
		<-resume
		return 0
	}}}
	first := load(t, packetType, "r2 = map[0]\nr3 = 0\ncall 12\nr0 = 0\nexit", o, tailSpecs()[0])
	array := first.Map("progs").(maps.ProgramArray)
	func() {
		insns := assemble(t, "r6 = map[1][0]+0\nr1 = 3\n*(u64 *)(r6 +0) = r1\ncall 1000\nr0 = *(u64 *)(r6 +0)\nexit")
		p, err := prog.FromInsns("p", packetType, insns, tailSpecs())
		if err != nil {
			t.Fatal(err)
		}
		c, err := vm.LoadProgram(p, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := array.Store(0, c.Program("p")); err != nil {
			t.Fatal(err)
		}
	}()
	type result struct {
		r0  uint64
		err error
	}
	done := make(chan result, 1)
	go func() {
		r0, err := first.Program("p").Run([]byte{1})
		done <- result{r0, err}
	}()
	select {
	case <-inside:
	case <-time.After(time.Minute):
		t.Fatal("the target was not reached")
	}
	if err := array.Store(0, nil); err != nil {
		t.Fatal(err)
	}
	var waste [][]uint64
	for range 20 {
		runtime.GC()
		for range 100 { // where the map was, if it is gone
			waste = append(waste, make([]uint64, 1))
			waste[len(waste)-1][0] = 0xbad
		}
	}
	close(resume)
	select {
	case r := <-done:
		if r.r0 != 3 || r.err != nil {
			t.Errorf("got %#x, %v", r.r0, r.err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the run did not end")
	}
	runtime.KeepAlive(waste)
}
