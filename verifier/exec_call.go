package verifier

// exec_call.go checks calls of the host's functions against their contracts,
// and leaves what the contracts say. Calls that run code of the program, and
// its exits, are in exec_enter.go.

import (
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
	"github.com/skepvm/skep/verifier/internal/state"
)

const maxFrames = 8

// maxErrno bounds the numbers of errors (kernel, MAX_ERRNO).
const maxErrno = 4095

// callee returns the host's function that in calls; nil if in calls none, or
// one that is not known.
func (v *verifier) callee(in prog.Insn) *helpers.Func {
	switch {
	case in.IsCall(isa.CallHelper):
		return v.p.Type.Helpers.Helper(helpers.ID(in.Imm))
	case in.IsCall(isa.CallKfunc):
		name := v.p.Externs[in.Imm].Name
		if f := v.p.Type.Helpers.Kfunc(name); f != nil {
			return f
		}
		if f := helpers.Kfunc(name); f != nil {
			return f
		}
		return helpers.Builtin(name)
	}
	return nil
}

func (v *verifier) isTailCall(in prog.Insn) bool {
	f := v.callee(in)
	return f != nil && f.Proto.Control == helpers.TailCall
}

// valueOf returns the object that a direct address of map i's value points to.
func (v *verifier) valueOf(i int32) state.Obj {
	return state.Obj{Kind: state.MapValue, Index: i, Size: v.spec(i).ValueSize}
}

// call executes a call that does not enter the program.
func (m *machine) call(in prog.Insn) error {
	f := m.sv.callee(in)
	if f == nil {
		return m.unknown(in)
	}
	return m.callHost(f)
}

// callHost executes a call of f that does not enter the program.
func (m *machine) callHost(f *helpers.Func) error {
	c, err := m.arguments(f)
	if err != nil {
		return err
	}
	if f.Proto.Control == helpers.TailCall {
		if err := m.tailCall(); err != nil {
			return err
		}
	}
	if err := m.section(f); err != nil {
		return err
	}
	if is(f, helpers.DynptrSliceRdwr) && !m.sv.p.Type.PacketWrite {
		return m.fail(ReadOnly, "%s programs may not write to the packet, as %s lets them", m.sv.p.Type.Name, f.Name)
	}
	return m.afterCall(f, c)
}

// tailCall checks that a run may leave the program here, and, in a subprogram,
// goes on with what the other program leaves when it returns instead of it:
// any R0, and a packet that may have moved.
func (m *machine) tailCall() error {
	if err := m.holdsNothing("a tail call"); err != nil {
		return err
	}
	if m.inCallback() {
		return m.fail(Unsupported, "a tail call in a callback")
	}
	// The program that is called runs instead of the rest of this function.
	return m.mayReturn(func(s *state.State) state.Reg {
		s.ForgetPacket(m.sv.o.MaxPacket)
		return s.Unknown()
	})
}

// inCallback reports whether a helper, or a timer, is what called some frame.
func (m *machine) inCallback() bool {
	for i := range m.s.Frames {
		if k := m.s.Frames[i].Kind; k == state.CallbackBody || k == state.Apart && m.sv.async {
			return true
		}
	}
	return false
}

func (m *machine) unknown(in prog.Insn) error {
	if in.IsCall(isa.CallKfunc) {
		return m.fail(UnknownCallee, "%s programs cannot call %s", m.sv.p.Type.Name, m.sv.p.Externs[in.Imm].Name)
	}
	return m.fail(UnknownCallee, "%s programs cannot call helper %d", m.sv.p.Type.Name, in.Imm)
}

// A call is what the arguments of one call say together.
type call struct {
	m       int32 // index of the map; −1: none
	size    uint32
	release state.ObjID
	parent  state.ObjID // what the result ends with
	fn      int32       // entry PC of the callback
	timer   int32       // map that holds the timer; −1: none

	dynptr state.ObjID // the dynptr that is used
	place  iterPlace   // where a dynptr is made or ended
	made   string      // kind of the dynptr that is made
	cloned state.ObjID // the dynptr that a clone is made of
}

