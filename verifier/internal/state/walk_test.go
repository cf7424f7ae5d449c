package state

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/verifier/internal/scalar"
)

// TestWalk takes random operations on states beside the machine's on numbers,
// and asks after each whether the state still describes the machine. Two
// machines take the same operations on different numbers, so that their states
// have one shape and can be joined: the join describes both.
func TestWalk(t *testing.T) {
	walks := 6000
	if testing.Short() {
		walks = 1500
	}
	for seed := range uint64(walks) {
		w := newWalk(seed)
		for range 10 + w.r.IntN(50) {
			if err := w.step(); err != nil {
				t.Fatalf("seed %d: %v\n%s\n%v\n%v", seed, err, strings.Join(w.log, "\n"), w.m[0].s, w.m[1].s)
			}
		}
	}
}

// A machine is a state, and a run that it describes.
type machine struct {
	s *State
	c Concrete
}

type walk struct {
	r   *rand.Rand
	m   [2]machine
	log []string
}

const (
	walkRegs   = 7 // R0–R6 hold numbers, R7 and R8 addresses in the packet, R9 in its metadata
	walkStack  = 0x7000_0000_0000
	walkPacket = 0x5000_0000_1000
	mostPacket = 1 << 16
)

func newWalk(seed uint64) *walk {
	w := &walk{r: rand.New(rand.NewPCG(seed, 0x57a7e))}
	for i := range w.m {
		m := &w.m[i]
		m.s = New(&Pool{}, 0, mostPacket)
		m.c = Concrete{
			Frames: []ConcreteFrame{{Call: -1, Stack: make([]byte, StackSize)}},
			Object: func(uint64) (uint64, uint64, bool) { return 0, 0, false },
		}
		m.c.Frames[0].Regs[10] = walkStack
		m.arrives(walkPacket, uint64(w.r.IntN(100)), uint64(w.r.IntN(32)))
	}
	for r := range walkRegs {
		w.fresh(r)
	}
	return w
}

// arrives gives the machine a packet, and its address where the state has room.
func (m *machine) arrives(packet, size, meta uint64) {
	m.c.Packet, m.c.PacketLen, m.c.Meta, m.c.MetaLen = packet, size, packet-meta, meta
	for _, r := range []int{7, 8} {
		m.set(r, Reg{Kind: Packet, Obj: m.s.PacketObj(false)}, m.c.Packet)
	}
	m.set(9, Reg{Kind: PacketMeta, Obj: m.s.PacketObj(true)}, m.c.Meta)
}

func (m *machine) reg(r int) uint64 { return m.c.Frames[0].Regs[r] }

func (m *machine) set(r int, v Reg, x uint64) {
	m.s.SetReg(uint8(r), v)
	m.c.Frames[0].Regs[r] = x
}

var walkEdges = []uint64{
	0, 0, 1, 1, 2, 3, 4, 7, 8, 255, 256, 4095, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1, 1<<63 - 1, 1 << 63, 1<<63 + 1,
	math.MaxUint64, math.MaxUint64 - 1, math.MaxUint64 - 7,
}

func (w *walk) number() uint64 {
	switch w.r.IntN(8) {
	case 0, 1, 2:
		return uint64(w.r.IntN(16))
	case 3:
		return w.r.Uint64() >> w.r.IntN(64)
	default:
		return walkEdges[w.r.IntN(len(walkEdges))] + uint64(w.r.IntN(3)) - 1
	}
}

// around returns a scalar that holds x.
func (w *walk) around(x uint64) scalar.Scalar {
	switch w.r.IntN(8) {
	case 0:
		return scalar.Const(x)
	case 1:
		return scalar.Top()
	case 2:
		n := scalar.Signed(min(int64(x), int64(w.number())), max(int64(x), int64(w.number())))
		return n
	case 3:
		y := w.number() & 0xff
		return scalar.Unsigned(x-min(x, y), x+min(^x, y))
	case 4: // a multiple of a power of two
		k := bits.TrailingZeros64(x | 1<<6)
		return scalar.Lsh(scalar.Rsh(scalar.Unsigned(0, max(x, w.number())), scalar.Const(uint64(k))), scalar.Const(uint64(k)))
	}
	return scalar.Unsigned(min(x, w.number()), max(x, w.number()))
}

