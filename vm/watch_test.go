package vm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A watcher runs a verified program in the checked interpreter and compares
// each step with what was proven.
type watcher struct {
	v     *verifier.Verified
	p     *Program
	r     *rand.Rand
	slot  *slot
	watch *verifier.Watch

	calls []prog.PC
	c     verifier.Concrete
	top   uint64 // R10 of the outermost frame
	last  prog.PC
	steps uint64

	jumped bool // the instruction at jump was a conditional jump
	jump   prog.PC
	err    error
}

// errTooLong is the violation of running longer than was proven.
var errTooLong = errors.New("the run takes more instructions than the worst case")

// watchRun runs p once. The error says what the proof is wrong about.
func watchRun(p *Program, v *verifier.Verified, in any, r *rand.Rand) (steps uint64, err error) {
	s, err := p.open(context.Background())
	if err != nil {
		return 0, err
	}
	defer s.close()
	if err := s.give(in); err != nil {
		return 0, err
	}
	w := &watcher{v: v, p: p, r: r, slot: s, watch: v.Watch()}
	w.c.Object = w.object
	w.c.Map = func(i int32) uint64 { return 0xeb9f_0001_0000_0000 | uint64(uint32(i)) }
	w.c.Func = func(pc int32) uint64 { return 0xeb9f_0002_0000_0000 | uint64(uint32(pc)) }
	limit := uint64(v.Stats().WorstCase) + 1
	const most = 20_000
	s.machine.Limit(min(limit, most))
	s.machine.Observe = w.observe
	_, err = s.exec()
	steps = s.machine.Insns()
	switch {
	case w.err != nil:
		return steps, w.err
	case errors.Is(err, ErrMaxInsns) && limit < most:
		return steps, errTooLong
	case errors.Is(err, ErrMaxInsns):
		return steps, nil
	case err != nil:
		return steps, fmt.Errorf("fault: %w", err)
	case steps > uint64(v.Stats().WorstCase):
		return steps, errTooLong
	}
	return steps, nil
}

func (w *watcher) object(addr uint64) (start, size uint64, ok bool) {
	g := w.slot.machine.Space.Region(addr)
	if g == nil {
		return 0, 0, false
	}
	if g.Stride == 0 {
		return mem.Addr(g.Bytes), uint64(len(g.Bytes)), true
	}
	at := (addr - mem.Addr(g.Bytes)) / uint64(g.Stride) * uint64(g.Stride)
	return mem.Addr(g.Bytes) + at, uint64(g.Size), true
}

// observe is called before each instruction.
func (w *watcher) observe(c *checked.Code, pc int, regs *[16]uint64) {
	if w.err != nil || c.Owner() != any(w.p) {
		return
	}
	w.steps++
	const frame = 512
	if w.steps == 1 {
		w.top = regs[10]
		w.c.Ctx = regs[1]
		w.c.Frames = append(w.c.Frames, verifier.ConcreteFrame{})
	}
	depth := int(regs[10]-w.top) / frame
	if depth == len(w.c.Frames) {
		w.calls = append(w.calls, w.last)
		w.c.Frames = append(w.c.Frames, verifier.ConcreteFrame{})
	}
	w.c.Frames, w.calls = w.c.Frames[:depth+1], w.calls[:depth]
	f := &w.c.Frames[depth]
	copy(f.Regs[:], regs[:11])
	f.Stack = w.slot.machine.Bytes(regs[10]-frame, frame)
	w.last = prog.PC(pc)
	w.packet()
	if err := w.watch.Step(prog.PC(pc), w.calls, &w.c); err != nil {
		w.err = err
	} else if err := w.facts(prog.PC(pc), regs); err != nil {
		w.err = fmt.Errorf("fact of instruction %d: %w", pc, err)
	}
	if w.err == nil && w.r.IntN(16) == 0 {
		if err := w.watch.Laws(&w.c); err != nil {
			w.err = fmt.Errorf("states before instruction %d: %w", pc, err)
		}
	}
	if w.r.IntN(8) == 0 {
		w.disturb()
	}
}

