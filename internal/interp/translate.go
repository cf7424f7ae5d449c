package interp

import (
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

// A translator is one Compile under way.
type translator struct {
	*Code
	p *opt.Program
	b Binding

	insns  []insn
	leaf   []bool  // by function; see leaves
	before []int32 // by PC: instructions before it
}

// An insn is an op before pairing, with what resolves its jump.
type insn struct {
	op
	pc     prog.PC
	leads  bool  // a jump or a call leads here
	target int32 // index of the insn to jump to, or a PC before that is known; -1: no jump
}

func (t *translator) translate() error {
	t.count()
	for range exitAt {
		t.emit(op{code: opLeave, sub: leaveDone})
	}
	t.insns[backAt].sub = leaveBack
	t.emit(op{code: opExit})
	at := make([]int32, len(t.p.Insns)+1) // by PC: index of its insn
	t.entry = make([]int32, len(t.p.Funcs))
	t.leaves()
	for f := range t.p.Funcs {
		if err := t.function(f, at); err != nil {
			return err
		}
	}
	for i := range t.insns {
		if in := &t.insns[i]; in.target >= 0 {
			if in.code == opCall || in.code == opCallLeaf || in.code == opLoopNext {
				in.target = t.entry[t.p.FuncAt(prog.PC(in.target))]
			} else {
				in.target = at[in.target]
			}
			t.insns[in.target].leads = true
		}
	}
	for _, e := range t.entry {
		t.insns[e].leads = true
	}
	t.fold()
	t.pair()
	return nil
}

// count fills in before.
func (t *translator) count() {
	t.before = make([]int32, len(t.p.Insns)+1)
	n := int32(0)
	for pc := prog.PC(0); int(pc) < len(t.p.Insns); pc++ {
		t.before[pc] = n
		if pc == 0 || !t.p.Insns[pc-1].IsWide() {
			n++
		}
	}
}

// leaves finds the functions that leave R6 to R9 alone: they write none of them,
// and neither go on in another program, which may, nor end otherwise than by an exit
// of their own.
func (t *translator) leaves() {
	t.leaf = make([]bool, len(t.p.Funcs))
	for f := range t.p.Funcs {
		fn := &t.p.Program.Funcs[f]
		t.leaf[f] = f > 0
		for pc := fn.Entry; pc < fn.End && t.leaf[f]; pc = t.p.Next(pc) {
			in, i := t.p.Insns[pc], &t.p.Info[pc]
			switch c := in.Op.Class(); {
			case i.Dead:
			case c == isa.LD && !in.IsWide(), i.Call >= 0 && ends(&t.p.Calls[i.Call]), t.p.Writes(pc)&opt.Saved != 0:
				t.leaf[f] = false
			}
		}
	}
}

// ends reports whether a call may not come back.
func ends(c *opt.Call) bool {
	return c.Kind == opt.CallTail || c.Func != nil && c.Func.Proto.Control == helpers.Throw
}

// function translates function f. at gets the insn of each PC.
func (t *translator) function(f int, at []int32) error {
	fn := &t.p.Program.Funcs[f]
	t.entry[f] = int32(len(t.insns))
	if t.p.Funcs[f].Stale > 0 {
		t.emit(op{code: opLeave, sub: leaveZero})
	}
	if t.p.Funcs[f].MayGoto {
		t.emit(op{code: opMayGoto, sub: mayGotoBegin})
	}
	dead := false // the insn before is a trap
	for pc := fn.Entry; pc < fn.End; pc = t.p.Next(pc) {
		at[pc] = int32(len(t.insns))
		info := &t.p.Info[pc]
		if info.Dead {
			if !dead {
				t.emitAt(pc, op{code: opLeave, sub: leaveTrap})
			}
			at[pc] = int32(len(t.insns)) - 1
			dead = true
			continue
		}
		dead = false
		if err := t.insn(pc, t.p.Insns[pc]); err != nil {
			return err
		}
	}
	// The loop reads the op after the one that it executes.
	t.emitAt(fn.End-1, op{code: opLeave, sub: leaveTrap})
	return nil
}

func (t *translator) emit(o op) { t.emitAt(0, o) }

func (t *translator) emitAt(pc prog.PC, o op) {
	t.insns = append(t.insns, insn{op: o, pc: pc, target: -1})
}

// insn dispatches on the class.
func (t *translator) insn(pc prog.PC, in prog.Insn) error {
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		return t.alu(pc, in)
	case isa.LDX:
		t.load(pc, in)
	case isa.ST:
		t.storeImm(pc, in)
	case isa.STX:
		if in.Op.Mode() == isa.ATOMIC {
			return t.atomicOp(pc, in)
		}
		t.store(pc, in)
	case isa.LD:
		if in.IsWide() {
			return t.wide(pc, in)
		}
		t.packetLoad(pc, in)
	default:
		return t.jump(pc, in)
	}
	return nil
}

