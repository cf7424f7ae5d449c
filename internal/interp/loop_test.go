package interp

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// edges are values where carries, signs and widths change.
var edges = []uint64{
	0, 1, 2, 7, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0x80000001,
	0xffffffff, 0x100000000, 0x0123456789abcdef, 1<<63 - 1, 1 << 63, 1<<63 + 1, 0xffffffff80000000, 0xffffffff7fffffff, ^uint64(0) - 1, ^uint64(0),
}

// codeOf returns the code of insns, of which all is reached and nothing is
// known.
func codeOf(t testing.TB, insns []prog.Insn) *Code {
	t.Helper()
	p := &opt.Program{
		Program: &prog.Program{Insns: insns, Funcs: []prog.FuncInfo{{End: prog.PC(len(insns))}}},
		Info:    make([]opt.Info, len(insns)),
		Funcs:   []opt.Func{{Weight: int32(len(insns)), Depth: 1}},
	}
	tr := &translator{p: p, Code: &Code{program: p.Program, funcs: p.Funcs}}
	if err := tr.translate(); err != nil {
		t.Fatal(err)
	}
	return tr.Code
}

// run runs c in m to its end, with regs in R0 to R9, and leaves R0 to R5 there.
func run(t testing.TB, m *Machine, c *Code, regs *[10]uint64) {
	t.Helper()
	m.Begin(c, 0, 0)
	m.Charge(1 << 40)
	copy(m.reg[:], regs[:])
	if _, ok := m.Exec(); !ok {
		t.Fatal("stopped")
	}
	copy(regs[:6], m.reg[:]) // the end restores the others
}

const wide = isa.Op(isa.LD) | isa.Op(isa.IMM) | isa.Op(isa.DW)

var ret = prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.Exit)}

// want is what the arithmetic instruction in does to r, by package isa.
func want(in prog.Insn, r *[10]uint64) {
	src := r[in.Src]
	if in.Op.Source() == isa.K {
		src = uint64(int64(in.Imm))
	}
	switch d := &r[in.Dst]; {
	case in.Op.ALUOp() == isa.End:
		*d = isa.Swap(in.Op, in.Imm, *d)
	case in.Op.Class() == isa.ALU64:
		*d = isa.Compute64(in.Op.ALUOp(), in.Off, *d, src)
	default:
		*d = isa.Compute32(in.Op.ALUOp(), in.Off, uint32(*d), uint32(src))
	}
}

// arithmetic returns every arithmetic instruction on dst and src.
func arithmetic(dst, src prog.Reg, imm int32) (ins []prog.Insn) {
	for _, class := range []isa.Class{isa.ALU, isa.ALU64} {
		for op := isa.Add; op <= isa.Arsh; op += 0x10 {
			for _, source := range []isa.Source{isa.K, isa.X} {
				in := prog.Insn{Op: isa.Op(class) | isa.Op(op) | isa.Op(source), Dst: dst, Src: src, Imm: imm}
				if source == isa.X {
					in.Imm = 0
				} else {
					in.Src = 0
				}
				ins = append(ins, in)
				switch {
				case op == isa.Div || op == isa.Mod:
					in.Off = 1
					ins = append(ins, in)
				case op == isa.Mov && source == isa.X:
					for _, in.Off = range []int16{8, 16, 32} {
						if in.Off < 32 || class == isa.ALU64 {
							ins = append(ins, in)
						}
					}
				}
			}
		}
	}
	for _, width := range []int32{16, 32, 64} {
		for _, op := range []isa.Op{isa.Op(isa.ALU) | isa.Op(isa.End), isa.Op(isa.ALU) | isa.Op(isa.End) | isa.Op(isa.X), isa.Op(isa.ALU64) | isa.Op(isa.End)} {
			ins = append(ins, prog.Insn{Op: op, Dst: dst, Imm: width})
		}
	}
	return ins
}

