package verifier

import (
	"slices"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// Calls are followed into the callee, global functions included: that knows
// more than the callee's prototype does, and no function here is replaced
// after the proof. But a program that calls functions that call functions has
// more chains of calls than functions. A global function with more than
// maxInline of them is proved once, by the contract that its BTF type states
// (kernel, "global functions"), and its callers see the contract alone.

const maxInline = 64

// A param is what a contract says of one argument.
type param struct {
	kind     paramKind
	size     uint32
	nullable bool
}

type paramKind uint8

const (
	anyNumber paramKind = iota
	theContext
	someMemory
)

// newContracts finds the functions whose calls are not followed.
func (v *verifier) newContracts() {
	n := len(v.p.Funcs)
	v.contracts = make([][]param, n)
	if v.o.Invariants {
		return // they are kept of what is followed
	}
	chains := v.callChains()
	for fn := 1; fn < n; fn++ {
		if f := &v.p.Funcs[fn]; f.Global && chains[fn] > maxInline {
			if ps, ok := v.contractOf(f.Type); ok {
				v.contracts[fn] = ps
			}
		}
	}
}

// callChains returns by function how many chains of calls lead to it from the
// main program, at most 1<<20.
func (v *verifier) callChains() []int {
	const most = 1 << 20
	calls := make([][]int, len(v.p.Funcs)) // by function: its callees, once per call
	for fn := range v.p.Funcs {
		f := &v.p.Funcs[fn]
		for pc := f.Entry; pc < f.End; pc = next(v.p, pc) {
			if in := v.p.Insns[pc]; in.IsCall(isa.CallSub) {
				calls[fn] = append(calls[fn], v.p.FuncAt(pc+1+prog.PC(in.Imm)))
			}
		}
	}
	chains := make([]int, len(calls))
	level := make([]int, len(calls)) // chains of the current length
	level[0] = 1
	for range maxFrames {
		next := make([]int, len(calls))
		for fn, n := range level {
			chains[fn] = min(most, chains[fn]+n)
			for _, to := range calls[fn] {
				next[to] = min(most, next[to]+n)
			}
		}
		level = next
	}
	return chains
}

// contractOf reads the contract of a function from its type. ok is false if the
// type says less than a contract needs.
func (v *verifier) contractOf(t *btf.Type) (ps []param, ok bool) {
	if t == nil || t.Kind != btf.Func || t.Elem == nil || t.Elem.Kind != btf.FuncProto {
		return nil, false
	}
	proto := t.Elem
	if len(proto.Members) > 5 || !isNumber(proto.Elem) {
		return nil, false
	}
	ps = []param{}
	for _, m := range proto.Members {
		switch u := m.Type.Underlying(); {
		case isNumber(m.Type):
			ps = append(ps, param{})
		case u == nil || u.Kind != btf.Ptr:
			return nil, false
		case slices.Contains(m.Tags, "arg:ctx"):
			ps = append(ps, param{kind: theContext})
		default:
			e := u.Elem.Underlying()
			nonnull := slices.Contains(m.Tags, "arg:nonnull")
			switch {
			case len(m.Tags) > 1 || len(m.Tags) == 1 && !nonnull || e == nil || e.Size == 0 || e.Size >= helpers.MaxMem:
				return nil, false
			case e.Name == v.p.Type.Ctx.Name:
				ps = append(ps, param{kind: theContext})
			case e.Name == "bpf_dynptr":
				return nil, false
			default:
				ps = append(ps, param{kind: someMemory, size: e.Size, nullable: !nonnull})
			}
		}
	}
	return ps, true
}

func isNumber(t *btf.Type) bool {
	t = t.Underlying()
	return t != nil && (t.Kind == btf.Int || t.Kind == btf.Enum || t.Kind == btf.Enum64) && t.Size <= 8
}

func (v *verifier) byContract(fn int) bool { return v.contracts[fn] != nil }

// callContract executes a call of function fn by its contract.
//
// Sound: the body was proved, by itself, for every argument that the contract
// allows; what it may change of the caller's state is the memory it is given
// and the packet. If it may move the packet, memory that lies there ends with
// that in its own proof, too, which is another one than that of other memory; so
// is the proof for memory that is not aligned.
func (m *machine) callContract(b *block, fn int) (goOn bool, err error) {
	f := &m.sv.p.Funcs[fn]
	if m.s.Held.Lock != 0 {
		return false, m.fail(Locked, "call of global function %s while a spin lock is held", f.Name)
	}
	does := m.sv.effectsOf(fn)
	if does.sleeps {
		if m.sv.async {
			return false, m.fail(Sleeps, "%s may sleep, and a timer's callback must not", f.Name)
		}
		if what, held := m.s.Held.Any(); held {
			return false, m.fail(Sleeps, "%s may sleep, and a %s is held", f.Name, what)
		}
	}
	if does.leaves {
		if err := m.holdsNothing("a tail call in a global function"); err != nil {
			return false, err
		}
		if m.inCallback() {
			return false, m.fail(Unsupported, "%s makes a tail call, and this is a callback", f.Name)
		}
	}
	key := rootKey{fn: fn, m: -1}
	for i, p := range m.sv.contracts[fn] {
		if err := m.contractArgument(f.Name, i, p); err != nil {
			return false, err
		}
		if r := m.s.Reg(uint8(1 + i)); p.kind == someMemory && r.Kind.IsPointer() {
			if does.movesPacket && m.isPacketMemory(r) {
				key.packet |= 1 << i
			}
			if r.Kind == state.Packet || r.Kind == state.PacketMeta || m.beginsAnywhere(r) || m.misaligned(r, 0, 8) {
				key.loose |= 1 << i
			}
		}
	}
	r, err := m.sv.proveContract(key)
	if err != nil {
		return false, err
	}
	if !r.done {
		return false, m.fail(Recursion, "%s calls itself", f.Name)
	}
	if len(m.s.Frames) == maxFrames {
		return false, m.fail(StackDepth, "a chain of more than %d calls", maxFrames)
	}
	if c := m.n.chain; c.apart[r] == 0 {
		if c.apart == nil {
			c.apart = map[*root]prog.PC{}
		}
		c.apart[r] = m.pc + 1
		c.roots = append(c.roots, r)
	}
	if r.worst > 0 {
		m.weight = addSat(m.weight, r.worst)
	}
	if does.movesPacket {
		m.s.ForgetPacket(m.sv.o.MaxPacket)
	}
	m.forgetArguments()
	m.write(prog.R0, m.s.Unknown())
	return m.follow(m.n.chain, b.succs[0], m.s)
}

// contractArgument checks argument i of a call by contract.
func (m *machine) contractArgument(name string, i int, p param) error {
	r, err := m.read(prog.R1 + prog.Reg(i))
	if err != nil {
		return err
	}
	switch p.kind {
	case anyNumber:
		if r.Kind.IsPointer() {
			return m.badArgument(i, "%s wants a number, not a %v pointer", name, r.Kind)
		}
		return nil
	case theContext:
		if r.Kind != state.Ctx || r.V != state.Zero || r.C != 0 {
			return m.badArgument(i, "%s wants the context as the program got it", name)
		}
		return nil
	}
	// The function may read and write the memory.
	f := &helpers.Func{Name: name}
	f.Proto.Args[i] = helpers.Arg{Kind: helpers.ArgMem, Size: p.size, Nullable: p.nullable, Write: true}
	f.Proto.PacketAccess = true
	if r.Kind == state.MapValue && m.sv.spec(m.s.Objs[r.Obj].Index).Flags&maps.WriteOnlyProg != 0 {
		return m.badArgument(i, "%s may read the memory, and the map does not allow that", name)
	}
	if r.Kind.IsPointer() && m.s.Objs[r.Obj].Nullable && !p.nullable {
		return m.fail(NullPointer, "argument %d of %s is a %v pointer that may be null; compare it with 0 first", i+1, name, r.Kind)
	}
	null := r.IsConst() && r.C == 0 && p.nullable
	if err := m.memory(f, i, r, state.Const(uint64(p.size)), null); err != nil {
		return err
	}
	m.clobber(f, i, &call{m: -1})
	return nil
}

// isPacketMemory reports whether r points into the packet.
func (m *machine) isPacketMemory(r state.Reg) bool {
	return r.Kind == state.Packet || r.Kind == state.PacketMeta || r.Kind == state.Mem && m.s.Objs[r.Obj].Type == state.PacketSlice
}

// proveContract proves the function of k for every argument that its contract
// allows.
func (sv *solver) proveContract(k rootKey) (*root, error) {
	s := state.New(&state.Pool{NoAddresses: sv.o.Strict}, int32(k.fn), sv.o.MaxPacket)
	s.Frames[0].Kind = state.Apart
	for i, p := range sv.contracts[k.fn] {
		r := s.Unknown()
		switch p.kind {
		case theContext:
			r = state.Reg{Kind: state.Ctx, Obj: s.NewObj(state.Obj{Kind: state.Ctx})}
		case someMemory:
			o := state.Obj{Kind: state.Mem, Size: p.size, Nullable: p.nullable}
			switch {
			case k.packet&(1<<i) != 0:
				o.Type = state.PacketSlice
			case k.loose&(1<<i) != 0:
				o.Type = state.Bytes
			}
			r = state.Reg{Kind: state.Mem, Obj: s.NewObj(o)}
		}
		s.SetReg(uint8(1+i), r)
	}
	return sv.prove(k, s, standsForCalls)
}

// effects is what a function, or one that it calls, may do besides what a
// contract says.
type effects struct{ sleeps, leaves, movesPacket bool }

// effectsOf returns the effects of function fn.
func (v *verifier) effectsOf(fn int) effects {
	if e, ok := v.effects[fn]; ok {
		return e
	}
	var e effects
	seen := make([]bool, len(v.p.Funcs))
	todo := []int{fn}
	for len(todo) > 0 {
		fn := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if fn < 0 || seen[fn] {
			continue
		}
		seen[fn] = true
		f := &v.p.Funcs[fn]
		for pc := f.Entry; pc < f.End; pc = next(v.p, pc) {
			in := v.p.Insns[pc]
			switch {
			case isCallX(in): // whatever it may be
				e = effects{true, true, true}
			case in.IsCall(isa.CallSub):
				todo = append(todo, v.p.FuncAt(pc+1+prog.PC(in.Imm)))
			case in.IsWide() && in.Src == isa.PseudoFunc:
				todo = append(todo, v.p.FuncAt(prog.PC(in.Imm)))
			default:
				if c := v.callee(in); c != nil {
					leaves := c.Proto.Control == helpers.TailCall
					e.sleeps = e.sleeps || c.Proto.MightSleep
					e.leaves = e.leaves || leaves
					e.movesPacket = e.movesPacket || leaves || mayMovePacket(c)
				}
			}
		}
	}
	v.effects[fn] = e
	return e
}
