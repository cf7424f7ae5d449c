package verifier

import (
	"cmp"
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// Liveness says, before each block, which registers and stack bytes can still
// be read, and which of those may decide a branch. States are compared and
// joined on the first only; constants in the second keep states apart.
//
// The analysis is static and per function. It follows addresses of the own
// stack through registers and spills (addrs.go); where it loses one, all of the
// stack is live.
type liveness struct {
	live   []state.Live           // by block, on entry
	tested []state.Live           // the part of live that may reach a branch
	writes []state.Live           // registers and stack bytes that a block writes itself
	after  map[prog.PC]state.Live // after each call that enters the program
}

type bits = [state.StackSize / 64]uint64

var allStack = func() (b bits) {
	for i := range b {
		b[i] = 1<<64 - 1
	}
	return b
}()

func setBytes(b *bits, off, size int, on bool) {
	for i := max(off, -state.StackSize); i < min(off+size, 0); i++ {
		k := i + state.StackSize
		if on {
			b[k/64] |= 1 << (k % 64)
		} else {
			b[k/64] &^= 1 << (k % 64)
		}
	}
}

func anyBytes(b *bits, off, size int) bool {
	for i := max(off, -state.StackSize); i < min(off+size, 0); i++ {
		k := i + state.StackSize
		if b[k/64]&(1<<(k%64)) != 0 {
			return true
		}
	}
	return false
}

// newLiveness analyses every function, callees before callers.
func (v *verifier) newLiveness(g *graph) *liveness {
	l := &liveness{
		live:   make([]state.Live, len(g.blocks)),
		tested: make([]state.Live, len(g.blocks)),
		writes: make([]state.Live, len(g.blocks)),
		after:  map[prog.PC]state.Live{},
	}
	done := make([]bool, len(v.p.Funcs))
	var visit func(fn int)
	visit = func(fn int) {
		if done[fn] {
			return
		}
		done[fn] = true // before the callees: recursion is refused elsewhere
		f := &v.p.Funcs[fn]
		for pc := f.Entry; pc < f.End; pc = next(v.p, pc) {
			if in := v.p.Insns[pc]; in.IsCall(isa.CallSub) {
				visit(v.p.FuncAt(pc + 1 + prog.PC(in.Imm)))
			}
		}
		(&funcLiveness{v: v, g: g, l: l, fn: fn}).run()
	}
	for fn := range v.p.Funcs {
		visit(fn)
	}
	return l
}

type funcLiveness struct {
	v           *verifier
	g           *graph
	l           *liveness
	fn          int
	first, last int     // its blocks
	slots       slots   // what the stack may hold
	news        bool    // slots says more than before
	order       []int   // its blocks, less first: those of a loop follow its head, others what leads to them
	at          []int   // by block, from first on: where in order
	before      []addrs // by block, from first on
	seen        []bool
	current     int                 // the block that walk is in
	base        []addr              // by PC from the function's entry: what a load or store goes through
	args        map[prog.PC][5]addr // R1 to R5 at calls
}

func (f *funcLiveness) run() {
	f.first, f.last = f.g.entry[f.fn], f.g.last(f.fn)
	n := f.last - f.first
	info := &f.v.p.Funcs[f.fn]
	f.before, f.seen = make([]addrs, n), make([]bool, n)
	f.sort()
	f.base, f.args = make([]addr, info.End-info.Entry), map[prog.PC][5]addr{}
	f.forward()
	for b := f.first; b < f.last; b++ {
		if f.seen[b-f.first] {
			in := f.before[b-f.first]
			f.walk(b, &in, f.record)
		}
	}
	dirty := make([]bool, n)
	preds := make([][]int, n)
	for b := range n {
		dirty[b] = f.seen[b]
		for _, s := range f.g.blocks[f.first+b].succs {
			preds[s-f.first] = append(preds[s-f.first], b)
		}
	}
	for again := true; again; { // one pass, and more only for loops
		again = false
		for i, b := range slices.Backward(f.order) {
			if !dirty[b] {
				continue
			}
			dirty[b] = false
			live, tested := f.backward(f.first + b)
			if live == f.l.live[f.first+b] && tested == f.l.tested[f.first+b] {
				continue
			}
			f.l.live[f.first+b], f.l.tested[f.first+b] = live, tested
			for _, p := range preds[b] {
				dirty[p] = true
				again = again || f.at[p] >= i
			}
		}
	}
}

// sort fills order and at.
func (f *funcLiveness) sort() {
	blocks := f.g.blocks[f.first:f.last]
	f.order, f.at = make([]int, len(blocks)), make([]int, len(blocks))
	for b := range blocks {
		f.order[b] = b
	}
	slices.SortFunc(f.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(blocks[a].order, blocks[b].order), cmp.Compare(a, b))
	})
	for i, b := range f.order {
		f.at[b] = i
	}
}

