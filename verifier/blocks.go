package verifier

import (
	"slices"

	"github.com/skepvm/skep/prog"
)

// A Block is a maximal run of instructions that is entered at its first and
// left at its last. A call that enters code of the program is a block of its
// own.
type Block struct {
	Func       int     // index of its function in Program.Funcs
	Start, End prog.PC // End is after the last slot
	Succs      []int   // indices of its successors in the function: fall-through first
	Loops      []int   // indices of the blocks that head the loops it is in, outermost first
}

// Blocks returns the control flow of p, which must have a type: its blocks in
// order of their instructions. Calls go on after the call; what they enter is
// another function.
func Blocks(p *prog.Program) []Block {
	g := (&verifier{p: p}).newGraph()
	blocks := make([]Block, len(g.blocks))
	for i := range g.blocks {
		b := &g.blocks[i]
		blocks[i] = Block{Func: b.fn, Start: b.start, End: b.end, Succs: slices.Clone(b.succs), Loops: slices.Clone(b.loops)}
	}
	return blocks
}
