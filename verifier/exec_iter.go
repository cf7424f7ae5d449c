package verifier

import (
	"math"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
	"github.com/skepvm/skep/verifier/internal/state"
)

// Open-coded iterators over numbers, and over the bits of words (kernel,
// Documentation/bpf/bpf_iterators.rst): bpf_iter_num_new makes one on the stack,
// bpf_iter_num_next gives the address of the next number until it gives 0,
// bpf_iter_num_destroy ends it. The kernel bounds the number of steps when it
// makes one, so a loop round bpf_iter_num_next ends by contract.

// An iterOp is what a function does with an iterator.
type iterOp uint8

const (
	iterNone iterOp = iota
	iterNew
	iterNext
	iterDestroy
)

// iterOps are the functions, with what they iterate over.
var iterOps = map[string]struct {
	op   iterOp
	kind string
}{
	"bpf_iter_num_new": {iterNew, "num"}, "bpf_iter_num_next": {iterNext, "num"}, "bpf_iter_num_destroy": {iterDestroy, "num"},
	"bpf_iter_bits_new": {iterNew, "bits"}, "bpf_iter_bits_next": {iterNext, "bits"}, "bpf_iter_bits_destroy": {iterDestroy, "bits"},
}

// An iterPlace is where an iterator lies: a frame, and the offset there.
type iterPlace struct{ frame, off int }

// isIter reports whether f is a function on iterators.
func isIter(f *helpers.Func) bool { return f != nil && iterOps[f.Name].op != iterNone }

// iter executes one of them.
func (m *machine) iter(b *block, f *helpers.Func) (goOn bool, err error) {
	do := iterOps[f.Name]
	if f.Proto.GPL && m.s.Held.Lock == 0 || !helpers.UnderLock(f) { // allowed under a lock, unlike other calls (kernel, kfunc_spin_allowed)
		if err := m.mayCall(f); err != nil {
			return false, err
		}
	}
	r, err := m.read(prog.R1)
	if err != nil {
		return false, err
	}
	size := f.Proto.Args[0].StackSize()
	frame, off, err := m.slot(f, 0, r, size)
	if err != nil {
		return false, err
	}
	m.n.iterates(iterPlace{frame, off})
	next := b.succs[0]
	if do.op == iterNew {
		if err := m.roomFor(0, frame, off, size); err != nil {
			return false, err
		}
		steps, err := m.iterSteps(f, do.kind)
		if err != nil {
			return false, err
		}
		m.n.most = max(m.n.most, steps)
		m.overwrite(frame, off, off+size)
		m.depth(frame, off)
		o := m.s.NewObj(state.Obj{Kind: state.Iter, Type: do.kind, Ref: true, Site: int32(m.pc)})
		m.s.Place(frame, off, size/8, state.Iter, o)
		m.forgetArguments()
		m.write(prog.R0, m.s.Fresh(scalar.Unsigned(0, math.MaxUint32))) // an int
		return m.follow(m.n.chain, next, m.s)
	}
	o := m.s.PlacedAt(frame, off, size/8, state.Iter)
	if o == 0 || m.s.Objs[o].Type != do.kind {
		return false, m.badArgument(0, "there is no iterator over %s at fp%d", do.kind, off)
	}
	if do.op == iterDestroy {
		m.s.ReleaseObj(o)
		m.s.Frames[frame].Stack.Forget(off, size)
		m.forgetArguments()
		m.write(prog.R0, state.Reg{})
		return m.follow(m.n.chain, next, m.s)
	}
	m.forgetArguments()
	m.n.drained = m.n.drained || m.s.Objs[o].Index != 0
	if m.s.Objs[o].Index == 0 {
		more := m.s.Clone()
		num := more.NewObj(state.Obj{Kind: state.Mem, Size: 4, ReadOnly: true, Parent: o})
		more.SetReg(0, state.Reg{Kind: state.Mem, Obj: num})
		if err := m.sv.arrive(m.n.chain, next, more, m.id, m.weight); err != nil {
			return false, err
		}
		m.s.Objs[o].Index = 1
	}
	m.write(prog.R0, state.Const(0))
	return m.follow(m.n.chain, next, m.s)
}

