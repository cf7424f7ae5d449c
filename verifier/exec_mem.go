package verifier

import (
	"encoding/binary"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
	"github.com/skepvm/skep/verifier/internal/state"
)

// load executes LDX.
func (m *machine) load(in prog.Insn) error {
	p, err := m.read(in.Src)
	if err != nil {
		return err
	}
	size, signed := in.Op.Size().Bytes(), in.Op.Mode() == isa.MEMSX
	v, err := m.loadFrom(p, int64(in.Off), size, signed)
	if err != nil {
		return err
	}
	m.write(in.Dst, v)
	return nil
}

func (m *machine) loadFrom(p state.Reg, off int64, size int, signed bool) (state.Reg, error) {
	if err := m.access(p, off, size, false); err != nil {
		return p, err
	}
	if err := m.noteAccess(p, off); err != nil {
		return p, err
	}
	switch p.Kind {
	case state.Ctx:
		return m.loadContext(off, size, signed)
	case state.Stack:
		return m.loadStack(p, off, size, signed)
	case state.MapValue:
		if c, ok := m.frozen(p, off, size); ok {
			return m.extend(state.Const(c), size, signed), nil
		}
	}
	return m.anything(size, signed), nil
}

// anything returns what a load of size bytes of which nothing is known gives.
func (m *machine) anything(size int, signed bool) state.Reg {
	switch {
	case size == 8:
		return m.s.Unknown()
	case signed:
		top := int64(1) << (8*size - 1)
		return m.s.Fresh(scalar.Signed(-top, top-1))
	}
	return m.s.Fresh(scalar.Unsigned(0, 1<<(8*size)-1))
}

// extend returns v, size bytes zero-extended, as a sign-extending load gives it.
func (m *machine) extend(v state.Reg, size int, signed bool) state.Reg {
	if !signed || size == 8 {
		return v
	}
	return m.s.ALU64(isa.Mov, int16(8*size), v, v)
}

// access checks that size bytes at p + off may be loaded, or stored.
func (m *machine) access(p state.Reg, off int64, size int, write bool) error {
	if !p.Kind.IsPointer() {
		return m.fail(NotPointer, "access through a number (%v), not a pointer", m.s.Num(p))
	}
	obj := &m.s.Objs[p.Obj]
	if obj.Nullable {
		return m.fail(NullPointer, "access through a %v pointer that may be null; compare it with 0 first", p.Kind)
	}
	if write && obj.ReadOnly {
		return m.fail(ReadOnly, "store to %v memory, which is read only", p.Kind)
	}
	switch p.Kind {
	case state.Ctx:
		if p.V != state.Zero || p.C != 0 {
			return m.fail(BadContext, "access through a context pointer that was moved by %v", m.s.Num(p))
		}
		return nil
	case state.Stack:
		if m.misaligned(p, off, size) {
			return m.fail(Misaligned, "stack access at offset %v, size %d, is not aligned", m.offset(p, off), size)
		}
		if err := m.within(p, off, state.Const(uint64(size))); err != nil {
			return err
		}
		lo, hi := m.span(p, off, size)
		if write && p.V == state.Zero {
			m.overwrite(int(m.s.Objs[p.Obj].Index), lo, hi)
		}
		return m.stackUse(p, lo, hi)
	case state.Packet:
		if write && !m.sv.p.Type.PacketWrite {
			return m.fail(ReadOnly, "store to the packet; %s programs may only read it", m.sv.p.Type.Name)
		}
	case state.MapValue:
		flags := m.sv.spec(obj.Index).ProgramFlags()
		if write && flags&maps.ReadOnlyProg != 0 || !write && flags&maps.WriteOnlyProg != 0 {
			return m.fail(ReadOnly, "map %s does not allow programs this access", m.sv.spec(obj.Index).Name)
		}
		if err := m.within(p, off, state.Const(uint64(size))); err != nil {
			return err
		}
		return m.plain(p, off, uint64(size))
	case state.Object:
		_, err := m.objectField(p, off, size, write)
		return err
	case state.PacketMeta, state.MapKey, state.Mem, state.RingBufMem:
	default:
		return m.fail(BadPointer, "access through a %v pointer", p.Kind)
	}
	return m.within(p, off, state.Const(uint64(size)))
}

