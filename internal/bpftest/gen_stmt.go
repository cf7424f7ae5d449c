package bpftest

import (
	"strings"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// block writes n statements.
func (g *generator) block(n int) {
	kinds := []struct {
		weight int
		on     bool
		write  func()
	}{
		{30, true, g.arithmetic},
		{3, true, g.wide},
		{12, true, g.stackStore},
		{10, true, g.stackLoad},
		{4, true, g.spillFill},
		{8, g.branchy(), g.branch},
		{4, g.o.Loops && g.f.loops < 2 && g.f.depth < 3, g.loop},
		{1, g.o.MayGoto && g.f.depth < 3, g.mayGoto},
		{8, g.o.Atomics, g.stackAtomic},
		{3, g.o.AcquireLoad, g.stackOrdered},
		{5, g.o.Subprograms && g.f.rank < maxRank, g.callSub},
		{3, g.o.Callbacks && g.f.rank < maxRank && g.f.loops == 0, g.callLoop},
		{6, g.o.Maps && g.branchy(), g.lookup},
		{3, g.o.Maps, g.update},
		{2, g.o.Maps, g.remove},
		{1, g.o.Lookups, g.cpu},
		{5, g.o.Packet && g.f.rank == 0 && g.f.held == 0, g.packetCheck},
		{10, true, g.memoryAccess},
		{2, g.o.LegacyLoads && g.f.rank == 0 && g.f.loops == 0 && g.f.held == 0, g.legacyLoad},

		{5, g.o.Cursors && g.o.Packet && g.f.rank == 0 && g.f.held == 0 && g.f.loops < 2 && g.f.depth < 3, g.cursorLoop},
		{5, g.o.LongLoops && g.f.loops < 2 && g.f.depth < 3, g.longLoop},
		{2, g.o.LongLoops && g.o.MayGoto && g.f.loops < 2 && g.f.depth < 3, g.mayGotoLoop},
		{12, g.o.Indexes, g.indexed},
		{5, g.o.Idioms && g.o.Maps && g.branchy(), g.flagTwice},
		{5, g.o.Idioms, g.pieces},
		{3, g.o.Idioms && g.f.rank == 0, g.ctxField},
		{5, g.o.RingBuf && g.f.depth < 3 && g.branchy(), g.reserve},
		{2, g.o.RingBuf, g.output},
		{5, g.o.Bytes, g.byteHelper},
		{4, g.o.ForEach && g.f.rank < maxRank && g.f.loops == 0, g.callForEach},
		{2, g.o.TailCalls && g.f.rank == 0 && g.f.held == 0, g.tailCall},
		{3, g.o.Moves && g.o.Packet && g.f.rank == 0 && g.f.loops == 0, g.movePacket},
		{3, g.o.Iterators && g.f.loops < 2 && g.f.depth < 3, g.iterLoop},

		{5, g.o.Constructs, g.lock},
		{2, g.o.Constructs && !g.f.late && g.f.rank < maxRank, g.timer},
		{4, g.o.Constructs, g.kept},
		{4, g.o.Constructs && g.branchy(), g.innerMap},
		{2, g.o.Constructs && g.f.rank == 0, g.perf},
		{3, g.o.Constructs && g.f.rank == 0 && g.branchy(), g.socket},
		{3, g.o.Constructs && g.f.depth < 3 && g.f.rank == 0 && g.f.held == 0, g.section},
		{2, g.o.Constructs && g.f.rank == 0 && g.f.held == 0 && g.branchy(), g.throw},
		{3, g.o.Constructs && g.f.loops < 2 && g.f.depth < 3, g.bitsLoop},
		{2, g.o.Constructs && g.f.rank == 0 && g.f.loops == 0, g.drain},
		{8, g.o.Constructs && g.f.depth < 3, g.dynptr},
	}
	total := 0
	for _, k := range kinds {
		if k.on {
			total += k.weight
		}
	}
	for range n {
		at := g.r.IntN(total)
		for _, k := range kinds {
			if !k.on {
				continue
			}
			if at < k.weight {
				k.write()
				break
			}
			at -= k.weight
		}
	}
}

// branchy reports whether the program can afford another branch: paths, and
// with them the work of a verifier, double with each.
func (g *generator) branchy() bool {
	return g.f.depth < 3 && g.branches < 7 && (g.f.loops == 0 || g.branches < 4)
}

// nested writes a block of n statements inside another.
func (g *generator) nested(n int) {
	g.f.depth++
	g.block(n)
	g.f.depth--
}

// aluForms and jumpForms are the rows of the instruction table to choose from.
var aluForms, jumpForms = func() (alu, jumps []*isa.Form) {
	for i := range isa.Forms() {
		f := &isa.Forms()[i]
		switch c := f.Op.Class(); {
		case f.Name == isa.AddrSpaceCast:
		case c == isa.ALU || c == isa.ALU64:
			alu = append(alu, f)
		case (c == isa.JMP || c == isa.JMP32) && f.Dst != isa.Unused && strings.HasPrefix(f.Text, "if "):
			jumps = append(jumps, f)
		}
	}
	return alu, jumps
}()

// v4 reports whether f came with cpu v4.
func v4(f *isa.Form) bool {
	for _, prefix := range []string{"sdiv", "smod", "movsx", "bswap"} {
		if strings.HasPrefix(f.Name, prefix) {
			return true
		}
	}
	return false
}

// arithmetic writes one ALU instruction.
func (g *generator) arithmetic() {
	f := aluForms[g.r.IntN(len(aluForms))]
	for v4(f) && !g.o.V4 {
		f = aluForms[g.r.IntN(len(aluForms))]
	}
	in := prog.Insn{Op: f.Op}
	off, _ := f.Fixed("off")
	in.Off = int16(off)
	if f.Src != isa.Unused {
		in.Src = g.source()
	}
	if f.Dst&isa.Read != 0 {
		in.Dst = g.target()
	} else {
		in.Dst = g.fresh()
	}
	if imm, ok := f.Fixed("imm"); ok {
		in.Imm = imm
	} else {
		in.Imm = g.imm()
	}
	width := int32(64)
	if f.Op.Class() == isa.ALU {
		width = 32
	}
	if f.Op.Source() == isa.K { // what the kernel refuses
		switch f.Op.ALUOp() {
		case isa.Lsh, isa.Rsh, isa.Arsh:
			in.Imm = g.r.Int32N(width)
		case isa.Div, isa.Mod:
			if in.Imm == 0 {
				in.Imm = 1
			}
		}
	}
	g.emit(in)
	g.s.regs[in.Dst] = value{kind: scalar}
}

func (g *generator) wide() {
	r := g.fresh()
	g.emit(prog.Insn{Op: isa.Wide, Dst: r, Imm: g.imm()}, prog.Insn{Imm: g.imm()})
	g.s.regs[r] = value{kind: scalar}
}

// condition writes a conditional jump to label.
func (g *generator) condition(label int) {
	f := jumpForms[g.r.IntN(len(jumpForms))]
	in := prog.Insn{Op: f.Op, Dst: g.source()}
	if f.Src != isa.Unused {
		in.Src = g.source()
	} else {
		in.Imm = g.imm()
	}
	g.emitTo(in, label)
}

// branch writes an if, with or without an else.
func (g *generator) branch() {
	g.branches++
	elseLabel := g.newLabel()
	g.condition(elseLabel)
	other := g.s.clone()
	g.nested(1 + g.r.IntN(3))
	if g.r.IntN(2) == 0 {
		g.place(elseLabel)
		g.s.join(other)
		return
	}
	end := g.newLabel()
	g.emitTo(g.gotoInsn(), end)
	g.place(elseLabel)
	then := g.s
	g.s = other
	g.nested(1 + g.r.IntN(3))
	g.s.join(then)
	g.place(end)
}

func (g *generator) gotoInsn() prog.Insn {
	if g.o.V4 && g.r.IntN(2) == 0 {
		return prog.Insn{Op: jumpOp(isa.JMP32, isa.JA, isa.K)}
	}
	return prog.Insn{Op: jumpOp(isa.JMP, isa.JA, isa.K)}
}

// loop writes a loop of a few iterations. Its body finds registers R6 to R9 of
// the same kind in every iteration, and R0 to R5 empty.
func (g *generator) loop() {
	counter, ok := g.pick(func(r prog.Reg) bool { return r >= 6 && g.free(r) })
	if !ok {
		return
	}
	n := 1 + g.r.Int32N(5)
	switch g.r.IntN(3) {
	case 0: // a number of iterations that only the run knows, at least 1
		src := g.source()
		if src != counter {
			g.emit(move(counter, src))
		}
		g.emit(prog.Insn{Op: aluOp(isa.ALU64, isa.And, isa.K), Dst: counter, Imm: 3}, addImm(counter, 1))
	default:
		g.emit(moveImm(counter, n))
	}
	g.s.regs[counter] = value{kind: scalar}
	g.f.locked[counter] = true
	for r := range 6 {
		g.s.regs[r] = value{}
	}
	entry := g.s.clone()
	head := g.newLabel()
	g.place(head)
	g.f.loops++
	g.nested(1 + g.r.IntN(4))
	g.f.loops--
	g.f.locked[counter] = false
	g.emit(addImm(counter, -1))
	g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.JNe, isa.K), Dst: counter}, head)
	g.s = entry
}

// mayGoto writes a may_goto, which nobody exhausts here, over some statements.
func (g *generator) mayGoto() {
	end := g.newLabel()
	g.emitTo(prog.Insn{Op: jumpOp(isa.JMP, isa.MayGoto, isa.K)}, end)
	other := g.s.clone()
	g.nested(1 + g.r.IntN(2))
	g.s.join(other)
	g.place(end)
}