// arguments checks R1 to R5 against the contract of f, and does what the
// callee does to memory.
func (m *machine) arguments(f *helpers.Func) (call, error) {
	c := call{m: -1, fn: -1, timer: -1}
	if err := m.mayCall(f); err != nil {
		return c, err
	}
	for i := 0; i < f.Proto.NumArgs(); i++ {
		m.arg = i + 1
		r, err := m.read(prog.R1 + prog.Reg(i))
		if err != nil {
			return c, err
		}
		if err := m.argument(f, i, r, &c); err != nil {
			return c, err
		}
	}
	m.arg = 0
	m.sv.facts.anyStack = m.sv.facts.anyStack || f.Proto.AnyMemory
	m.noteCall(f, &c)
	m.noteSize(f)
	for i := 0; i < f.Proto.NumArgs(); i++ { // after all are checked
		m.clobber(f, i, &c)
	}
	if c.release != 0 {
		m.s.ReleaseObj(c.release)
	}
	if c.made != "" {
		return c, m.newDynptr(&c)
	}
	if f.Name == "timer_set_callback" {
		return c, m.setTimerCallback(c.fn, c.timer)
	}
	return c, nil
}

func (m *machine) badArgument(i int, format string, args ...any) error {
	m.arg = i + 1
	return m.fail(BadArgument, "argument %d: "+format, append([]any{i + 1}, args...)...)
}

// argument checks argument i of f, which is r.
func (m *machine) argument(f *helpers.Func, i int, r state.Reg, c *call) error {
	arg := &f.Proto.Args[i]
	if r.Kind.IsPointer() && m.s.Objs[r.Obj].Nullable && arg.Kind != helpers.ArgAnything {
		if !arg.Nullable {
			return m.fail(NullPointer, "argument %d of %s is a %v pointer that may be null; compare it with 0 first", i+1, f.Name, r.Kind)
		}
	}
	null := r.IsConst() && r.C == 0 && arg.Nullable
	switch arg.Kind {
	case helpers.ArgAnything:
		if r.Kind.IsPointer() && m.sv.o.Strict {
			return m.fail(Leak, "argument %d of %s would hand over the address in a %v pointer", i+1, f.Name, r.Kind)
		}
	case helpers.ArgMapPtr:
		if r.Kind != state.MapPtr {
			return m.badArgument(i, "%s wants a map, not %v", f.Name, r.Kind)
		}
		c.m = m.s.Objs[r.Obj].Index
		if c.timer >= 0 && c.timer != c.m {
			return m.badArgument(i, "the timer lies in map %s, not in %s", m.sv.spec(c.timer).Name, m.sv.spec(c.m).Name)
		}
		return m.mapMatches(f, i, c.m)
	case helpers.ArgMapKey:
		return m.memory(f, i, r, state.Const(uint64(m.sv.spec(c.m).KeySize)), null)
	case helpers.ArgMapValue:
		spec := m.sv.spec(c.m)
		if isSockets(spec) {
			return m.objectLike(f, i, &helpers.Arg{Kind: helpers.ArgObject, Object: "sock_common"}, r, c)
		}
		if arg.Uninit && spec.Type == maps.BloomFilter {
			f = asks(f, i)
		}
		return m.memory(f, i, r, state.Const(uint64(spec.ValueSize)), null)
	case helpers.ArgMem:
		if arg.Size != 0 {
			return m.memory(f, i, r, state.Const(uint64(arg.Size)), null)
		}
		j := f.Proto.SizeArg(i)
		size, err := m.read(prog.R1 + prog.Reg(j))
		if err != nil {
			return err
		}
		return m.sized(f, i, j, r, size, null)
	case helpers.ArgSize, helpers.ArgSizeOrZero:
		// Checked with the memory before it.
	case helpers.ArgConstAllocSize:
		if !r.IsConst() || r.C <= 0 || r.C >= helpers.MaxMem {
			return m.badArgument(i, "%s wants a constant size", f.Name)
		}
		c.size = uint32(r.C)
	case helpers.ArgCtx:
		if !null && (r.Kind != state.Ctx || r.V != state.Zero || r.C != 0) {
			return m.badArgument(i, "%s wants the context as the program got it", f.Name)
		}
	case helpers.ArgStack:
		if r.Kind != state.Stack && !null {
			return m.badArgument(i, "%s wants an address on the stack, or 0", f.Name)
		}
		if r.Kind == state.Stack {
			return m.within(r, 0, state.Const(0))
		}
	case helpers.ArgFunc:
		if r.Kind != state.Func {
			return m.badArgument(i, "%s wants a function of the program", f.Name)
		}
		if f.Proto.Control != helpers.Callback && f.Name != "timer_set_callback" {
			return m.fail(Unsupported, "%s: a callback that runs later", f.Name)
		}
		c.fn = m.s.Objs[r.Obj].Index
	case helpers.ArgConstStr:
		return m.constString(f, i, r)
	case helpers.ArgRingBufMem:
		if r.Kind != state.RingBufMem || r.V != state.Zero || r.C != 0 {
			return m.badArgument(i, "%s wants a reservation as ringbuf_reserve returned it", f.Name)
		}
		if arg.Release {
			c.release = r.Obj
		}
	case helpers.ArgObject:
		if !null {
			return m.object(f, i, r, c)
		}
	case helpers.ArgSpinLock:
		return m.spinLock(f, i, r)
	case helpers.ArgTimer:
		if err := m.fieldArgument(f, i, r, "bpf_timer"); err != nil {
			return err
		}
		c.timer = m.s.Objs[r.Obj].Index
		if m.sv.isTemplate(c.timer) {
			return m.fail(Unsupported, "timers in inner maps")
		}
	case helpers.ArgDynptr:
		return m.dynptr(f, i, r, c)
	default:
		return m.fail(Unsupported, "%s: an argument of this kind", f.Name)
	}
	return nil
}

