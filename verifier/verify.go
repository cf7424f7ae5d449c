// Package verifier decides whether a program is safe to run.
//
// Verify explores the program by abstract interpretation: package
// verifier/internal/state describes what is known on a set of paths, the files
// exec_*.go say what each class of instructions requires of a state and what
// it leaves, and solve.go carries states through the control flow. States of
// different shape meet without being joined; those of the same shape are
// joined once they agree in the constants that can still decide a branch.
// Loops are unrolled while that is cheap, then widened; if the proof then fails,
// and one path alone is not enough to fail it (guide.go), it is tried again without
// joins and widening, as far as the kernel would go.
// terminate.go proves, on the graph of what was explored, that every path ends.
//
// A rejection is an *Error: the rule (Code), the place in C, the failed check
// with its values, the instructions that made the refused value, the path, and
// what would fix it. An accepted program is a *Verified, whose facts by PC
// engines rely on (Fact), and whose Stats have the worst case of a run.
// Options.Observe shows what is known at each instruction.
//
// A program that Verify accepts touches only its own memory, whatever its
// input, the contents of its maps and what runs beside it. Verify also rejects
// some safe programs: the domain is finite. It never runs code, and any number
// of calls may run at the same time.
package verifier

import (
	"context"
	"errors"
	"time"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// A Verified is a program that Verify accepted, with what it learned. Only
// Verify makes one, so a function that takes a *Verified need not check again.
type Verified struct {
	prog  *prog.Program
	facts facts
	stats Stats

	solver *solver // with Options.Invariants: what was explored
	points *points // and what Watches made of it
}

// Program returns the program.
func (v *Verified) Program() *prog.Program { return v.prog }

// Stats returns what the proof took.
func (v *Verified) Stats() Stats { return v.stats }

// Stats is the cost of a proof and the cost that it proved.
type Stats struct {
	Visits int64 // instructions visited, each as often as it was: the kernel's "processed insns"
	States int   // states stored at once, at most
	Bytes  int64 // their memory, and that of the record of the exploration
	Time   time.Duration
	// WorstCase is how many instructions a run may execute; −1 if a loop is
	// not proven to end (Options.AllowUnbounded).
	WorstCase int64
}

type verifier struct {
	p *prog.Program
	o Options
	g *graph
	l *liveness

	maps      []mapInfo
	maxKey    int // bytes of the largest key and value of maps
	maxValue  int
	facts     facts
	peak      int
	peakBytes int64
	watched   *solver // with Options.Invariants

	used      []int     // by function: bytes of stack
	tailCalls []bool    // by function: makes some
	contracts [][]param // by function: its contract, if its calls are not followed
	roots     map[rootKey]*root
	effects   map[int]effects // by function, once asked for
	handled   *root           // the proof of the function that handles exceptions, if there is one
	rough     bool            // the exploration has joined states, or widened a loop
	refused   *state.Trace    // how the state came about that a check refused
	guide     []*state.Trace  // the decisions to follow, in a guided exploration
}

// An outcome says which ways of a conditional jump are possible.
type outcome uint8

const (
	wasTaken outcome = 1 << iota
	wasNotTaken
)

// Verify proves p safe. The error is an *Error, or what ended ctx. Stats are
// valid even if Verify fails.
func Verify(ctx context.Context, p *prog.Program, o Options) (*Verified, Stats, error) {
	start := time.Now()
	v := &verifier{p: p, o: o.filled(), facts: newFacts(len(p.Insns))}
	stats, err := v.verify(ctx, start)
	stats.Time = time.Since(start)
	if err != nil {
		return nil, stats, err
	}
	v.facts.outer = v.outers()
	return &Verified{prog: p, facts: v.facts, stats: stats, solver: v.watched}, stats, nil
}

func (v *verifier) verify(ctx context.Context, start time.Time) (Stats, error) {
	if v.p.Type == nil {
		return Stats{}, v.errorAt(NoType, 0, nil, "the program's section names no type: choose one")
	}
	v.newMaps()
	v.newTailCalls()
	v.newContracts()
	v.g = v.newGraph()
	if err := v.structure(); err != nil {
		return Stats{}, err
	}
	v.l = v.newLiveness(v.g)
	stats, err := v.explore(ctx, start, 0, quick)
	var refused *Error
	if !v.rough || !errors.As(err, &refused) || refused.definite || refused.Code == TooLong || stats.Visits > patience {
		return stats, err
	}
	if v.guide = decisions(v.refused); len(v.guide) > 0 { // is one path enough to refuse it?
		v.facts = newFacts(len(v.p.Insns))
		stats, err = v.explore(ctx, start, stats.Visits, guided)
		v.guide = nil
		var e *Error
		if !errors.As(err, &e) && err != nil || e != nil && e.definite {
			return stats, err
		}
	}
	// What widening and joining lost may be why. What a run does is exact as
	// long as nothing is widened, and mostly short enough to be followed.
	v.facts = newFacts(len(v.p.Insns))
	again, err := v.explore(ctx, start, stats.Visits, patient)
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == Limit {
		err = refused
	}
	return again, err
}

// How an exploration goes about it.
type mode uint8

const (
	quick   mode = iota
	patient      // widens no loop and joins few states
	guided       // the same, along the decisions of v.guide alone: it proves nothing
)

// explore proves the program. The visits before count as part of it.
func (v *verifier) explore(ctx context.Context, start time.Time, before int64, how mode) (Stats, error) {
	v.used, v.roots = make([]int, len(v.p.Funcs)), map[rootKey]*root{}
	v.effects, v.rough, v.handled = map[int]effects{}, false, nil
	sv := &solver{
		verifier: v, ctx: ctx, deadline: start.Add(v.o.MaxTime), loop: -1,
		visits: before, maxVisits: v.o.MaxVisits, patient: how != quick,
	}
	v.refused = nil
	switch how {
	case patient:
		sv.maxVisits = min(sv.maxVisits, before+patience)
	case guided:
		sv.maxVisits = min(sv.maxVisits, before+maxGuided)
		sv.along = map[*state.Trace]int{}
	}
	sv.root = v.g.newChain(0, state.Subprogram)
	pool := state.NewPool()
	pool.NoAddresses = v.o.Strict
	if !v.o.Invariants { // whose states live on
		defer pool.Close()
	}
	s := state.New(pool, 0, v.o.MaxPacket)
	s.SetReg(1, state.Reg{Kind: state.Ctx, Obj: s.NewObj(state.Obj{Kind: state.Ctx})})
	sv.steps = append(sv.steps, step{}) // the start
	if err := sv.handler(); err != nil {
		return Stats{Visits: sv.visits, States: v.peak, Bytes: v.peakBytes}, err
	}
	err := sv.arrive(sv.root, v.g.entry[0], s, 0, 0)
	if err == nil {
		err = sv.run()
	}
	if err == nil && how != guided {
		err = sv.stackDepth()
	}
	stats := Stats{Visits: sv.visits, States: v.peak, Bytes: v.peakBytes}
	if err != nil || how == guided {
		return stats, err
	}
	if v.o.Invariants {
		sv.done = true
		v.watched = sv
	}
	v.facts.depth = v.used
	stats.WorstCase, err = sv.terminates()
	return stats, err
}