// plain checks that no byte that an access of up to size bytes at p + off may
// touch belongs to a special field. p points into a map value, within bounds.
func (m *machine) plain(p state.Reg, off int64, size uint64) error {
	if size == 0 {
		return nil
	}
	n, i := m.offset(p, off), m.s.Objs[p.Obj].Index
	if f := m.sv.special(i, n.SMin(), n.SMax()+int64(size)); f != nil {
		code := BadPointer
		if f.Kind == "kptr" {
			code = Unsupported
		}
		return m.fail(code, "access at offset %v, size %d, of map %s touches the %s at offset %d, which only helpers may", n, size, m.sv.spec(i).Name, f.Kind, f.Off)
	}
	return nil
}

func (m *machine) offset(p state.Reg, off int64) scalar.Scalar {
	p.C += off
	return m.s.Num(p)
}

func (m *machine) misaligned(p state.Reg, off int64, size int) bool {
	bits := m.offset(p, off).Bits()
	return (bits.Value|bits.Mask)&uint64(size-1) != 0
}

// maxOffset bounds variable offsets, so that no sum of them wraps.
const maxOffset = 1 << 40

// within checks that size bytes at p + off lie inside p's object. size is a
// scalar whose range is known to be small.
//
// Sound: start and end are integers that the machine computes without
// wrapping, because every part is bounded by maxOffset.
func (m *machine) within(p state.Reg, off int64, size state.Reg) error {
	start := state.Reg{Kind: state.Scalar, V: p.V, C: p.C + off}
	n := m.s.Num(start)
	low, high := int64(0), int64(m.s.Objs[p.Obj].Size)
	region := p.Kind.String()
	if p.Kind == state.Stack {
		low, high = -state.StackSize, 0
	}
	if n.SMin() < -maxOffset || n.SMax() > maxOffset {
		return m.fail(OutOfBounds, "%s access at an offset without bounds, %v", region, n)
	}
	if n.SMin() < low {
		return m.fail(OutOfBounds, "%s access at offset %v, size %v: it may begin before the region", region, n, m.s.Num(size))
	}
	end := m.s.ALU64(isa.Add, 0, start, size)
	var limit state.Reg
	switch p.Kind {
	case state.Packet:
		limit = state.Reg{Kind: state.Scalar, V: state.PacketLen}
	case state.PacketMeta:
		limit = state.Reg{Kind: state.Scalar, V: state.MetaLen}
	default:
		limit = state.Const(uint64(high))
	}
	if e := m.s.Num(end); e.SMax() <= m.s.Num(limit).SMin() {
		return nil
	}
	if limit.V != state.Zero {
		if d, ok := m.s.DiffReg(end, limit); ok && d <= 0 {
			return nil
		}
		proven := "no bytes are proven there"
		if p.V == state.Zero {
			return m.fail(OutOfBounds, "%s access at offset %d, size %v; %d bytes are proven", region, p.C+off, sizeText(m.s.Num(size)), m.s.Num(limit).SMin())
		}
		return m.fail(OutOfBounds, "%s access at variable offset %v, size %v; %s", region, n, sizeText(m.s.Num(size)), proven)
	}
	return m.fail(OutOfBounds, "%s access at offset %v, size %v; the region has %d bytes", region, n, sizeText(m.s.Num(size)), high-low)
}

func sizeText(n scalar.Scalar) any {
	if n.IsConst() {
		return n.Bits().Value
	}
	return n
}

// loadContext returns what the context field at off holds.
func (m *machine) loadContext(off int64, size int, signed bool) (state.Reg, error) {
	f, err := m.field(off, size, false)
	if err != nil {
		return state.Reg{}, err
	}
	if f.Kind != hook.FieldScalar && f.Kind != hook.FieldBytes && (signed || uint32(size) != f.Size) {
		return state.Reg{}, m.fail(BadContext, "%s is a pointer: it must be loaded whole", f.Name)
	}
	switch f.Kind {
	case hook.FieldPacket:
		return state.Reg{Kind: state.Packet, Obj: m.s.PacketObj(false)}, nil
	case hook.FieldPacketEnd:
		return state.Reg{Kind: state.Packet, Obj: m.s.PacketObj(false), V: state.PacketLen}, nil
	case hook.FieldPacketMeta:
		return state.Reg{Kind: state.PacketMeta, Obj: m.s.PacketObj(true)}, nil
	case hook.FieldObject:
		o := m.s.NewObj(state.Obj{Kind: state.Object, Nullable: f.Nullable, Type: f.Object})
		return state.Reg{Kind: state.Object, Obj: o}, nil
	}
	return m.anything(size, signed), nil
}

