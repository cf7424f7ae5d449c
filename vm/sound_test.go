package vm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A campaign counts what a fuzz run did.
type campaign struct {
	runsEach  int    // of one accepted program, at most
	stepsEach uint64 // after so many it is the next one's turn

	programs, mutants       int
	accepted, mutantsPassed int
	limits, unlinkable      int
	runs                    int
	steps                   uint64
	violations              int
	refused                 map[verifier.Code]int // of unchanged programs
	watching                time.Duration
}

func (c *campaign) String() string {
	return fmt.Sprintf("%d programs, %d accepted (%.1f%%); %d mutants, %d accepted, %d did not link; %d limits; %d runs, %d steps, %d ns each, %d violations; refused %v",
		c.programs, c.accepted, 100*float64(c.accepted)/float64(max(1, c.programs)), c.mutants, c.mutantsPassed, c.unlinkable, c.limits,
		c.runs, c.steps, uint64(c.watching)/max(1, c.steps), c.violations, c.refused)
}

// TestSound holds the verifier to its word: generated programs and mutants of
// them that it accepts run in the checked interpreter, on hostile packets and
// maps that change under their hands. They must not fault, must not take longer
// than was proven, and each register and stack cell must hold what was proven
// of it, before every instruction. SKEP_FUZZ_STEPS says how many instructions
// to watch, SKEP_FUZZ_SEED where to begin.
func TestSound(t *testing.T) {
	steps, first := uint64(700_000), uint64(1)
	c := campaign{runsEach: 25, stepsEach: 4_000, refused: map[verifier.Code]int{}}
	if testing.Short() {
		steps = 100_000
	}
	if n, err := strconv.ParseUint(os.Getenv("SKEP_FUZZ_STEPS"), 10, 64); err == nil {
		steps, c.runsEach, c.stepsEach = n, 400, 80_000
	}
	if n, err := strconv.ParseUint(os.Getenv("SKEP_FUZZ_SEED"), 10, 64); err == nil {
		first = n
	}
	start := time.Now()
	said := start
	for seed := first; c.steps < steps; seed++ {
		if err := c.program(seed); err != nil {
			c.violations++
			t.Errorf("seed %d: %v", seed, err)
			if c.violations >= 5 {
				break
			}
		}
		if time.Since(said) > time.Minute {
			said = time.Now()
			t.Logf("so far, to seed %d: %v", seed, &c)
		}
	}
	t.Logf("from seed %d: %v in %v", first, &c, time.Since(start).Round(time.Millisecond))
}

func soundOptions(r *rand.Rand, kind string) bpftest.Options {
	o := bpftest.Everything(kind)
	if r.IntN(4) > 0 {
		o = bpftest.Hostile(kind)
	}
	o.Statements = 4 + r.IntN(40)
	for _, b := range []*bool{
		&o.Loops, &o.MayGoto, &o.Subprograms, &o.Callbacks, &o.Maps, &o.Packet, &o.LegacyLoads, &o.Atomics, &o.Cursors, &o.LongLoops,
		&o.Indexes, &o.Idioms, &o.RingBuf, &o.ForEach, &o.TailCalls, &o.Moves, &o.Iterators, &o.Constructs,
	} {
		*b = *b && r.IntN(4) > 0
	}
	return o
}

// program tries one generated program and some mutants of it.
func (c *campaign) program(seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 0x50d))
	kind := []string{"xdp", "sched_cls"}[r.IntN(2)]
	g := bpftest.Generate(kind, seed, soundOptions(r, kind))
	c.programs++
	ok, err := c.try(g, g.Insns, rand.New(rand.NewPCG(seed, 0)), true)
	if ok {
		c.accepted++
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, insnText(g.Insns))
	}
	for i := range uint64(12) {
		insns := bpftest.Mutate(g.Insns, r)
		for range 8 { // rather one that links
			if _, err := g.Link(linux.Platform, insns); err == nil {
				break
			}
			insns = bpftest.Mutate(g.Insns, r)
		}
		c.mutants++
		ok, err := c.try(g, insns, rand.New(rand.NewPCG(seed, 1+i)), false)
		if ok {
			c.mutantsPassed++
		}
		if err != nil {
			return fmt.Errorf("mutant: %w\n%s", err, insnText(insns))
		}
	}
	return nil
}

