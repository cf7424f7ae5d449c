//go:build linux || darwin || windows

package rttest

import (
	"testing"

	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/arm64"
	"github.com/skepvm/skep/jit/internal/emit"
)

type arm64Coder struct{ *arm64.Asm }

func newCoder() coder { return arm64Coder{arm64.NewAsm()} }

const (
	ctx      = arm64.R25
	frame    = arm64.R24
	result   = arm64.R0
	exitCode = arm64.R1
)

// free are the registers that code may use as it likes, and a yield keeps.
var free = func() (regs []arm64.Reg) {
	for r := arm64.R0; r <= arm64.R27; r++ {
		if r != arm64.R18 && r != ctx && r != frame {
			regs = append(regs, r)
		}
	}
	return regs
}()

// kept is how many values yields folds: the registers and Frame.
var kept = len(free) + 1

func (c arm64Coder) finish(tb testing.TB) []byte {
	tb.Helper()
	code, err := c.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	return code
}

func (c arm64Coder) leave(e rt.Exit) {
	c.MovI(exitCode, uint64(uint32(e)))
	c.Ret()
}

// destroy fills all registers that code owns, except some, with rubbish.
func (c arm64Coder) destroy(except ...arm64.Reg) {
next:
	for _, r := range append([]arm64.Reg{ctx}, free...) {
		for _, x := range except {
			if r == x {
				continue next
			}
		}
		c.MovI(r, 0xdeadbeefdead0000+uint64(r))
	}
	for v := range arm64.VReg(32) {
		c.FmovToV(arm64.W64, v, ctx)
	}
}

func (c arm64Coder) constant(v uint64) {
	c.MovI(result, v)
	c.leave(rt.Done)
}

func (c arm64Coder) custom(e rt.Exit, v uint64) {
	c.MovI(result, v)
	c.leave(e)
}

func (c arm64Coder) arguments() {
	c.MovI(result, 0)
	for i := range int32(5) {
		c.Ldr(arm64.S64, arm64.R2, arm64.At(ctx, rt.OffArg+8*i))
		c.MovI(arm64.R3, uint64(i+1))
		c.Madd(arm64.W64, result, arm64.R2, arm64.R3, result)
	}
	c.leave(rt.Done)
}

func (c arm64Coder) calls(h uint32, n int, seed uint64) {
	loop, resume := c.NewLabel(), c.NewLabel()
	c.Stp(arm64.W64, arm64.ZR, arm64.ZR, arm64.At(frame, 0)) // calls so far, sum
	c.Bind(loop)
	c.Ldr(arm64.S64, arm64.R2, arm64.At(frame, 0))
	c.MovI(arm64.R3, seed)
	c.Stp(arm64.W64, arm64.R2, arm64.R3, arm64.At(ctx, rt.OffArg))
	c.Adr(result, resume)
	c.destroy(result)
	c.leave(rt.Exit(h))
	c.Bind(resume)
	c.Ldp(arm64.W64, arm64.R2, arm64.R3, arm64.At(frame, 0))
	c.AddI(arm64.W64, arm64.R2, arm64.R2, 1)
	c.Add(arm64.W64, arm64.R3, arm64.R3, result)
	c.Stp(arm64.W64, arm64.R2, arm64.R3, arm64.At(frame, 0))
	c.CmpI(arm64.W64, arm64.R2, uint32(n))
	c.BCond(arm64.LT, loop)
	c.Mov(arm64.W64, result, arm64.R3)
	c.destroy(result)
	c.leave(rt.Done)
}

func (c arm64Coder) plainCalls(h uint32, n int) {
	loop, resume := c.NewLabel(), c.NewLabel()
	c.MovI(arm64.R2, uint64(n))
	c.Str(arm64.S64, arm64.R2, arm64.At(frame, 0))
	c.Bind(loop)
	c.MovI(arm64.R2, 1)
	c.MovI(arm64.R3, 2)
	c.Stp(arm64.W64, arm64.R2, arm64.R3, arm64.At(ctx, rt.OffArg))
	c.Adr(result, resume)
	c.leave(rt.Exit(h))
	c.Bind(resume)
	c.Ldr(arm64.S64, arm64.R2, arm64.At(frame, 0))
	c.SubsI(arm64.W64, arm64.R2, arm64.R2, 1)
	c.Str(arm64.S64, arm64.R2, arm64.At(frame, 0))
	c.BCond(arm64.NE, loop)
	c.leave(rt.Done)
}

func (c arm64Coder) yield(resume emit.Label) {
	c.Stp(arm64.W64, result, exitCode, arm64.At(ctx, rt.OffSave))
	c.Adr(result, resume)
	c.leave(rt.Yield)
}

func (c arm64Coder) yields(seed uint64) {
	for i, r := range free {
		c.MovI(r, seed+uint64(i))
	}
	resume := c.NewLabel()
	c.yield(resume)
	c.Bind(resume)
	// R30 holds the return address, V0 a copy of R2 while R2 helps.
	c.FmovToV(arm64.W64, 0, arm64.R2)
	c.Ldr(arm64.S64, arm64.R2, arm64.At(ctx, rt.OffFrame))
	c.Sub(arm64.W64, frame, frame, arm64.R2) // 0 if it is what it was
	c.MovI(arm64.R2, 31)
	for _, r := range append(free[1:len(free):len(free)], frame) {
		c.Mul(arm64.W64, result, result, arm64.R2)
		if r == arm64.R2 {
			c.FmovFromV(arm64.W64, ctx, 0)
			r = ctx
		}
		c.Add(arm64.W64, result, result, r)
	}
	c.leave(rt.Done)
}

func (c arm64Coder) spins(n uint64) {
	loop, out, resume := c.NewLabel(), c.NewLabel(), c.NewLabel()
	c.MovI(arm64.R2, n)
	c.MovI(result, 0)
	c.Bind(loop)
	c.AddI(arm64.W64, result, result, 1)
	c.Ldr(arm64.S64, arm64.R3, arm64.At(ctx, rt.OffMeter))
	c.SubsI(arm64.W64, arm64.R3, arm64.R3, 1)
	c.Str(arm64.S64, arm64.R3, arm64.At(ctx, rt.OffMeter))
	c.BCond(arm64.MI, out)
	c.Bind(resume)
	c.SubsI(arm64.W64, arm64.R2, arm64.R2, 1)
	c.BCond(arm64.NE, loop)
	c.leave(rt.Done)
	c.Bind(out)
	c.yield(resume)
}

func (c arm64Coder) busy(n uint64) {
	loop := c.NewLabel()
	c.MovI(result, n)
	c.Bind(loop)
	c.SubsI(arm64.W64, result, result, 1)
	c.BCond(arm64.NE, loop)
	c.leave(rt.Done)
}
