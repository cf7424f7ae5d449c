package arm64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Atomic operations (RFC 9669, section 5.3). Those that fetch order everything,
// as the kernel's do (Documentation/atomic_t.txt, "ORDERING"); others order
// nothing. With FEAT_LSE each is one instruction; otherwise a loop of
// load-exclusive and store-exclusive, with a barrier after it where there is an
// order to keep: a load that follows could pass the store-release (kernel,
// arch/arm64/include/asm/atomic_ll_sc.h).

func (l *lowerer) Atomic(pc prog.PC, in prog.Insn) error {
	s, dst, src := accessSize(in), host[in.Dst], host[in.Src]
	switch in.Imm {
	case isa.LoadAcquire:
		l.Ldar(s, dst, l.address(src, in.Off))
		return nil
	case isa.StoreRelease:
		l.Stlr(s, src, l.address(dst, in.Off))
		return nil
	}
	base := l.address(dst, in.Off)
	if in.Imm == isa.AtomicCmpXchg {
		l.cmpxchg(s, src, base)
		return nil
	}
	op := in.Imm &^ isa.AtomicFetch
	if in.Imm == isa.AtomicXchg {
		op = isa.AtomicXchg
	}
	fetch := in.Imm&isa.AtomicFetch != 0
	switch op {
	case isa.AtomicAdd, isa.AtomicOr, isa.AtomicAnd, isa.AtomicXor, isa.AtomicXchg:
	default:
		return l.Unsupported(pc, "an atomic operation of this kind")
	}
	if l.features.LSE {
		l.single(op, fetch, s, src, base)
	} else {
		l.exclusive(op, fetch, s, src, base)
	}
	return nil
}

// address returns a register that holds base + off.
func (l *lowerer) address(base Reg, off int16) Reg {
	n := int64(off)
	switch {
	case n == 0:
		return base
	case n > 0 && IsAddImm(uint64(n)):
		l.AddI(W64, tmp2, base, uint32(n))
	case n < 0 && IsAddImm(uint64(-n)):
		l.SubI(W64, tmp2, base, uint32(-n))
	default:
		l.MovI(tmp2, uint64(n))
		l.Add(W64, tmp2, base, tmp2)
	}
	return tmp2
}

// single lowers op with one instruction of FEAT_LSE.
func (l *lowerer) single(op int32, fetch bool, s Size, src, base Reg) {
	order, old := Relaxed, ZR
	if fetch {
		order, old = AcqRel, src
	}
	switch op {
	case isa.AtomicAdd:
		l.Ldadd(s, order, src, old, base)
	case isa.AtomicOr:
		l.Ldset(s, order, src, old, base)
	case isa.AtomicXor:
		l.Ldeor(s, order, src, old, base)
	case isa.AtomicXchg:
		l.Swp(s, order, src, old, base)
	case isa.AtomicAnd: // there is "clear" only
		l.Mvn(W64, tmp0, src)
		l.Ldclr(s, order, tmp0, old, base)
	}
}

// exclusive lowers op as a loop.
func (l *lowerer) exclusive(op int32, fetch bool, s Size, src, base Reg) {
	const old, value, status = tmp0, tmp1, R12
	order := Relaxed
	if fetch {
		order = Release
	}
	again := l.NewLabel()
	l.Bind(again)
	l.Ldxr(s, Relaxed, old, base)
	switch op {
	case isa.AtomicAdd:
		l.Add(W64, value, old, src)
	case isa.AtomicOr:
		l.Orr(W64, value, old, src)
	case isa.AtomicAnd:
		l.And(W64, value, old, src)
	case isa.AtomicXor:
		l.Eor(W64, value, old, src)
	case isa.AtomicXchg:
		l.Mov(W64, value, src)
	}
	l.Stxr(s, order, status, value, base)
	l.Cbnz(W32, status, again)
	if fetch {
		l.Dmb(ISH)
		l.Mov(W64, src, old)
	}
}

// cmpxchg lowers the compare-and-exchange with R0, which gets the old value.
func (l *lowerer) cmpxchg(s Size, src, base Reg) {
	const status = R12
	w := W32
	if s == S64 {
		w = W64
	}
	if l.features.LSE {
		if base == R0 {
			l.Mov(W64, tmp2, R0)
			base = tmp2
		}
		if src == R0 {
			l.Mov(W64, tmp0, R0)
			src = tmp0
		}
		l.Mov(w, R0, R0)
		l.Cas(s, AcqRel, R0, src, base)
		return
	}
	again, differs := l.NewLabel(), l.NewLabel()
	l.Bind(again)
	l.Ldxr(s, Relaxed, tmp1, base)
	l.Cmp(w, tmp1, R0)
	l.BCond(NE, differs)
	l.Stxr(s, Release, status, src, base)
	l.Cbnz(W32, status, again)
	l.Bind(differs)
	l.Dmb(ISH)
	l.Mov(w, R0, tmp1)
}