// fresh puts an unknown number into register r.
func (w *walk) fresh(r int) {
	for i := range w.m {
		m := &w.m[i]
		x := w.number()
		if w.r.IntN(3) == 0 {
			x &= 15
		}
		n := w.around(x)
		if !n.Contains(x) {
			panic("BUG: around")
		}
		w.note("%d: r%d = %#x in %v", i, r, x, n)
		m.set(r, m.s.Fresh(n), x)
	}
}

func (w *walk) note(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) }

var walkOps = []isa.ALUOp{
	isa.Add, isa.Add, isa.Add, isa.Sub, isa.Sub, isa.Sub, isa.Mul, isa.Div, isa.Mod, isa.And, isa.And, isa.Or, isa.Xor, isa.Lsh, isa.Rsh, isa.Rsh, isa.Arsh,
}

var walkJumps = []isa.JmpOp{
	isa.JEq, isa.JEq, isa.JNe, isa.JGt, isa.JGe, isa.JLt, isa.JLe, isa.JSGt, isa.JSGe, isa.JSLt, isa.JSLe, isa.JSet,
}

// step takes one operation on both machines and checks them.
func (w *walk) step() error {
	r, q := w.r.IntN(walkRegs), w.r.IntN(walkRegs)
	switch k := w.r.IntN(32); {
	case k < 2:
		w.fresh(r)
	case k < 4:
		w.note("r%d = r%d", r, q)
		for i := range w.m {
			m := &w.m[i]
			m.set(r, m.s.Reg(uint8(q)), m.reg(q))
		}
	case k < 14:
		w.alu(r, q)
	case k < 16:
		w.memory(r)
	case k < 23:
		if err := w.assume(r, q); err != nil {
			return err
		}
	case k < 25:
		w.advance(7+w.r.IntN(3), q)
	case k < 27:
		if err := w.packet(); err != nil {
			return err
		}
	case k == 27 && w.r.IntN(3) == 0:
		w.forget()
	case k == 28:
		w.note("canon")
		for i := range w.m {
			w.m[i].s.Canon()
		}
	case k == 29:
		w.mark(r)
	case k >= 30:
		if err := w.join(); err != nil {
			return err
		}
	}
	return w.check()
}

func (w *walk) check() error {
	for i := range w.m {
		m := &w.m[i]
		if err := m.s.Holds(&m.c); err != nil {
			return fmt.Errorf("machine %d: %w", i, err)
		}
		for x := range walkRegs {
			for y := range walkRegs {
				d, ok := m.s.DiffReg(m.s.Reg(uint8(x)), m.s.Reg(uint8(y)))
				if ok && !atMost(int64(m.reg(x)), int64(m.reg(y)), d) {
					return fmt.Errorf("machine %d: r%d − r%d is more than %d", i, x, y, d)
				}
			}
		}
		for _, g := range m.s.Ghosts {
			then, _ := m.c.note(g.Loop, g.Place)
			if r := int(g.Place.Off); m.s.Sheds(g.Reg, m.s.Reg(uint8(r))) {
				now := m.reg(r)
				if shed := now>>1 == then>>1 && now < then || now&then == now && bits.OnesCount64(now) < bits.OnesCount64(then) || now <= then>>1 && now < then; !shed {
					return fmt.Errorf("machine %d: r%d is %#x and was %#x: it shed no bit", i, r, now, then)
				}
			}
		}
	}
	return nil
}

func (w *walk) alu(r, q int) {
	op, is64, off := walkOps[w.r.IntN(len(walkOps))], w.r.IntN(2) == 0, int16(0)
	if (op == isa.Div || op == isa.Mod) && w.r.IntN(2) == 0 {
		off = 1
	}
	if w.r.IntN(8) == 0 {
		op, off = isa.Mov, []int16{0, 8, 16, 32}[w.r.IntN(4)]
		if off == 32 {
			is64 = true
		}
	}
	constant := w.r.IntN(2) == 0
	k := w.number()
	if op == isa.Lsh || op == isa.Rsh || op == isa.Arsh {
		k = []uint64{1, 1, 2, 8, 16, 24, 31, 32, 48, 56, 63}[w.r.IntN(11)]
	} else if op == isa.And && w.r.IntN(2) == 0 {
		k = []uint64{1<<8 - 1, 1<<16 - 1, 1<<32 - 1, ^uint64(7), 7}[w.r.IntN(5)]
	}
	if !is64 {
		k &= 1<<32 - 1
	}
	w.note("r%d %v= (off %d, 64 bits %v) r%d or, %v, %#x", r, op, off, is64, q, constant, k)
	for i := range w.m {
		m := &w.m[i]
		a, b := m.s.Reg(uint8(r)), m.s.Reg(uint8(q))
		x, y := m.reg(r), m.reg(q)
		if constant {
			b, y = Const(k), k
		}
		if is64 {
			m.set(r, m.s.ALU64(op, off, a, b), isa.Compute64(op, off, x, y))
		} else {
			m.set(r, m.s.ALU32(op, off, a, b), isa.Compute32(op, off, uint32(x), uint32(y)))
		}
	}
}