// objectField returns the field of a host object that an access touches, which
// must allow it.
func (m *machine) objectField(p state.Reg, off int64, size int, write bool) (*hook.Field, error) {
	name := m.s.Objs[p.Obj].Type
	layout := m.sv.p.Type.Objects[name]
	if layout == nil {
		return nil, m.fail(BadPointer, "access through a pointer to a %s, of which no field can be read", name)
	}
	if p.V != state.Zero || p.C != 0 {
		return nil, m.fail(BadPointer, "access through a %s pointer that was moved", name)
	}
	return m.layoutField(layout, off, size, write)
}

// field returns the context field that an access of size bytes at off touches,
// which must allow it.
func (m *machine) field(off int64, size int, write bool) (*hook.Field, error) {
	return m.layoutField(&m.sv.p.Type.Ctx, off, size, write)
}

// layoutField returns the field of c that an access touches, which must allow it.
func (m *machine) layoutField(c *hook.Ctx, off int64, size int, write bool) (*hook.Field, error) {
	if off < 0 || off+int64(size) > int64(c.Size) {
		return nil, m.fail(BadContext, "access at offset %d, size %d, of %s, which has %d bytes", off, size, c.Name, c.Size)
	}
	f := c.At(uint32(off))
	if f == nil || off+int64(size) > int64(f.Off)+int64(f.Size) {
		return nil, m.fail(BadContext, "access at offset %d, size %d, of %s: no field allows it", off, size, c.Name)
	}
	if off%int64(size) != 0 {
		return nil, m.fail(BadContext, "access at offset %d of %s is not aligned to its size, %d", off, c.Name, size)
	}
	allowed, verb := f.Read, "load"
	if write {
		allowed, verb = f.Write, "store"
	}
	if !allowed.Has(size) {
		return nil, m.fail(BadContext, "%s of %d bytes at offset %d of %s: field %s does not allow it", verb, size, off, c.Name, f.Name)
	}
	return f, nil
}

// loadStack reads the stack of p's frame.
func (m *machine) loadStack(p state.Reg, off int64, size int, signed bool) (state.Reg, error) {
	f := int(m.s.Objs[p.Obj].Index)
	if p.V != state.Zero {
		lo, hi := m.span(p, off, size)
		if !m.initialised(f, lo, hi-lo) {
			return p, m.fail(UninitStack, "read of stack bytes %d to %d, not all of which were written", lo, hi)
		}
		if m.sv.o.Strict && m.s.Frames[f].Stack.HasPointer(lo, hi-lo) {
			return p, m.fail(Leak, "a read at a variable offset may be of part of a pointer")
		}
		return m.anything(size, signed), nil
	}
	at := int(p.C + off)
	if !m.initialised(f, at, size) {
		return p, m.fail(UninitStack, "read of %d bytes at fp%d, not all of which were written", size, at)
	}
	v := m.s.Load(f, at, size)
	if m.sv.o.Strict && m.s.Frames[f].Stack.HasPointer(at, size) && (!v.Kind.IsPointer() || signed) {
		return p, m.fail(Leak, "read of part of the pointer at fp%d", at)
	}
	if v.Kind.IsPointer() && signed {
		return m.anything(size, signed), nil
	}
	return m.extend(v, size, signed), nil
}

// initialised reports whether the n stack bytes at lo of frame f may be read: by
// the strict rules only if they were written.
func (m *machine) initialised(f, lo, n int) bool {
	if m.s.Frames[f].Stack.Init(lo, n) {
		return true
	}
	m.sv.facts.uninitStack = true
	return !m.sv.o.Strict
}

// span returns the bytes that an access at a variable offset may touch.
func (m *machine) span(p state.Reg, off int64, size int) (lo, hi int) {
	n := m.offset(p, off)
	return int(n.SMin()), int(n.SMax()) + size
}

// frozen returns the constant that a load from a read-only map gives.
func (m *machine) frozen(p state.Reg, off int64, size int) (uint64, bool) {
	spec := m.sv.spec(m.s.Objs[p.Obj].Index)
	if m.sv.isTemplate(m.s.Objs[p.Obj].Index) {
		return 0, false
	}
	if !spec.Frozen || spec.Flags&maps.ReadOnlyProg == 0 || spec.Type != maps.Array || spec.MaxEntries != 1 || p.V != state.Zero {
		return 0, false
	}
	var b [8]byte
	if len(spec.Contents) > 0 {
		value := spec.Contents[0].Value
		at := p.C + off
		if at < 0 || at > int64(len(value)) {
			return 0, false
		}
		copy(b[:size], value[at:])
	}
	return binary.LittleEndian.Uint64(b[:]), true
}

