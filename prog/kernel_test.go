package prog_test

import (
	"strings"
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/prog"
)

// TestFormatKernel compares the text of every form with what the kernel's
// verifier prints when it comes to such an instruction.
func TestFormatKernel(t *testing.T) {
	oracle.Skip(t)
	fixed := func(f *isa.Form, name string, n int32) int32 {
		if v, ok := f.Fixed(name); ok {
			return v
		}
		return n
	}
	compared := 0
	for i := range isa.Forms() {
		f := &isa.Forms()[i]
		in := prog.Insn{
			Op:  f.Op,
			Dst: prog.Reg(fixed(f, "dst", 1)),
			Src: prog.Reg(fixed(f, "src", 2)),
			Off: int16(fixed(f, "off", -16)),
			Imm: fixed(f, "imm", 7),
		}
		_, jump := in.Target(0)
		switch {
		case in.Op.Class() == isa.JMP32 && in.Op.JmpOp() == isa.JA:
			in.Imm = 0
		case in.Op.JmpOp() == isa.JA && jump:
			in.Off = 0
		case jump:
			in.Off = 1
		case in.Op == isa.Op(isa.JMP)|isa.Op(isa.Call)|isa.Op(isa.X):
			continue // the kernel has none
		case in.IsCall(isa.CallSub), in.IsCall(isa.CallKfunc), in.IsWide() && in.Src != 0:
			continue // the kernel prints its own numbers, names and addresses
		}
		insns := []prog.Insn{in, {Op: 0xb7}, {Op: 0x95}}
		switch {
		case in.Op == isa.Op(isa.JMP)|isa.Op(isa.Exit):
			insns = insns[2:]
		case in.IsWide():
			insns = []prog.Insn{in, {Imm: 5}, {Op: 0xb7}, {Op: 0x95}}
		}
		_, log, _ := oracle.Load(oracle.LoadOptions{Type: oracle.SocketFilter, Insns: insns, LogLevel: 2})
		_, line, ok := strings.Cut(log, "\n0: (")
		if !ok {
			t.Errorf("%s: the kernel does not get to it: %s", f.Text, log)
			continue
		}
		line, _, _ = strings.Cut(line, "\n")
		line, _, _ = strings.Cut(line, ";")
		_, line, _ = strings.Cut(line, ") ")
		got := strings.TrimSuffix(prog.Format(in, prog.Insn{Imm: 5}), " ll")
		if in.IsCall(isa.CallHelper) {
			got = "call bpf_get_prandom_u32#7" // Format knows no names
		}
		if line = strings.TrimSpace(line); got != line {
			t.Errorf("%s, the kernel prints %s", got, line)
		}
		compared++
	}
	if compared < 150 {
		t.Errorf("%d forms compared", compared)
	}
}