// memory stores a register, or loads one, or changes bytes that the state is
// told of.
func (w *walk) memory(r int) {
	size := 1 << w.r.IntN(4)
	off := -8*(1+w.r.IntN(3)) + w.r.IntN(8/size)*size
	at := StackSize + off
	what := w.r.IntN(8)
	w.note("memory %d: %d bytes at %d, r%d", what, size, off, r)
	for i := range w.m {
		m := &w.m[i]
		stack := m.c.Frames[0].Stack
		var b [8]byte
		switch what {
		case 0, 1, 2:
			binary.LittleEndian.PutUint64(b[:], m.reg(r))
			copy(stack[at:at+size], b[:size])
			m.s.Store(0, off, size, m.s.Reg(uint8(r)))
		case 3: // an address
			if size == 8 {
				binary.LittleEndian.PutUint64(stack[at:], m.reg(7))
				m.s.Store(0, off, 8, m.s.Reg(7))
			}
		case 4:
			x := w.number()
			binary.LittleEndian.PutUint64(b[:], x)
			copy(stack[at:at+size], b[:size])
			m.s.Store(0, off, size, Const(x))
		case 5: // anything is written somewhere there
			stack[at+w.r.IntN(size)] = byte(w.r.Uint32())
			m.s.Frames[0].Stack.Smear(off, size)
		case 6: // a zero is
			stack[at+w.r.IntN(size)] = 0
			m.s.Frames[0].Stack.SmearZero(off, size)
		default:
			copy(b[:size], stack[at:])
			v := m.s.Load(0, off, size)
			if v.Kind != Scalar {
				v = m.s.Unknown()
			}
			m.set(r, v, binary.LittleEndian.Uint64(b[:]))
		}
	}
}

// assume compares two registers, or one with a constant, and goes on the way
// that the comparison goes.
func (w *walk) assume(r, q int) error {
	op, is32, constant := walkJumps[w.r.IntN(len(walkJumps))], w.r.IntN(3) == 0, w.r.IntN(2) == 0
	k := w.number()
	if w.r.IntN(2) == 0 {
		k = w.m[0].reg(r) + uint64(w.r.IntN(3)) - 1 // so that it decides
	}
	if is32 {
		k &= 1<<32 - 1
	}
	for i := range w.m {
		m := &w.m[i]
		a, b := m.s.Reg(uint8(r)), m.s.Reg(uint8(q))
		x, y := m.reg(r), m.reg(q)
		if constant {
			b, y = Const(k), k
		}
		taken := compare(op, is32, x, y)
		w.note("%d: r%d %v (32 bits %v) r%d or, %v, %#x: %v", i, r, op, is32, q, constant, k, taken)
		if !m.s.Possible(op, is32, taken, a, b) {
			return fmt.Errorf("machine %d: what happened was not possible", i)
		}
		if !m.s.Assume(op, is32, taken, a, b) {
			return fmt.Errorf("machine %d: what happened was impossible", i)
		}
	}
	return nil
}

// compare is the machine's comparison (RFC 9669, section 4.3).
func compare(op isa.JmpOp, is32 bool, x, y uint64) bool {
	if is32 {
		x, y = uint64(int64(int32(x))), uint64(int64(int32(y))) // the same order, of either kind
	}
	switch op {
	case isa.JEq:
		return x == y
	case isa.JNe:
		return x != y
	case isa.JGt:
		return x > y
	case isa.JGe:
		return x >= y
	case isa.JLt:
		return x < y
	case isa.JLe:
		return x <= y
	case isa.JSGt:
		return int64(x) > int64(y)
	case isa.JSGe:
		return int64(x) >= int64(y)
	case isa.JSLt:
		return int64(x) < int64(y)
	case isa.JSLe:
		return int64(x) <= int64(y)
	}
	if is32 {
		return uint32(x)&uint32(y) != 0
	}
	return x&y != 0
}

