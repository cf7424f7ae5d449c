package verifier

import (
	"fmt"
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// An explainer finds out what people need to know of a rejection, once there
// is one: what the operands hold, which instructions made that, and what would
// fix it. It may look at everything and changes nothing but the error.
type explainer struct {
	*verifier
	e    *Error
	s    *state.State // before the instruction
	d    *state.Describer
	in   prog.Insn
	arg  int     // the argument that a call refuses, from 1; 0: none
	path []visit // up to the instruction; nil if not known
	made []int   // indices in path: the instructions that made the suspect
}

// explain completes e, an error about the instruction at e.PC in state s.
func (v *verifier) explain(e *Error, s *state.State, arg int) {
	x := &explainer{verifier: v, e: e, s: s, in: v.p.Insns[e.PC], arg: arg}
	x.d = s.Describe(v.mapName)
	x.path = v.replay(s.Trace, e.PC)
	for _, r := range x.operands() {
		if r == prog.R10 {
			continue
		}
		e.Values = append(e.Values, Value{fmt.Sprintf("R%d", r), x.d.Reg(s.Reg(uint8(r)))})
	}
	x.made = v.slice(x.path, x.suspects()...)
	if o := s.OpenRef(); o != 0 && e.Code == Unreleased {
		site := int32(s.Objs[o].Site)
		if i := slices.IndexFunc(x.path, func(at visit) bool { return int32(at.pc) == site }); i >= 0 {
			x.made = []int{i}
		}
	}
	for _, i := range x.made {
		pc := x.path[i].pc
		e.Causes = append(e.Causes, Cause{PC: pc, Insn: v.p.Text(pc), Line: v.p.LineAt(pc)})
	}
	e.Hint = x.hint()
}

// unbounded returns the error that the loop headed by n has no proven bound. Its
// values are those of the places that the loop changes, its causes the jumps
// that leave it.
func (sv *solver) unbounded(n *node) *Error {
	var s *state.State
	for _, b := range n.order {
		if len(b.done) > 0 {
			s = b.done[len(b.done)-1].s
		}
	}
	var trace *state.Trace
	if s != nil {
		trace = s.Trace
	}
	e := sv.errorAt(Unbounded, sv.g.blocks[n.block].start, trace,
		"no bound is proven for this loop: no register or stack slot that it changes always moves the same way between bounds")
	if s != nil {
		e.Values = sv.changing(n.block, s)
	}
	for i := range sv.g.blocks {
		b := &sv.g.blocks[i]
		if !slices.Contains(b.loops, n.block) || len(b.succs) < 2 {
			continue
		}
		if stays := func(k int) bool { return slices.Contains(sv.g.blocks[k].loops, n.block) }; stays(b.succs[0]) == stays(b.succs[1]) {
			continue
		}
		last := b.start
		for pc := b.start; pc < b.end; pc = next(sv.p, pc) {
			last = pc
		}
		e.Causes = append(e.Causes, Cause{PC: last, Insn: sv.p.Text(last), Line: sv.p.LineAt(last)})
	}
	return e
}

// changing returns what s says of the places that the loop headed by block b
// changes, or if it changes none that is read again, of those it reads.
func (sv *solver) changing(b int, s *state.State) []Value {
	changes, d := sv.loopChanges(b), s.Describe(sv.mapName)
	var values, others []Value
	for r, x := range s.Top().Regs {
		switch value := (Value{fmt.Sprintf("R%d", r), d.Reg(x)}); {
		case x.Kind == state.Unreadable || r == 10:
		case changes.Regs&(1<<r) != 0:
			values = append(values, value)
		default:
			others = append(others, value)
		}
	}
	for _, c := range s.Top().Stack.Cells() {
		if k := int(c.Off) + state.StackSize; changes.Stack[k/64]&(1<<(k%64)) != 0 {
			values = append(values, Value{fmt.Sprintf("fp%d", c.Off), d.Reg(c.Reg)})
		}
	}
	if values == nil {
		return others
	}
	return values
}

func (v *verifier) mapName(i int32) string { return v.spec(i).Name }

// place names pc as people look for it.
func (v *verifier) place(pc prog.PC) string {
	l := v.p.LineAt(pc)
	if l.Num == 0 {
		return fmt.Sprintf("instruction %d", pc)
	}
	return fmt.Sprintf("line %d", l.Num)
}

func (x *explainer) here() string { return x.place(x.e.PC) }

// operands returns the registers that the instruction reads.
func (x *explainer) operands() []prog.Reg {
	in := x.in
	switch in.Op.Class() {
	case isa.LDX:
		return []prog.Reg{in.Src}
	case isa.ST:
		return []prog.Reg{in.Dst}
	case isa.STX:
		return distinct(in.Dst, in.Src)
	case isa.LD:
		if in.IsWide() {
			return nil
		}
		return []prog.Reg{prog.R6}
	case isa.ALU, isa.ALU64:
		op := in.Op.ALUOp()
		switch {
		case op == isa.Mov && in.Op.Source() == isa.X:
			return []prog.Reg{in.Src}
		case op == isa.Mov:
			return nil
		case in.Op.Source() == isa.X && op != isa.End && op != isa.Neg:
			return distinct(in.Dst, in.Src)
		}
		return []prog.Reg{in.Dst}
	}
	switch in.Op.JmpOp() {
	case isa.Exit:
		return []prog.Reg{prog.R0}
	case isa.JA, isa.MayGoto:
		return nil
	case isa.Call:
		return x.arguments()
	}
	if in.Op.Source() == isa.X {
		return distinct(in.Dst, in.Src)
	}
	return []prog.Reg{in.Dst}
}

func distinct(a, b prog.Reg) []prog.Reg {
	if a == b {
		return []prog.Reg{a}
	}
	return []prog.Reg{a, b}
}

// arguments returns the registers of the call that matter: the refused one and
// the size that goes with it, or all.
func (x *explainer) arguments() []prog.Reg {
	f := x.callee(x.in)
	var regs []prog.Reg
	if f == nil {
		for r := prog.R1; r <= prog.R5; r++ {
			if x.s.Reg(uint8(r)).Kind != state.Unreadable {
				regs = append(regs, r)
			}
		}
		return regs
	}
	for i := range f.Proto.NumArgs() {
		r := prog.R1 + prog.Reg(i)
		if x.arg == 0 || i == x.arg-1 || i == f.Proto.SizeArg(x.arg-1) {
			regs = append(regs, r)
		}
	}
	return regs
}

// suspects returns the registers whose values the check refused.
func (x *explainer) suspects() []prog.Reg {
	ops := x.operands()
	holds := func(bad func(state.Reg) bool) []prog.Reg {
		var regs []prog.Reg
		for _, r := range ops {
			if r != prog.R10 && bad(x.s.Reg(uint8(r))) {
				regs = append(regs, r)
			}
		}
		return regs
	}
	switch x.e.Code {
	case Unreadable:
		return holds(func(r state.Reg) bool { return r.Kind == state.Unreadable })
	case BadArithmetic, Leak:
		return holds(func(r state.Reg) bool { return r.Kind.IsPointer() })
	case NullPointer:
		return holds(func(r state.Reg) bool { return r.Kind.IsPointer() && x.s.Objs[r.Obj].Nullable })
	case UnknownCallee, Unreleased, Recursion, StackDepth, Unsupported:
		return nil
	}
	if c := x.in.Op.Class(); (c == isa.ST || c == isa.STX) && len(ops) > 1 {
		return ops[:1] // the address
	}
	return ops
}

// origin returns the last instruction that made a suspect and for which ok
// holds; −1 if there is none.
func (x *explainer) origin(ok func(prog.Insn) bool) prog.PC {
	for _, i := range slices.Backward(x.made) {
		if pc := x.path[i].pc; ok(x.p.Insns[pc]) {
			return pc
		}
	}
	return -1
}

func isCall(in prog.Insn) bool { return isJump(in) && in.Op.JmpOp() == isa.Call }

// callName names what the call at pc calls.
func (x *explainer) callName(pc prog.PC) string {
	in := x.p.Insns[pc]
	if in.IsCall(isa.CallSub) {
		if fn := x.p.FuncAt(pc + 1 + prog.PC(in.Imm)); fn >= 0 {
			return x.p.Funcs[fn].Name
		}
	}
	if f := x.callee(in); f != nil {
		if in.IsCall(isa.CallHelper) {
			return "bpf_" + f.Name
		}
		return f.Name
	}
	return "the function"
}

// moved returns the last call on the path that moves the packet, if it came
// after a suspect was made; −1 if none did.
func (x *explainer) moved() prog.PC {
	if len(x.made) == 0 {
		return -1
	}
	loaded := slices.ContainsFunc(x.made, func(i int) bool { return x.loadsPacket(x.path[i].pc) })
	for i := len(x.path) - 2; i > x.made[0] && loaded; i-- {
		if f := x.callee(x.p.Insns[x.path[i].pc]); f != nil && f.Proto.ChangesPacket {
			return x.path[i].pc
		}
	}
	return -1
}

// loadsPacket reports whether the instruction at pc may load a packet pointer
// from the context.
func (x *explainer) loadsPacket(pc prog.PC) bool {
	in := x.p.Insns[pc]
	if in.Op.Class() != isa.LDX || in.Off < 0 {
		return false
	}
	f := x.p.Type.Ctx.At(uint32(in.Off))
	return f != nil && (f.Kind == hook.FieldPacket || f.Kind == hook.FieldPacketEnd || f.Kind == hook.FieldPacketMeta)
}

// lastCheck returns the last comparison on the path whose operands stem from
// the end of the packet; −1 if there is none.
func (x *explainer) lastCheck() prog.PC {
	const window = 200 // instructions in which a check, and what it reads, would be
	for i := len(x.path) - 2; i >= max(0, len(x.path)-window); i-- {
		in := x.p.Insns[x.path[i].pc]
		if !isJump(in) || in.Op.Source() != isa.X || in.Op.JmpOp() == isa.Call {
			continue
		}
		near := x.path[max(0, i-window) : i+1]
		for _, j := range x.slice(near, in.Dst, in.Src) {
			pc := near[j].pc
			if f := x.p.Insns[pc]; x.loadsPacket(pc) && x.p.Type.Ctx.At(uint32(f.Off)).Kind == hook.FieldPacketEnd {
				return x.path[i].pc
			}
		}
	}
	return -1
}

// An accessed is a memory access as a check sees it.
type accessed struct {
	reg  prog.Reg
	p    state.Reg // the pointer
	off  int64     // constant offset that the instruction adds
	size int64     // bytes; 0: not constant
}

// access returns the memory access of the instruction; ok is false if it makes
// none.
func (x *explainer) access() (a accessed, ok bool) {
	switch x.in.Op.Class() {
	case isa.LDX:
		a = accessed{reg: x.in.Src, off: int64(x.in.Off), size: int64(x.in.Op.Size().Bytes())}
	case isa.ST, isa.STX:
		a = accessed{reg: x.in.Dst, off: int64(x.in.Off), size: int64(x.in.Op.Size().Bytes())}
		if x.in.Op.Mode() == isa.ATOMIC && x.in.Imm == isa.LoadAcquire {
			a.reg = x.in.Src
		}
	default:
		if x.arg == 0 {
			return a, false
		}
		a = accessed{reg: prog.R0 + prog.Reg(x.arg), size: x.argSize()}
	}
	a.p = x.s.Reg(uint8(a.reg))
	return a, a.p.Kind.IsPointer()
}

// argSize returns how many bytes the call uses of the memory that the refused
// argument points to; 0 if that is not constant.
func (x *explainer) argSize() int64 {
	f := x.callee(x.in)
	if f == nil || x.arg > f.Proto.NumArgs() {
		return 0
	}
	arg := f.Proto.Args[x.arg-1]
	switch arg.Kind {
	case helpers.ArgMapKey, helpers.ArgMapValue:
		for i := range f.Proto.NumArgs() {
			r := x.s.Reg(uint8(1 + i))
			if r.Kind != state.MapPtr {
				continue
			}
			spec := x.spec(x.s.Objs[r.Obj].Index)
			if arg.Kind == helpers.ArgMapKey {
				return int64(spec.KeySize)
			}
			return int64(spec.ValueSize)
		}
	case helpers.ArgMem:
		if j := f.Proto.SizeArg(x.arg - 1); j >= 0 {
			if r := x.s.Reg(uint8(1 + j)); r.IsConst() {
				return r.C
			}
		}
		return int64(arg.Size)
	}
	return 0
}
