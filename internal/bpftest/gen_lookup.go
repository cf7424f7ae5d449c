package bpftest

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Helper numbers.
const (
	getSMPProcessorID   = 8
	mapLookupPerCPUElem = 195
)

// genOther is the first of the maps that Options.Lookups adds.
const genOther = 4

// others returns those maps.
func others() []*maps.Spec {
	spec := func(name string, t maps.Type, keySize uint32) *maps.Spec {
		return &maps.Spec{Name: name, Type: t, KeySize: keySize, ValueSize: valueSize, MaxEntries: GenKeys - 1}
	}
	return []*maps.Spec{
		spec("percpu", maps.PerCPUArray, 4), spec("percpuhash", maps.PerCPUHash, 8),
		spec("hash1", maps.Hash, 1), spec("hash8", maps.Hash, 8), spec("hash12", maps.Hash, 12), spec("hash40", maps.Hash, 40),
	}
}

// otherKey is key for one of the maps of Options.Lookups. The key is a number
// below GenKeys, or one or two more, in its first byte and in its last four, if
// it has more.
func (g *generator) otherKey() (m int32, ok bool) {
	all := others()
	m = g.r.Int32N(int32(len(all)))
	size := int(all[m].KeySize)
	off, ok := g.slot((size + 7) &^ 7)
	if !ok {
		return 0, false
	}
	for at := off; at < off+size; at += 8 {
		if g.s.stack[at] >= spill {
			return 0, false
		}
	}
	for at := off; at < off+size; at += 8 {
		g.emit(prog.Insn{Op: memOp(isa.ST, isa.MEM, isa.DW), Dst: 10, Off: g.stackOff(at)})
		for i := range 8 {
			g.s.stack[at+i] = data
		}
	}
	parts := []int{off}
	if size > 4 {
		parts = append(parts, off+size-4)
	}
	if g.r.IntN(2) == 0 {
		k := g.r.Int32N(GenKeys + 2)
		for _, at := range parts {
			g.emit(prog.Insn{Op: memOp(isa.ST, isa.MEM, isa.W), Dst: 10, Off: g.stackOff(at), Imm: k})
		}
	} else {
		src := g.source()
		r := g.scratch(src)
		g.emit(move(r, src), prog.Insn{Op: aluOp(isa.ALU64, isa.And, isa.K), Dst: r, Imm: GenKeys - 1})
		for _, at := range parts {
			g.emit(prog.Insn{Op: memOp(isa.STX, isa.MEM, isa.W), Dst: 10, Src: r, Off: g.stackOff(at)})
		}
	}
	m += genOther
	g.emit(prog.Insn{Op: isa.Wide, Dst: 1, Src: isa.PseudoMapFD, Imm: m}, prog.Insn{},
		move(2, 10), addImm(2, int32(g.stackOff(off))))
	g.s.regs[1], g.s.regs[2] = value{}, value{}
	return m, true
}

// cpu asks for the CPU.
func (g *generator) cpu() {
	g.emit(helper(getSMPProcessorID))
	g.s.called(scalar)
}