// TestArithmetic holds every instruction against package isa.
func TestArithmetic(t *testing.T) {
	m := NewMachine(nil, nil)
	imms := []int32{0, -1, 63, -1 << 31, 1, 5, 31, 64, 1<<31 - 1, 0x1234}
	if testing.Short() {
		imms = imms[:4]
	}
	for _, src := range []prog.Reg{2, 1} {
		for _, imm := range imms {
			for _, in := range arithmetic(1, src, imm) {
				if in.Op.Source() == isa.X && imm != 0 {
					continue
				}
				c := codeOf(t, []prog.Insn{in, ret})
				for _, x := range edges {
					for _, y := range edges {
						got := [10]uint64{1: x, 2: y}
						expect := got
						run(t, m, c, &got)
						want(in, &expect)
						if got != expect {
							t.Fatalf("%s on %#x, %#x: %#x, want %#x", prog.Format(in, prog.Insn{}), x, y, got[1], expect[1])
						}
					}
				}
			}
		}
	}
}

// TestJumps holds every conditional jump against package isa.
func TestJumps(t *testing.T) {
	m := NewMachine(nil, nil)
	for _, class := range []isa.Class{isa.JMP, isa.JMP32} {
		for _, op := range []isa.JmpOp{isa.JEq, isa.JGt, isa.JGe, isa.JSet, isa.JNe, isa.JSGt, isa.JSGe, isa.JLt, isa.JLe, isa.JSLt, isa.JSLe} {
			for _, source := range []isa.Source{isa.K, isa.X} {
				for _, y := range edges {
					if source == isa.K && uint64(int64(int32(y))) != y {
						continue
					}
					in := prog.Insn{Op: isa.Op(class) | isa.Op(op) | isa.Op(source), Dst: 1, Src: 2, Off: 1}
					if source == isa.K {
						in.Src, in.Imm = 0, int32(y)
					}
					c := codeOf(t, []prog.Insn{in, ret, {Op: isa.Op(isa.ALU64) | isa.Op(isa.Mov), Imm: 1}, ret})
					for _, x := range edges {
						got := [10]uint64{1: x, 2: y}
						run(t, m, c, &got)
						taken := isa.Jump64(op, x, y)
						if class == isa.JMP32 {
							taken = isa.Jump32(op, uint32(x), uint32(y))
						}
						if got[0] == 1 != taken {
							t.Fatalf("%s on %#x, %#x: taken is %v", prog.Format(in, prog.Insn{}), x, y, !taken)
						}
					}
				}
			}
		}
	}
}

