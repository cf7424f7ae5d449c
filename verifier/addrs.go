package verifier

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// addrs.go is the forward pass of the liveness analysis: where registers may
// point to on the function's own stack.

// An addr is what the forward pass knows of a register.
type addr struct {
	kind addrKind
	n    int32 // stackAt, perhapsAt: offset from R10; constant: its value; mapAt: index of the map
	hi   int32 // stackAt: n; perhapsAt: the highest offset
}

type addrKind uint8

const (
	unseen addrKind = iota
	other           // no address of this frame's stack
	stackAt
	perhapsAt // between n and hi on the stack, or no address of it
	constant
	mapAt
	anywhere // may be any address of the stack
)

func at(n int32) addr { return addr{kind: stackAt, n: n, hi: n} }

// number returns the constant n; large ones do not matter here.
func number(n int64) addr {
	if n != int64(int32(n)) {
		return addr{kind: other}
	}
	return addr{kind: constant, n: int32(n)}
}

// onStack reports whether a may be an address of the stack.
func (a addr) onStack() bool { return a.kind == stackAt || a.kind == perhapsAt || a.kind == anywhere }

// meetAddr returns what is known of a register that is a on one path and b on
// another. Two offsets make a range, which does not grow: loops come to rest.
func meetAddr(a, b addr) addr {
	switch {
	case a.kind == unseen || a == b:
		return b
	case b.kind == unseen:
		return a
	case a.kind == anywhere || b.kind == anywhere:
		return addr{kind: anywhere}
	case !a.onStack() && !b.onStack():
		return addr{kind: other}
	case !a.onStack():
		b.kind = perhapsAt
		return b
	case !b.onStack():
		a.kind = perhapsAt
		return a
	}
	m := addr{kind: perhapsAt, n: min(a.n, b.n), hi: max(a.hi, b.hi)}
	points := a.n == a.hi && b.n == b.hi
	if same := func(x addr) bool { return x.n == m.n && x.hi == m.hi }; !points && !same(a) && !same(b) || m.hi-m.n > state.StackSize {
		return addr{kind: anywhere}
	}
	return m
}

type addrs [prog.NumRegs]addr

func entryAddrs() addrs {
	var a addrs
	for r := range a {
		a[r].kind = other
	}
	a[prog.R10] = at(0)
	return a
}

// slots is what was ever stored in the stack, of addresses of that same stack,
// by aligned slot of 8 bytes, in no order. Only there can they be and still be
// followed: what comes back from other memory is a number.
type slots struct {
	at      [state.StackSize / 8]addr
	escaped bool // code of the program elsewhere may have stored any
}

// store notes that a may be stored at to + off, and reports whether that is
// news. apart says that other memory may be the stack of a caller, from where
// an address could come back.
func (s *slots) store(to addr, off int32, a addr, apart bool) (news bool) {
	switch to.kind {
	case stackAt, perhapsAt:
		if !a.onStack() {
			a.kind = other
		}
		for i := slotOf(to.n + off); i <= slotOf(to.hi+off+7); i++ {
			if i < 0 || i >= len(s.at) {
				continue // out of bounds: refused
			}
			m := meetAddr(s.at[i], a)
			news = news || m != s.at[i]
			s.at[i] = m
		}
		return news
	case anywhere:
	default:
		if !apart {
			return false
		}
	}
	if !a.onStack() || s.escaped {
		return false
	}
	s.escaped = true
	return true
}

func slotOf(off int32) int {
	if off < -state.StackSize {
		return -1
	}
	return int(off+state.StackSize) / 8
}

// load returns what a load of 8 bytes from + off may give.
func (s *slots) load(from addr, off int32) addr {
	if s.escaped {
		return addr{kind: anywhere}
	}
	a := addr{}
	switch from.kind {
	case stackAt, perhapsAt:
		for i := max(0, slotOf(from.n+off)); i <= slotOf(from.hi+off) && i < len(s.at); i++ {
			a = meetAddr(a, s.at[i])
		}
	case anywhere:
		for i := range s.at {
			a = meetAddr(a, s.at[i])
		}
	}
	if !a.onStack() {
		a = addr{kind: other}
	}
	return a
}

// forward finds what registers hold before each block.
func (f *funcLiveness) forward() {
	f.before[0], f.seen[0] = entryAddrs(), true
	dirty := make([]bool, len(f.before))
	dirty[0] = true
	for again := true; again; {
		again = false
		for i, b := range f.order {
			if !dirty[b] {
				continue
			}
			dirty[b] = false
			in := f.before[b]
			f.news = false
			f.walk(f.first+b, &in, nil)
			if f.news { // what loads give has changed everywhere
				copy(dirty, f.seen)
				again = true
			}
			for _, s := range f.g.blocks[f.first+b].succs {
				s -= f.first
				merged := f.before[s]
				for r := range merged {
					merged[r] = meetAddr(merged[r], in[r])
				}
				if !f.seen[s] || merged != f.before[s] {
					f.before[s], f.seen[s], dirty[s] = merged, true, true
					again = again || f.at[s] <= i
				}
			}
		}
	}
}

