package opt

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// maxCount is how many instructions a count of bits has: that of 64 leading zeros
// 39, and a few copies.
const maxCount = 44

// A value is what an instruction of a straight line computes.
type value struct {
	in    prog.Insn
	pc    prog.PC
	a, b  int // its operands: values, or what registers held at the beginning
	imm   uint64
	isImm bool // b is imm
}

// atStart is the number of what r held at the beginning of the line. Those of values
// are not negative.
func atStart(r prog.Reg) int { return -1 - int(r) }

// A count is a straight line that may count bits: what each instruction computes of
// what, whatever the registers.
type count struct {
	n      int
	values [maxCount]value
	used   uint64 // of values, by those that the pattern consists of
	wide   bool
	fixed  *fixed
}

// A fixed says which registers hold the same constant wherever a function reads them.
type fixed struct {
	known  bool
	value  [prog.NumRegs]uint64
	always Regs
}

// count matches, at its last instruction, what compilers make of counting the bits
// that are set (Warren, Hacker's Delight, section 5-1), and of counting leading zeros
// by means of it, at 32 and 64 bits.
//
// Sound: the pattern is one of values, so that it does not matter which registers
// they pass through. Nothing else lies between its first instruction and its last;
// no register that they write but the last is read afterwards; what they all begin
// with is in a register before the first.
func (m *matcher) count(in *prog.Insn) bool {
	wide := in.Op.Class() == isa.ALU64
	if in.Op.Source() != isa.K || !(wide && in.Imm == 56 || !wide && in.Imm == 24) {
		return false
	}
	if m.at == 0 {
		return false
	}
	if before := m.Insns[m.at-1]; before.Op&7 != in.Op&7 || before.Op.ALUOp() != isa.Mul {
		return false
	}
	c := count{wide: wide, fixed: m.fixedOf()}
	m.line(&c, m.at)
	kind := Ones
	x, ok := c.ones(c.n - 1)
	if !ok {
		return false
	}
	if y, ok := c.zeros(x); ok {
		kind, x = Zeros, y
	}
	first := 0
	for c.used>>first&1 == 0 {
		first++
	}
	if x >= first || !m.onlyCounts(&c, first, in.Dst) {
		return false
	}
	src, ok := m.holder(&c, first, x)
	if !ok {
		return false
	}
	for k := first; k < c.n; k++ {
		i := &m.Info[c.values[k].pc]
		i.Merged, i.Idiom = true, Idiom{}
	}
	i := &m.Info[m.at]
	i.Merged, i.Idiom = false, Idiom{Kind: kind, Wide: wide, Dst: in.Dst, Src: src, To: c.values[first].pc}
	return true
}

// line fills c with the straight line that ends at end, as far as it may belong to a
// count.
func (m *matcher) line(c *count, end prog.PC) {
	var pcs [maxCount]prog.PC
	n := 0
	for pc := end; n < maxCount; {
		if i := &m.Info[pc]; i.Dead || i.Load != 0 {
			break
		}
		in := m.Insns[pc]
		if cl := in.Op.Class(); cl != isa.ALU && cl != isa.ALU64 && !(in.IsWide() && in.Src == 0) {
			break
		}
		pcs[n] = pc
		n++
		if m.Info[pc].Target || pc == 0 {
			break
		}
		if pc--; m.Insns[pc].Op == 0 && pc > 0 {
			pc--
		}
	}
	var holds [prog.NumRegs]int
	for r := range holds {
		holds[r] = atStart(prog.Reg(r))
	}
	for n--; n >= 0; n-- {
		in := m.Insns[pcs[n]]
		v := value{in: in, pc: pcs[n], a: holds[in.Dst], b: holds[in.Src]}
		result := c.n
		switch {
		case in.IsWide():
			v.imm, v.isImm = uint64(uint32(in.Imm))|uint64(uint32(m.Insns[pcs[n]+1].Imm))<<32, true
		case in.Op.Source() == isa.K:
			v.imm, v.isImm = uint64(int64(in.Imm)), true
		case c.copies(&in):
			result = v.b
		}
		c.values[c.n] = v
		c.n++
		holds[in.Dst] = result
	}
}

// copies reports whether in moves all that c counts from one register to another.
func (c *count) copies(in *prog.Insn) bool {
	return in.Op.ALUOp() == isa.Mov && in.Op.Source() == isa.X && in.Off == 0 && (in.Op.Class() == isa.ALU64 || !c.wide)
}

// operation returns the operands of value v, if it is the operation op at c's width.
func (c *count) operation(v int, op isa.ALUOp) (a, b int, ok bool) {
	if v < 0 {
		return 0, 0, false
	}
	x := &c.values[v]
	if x.in.IsWide() || x.in.Op.ALUOp() != op || (x.in.Op.Class() == isa.ALU64) != c.wide || x.in.Off != 0 {
		return 0, 0, false
	}
	c.used |= 1 << v
	return x.a, x.b, true
}

// pair returns the operands of value v, if it is the operation op of two registers.
func (c *count) pair(v int, op isa.ALUOp) (a, b int, ok bool) {
	a, b, ok = c.operation(v, op)
	return a, b, ok && !c.values[v].isImm
}

