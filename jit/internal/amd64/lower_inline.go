package amd64

import (
	"math/bits"

	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// What code does in place of calls. Arguments are R1 to R5, the result is R0;
// R1 to R5 are free for other use, as after any call.

func (l *lowerer) inline(x *opt.Inline) {
	switch x.Form {
	case opt.InlineCPU:
		l.MovRM(W32, host[prog.R0], inCtx(rt.OffCPU))
	case opt.InlineNull:
		l.ZeroR(host[prog.R0])
	case opt.InlineEntry:
		l.mapValue(host[prog.R0], x.Map, x.Entry*x.Layout.Stride)
		l.toCPU(x)
	case opt.InlineArray:
		l.inlineArray(x)
	}
}

// inlineArray checks the index at R2 and computes the address of its value.
func (l *lowerer) inlineArray(x *opt.Inline) {
	const r0 = RAX
	null, end := l.NewLabel(), l.NewLabel()
	l.MovRM(W32, r0, At(host[prog.R2], 0))
	l.CmpRI(W32, r0, int32(x.Layout.Entries))
	l.JccL(AE, null)
	l.mapValue(scratch, x.Map, 0)
	switch stride := x.Layout.Stride; {
	case stride <= 8 && stride&(stride-1) == 0:
		l.Lea(W64, r0, Indexed(scratch, r0, int(stride), 0))
	case stride&(stride-1) == 0:
		l.ShlRI(W64, r0, uint8(bits.TrailingZeros32(stride)))
		l.AddRR(W64, r0, scratch)
	default:
		l.ImulRRI(W64, r0, r0, int32(stride))
		l.AddRR(W64, r0, scratch)
	}
	l.toCPU(x)
	l.Bind(end)
	l.late = append(l.late, func() {
		l.Bind(null)
		l.ZeroR(r0)
		l.JmpL(end)
	})
}

// toCPU adds to R0, the address of a value of CPU 0, what leads to the value of
// the run's CPU.
func (l *lowerer) toCPU(x *opt.Inline) {
	if x.Layout.CPUs > 1 {
		l.ImulRMI(W64, scratch, inCtx(rt.OffCPU), int32(x.Layout.CPUStep))
		l.AddRR(W64, host[prog.R0], scratch)
	}
}

// mapValue loads the address of the byte off, from the first value on, of map
// m's values.
func (l *lowerer) mapValue(dst Reg, m int32, off uint32) {
	at := l.NewLabel()
	l.Bind(at)
	l.MovRI(dst, placeholder)
	l.relocs = append(l.relocs, reloc{at, layout.Reloc{Map: m, Add: off}})
}
