package opt

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// maxChosen is how many instructions a jump may lead over for them to be a Choose.
const maxChosen = 2

// choose matches a jump, in, to to, whose other way leads there too after an
// operation or up to two plain moves: it is less to do them always, and to keep
// what they would have changed, than to guess wrong where a jump leads.
//
// It makes what follows wait for the condition, which a good guess spares. So the
// condition has to be fresh, as has what an operation changes: then no iteration
// of a loop waits for the one before because of it. Nor may it wait for memory whose
// address depends on what is chosen, as in a search, or what is replaced come from the
// stack, where it is likely to go back. A carry has no such price: see carries.
//
// Sound: neither the operation nor a move can fail or touch memory; it reads what
// it would have read, since nothing was written after the jump; of two moves
// neither changes what the other has.
func (m *matcher) choose(in *prog.Insn, to prog.PC) bool {
	first, end := m.at+1, m.at+2
	for !m.meets(end, to) {
		if end++; end-first > maxChosen {
			return false
		}
	}
	narrow := false // a 32-bit result in a register of 64 bits
	var writes Regs
	for pc := first; pc < end; pc++ {
		body, i := &m.Insns[pc], &m.Info[pc]
		if i.Target || i.Dead || !chosen(body, end-first > 1) || writes.Has(body.Dst) ||
			body.Op.Source() == isa.X && body.Op.ALUOp() != isa.Neg && writes.Has(body.Src) ||
			m.slows(in, body) {
			return false
		}
		writes |= bit(body.Dst)
		narrow = narrow || body.Op.Class() == isa.ALU && m.most[body.Dst] > most32
	}
	for pc := first; pc < end; pc++ {
		m.Info[pc].Merged = true
	}
	m.Info[m.at].Idiom = Idiom{Kind: Choose, Wide: narrow, Imm: int32(end - first)}
	return true
}

// meets reports whether what follows the instruction before pc is the one at to:
// there it lies, or a jump to it.
func (m *matcher) meets(pc, to prog.PC) bool {
	if pc == to {
		return true
	}
	if int(pc) >= len(m.Insns) || m.Info[pc].Dead {
		return false
	}
	in := m.Insns[pc]
	t, ok := in.Target(pc)
	return ok && t == to && endsFlow(in.Op)
}

// chosen reports whether in can be part of a Choose: a move, or, unless it has to
// be one, an operation that takes hosts a cycle.
func chosen(in *prog.Insn, move bool) bool {
	if c := in.Op.Class(); c != isa.ALU && c != isa.ALU64 || in.Off != 0 {
		return false
	}
	switch in.Op.ALUOp() {
	case isa.Mov:
		return true
	case isa.Add, isa.Sub, isa.And, isa.Or, isa.Xor, isa.Neg:
		return !move
	case isa.Lsh, isa.Rsh, isa.Arsh:
		return !move && in.Op.Source() == isa.K
	}
	return false
}

// slows reports whether a guess where the jump in leads does better than to choose the
// result of body.
func (m *matcher) slows(in, body *prog.Insn) bool {
	if isIncrement(body) && m.carries(in) {
		return false
	}
	o := m.origin()
	return !o.fresh(in) || body.Op.ALUOp() != isa.Mov && o.values[body.Dst] != 0 || o.waits(in, body)
}

// isIncrement reports whether in adds 1.
func isIncrement(in *prog.Insn) bool {
	return (in.Op == alu|isa.Op(isa.Add) || in.Op == alu64|isa.Op(isa.Add)) && in.Imm == 1
}

// carries reports whether the jump in asks for the carry of the sum before it: whether
// that is below what was added. Hosts that add with carry are then done a cycle after
// the sum, and carries are hard to guess.
func (m *matcher) carries(in *prog.Insn) bool {
	sum, part := in.Dst, in.Src
	switch in.Op.JmpOp() {
	case isa.JLt, isa.JGe:
	case isa.JGt, isa.JLe:
		sum, part = part, sum
	default:
		return false
	}
	k, class := 1, alu64
	if in.Op.Class() == isa.JMP32 {
		class = alu
	}
	if first := m.before(1); isBit(first) && first.Dst != sum && first.Dst != part {
		k = 2
	}
	add := m.before(k)
	if in.Op.Source() != isa.X || sum == part || add.Op != class|isa.Op(isa.Add)|isa.Op(isa.X) || add.Dst != sum {
		return false
	}
	c := m.before(k + 1)
	return add.Src == part || c.Op&^7 == isa.Op(isa.Mov)|isa.Op(isa.X) && c.Dst == sum && c.Src == part
}

// An origin says of each register what it was computed of on a straight line: the
// registers at its beginning, and those that addresses of loads were computed of.
type origin struct{ values, addresses [prog.NumRegs + 1]Regs }

// origin returns what holds before the current instruction. Most of the time nobody
// asks.
func (m *matcher) origin() *origin {
	if m.known <= m.start {
		m.from.reset()
		m.known = m.start
	}
	for ; m.known < m.k; m.known++ {
		m.from.step(&m.Insns[m.steps[m.known].pc])
	}
	return &m.from
}

// reset makes o that of the beginning of a line.
func (o *origin) reset() {
	*o = origin{}
	for r := range o.values {
		o.values[r] = 1 << r
	}
}

// step makes o that after in, which is no jump.
func (o *origin) step(in *prog.Insn) {
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		values, addresses := o.values[in.Dst], o.addresses[in.Dst]
		if in.Op.ALUOp() == isa.Mov {
			values, addresses = 0, 0
		}
		if in.Op.Source() == isa.X && in.Op.ALUOp() != isa.End {
			values |= o.values[in.Src]
			addresses |= o.addresses[in.Src]
		}
		o.values[in.Dst], o.addresses[in.Dst] = values, addresses
	case isa.LDX:
		o.values[in.Dst], o.addresses[in.Dst] = 0, o.values[in.Src]|o.addresses[in.Src]
	case isa.LD:
		o.values[in.Dst], o.addresses[in.Dst] = 0, 0
	}
}

// fresh reports whether the condition of the jump in was computed of nothing that
// registers held at the beginning of the line.
func (o *origin) fresh(in *prog.Insn) bool {
	return o.values[in.Dst] == 0 && (in.Op.Source() == isa.K || o.values[in.Src] == 0)
}

// waits reports whether the condition of the jump in waits for loads by what body
// reads or replaces, or body replaces what was loaded from the stack.
func (o *origin) waits(in, body *prog.Insn) bool {
	loads := o.addresses[in.Dst]
	if in.Op.Source() == isa.X {
		loads |= o.addresses[in.Src]
	}
	of := o.values[body.Dst]
	if body.Op.Source() == isa.X {
		of |= o.values[body.Src]
	}
	return loads&of != 0 || o.addresses[body.Dst].Has(prog.R10)
}
