package vm

import (
	"errors"
	"fmt"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// facts checks what engines are told of the instruction at pc, and of the jump
// before it.
func (w *watcher) facts(a *activation, pc prog.PC, regs *[16]uint64) error {
	if a.jumped {
		way := verifier.BranchTaken
		if pc == a.jump+1 {
			way = verifier.BranchFall
		}
		if b := a.v.Fact(a.jump).Branch; b&way == 0 {
			return fmt.Errorf("the jump at %d goes to %d; possible is %d", a.jump, pc, b)
		}
	}
	in, f := a.v.Program().Insns[pc], a.v.Fact(pc)
	a.jumped, a.jump = false, pc
	if !f.Reached {
		return errors.New("proven unreachable")
	}
	switch c := in.Op.Class(); c {
	case isa.JMP, isa.JMP32:
		switch in.Op.JmpOp() {
		case isa.Call:
			if d := f.Direct; d.Op != 0 {
				want := uint64(d.Imm)
				if d.Src == isa.CallSub {
					want = 0xeb9f_0002_0000_0000 | uint64(pc+1+prog.PC(d.Imm))
				}
				if regs[in.Dst] != want {
					return fmt.Errorf("it calls %#x; proven is %#x", regs[in.Dst], want)
				}
			}
		case isa.JA, isa.Exit, isa.MayGoto:
		default:
			a.jumped = in.Off != 0
		}
	case isa.ALU, isa.ALU64:
		d := regs[in.Src]
		if c == isa.ALU {
			d = uint64(uint32(d))
		}
		if f.NonZero && in.Op.Source() == isa.X && d == 0 {
			return errors.New("the divisor is 0")
		}
	case isa.LDX, isa.ST, isa.STX:
		base := regs[in.Src]
		if c != isa.LDX && in.Imm != isa.LoadAcquire || c == isa.STX && in.Op.Mode() != isa.ATOMIC || c == isa.ST {
			base = regs[in.Dst]
		}
		return w.access(a, f, base+uint64(int64(in.Off)), regs[10])
	}
	return nil
}

// access checks where an access begins.
func (w *watcher) access(a *activation, f verifier.Fact, addr, fp uint64) error {
	region, off := verifier.Region(0), int64(0)
	switch {
	case addr-(fp-frameSize) < frameSize:
		region, off = verifier.RegionStack, int64(addr-fp)
	case addr-(a.base-frameSize) < fp-a.base:
		region, off = verifier.RegionCallerStack, int64((addr-a.base)%frameSize)-frameSize
		if off == -frameSize {
			return nil
		}
	case addr-a.c.Packet < a.c.PacketLen:
		region, off = verifier.RegionPacket, int64(addr-a.c.Packet)
	case addr-a.c.Meta < a.c.MetaLen:
		region, off = verifier.RegionPacketMeta, int64(addr-a.c.Meta)
	case addr-a.c.Ctx < uint64(a.v.Program().Type.Ctx.Size):
		region, off = verifier.RegionCtx, int64(addr-a.c.Ctx)
	default:
		start, _, ok := w.object(addr)
		if !ok {
			return nil // a fault, which the run reports
		}
		region, off = verifier.RegionMapValue|verifier.RegionMem|verifier.RegionMapKey|verifier.RegionObject, int64(addr-start)
		if f.Region&verifier.RegionMapValue == 0 {
			off = max(f.Min, min(off, f.Max)) // keys may lie inside of something
		}
	}
	const shared = verifier.RegionStack | verifier.RegionCallerStack | verifier.RegionPacket
	if f.Region&verifier.RegionMem != 0 && region&shared != 0 {
		return nil // the number that an iterator gave, or a slice of the packet
	}
	if f.Region&region == 0 || off < f.Min || off > f.Max {
		return fmt.Errorf("access to %b at %d; proven are %b from %d to %d", region, off, f.Region, f.Min, f.Max)
	}
	return nil
}