func (t *translator) unsupported(pc prog.PC, what string) error {
	return fmt.Errorf("%s+%d: %s: %s: %w", t.p.Name, pc, t.p.Text(pc), what, opt.ErrUnsupported)
}

// Loads and stores (RFC 9669, section 5).

// place returns where an access finds what it accesses, from its base register:
// in the context where the host has the field, a pointer whole. size is the
// logarithm of the width in bytes.
func (t *translator) place(pc prog.PC, in prog.Insn) (off int32, size opcode) {
	size = sizes[in.Op.Size()]
	switch f := t.p.Info[pc].Field; {
	case f == nil:
		return int32(in.Off), size
	case f.IsPointer():
		return int32(f.HostOff), 3
	default:
		return int32(f.HostOff) + int32(in.Off) - int32(f.Off), size
	}
}

var (
	sizes    = map[isa.Size]opcode{isa.B: 0, isa.H: 1, isa.W: 2, isa.DW: 3}
	loads    = [...]opcode{opLd8, opLd16, opLd32, opLd64}
	signed   = [...]opcode{opLdSx8, opLdSx16, opLdSx32}
	stores   = [...]opcode{opSt8, opSt16, opSt32, opSt64}
	storesOf = [...]opcode{opStK8, opStK16, opStK32, opStK64}
)

func (t *translator) load(pc prog.PC, in prog.Insn) {
	off, size := t.place(pc, in)
	code := loads[size]
	if in.Op.Mode() == isa.MEMSX {
		code = signed[size]
	}
	t.emitAt(pc, op{code: code, d: uint8(in.Dst), a: uint8(in.Src), imm: off})
}

func (t *translator) store(pc prog.PC, in prog.Insn) {
	off, size := t.place(pc, in)
	t.emitAt(pc, op{code: stores[size], a: uint8(in.Dst), b: uint8(in.Src), imm: off})
}

func (t *translator) storeImm(pc prog.PC, in prog.Insn) {
	off, size := t.place(pc, in)
	t.emitAt(pc, op{code: storesOf[size], a: uint8(in.Dst), off: off, imm: in.Imm})
}

// wide translates the load of a 64-bit constant, a map or an address.
func (t *translator) wide(pc prog.PC, in prog.Insn) error {
	next := t.p.Insns[pc+1]
	var v uint64
	switch in.Src {
	case 0:
		v = uint64(uint32(in.Imm)) | uint64(uint32(next.Imm))<<32
	case isa.PseudoMapFD:
		v = mapHandle | uint64(uint32(in.Imm))
	case isa.PseudoFunc:
		v = funcHandle | uint64(uint32(in.Imm))
	case isa.PseudoMapValue:
		v = t.b.Value(int(in.Imm)) + uint64(uint32(next.Imm))
	default:
		return t.unsupported(pc, "a wide instruction of this kind")
	}
	t.constant(pc, uint8(in.Dst), v)
	return nil
}

// constant makes d hold v.
func (t *translator) constant(pc prog.PC, d uint8, v uint64) {
	if int64(v) == int64(int32(v)) {
		t.emitAt(pc, op{code: opMovK, d: d, imm: int32(v)})
	} else {
		t.emitAt(pc, op{code: opWide, d: d, imm: int32(v), imm2: int32(v >> 32)})
	}
}

