//go:build linux || darwin || windows

package rttest

import (
	"testing"

	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit/internal/amd64"
	"github.com/skepvm/skep/jit/internal/emit"
)

type amd64Coder struct{ *amd64.Asm }

func newCoder() coder { return amd64Coder{amd64.NewAsm()} }

const (
	ctx      = amd64.R14
	frame    = amd64.R13
	result   = amd64.RAX
	exitCode = amd64.RDX
)

// free are the registers that code may use as it likes, and a yield keeps.
var free = []amd64.Reg{amd64.RAX, amd64.RCX, amd64.RDX, amd64.RBX, amd64.RSI, amd64.RDI,
	amd64.R8, amd64.R9, amd64.R10, amd64.R11, amd64.R12, amd64.R15}

// kept is how many values yields folds: the registers and Frame.
var kept = len(free) + 1

func (c amd64Coder) finish(tb testing.TB) []byte {
	tb.Helper()
	code, err := c.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	return code
}

func (c amd64Coder) leave(e rt.Exit) {
	c.MovRI(exitCode, uint64(uint32(e)))
	c.Ret()
}

// destroy fills all registers that code owns, except some, with rubbish.
func (c amd64Coder) destroy(except ...amd64.Reg) {
next:
	for _, r := range append([]amd64.Reg{ctx}, free...) {
		for _, x := range except {
			if r == x {
				continue next
			}
		}
		c.MovRI(r, 0xdeadbeefdead0000+uint64(r))
	}
	c.PutBytes([]byte{0x66, 0x45, 0x0f, 0x76, 0xff}) // pcmpeqd xmm15, xmm15
}

func (c amd64Coder) constant(v uint64) {
	c.MovRI(result, v)
	c.leave(rt.Done)
}

func (c amd64Coder) custom(e rt.Exit, v uint64) {
	c.MovRI(result, v)
	c.leave(e)
}

func (c amd64Coder) arguments() {
	c.ZeroR(result)
	for i := range int32(5) {
		c.ImulRMI(amd64.W64, amd64.RCX, amd64.At(ctx, rt.OffArg+8*i), i+1)
		c.AddRR(amd64.W64, result, amd64.RCX)
	}
	c.leave(rt.Done)
}

func (c amd64Coder) calls(h uint32, n int, seed uint64) {
	loop, resume := c.NewLabel(), c.NewLabel()
	c.MovMI(amd64.W64, amd64.At(frame, 0), 0) // calls so far
	c.MovMI(amd64.W64, amd64.At(frame, 8), 0) // sum
	c.Bind(loop)
	c.MovRM(amd64.W64, amd64.RCX, amd64.At(frame, 0))
	c.MovMR(amd64.W64, amd64.At(ctx, rt.OffArg), amd64.RCX)
	c.MovRI(amd64.RBX, seed)
	c.MovMR(amd64.W64, amd64.At(ctx, rt.OffArg+8), amd64.RBX)
	c.LeaL(result, resume)
	c.destroy(result)
	c.leave(rt.Exit(h))
	c.Bind(resume)
	c.AddMR(amd64.W64, amd64.At(frame, 8), result)
	c.IncM(amd64.W64, amd64.At(frame, 0))
	c.CmpMI(amd64.W64, amd64.At(frame, 0), int32(n))
	c.JccL(amd64.L, loop)
	c.MovRM(amd64.W64, result, amd64.At(frame, 8))
	c.destroy(result)
	c.leave(rt.Done)
}

func (c amd64Coder) plainCalls(h uint32, n int) {
	loop, resume := c.NewLabel(), c.NewLabel()
	c.MovMI(amd64.W64, amd64.At(frame, 0), int32(n))
	c.Bind(loop)
	c.MovMI(amd64.W64, amd64.At(ctx, rt.OffArg), 1)
	c.MovMI(amd64.W64, amd64.At(ctx, rt.OffArg+8), 2)
	c.LeaL(result, resume)
	c.leave(rt.Exit(h))
	c.Bind(resume)
	c.DecM(amd64.W64, amd64.At(frame, 0))
	c.JccL(amd64.NE, loop)
	c.leave(rt.Done)
}

func (c amd64Coder) yield(resume emit.Label) {
	c.MovMR(amd64.W64, amd64.At(ctx, rt.OffSave), result)
	c.MovMR(amd64.W64, amd64.At(ctx, rt.OffSave+8), exitCode)
	c.LeaL(result, resume)
	c.leave(rt.Yield)
}

func (c amd64Coder) yields(seed uint64) {
	for i, r := range free {
		c.MovRI(r, seed+uint64(i))
	}
	resume := c.NewLabel()
	c.yield(resume)
	c.Bind(resume)
	c.SubRM(amd64.W64, frame, amd64.At(ctx, rt.OffFrame)) // 0 if it is what it was
	for _, r := range append(free[1:len(free):len(free)], frame) {
		c.ImulRRI(amd64.W64, result, result, 31)
		c.AddRR(amd64.W64, result, r)
	}
	c.leave(rt.Done)
}

func (c amd64Coder) spins(n uint64) {
	loop, out, resume := c.NewLabel(), c.NewLabel(), c.NewLabel()
	c.MovRI(amd64.RCX, n)
	c.ZeroR(result)
	c.Bind(loop)
	c.IncR(amd64.W64, result)
	c.SubMI(amd64.W64, amd64.At(ctx, rt.OffMeter), 1)
	c.JccL(amd64.S, out)
	c.Bind(resume)
	c.DecR(amd64.W64, amd64.RCX)
	c.JccL(amd64.NE, loop)
	c.leave(rt.Done)
	c.Bind(out)
	c.yield(resume)
}

func (c amd64Coder) busy(n uint64) {
	loop := c.NewLabel()
	c.MovRI(result, n)
	c.Bind(loop)
	c.DecR(amd64.W64, result)
	c.JccL(amd64.NE, loop)
	c.leave(rt.Done)
}
