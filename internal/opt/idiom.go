package opt

import (
	"math"

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
	To    prog.PC // Branch; Ones, Zeros and Lowest: the first instruction
}

// reads returns the registers that a Sum or an Access adds up.
func (x *Idiom) reads() Regs {
	if x.Index == NoIndex {
		return bit(x.Src)
	}
	return bit(x.Src) | bit(x.Index)
}

// NoIndex in Idiom.Index means that there is none.
const NoIndex = prog.NumRegs

// An IdiomKind says how operands make a result.
type IdiomKind uint8

const (
	NoIdiom IdiomKind = iota
	// Rotate: Dst = Src rotated left by Imm.
	Rotate
	// Sum: Dst = Src + Index<<Shift + Imm; Shift is 0 if it is not Wide.
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
	// Update: the load, the operation and the store, which are the three
	// instructions up to this one, of memory at Dst + the store's offset; Src,
	// which is loaded and stored, is not read again.
	Update
	// Choose: the Imm instructions after the jump count where its condition does
	// not hold, and what follows them is run either way. They are Merged: one
	// operation, or up to two moves. Wide: a result has 32 bits, and what it
	// would have replaced may have more.
	Choose
	// Tally: Dst += 1 or 0, as Set makes it. The addition, which the jump leads
	// to, is Merged, too.
	Tally
	// Ones: Dst = how many bits of Src are set. The instructions from To on are
	// Merged.
	Ones
	// Zeros: Dst = how many bits of Src above the highest that is set are not, all
	// if none is. The instructions from To on are Merged.
	Zeros
	// Lowest: Dst = how many bits of Src below the lowest that is set are not, 0 if
	// none is. The instructions from To on are Merged.
	Lowest
)

// idioms finds idioms. Requires Info.Target, Info.Live and Func.Pins. Linear:
// each rule looks at a bounded number of instructions.
func (p *Program) idioms(*verifier.Verified) error {
	var m matcher
	for f := range p.Funcs {
		steps := p.flowOf(f)
		m = matcher{Program: p, f: f, pins: p.Funcs[f].Pins, steps: steps}
		for k := range steps {
			s := &steps[k]
			i := &p.Info[s.pc]
			if i.Target {
				m.most.forget()
				m.start = k
				m.cut()
			}
			m.k, m.at, m.live = k, s.pc, s.live
			m.insn(i, s)
		}
	}
	return nil
}

// insn matches what ends with the current instruction, s.
func (m *matcher) insn(i *Info, s *step) {
	if i.Merged { // by the jump before
		m.most.drop(s.writes)
		m.cut()
		return
	}
	in := &m.Insns[s.pc]
	x := line{pc: s.pc, op: in.Op, reads: s.reads, writes: s.writes}
	switch c := in.Op.Class(); c {
	case isa.ALU, isa.ALU64:
		if m.most.idle(in) {
			i.Merged = true
			return
		}
		x.op = m.most.widen(in)
		m.arithmetic(in, x.op)
		if i.Idiom.Kind == NoIdiom && in.Op.Source() == isa.X {
			m.operand(in)
		}
		m.share(in, &x)
		m.most[in.Dst] = m.most.after(in)
		if op := in.Op.ALUOp(); op == isa.Div || op == isa.Mod {
			m.cut() // hosts need registers for it, and take those that are not live
			return
		}
		if i.Load != 0 || i.Idiom.Kind == Rotate || i.Idiom.Kind >= Ones {
			m.n = 0 // what was merged takes part in nothing else
			return
		}
	case isa.LDX:
		if m.lowest(in) {
			m.most[in.Dst] = loads(in)
			m.n, m.open = 0, 0
			return
		}
		m.access(in)
		m.share(in, &x)
		m.most[in.Dst] = loads(in)
		if i.Field != nil && i.Field.IsPointer() {
			m.most[in.Dst] = math.MaxUint64
		}
		if i.Idiom.Kind == Access {
			m.n = 0
			x.reads |= i.Idiom.reads()
		}
	case isa.ST, isa.STX:
		m.access(in)
		m.update(in)
		m.share(in, &x)
		m.most.drop(s.writes) // of atomic operations
		if i.Idiom.Kind != NoIdiom {
			m.n = 0
			return
		}
	case isa.LD:
		m.constant(in)
		m.share(in, &x)
		m.most.drop(s.writes)
		if !in.IsWide() {
			m.cut()
			return
		}
	default:
		m.jump(in)
		m.operand(in)
		m.most.drop(s.writes)
		m.cut()
		return
	}
	m.push(&x)
}

