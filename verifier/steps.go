package verifier

import (
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// maxPeriod bounds the decisions in one iteration of a loop that steps finds.
const maxPeriod = 32

// maxSteps bounds the decisions in an Error: the last ones.
const maxSteps = 1000

// steps returns the decisions of trace with repetitions collapsed.
func (v *verifier) steps(trace *state.Trace) []Step {
	all := decisions(trace)
	var path []Step
	for i := 0; i < len(all); {
		period, times := repeats(all[i:])
		for _, t := range all[i : i+period] {
			path = append(path, Step{PC: prog.PC(t.PC), Note: t.Note.String(), Times: times})
		}
		i += period * times
	}
	path = path[max(0, len(path)-maxSteps):]
	for i := range path {
		s := &path[i]
		s.Line, s.Insn = v.p.LineAt(s.PC), v.p.Text(s.PC)
	}
	return path
}

// repeats returns the period at the start of list that covers most of it when
// repeated, and how often it comes; a period of one and once if none does.
func repeats(list []*state.Trace) (period, times int) {
	period, times = 1, 1
	for p := 1; p <= maxPeriod && 2*p <= len(list); p++ {
		n := p
		for n < len(list) && list[n].PC == list[n-p].PC && list[n].Note == list[n-p].Note {
			n++
		}
		if k := n / p; k > 1 && k*p > period*times {
			period, times = p, k
		}
	}
	return period, times
}
