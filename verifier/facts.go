package verifier

import (
	"encoding/binary"
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
	"github.com/skepvm/skep/verifier/internal/state"
)

// A Fact is what holds at one instruction in every run, for engines to rely
// on. A zero field says nothing unless its comment says otherwise.
type Fact struct {
	// Reached is false if no run executes the instruction.
	Reached bool

	// Branch says which ways a conditional jump can go.
	Branch Branch

	// Region is the memory that a load, a store or an atomic operation
	// accesses: one kind, or several if different paths bring different
	// pointers. The context and host objects never share an instruction with
	// another kind.
	Region Region
	// Min and Max bound where in the region the access begins, as an offset:
	// from R10 for the stack, from data for the packet, from data_meta for
	// metadata, from the start of anything else.
	Min, Max int64
	// Field is the context's field that the access lies in.
	Field *hook.Field

	// Map is the index of the only map that the instruction uses: whose value
	// it accesses, or that a call gets; −1: none, or several.
	Map int
	// Inner is the index of the map of maps from which all the maps come that the
	// instruction uses; −1: there is none such, or they come from several.
	Inner int
	// Key is the key that a call always gets, in the map's byte order, if it
	// has up to 8 bytes; nil if it can vary.
	Key []byte

	// Direct is the direct call that does what a call through a register does,
	// if that always calls the same; otherwise its Op is 0.
	Direct prog.Insn

	// Size is the size that a call always gets for memory that it is given; 0:
	// it can vary, or is 0, or the call gets none.
	Size uint32

	// NonZero says that the divisor is never 0, on the width of the division.
	NonZero bool
}

// A Branch says which ways of a conditional jump are possible.
type Branch uint8

const (
	BranchNone   Branch = 0 // not reached, or not a conditional jump
	BranchTaken  Branch = 1 // always taken
	BranchFall   Branch = 2 // never taken
	BranchEither Branch = 3
)

// A Region is a set of kinds of memory.
type Region uint16

const (
	RegionCtx         Region = 1 << iota
	RegionStack              // of the function's own frame
	RegionCallerStack        // of a frame further out
	RegionPacket
	RegionPacketMeta
	RegionMapValue
	RegionMapKey
	RegionMem // memory that a helper returned, ring buffer reservations included
	RegionObject
)

// exclusive are the regions whose accesses engines rewrite: an instruction that
// accesses one accesses nothing else (kernel, reg_type_mismatch).
const exclusive = RegionCtx | RegionObject

// Fact returns what holds at the instruction at pc.
func (v *Verified) Fact(pc prog.PC) Fact {
	f := Fact{Map: -1, Inner: -1}
	if pc < 0 || int(pc) >= len(v.facts.reached) || !v.facts.reached[pc] {
		return f
	}
	f.Reached, f.Branch = true, Branch(v.facts.outcome[pc])
	k := v.facts.at[pc]
	if k == nil {
		return f
	}
	f.Region, f.Min, f.Max = k.region, k.min, k.max
	switch i := int(k.mapIndex) - len(v.prog.Maps); {
	case i >= 0:
		f.Inner = int(v.facts.outer[i])
	case k.mapIndex >= 0:
		f.Map = int(k.mapIndex)
	}
	if k.region == RegionCtx {
		f.Field = v.prog.Type.Ctx.At(uint32(k.min))
	}
	if k.keySize > 0 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], k.key)
		f.Key = b[:k.keySize]
	}
	f.Size = k.size
	f.NonZero = k.divides && !k.zero
	if k.callees == 1 {
		f.Direct = k.direct
	}
	return f
}

// Reached reports whether any run executes the instruction at pc: Fact(pc).Reached.
func (v *Verified) Reached(pc prog.PC) bool { return v.facts.reached[pc] }

// Region returns Fact(pc).Region.
func (v *Verified) Region(pc prog.PC) Region {
	if k := v.facts.at[pc]; k != nil && v.facts.reached[pc] {
		return k.region
	}
	return 0
}

// StaleStack returns how many bytes of the stack of function fn, from R10 down, the
// program may read without having written them, itself or through a helper. An
// engine that keeps a stack from run to run must not show what others left there.
func (v *Verified) StaleStack(fn int) int {
	switch {
	case v.facts.anyStack:
		return state.StackSize
	case v.facts.uninitStack:
		return v.facts.depth[fn]
	}
	return 0
}

// facts is what the exploration has seen, by PC. Each entry holds for every
// explored state at its instruction, and explored states cover every run.
type facts struct {
	reached []bool
	outcome []outcome
	at      []*known

	outer []int32 // of templates, by number: the map whose template it is

	uninitStack bool  // bytes may be read that were not written
	anyStack    bool  // by their address, too
	depth       []int // by function: bytes of stack that accesses reach
}

// known is what is known of one access, call or division.
type known struct {
	region   Region
	min, max int64
	mapIndex int32 // its number, noMap before the first use, or several
	key      uint64
	keySize  uint8     // 0: unknown, or it varies
	direct   prog.Insn // what a call through a register called first
	callees  uint8     // how many different functions it calls: 0, 1, or more, which is 2
	size     uint32    // of a call's memory
	sized    bool      // a size was seen
	divides  bool      // a division was seen
	zero     bool      // whose divisor may be 0
}

const (
	noMap   = -1
	several = -2
)

