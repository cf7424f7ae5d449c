package opt

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// update matches a store of what the two instructions before it load from the same
// place and change:
//
//	r = *p; r += x; *p = r
//
// where x is another register or a constant, and r is not read again.
//
// Sound: neither the load nor the operation writes p or x, since r is neither; and
// the lower bits of the result, which are stored, come of the lower bits of both
// operands alone. So the operation must not be narrower than memory, whose upper
// half it would clear.
func (m *matcher) update(in *prog.Insn) {
	op, load := m.before(1), m.before(2)
	r, p := in.Src, in.Dst
	// Two instructions of the line, and nothing between them that it leaves out.
	if m.n < 2 || m.prev(1).pc != m.at-1 || m.prev(2).pc != m.at-2 ||
		!m.plain(m.at) || !m.plain(m.at-1) || !m.plain(m.at-2) {
		return
	}
	size := in.Op.Size()
	if in.Op != isa.Op(isa.STX)|isa.Op(isa.MEM)|isa.Op(size) || load.Op != isa.Op(isa.LDX)|isa.Op(isa.MEM)|isa.Op(size) ||
		load.Dst != r || load.Src != p || load.Off != in.Off || r == p || m.lives(r) || !updates(op, r, size.Bytes()) {
		return
	}
	m.merge(Idiom{Kind: Update, Src: r, Dst: p}, 2)
}

// plain reports whether the instruction at pc stands for itself so far, and does
// not touch the context.
func (m *matcher) plain(pc prog.PC) bool {
	i := &m.Info[pc]
	return i.Field == nil && !i.Merged && i.Idiom.Kind == NoIdiom && i.Load == 0
}

// updates reports whether op changes r in a way that hosts can change memory of
// size bytes.
func updates(op *prog.Insn, r prog.Reg, size int) bool {
	switch op.Op.Class() {
	case isa.ALU64:
	case isa.ALU:
		if size == 8 {
			return false
		}
	default:
		return false
	}
	switch op.Op.ALUOp() {
	case isa.Add, isa.Sub, isa.And, isa.Or, isa.Xor:
	default:
		return false
	}
	if op.Op.Source() == isa.X {
		return op.Dst == r && op.Src != r
	}
	return op.Dst == r && (size != 2 || op.Imm == int32(int8(op.Imm))) // larger ones have forms that decode slowly
}