// record keeps what the backward pass needs of the instruction at pc, and notes
// what its block writes.
func (f *funcLiveness) record(pc prog.PC, a *addrs) {
	in := f.v.p.Insns[pc]
	w := &f.l.writes[f.current]
	switch in.Op.Class() {
	case isa.LDX:
		f.base[pc-f.v.p.Funcs[f.fn].Entry] = a[in.Src]
		w.Regs |= bit(in.Dst)
	case isa.ST, isa.STX:
		if isLoadAcquire(in) {
			f.base[pc-f.v.p.Funcs[f.fn].Entry] = a[in.Src]
			w.Regs |= bit(in.Dst)
			return
		}
		if in.Op.Mode() == isa.ATOMIC && in.Imm == isa.AtomicCmpXchg {
			w.Regs |= bit(prog.R0)
		} else if in.Op.Mode() == isa.ATOMIC && in.Imm&isa.AtomicFetch != 0 {
			w.Regs |= bit(in.Src)
		}
		to := a[in.Dst]
		f.base[pc-f.v.p.Funcs[f.fn].Entry] = to
		if to.kind == stackAt {
			setBytes(&w.Stack, int(to.n)+int(in.Off), in.Op.Size().Bytes(), true)
		}
	case isa.JMP, isa.JMP32:
		if in.Op.JmpOp() == isa.Call {
			f.args[pc] = [5]addr(a[prog.R1:prog.R6])
			w.Regs |= 1
		}
	default:
		w.Regs |= bit(in.Dst)
	}
}

// walk carries what is known of registers through block b and calls visit
// before each instruction.
func (f *funcLiveness) walk(b int, a *addrs, visit func(pc prog.PC, a *addrs)) {
	p := f.v.p
	f.current = b
	for pc := f.g.blocks[b].start; pc < f.g.blocks[b].end; pc = next(p, pc) {
		if visit != nil {
			visit(pc, a)
		}
		f.step(pc, a)
	}
}

func (f *funcLiveness) step(pc prog.PC, a *addrs) {
	p := f.v.p
	in := p.Insns[pc]
	switch in.Op.Class() {
	case isa.LD:
		if in.IsWide() {
			switch in.Src {
			case isa.PseudoMapFD:
				a[in.Dst] = addr{kind: mapAt, n: in.Imm}
			case 0:
				a[in.Dst] = number(int64(uint64(uint32(in.Imm)) | uint64(uint32(p.Insns[pc+1].Imm))<<32))
			default:
				a[in.Dst] = addr{kind: other}
			}
			return
		}
		for r := prog.R0; r <= prog.R5; r++ {
			a[r] = addr{kind: other}
		}
	case isa.LDX:
		a[in.Dst] = f.loaded(in, a[in.Src])
	case isa.ST:
		f.stores(in, a[in.Dst], addr{kind: other})
	case isa.STX:
		if isLoadAcquire(in) {
			a[in.Dst] = f.loaded(in, a[in.Src])
			return
		}
		f.stores(in, a[in.Dst], a[in.Src])
		if in.Op.Mode() == isa.ATOMIC {
			fetched := f.loaded(in, a[in.Dst])
			a[in.Src], a[prog.R0] = meetAddr(a[in.Src], fetched), meetAddr(a[prog.R0], fetched)
		}
	case isa.ALU, isa.ALU64:
		a[in.Dst] = f.alu(in, a)
	case isa.JMP, isa.JMP32:
		if in.Op.JmpOp() != isa.Call {
			return
		}
		if args := [5]addr(a[prog.R1:prog.R6]); !f.slots.escaped && f.passesStack(in, &args) {
			f.slots.escaped, f.news = true, true // the callee may store the address
		}
		for r := prog.R0; r <= prog.R5; r++ {
			a[r] = addr{kind: other}
		}
		if f.slots.escaped {
			a[prog.R0] = addr{kind: anywhere}
		}
	}
}

// loaded returns what in may load from from.
func (f *funcLiveness) loaded(in prog.Insn, from addr) addr {
	if in.Op.Size().Bytes() < 8 {
		return addr{kind: other} // part of an address is a number
	}
	return f.slots.load(from, int32(in.Off))
}

// stores notes that in stores a to to. Less than 8 bytes of an address are a
// number.
func (f *funcLiveness) stores(in prog.Insn, to, a addr) {
	if in.Op.Size().Bytes() < 8 {
		a = addr{kind: other}
	}
	if f.slots.store(to, int32(in.Off), a, f.fn != 0) {
		f.news = true
	}
}

func (f *funcLiveness) alu(in prog.Insn, a *addrs) addr {
	src := addr{kind: constant, n: in.Imm}
	if in.Op.Source() == isa.X {
		src = a[in.Src]
	}
	dst := a[in.Dst]
	if in.Op.Class() == isa.ALU64 {
		switch op := in.Op.ALUOp(); {
		case op == isa.Mov && in.Off == 0:
			return src
		case (op == isa.Add || op == isa.Sub) && src.kind == constant && (dst.kind == stackAt || dst.kind == perhapsAt || dst.kind == constant):
			by := int64(src.n)
			if op == isa.Sub {
				by = -by
			}
			n, hi := int64(dst.n)+by, int64(dst.hi)+by
			if dst.kind == constant {
				return number(n)
			}
			if n >= -2*state.StackSize && hi <= state.StackSize {
				return addr{kind: dst.kind, n: int32(n), hi: int32(hi)}
			}
		}
	} else if in.Op.ALUOp() == isa.Mov && in.Off == 0 && src.kind == constant {
		return number(int64(uint32(src.n)))
	}
	if dst.onStack() || src.onStack() {
		return addr{kind: anywhere}
	}
	return addr{kind: other}
}