// store executes ST, STX and the atomic instructions.
func (m *machine) store(in prog.Insn) error {
	if in.Op.Mode() == isa.ATOMIC && in.Imm == isa.LoadAcquire {
		return m.loadAcquire(in)
	}
	p, err := m.read(in.Dst)
	if err != nil {
		return err
	}
	if in.Op.Mode() == isa.ATOMIC {
		return m.atomic(in, p)
	}
	v := state.Const(uint64(int64(in.Imm)))
	if in.Op.Class() == isa.STX {
		if v, err = m.read(in.Src); err != nil {
			return err
		}
	}
	return m.storeTo(p, int64(in.Off), in.Op.Size().Bytes(), v)
}

func (m *machine) storeTo(p state.Reg, off int64, size int, v state.Reg) error {
	if err := m.access(p, off, size, true); err != nil {
		return err
	}
	if err := m.noteAccess(p, off); err != nil {
		return err
	}
	if v.Kind.IsPointer() && m.sv.o.Strict && p.Kind != state.Stack {
		return m.fail(Leak, "a %v pointer would become readable in %v memory", v.Kind, p.Kind)
	}
	switch p.Kind {
	case state.Ctx:
		f, err := m.field(off, size, true)
		if err != nil {
			return err
		}
		if f.Kind != hook.FieldScalar && f.Kind != hook.FieldBytes {
			return m.fail(BadContext, "store to %s, which is a pointer", f.Name)
		}
	case state.Stack:
		return m.storeStack(p, off, size, v)
	}
	return nil
}

func (m *machine) storeStack(p state.Reg, off int64, size int, v state.Reg) error {
	f := int(m.s.Objs[p.Obj].Index)
	if v.Kind == state.Stack && f < len(m.s.Frames)-1 && int(m.s.Objs[v.Obj].Index) > f {
		return m.fail(Leak, "the address of a callee's stack would outlive it")
	}
	if v.Kind.IsPointer() && size < 8 && m.sv.o.Strict {
		return m.fail(Leak, "store of part of a %v pointer", v.Kind)
	}
	st := &m.s.Frames[f].Stack
	if p.V != state.Zero {
		lo, hi := m.span(p, off, size)
		if m.sv.o.Strict && st.HasPointer(lo, hi-lo) {
			return m.fail(Leak, "a store at a variable offset may overwrite part of a pointer")
		}
		if v == state.Const(0) {
			st.SmearZero(lo, hi-lo)
		} else {
			st.Smear(lo, hi-lo)
		}
		return nil
	}
	if m.sv.o.Strict && size < 8 && st.HasPointer(int(p.C+off), size) {
		return m.fail(Leak, "store over part of the pointer at fp%d", p.C+off)
	}
	m.s.Store(f, int(p.C+off), size, v)
	return nil
}

// atomic executes the read-modify-write instructions and store-release (RFC 9669, section 5.3).
func (m *machine) atomic(in prog.Insn, p state.Reg) error {
	size := in.Op.Size().Bytes()
	v, err := m.read(in.Src)
	if err != nil {
		return err
	}
	if err := m.atomicTarget(p, int64(in.Off), size); err != nil {
		return err
	}
	if in.Imm == isa.StoreRelease {
		return m.storeTo(p, int64(in.Off), size, v)
	}
	if v.Kind.IsPointer() {
		if m.sv.o.Strict {
			return m.fail(Leak, "a %v pointer as the operand of an atomic operation", v.Kind)
		}
		v = m.s.Unknown() // its address
	}
	old, err := m.loadFrom(p, int64(in.Off), size, false)
	if err != nil {
		return err
	}
	fetched := old // of a spilled pointer the pointer itself
	if old.Kind.IsPointer() {
		if m.sv.o.Strict {
			return m.fail(Leak, "an atomic operation on a %v pointer", old.Kind)
		}
		old = m.anything(size, false)
	}
	if in.Imm == isa.AtomicCmpXchg {
		r0, err := m.read(prog.R0)
		if err != nil {
			return err
		}
		if r0.Kind.IsPointer() && m.sv.o.Strict {
			return m.fail(Leak, "a %v pointer in r0 of a compare-and-exchange", r0.Kind)
		}
	}
	after := m.anything(size, false)
	if p.Kind != state.Stack || p.V != state.Zero {
		fetched = m.anything(size, false) // others may write there at any time
	} else if in.Imm != isa.AtomicCmpXchg {
		after = m.combine(in.Imm, size, old, v)
	}
	if err := m.storeTo(p, int64(in.Off), size, after); err != nil {
		return err
	}
	switch {
	case in.Imm == isa.AtomicCmpXchg:
		m.write(prog.R0, fetched)
	case in.Imm&isa.AtomicFetch != 0:
		m.write(in.Src, fetched)
	}
	return nil
}

