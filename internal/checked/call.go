package checked

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
)

// A call is a helper or kfunc that a program calls.
type call struct {
	fn     *helpers.Func
	locked bool // allowed while a spin lock is held
	args   regs // those that the call reads
	checks []argCheck
	valueR uint8 // register of the map of which R0 will be a value; 0: of none
}

// An argCheck is what must be true of one argument.
type argCheck struct {
	arg   helpers.Arg
	reg   uint8 // R1 to R5
	mapR  uint8 // keys and values: register of the map
	sizeR uint8 // memory: register of the size; 0: arg.Size
	spare bool  // memory: may be 0 whatever the size, which is the result's too
}

// newCall prepares the checks of f's prototype.
func newCall(f *helpers.Func) call {
	c := call{fn: f, locked: helpers.UnderLock(f)}
	var mapR uint8
	for i, a := range f.Proto.Args[:f.Proto.NumArgs()] {
		reg := uint8(i + 1)
		c.args |= 1 << reg
		if a.Kind == helpers.ArgMapPtr {
			mapR = reg
		}
		switch a.Kind {
		case helpers.ArgAnything, helpers.ArgConstAllocSize:
			continue
		}
		if f.Proto.Ret.Kind == helpers.RetMapValue {
			c.valueR = mapR
		}
		k := argCheck{arg: a, reg: reg, mapR: mapR}
		if a.Kind == helpers.ArgMem && a.Size == 0 {
			j := f.Proto.SizeArg(i)
			k.sizeR = uint8(j + 1)
			k.spare = j >= 0 && f.Proto.Args[j].Kind == helpers.ArgConstAllocSize
		}
		c.checks = append(c.checks, k)
	}
	return c
}

// checkArgs checks R1 to R5 against the contract of c.
func (m *Machine) checkArgs(c *call) (ok bool) {
	for i := range c.checks {
		if !m.checkArg(c, &c.checks[i]) {
			m.why.reason = fmt.Sprintf("argument %d of %s: %s", c.checks[i].reg, c.fn.Name, m.why.reason)
			return false
		}
	}
	return true
}

// helper calls c, whose arguments have been checked.
func (m *Machine) helper(c *call) (ok bool) {
	if c.fn.Impl == nil {
		m.why = fault{reason: "call of " + c.fn.Name + ", which the host does not have"}
		return false
	}
	if m.Locked && !c.locked {
		m.why = fault{reason: "call of " + c.fn.Name + " while a spin lock is held"}
		return false
	}
	if c.fn.Proto.AnyMemory {
		m.clearUnwritten(0, m.fp)
	}
	gen := m.Space.Generation()
	r := &m.reg
	handle := r[c.valueR]
	r[0] = c.fn.Impl(m.Env, r[1], r[2], r[3], r[4], r[5])
	if m.err != nil {
		return false
	}
	if m.abort != nil {
		m.why = fault{reason: c.fn.Name, err: m.abort}
		return false
	}
	if c.valueR != 0 {
		m.restrict(m.Map(handle), r[0])
	}
	if gen != m.Space.Generation() {
		m.Forget()
	}
	return !m.cancelled()
}

// restrict applies the flags of a host's own map to a value of it. Maps with
// slabs say so there.
func (m *Machine) restrict(values maps.Map, addr uint64) {
	if values == nil {
		return
	}
	if f := values.Spec().ProgramFlags(); f != 0 && addr != 0 {
		if _, ok := values.(maps.Slabber); !ok {
			m.Space.Restrict(addr, f&maps.ReadOnlyProg != 0, f&maps.WriteOnlyProg != 0)
		}
	}
}

