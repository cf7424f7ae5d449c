package amd64

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/jit/internal/layout"
	"github.com/skepvm/skep/prog"
)

// Atomic operations (RFC 9669, section 5.3). Locked instructions order
// everything, plain loads acquire and plain stores release (SDM vol. 3,
// section 9.2).

func (l *lowerer) Atomic(pc prog.PC, in prog.Insn) error {
	w, dst, src := accessWidth(in), host[in.Dst], host[in.Src]
	m := At(dst, int32(in.Off))
	switch in.Imm {
	case isa.LoadAcquire:
		l.loadZero(w, dst, At(src, int32(in.Off)))
	case isa.StoreRelease:
		l.MovMR(w, m, src)
	case isa.AtomicAdd:
		l.LockAddMR(w, m, src)
	case isa.AtomicOr:
		l.LockOrMR(w, m, src)
	case isa.AtomicAnd:
		l.LockAndMR(w, m, src)
	case isa.AtomicXor:
		l.LockXorMR(w, m, src)
	case isa.AtomicAdd | isa.AtomicFetch:
		l.LockXaddMR(w, m, src)
	case isa.AtomicXchg:
		l.XchgMR(w, m, src)
	case isa.AtomicCmpXchg:
		if dst == RAX {
			return l.Unsupported(pc, "a compare-and-exchange at the address that it compares with")
		}
		l.LockCmpxchgMR(w, m, src)
		if w == W32 { // success leaves the upper half
			l.MovRR(W32, RAX, RAX)
		}
	case isa.AtomicOr | isa.AtomicFetch:
		return l.fetch(pc, in, (*Asm).OrRR)
	case isa.AtomicAnd | isa.AtomicFetch:
		return l.fetch(pc, in, (*Asm).AndRR)
	case isa.AtomicXor | isa.AtomicFetch:
		return l.fetch(pc, in, (*Asm).XorRR)
	default:
		return l.Unsupported(pc, "an atomic operation of this kind")
	}
	return nil
}

// fetch lowers an operation for which the host has no instruction that returns
// the old value, by compare-and-exchange, which needs RAX.
func (l *lowerer) fetch(pc prog.PC, in prog.Insn, op func(*Asm, Width, Reg, Reg)) error {
	const saveRAX, saveTemp = layout.Scratch, layout.Scratch + 8
	w, base, src := accessWidth(in), host[in.Dst], host[in.Src]
	if base == RAX && src == RAX {
		return l.Unsupported(pc, "an operand that is its own address")
	}
	l.MovMR(W64, inFrame(saveRAX), RAX)
	temp := RDX // takes RAX's part as an operand
	if base == RDX || src == RDX {
		temp = RCX
	}
	moved := base == RAX || src == RAX
	if moved {
		l.MovMR(W64, inFrame(saveTemp), temp)
		l.MovRR(W64, temp, RAX)
		if base == RAX {
			base = temp
		} else {
			src = temp
		}
	}
	m := At(base, int32(in.Off))
	again := l.NewLabel()
	l.MovRM(w, RAX, m)
	l.Bind(again)
	l.MovRR(w, scratch, RAX)
	op(l.Asm, w, scratch, src)
	l.LockCmpxchgMR(w, m, scratch)
	l.JccL(NE, again)
	l.MovRR(w, scratch, RAX)
	if moved {
		l.MovRM(W64, temp, inFrame(saveTemp))
	}
	l.MovRM(W64, RAX, inFrame(saveRAX))
	l.MovRR(W64, host[in.Src], scratch)
	return nil
}
