package opt

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// An Idiom is what hosts have one instruction for where a program takes
// several. The last of these has it, the others are marked Merged: a back end
// writes nothing for those, and the idiom in place of the last. Whoever ignores
// idioms and lowers each instruction computes the same, as far as registers that
// are read later go.
//
// No jump leads to an instruction of an idiom but the first.
type Idiom struct {
	Kind  IdiomKind
	Wide  bool     // 64 bits; otherwise the upper half of Dst becomes 0
	Dst   prog.Reg // what is computed
	Src   prog.Reg
	Index prog.Reg // Sum, Access: NoIndex if there is none
	Shift uint8    // of Index
	Imm   int32
	To    prog.PC // Branch
}

// NoIndex in Idiom.Index means that there is none.
const NoIndex = prog.NumRegs

// An IdiomKind says how operands make a result.
type IdiomKind uint8

const (
	NoIdiom IdiomKind = iota
	// Rotate: Dst = Src rotated left by Imm.
	Rotate
	// Sum: Dst = Src + Index<<Shift + Imm.
	Sum
	// Access: the load or store itself, of memory at Src + Index<<Shift + Imm.
	Access
	// Branch: the jump goes to To where its condition does not hold, and else
	// to its own target, unless that is what follows. Here the jump, which is
	// the first instruction, has the idiom, and the next is Merged.
	Branch
	// Set: Dst = 1 or 0, Imm where the condition of the jump holds. The jump has
	// the idiom; the moves before and after it are Merged.
	Set
)

// idioms finds idioms. Requires Info.Target and Info.Live. Linear: each rule
// looks at a bounded number of instructions.
func (p *Program) idioms(*verifier.Verified) error {
	for f := range p.Program.Funcs {
		fn := &p.Program.Funcs[f]
		m := matcher{Program: p}
		for pc := fn.Entry; pc < fn.End; pc = p.Next(pc) {
			i := &p.Info[pc]
			if i.Target || i.Dead {
				m.n = 0
			}
			if i.Dead || i.Merged {
				m.n = 0
				continue
			}
			m.at = pc
			in := p.Insns[pc]
			switch in.Op.Class() {
			case isa.ALU, isa.ALU64:
				m.arithmetic(in)
			case isa.LDX, isa.ST, isa.STX:
				m.access(in)
			case isa.JMP, isa.JMP32:
				m.jump(in)
				m.n = 0
				continue
			}
			if i.Idiom.Kind != NoIdiom && i.Idiom.Kind != Sum {
				m.n = 0 // what was merged takes part in nothing else
				continue
			}
			m.push(pc)
		}
	}
	return nil
}

// A matcher is the straight line that ends at an instruction.
type matcher struct {
	*Program
	at   prog.PC
	n    int
	last [maxIdiom]prog.PC // the instructions before, the last at n-1
}

// maxIdiom is how many instructions before its last an idiom has.
const maxIdiom = 4

func (m *matcher) push(pc prog.PC) {
	if m.n == maxIdiom {
		copy(m.last[:], m.last[1:])
		m.n--
	}
	m.last[m.n] = pc
	m.n++
}

// before returns the k-th instruction before the current one, from 1 on; the
// zero Insn, which matches nothing, if there is none in the straight line.
func (m *matcher) before(k int) prog.Insn {
	if k > m.n {
		return prog.Insn{}
	}
	return m.Insns[m.last[m.n-k]]
}

// merge gives the current instruction the idiom x, and merges the k before.
func (m *matcher) merge(x Idiom, k int) {
	m.Info[m.at].Idiom = x
	for ; k > 0; k-- {
		i := &m.Info[m.last[m.n-k]]
		i.Merged, i.Idiom = true, Idiom{}
	}
}

// lives reports whether r is read after the current instruction.
func (m *matcher) lives(r prog.Reg) bool { return m.Info[m.at].Live.Has(r) }

