package arm64

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
	null, end := l.NewLabel(), l.NewLabel()
	if x.GivenCPU {
		l.givenCPU(x, null)
	}
	switch x.Form {
	case opt.InlineCPU:
		l.Ldr(S32, R0, inCtx(rt.OffCPU))
	case opt.InlineNull:
		l.Mov(W64, R0, ZR)
	case opt.InlineEntry:
		if x.Base > 0 {
			l.Ldr(S64, R0, baseAt(x))
			l.MovI(tmp0, uint64(x.Entry*x.Layout.ValueStride))
			l.Add(W64, R0, R0, tmp0)
			break
		}
		l.mapAddress(R0, x.Map, x.Entry*x.Layout.ValueStride)
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
			l.B(l.label(to))
		}
	}
	if x.Misses() {
		l.late = append(l.late, func() {
			l.Bind(null)
			l.Mov(W64, R0, ZR)
			l.B(missed)
		})
	}
}

// inlineArray checks the index, if it may be too large, and computes the address of its value.
func (l *lowerer) inlineArray(x *opt.Inline, null emit.Label) {
	if x.Key > 0 {
		l.Mov(W32, R0, host[x.Key-1])
	} else {
		l.Ldr(S32, R0, At(host[prog.R2], 0))
	}
	if x.Misses() {
		l.cmpLimit(R0, x.Layout.Entries)
		l.BCond(HS, null)
	}
	if x.Base > 0 {
		l.Ldr(S64, tmp1, baseAt(x))
	} else {
		l.mapAddress(tmp1, x.Map, 0)
	}
	if stride := x.Layout.ValueStride; stride&(stride-1) == 0 {
		l.AddShifted(W64, R0, tmp1, R0, LSL, uint(bits.TrailingZeros32(stride)))
	} else {
		l.MovI(tmp0, uint64(stride))
		l.Madd(W64, R0, R0, tmp0, tmp1)
	}
	if x.Base == 0 {
		l.toCPU(x)
	}
}

// baseAt is where the function keeps x's base.
func baseAt(x *opt.Inline) Mem { return inFrame(layout.Bases + 8*int32(x.Base-1)) }

// bases finds the function's bases.
func (l *lowerer) bases() {
	for _, x := range l.p.Funcs[l.f].Bases {
		l.mapAddress(R0, x.Map, 0)
		l.toCPU(x)
		l.Str(S64, R0, baseAt(x))
	}
}

// cmpLimit compares the 32 bits of r with n.
func (l *lowerer) cmpLimit(r Reg, n uint32) {
	if IsAddImm(uint64(n)) {
		l.CmpI(W32, r, n)
		return
	}
	l.MovI(tmp0, uint64(n))
	l.Cmp(W32, r, tmp0)
}

// toCPU adds to R0, the address of a value of CPU 0, what leads to the value of
// the CPU that is asked for.
func (l *lowerer) toCPU(x *opt.Inline) {
	if x.Layout.CPUs > 1 {
		l.Ldr(S64, tmp0, l.cpu(x))
		l.MovI(tmp1, uint64(x.Layout.CPUStep))
		l.Madd(W64, R0, tmp0, tmp1, R0)
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
	l.Mov(W32, cpu, cpu)
	l.cmpLimit(cpu, x.Layout.CPUs)
	l.BCond(HS, null)
	l.Str(S64, cpu, l.cpu(x))
}

// mapAddress loads the address that map m's layout begins with, plus off.
func (l *lowerer) mapAddress(dst Reg, m int32, off uint32) {
	at := l.NewLabel()
	l.Bind(at)
	l.Movz(W64, dst, 0, 0)
	for part := uint(1); part < 4; part++ {
		l.Movk(W64, dst, 0, part)
	}
	l.relocs = append(l.relocs, reloc{at, layout.Reloc{Map: m, Add: off}})
}
