package verifier

import (
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// A program may name a function that bpf_throw calls in its place, with the
// cookie (kernel, exception_callback). That function ends the program: its
// result is the program's. It is proved by itself, for any cookie, on the stack
// of the main program, which is over by then.
//
// Sound: nothing is held where a program may throw, and the handler gets a
// number, so it cannot come to anything that the program had. It may not throw
// itself, nobody calls it, and a run that throws takes as long as the way to
// bpf_throw and the handler's worst case together.

// handler checks the function that handles exceptions, and proves it, though
// nothing may throw (the kernel does so, too).
func (sv *solver) handler() error {
	h := sv.p.Handler
	if h == 0 {
		if name := sv.p.ExceptionHandler(); name != "" {
			return sv.errorAt(Unsupported, 0, nil, "the function that handles exceptions, %s, is not there", name)
		}
		return nil
	}
	if h < 0 || h >= len(sv.p.Funcs) {
		return sv.errorAt(BadArgument, 0, nil, "function %d handles exceptions; there are %d", h, len(sv.p.Funcs))
	}
	f := &sv.p.Funcs[h]
	ps, ok := sv.contractOf(f.Type)
	switch {
	case !f.Global:
		return sv.errorAt(BadArgument, f.Entry, nil, "%s handles exceptions, and is static", f.Name)
	case !ok || len(ps) != 1 || ps[0].kind != anyNumber:
		return sv.errorAt(BadArgument, f.Entry, nil, "%s handles exceptions; it takes one number, the cookie, and returns a number", f.Name)
	}
	for pc := prog.PC(0); int(pc) < len(sv.p.Insns); pc = next(sv.p, pc) {
		switch in := sv.p.Insns[pc]; {
		case in.IsCall(isa.CallSub) && pc+1+prog.PC(in.Imm) == f.Entry, in.IsWide() && in.Src == isa.PseudoFunc && prog.PC(in.Imm) == f.Entry:
			return sv.errorAt(BadArgument, pc, nil, "%s handles exceptions: only bpf_throw calls it", f.Name)
		}
	}
	s := state.New(&state.Pool{NoAddresses: sv.o.Strict}, int32(h), sv.o.MaxPacket)
	s.Frames[0].Kind = state.Apart
	s.SetReg(1, s.Unknown())
	r, err := sv.prove(rootKey{fn: h, m: -1}, s, handlesExceptions)
	sv.handled = r
	return err
}