// asks returns f for a map that is asked whether it has the value which is
// argument i, and does not write one there: map_peek_elem of a bloom filter.
func asks(f *helpers.Func, i int) *helpers.Func {
	g := *f
	g.Proto.Args[i].Write, g.Proto.Args[i].Uninit = false, false
	return &g
}

// sized checks memory argument i, whose size is argument j.
func (m *machine) sized(f *helpers.Func, i, j int, r, size state.Reg, null bool) error {
	if size.Kind != state.Scalar {
		return m.badArgument(j, "%s wants a size", f.Name)
	}
	n := m.s.Num(size)
	switch {
	case n.SMin() < 0:
		return m.badArgument(j, "the size, %v, may be negative", n)
	case n.UMax() >= helpers.MaxMem:
		return m.badArgument(j, "the size, %v, has no bound below %d", n, helpers.MaxMem)
	case n.UMin() == 0 && f.Proto.Args[j].Kind == helpers.ArgSize:
		return m.badArgument(j, "the size, %v, may be 0", n)
	case r.Kind.IsPointer() && m.s.Objs[r.Obj].Nullable && n.UMax() != 0:
		return m.fail(NullPointer, "argument %d of %s is a %v pointer that may be null, with a size, %v, that may not be 0", i+1, f.Name, r.Kind, n)
	case null && n.UMax() != 0 && f.Proto.Args[j].Kind != helpers.ArgConstAllocSize:
		return m.badArgument(i, "null memory with a size, %v, that may not be 0", n)
	}
	return m.memory(f, i, r, size, null)
}

// memory checks that argument i, r, is memory of size bytes that f may use.
func (m *machine) memory(f *helpers.Func, i int, r, size state.Reg, null bool) error {
	if null {
		return nil
	}
	arg := &f.Proto.Args[i]
	if !r.Kind.IsPointer() {
		return m.badArgument(i, "%s wants memory, not the number %v", f.Name, m.s.Num(r))
	}
	obj := &m.s.Objs[r.Obj]
	if arg.Write && obj.ReadOnly {
		return m.fail(ReadOnly, "argument %d: %s would write to %v memory, which is read only", i+1, f.Name, r.Kind)
	}
	if arg.Aligned && (r.Kind == state.Packet || r.Kind == state.PacketMeta || m.beginsAnywhere(r) || m.misaligned(r, 0, int(arg.Size))) {
		return m.fail(Misaligned, "argument %d: %s wants memory aligned to %d bytes, and %v memory at offset %v need not be", i+1, f.Name, arg.Size, r.Kind, m.s.Num(r))
	}
	switch r.Kind {
	case state.Packet, state.PacketMeta:
		if !f.Proto.PacketAccess {
			return m.badArgument(i, "%s cannot use packet memory", f.Name)
		}
		if arg.Write && !m.sv.p.Type.PacketWrite {
			return m.fail(ReadOnly, "argument %d: %s programs may not write to the packet", i+1, m.sv.p.Type.Name)
		}
	case state.MapValue:
		flags := m.sv.spec(obj.Index).ProgramFlags()
		if arg.Write && flags&maps.ReadOnlyProg != 0 || !arg.Uninit && flags&maps.WriteOnlyProg != 0 {
			return m.fail(ReadOnly, "argument %d: map %s does not allow programs this access", i+1, m.sv.spec(obj.Index).Name)
		}
		if err := m.within(r, 0, size); err != nil {
			return err
		}
		return m.plain(r, 0, m.s.Num(size).UMax())
	case state.Mem:
		if obj.Type == state.PacketSlice && arg.Write && !f.Proto.PacketAccess {
			return m.badArgument(i, "%s cannot write to packet memory", f.Name)
		}
	case state.MapKey, state.RingBufMem:
	case state.Stack:
		if err := m.within(r, 0, size); err != nil {
			return err
		}
		return m.stackArgument(f, i, r, size)
	default:
		return m.badArgument(i, "%s wants memory, not a %v pointer", f.Name, r.Kind)
	}
	return m.within(r, 0, size)
}

