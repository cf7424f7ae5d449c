package verifier

// exec_enter.go is about frames: calls that enter the program, of subprograms
// and of callbacks, and the exits that leave them.

import (
	"math"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
	"github.com/skepvm/skep/verifier/internal/state"
)

// enter executes a call that enters the program: a subprogram, or a helper
// that calls one back.
func (m *machine) enter(b *block, in prog.Insn) (goOn bool, err error) {
	if in.IsCall(isa.CallSub) {
		fn := m.sv.p.FuncAt(m.pc + 1 + prog.PC(in.Imm))
		if m.sv.byContract(fn) {
			return m.callContract(b, fn)
		}
		return false, m.enterFunc(b, fn, state.Subprogram, m.s, func(caller, callee *state.Frame) {
			copy(callee.Regs[1:6], caller.Regs[1:6])
		})
	}
	if in.Op.Source() == isa.X {
		return m.callRegister(b, in)
	}
	f := m.sv.callee(in)
	switch {
	case isIter(f):
		return m.iter(b, f)
	case f.Proto.Control == helpers.Throw:
		return false, m.throw(f)
	case f.Proto.Body[0].Kind == helpers.ArgNone:
		return false, m.fail(Unsupported, "%s: what it passes to its callback is not known", f.Name)
	}
	c, err := m.arguments(f)
	if err != nil {
		return false, err
	}
	if err := m.enterCallback(b, f, c); err != nil {
		return false, err
	}
	// The callback may have run any number of times, or not at all.
	if err := m.afterCall(f, c); err != nil {
		return false, err
	}
	return m.follow(m.n.chain, b.succs[0], m.s)
}

// enterCallback sends a state into the body. What the body leaves comes back
// to the call itself.
func (m *machine) enterCallback(b *block, f *helpers.Func, c call) error {
	fn := m.sv.p.FuncAt(prog.PC(c.fn))
	if fn < 0 || m.sv.p.Funcs[fn].Entry != prog.PC(c.fn) {
		return m.fail(BadArgument, "%s: the function argument is no function's first instruction", f.Name)
	}
	n := m.callbacks(f, c)
	if n == 0 {
		return nil // the number of iterations is 0
	}
	m.n.calls = max(m.n.calls, n)
	body := m.s.Clone()
	refs := body.OpenRefs()
	return m.enterFunc(b, fn, state.CallbackBody, body, func(caller, callee *state.Frame) {
		callee.Refs = refs
		for i := range f.Proto.Body {
			callee.Regs[1+i] = m.bodyArgument(f, i, body, caller, c)
		}
	})
}

// maxLoops is the most iterations that one call of loop makes (kernel,
// BPF_MAX_LOOPS).
const maxLoops = 1 << 23

// is reports whether f is the helper known, by name and contract: a host's own
// helper that only shares the name has not promised what known does.
func is(f, known *helpers.Func) bool { return f.Name == known.Name && f.Proto == known.Proto }

// callbacks returns how often f calls back, at most.
func (m *machine) callbacks(f *helpers.Func, c call) int64 {
	switch n := m.s.Reg(1); {
	case is(f, helpers.Loop) && n.Kind == state.Scalar:
		return int64(min(m.s.Num(n).UMax(), maxLoops))
	case is(f, helpers.ForEachMapElem):
		spec := m.sv.spec(c.m)
		if array := spec.Type == maps.Array || spec.Type == maps.PerCPUArray; array && !m.sv.isTemplate(c.m) {
			return int64(spec.MaxEntries)
		}
		return math.MaxUint32 // entries may be added ahead of the walk; inner maps may be larger than their template
	}
	return maxLoops
}

// bodyArgument returns what a callback gets in R1+i.
func (m *machine) bodyArgument(f *helpers.Func, i int, s *state.State, caller *state.Frame, c call) state.Reg {
	switch f.Proto.Body[i].Kind {
	case helpers.ArgAnything:
		if is(f, helpers.Loop) && i == 0 {
			// The index is below the number of iterations.
			if n := m.callbacks(f, c); n > 0 {
				return s.Fresh(scalar.Unsigned(0, uint64(n)-1))
			}
		}
		return s.Unknown()
	case helpers.ArgMapPtr:
		for j := range f.Proto.Args {
			if f.Proto.Args[j].Kind == helpers.ArgMapPtr {
				return caller.Regs[1+j]
			}
		}
	case helpers.ArgObject:
		o := s.NewObj(state.Obj{Kind: state.Object, Type: f.Proto.Body[i].Object, Nullable: f.Proto.Body[i].Nullable})
		return state.Reg{Kind: state.Object, Obj: o}
	case helpers.ArgDynptr:
		return state.Reg{Kind: state.Object, Obj: s.NewObj(state.Obj{Kind: state.Object, Type: "bpf_dynptr"})}
	case helpers.ArgMapKey:
		o := s.NewObj(state.Obj{Kind: state.MapKey, Index: c.m, Size: m.sv.spec(c.m).KeySize, ReadOnly: true})
		return state.Reg{Kind: state.MapKey, Obj: o}
	case helpers.ArgMapValue:
		o := m.sv.valueOf(c.m)
		return state.Reg{Kind: state.MapValue, Obj: s.NewObj(o)}
	case helpers.ArgStack:
		for j := range f.Proto.Args {
			if f.Proto.Args[j].Kind == helpers.ArgStack {
				return caller.Regs[1+j]
			}
		}
	}
	return state.Reg{}
}

