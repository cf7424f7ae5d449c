package opt

import (
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// Compilers have few registers for eBPF and spill: they store a register in a
// slot of the stack and load it again, often where the slot holds the number
// already, or where the register does. Hosts forward stores to loads for nothing,
// but they store no more than one or two numbers in a cycle.

// nothing is the instruction that those become which need not be executed. It
// reads and writes no register that matters.
var nothing = prog.Insn{Op: alu64 | isa.Op(isa.Mov) | isa.Op(isa.X), Dst: prog.R10, Src: prog.R10}

// replace makes in the instruction at pc.
func (p *Program) replace(pc prog.PC, in prog.Insn) {
	if !p.own {
		with := *p.Program
		with.Insns = slices.Clone(p.Insns)
		p.Program, p.own = &with, true
	}
	p.Insns[pc] = in
}

// A slot is 4 or 8 bytes of the function's stack, and which registers hold the
// number that is there.
type slot struct {
	off  int16
	size int16
	full Regs // whose upper half, with 4 bytes, is 0
	low  Regs // whose lower half it is; all of full, with 4 bytes
}

// A spill is what is known of the stack on a straight line.
type spill struct {
	slots [16]slot
	n     int // how many of them
	next  int // the one that gives way when they are all in use
}

// slots leaves out the stores of what the slot holds, and the loads of what the
// register does. Requires Info.Target.
//
// Sound: a slot is known after a store or a load of it, until a jump may lead to
// where it is, a call may change it, another store may reach the stack through a
// pointer, or one to the stack overlaps it; and a register as long as nothing
// writes it. Linear: so many slots are known at a time, and no more.
func (p *Program) slots(v *verifier.Verified) error {
	if !p.reloads {
		return nil
	}
	var s spill
	for pc := prog.PC(0); int(pc) < len(p.Insns); pc = p.Next(pc) {
		i := &p.Info[pc]
		if i.Target || i.Dead {
			s.n = 0
		}
		if i.Dead {
			continue
		}
		in := &p.Insns[pc]
		switch c := in.Op.Class(); c {
		case isa.ALU, isa.ALU64:
			s.compute(in)
		case isa.LDX:
			if s.load(in) {
				p.replace(pc, nothing)
			}
		case isa.ST, isa.STX:
			switch {
			case in.Op.Mode() == isa.ATOMIC:
				s.n = 0
			case in.Dst == prog.R10:
				if s.store(in) {
					p.replace(pc, nothing)
				}
			case s.n > 0:
				if r := v.Region(pc); r == 0 || r&verifier.RegionStack != 0 {
					s.n = 0
				}
			}
		case isa.JMP, isa.JMP32:
			if c == isa.JMP && in.Op.JmpOp() == isa.Call {
				s.n = 0
			}
		default:
			if !in.IsWide() {
				s.n = 0
				continue
			}
			s.written(bit(in.Dst))
		}
	}
	return nil
}

// written forgets the registers in rs.
func (s *spill) written(rs Regs) {
	for k := range s.slots[:s.n] {
		x := &s.slots[k]
		x.full &^= rs
		x.low &^= rs
	}
}

// compute follows an ALU instruction: a copy holds what its source does.
func (s *spill) compute(in *prog.Insn) {
	to, from := bit(in.Dst), bit(in.Src)
	copies := in.Op.ALUOp() == isa.Mov && in.Op.Source() == isa.X && in.Off == 0
	if copies && from == to && in.Op.Class() == isa.ALU64 {
		return
	}
	for k := range s.slots[:s.n] {
		x := &s.slots[k]
		full, low := x.full&from != 0, x.low&from != 0
		x.full &^= to
		x.low &^= to
		switch {
		case !copies:
		case in.Op.Class() == isa.ALU64:
			if full {
				x.full |= to
			}
			if low {
				x.low |= to
			}
		case low && x.size == 4:
			x.full |= to
			x.low |= to
		}
	}
}

// load follows a load, and reports whether the register held that number already.
func (s *spill) load(in *prog.Insn) bool {
	size := int16(in.Op.Size().Bytes())
	if in.Src != prog.R10 || in.Op.Mode() != isa.MEM || size < 4 {
		s.written(bit(in.Dst))
		return false
	}
	x := s.find(in.Off, size)
	if x != nil && x.full.Has(in.Dst) {
		return true
	}
	s.written(bit(in.Dst))
	if x == nil {
		x = s.add(in.Off, size)
	}
	x.full |= bit(in.Dst)
	x.low |= bit(in.Dst)
	return false
}

// store follows a store through R10, and reports whether that number was there
// already.
func (s *spill) store(in *prog.Insn) bool {
	size := int16(in.Op.Size().Bytes())
	register := in.Op.Class() == isa.STX && size >= 4 && in.Src != prog.R10
	if register {
		x := s.find(in.Off, size)
		if x != nil && x.low.Has(in.Src) {
			return true
		}
	}
	for k := s.n - 1; k >= 0; k-- {
		if x := &s.slots[k]; in.Off < x.off+x.size && x.off < in.Off+size {
			s.n--
			*x = s.slots[s.n]
		}
	}
	if register {
		x := s.add(in.Off, size)
		x.low = bit(in.Src)
		if size == 8 {
			x.full = x.low
		}
	}
	return false
}

// find returns the slot at off, if it is known.
func (s *spill) find(off, size int16) *slot {
	for k := range s.slots[:s.n] {
		if x := &s.slots[k]; x.size == size && x.off == off {
			return x
		}
	}
	return nil
}

// add returns the slot at off, of which nothing is known.
func (s *spill) add(off, size int16) *slot {
	at := s.n
	if at < len(s.slots) {
		s.n++
	} else {
		at = s.next
		s.next = (s.next + 1) % len(s.slots)
	}
	x := &s.slots[at]
	*x = slot{off: off, size: size}
	return x
}