// extent returns the stack bytes that an argument may cover at most.
func (m *machine) extent(r, size state.Reg) (frame, lo, hi int) {
	n, k := m.s.Num(r), m.s.Num(size)
	lo = int(n.SMin())
	hi = min(int(n.SMax())+int(k.UMax()), 0)
	return int(m.s.Objs[r.Obj].Index), lo, hi
}

func (m *machine) stackArgument(f *helpers.Func, i int, r, size state.Reg) error {
	if frame, lo, hi := m.extent(r, size); lo < hi {
		if err := m.stackUse(r, lo, hi); err != nil {
			return err
		}
		if m.sv.o.Strict && m.s.Frames[frame].Stack.HasPointer(lo, hi-lo) {
			return m.fail(Leak, "argument %d: %s would read or change part of a pointer on the stack", i+1, f.Name)
		}
	}
	if arg := &f.Proto.Args[i]; !arg.Uninit {
		return m.stackRead(f, i, r, size)
	} else if frame, lo, hi := m.extent(r, size); arg.Partial && !m.s.Frames[frame].Stack.Init(lo, hi-lo) {
		m.sv.facts.uninitStack = true // what was there may stay
	}
	return nil
}

// stackRead checks that f may read stack memory that is argument i.
func (m *machine) stackRead(f *helpers.Func, i int, r, size state.Reg) error {
	frame, lo, hi := m.extent(r, size)
	if !m.initialised(frame, lo, hi-lo) {
		return m.fail(UninitStack, "argument %d: %s reads stack bytes %d to %d, not all of which were written", i+1, f.Name, lo, hi)
	}
	return nil
}

// clobber does what f does to memory argument i on the stack.
func (m *machine) clobber(f *helpers.Func, i int, c *call) {
	arg := &f.Proto.Args[i]
	r := m.s.Reg(uint8(1 + i))
	switch arg.Kind {
	case helpers.ArgMem, helpers.ArgMapKey, helpers.ArgMapValue:
	default:
		return
	}
	if !arg.Write || r.Kind != state.Stack || arg.Kind == helpers.ArgMapValue && arg.Uninit && m.sv.spec(c.m).Type == maps.BloomFilter {
		return
	}
	var size state.Reg
	switch {
	case arg.Kind == helpers.ArgMapKey:
		size = state.Const(uint64(m.sv.spec(c.m).KeySize))
	case arg.Kind == helpers.ArgMapValue:
		size = state.Const(uint64(m.sv.spec(c.m).ValueSize))
	case arg.Size != 0:
		size = state.Const(uint64(arg.Size))
	default:
		size = m.s.Reg(uint8(1 + f.Proto.SizeArg(i)))
	}
	frame, lo, hi := m.extent(r, size)
	if r.V == state.Zero && size.IsConst() {
		m.s.Frames[frame].Stack.Forget(lo, hi-lo)
	} else {
		m.s.Frames[frame].Stack.Smear(lo, hi-lo)
	}
}

// constString checks a string that must be constant: it lies in a frozen map
// and ends there.
func (m *machine) constString(f *helpers.Func, i int, r state.Reg) error {
	if r.Kind != state.MapValue || r.V != state.Zero {
		return m.badArgument(i, "%s wants a constant string", f.Name)
	}
	if err := m.within(r, 0, state.Const(1)); err != nil {
		return err
	}
	for off := int64(0); r.C+off < int64(m.s.Objs[r.Obj].Size); off++ {
		c, ok := m.frozen(r, off, 1)
		if !ok {
			return m.badArgument(i, "%s wants a constant string; map %s can change", f.Name, m.sv.spec(m.s.Objs[r.Obj].Index).Name)
		}
		if c == 0 {
			return nil
		}
	}
	return m.badArgument(i, "the string has no end")
}

// afterCall leaves the registers as a call of f does.
func (m *machine) afterCall(f *helpers.Func, c call) error {
	if m.movesPacket(f, &c) {
		m.s.ForgetPacket(m.sv.o.MaxPacket)
	}
	r0, err := m.result(f, c)
	if err != nil {
		return err
	}
	m.forgetArguments()
	m.write(prog.R0, r0)
	return nil
}