// TestSequences runs random arithmetic, from its beginning and from where a jump
// leads, so that instructions are folded and paired, and compares with package
// isa, one by one.
func TestSequences(t *testing.T) {
	m := NewMachine(nil, nil)
	r := rand.New(rand.NewPCG(1, 2))
	n := 2000
	if testing.Short() {
		n = 300
	}
	folded := 0
	for range n {
		var insns []prog.Insn
		for len(insns) < 40 {
			d, x := prog.Reg(r.IntN(4)), prog.Reg(r.IntN(4))
			switch all := arithmetic(d, x, int32(edges[r.IntN(len(edges))])); r.IntN(6) {
			case 0: // a rotation, or nearly one
				insns = append(insns, rotation(r, d, x, prog.Reg(r.IntN(4)))...)
			case 1: // an extension, or nearly one
				class, by := isa.Op(isa.ALU64), []int32{8, 16, 24, 32, 48, 56}[r.IntN(6)]
				if by < 32 {
					class = isa.Op(isa.ALU)
				}
				right := []isa.Op{isa.Op(isa.Rsh), isa.Op(isa.Arsh)}[r.IntN(2)]
				insns = append(insns, prog.Insn{Op: class | isa.Op(isa.Lsh), Dst: d, Imm: by}, prog.Insn{Op: class | right, Dst: d, Imm: by - r.Int32N(8)/7})
			case 2: // an address, or nearly one
				v := edges[r.IntN(len(edges))]
				insns = append(insns, prog.Insn{Op: wide, Dst: d, Imm: int32(v)}, prog.Insn{Imm: int32(v >> 32)},
					prog.Insn{Op: isa.Op(isa.ALU64) | isa.Op(isa.Add) | isa.Op(isa.X), Dst: d, Src: x})
			case 3: // a copy
				insns = append(insns, prog.Insn{Op: []isa.Op{isa.Op(isa.ALU), isa.Op(isa.ALU64)}[r.IntN(2)] | isa.Op(isa.Mov) | isa.Op(isa.X), Dst: d, Src: x})
				fallthrough
			default:
				insns = append(insns, all[r.IntN(len(all))])
			}
		}
		insns = append(insns, ret)
		at := r.IntN(len(insns)) // where a jump leads
		if at > 0 && insns[at-1].IsWide() {
			at++
		}
		insns = append([]prog.Insn{{Op: isa.Op(isa.JMP) | isa.Op(isa.JNe), Dst: 5, Off: int16(at)}}, insns...)
		c := codeOf(t, insns)
		folded += len(insns) + exitAt + 2 - len(c.ops)
		for _, jump := range []uint64{0, 1} {
			got := [10]uint64{5: jump}
			for i := range 4 {
				got[i] = edges[r.IntN(len(edges))]
			}
			start, expect := got, got
			run(t, m, c, &got)
			for i, in := range insns[1+int(jump)*at:] {
				switch {
				case in == ret:
				case in.IsWide():
					expect[in.Dst] = uint64(uint32(in.Imm)) | uint64(uint32(insns[1+int(jump)*at+i+1].Imm))<<32
				case in.Op != 0:
					want(in, &expect)
				}
			}
			if got != expect {
				var text strings.Builder
				for _, in := range insns {
					text.WriteString(prog.Format(in, prog.Insn{}) + "\n")
				}
				t.Fatalf("from %#x: %#x, want %#x\n%s", start, got, expect, text.String())
			}
		}
	}
	if folded < n {
		t.Errorf("only %d instructions folded or paired", folded)
	}
}

// rotation returns the shifts of a register in opposite directions, and their
// disjunction.
func rotation(r *rand.Rand, d, x, y prog.Reg) []prog.Insn {
	class, width := isa.Op(isa.ALU64), int32(64)
	if r.IntN(2) == 0 {
		class, width = isa.Op(isa.ALU), 32
	}
	n := 1 + r.Int32N(width-1)
	first, second := isa.Op(isa.Lsh), isa.Op(isa.Rsh)
	if r.IntN(2) == 0 {
		first, second = second, first
	}
	m := width - n
	if r.IntN(8) == 0 {
		m = r.Int32N(width)
	}
	ins := []prog.Insn{
		{Op: class | isa.Op(isa.Mov) | isa.Op(isa.X), Dst: d, Src: x},
		{Op: class | first, Dst: d, Imm: n},
		{Op: class | second, Dst: x, Imm: m},
		{Op: class | isa.Op(isa.Or) | isa.Op(isa.X), Dst: x, Src: d},
	}
	switch r.IntN(6) {
	case 0: // into the copy
		ins[3].Dst, ins[3].Src = d, x
	case 1: // of another register
		ins[2].Dst = y
		ins[3].Dst = y
	case 2: // with any register
		ins[3].Dst, ins[3].Src = []prog.Reg{d, x}[r.IntN(2)], []prog.Reg{d, x, y}[r.IntN(3)]
	case 3: // with a copy of any register
		or := ins[3]
		or.Dst, or.Src = y, []prog.Reg{d, x}[r.IntN(2)]
		ins[3] = prog.Insn{Op: ins[0].Op, Dst: y, Src: []prog.Reg{d, x, prog.Reg(r.IntN(4))}[r.IntN(3)]}
		ins = append(ins, or)
	case 4: // of what was shifted already
		ins[0], ins[1], ins[2] = ins[2], ins[0], ins[1]
	}
	return ins
}

// aborted is a Host that notes why a run was ended.
type aborted struct {
	Host
	err error
}

func (a *aborted) Abort(err error) { a.err = err }

