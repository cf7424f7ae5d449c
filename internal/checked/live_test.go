package checked

import (
	"testing"
	"time"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// TestLivenessBackwards binds a program whose blocks all jump backwards, so that what
// is known of registers goes against the order of instructions. Going over all of them
// for each block would take minutes.
func TestLivenessBackwards(t *testing.T) {
	const blocks = 100_000
	add := prog.Insn{Op: isa.Op(isa.ALU64) | isa.Op(isa.Add), Imm: 3}
	insns := []prog.Insn{
		{Op: isa.Op(isa.JMP32) | isa.Op(isa.JA), Imm: 2 * blocks}, // R0 is not written
		add,
		{Op: isa.Op(isa.JMP) | isa.Op(isa.Exit)},
	}
	for range blocks {
		insns = append(insns, add, prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.JA), Off: -4})
	}
	begun := time.Now()
	c := bind(t, insns)
	if d := time.Since(begun); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
	if c.tracked&bit(prog.R0) == 0 {
		t.Error("R0, which nobody writes, need not be checked")
	}
}