// backward returns what is live before block b.
func (f *funcLiveness) backward(b int) (live, tested state.Live) {
	blk := &f.g.blocks[b]
	for _, s := range blk.succs {
		merge(&live, f.l.live[s])
		merge(&tested, f.l.tested[s])
	}
	for pc := blk.end - 1; pc >= blk.start; pc-- {
		if pc > blk.start && f.v.p.Insns[pc-1].IsWide() {
			continue // a second slot
		}
		f.transfer(pc, &live, &tested)
	}
	for i := range tested.Stack {
		tested.Stack[i] &= live.Stack[i]
	}
	tested.Regs &= live.Regs
	return live, tested
}

func isLoadAcquire(in prog.Insn) bool {
	return in.Op.Class() == isa.STX && in.Op.Mode() == isa.ATOMIC && in.Imm == isa.LoadAcquire
}

func merge(a *state.Live, b state.Live) {
	a.Regs |= b.Regs
	for i := range a.Stack {
		a.Stack[i] |= b.Stack[i]
	}
}

func bit(r prog.Reg) uint16 { return 1 << r }

// access says that size bytes at off from a register of which a is known are
// read.
func (f *funcLiveness) access(a addr, off, size int, live *state.Live) {
	switch a.kind {
	case stackAt, perhapsAt:
		setBytes(&live.Stack, int(a.n)+off, int(a.hi-a.n)+size, true)
	case anywhere:
		live.Stack = allStack
	}
}

func (f *funcLiveness) transfer(pc prog.PC, live, tested *state.Live) {
	base := f.base[pc-f.v.p.Funcs[f.fn].Entry]
	in := f.v.p.Insns[pc]
	dst, src := bit(in.Dst), bit(in.Src)
	size := in.Op.Size().Bytes()
	switch in.Op.Class() {
	case isa.LD:
		if in.IsWide() {
			live.Regs &^= dst
			tested.Regs &^= dst
			return
		}
		live.Regs &^= 0x3f
		live.Regs |= bit(prog.R6)
		tested.Regs &^= 0x3f
		if in.Op.Mode() == isa.IND {
			live.Regs |= src
		}
	case isa.LDX:
		if tested.Regs&dst != 0 && base.kind == stackAt {
			setBytes(&tested.Stack, int(base.n)+int(in.Off), size, true)
		}
		live.Regs = live.Regs&^dst | src
		tested.Regs &^= dst
		f.access(base, int(in.Off), size, live)
	case isa.ST, isa.STX:
		if isLoadAcquire(in) {
			live.Regs = live.Regs&^dst | src
			tested.Regs &^= dst
			f.access(base, int(in.Off), size, live)
			return
		}
		f.store(in, base, size, live, tested)
	case isa.ALU, isa.ALU64:
		f.aluTransfer(in, live, tested)
	case isa.JMP, isa.JMP32:
		f.jump(pc, in, live, tested)
	}
}

func (f *funcLiveness) store(in prog.Insn, at addr, size int, live, tested *state.Live) {
	dst, src := bit(in.Dst), bit(in.Src)
	if in.Op.Mode() == isa.ATOMIC {
		f.access(at, int(in.Off), size, live)
		live.Regs |= dst | src
		if in.Imm == isa.AtomicCmpXchg {
			live.Regs |= bit(prog.R0)
		}
		return
	}
	fromReg := in.Op.Class() == isa.STX
	if at.kind == stackAt {
		off := int(at.n) + int(in.Off)
		if fromReg && anyBytes(&tested.Stack, off, size) {
			tested.Regs |= src
		}
		setBytes(&live.Stack, off, size, false)
		setBytes(&tested.Stack, off, size, false)
	}
	live.Regs |= dst
	if fromReg {
		live.Regs |= src
	}
}