// combine returns what a read-modify-write of imm leaves where old was.
func (m *machine) combine(imm int32, size int, old, v state.Reg) state.Reg {
	if imm == isa.AtomicXchg {
		return m.s.Truncate(v, size)
	}
	op := isa.ALUOp(imm &^ isa.AtomicFetch) // the numbers are those of the ALU (RFC 9669, section 5.3)
	if size == 4 {
		return m.s.ALU32(op, 0, old, v)
	}
	return m.s.ALU64(op, 0, old, v)
}

func (m *machine) loadAcquire(in prog.Insn) error {
	p, err := m.read(in.Src)
	if err != nil {
		return err
	}
	size := in.Op.Size().Bytes()
	if err := m.atomicTarget(p, int64(in.Off), size); err != nil {
		return err
	}
	v, err := m.loadFrom(p, int64(in.Off), size, false)
	if err == nil {
		m.write(in.Dst, v)
	}
	return err
}

// atomicTarget checks what atomics ask beyond a plain access: ordinary memory,
// naturally aligned.
func (m *machine) atomicTarget(p state.Reg, off int64, size int) error {
	switch p.Kind {
	case state.Ctx, state.Packet, state.PacketMeta, state.Object:
		return m.fail(BadPointer, "atomic operation on %v memory", p.Kind)
	}
	if m.beginsAnywhere(p) && size > 1 {
		return m.fail(Misaligned, "atomic operation of %d bytes on %v memory that may begin at any address", size, p.Kind)
	}
	if p.Kind.IsPointer() && m.misaligned(p, off, size) {
		return m.fail(Misaligned, "atomic operation at offset %v, size %d, is not aligned", m.offset(p, off), size)
	}
	return nil
}

// beginsAnywhere reports whether the object that p points to has no alignment:
// a slice of a dynptr, or an argument of a function that is proved by its contract.
// Other memory than the packet is aligned to 8 bytes.
func (m *machine) beginsAnywhere(p state.Reg) bool {
	return p.Kind == state.Mem && m.s.Objs[p.Obj].Type != ""
}

// loadPacket executes the legacy packet loads: r0 = *(skb->data + offset),
// converted from network order. Outside of the packet the program ends and
// returns 0 (kernel, Documentation/bpf/instruction-set.rst, "Legacy BPF Packet
// access instructions").
func (m *machine) loadPacket(in prog.Insn) error {
	if !m.sv.p.Type.LegacyPacket {
		return m.fail(BadPointer, "%s programs have no legacy packet access", m.sv.p.Type.Name)
	}
	ctx, err := m.read(prog.R6)
	if err != nil {
		return err
	}
	if ctx.Kind != state.Ctx || ctx.V != state.Zero || ctx.C != 0 {
		return m.fail(BadArgument, "r6 must hold the context")
	}
	if in.Op.Mode() == isa.IND {
		if i, err := m.read(in.Src); err != nil {
			return err
		} else if i.Kind.IsPointer() {
			return m.fail(Leak, "a %v pointer as a packet offset", i.Kind)
		}
	}
	if err := m.holdsNothing("the access may end the program"); err != nil {
		return err
	}
	if r := m.sv.p.Type.Return; r.Min > 0 || r.Max < 0 {
		return m.fail(BadReturn, "the access may end the program with 0; %s programs return %d to %d", m.sv.p.Type.Name, r.Min, r.Max)
	}
	if err := m.mayReturn(func(*state.State) state.Reg { return state.Const(0) }); err != nil {
		return err
	}
	for r := prog.R0; r <= prog.R5; r++ {
		m.write(r, state.Reg{})
	}
	m.write(prog.R0, m.anything(in.Op.Size().Bytes(), false))
	return nil
}