// facts checks what engines are told of the instruction at pc, and of the jump
// before it.
func (w *watcher) facts(pc prog.PC, regs *[16]uint64) error {
	if w.jumped {
		way := verifier.BranchTaken
		if pc == w.jump+1 {
			way = verifier.BranchFall
		}
		if b := w.v.Fact(w.jump).Branch; b&way == 0 {
			return fmt.Errorf("the jump at %d goes to %d; possible is %d", w.jump, pc, b)
		}
	}
	in, f := w.v.Program().Insns[pc], w.v.Fact(pc)
	w.jumped, w.jump = false, pc
	if !f.Reached {
		return errors.New("proven unreachable")
	}
	switch c := in.Op.Class(); c {
	case isa.JMP, isa.JMP32:
		switch in.Op.JmpOp() {
		case isa.JA, isa.Call, isa.Exit, isa.MayGoto:
		default:
			w.jumped = in.Off != 0
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
		return w.access(f, base+uint64(int64(in.Off)), regs[10])
	}
	return nil
}

// access checks where an access begins.
func (w *watcher) access(f verifier.Fact, addr, fp uint64) error {
	const frame = 512
	region, off := verifier.Region(0), int64(0)
	switch {
	case addr-(fp-frame) < frame:
		region, off = verifier.RegionStack, int64(addr-fp)
	case addr-(w.top-frame) < fp-w.top:
		region, off = verifier.RegionCallerStack, int64((addr-w.top)%frame)-frame
		if off == -frame {
			return nil
		}
	case addr-w.c.Packet < w.c.PacketLen:
		region, off = verifier.RegionPacket, int64(addr-w.c.Packet)
	case addr-w.c.Ctx < uint64(w.v.Program().Type.Ctx.Size):
		region, off = verifier.RegionCtx, int64(addr-w.c.Ctx)
	default:
		start, _, ok := w.object(addr)
		if !ok {
			return nil // a fault, which the run reports
		}
		region, off = verifier.RegionMapValue|verifier.RegionMem|verifier.RegionMapKey, int64(addr-start)
		if f.Region&verifier.RegionMapValue == 0 {
			off = max(f.Min, min(off, f.Max)) // keys may lie inside of something
		}
	}
	if f.Region&region == 0 || off < f.Min || off > f.Max {
		return fmt.Errorf("access to %b at %d; proven are %b from %d to %d", region, off, f.Region, f.Min, f.Max)
	}
	return nil
}

// packet takes the packet's place from the context.
func (w *watcher) packet() {
	var end uint64
	meta := false
	for _, f := range w.p.packetFields {
		at := binary.NativeEndian.Uint64(w.slot.ctx[f.off:])
		switch f.kind {
		case hook.FieldPacket:
			w.c.Packet = at
		case hook.FieldPacketEnd:
			end = at
		case hook.FieldPacketMeta:
			w.c.Meta, meta = at, true
		}
	}
	w.c.PacketLen = end - w.c.Packet
	if !meta {
		w.c.Meta = w.c.Packet
	}
	w.c.MetaLen = w.c.Packet - w.c.Meta
}

// disturb does to the maps what other CPUs and the host may do at any moment.
func (w *watcher) disturb() {
	ms := w.maps()
	if len(ms) == 0 {
		return
	}
	m := ms[w.r.IntN(len(ms))]
	spec := m.Spec()
	if spec.Type != maps.Array && spec.Type != maps.Hash || spec.Flags != 0 || spec.Frozen {
		return
	}
	key := make([]byte, spec.KeySize)
	key[0] = byte(w.r.IntN(int(spec.MaxEntries) + 2))
	switch w.r.IntN(6) {
	case 0:
		_ = m.DeleteElem(0, key)
	default:
		value := make([]byte, spec.ValueSize)
		if old := m.LookupElem(0, key); old != nil {
			copy(value, old)
		}
		for range 1 + w.r.IntN(4) {
			value[w.r.IntN(len(value))] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(w.r.Uint32())}[w.r.IntN(6)]
		}
		_ = m.UpdateElem(0, key, value, 0)
	}
}

// hostilePackets are packets that programs do not expect, and one that they do.
func hostilePackets(r *rand.Rand, usual []byte) any {
	n := []int{0, 1, 2, 13, 14, 15, 34, 63, 64, 65, 200, len(usual)}[r.IntN(12)]
	if r.IntN(3) == 0 {
		return slices.Clone(usual)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(r.Uint32()), byte(r.Uint32())}[r.IntN(7)]
	}
	if r.IntN(2) == 0 {
		return b
	}
	return NewPacket(b, 32*r.IntN(3), 32*r.IntN(3))
}

// maps returns the program's maps, in its order.
func (w *watcher) maps() []maps.Map {
	var ms []maps.Map
	for _, spec := range w.v.Program().Maps {
		ms = append(ms, w.p.coll.specs[spec])
	}
	return ms
}