// try verifies insns and, if they are accepted, runs them.
func (c *campaign) try(g *bpftest.Generated, insns []prog.Insn, r *rand.Rand, whole bool) (accepted bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	d, err := prove(g, insns, r)
	if err != nil {
		var e *verifier.Error
		switch {
		case !errors.As(err, &e):
			c.unlinkable++
		case e.Code == verifier.Limit:
			c.limits++
		}
		if whole && e != nil {
			c.refused[e.Code]++
		}
		return false, nil
	}
	defer d.p.coll.Close()
	fillInner(d.p.coll)
	proofs := []*watched{d}
	if tails, ok := d.p.coll.maps["tail"].(maps.ProgramArray); ok {
		o := soundOptions(r, g.Type)
		o.Statements, o.RingBuf = 5, true // for the maps
		other := bpftest.Generate(g.Type, r.Uint64(), o)
		_ = tails.Store(0, d.p)
		if d, err := prove(other, other.Insns, r); err == nil {
			defer d.p.coll.Close()
			proofs = append(proofs, d)
			_ = tails.Store(1, d.p)
			_ = d.p.coll.maps["tail"].(maps.ProgramArray).Store(2, proofs[0].p)
		}
	}
	start := time.Now()
	w := newWatcher(r, proofs...)
	for n := 0; n < c.runsEach && w.steps < c.stepsEach; n++ {
		c.runs++
		d.h.send(d.p.coll)
		if err = w.run(d.h.packet(g.Packet)); err != nil {
			break
		}
		w.drain()
	}
	c.steps += w.steps
	c.watching += time.Since(start)
	return true, err
}

// prove verifies insns and makes them ready to run.
func prove(g *bpftest.Generated, insns []prog.Insn, r *rand.Rand) (*watched, error) {
	p, err := g.Link(linux.Platform, insns)
	if err != nil {
		return nil, err
	}
	strict := r.IntN(4) == 0
	v, _, err := verifier.Verify(context.Background(), p, verifier.Options{
		Invariants: true, MaxVisits: 40_000, MaxTime: 2 * time.Second, MaxWorstCase: math.MaxInt64, Strict: strict,
	})
	if err != nil {
		return nil, err
	}
	h := newHostility(r, insns)
	coll, err := LoadProgram(p, Options{
		Engine: Checked,
		Host: helpers.Host{
			Random: func() uint32 { return uint32(h.number()) },
			Now:    func(helpers.Clock) uint64 { return h.number() },
			Platform: &linux.Host{Sockets: linux.Sockets{Lookup: func(helpers.Env, linux.SocketQuery) *linux.Socket {
				if h.r.IntN(3) == 0 {
					return nil
				}
				return linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: linux.SockStream, State: h.r.Uint32()})
			}}},
		},
		AllowUninitStack: !strict, // what the strict rules refuse must not happen
	})
	if err != nil {
		return nil, err
	}
	return &watched{v: v, p: coll.programs[p.Name], h: h}, nil
}

func insnText(insns []prog.Insn) string {
	var b strings.Builder
	for pc := 0; pc < len(insns); pc++ {
		var second prog.Insn
		if insns[pc].IsWide() && pc+1 < len(insns) {
			second = insns[pc+1]
		}
		fmt.Fprintf(&b, "%4d: %s\n", pc, prog.Format(insns[pc], second))
		if insns[pc].IsWide() {
			pc++
		}
	}
	return b.String()
}

// TestEmptyPacket checks that the packet's address is not null, also of a
// packet without memory: the verifier takes the other branch for impossible.
func TestEmptyPacket(t *testing.T) {
	insns, err := prog.Assemble(`
		r2 = *(u32 *)(r1 +0)
		r0 = 1
		if r2 == 0 goto null
		r3 = *(u32 *)(r1 +4)
		r4 = r2
		r4 += -8
		if r4 >= r3 goto null
		exit
		null: r0 = 0
		r0 = *(u64 *)(r0 +0)
		exit`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prog.FromInsns("empty", linux.Platform.Type("xdp"), insns, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := verifier.Verify(context.Background(), p, verifier.Options{}); err != nil {
		t.Fatalf("not accepted, so this tests nothing: %v", err)
	}
	coll, err := LoadProgram(p, Options{Engine: Checked})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	for _, in := range []any{nil, []byte{}, []byte{1}, &Packet{}} {
		if r0, err := coll.Program("empty").Run(in); err != nil || r0 != 1 {
			t.Errorf("%v: got %d, %v", in, r0, err)
		}
	}
}