// by returns the first operand of value v, if it is the operation op with the
// constant k, of c's width.
func (c *count) by(v int, op isa.ALUOp, k uint64) (a int, ok bool) {
	a, b, ok := c.operation(v, op)
	if !ok {
		return 0, false
	}
	mask := ^uint64(0)
	if !c.wide {
		mask = most32
	}
	if x := &c.values[v]; x.isImm {
		return a, x.imm&mask == k&mask
	}
	if b < 0 {
		r := prog.Reg(-1 - b)
		return a, c.fixed.always.Has(r) && c.fixed.value[r]&mask == k&mask
	}
	x := &c.values[b]
	if !x.isImm || !x.in.IsWide() && x.in.Op.ALUOp() != isa.Mov {
		return 0, false
	}
	c.used |= 1 << b
	n := x.imm
	if x.in.Op.Class() == isa.ALU {
		n &= most32
	}
	return a, n&mask == k&mask
}

// bits returns the width.
func (c *count) bits() uint64 {
	if c.wide {
		return 64
	}
	return 32
}

// ones returns what value v is the number of set bits of.
func (c *count) ones(v int) (x int, ok bool) {
	const each, quarter, half, low = 0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f, 0x0101010101010101
	if v, ok = c.by(v, isa.Rsh, c.bits()-8); !ok {
		return 0, false
	}
	if v, ok = c.by(v, isa.Mul, low); !ok {
		return 0, false
	}
	if v, ok = c.by(v, isa.And, half); !ok {
		return 0, false
	}
	fours, ok := c.andShifted(v, isa.Add, 4)
	if !ok {
		return 0, false
	}
	a, b, ok := c.pair(fours, isa.Add)
	if !ok {
		return 0, false
	}
	if a, ok = c.by(a, isa.And, quarter); !ok {
		return 0, false
	}
	if b, ok = c.by(b, isa.And, quarter); !ok {
		return 0, false
	}
	before := c.used
	pairs, ok := c.by(b, isa.Rsh, 2)
	if !ok || pairs != a {
		c.used = before
		if pairs, ok = c.by(a, isa.Rsh, 2); !ok || pairs != b {
			return 0, false
		}
	}
	x, b, ok = c.pair(pairs, isa.Sub)
	if !ok {
		return 0, false
	}
	if b, ok = c.by(b, isa.And, each); !ok {
		return 0, false
	}
	y, ok := c.by(b, isa.Rsh, 1)
	return x, ok && x == y
}

// zeros returns what x, of which the bits are counted, is the complement of
// everything from the highest set bit on down of.
func (c *count) zeros(x int) (of int, ok bool) {
	before := c.used
	defer func() {
		if !ok {
			c.used = before
		}
	}()
	if x, ok = c.by(x, isa.Xor, ^uint64(0)); !ok {
		return 0, false
	}
	for n := c.bits() / 2; n > 0; n /= 2 {
		if x, ok = c.andShifted(x, isa.Or, n); !ok {
			return 0, false
		}
	}
	return x, true
}

// andShifted returns y, if value v is y op y >> n.
func (c *count) andShifted(v int, op isa.ALUOp, n uint64) (y int, ok bool) {
	a, b, ok := c.pair(v, op)
	if !ok {
		return 0, false
	}
	before := c.used
	if y, ok = c.by(b, isa.Rsh, n); ok && y == a {
		return y, true
	}
	c.used = before
	y, ok = c.by(a, isa.Rsh, n)
	return y, ok && y == b
}

// onlyCounts reports whether c's values from first on serve nothing but the current
// instruction, which writes result.
func (m *matcher) onlyCounts(c *count, first int, result prog.Reg) bool {
	for k := first; k < c.n; k++ {
		x := &c.values[k]
		if c.used>>k&1 == 0 && !c.copies(&x.in) || x.in.Dst != result && m.lives(x.in.Dst) {
			return false
		}
		switch i := &m.Info[x.pc].Idiom; i.Kind {
		case NoIdiom:
		case Sum: // of instructions that are all among these
			if k < first+3 && (i.Shift > 0 || k < first+1) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// holder returns a register that holds value x before the instruction of value
// first.
func (m *matcher) holder(c *count, first, x int) (prog.Reg, bool) {
	var holds [prog.NumRegs]int
	for r := range holds {
		holds[r] = atStart(prog.Reg(r))
	}
	for k := range first {
		in := c.values[k].in
		if c.copies(&in) && !m.Info[c.values[k].pc].Merged {
			holds[in.Dst] = holds[in.Src]
		} else {
			holds[in.Dst] = k
		}
	}
	for r := prog.R0; r < prog.R10; r++ {
		if holds[r] == x {
			return r, true
		}
	}
	return 0, false
}

// fixedOf returns the registers of the current function that only one of its
// instructions writes, a constant. No function but the first has a value in R6 to
// R9 on entry; R0 to R5 may be arguments.
func (m *matcher) fixedOf() *fixed {
	x := &m.fixed
	if x.known {
		return x
	}
	*x = fixed{known: true}
	var once, again Regs
	for _, s := range m.steps {
		again |= once & s.writes
		once |= s.writes
		in := m.Insns[s.pc]
		if s.calls {
			again |= callRegs
		}
		switch {
		case in.IsWide() && in.Src == 0:
			x.value[in.Dst] = uint64(uint32(in.Imm)) | uint64(uint32(m.Insns[s.pc+1].Imm))<<32
		case in.Op == alu64|isa.Op(isa.Mov):
			x.value[in.Dst] = uint64(int64(in.Imm))
		case in.Op == alu|isa.Op(isa.Mov):
			x.value[in.Dst] = uint64(uint32(in.Imm))
		default:
			again |= s.writes
		}
	}
	x.always = once &^ again
	if m.at >= m.Program.Program.Funcs[0].End {
		x.always &^= argRegs
	}
	x.always &^= bit(prog.R1)
	return x
}
