package amd64

import (
	"math/bits"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// What code does in place of calls. Arguments are R1 to R5, the result is R0;
// R1 to R5 are free for other use, as after any call.

func (l *lowerer) inline(pc prog.PC, x *opt.Inline) {
	const r0 = RAX
	null, end := l.NewLabel(), l.NewLabel()
	if x.GivenCPU {
		l.givenCPU(x, null)
	}
	switch x.Form {
	case opt.InlineCPU:
		l.MovRM(W32, r0, inCtx(rt.OffCPU))
	case opt.InlineNull:
		l.ZeroR(r0)
	case opt.InlineEntry:
		if x.Base > 0 {
			l.MovRM(W64, r0, baseAt(x))
			l.AddRI(W64, r0, int32(x.Entry*x.Layout.ValueStride))
			break
		}
		l.mapAddress(r0, x.Map, x.Entry*x.Layout.ValueStride)
		l.toCPU(x)
	case opt.InlineArray:
		l.inlineArray(x, null)
	case opt.InlineIterNew:
		l.inlineIterNew(end)
	case opt.InlineIterNext:
		l.inlineIterNext(end)
	case opt.InlineIterDestroy:
		l.inlineIterDestroy()
	case opt.InlineHash:
		l.inlineHash(pc, x, null, end)
	case opt.InlineTail:
		l.inlineTail(pc, x, end)
	case opt.InlineReserve:
		l.reserve(pc, x, end)
	case opt.InlineCommit:
		l.commit(pc, x, end)
	case opt.InlineLoadBytes:
		l.inlineLoadBytes(pc, x, end)
	case opt.InlineCopy:
		l.inlineCopy(x)
	}
	l.Bind(end)
	missed := end
	if x.Test != 0 { // for 0, or for anything else
		in := l.p.Insns[x.Test]
		if to, _ := in.Target(x.Test); in.Op.JmpOp() == isa.JEq {
			missed = l.label(to)
		} else {
			missed = l.label(x.Test + 1)
			l.JmpL(l.label(to))
		}
	}
	if x.Misses() {
		l.late = append(l.late, func() {
			l.Bind(null)
			l.ZeroR(r0)
			l.JmpL(missed)
		})
	}
}

// inlineArray checks the index, if it may be too large, and computes the address of its value.
func (l *lowerer) inlineArray(x *opt.Inline, null emit.Label) {
	const r0 = RAX
	if x.Key > 0 {
		l.MovRR(W32, r0, host[x.Key-1])
	} else {
		l.MovRM(W32, r0, At(host[prog.R2], 0))
	}
	if x.Misses() {
		l.CmpRI(W32, r0, int32(x.Layout.Entries))
		l.JccL(AE, null)
	}
	if x.Base > 0 {
		if stride := x.Layout.ValueStride; stride&(stride-1) == 0 {
			l.ShlRI(W64, r0, uint8(bits.TrailingZeros32(stride)))
		} else {
			l.ImulRRI(W64, r0, r0, int32(stride))
		}
		l.AddRM(W64, r0, baseAt(x))
		return
	}
	l.mapAddress(scratch, x.Map, 0)
	switch stride := x.Layout.ValueStride; {
	case stride == 8:
		l.Lea(W64, r0, Indexed(scratch, r0, 8, 0))
	case stride&(stride-1) == 0:
		l.ShlRI(W64, r0, uint8(bits.TrailingZeros32(stride)))
		l.AddRR(W64, r0, scratch)
	default:
		l.ImulRRI(W64, r0, r0, int32(stride))
		l.AddRR(W64, r0, scratch)
	}
	l.toCPU(x)
}

// baseAt is where the function keeps x's base.
func baseAt(x *opt.Inline) Mem { return inFrame(layout.Bases + 8*int32(x.Base-1)) }

// bases finds the function's bases.
func (l *lowerer) bases() {
	for _, x := range l.p.Funcs[l.f].Bases {
		l.mapAddress(host[prog.R0], x.Map, 0)
		l.toCPU(x)
		l.MovMR(W64, baseAt(x), host[prog.R0])
	}
}

// toCPU adds to R0, the address of a value of CPU 0, what leads to the value of
// the CPU that is asked for.
func (l *lowerer) toCPU(x *opt.Inline) {
	if x.Layout.CPUs > 1 {
		l.ImulRMI(W64, scratch, l.cpu(x), int32(x.Layout.CPUStep))
		l.AddRR(W64, host[prog.R0], scratch)
	}
}

// cpu is where the number of the CPU is that is asked for.
func (l *lowerer) cpu(x *opt.Inline) Mem {
	if x.GivenCPU {
		return inFrame(layout.Scratch + 8)
	}
	return inCtx(rt.OffCPU)
}

// givenCPU checks the CPU in R3 and puts it where cpu says.
func (l *lowerer) givenCPU(x *opt.Inline, null emit.Label) {
	cpu := host[prog.R3]
	l.MovRR(W32, cpu, cpu)
	l.CmpRI(W32, cpu, int32(x.Layout.CPUs))
	l.JccL(AE, null)
	l.MovMR(W64, l.cpu(x), cpu)
}

// mapAddress loads the address that map m's layout begins with, plus off.
func (l *lowerer) mapAddress(dst Reg, m int32, off uint32) {
	at := l.NewLabel()
	l.Bind(at)
	l.MovRI(dst, placeholder)
	l.relocs = append(l.relocs, reloc{at, layout.Reloc{Map: m, Add: off}})
}
