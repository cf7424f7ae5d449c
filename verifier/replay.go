package verifier

import (
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// replay.go finds out, after a rejection, what happened on the way: which
// instructions ran on the path of the rejected state, and which of them made
// the value that a check refused. Exploration only records decisions.

// A visit is an instruction on a path.
type visit struct {
	pc    prog.PC
	depth int32 // of calls
}

// maxReplay bounds the instructions of a path that are looked at.
const maxReplay = 1 << 20

// decisions returns the steps of trace, oldest first.
func decisions(trace *state.Trace) []*state.Trace {
	var steps []*state.Trace
	for t := trace; t != nil; t = t.Prev {
		steps = append(steps, t)
	}
	slices.Reverse(steps)
	return steps
}

// replay returns the instructions on the path that trace tells of, from the
// entry of a function to end; nil if the path is too long to follow.
func (v *verifier) replay(trace *state.Trace, end prog.PC) []visit {
	steps := decisions(trace)
	start := end
	if len(steps) > 0 {
		start = prog.PC(steps[0].PC)
	}
	fn := v.p.FuncAt(start)
	if fn < 0 {
		return nil
	}
	var path []visit
	var returns []prog.PC
	for pc := v.p.Funcs[fn].Entry; len(path) < maxReplay && int(pc) < len(v.p.Insns); {
		path = append(path, visit{pc, int32(len(returns))})
		if len(steps) == 0 && pc == end {
			return path
		}
		in := v.p.Insns[pc]
		decided := len(steps) > 0 && steps[0].PC == int32(pc)
		switch {
		case !isJump(in):
			pc = next(v.p, pc)
		case in.Op.JmpOp() == isa.JA:
			pc = jumpTarget(in, pc)
		case in.Op.JmpOp() == isa.Exit:
			if len(returns) == 0 {
				return nil
			}
			if decided {
				steps = steps[1:]
			}
			pc, returns = returns[len(returns)-1], returns[:len(returns)-1]
		case in.Op.JmpOp() == isa.Call:
			if !decided || steps[0].Note != state.Called {
				pc++
				break
			}
			steps = steps[1:]
			if in.IsCall(isa.CallSub) {
				returns = append(returns, pc+1)
				pc += 1 + prog.PC(in.Imm)
				break
			}
			if isCallX(in) {
				return nil // where it went is not recorded
			}
			returns = append(returns, pc) // a callback returns to the call
			if pc = v.callbackOn(path); pc < 0 {
				return nil
			}
		case decided:
			if steps[0].Note == state.Taken {
				pc = jumpTarget(in, pc)
			} else {
				pc++
			}
			steps = steps[1:]
		case in.Op.JmpOp() == isa.MayGoto:
			pc++
		default:
			return nil
		}
	}
	return nil
}

// callbackOn returns the entry of the function whose address the path loaded
// last; −1 if it loaded none.
func (v *verifier) callbackOn(path []visit) prog.PC {
	for _, x := range slices.Backward(path) {
		if in := v.p.Insns[x.pc]; in.IsWide() && in.Src == isa.PseudoFunc {
			return prog.PC(in.Imm)
		}
	}
	return -1
}

// maxSlice bounds the instructions of a slice.
const maxSlice = 8

// A want is a place whose last writer is looked for: a register, or bytes of
// the stack if off is negative.
type want struct {
	depth int32
	off   int16
	size  uint8
}

// slice returns the indices in path of the instructions that made what regs
// hold at its end, in order: the last writers, and the writers of what those
// read. An instruction that ran several times appears once.
func (v *verifier) slice(path []visit, regs ...prog.Reg) []int {
	if len(path) == 0 {
		return nil
	}
	end := len(path) - 1
	wants := map[want]bool{}
	for _, r := range regs {
		wants[want{path[end].depth, int16(r), 0}] = true
	}
	var found []int
	seen := map[prog.PC]bool{}
	for i := end - 1; i >= 0 && len(wants) > 0 && len(found) < maxSlice; i-- {
		x := path[i]
		in := v.p.Insns[x.pc]
		switch after := path[i+1].depth; {
		case after > x.depth: // entered a function: its arguments are the caller's
			hit := false
			for r := int16(1); r <= 5; r++ {
				if w := (want{after, r, 0}); wants[w] {
					delete(wants, w)
					if hit = true; in.IsCall(isa.CallSub) {
						wants[want{x.depth, r, 0}] = true
					}
				}
			}
			if hit && !in.IsCall(isa.CallSub) { // or what the helper passes
				found = append(found, i)
			}
			continue
		case after < x.depth: // returned: R0 is the callee's
			if w := (want{after, 0, 0}); wants[w] {
				delete(wants, w)
				wants[want{x.depth, 0, 0}] = true
			}
			continue
		}
		if !v.satisfies(path, i, wants) {
			continue
		}
		if !seen[x.pc] {
			seen[x.pc] = true
			found = append(found, i)
		}
	}
	slices.Reverse(found)
	return found
}

// maxAddress bounds the instructions that lead to an address on the stack.
const maxAddress = 64

// stackOffset returns the offset from R10 of the address that register r holds
// before path[i]; ok is false if it is not one that moves and additions of
// constants made a short way before.
func (v *verifier) stackOffset(path []visit, i int, r prog.Reg) (off int, ok bool) {
	depth := path[i].depth
	if r == prog.R10 {
		return 0, true
	}
	for j := i - 1; j >= max(0, i-maxAddress) && path[j].depth >= depth; j-- {
		in := v.p.Insns[path[j].pc]
		if path[j].depth > depth || in.Op.Class() == isa.ST || in.Op.Class() == isa.STX {
			continue
		}
		if isJump(in) {
			if isCall(in) && r <= prog.R5 {
				return 0, false
			}
			continue
		}
		if in.Dst != r {
			continue
		}
		switch op := in.Op.ALUOp(); {
		case in.Op.Class() != isa.ALU64:
			return 0, false
		case op == isa.Add && in.Op.Source() == isa.K:
			off += int(in.Imm)
		case op == isa.Mov && in.Op.Source() == isa.X && in.Src == prog.R10:
			return off, true
		case op == isa.Mov && in.Op.Source() == isa.X:
			r = in.Src
		default:
			return 0, false
		}
	}
	return 0, false
}

func wantsStack(wants map[want]bool) bool {
	for w := range wants {
		if w.off < 0 {
			return true
		}
	}
	return false
}

// fills reports whether the call at path[i] writes one of wants on the stack
// through a memory argument, and removes those.
func (v *verifier) fills(path []visit, i int, wants map[want]bool) bool {
	f := v.callee(v.p.Insns[path[i].pc])
	if f == nil || !wantsStack(wants) {
		return false
	}
	hit := false
	for a := range f.Proto.NumArgs() {
		if !f.Proto.Args[a].Write {
			continue
		}
		off, ok := v.stackOffset(path, i, prog.R1+prog.Reg(a))
		if !ok {
			continue
		}
		for w := range wants {
			if w.depth == path[i].depth && w.off < 0 && off >= int(w.off) && off < int(w.off)+int(w.size) {
				delete(wants, w)
				hit = true
			}
		}
	}
	return hit
}

// satisfies reports whether path[i] writes one of wants, which it then replaces
// by what the instruction reads.
func (v *verifier) satisfies(path []visit, i int, wants map[want]bool) bool {
	in, depth := v.p.Insns[path[i].pc], path[i].depth
	reg := func(r prog.Reg) want { return want{depth, int16(r), 0} }
	wrote := func(r prog.Reg) bool {
		w := reg(r)
		hit := wants[w]
		delete(wants, w)
		return hit
	}
	switch in.Op.Class() {
	case isa.ALU, isa.ALU64:
		if !wrote(in.Dst) {
			return false
		}
		op := in.Op.ALUOp()
		if op != isa.Mov {
			wants[reg(in.Dst)] = true
		}
		if in.Op.Source() == isa.X && op != isa.End && op != isa.Neg && in.Src != prog.R10 {
			wants[reg(in.Src)] = true
		}
		return true
	case isa.LDX:
		if !wrote(in.Dst) {
			return false
		}
		if in.Src == prog.R10 {
			wants[want{depth, in.Off, uint8(in.Op.Size().Bytes())}] = true
		}
		return true
	case isa.LD:
		if in.IsWide() {
			return wrote(in.Dst)
		}
		return wrote(prog.R0)
	case isa.ST, isa.STX:
		hit := false
		if in.Op.Mode() == isa.ATOMIC {
			if in.Imm == isa.LoadAcquire {
				return wrote(in.Dst)
			}
			if in.Imm == isa.AtomicCmpXchg {
				hit = wrote(prog.R0)
			} else if in.Imm&isa.AtomicFetch != 0 {
				hit = wrote(in.Src)
			}
		}
		if !wantsStack(wants) {
			return hit
		}
		base, ok := v.stackOffset(path, i, in.Dst)
		if !ok {
			return hit
		}
		lo := base + int(in.Off)
		hi := lo + in.Op.Size().Bytes()
		for w := range wants {
			if w.depth == depth && w.off < 0 && int(w.off) < hi && lo < int(w.off)+int(w.size) {
				delete(wants, w)
				hit = true
				if in.Op.Class() == isa.STX {
					wants[reg(in.Src)] = true
				}
			}
		}
		return hit
	}
	if isJump(in) && in.Op.JmpOp() == isa.Call {
		hit := v.fills(path, i, wants)
		for r := prog.R0; r <= prog.R5; r++ {
			hit = wrote(r) || hit
		}
		return hit
	}
	return false
}
