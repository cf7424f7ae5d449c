package arm64

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
		l.Ldr(S32, host[prog.R0], inCtx(rt.OffCPU))
	case opt.InlineNull:
		l.Mov(W64, host[prog.R0], ZR)
	case opt.InlineEntry:
		l.mapValue(host[prog.R0], x.Map, x.Entry*x.Layout.Stride)
		l.toCPU(x)
	case opt.InlineArray:
		l.inlineArray(x)
	}
}

// inlineArray checks the index at R2 and computes the address of its value.
func (l *lowerer) inlineArray(x *opt.Inline) {
	r0 := host[prog.R0]
	null, end := l.NewLabel(), l.NewLabel()
	l.Ldr(S32, r0, At(host[prog.R2], 0))
	if IsAddImm(uint64(x.Layout.Entries)) {
		l.CmpI(W32, r0, x.Layout.Entries)
	} else {
		l.MovI(tmp0, uint64(x.Layout.Entries))
		l.Cmp(W32, r0, tmp0)
	}
	l.BCond(HS, null)
	l.mapValue(tmp1, x.Map, 0)
	if stride := x.Layout.Stride; stride&(stride-1) == 0 {
		l.AddShifted(W64, r0, tmp1, r0, LSL, uint(bits.TrailingZeros32(stride)))
	} else {
		l.MovI(tmp0, uint64(stride))
		l.Madd(W64, r0, r0, tmp0, tmp1)
	}
	l.toCPU(x)
	l.Bind(end)
	l.late = append(l.late, func() {
		l.Bind(null)
		l.Mov(W64, r0, ZR)
		l.B(end)
	})
}

// toCPU adds to R0, the address of a value of CPU 0, what leads to the value of
// the run's CPU.
func (l *lowerer) toCPU(x *opt.Inline) {
	if x.Layout.CPUs > 1 {
		l.Ldr(S64, tmp0, inCtx(rt.OffCPU))
		l.MovI(tmp1, uint64(x.Layout.CPUStep))
		l.Madd(W64, host[prog.R0], tmp0, tmp1, host[prog.R0])
	}
}

// mapValue loads the address of the byte off, from the first value on, of map
// m's values.
func (l *lowerer) mapValue(dst Reg, m int32, off uint32) {
	at := l.NewLabel()
	l.Bind(at)
	l.Movz(W64, dst, 0, 0)
	for part := uint(1); part < 4; part++ {
		l.Movk(W64, dst, 0, part)
	}
	l.relocs = append(l.relocs, reloc{at, layout.Reloc{Map: m, Add: off}})
}