// A matcher is the straight line that ends at an instruction.
type matcher struct {
	*Program
	pins  []Pin
	at    prog.PC
	live  Regs // after it
	most  bound
	fixed fixed
	f     int    // the function
	steps []step // of it
	k     int    // the current one
	start int    // from which on no jump leads to one

	counted bool // memory.entered is that of the function

	from  origin
	known int // from is what holds before steps[known]

	n    int            // instructions of the line
	end  int            // of last, in which the line lies round
	last [maxIdiom]line // the instructions before
	open Regs           // those with a shared sum
	sums [prog.NumRegs]shared
}

// A line is an instruction of the straight line.
type line struct {
	pc            prog.PC
	reads, writes Regs
	op            isa.Op // as bound.widen has it
}

// maxIdiom is how many instructions before its last an idiom has.
const maxIdiom = 8

// cut begins a new straight line.
func (m *matcher) cut() {
	m.n, m.open = 0, 0
}

func (m *matcher) push(x *line) {
	m.last[uint(m.end)%maxIdiom] = *x
	m.end++
	m.n = min(m.n+1, maxIdiom)
}

// prev returns the k-th instruction before the current one, from 1 to m.n.
func (m *matcher) prev(k int) *line { return &m.last[uint(m.end-k)%maxIdiom] }

// before returns the k-th instruction before the current one, from 1 on; the
// zero Insn, which matches nothing, if there is none in the straight line.
func (m *matcher) before(k int) *prog.Insn {
	if k > m.n {
		return &noInsn
	}
	return &m.Insns[m.prev(k).pc]
}

var noInsn prog.Insn

// wideBefore returns the opcode of before, as bound.widen has it.
func (m *matcher) wideBefore(k int) isa.Op {
	if k > m.n {
		return 0
	}
	return m.prev(k).op
}

// copies reports whether the k-th instruction before is a plain 64-bit move to dst,
// or as good as that, and from where.
func (m *matcher) copies(k int, dst prog.Reg) (src prog.Reg, ok bool) {
	if m.wideBefore(k) != copyOp {
		return 0, false
	}
	in := m.before(k)
	return in.Src, in.Off == 0 && in.Dst == dst
}

// shifts returns by how much, from 1 to 3, the k-th instruction before shifts a
// register to the left; 0 if it does something else.
func (m *matcher) shifts(k int) (r prog.Reg, s uint8) {
	if m.wideBefore(k) != alu64|isa.Op(isa.Lsh) {
		return 0, 0
	}
	in := m.before(k)
	if in.Imm < 1 || in.Imm > 3 {
		return 0, 0
	}
	return in.Dst, uint8(in.Imm)
}

// merge gives the current instruction the idiom x, and merges the k before.
func (m *matcher) merge(x Idiom, k int) {
	m.Info[m.at].Idiom = x
	for ; k > 0; k-- {
		m.remove(k)
	}
}

// remove merges the k-th instruction before the current one.
func (m *matcher) remove(k int) {
	i := &m.Info[m.prev(k).pc]
	i.Merged, i.Idiom = true, Idiom{}
}

// lives reports whether r is read after the current instruction.
func (m *matcher) lives(r prog.Reg) bool { return m.live.Has(r) }

const (
	alu   = isa.Op(isa.ALU)
	alu64 = isa.Op(isa.ALU64)

	copyOp = alu64 | isa.Op(isa.Mov) | isa.Op(isa.X)
)

func (m *matcher) arithmetic(in *prog.Insn, wide isa.Op) {
	x := in.Op.Source() == isa.X
	switch in.Op.ALUOp() {
	case isa.Or, isa.Xor, isa.Add:
		if x && m.rotate(in) {
			return
		}
	}
	switch in.Op.ALUOp() {
	case isa.Add:
		m.sum(in, wide)
	case isa.Rsh:
		if m.count(in) {
			m.open = 0
			return
		}
		m.low(in)
	}
}