// atomicOp translates an atomic operation (RFC 9669, section 5.3).
func (t *translator) atomicOp(pc prog.PC, in prog.Insn) error {
	o := op{a: uint8(in.Dst), b: uint8(in.Src), d: uint8(in.Src), off: int32(in.Off), imm: in.Imm, d2: uint8(in.Op.Size().Bytes())}
	long := in.Op.Size() == isa.DW
	switch in.Imm {
	case isa.LoadAcquire:
		o.a, o.d = uint8(in.Src), uint8(in.Dst)
		o.code, o.sub = opLeave, leaveAtomic
	case isa.StoreRelease:
		o.code, o.sub = opLeave, leaveAtomic
	default:
		o.code = opAtomic32
		switch {
		case long && in.Imm == isa.AtomicAdd:
			o.code = opAtomicAdd64
		case long && in.Imm == isa.AtomicAdd|isa.AtomicFetch:
			o.code = opAtomicFetchAdd64
		case long:
			o.code = opAtomic64
		}
	}
	t.emitAt(pc, o)
	return nil
}

func (t *translator) packetLoad(pc prog.PC, in prog.Insn) {
	o := op{code: opLeave, sub: leavePacket, imm: t.p.Info[pc].Call, imm2: in.Imm, b2: uint8(in.Op.Size().Bytes())}
	if in.Op.Mode() == isa.IND {
		o.a, o.d2 = uint8(in.Src), 1
	}
	t.emitAt(pc, o)
}

// Jumps and calls (RFC 9669, section 4.3).

// A compare is the forms of a conditional jump: with a constant and of two
// registers, at 64 and at 32 bits.
type compare struct{ k, x, k32, x32 opcode }

var compares = map[isa.JmpOp]compare{
	isa.JEq:  {opJEqK, opJEqX, opJEq32K, opJEq32X},
	isa.JNe:  {opJNeK, opJNeX, opJNe32K, opJNe32X},
	isa.JGt:  {opJGtK, opJGtX, opJGt32K, opJGt32X},
	isa.JGe:  {opJGeK, opJGeX, opJGe32K, opJGe32X},
	isa.JLt:  {opJLtK, opJGtX, opJLt32K, opJGt32X}, // of registers: the operands exchanged
	isa.JLe:  {opJLeK, opJGeX, opJLe32K, opJGe32X},
	isa.JSGt: {opJSGtK, opJSGtX, opJSGt32K, opJSGt32X},
	isa.JSGe: {opJSGeK, opJSGeX, opJSGe32K, opJSGe32X},
	isa.JSLt: {opJSLtK, opJSGtX, opJSLt32K, opJSGt32X},
	isa.JSLe: {opJSLeK, opJSGeX, opJSLe32K, opJSGe32X},
	isa.JSet: {opJSetK, opJSetX, opJSet32K, opJSet32X},
}

func (t *translator) jump(pc prog.PC, in prog.Insn) error {
	o := op{a: uint8(in.Dst), b: uint8(in.Src), imm: in.Imm}
	switch jmp := in.Op.JmpOp(); jmp {
	case isa.Call:
		return t.call(pc, in)
	case isa.Exit:
		o.code = opExit
		if t.leaf[t.p.FuncAt(pc)] {
			o.code = opExitLeaf
		}
		t.emitAt(pc, op{code: o.code})
		return nil
	case isa.JA:
		o.code = opJA
	case isa.MayGoto:
		o.code = opMayGoto
	default:
		c := compares[jmp]
		x := in.Op.Source() == isa.X
		if x && (jmp == isa.JLt || jmp == isa.JLe || jmp == isa.JSLt || jmp == isa.JSLe) {
			o.a, o.b = o.b, o.a
		}
		switch is64 := in.Op.Class() == isa.JMP; {
		case x && is64:
			o.code = c.x
		case x:
			o.code = c.x32
		case is64:
			o.code = c.k
		default:
			o.code = c.k32
		}
	}
	target, _ := in.Target(pc)
	if target <= pc {
		o.cost = t.before[pc] + 1 - t.before[target]
	}
	t.emitAt(pc, o)
	t.insns[len(t.insns)-1].target = int32(target)
	return nil
}