const (
	alu   = isa.Op(isa.ALU)
	alu64 = isa.Op(isa.ALU64)
)

// isCopy reports whether in is a plain 64-bit move to dst, and from where.
func isCopy(in prog.Insn, dst prog.Reg) (src prog.Reg, ok bool) {
	return in.Src, in.Op == alu64|isa.Op(isa.Mov)|isa.Op(isa.X) && in.Off == 0 && in.Dst == dst
}

func (m *matcher) arithmetic(in prog.Insn) {
	x := in.Op.Source() == isa.X
	switch in.Op.ALUOp() {
	case isa.Or, isa.Xor, isa.Add:
		if x && m.rotate(in) {
			return
		}
	}
	if in.Op == alu64|isa.Op(isa.Add)|isa.Op(in.Op.Source()) {
		m.sum(in)
	}
}

// rotate matches, before d |= t, a shift of the same value in either direction:
//
//	t = v; t >>= k; d = v; d <<= n     v stays
//	t = v; t >>= k; d <<= n            v is d, or, for t |= d, too
//
// where n + k is the width; t is not read again.
func (m *matcher) rotate(in prog.Insn) bool {
	class := in.Op & 7
	bits := int32(32)
	if class == alu64 {
		bits = 64
	}
	shift := func(s prog.Insn) (left int32, ok bool) {
		switch s.Op {
		case class | isa.Op(isa.Lsh):
			return s.Imm, s.Imm > 0 && s.Imm < bits
		case class | isa.Op(isa.Rsh):
			return -s.Imm, s.Imm > 0 && s.Imm < bits
		}
		return 0, false
	}
	move := func(s prog.Insn) bool {
		return s.Op == alu64|isa.Op(isa.Mov)|isa.Op(isa.X) && s.Off == 0 ||
			s.Op == alu|isa.Op(isa.Mov)|isa.Op(isa.X) && s.Off == 0 && class == alu
	}
	if in.Dst == in.Src || m.lives(in.Src) {
		return false
	}
	a, ok := shift(m.before(1))
	if !ok {
		return false
	}
	second := m.before(1).Dst
	k, v := 4, second
	if c := m.before(2); move(c) && c.Dst == second {
		k, v = 5, c.Src // the value stays
	}
	s, c := m.before(k-2), m.before(k-1)
	b, ok := shift(s)
	first := s.Dst
	if !ok || !move(c) || c.Dst != first || c.Src != v || first == v || first == second ||
		k == 5 && second == v ||
		!(first == in.Dst && second == in.Src || first == in.Src && second == in.Dst) {
		return false
	}
	switch {
	case a-b == bits:
		m.merge(Idiom{Kind: Rotate, Wide: class == alu64, Dst: in.Dst, Src: v, Imm: a}, k-1)
	case b-a == bits:
		m.merge(Idiom{Kind: Rotate, Wide: class == alu64, Dst: in.Dst, Src: v, Imm: b}, k-1)
	default:
		return false
	}
	return true
}

// sum matches d = a; d += b, where b is a register or a constant.
func (m *matcher) sum(in prog.Insn) {
	a, ok := isCopy(m.before(1), in.Dst)
	if !ok {
		return
	}
	x := Idiom{Kind: Sum, Wide: true, Dst: in.Dst, Src: a, Index: NoIndex}
	switch {
	case in.Op.Source() == isa.K:
		x.Imm = in.Imm
	case in.Src == in.Dst:
		x.Index = a
	default:
		x.Index = in.Src
	}
	m.merge(x, 1)
}