func (m *machine) forgetArguments() {
	for r := prog.R1; r <= prog.R5; r++ {
		m.write(r, state.Reg{})
	}
}

// result returns what R0 holds after a call of f.
func (m *machine) result(f *helpers.Func, c call) (state.Reg, error) {
	ret := &f.Proto.Ret
	switch ret.Kind {
	case helpers.RetVoid:
		return state.Reg{}, nil
	case helpers.RetInteger:
		if i := ret.AtMost; i != 0 {
			return m.s.Fresh(scalar.Signed(-maxErrno, int64(m.s.Num(m.s.Reg(uint8(i))).UMax()))), nil
		}
		if ret.Min == 0 && ret.Max == 0 {
			return m.s.Unknown(), nil
		}
		return m.s.Fresh(scalar.Signed(ret.Min, ret.Max)), nil
	case helpers.RetMapValue:
		if spec := m.sv.spec(c.m); spec.Type == maps.ArrayOfMaps || spec.Type == maps.HashOfMaps {
			return m.innerMap(c.m)
		} else if f.Name == "map_lookup_elem" {
			switch {
			case isSockets(spec):
				return m.newObject(state.Obj{Type: "sock", Nullable: true, Ref: true}), nil
			case spec.Type == maps.XSKMap:
				return m.newObject(state.Obj{Type: "xdp_sock", Nullable: true}), nil
			}
		}
		o := m.sv.valueOf(c.m)
		o.Nullable = ret.Nullable && !(is(f, helpers.MapLookupElem) && m.keyInRange(c.m))
		return state.Reg{Kind: state.MapValue, Obj: m.s.NewObj(o)}, nil
	case helpers.RetMem:
		o := state.Obj{Kind: state.Mem, Size: ret.Size, Nullable: ret.Nullable, ReadOnly: ret.ReadOnly, Ref: f.Proto.AcquiresObject}
		if c.size != 0 {
			o.Size = c.size
		}
		if ret.RingBuf {
			o.Kind = state.RingBufMem
		}
		o.Site = m.site(o.Ref)
		o = m.s.ChildOf(o, c.dynptr)
		if c.dynptr != 0 {
			switch d := &m.s.Objs[c.dynptr]; {
			case isPacketDynptr(d):
				o.Type = state.PacketSlice
			case isLent(d):
				o.Type = state.Lent
			default:
				o.Type = state.Bytes
			}
		}
		return state.Reg{Kind: o.Kind, Obj: m.s.NewObj(o)}, nil
	case helpers.RetObject:
		o := state.Obj{Nullable: ret.Nullable, Type: ret.Object, Ref: f.Proto.AcquiresObject}
		return m.newObject(m.s.ChildOf(o, c.parent)), nil
	}
	return state.Reg{}, m.fail(Unsupported, "%s: a result of this kind", f.Name)
}

// newObject returns a pointer to a host object.
func (m *machine) newObject(o state.Obj) state.Reg {
	o.Kind, o.Site = state.Object, m.site(o.Ref)
	return state.Reg{Kind: state.Object, Obj: m.s.NewObj(o)}
}

// innerMap returns what a lookup in a map of maps gives: a map of its own, of
// which only is known that it fits the template.
func (m *machine) innerMap(i int32) (state.Reg, error) {
	inner := m.sv.maps[i].inner
	if inner < 0 {
		return state.Reg{}, m.fail(Unsupported, "map %s does not say what its inner maps look like", m.sv.spec(i).Name)
	}
	return state.Reg{Kind: state.MapPtr, Obj: m.s.NewObj(state.Obj{Kind: state.MapPtr, Index: inner, Nullable: true})}, nil
}

// site returns what tells references apart that are made at different places.
// Other objects are not told apart.
func (m *machine) site(ref bool) int32 {
	if ref {
		return int32(m.pc)
	}
	return 0
}

// keyInRange reports whether a lookup in an array surely finds the element:
// the key on the stack is known to be below MaxEntries.
func (m *machine) keyInRange(i int32) bool {
	spec := m.sv.spec(i)
	if m.sv.isTemplate(i) || spec.Type != maps.Array && spec.Type != maps.PerCPUArray || spec.KeySize != 4 {
		return false
	}
	p := m.s.Reg(2)
	if p.Kind != state.Stack || p.V != state.Zero || p.C > -4 {
		return false
	}
	key := m.s.Load(int(m.s.Objs[p.Obj].Index), int(p.C), 4)
	return key.Kind == state.Scalar && m.s.Num(key).UMax() < uint64(spec.MaxEntries)
}