// enterFunc sends s into function fn.
func (m *machine) enterFunc(b *block, fn int, kind state.FrameKind, s *state.State, pass func(caller, callee *state.Frame)) error {
	for c := m.n.chain; c != nil; c = c.up {
		if c.fn == fn {
			return m.fail(Recursion, "%s calls itself", m.sv.p.Funcs[fn].Name)
		}
	}
	if len(s.Frames) == maxFrames {
		return m.fail(StackDepth, "a chain of more than %d calls", maxFrames)
	}
	m.note(s, state.Called)
	s.Push(int32(fn), int32(m.pc), kind)
	pass(&s.Frames[len(s.Frames)-2], s.Top())
	if m.n.chain.kids[chainKey{m.pc, fn}] == nil {
		m.sv.places += chainBytes + 8*int64(m.sv.g.last(fn)-m.sv.g.entry[fn])
	}
	return m.sv.arrive(m.n.chain.enter(m.sv.g, m.n, m.pc, fn, kind), m.sv.g.entry[fn], s, m.id, m.weight)
}

// enter returns the chain of a call at pc of node site into fn.
func (c *chain) enter(g *graph, site *node, pc prog.PC, fn int, kind state.FrameKind) *chain {
	k := chainKey{pc, fn}
	if kid := c.kids[k]; kid != nil {
		return kid
	}
	kid := g.newChain(fn, kind)
	kid.up, kid.call, kid.site, kid.once = c, pc, site, site.once
	if c.kids == nil {
		c.kids = map[chainKey]*chain{}
	}
	c.kids[k] = kid
	c.order = append(c.order, k)
	return kid
}

type chainKey struct {
	call prog.PC
	fn   int
}

// exit executes EXIT: of the program, of a subprogram, or of a callback.
func (m *machine) exit() (goOn bool, err error) {
	if len(m.s.Frames) > 1 && m.n.chain.kind == state.Subprogram {
		return m.exitFunc()
	}
	r0, err := m.read(prog.R0)
	if err != nil {
		return false, err
	}
	if len(m.s.Frames) == 1 {
		if m.n.chain.kind == state.Apart {
			return false, m.exitApart(r0)
		}
		return false, m.exitProgram(r0)
	}
	c := m.n.chain
	if r0.Kind.IsPointer() {
		return false, m.fail(BadReturn, "a callback returns 0 or 1, not a %v pointer", r0.Kind)
	}
	if n := m.s.Num(r0); n.UMax() > 1 {
		return false, m.fail(BadReturn, "a callback returns 0 or 1, not %v", n)
	}
	if have, want := m.s.OpenRefs(), m.s.Top().Refs; have != want {
		return false, m.fail(Unreleased, "a callback that begins with %d references leaves %d", want, have)
	}
	m.note(m.s, state.Returned)
	m.endLent(m.sv.callee(m.sv.p.Insns[c.call]))
	m.s.Pop()
	return false, m.sv.arrive(c.up, c.site.block, m.s, m.id, m.weight)
}

// exitFunc executes EXIT of a subprogram. It may return nothing: then its
// caller cannot read R0.
func (m *machine) exitFunc() (goOn bool, err error) {
	c, r0 := m.n.chain, m.s.Reg(0)
	if r0.Kind == state.Stack && int(m.s.Objs[r0.Obj].Index) == len(m.s.Frames)-1 {
		return false, m.fail(Leak, "the address of a callee's stack would outlive it")
	}
	m.note(m.s, state.Returned)
	m.s.Pop()
	m.forgetArguments()
	m.write(prog.R0, r0)
	return m.follow(c.up, m.sv.g.blocks[c.site.block].succs[0], m.s)
}

// mayReturn says that the instruction may end the function, which then returns
// what r0 makes of the state. It does nothing in the outermost function.
func (m *machine) mayReturn(r0 func(*state.State) state.Reg) error {
	if len(m.s.Frames) == 1 || m.sv.done {
		return nil
	}
	other := *m
	other.s = m.s.Clone()
	other.write(prog.R0, r0(other.s))
	goOn, err := other.exit()
	if goOn {
		panic("BUG: a return does not end at a join")
	}
	return err
}

// exitProgram checks what the program leaves behind.
func (m *machine) exitProgram(r0 state.Reg) error {
	if o := m.s.OpenRef(); o != 0 {
		return m.fail(Unreleased, "the reference made at %d is not released", m.s.Objs[o].Site)
	}
	if err := m.holdsNothing("the program ends"); err != nil {
		return err
	}
	return m.returns(r0)
}

// returns checks that the program may end with r0.
func (m *machine) returns(r0 state.Reg) error {
	want := m.sv.p.Type.Return
	if want == hook.AnyReturn {
		if r0.Kind.IsPointer() && m.sv.o.Strict {
			return m.fail(Leak, "the program returns a %v pointer", r0.Kind)
		}
	} else {
		if r0.Kind.IsPointer() {
			return m.fail(BadReturn, "r0 is a %v pointer; %s programs return %d to %d", r0.Kind, m.sv.p.Type.Name, want.Min, want.Max)
		}
		if n := m.s.Num(r0); n.SMin() < want.Min || n.SMax() > want.Max {
			return m.fail(BadReturn, "r0 is %v; %s programs return %d to %d", n, m.sv.p.Type.Name, want.Min, want.Max)
		}
	}
	m.sv.leads(m.id, edge{-1, m.weight})
	m.s.Free()
	return nil
}