// access matches an address that is computed for this load or store alone:
//
//	(y = x; y <<= s;) (p = q;) p += y; access to p
//	(p = x; p <<= s;) p += q; access to p
//
// with s at most 3. None of p and, if it is shifted, y is read again.
func (m *matcher) access(in prog.Insn) {
	load := in.Op.Class() == isa.LDX
	p := in.Dst
	if load {
		p = in.Src
	}
	add := m.before(1)
	if in.Op.Mode() == isa.ATOMIC || m.Info[m.at].Field != nil || p == prog.R10 ||
		add.Op != alu64|isa.Op(isa.Add)|isa.Op(isa.X) || add.Dst != p || add.Src == p {
		return
	}
	// done reports whether what r held is not needed any more.
	done := func(r prog.Reg) bool {
		if load {
			return in.Dst == r || !m.lives(r)
		}
		return !m.lives(r) && !(in.Op.Class() == isa.STX && in.Src == r)
	}
	if !done(p) {
		return
	}
	x := Idiom{Kind: Access, Wide: true, Src: p, Index: add.Src, Imm: int32(in.Off)}
	k := 1
	if q, ok := isCopy(m.before(2), p); ok {
		x.Src, k = q, 2
	}
	if shifted, s := shiftOf(m.before(k + 1)); s > 0 {
		copied, ok := isCopy(m.before(k+2), shifted)
		switch {
		case shifted == add.Src && x.Src != shifted && done(shifted):
			x.Shift, k = s, k+1
			if ok && copied != p && copied != shifted {
				x.Index, k = copied, k+1
			}
		case shifted == p && k == 1:
			x.Src, x.Index, x.Shift, k = add.Src, p, s, 2
			if ok && copied != p {
				x.Index, k = copied, 3
			}
		}
	}
	m.merge(x, k)
}

// shiftOf returns by how much, from 1 to 3, in shifts a register to the left; 0
// if it does something else.
func shiftOf(in prog.Insn) (r prog.Reg, s uint8) {
	if in.Op == alu64|isa.Op(isa.Lsh) && in.Imm >= 1 && in.Imm <= 3 {
		return in.Dst, uint8(in.Imm)
	}
	return 0, 0
}

// jump matches a conditional jump over another jump, or before one that goes
// back: in a loop the common way is then one jump.
func (m *matcher) jump(in prog.Insn) {
	to, ok := in.Target(m.at)
	next := m.at + 1
	if !ok || endsFlow(in) || in.Op.JmpOp() == isa.MayGoto || int(next) >= len(m.Insns) {
		return
	}
	i := &m.Info[next]
	if i.Target || i.Dead {
		return
	}
	if m.set(in, to, m.Insns[next]) {
		i.Merged = true
		return
	}
	switch over := m.Insns[next]; over.Op {
	case isa.Op(isa.JMP) | isa.Op(isa.JA), isa.Op(isa.JMP32) | isa.Op(isa.JA):
		back, _ := over.Target(next)
		if to == next+1 || back <= m.at && to > m.at {
			m.Info[m.at].Idiom = Idiom{Kind: Branch, To: back}
			i.Merged = true
		}
	}
}

// set matches d = a; if … goto to; d = b, where a and b are 0 and 1, and what
// follows is to, or a jump there.
func (m *matcher) set(in prog.Insn, to prog.PC, over prog.Insn) bool {
	first := m.before(1)
	if !isBit(first) || !isBit(over) || first.Dst != over.Dst || first.Imm == over.Imm ||
		in.Dst == first.Dst || in.Op.Source() == isa.X && in.Src == first.Dst {
		return false
	}
	if after := m.at + 2; to != after {
		if int(after) >= len(m.Insns) || m.Info[after].Dead {
			return false
		}
		then := m.Insns[after]
		if t, ok := then.Target(after); !ok || t != to || then.Op.JmpOp() != isa.JA || !endsFlow(then) {
			return false
		}
	}
	m.merge(Idiom{Kind: Set, Wide: true, Dst: first.Dst, Imm: first.Imm}, 1)
	return true
}

// isBit reports whether in loads 0 or 1.
func isBit(in prog.Insn) bool {
	return (in.Op == alu|isa.Op(isa.Mov) || in.Op == alu64|isa.Op(isa.Mov)) && in.Imm>>1 == 0
}