func newFacts(n int) facts {
	return facts{reached: make([]bool, n), outcome: make([]outcome, n), at: make([]*known, n)}
}

// known returns the entry of pc; first says that it is new.
func (f *facts) known(pc prog.PC) (k *known, first bool) {
	if k = f.at[pc]; k != nil {
		return k, false
	}
	k = &known{mapIndex: noMap}
	f.at[pc] = k
	return k, true
}

func (k *known) usesMap(i int32) {
	switch k.mapIndex {
	case noMap:
		k.mapIndex = i
	case i:
	default:
		k.mapIndex = several
	}
}

var regionOf = [...]Region{
	state.Ctx: RegionCtx, state.Stack: RegionStack, state.Packet: RegionPacket, state.PacketMeta: RegionPacketMeta,
	state.MapValue: RegionMapValue, state.MapKey: RegionMapKey, state.Mem: RegionMem, state.RingBufMem: RegionMem,
	state.Object: RegionObject,
}

// noteAccess records a checked access at p + off, and refuses one by an
// instruction that on another path accesses memory of a kind that engines
// treat differently.
func (m *machine) noteAccess(p state.Reg, off int64) error {
	region, obj := Region(0), &m.s.Objs[p.Obj]
	if int(p.Kind) < len(regionOf) {
		region = regionOf[p.Kind]
	}
	if p.Kind == state.Stack && int(obj.Index) != len(m.s.Frames)-1 {
		region = RegionCallerStack
	}
	lo, hi := p.C+off, p.C+off
	if p.V != state.Zero {
		n := m.offset(p, off)
		lo, hi = n.SMin(), n.SMax()
	}
	k, first := m.sv.facts.known(m.pc)
	if first {
		k.min, k.max = lo, hi
	}
	all := k.region | region
	if all&exclusive != 0 && all&(all-1) != 0 {
		err := m.fail(BadPointer, "access through a %v pointer; on another path this instruction accesses %v", p.Kind, k.region)
		err.(*Error).definite = false // that path may be one of the joined states' alone
		return err
	}
	k.region, k.min, k.max = all, min(k.min, lo), max(k.max, hi)
	if p.Kind == state.MapValue {
		k.usesMap(obj.Index)
	} else {
		k.mapIndex = several // none of its own
	}
	return nil
}

// noteCall records the map and the key of a call whose arguments were checked.
func (m *machine) noteCall(f *helpers.Func, c *call) {
	if c.m < 0 {
		return
	}
	k, first := m.sv.facts.known(m.pc)
	k.usesMap(c.m)
	if !first && k.keySize == 0 {
		return
	}
	key, size := m.constantKey(f, c)
	switch {
	case first:
		k.key, k.keySize = key, size
	case k.keySize != size || k.key != key:
		k.keySize = 0
	}
}

// constantKey returns the key that the call gets, and its size; 0 if it is not
// known.
func (m *machine) constantKey(f *helpers.Func, c *call) (key uint64, size uint8) {
	for i := range f.Proto.NumArgs() {
		n := m.sv.spec(c.m).KeySize
		if f.Proto.Args[i].Kind != helpers.ArgMapKey || n == 0 || n > 8 {
			continue
		}
		p := m.s.Reg(uint8(1 + i))
		if p.Kind != state.Stack || p.V != state.Zero {
			return 0, 0
		}
		if r := m.s.Load(int(m.s.Objs[p.Obj].Index), int(p.C), int(n)); r.IsConst() {
			return r.Uint(), uint8(n)
		}
	}
	return 0, 0
}

// noteSize records the size of a call whose arguments were checked.
func (m *machine) noteSize(f *helpers.Func) {
	for i := range f.Proto.NumArgs() {
		if kind := f.Proto.Args[i].Kind; kind != helpers.ArgSize && kind != helpers.ArgSizeOrZero {
			continue
		}
		k, _ := m.sv.facts.known(m.pc)
		size := uint32(0)
		if r := m.s.Reg(uint8(1 + i)); r.Kind == state.Scalar && r.IsConst() {
			size = uint32(r.Uint()) // checked to be small
		}
		if k.sized && k.size != size {
			size = 0
		}
		k.sized, k.size = true, size
		return
	}
}

// noteCallee records what a call through a register calls: what direct calls.
func (m *machine) noteCallee(direct prog.Insn) {
	k, _ := m.sv.facts.known(m.pc)
	switch {
	case k.callees == 0:
		k.direct, k.callees = direct, 1
	case k.direct != direct:
		k.callees = 2
	}
}

// noteDivision records whether the divisor may be 0.
func (m *machine) noteDivision(is64 bool, divisor scalar.Scalar) {
	if !is64 {
		divisor = scalar.Low(divisor)
	}
	k, _ := m.sv.facts.known(m.pc)
	k.divides = true
	k.zero = k.zero || divisor.Contains(0)
}

var regionNames = [...]string{
	"the context", "the stack", "a caller's stack", "the packet", "metadata", "a map value", "a map key", "memory", "a host object",
}

// String names the regions of r.
func (r Region) String() string {
	text := ""
	for i, name := range regionNames {
		if r&(1<<i) != 0 {
			if text != "" {
				text += ", "
			}
			text += name
		}
	}
	if text == "" {
		return fmt.Sprintf("Region(%d)", uint16(r))
	}
	return text
}
