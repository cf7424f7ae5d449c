package main

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// An edit is a program whose slots can be moved: jumps and calls lead to
// places of the list, and go where these go.
type edit struct {
	insns  []prog.Insn
	target []int // for each slot; -1: it leads nowhere
}

// decode finds what the slots lead to.
func (e *edit) decode() {
	e.target = make([]int, len(e.insns))
	for pc, in := range e.insns {
		e.target[pc] = -1
		switch {
		case e.second(pc):
		case leads(in) == byOff:
			e.target[pc] = pc + 1 + int(in.Off)
		case leads(in) == byImm:
			e.target[pc] = pc + 1 + int(in.Imm)
		}
	}
}

const (
	nowhere = iota
	byOff
	byImm
)

// leads says which field of in has a distance.
func leads(in prog.Insn) int {
	class, op := in.Op&7, in.Op&0xf0
	switch {
	case in.Op == opWide && in.Src == isa.PseudoFunc, in.Op == opCall && in.Src == 1, in.Op == opJMP32:
		return byImm
	case (class == opJMP || class == opJMP32) && op != 0x80 && op != 0x90:
		return byOff
	}
	return nowhere
}

// second reports whether pc is the second slot of an instruction.
func (e *edit) second(pc int) bool {
	return pc > 0 && pc < len(e.insns) && e.insns[pc-1].Op == opWide && e.insns[pc].Op == 0
}

// insert puts in before the instruction at pc, which jumps to pc now lead to the
// new one. to is where it leads, in terms of the list before.
func (e *edit) insert(pc int, in prog.Insn, to int) {
	for i, t := range e.target {
		if t > pc {
			e.target[i]++
		}
	}
	if to >= pc {
		to++
	}
	e.insns = append(e.insns[:pc:pc], append([]prog.Insn{in}, e.insns[pc:]...)...)
	e.target = append(e.target[:pc:pc], append([]int{to}, e.target[pc:]...)...)
}

// remove takes out n slots at pc.
func (e *edit) remove(pc, n int) {
	for i, t := range e.target {
		if t > pc {
			e.target[i] = max(pc, t-n)
		}
	}
	e.insns = append(e.insns[:pc:pc], e.insns[pc+n:]...)
	e.target = append(e.target[:pc:pc], e.target[pc+n:]...)
}

// encode returns the slots with their distances. One that is too far stays as it
// was.
func (e *edit) encode() []prog.Insn {
	out := append([]prog.Insn(nil), e.insns...)
	for pc, t := range e.target {
		if t < 0 {
			continue
		}
		if d := t - pc - 1; leads(out[pc]) == byImm {
			out[pc].Imm = int32(d)
		} else if d == int(int16(d)) {
			out[pc].Off = int16(d)
		}
	}
	return out
}