// advance moves an address in the packet by a register, or starts again.
func (w *walk) advance(p, q int) {
	start, constant := w.r.IntN(3) == 0, w.r.IntN(2) == 0
	k := uint64(w.r.IntN(20))
	w.note("r%d advances by r%d or, %v, %d; anew %v", p, q, constant, k, start)
	for i := range w.m {
		m := &w.m[i]
		v, x := m.s.Reg(uint8(p)), m.reg(p)
		if start {
			v, x = Reg{Kind: Packet, Obj: m.s.PacketObj(false)}, m.c.Packet
			if p == 9 {
				v, x = Reg{Kind: PacketMeta, Obj: m.s.PacketObj(true)}, m.c.Meta
			}
		}
		n, y := m.s.Reg(uint8(q)), m.reg(q)
		if constant {
			n, y = Const(k), k
		}
		off := m.s.ALU64(isa.Add, 0, Reg{Kind: Scalar, V: v.V, C: v.C}, n)
		m.set(p, Reg{Kind: v.Kind, Obj: v.Obj, V: off.V, C: off.C}, x+y)
	}
}

// packet compares the offset of an address with the end of the packet, or of
// the metadata.
func (w *walk) packet() error {
	p := 7 + w.r.IntN(3)
	op := []isa.JmpOp{isa.JEq, isa.JNe, isa.JSLt, isa.JSLe, isa.JSGt, isa.JSGe}[w.r.IntN(6)]
	for i := range w.m {
		m := &w.m[i]
		v := m.s.Reg(uint8(p))
		off := Reg{Kind: Scalar, V: v.V, C: v.C}
		end, x, y := Reg{Kind: Scalar, V: PacketLen}, m.reg(p)-m.c.Packet, m.c.PacketLen
		if p == 9 {
			end, x, y = Reg{Kind: Scalar, V: MetaLen}, m.reg(p)-m.c.Meta, m.c.MetaLen
		}
		if w.r.IntN(2) == 0 {
			off, end, x, y = end, off, y, x
		}
		taken := compare(op, false, x, y)
		w.note("%d: r%d %v end: %v", i, p, op, taken)
		if !m.s.Assume(op, false, taken, off, end) {
			return fmt.Errorf("machine %d: what happened was impossible", i)
		}
	}
	return nil
}

// forget moves the packet.
func (w *walk) forget() {
	w.note("the packet moves")
	for i := range w.m {
		m := &w.m[i]
		m.s.ForgetPacket(mostPacket)
		m.arrives(m.c.Packet+0x1000, uint64(w.r.IntN(100)), uint64(w.r.IntN(32)))
	}
}

// mark begins an iteration: register r is noted.
func (w *walk) mark(r int) {
	w.note("mark r%d", r)
	for i := range w.m {
		m := &w.m[i]
		if len(m.s.Ghosts) > 0 {
			m.s.Ghosts, m.c.Notes = nil, nil
		}
		p := Place{Off: int16(r)}
		m.s.Ghosts = []Ghost{{Place: p, Reg: m.s.Reg(uint8(r))}}
		m.c.Notes = [][]Note{{{Place: p, X: m.reg(r)}}}
	}
}

// join joins the states of the two machines, if they have one shape, and lets
// both go on from there.
func (w *walk) join() error {
	s, t := w.m[0].s, w.m[1].s
	s.Canon()
	t.Canon()
	if !s.Same(t) {
		w.note("not joined")
		return w.check()
	}
	if s.Leq(t) {
		if err := t.Holds(&w.m[0].c); err != nil {
			return fmt.Errorf("above: %w", err)
		}
	}
	merge, widening := Union, w.r.IntN(3) == 0
	if widening {
		th := scalar.NewThresholds(0, 8, 16, 255)
		merge = Widening(&th)
	}
	w.note("join, widening %v", widening)
	u := Join(s, t, merge, widening)
	for i := range w.m {
		if err := u.Holds(&w.m[i].c); err != nil {
			return fmt.Errorf("joined, for machine %d: %w\n%v", i, err, u)
		}
	}
	v := u.Clone()
	v.Canon()
	for i := range w.m {
		if err := v.Holds(&w.m[i].c); err != nil {
			return fmt.Errorf("renumbered, for machine %d: %w\n%v", i, err, v)
		}
	}
	if !v.Leq(v) {
		return fmt.Errorf("not below itself: %v", v)
	}
	w.m[0].s, w.m[1].s = u, v
	return nil
}
