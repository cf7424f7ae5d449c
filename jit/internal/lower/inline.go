package lower

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// What code does in place of calls. Arguments are R1 to R5, the result is R0;
// R1 to R5 are free for other use, as after any call.

func (l *Lowerer) inline(pc prog.PC, x *opt.Inline) {
	null, end := l.code.NewLabel(), l.code.NewLabel()
	if x.GivenCPU {
		l.givenCPU(pc, x, null)
	}
	switch x.Form {
	case opt.InlineCPU:
		l.m.Load(S32, prog.R0, InCtx(rt.OffCPU))
	case opt.InlineNull:
		l.m.Zero(prog.R0)
	case opt.InlineEntry:
		l.inlineEntry(pc, x)
	case opt.InlineArray:
		l.inlineArray(pc, x, null)
	case opt.InlineIterNew:
		l.inlineIterNew(pc, end)
	case opt.InlineIterNext:
		l.inlineIterNext(pc, end)
	case opt.InlineIterDestroy:
		l.inlineIterDestroy()
	case opt.InlineHash:
		l.m.InlineHash(pc, x, null, end)
	case opt.InlineInner:
		l.inlineInner(x, null)
	case opt.InlineInnerArray:
		l.inlineInnerArray(pc, x, null, end)
	case opt.InlineTail:
		l.inlineTail(pc, x, end)
	case opt.InlineReserve:
		l.reserve(pc, x, end)
	case opt.InlineOutput:
		l.output(pc, x, end)
	case opt.InlineCommit:
		l.commit(pc, x, end)
	case opt.InlineLoadBytes, opt.InlineStoreBytes:
		l.inlinePacket(pc, x, end)
	case opt.InlineCopy:
		l.inlineCopy(pc, x)
	case opt.InlineCsumDiff:
		l.inlineCsumDiff(pc, x)
	case opt.InlineRandom:
		l.inlineRandom(pc)
	}
	l.code.Bind(end)
	missed := end
	if x.Test != 0 { // for 0, or for anything else
		in := l.p.Insns[x.Test]
		if to, _ := in.Target(x.Test); in.Op.JmpOp() == isa.JEq {
			missed = l.Label(to)
		} else {
			missed = l.code.NewLabel()
			l.m.Jump(l.Label(to))
			l.code.Bind(missed)
		}
	}
	if x.Misses() {
		l.Late(pc, func() {
			l.code.Bind(null)
			l.m.Zero(prog.R0)
			l.m.Jump(missed)
		})
	}
}

// inlineEntry computes the address of a value of an array.
func (l *Lowerer) inlineEntry(pc prog.PC, x *opt.Inline) {
	off := x.Entry * x.Layout.ValueStride
	if x.Base > 0 {
		l.m.Load(S64, prog.R0, baseAt(x))
		l.aluImm(pc, isa.Add, S64, prog.R0, int32(off))
		return
	}
	l.m.MapAddress(prog.R0, x.Map, off)
	l.toCPU(x)
}

// inlineArray checks the index, if it may be too large, and computes the address of its value.
func (l *Lowerer) inlineArray(pc prog.PC, x *opt.Inline, null emit.Label) {
	if x.Key > 0 {
		l.alu(pc, isa.Mov, S32, prog.R0, x.Key-1)
	} else {
		l.m.Load(S32, prog.R0, At(prog.R2, 0))
	}
	if x.Misses() {
		l.m.IfImm(isa.JGe, S32, prog.R0, int32(x.Layout.Entries), null)
	}
	if x.Base > 0 {
		l.m.ElementAt(prog.R0, baseAt(x), x.Layout.ValueStride)
		return
	}
	l.m.MapAddress(Temp, x.Map, 0)
	l.m.Element(prog.R0, Temp, x.Layout.ValueStride)
	l.toCPU(x)
}

// inlineInner finds a map in an array of maps.
func (l *Lowerer) inlineInner(x *opt.Inline, null emit.Label) {
	l.inlineArrayOf(x, null)
	l.m.MapAddress(Temp, x.Map, 0)
	l.m.Element(prog.R0, Temp, 8)
	l.m.Load(S64, prog.R0, At(prog.R0, 0))
}

// inlineInnerArray is inlineArray for the array with the handle R1, which is the
// address of its first value's address, or else what Go code made.
func (l *Lowerer) inlineInnerArray(pc prog.PC, x *opt.Inline, null, end emit.Label) {
	other := l.code.NewLabel()
	l.m.IfImm(isa.JSLt, S64, prog.R1, 0, other)
	l.inlineArrayOf(x, null)
	l.m.Load(S64, Temp, At(prog.R1, 0))
	l.m.Element(prog.R0, Temp, x.Layout.ValueStride)
	l.Late(pc, func() {
		l.code.Bind(other)
		l.arguments(2)
		l.CallAside(pc, end)
	})
}

// inlineArrayOf loads the index and checks it.
func (l *Lowerer) inlineArrayOf(x *opt.Inline, null emit.Label) {
	l.m.Load(S32, prog.R0, At(prog.R2, 0))
	l.m.IfImm(isa.JGe, S32, prog.R0, int32(x.Layout.Entries), null)
}

// baseAt is where the function keeps x's base.
func baseAt(x *opt.Inline) Mem { return InFrame(layout.Bases + 8*int32(x.Base-1)) }

// bases finds the function's bases.
func (l *Lowerer) bases() {
	for _, x := range l.p.Funcs[l.F].Bases {
		l.m.MapAddress(prog.R0, x.Map, 0)
		l.toCPU(x)
		l.m.Store(S64, baseAt(x), prog.R0)
	}
}

// toCPU adds to R0, the address of a value of CPU 0, what leads to the value of
// the CPU that is asked for.
func (l *Lowerer) toCPU(x *opt.Inline) {
	if x.Layout.CPUs > 1 {
		l.m.AddProduct(prog.R0, CPU(x), x.Layout.CPUStep)
	}
}

// CPU is where the number of the CPU is that x asks for.
func CPU(x *opt.Inline) Mem {
	if x.GivenCPU {
		return InFrame(layout.Scratch + 8)
	}
	return InCtx(rt.OffCPU)
}

// givenCPU checks the CPU in R3 and puts it where CPU says.
func (l *Lowerer) givenCPU(pc prog.PC, x *opt.Inline, null emit.Label) {
	l.alu(pc, isa.Mov, S32, prog.R3, prog.R3)
	l.m.IfImm(isa.JGe, S32, prog.R3, int32(x.Layout.CPUs), null)
	l.m.Store(S64, CPU(x), prog.R3)
}