// iterSteps checks what an iterator over kind is to go over, in R2 and R3, and
// returns how many steps it takes at most.
func (m *machine) iterSteps(f *helpers.Func, kind string) (int64, error) {
	var regs [2]state.Reg
	for i := range regs {
		var err error
		if regs[i], err = m.read(prog.R2 + prog.Reg(i)); err != nil {
			return 0, err
		}
		if regs[i].Kind != state.Scalar && (kind == "num" || i > 0) {
			return 0, m.badArgument(i+1, "%s wants a number", f.Name)
		}
	}
	if kind == "num" {
		return m.numbers(regs[0], regs[1]), nil
	}
	words := min(m.s.Num(m.s.Zext(regs[1])).UMax(), helpers.MaxIterWords)
	r := regs[0]
	switch {
	case r.IsConst() && r.C == 0: // an error, when it runs
	case r.Kind == state.Scalar:
		return 0, m.badArgument(1, "%s wants memory, not the number %v", f.Name, m.s.Num(r))
	case m.s.Objs[r.Obj].Nullable:
		return 0, m.fail(NullPointer, "argument 2 of %s is a %v pointer that may be null; compare it with 0 first", f.Name, r.Kind)
	case words > 0:
		if err := m.memory(f, 1, r, state.Const(8*words), false); err != nil {
			return 0, err
		}
	}
	return int64(64 * words), nil
}

// slot returns where on the stack argument i lies, which must be aligned memory
// of size bytes at a constant offset.
func (m *machine) slot(f *helpers.Func, i int, r state.Reg, size int) (frame, off int, err error) {
	if r.Kind != state.Stack || r.V != state.Zero || r.C%8 != 0 || r.C < -state.StackSize || r.C > int64(-size) {
		return 0, 0, m.badArgument(i, "%s wants the address of %d bytes on the stack, aligned to 8, at a constant offset", f.Name, size)
	}
	return int(m.s.Objs[r.Obj].Index), int(r.C), nil
}

// iterates notes that the call at n works on the iterator at p.
func (n *node) iterates(p iterPlace) {
	if n.iter == nil {
		n.iter = &p
	} else if *n.iter != p {
		n.iter.frame = -1 // several
	}
}

// iterBound returns how often a run that stays in set can come back to n, if n
// is a call of bpf_iter_num_next, or its like.
//
// Sound: the iterator at one place of one frame is made only by a call of
// bpf_iter_num_new, or its like, for that place, and there is none in set. n gives
// every number once, and then 0, once: it is never called after that.
func (t *termination) iterBound(n *node, set []int32) (int64, bool) {
	if n.iter == nil || n.iter.frame < 0 || n.drained || !t.sv.isNode(n, iterNext) {
		return 0, false
	}
	for _, s := range set {
		if o := t.sv.steps[s].n; t.sv.isNode(o, iterNew) && (o.iter == nil || o.iter.frame < 0 || *o.iter == *n.iter) {
			return 0, false
		}
	}
	most := int64(1)
	for _, o := range t.sv.nodes {
		if t.sv.isNode(o, iterNew) && o.iter != nil && (o.iter.frame < 0 || *o.iter == *n.iter) {
			most = max(most, o.most)
		}
	}
	return most + 1, true
}

// isNode reports whether n is a call that does op with an iterator.
func (sv *solver) isNode(n *node, op iterOp) bool {
	f := sv.callee(sv.p.Insns[sv.g.blocks[n.block].start])
	return f != nil && iterOps[f.Name].op == op
}

// maxNumbers is how many numbers an iterator gives at most (kernel,
// BPF_MAX_LOOPS).
const maxNumbers = 1 << 23

// numbers returns how many numbers there are at most from start to end, 32-bit
// signed integers.
func (m *machine) numbers(start, end state.Reg) int64 {
	a, b := m.s.Num(start), m.s.Num(end)
	if a.SMin() < math.MinInt32 || a.SMax() > math.MaxInt32 || b.SMin() < math.MinInt32 || b.SMax() > math.MaxInt32 {
		return maxNumbers
	}
	return max(0, min(maxNumbers, b.SMax()-a.SMin()))
}
