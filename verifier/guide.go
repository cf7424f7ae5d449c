package verifier

import "github.com/skepvm/skep/verifier/internal/state"

// A refusal of a state that others were joined to may be the joins' fault. To see
// every path without them takes up to a second, and most such programs are refused
// all the same. So one path is followed first, that of one of the joined states: if
// a check fails on it, too, no exploration can accept the program.
//
// Sound: nothing is accepted here. Complete: a state that was followed from the
// start without a join is explored by a patient exploration as well, or one that
// covers it.

// maxGuided is how many instructions are visited to follow a path.
const maxGuided = 100_000

// compare notes how many decisions of the guide have been followed with t; −1 if
// t is another one.
func (sv *solver) compare(t *state.Trace) {
	n := sv.along[t.Prev] // none has been at the start
	if n < 0 || n == len(sv.guide) || sv.guide[n].PC != t.PC || sv.guide[n].Note != t.Note {
		sv.along[t] = -1
		return
	}
	sv.along[t] = n + 1
}