// checkArg checks one argument against the contract (helpers.ArgKind).
func (m *Machine) checkArg(c *call, k *argCheck) (ok bool) {
	v := m.reg[k.reg]
	a := &k.arg
	if v == 0 && a.Nullable {
		if k.sizeR != 0 && m.reg[k.sizeR] != 0 && !k.spare {
			return m.breach("null, with a size of %d", m.reg[k.sizeR])
		}
		return true
	}
	switch a.Kind {
	case helpers.ArgMapPtr:
		if m.Map(v) == nil {
			return m.breach("%#x is no map", v)
		}
	case helpers.ArgMapKey, helpers.ArgMapValue:
		of := m.Map(m.reg[k.mapR])
		switch {
		case of == nil:
			return m.breach("there is no map")
		case a.Kind == helpers.ArgMapKey:
			return m.checkMem(c, k, v, uint64(of.Spec().KeySize))
		}
		if of.Spec().Type == maps.BloomFilter { // map_peek_elem asks for the value there
			read := *k
			read.arg.Uninit, read.arg.Write = false, false
			k = &read
		}
		return m.checkMem(c, k, v, uint64(of.Spec().ValueSize))
	case helpers.ArgMem:
		n := uint64(a.Size)
		if k.sizeR != 0 {
			n = m.reg[k.sizeR]
		}
		return m.checkMem(c, k, v, n)
	case helpers.ArgSize, helpers.ArgSizeOrZero:
		if v >= helpers.MaxMem || v == 0 && a.Kind == helpers.ArgSize {
			return m.breach("a size of %d", int64(v))
		}
	case helpers.ArgCtx:
		if v != m.ctxBase {
			return m.breach("%#x is not the context", v)
		}
	case helpers.ArgStack:
		if v-m.stackBase > uint64(m.fp) {
			return m.breach("%#x is not in the stack", v)
		}
	case helpers.ArgFunc:
		if m.function(v) < 0 {
			return m.breach("%#x is no subprogram", v)
		}
	case helpers.ArgConstStr:
		w, ok := m.Space.Find(v)
		if !ok || !w.ReadOnly() || bytes.IndexByte(w.Rest(v), 0) < 0 {
			return m.breach("%#x is no string in a read-only map", v)
		}
	case helpers.ArgRingBufMem:
		if !m.Space.IsReference(v) {
			return m.breach("%#x is not the start of a reservation", v)
		}
	case helpers.ArgObject:
		if m.Env.Object(v) == nil {
			return m.breach("%#x is no %s", v, a.Object)
		}
		if r := m.Space.Region(v); a.Release && (r == nil || r.Kind != mem.Reference) {
			return m.breach("the program holds no reference to the %s", a.Object)
		}
	case helpers.ArgIter:
		return m.checkStackObject(k, v)
	case helpers.ArgDynptr:
		if a.Uninit {
			return m.checkStackObject(k, v)
		}
	case helpers.ArgSpinLock, helpers.ArgTimer, helpers.ArgKptr:
		if v == 0 {
			return m.breach("null")
		}
	}
	return true
}

// breach notes that a contract is broken.
func (m *Machine) breach(format string, args ...any) bool {
	m.why = fault{reason: fmt.Sprintf(format, args...)}
	return false
}

// checkMem checks that the n bytes at addr are memory that the call may use as
// k says, and notes as written what the helper writes.
func (m *Machine) checkMem(c *call, k *argCheck, addr, n uint64) (ok bool) {
	a := &k.arg
	switch {
	case n == 0:
		return true
	case n >= helpers.MaxMem:
		return m.breach("%d bytes of memory", int64(n))
	}
	if a.Aligned && n&(n-1) == 0 && !mem.Aligned(addr, int(n)) {
		return m.breach("%#x is not aligned to %d", addr, n)
	}
	access := "load"
	if a.Write {
		access = "store"
	}
	if o := addr - m.stackBase; o < maxFrames*frameSize {
		if n > frameSize || m.stackBytes(addr, int(n)) == nil {
			return m.deny(access, addr, int(n), reasonOutside)
		}
		if !a.Uninit && !m.written(int(o), int(n)) {
			return m.deny(access, addr, int(n), reasonUninit)
		}
		if a.Partial {
			m.clearUnwritten(int(o), int(n))
		}
		if a.Write || a.Uninit {
			m.mark(int(o), int(n))
		}
		return true
	}
	if m.inCtx(addr) {
		if b, f := m.ctxBytes(addr, int(n)); b == nil || (a.Write || a.Uninit) && f.Write == 0 {
			return m.deny(access, addr, int(n), reasonOutside)
		}
		return true
	}
	w, found := m.Space.Find(addr)
	switch {
	case !found || w.Bytes(addr, int(n)) == nil:
		return m.deny(access, addr, int(n), reasonOutside)
	case (a.Write || a.Uninit) && w.ReadOnly():
		return m.deny(access, addr, int(n), reasonReadOnly)
	case !a.Uninit && w.WriteOnly():
		return m.deny(access, addr, int(n), reasonWriteOnly)
	case (a.Write || a.Uninit) && !c.fn.Proto.PacketAccess && m.Space.InPacket(addr):
		return m.deny(access, addr, int(n), "the helper writes to no packet memory")
	}
	return true
}

// checkStackObject checks that there is room at addr, on the stack, for the
// object that helpers keep there, and that it was written unless it is new.
func (m *Machine) checkStackObject(k *argCheck, addr uint64) (ok bool) {
	n := k.arg.StackSize()
	o := addr - m.stackBase
	switch {
	case o >= maxFrames*frameSize || o%8 != 0 || m.stackBytes(addr, n) == nil:
		return m.breach("%#x is not aligned memory of %d bytes on the stack", addr, n)
	case k.arg.Uninit:
		m.mark(int(o), n)
	case !m.written(int(o), n):
		return m.deny("load", addr, n, reasonUninit)
	}
	return true
}

// Map returns the map that handle means, or nil.
func (m *Machine) Map(handle uint64) maps.Map {
	i := handle ^ mapHandle
	if i < uint64(len(m.code.maps)) {
		return m.code.maps[i]
	}
	if i -= sharedMaps; i < uint64(len(m.shared)) {
		return m.shared[i].m
	}
	return nil
}

// function returns the op at which the function begins that handle means, if
// the program takes its address; else -1.
func (m *Machine) function(handle uint64) int32 {
	pc := handle ^ funcHandle
	if pc >= uint64(len(m.code.entry)) {
		return -1
	}
	for i := range m.code.taken {
		if m.code.taken[i] && uint64(m.code.prog.Funcs[i].Entry) == pc {
			return m.code.entry[pc]
		}
	}
	return -1
}

