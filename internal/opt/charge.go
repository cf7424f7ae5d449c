package opt

import (
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// charges finds what loops cost.
//
// Instructions are put in an order in which nearly all edges lead forwards: the
// reverse of that in which a depth-first walk leaves them. The meter is charged
// where an edge leads backwards, which is once in a loop, and on entry to a
// function, for all of it. Sound as an upper bound: let the credit of a run be
// what was charged less what was executed. A function begins with a credit of
// its instructions; going forwards spends at most one for each instruction that
// it leaves behind, so at x the credit is at least the number of instructions
// from x to the end of the order; going back from y to x adds the instructions
// from x to y, which restores that.
func (p *Program) charges(*verifier.Verified) error {
	if len(p.back) == 0 {
		return nil
	}
	w := walk{p: p, at: make([]int32, len(p.Insns)), phase: make([]uint8, len(p.Insns))}
	for f := range p.Program.Funcs {
		fn := &p.Program.Funcs[f]
		w.function(fn.Entry)
		for pc := fn.Entry; pc < fn.End; pc = p.Next(pc) {
			if w.phase[pc] == unseen {
				continue
			}
			w.edge(pc, w.jump(pc))
			w.edge(pc, w.next(pc))
		}
	}
	return nil
}

// A walk is the order of a function's instructions.
type walk struct {
	p     *Program
	at    []int32 // where in the order, by PC
	phase []uint8 // how far the walk is at an instruction
	stack []prog.PC
}

// The phases of an instruction: which of its edges were walked.
const (
	unseen = iota
	jumped
)

// none is no instruction.
const none prog.PC = -1

// jump returns where the instruction at pc jumps to, and next what follows it;
// none if it does not, or nothing leads there.
func (w *walk) jump(pc prog.PC) prog.PC {
	if t, ok := target(w.p.Insns[pc], pc); ok && !w.p.Info[t].Dead {
		return t
	}
	return none
}

func (w *walk) next(pc prog.PC) prog.PC {
	if endsFlow(w.p.Insns[pc]) {
		return none
	}
	if t := w.p.Next(pc); int(t) < len(w.p.Insns) && !w.p.Info[t].Dead {
		return t
	}
	return none
}

// function orders the instructions of the function at entry. What follows an
// instruction is walked last, so that it comes next in the order where it can.
func (w *walk) function(entry prog.PC) {
	if w.p.Info[entry].Dead {
		return
	}
	w.stack = append(w.stack[:0], entry)
	var count int32
	for len(w.stack) > 0 {
		pc := w.stack[len(w.stack)-1]
		to := none
		switch w.phase[pc] {
		case unseen:
			to = w.jump(pc)
		case jumped:
			to = w.next(pc)
		default:
			w.stack = w.stack[:len(w.stack)-1]
			count--
			w.at[pc] = count
			continue
		}
		w.phase[pc]++
		if to != none && w.phase[to] == unseen {
			w.stack = append(w.stack, to)
		}
	}
}

// edge charges for the edge between two instructions if it leads backwards.
func (w *walk) edge(from, to prog.PC) {
	if to == none {
		return
	}
	if d := w.at[from] + 1 - w.at[to]; d > 0 {
		i := &w.p.Info[to]
		i.Charge = max(i.Charge, d)
	}
}