func (t *translator) call(pc prog.PC, in prog.Insn) error {
	switch {
	case in.Op.Source() == isa.X:
		t.emitAt(pc, op{code: opLeave, sub: leaveCallX, a: uint8(in.Dst)})
	case in.IsCall(isa.CallSub):
		entry := pc + 1 + prog.PC(in.Imm)
		f := t.p.FuncAt(entry)
		code := opCall
		if t.leaf[f] {
			code = opCallLeaf
		}
		t.emitAt(pc, op{code: code, cost: t.p.Funcs[f].Weight})
		t.insns[len(t.insns)-1].target = int32(entry)
	case t.p.Info[pc].Inline != nil && !t.p.Info[pc].Inline.Calls():
		return t.inline(pc, t.p.Info[pc].Inline)
	case t.p.Info[pc].Loop != nil:
		t.loop(pc, t.p.Info[pc].Loop)
	default:
		o := op{code: opLeave, sub: leaveHelper, imm: t.p.Info[pc].Call}
		switch c := &t.p.Calls[o.imm]; {
		case c.Kind == opt.CallTail:
			o.sub = leaveTail
		case c.Func.Proto.Control == helpers.Throw:
			o.sub = leaveThrow
		}
		t.emitAt(pc, o)
	}
	return nil
}

// loop translates a call that calls a function of the program again and again.
func (t *translator) loop(pc prog.PC, x *opt.Loop) {
	begin := op{code: opLoop}
	next := op{code: opLoopNext, cost: t.p.Funcs[x.Func].Weight}
	if l := x.Layout; l != nil {
		base := t.b.Value(int(x.Map))
		begin.sub, begin.imm, begin.off, begin.cost = loopEach, int32(l.Entries), int32(base), int32(base>>32)
		if l.CPUs > 1 {
			begin.imm2 = int32(l.CPUStep)
		}
		next.sub, next.imm, next.imm2 = loopEach, x.Map, int32(l.ValueStride)
	}
	t.emitAt(pc, begin)
	t.emitAt(pc, next)
	t.insns[len(t.insns)-1].target = int32(t.p.Program.Funcs[x.Func].Entry)
}

// inline translates what the loop does in place of a call of the host.
func (t *translator) inline(pc prog.PC, x *opt.Inline) error {
	const r0 = uint8(prog.R0)
	switch x.Form {
	case opt.InlineCPU:
		t.emitAt(pc, op{code: opCPU, d: r0})
		return nil
	case opt.InlineNull:
		t.constant(pc, r0, 0)
		return nil
	case opt.InlineIterNew:
		t.emitAt(pc, op{code: opIter, sub: iterNew, d: r0, a: uint8(prog.R1)})
		return nil
	case opt.InlineIterNext:
		t.emitAt(pc, op{code: opIter, sub: iterNext, d: r0, a: uint8(prog.R1)})
		return nil
	case opt.InlineIterDestroy:
		t.emitAt(pc, op{code: opIter, sub: iterDestroy, d: r0, a: uint8(prog.R1)})
		return nil
	case opt.InlineEntry:
		t.constant(pc, r0, t.b.Value(int(x.Map))+uint64(x.Entry)*uint64(x.Layout.ValueStride))
	case opt.InlineArray:
		base := t.b.Value(int(x.Map))
		t.emitAt(pc, op{
			code: opElem, d: r0, a: uint8(prog.R2), imm: int32(x.Layout.Entries), imm2: int32(x.Layout.ValueStride),
			off: int32(base), cost: int32(base >> 32),
		})
	default:
		return t.unsupported(pc, "a call that the loop can neither do without nor make")
	}
	if x.Layout.CPUs > 1 {
		t.emitAt(pc, op{code: opToCPU, d: r0, a: r0, imm: int32(x.Layout.CPUStep)})
	}
	return nil
}
