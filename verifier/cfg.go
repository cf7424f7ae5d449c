package verifier

import (
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/wto"
)

// A block is a maximal run of instructions that is entered at its first and
// left at its last. A call that enters code of the program, a subprogram or a
// callback, is a block of its own: a callback returns to it.
type block struct {
	fn         int
	start, end prog.PC // end is after the last slot
	succs      []int   // indices into graph.blocks; for a conditional jump: fall-through, target
	order      int32   // position in the weak topological order of its function
	loops      []int   // blocks that head the loops it is in, outermost first, itself included
	joins      bool    // has several predecessors, heads a loop, or is entered from elsewhere
	weight     int64   // instructions
	compares   prog.PC // the conditional jump at its end, if it compares two registers that the block does not write; −1
}

// graph is the control flow of a program, function by function.
type graph struct {
	p      *prog.Program
	blocks []block
	at     []int  // PC of a block's start to its index; −1 elsewhere
	leaves []bool // by PC: a jump, or a call that is a block of its own
	entry  []int  // function to its first block
}

// last returns the index after the last block of function fn.
func (g *graph) last(fn int) int {
	if fn+1 < len(g.entry) {
		return g.entry[fn+1]
	}
	return len(g.blocks)
}

// lastInsn returns where the last instruction of block b begins.
func (g *graph) lastInsn(b int) prog.PC {
	last := g.blocks[b].start
	for pc := last; pc < g.blocks[b].end; pc = next(g.p, pc) {
		last = pc
	}
	return last
}

// next returns the PC after the instruction at pc.
func next(p *prog.Program, pc prog.PC) prog.PC {
	if p.Insns[pc].IsWide() {
		return pc + 2
	}
	return pc + 1
}

// jumpTarget returns where the jump at pc goes when taken.
func jumpTarget(in prog.Insn, pc prog.PC) prog.PC {
	if in.Op == isa.Op(isa.JMP32)|isa.Op(isa.JA) { // gotol
		return pc + 1 + prog.PC(in.Imm)
	}
	return pc + 1 + prog.PC(in.Off)
}

func isJump(in prog.Insn) bool {
	c := in.Op.Class()
	return c == isa.JMP || c == isa.JMP32
}

// entersProgram reports whether the call at in may run code of the program
// before it returns.
func (v *verifier) entersProgram(in prog.Insn) bool {
	if in.IsCall(isa.CallSub) || isCallX(in) {
		return true
	}
	f := v.callee(in)
	return f != nil && f.Proto.Control == helpers.Callback
}

// newGraph splits the program into blocks and orders them.
func (v *verifier) newGraph() *graph {
	p := v.p
	leader := make([]bool, len(p.Insns)+1)
	leaves := make([]bool, len(p.Insns))
	for i := range p.Funcs {
		f := &p.Funcs[i]
		leader[f.Entry] = true
		for pc := f.Entry; pc < f.End; pc = next(p, pc) {
			in := p.Insns[pc]
			if !isJump(in) {
				continue
			}
			leaves[pc] = true
			switch in.Op.JmpOp() {
			case isa.Exit:
				leader[pc+1] = true
			case isa.Call:
				leaves[pc] = v.isOwnBlock(in)
				if leaves[pc] {
					leader[pc], leader[pc+1] = true, true
				}
			default:
				leader[pc+1] = true
				leader[jumpTarget(in, pc)] = true
			}
		}
	}
	g := &graph{p: p, at: make([]int, len(p.Insns)), leaves: leaves, entry: make([]int, len(p.Funcs))}
	for i := range g.at {
		g.at[i] = -1
	}
	for i := range p.Funcs {
		f := &p.Funcs[i]
		g.entry[i] = len(g.blocks)
		for pc := f.Entry; pc < f.End; {
			b := block{fn: i, start: pc}
			for pc < f.End && (pc == b.start || !leader[pc]) {
				pc = next(p, pc)
				b.weight++
			}
			b.end = pc
			g.at[b.start] = len(g.blocks)
			g.blocks = append(g.blocks, b)
		}
	}
	for i := range g.blocks {
		g.link(i)
	}
	preds := make([]int, len(g.blocks))
	for i := range g.blocks {
		for _, s := range g.blocks[i].succs {
			preds[s]++
		}
	}
	for i := range p.Funcs {
		g.sort(i)
	}
	for i := range g.blocks {
		b := &g.blocks[i]
		b.joins = b.joins || preds[i] > 1 || len(b.loops) > 0 && b.loops[len(b.loops)-1] == i || b.start == p.Funcs[b.fn].Entry
		if in := p.Insns[b.start]; leaves[b.start] && in.Op.JmpOp() == isa.Call {
			b.joins = true
			for _, s := range b.succs {
				g.blocks[s].joins = true // entered by every return
			}
		}
	}
	return g
}

// writes reports whether an instruction of b may write r.
func (g *graph) writes(b *block, r prog.Reg) bool {
	for pc := b.start; pc < b.end; pc = next(g.p, pc) {
		switch in := g.p.Insns[pc]; in.Op.Class() {
		case isa.ST:
		case isa.STX:
			if in.Op.Mode() == isa.ATOMIC {
				return true // may write src or r0: not worth telling
			}
		case isa.JMP, isa.JMP32:
			if in.Op.JmpOp() == isa.Call && r <= prog.R5 {
				return true
			}
		case isa.LD:
			if !in.IsWide() && r <= prog.R5 || in.IsWide() && in.Dst == r {
				return true
			}
		default:
			if in.Dst == r {
				return true
			}
		}
	}
	return false
}

// link fills the successors of block i.
func (g *graph) link(i int) {
	b := &g.blocks[i]
	b.compares = -1
	last := b.start
	for pc := b.start; pc < b.end; pc = next(g.p, pc) {
		last = pc
	}
	in := g.p.Insns[last]
	switch op := in.Op.JmpOp(); {
	case !isJump(in) || op == isa.Call: // functions end with an exit or a jump, whatever the call
		b.succs = []int{g.at[b.end]}
	case op == isa.Exit:
	case op == isa.JA:
		b.succs = []int{g.at[jumpTarget(in, last)]}
	default:
		b.succs = []int{g.at[b.end], g.at[jumpTarget(in, last)]}
		if op != isa.MayGoto && in.Op.Source() == isa.X && !g.writes(b, in.Dst) && !g.writes(b, in.Src) {
			b.compares = last
		}
	}
}

// sort orders the blocks of function fn and finds its loops. Blocks that the
// graph cannot reach are in no loop; structure refuses a program that has some.
func (g *graph) sort(fn int) {
	first, last := g.entry[fn], g.last(fn)
	succ := make([][]int32, last-first)
	for i := range succ {
		for _, s := range g.blocks[first+i].succs {
			succ[i] = append(succ[i], int32(s-first))
		}
	}
	order := wto.New(0, succ)
	heads := make([][]int, len(order.Nodes)) // by position: loops that hold it
	for at, n := range order.Nodes {
		b := &g.blocks[first+int(n)]
		if up := order.Outer[at]; up >= 0 {
			heads[at] = heads[up]
		}
		if order.End[at] != 0 {
			heads[at] = append(slices.Clone(heads[at]), first+int(n))
		}
		b.order, b.loops = int32(at), heads[at]
	}
}