func (f *funcLiveness) aluTransfer(in prog.Insn, live, tested *state.Live) {
	dst, src := bit(in.Dst), bit(in.Src)
	useSrc := in.Op.Source() == isa.X && in.Op.ALUOp() != isa.End
	decides := tested.Regs&dst != 0
	if in.Op.ALUOp() == isa.Mov {
		live.Regs &^= dst
		tested.Regs &^= dst
	} else {
		live.Regs |= dst
	}
	if useSrc {
		live.Regs |= src
		if decides {
			tested.Regs |= src
		}
	}
}

func (f *funcLiveness) jump(pc prog.PC, in prog.Insn, live, tested *state.Live) {
	switch in.Op.JmpOp() {
	case isa.Exit:
		*live, *tested = state.Live{Regs: bit(prog.R0)}, state.Live{}
		if f.fn != 0 || f.v.p.Type.Return != hook.AnyReturn {
			tested.Regs = bit(prog.R0)
		}
	case isa.Call:
		f.call(pc, in, live, tested)
	case isa.JA, isa.MayGoto:
	default:
		live.Regs |= bit(in.Dst)
		tested.Regs |= bit(in.Dst)
		if in.Op.Source() == isa.X {
			live.Regs |= bit(in.Src)
			tested.Regs |= bit(in.Src)
		}
	}
}

func (f *funcLiveness) call(pc prog.PC, in prog.Insn, live, tested *state.Live) {
	a := f.args[pc]
	const args = uint16(0x3e) // R1 to R5
	live.Regs &^= args | 1
	tested.Regs &^= args | 1
	if f.v.entersProgram(in) {
		if f.slots.escaped || f.passesStack(in, &a) {
			live.Stack = allStack
		}
		f.l.after[pc] = *live
	}
	switch {
	case in.IsCall(isa.CallSub):
		callee := f.v.p.FuncAt(pc + 1 + prog.PC(in.Imm))
		entry := f.l.live[f.g.entry[callee]].Regs & args
		if n := len(f.v.contracts[callee]); n > 0 {
			entry |= 1<<(n+1) - 2 // the caller has to pass them all
		}
		if callee == f.fn {
			entry = args
		}
		live.Regs |= entry
		tested.Regs |= f.l.tested[f.g.entry[callee]].Regs & args
	default:
		f.helperArgs(in, &a, live)
	}
}

// passesStack reports whether the call hands code of the program an address of
// this stack, of which it may use any byte.
func (f *funcLiveness) passesStack(in prog.Insn, args *[5]addr) bool {
	if !f.v.entersProgram(in) {
		return false
	}
	for _, a := range args {
		if a.onStack() {
			return true
		}
	}
	return false
}

func (f *funcLiveness) helperArgs(in prog.Insn, args *[5]addr, live *state.Live) {
	fn := f.v.callee(in)
	if fn == nil {
		live.Regs |= 0x3e
		if in.Op.Source() == isa.X {
			live.Regs |= bit(in.Dst)
		}
		live.Stack = allStack
		return
	}
	var m addr
	for i := 0; i < fn.Proto.NumArgs(); i++ {
		arg := &fn.Proto.Args[i]
		r := prog.R1 + prog.Reg(i)
		live.Regs |= bit(r)
		size := state.StackSize
		switch arg.Kind {
		case helpers.ArgMapPtr:
			m = args[i]
		case helpers.ArgMapKey:
			size = f.v.maxKey
			if m.kind == mapAt {
				size = int(f.v.p.Maps[m.n].KeySize)
			}
		case helpers.ArgMapValue:
			size = f.v.maxValue
			if m.kind == mapAt {
				size = int(f.v.p.Maps[m.n].ValueSize)
			}
		case helpers.ArgMem:
			if arg.Size != 0 {
				size = int(arg.Size)
			} else if n := args[fn.Proto.SizeArg(i)]; n.kind == constant && uint64(n.n) <= state.StackSize {
				size = int(n.n)
			}
		}
		f.access(args[i], 0, min(size, state.StackSize), live)
	}
}