// TestTrap: a mistake of the proof ends the run, not the process.
func TestTrap(t *testing.T) {
	c := codeOf(t, []prog.Insn{ret})
	c.ops[c.entry[0]] = op{code: opLeave, sub: leaveTrap}
	var a aborted
	m := NewMachine(nil, &a)
	m.Begin(c, 0, 0)
	if _, ok := m.Exec(); ok || a.err == nil {
		t.Errorf("the run ended well: %v, %v", ok, a.err)
	}
}

// TestPairs compares each pair with its halves, one after the other, on random
// operands.
func TestPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	forms := map[string]opcode{}
	for i, name := range names[:numForms] {
		forms[name] = opcode(i)
	}
	m := NewMachine(nil, nil)
	_, block := mem.Alloc(64)
	base := mem.Addr(block)
	n, rounds := 0, 2000
	if testing.Short() {
		rounds = 200
	}
	for code := numForms; code < 256 && names[code] != ""; code++ {
		n++
		a, b, _ := strings.Cut(names[code], "+")
		for range rounds {
			first, second := operands(r, forms[a]), operands(r, forms[b])
			if touches(forms[b]) && r.IntN(2) == 0 { // through what the first computes
				second.a = first.d
				switch a {
				case "AddK", "MovX":
					first.a, first.imm = baseReg, int32(r.IntN(64))
				case "AddX":
					first.a, first.b = baseReg, smallReg
				default:
					second.a = baseReg
				}
			}
			if touches(forms[b]) && second.a != baseReg && first.d != second.a {
				second.a = baseReg
			}
			second.off, second.cost = int32(opSize), int32(r.IntN(10))
			both := first
			both.code = opcode(code)
			both.d2, both.a2, both.b2, both.imm2 = second.d, second.a, second.b, second.imm
			both.off, both.cost = second.off, second.cost
			if got, ok := pairs[forms[a]][forms[b]], opcode(code); got != ok {
				t.Fatalf("%s has opcode %d, not %d", names[code], got, ok)
			}
			var seed [16]uint64
			for i := range seed {
				seed[i] = edges[r.IntN(len(edges))]
			}
			for i := range block {
				block[i] = byte(r.Uint32())
			}
			before := slices.Clone(block)
			regs, sub, meter := runOps(m, base, seed, []op{first, second})
			after := slices.Clone(block)
			copy(block, before)
			regs2, sub2, meter2 := runOps(m, base, seed, []op{both})
			if regs != regs2 || sub != sub2 || meter != meter2 || !slices.Equal(after, block) {
				t.Fatalf("%s: %+v and %+v: registers or memory differ, or %d, %d and %d, %d", names[code], first, second, sub, meter, sub2, meter2)
			}
		}
	}
	t.Logf("%d pairs, %d forms", n, numForms)
}

const (
	baseReg  = 20 // holds an address
	smallReg = 21 // holds a small number
)

// touches reports whether a form is a load or a store.
func touches(code opcode) bool {
	return strings.HasPrefix(names[code], "Ld") || strings.HasPrefix(names[code], "St")
}

func operands(r *rand.Rand, code opcode) op {
	o := op{code: code, d: uint8(r.IntN(6)), a: uint8(r.IntN(6)), b: uint8(r.IntN(6)), imm: int32(edges[r.IntN(len(edges))])}
	if touches(code) {
		o.a, o.imm = baseReg, int32(r.IntN(256))
	}
	return o
}

// runOps runs ops, which do not leave, and says where they end.
func runOps(m *Machine, base uint64, seed [16]uint64, ops []op) (regs [256]uint64, sub uint8, meter int64) {
	ops = append(ops, op{code: opLeave, sub: 1}, op{code: opLeave, sub: 2}, op{code: opLeave, sub: 3})
	m.enter(&Code{ops: ops})
	m.meter = 1000
	copy(m.reg[:], seed[:])
	m.reg[baseReg], m.reg[smallReg] = base, 5
	m.loop(unsafe.Pointer(&ops[0]), m.meter)
	return m.reg, m.ops[m.at/opSize-1].sub, m.meter
}
