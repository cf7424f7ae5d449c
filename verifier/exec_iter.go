package verifier

import (
	"math"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/scalar"
	"github.com/skepvm/skep/verifier/internal/state"
)

// Open-coded iterators over numbers (kernel, Documentation/bpf/bpf_iterators.rst):
// bpf_iter_num_new makes one on the stack, bpf_iter_num_next gives the address
// of the next number until it gives 0, bpf_iter_num_destroy ends it. The
// kernel bounds the number of steps when it makes one, so a loop round
// bpf_iter_num_next ends by contract.

const (
	iterNew     = "bpf_iter_num_new"
	iterNext    = "bpf_iter_num_next"
	iterDestroy = "bpf_iter_num_destroy"
)

// An iterPlace is where an iterator lies: a frame, and the offset there.
type iterPlace struct{ frame, off int }

// isIter reports whether f is a function on number iterators.
func isIter(f *helpers.Func) bool {
	return f != nil && (f.Name == iterNew || f.Name == iterNext || f.Name == iterDestroy)
}

// iter executes one of the three.
func (m *machine) iter(b *block, f *helpers.Func) (goOn bool, err error) {
	if f.Proto.GPL && m.s.Held.Lock == 0 { // allowed under a lock, unlike other calls (kernel, kfunc_spin_allowed)
		if err := m.mayCall(f); err != nil {
			return false, err
		}
	}
	r, err := m.read(prog.R1)
	if err != nil {
		return false, err
	}
	frame, off, err := m.slot(f, 0, r, 8)
	if err != nil {
		return false, err
	}
	m.n.iterates(iterPlace{frame, off})
	next := b.succs[0]
	if f.Name == iterNew {
		if _, taken := m.s.Special(frame, off, off+8); taken {
			return false, m.badArgument(0, "the stack at fp%d holds an iterator or a dynptr already", off)
		}
		for _, a := range []prog.Reg{prog.R2, prog.R3} {
			if v, err := m.read(a); err != nil {
				return false, err
			} else if v.Kind != state.Scalar {
				return false, m.badArgument(int(a)-1, "%s wants a number", f.Name)
			}
		}
		m.n.most = max(m.n.most, m.numbers(m.s.Reg(2), m.s.Reg(3)))
		m.depth(frame, off)
		o := m.s.NewObj(state.Obj{Kind: state.Iter, Type: "num", Ref: true, Site: int32(m.pc)})
		m.s.Place(frame, off, 1, state.Iter, o)
		m.forgetArguments()
		m.write(prog.R0, m.s.Fresh(scalar.Unsigned(0, math.MaxUint32))) // an int
		return m.follow(m.n.chain, next, m.s)
	}
	o := m.s.PlacedAt(frame, off, 1, state.Iter)
	if o == 0 {
		return false, m.badArgument(0, "there is no iterator at fp%d", off)
	}
	if f.Name == iterDestroy {
		m.s.ReleaseObj(o)
		m.s.Frames[frame].Stack.Forget(off, 8)
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
// is a call of bpf_iter_num_next.
//
// Sound: the iterator at one place of one frame is made only by a call of
// bpf_iter_num_new for that place, and there is none in set. n gives every
// number once, and then 0, once: it is never called after that.
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

// isNode reports whether n is a call of the iterator function called name.
func (sv *solver) isNode(n *node, name string) bool {
	f := sv.callee(sv.p.Insns[sv.g.blocks[n.block].start])
	return f != nil && f.Name == name
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