// Call runs the subprogram that fn means, on behalf of a helper, and returns
// its R0. After an error the run is over.
func (m *Machine) Call(fn uint64, a1, a2, a3, a4, a5 uint64) (r0 uint64, err error) {
	if m.err == nil && m.abort == nil {
		entry := m.function(fn)
		switch {
		case entry < 0:
			m.abort = fmt.Errorf("call of %#x, which is no subprogram", fn)
		case !m.push(-1):
			m.abort = errors.New(m.why.reason)
		default:
			m.live |= argRegs
			m.reg[1], m.reg[2], m.reg[3], m.reg[4], m.reg[5] = a1, a2, a3, a4, a5
			m.exec(int(entry))
		}
	}
	if m.err != nil {
		return 0, m.err
	}
	return m.reg[0], m.abort
}

// Abort ends the run with err as soon as the helper that calls it returns.
func (m *Machine) Abort(err error) {
	if m.abort == nil {
		m.abort = err
	}
}

// callRegister executes callx: a function pointer is a subprogram of the
// program, anything else a helper's number.
func (m *Machine) callRegister(v uint64, next int) (pc int, ok bool) {
	if entry := m.function(v); entry >= 0 {
		return int(entry), m.push(int32(next))
	}
	id := helpers.ID(int32(v))
	f := m.code.set.Helper(id)
	if f == nil || uint64(uint32(v)) != v || f.Proto.Control == helpers.TailCall {
		return 0, m.breach("callx with %#x, which is neither a subprogram nor a helper", v)
	}
	c := newCall(f)
	return next, m.checkArgs(&c) && m.helper(&c)
}

// tailCall continues with the program in place R3 of the prog array R2. It
// returns false if there is none, or if the chain is too long: then the
// program goes on (bpf-helpers(7), bpf_tail_call).
func (m *Machine) tailCall() (jumped bool) {
	target := m.Map(m.reg[2])
	if m.tails >= maxTailCalls {
		return false
	}
	c := m.Tail(target, uint32(m.reg[3]))
	if c == nil {
		return false
	}
	if m.depth > 0 {
		m.frames[m.depth-1].entered = true
	}
	m.tails++
	m.Switch(c)
	m.clearFrame()
	m.loops = maxLoops
	m.live = ^c.tracked | bit(1) | frameReg
	return true
}

// throw ends the program that runs with cookie as its result: returns from its
// functions up to its first, and from that; or goes on in the function that
// handles exceptions, in the first one's place. ret is where to go on; -1: in Go.
func (m *Machine) throw(cookie uint64) (ret int32, ok bool) {
	for m.depth > 0 && !m.frames[m.depth-1].entered {
		if m.frames[m.depth-1].ret < 0 {
			return 0, m.breach("an exception in a callback")
		}
		m.pop()
	}
	if h := m.code.prog.Handler; h != 0 {
		m.clearFrame()
		m.loops = maxLoops
		m.reg[1] = cookie
		m.live = ^m.code.tracked | bit(1) | frameReg
		return m.code.entry[m.code.prog.Funcs[h].Entry], true
	}
	m.reg[0] = cookie
	if m.depth == 0 {
		return -1, true
	}
	return m.pop(), true
}

// Switch makes c the code whose maps and functions handles mean. An engine that
// uses the machine for its memory calls it when another program goes on.
func (m *Machine) Switch(c *Code) {
	m.code = c
	m.Space.SetFixed(&c.fixed.Load().Fixed)
	m.Forget()
}

// packetLoad executes a legacy packet load into R0. ok is false if the packet
// has none there, which ends the function with R0 = 0.
func (m *Machine) packetLoad(o *op) (ok bool) {
	off := int32(uint32(o.imm))
	if o.off != 0 {
		off += int32(uint32(m.reg[o.src&15]))
	}
	v, ok := PacketLoad(m.Env, off, int(o.sub))
	if ok {
		m.reg[0] = v
	}
	return ok
}

// PacketLoad returns what a legacy packet load gives (kernel,
// Documentation/bpf/standardization/instruction-set.rst, "Legacy BPF Packet
// access instructions"): the n big-endian bytes of env's packet at off. ok is
// false if the packet has none there.
func PacketLoad(env helpers.Env, off int32, n int) (v uint64, ok bool) {
	pkt := env.Packet()
	if pkt == nil {
		return 0, false
	}
	at := int64(off)
	switch { // kernel, linux/filter.h: SKF_NET_OFF, SKF_LL_OFF
	case at < skfLLOff:
		return 0, false
	case at < skfNetOff:
		at -= skfLLOff
	case at < 0:
		at += ethHeader - skfNetOff
	}
	data := pkt.Data()
	if at < 0 || at+int64(n) > int64(len(data)) {
		return 0, false
	}
	for _, b := range data[at : at+int64(n)] {
		v = v<<8 | uint64(b)
	}
	return v, true
}

const (
	skfNetOff = -0x100000 // from the network header on
	skfLLOff  = -0x200000 // from the link layer header on
	ethHeader = 14
)
