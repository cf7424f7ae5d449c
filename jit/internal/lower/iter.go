package lower

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/jit/internal/emit"
	"github.com/skepvm/skep/prog"
)

// Number iterators: 8 bytes at R1, cur and end, as helpers.IterNumNew and its
// siblings keep them.

func (l *Lowerer) inlineIterNew(pc prog.PC, end emit.Label) {
	const it, first, last, cur, n = prog.R1, prog.R2, prog.R3, prog.R0, prog.R4
	bad, tooMany := l.code.NewLabel(), l.code.NewLabel()
	l.extend(pc, cur, first)
	l.extend(pc, n, last)
	l.alu(pc, isa.Sub, S64, n, cur)
	l.m.IfImm(isa.JGt, S64, n, helpers.MaxIterNum, bad)
	l.aluImm(pc, isa.Sub, S32, cur, 1)
	l.m.Store(S32, At(it, 0), cur)
	l.m.Store(S32, At(it, 4), last)
	l.m.Zero(prog.R0)
	l.Late(pc, func() {
		l.code.Bind(bad)
		l.m.StoreImm(At(it, 0), 0)
		l.m.IfImm(isa.JSGe, S64, n, 0, tooMany)
		l.m.Const(prog.R0, helpers.Int(errno.EINVAL))
		l.m.Jump(end)
		l.code.Bind(tooMany)
		l.m.Const(prog.R0, helpers.Int(errno.E2BIG))
		l.m.Jump(end)
	})
}

func (l *Lowerer) inlineIterNext(pc prog.PC, end emit.Label) {
	const it, cur = prog.R1, Temp
	through := l.code.NewLabel()
	l.m.Load(S32, cur, At(it, 0))
	l.aluImm(pc, isa.Add, S32, cur, 1)
	l.m.IfMem(isa.JSGe, S32, cur, At(it, 4), through)
	l.m.Store(S32, At(it, 0), cur)
	l.alu(pc, isa.Mov, S64, prog.R0, it)
	l.Late(pc, func() {
		l.code.Bind(through)
		l.m.StoreImm(At(it, 0), 0)
		l.m.Zero(prog.R0)
		l.m.Jump(end)
	})
}

func (l *Lowerer) inlineIterDestroy() { l.m.StoreImm(At(prog.R1, 0), 0) }