// rotate matches, before d |= t, a shift of the same value in either direction:
//
//	t = v; t >>= k; d = v; d <<= n     v stays
//	t = v; t >>= k; d <<= n            v is d, or, for t |= d, too
//
// where n + k is the width; t is not read again.
func (m *matcher) rotate(in *prog.Insn) bool {
	class := in.Op & 7
	bits := int32(32)
	if class == alu64 {
		bits = 64
	}
	shift := func(s *prog.Insn) (left int32, ok bool) {
		switch s.Op {
		case class | isa.Op(isa.Lsh):
			return s.Imm, s.Imm > 0 && s.Imm < bits
		case class | isa.Op(isa.Rsh):
			return -s.Imm, s.Imm > 0 && s.Imm < bits
		}
		return 0, false
	}
	move := func(s *prog.Insn) bool {
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

// sum matches d = a; d += b, where b is a register or a constant, and
//
//	d = a; d += n; d += y
//	y = x; y <<= s; d = a; d += y
//
// with s at most 3, where y is not read again. The sum of 32 bits has no shift.
func (m *matcher) sum(in *prog.Insn, op isa.Op) {
	wide := op.Class() == isa.ALU64
	a, off, ok := m.copied(1, in.Dst)
	if !ok && !wide {
		c := m.before(1)
		a, ok = c.Src, c.Op == alu|isa.Op(isa.Mov)|isa.Op(isa.X) && c.Off == 0 && c.Dst == in.Dst
	}
	if !ok && wide && in.Op.Source() == isa.X && in.Src != in.Dst {
		// Of a sum with a constant, which lies before.
		if s := m.sumBefore(in.Dst); s != nil && s.Index == NoIndex && s.Src != in.Dst {
			m.merge(Idiom{Kind: Sum, Wide: true, Dst: in.Dst, Src: s.Src, Index: in.Src, Imm: s.Imm}, 1)
		}
		return
	}
	if !ok {
		return
	}
	x := Idiom{Kind: Sum, Wide: wide, Dst: in.Dst, Src: a, Index: NoIndex, Imm: off}
	switch {
	case in.Op.Source() == isa.K:
		if x.Imm, ok = addImm(off, in.Imm); !ok {
			return
		}
	case in.Src == in.Dst && off != 0:
		return
	case in.Src == in.Dst:
		x.Index = a
	default:
		x.Index = in.Src
		y, s := m.shifts(2)
		if s == 0 || !wide || y != in.Src || y == a || y == in.Dst || m.lives(y) {
			break
		}
		x.Shift = s
		if from, ok := m.copies(3, y); ok && from != y && from != in.Dst {
			x.Index = from
			m.merge(x, 3)
		} else {
			m.merge(x, 2)
		}
		return
	}
	m.merge(x, 1)
}

// sumBefore returns the Sum of 64 bits that the instruction before is, of d; nil if it
// is none.
func (m *matcher) sumBefore(d prog.Reg) *Idiom {
	if m.n == 0 {
		return nil
	}
	if s := &m.Info[m.prev(1).pc].Idiom; s.Kind == Sum && s.Wide && s.Dst == d {
		return s
	}
	return nil
}

// low matches (d = a;) d <<= 32; d >>= 32: the lower half.
func (m *matcher) low(in *prog.Insn) {
	left := m.before(1)
	if in.Op != alu64|isa.Op(isa.Rsh) || in.Imm != 32 || left.Op != alu64|isa.Op(isa.Lsh) || left.Imm != 32 || left.Dst != in.Dst {
		return
	}
	x := Idiom{Kind: Sum, Dst: in.Dst, Src: in.Dst, Index: NoIndex}
	if a, ok := m.copies(2, in.Dst); ok {
		x.Src = a
		m.merge(x, 2)
		return
	}
	m.merge(x, 1)
}

// copied reports whether the k-th instruction before is a plain move to dst, and
// from where; or loads a pinned constant there, which is off more than what src
// holds.
func (m *matcher) copied(k int, dst prog.Reg) (src prog.Reg, off int32, ok bool) {
	if src, ok = m.copies(k, dst); ok {
		return src, 0, true
	}
	if m.before(k).Dst == dst && k <= m.n {
		return m.pinned(m.prev(k).pc)
	}
	return 0, 0, false
}

// addImm returns a + b if that is an Imm.
func addImm(a, b int32) (int32, bool) {
	n := int64(a) + int64(b)
	return int32(n), n == int64(int32(n))
}

// access matches an address that is computed for this load or store alone:
//
//	(y = x; y <<= s;) (p = q; (p += n;)) p += y; access to p
//	(p = x; p <<= s;) p += q; access to p
//
// with s at most 3. None of p and, if it is shifted, y is read again. Where p
// is no copy, what computes it may lie after y is shifted.
func (m *matcher) access(in *prog.Insn) {
	load := in.Op.Class() == isa.LDX
	p := in.Dst
	if load {
		p = in.Src
	}
	if m.wideBefore(1) != alu64|isa.Op(isa.Add)|isa.Op(isa.X) {
		return
	}
	add := m.before(1)
	if in.Op.Mode() == isa.ATOMIC || m.Info[m.at].Field != nil || p == prog.R10 || add.Dst != p || add.Src == p {
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
	if q, off, ok := m.copied(2, p); ok {
		if imm, ok := addImm(off, x.Imm); ok {
			x.Src, x.Imm, k = q, imm, 2
		}
	} else if c := m.before(2); c.Op == alu64|isa.Op(isa.Add) && c.Dst == p {
		if s := m.sumBefore(p); s != nil && s.Shift == 0 && s.Index == add.Src {
			if imm, ok := addImm(s.Imm, x.Imm); ok {
				x.Src, x.Imm, k = s.Src, imm, 3
			}
		}
	}
	shifted, s := m.shifts(k + 1)
	if s == 0 {
		if k == 1 {
			m.accessAfter(x, add.Src, done)
		} else {
			m.merge(x, k)
		}
		return
	}
	copied, ok := m.copies(k+2, shifted)
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
	m.merge(x, k)
}

// accessAfter is access where an instruction that computes p, and stays, may lie
// between the shift of y and the sum.
func (m *matcher) accessAfter(x Idiom, y prog.Reg, done func(prog.Reg) bool) {
	shifted, s := m.shifts(3)
	if s == 0 || shifted != y || !done(y) {
		m.merge(x, 1)
		return
	}
	// It reads what it read, and writes p alone.
	if between := m.prev(2); between.writes != bit(x.Src) || between.reads.Has(y) {
		m.merge(x, 1)
		return
	}
	x.Shift = s
	m.merge(x, 1)
	m.remove(3)
	if from, ok := m.copies(4, y); ok && from != x.Src && from != y {
		m.Info[m.at].Idiom.Index = from
		m.remove(4)
	}
}

// jump matches a conditional jump over another jump, or before one that goes
// back: in a loop the common way is then one jump.
func (m *matcher) jump(in *prog.Insn) {
	to, ok := target(in, m.at)
	next := m.at + 1
	if !ok || endsFlow(in.Op) || in.Op.JmpOp() == isa.MayGoto || int(next) >= len(m.Insns) {
		return
	}
	i := &m.Info[next]
	if i.Target || i.Dead {
		return
	}
	if m.set(in, to, &m.Insns[next]) {
		i.Merged = true
		return
	}
	if m.choose(in, to) {
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
func (m *matcher) set(in *prog.Insn, to prog.PC, over *prog.Insn) bool {
	first := m.before(1)
	if !isBit(first) || !isBit(over) || first.Dst != over.Dst || first.Imm == over.Imm ||
		in.Dst == first.Dst || in.Op.Source() == isa.X && in.Src == first.Dst {
		return false
	}
	if !m.meets(m.at+2, to) {
		return false
	}
	fresh := m.origin().fresh(in)
	if (fresh || m.carries(in)) && m.tally(to, first) {
		return true
	}
	if !fresh {
		return false // a guess does better, as for Choose
	}
	m.merge(Idiom{Kind: Set, Wide: true, Dst: first.Dst, Imm: first.Imm}, 1)
	return true
}

// isBit reports whether in loads 0 or 1.
func isBit(in *prog.Insn) bool {
	return (in.Op == alu|isa.Op(isa.Mov) || in.Op == alu64|isa.Op(isa.Mov)) && in.Imm>>1 == 0
}
