package verifier

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// repeat returns what f gives for 0 to n−1, a line each.
func repeat(n int, f func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(f(i))
		b.WriteByte('\n')
	}
	return b.String()
}

// TestAdversaries verifies programs built to make a proof explode. Each must be
// decided, by a verdict or by a limit, with work that grows with the program
// and not with the number of its paths: perInsn bounds visits per instruction.
func TestAdversaries(t *testing.T) {
	for _, tc := range []struct {
		name    string
		asm     string
		code    Code // "": accepted
		perInsn int64
	}{
		{"independent flags, tested later", "call 7\nr6 = r0\n" +
			repeat(24, func(i int) string {
				return fmt.Sprintf("r1 = 0\nif r6 & %d goto +1\nr1 = 1\n*(u64 *)(r10 -%d) = r1", 1<<i, 8*(i+1))
			}) + "r0 = 0\n" +
			repeat(24, func(i int) string {
				return fmt.Sprintf("r1 = *(u64 *)(r10 -%d)\nif r1 == 0 goto +1\nr0 += 1", 8*(i+1))
			}) + "exit", "", 400},
		{"unknown flags, tested later", repeat(24, func(i int) string {
			return fmt.Sprintf("call 7\nr1 = 0\nif r0 == %d goto +1\nr1 = 1\n*(u64 *)(r10 -%d) = r1", i, 8*(i+1))
		}) + "r0 = 0\n" +
			repeat(24, func(i int) string {
				return fmt.Sprintf("r1 = *(u64 *)(r10 -%d)\nif r1 == 0 goto +1\nr0 += 1", 8*(i+1))
			}) + "exit", "", 400},
		{"chains of flags, each from the one before", "call 7\nr6 = r0\nr7 = 0\n" +
			repeat(60, func(i int) string {
				return fmt.Sprintf("r1 = r7\nr1 ^= 1\nif r6 & %d goto +1\nr7 = r1\n*(u64 *)(r10 -%d) = r7", 1<<(i%30), 8*(i+1))
			}) + "r0 = 0\n" + repeat(60, func(i int) string {
			return fmt.Sprintf("r1 = *(u64 *)(r10 -%d)\nif r1 == 0 goto +1\nr0 += 1", 8*(i+1))
		}) + "exit", "", 600},
		{"a long chain of branches", "call 7\nr6 = r0\nr0 = 0\n" +
			repeat(5000, func(i int) string { return fmt.Sprintf("if r6 != %d goto +1\nr0 += 1", i) }) + "exit", "", 60},
		{"a stack of distinct values", "call 7\nr6 = r0\n" + repeat(64, func(i int) string {
			return fmt.Sprintf("r1 = r6\nr1 *= %d\n*(u64 *)(r10 -%d) = r1\nif r1 > %d goto +0", 2*i+3, 8*(i+1), i*100)
		}) + "r0 = 0\n" + repeat(64, func(i int) string {
			return fmt.Sprintf("r1 = *(u64 *)(r10 -%d)\nif r1 > 7 goto +1\nr0 += r1", 8*(i+1))
		}) + "exit", "", 400},
		{"a stack of distinct bytes", "call 7\nr6 = r0\n" + repeat(512, func(i int) string {
			return fmt.Sprintf("r1 = r6\nr1 >>= %d\n*(u8 *)(r10 -%d) = r1", i%57, i+1)
		}) + "r0 = 0\n" + repeat(512, func(i int) string {
			return fmt.Sprintf("r1 = *(u8 *)(r10 -%d)\nif r1 > 7 goto +1\nr0 += r1", i+1)
		}) + "exit", "", 400},
		{"nested loops", "r5 = 0\nr4 = 0\nr3 = 0\nr2 = 0\nr1 = 0\n" +
			"r1 += 1\nif r1 < 100 goto -2\nr1 = 0\nr2 += 1\nif r2 < 100 goto -5\nr2 = 0\nr3 += 1\nif r3 < 100 goto -8\nr0 = r3\nexit", "", 2000},
		{"loops nested ten deep", deepNest(10), "", 3000},
		{"branches in a loop", "r6 = 0\nr7 = 0\n" + "call 7\n" +
			repeat(20, func(i int) string { return fmt.Sprintf("if r0 & %d goto +1\nr7 ^= %d", 1<<i, 1<<i) }) +
			"r6 += 1\nif r6 != 1000 goto -43\nr0 = r7\nexit", "", 2000},
		{"a jump table in a loop", "call 7\nr6 = r0\nr7 = 0\nr8 = 0\nloop:\n" +
			repeat(200, func(i int) string { return fmt.Sprintf("if r7 == %d goto case%d", i, i) }) + "goto next\n" +
			repeat(200, func(i int) string {
				return fmt.Sprintf("case%d:\nr7 = %d\nif r6 & %d goto next\nr7 = %d\ngoto next", i, i*7%200, 1<<(i%30), i*13%200)
			}) + "next:\nr8 += 1\nif r8 != 100000 goto loop\nr0 = 0\nexit", "", 600},
		{"an irreducible graph", irreducible(2), "", 3000},
		{"a large irreducible graph", irreducible(50), Limit, 3000},
		{"a loop of 2^63", "r1 = 0x8000000000000000 ll\nr0 = 0\nr1 += -1\nif r1 != 0 goto -2\nexit", TooLong, 300},
		{"straight line", "r0 = 0\n" + repeat(100_000, func(i int) string { return fmt.Sprintf("r0 += %d", i) }) + "exit", "", 2},
	} {
		t.Run(tc.name, func(t *testing.T) { attack(t, assemble(t, "xdp", tc.asm), tc.code, tc.perInsn) })
	}
}

// irreducible returns a ring of loops, each with two entries.
func irreducible(n int) string {
	return "call 7\nr6 = r0\nr7 = 0\nif r6 & 1 goto b0\n" +
		repeat(n, func(i int) string {
			return fmt.Sprintf("a%[1]d:\nr7 += 1\nif r7 > 1000 goto out\nif r6 & %[2]d goto b%[3]d\nb%[1]d:\nr7 += 1\nif r7 > 1000 goto out\nif r6 & %[4]d goto a%[3]d",
				i, 1<<(i%30), (i+1)%n, 2<<(i%29))
		}) + "goto a0\nout: r0 = 0\nexit"
}

// deepNest returns loops within loops, each with a counter on the stack.
func deepNest(depth int) string {
	var open, close strings.Builder
	for i := range depth {
		fmt.Fprintf(&open, "*(u64 *)(r10 -%d) = 0\nhead%d:\n", 8*(i+1), i)
	}
	for i := depth - 1; i >= 0; i-- {
		fmt.Fprintf(&close, "r1 = *(u64 *)(r10 -%[1]d)\nr1 += 1\n*(u64 *)(r10 -%[1]d) = r1\nif r1 < 10 goto head%[2]d\n", 8*(i+1), i)
	}
	return open.String() + close.String() + "r0 = 0\nexit"
}

// TestLargeAdversaries is TestAdversaries for programs of up to a million
// instructions, and of many functions and maps.
func TestLargeAdversaries(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds and hundreds of megabytes")
	}
	add := func(i int) prog.Insn { return prog.Insn{Op: isa.Op(isa.ALU64) | isa.Op(isa.Add), Imm: int32(i)} }
	exit := prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.Exit)}
	zero := prog.Insn{Op: isa.Op(isa.ALU64) | isa.Op(isa.Mov)}
	branch := func(i int) prog.Insn {
		return prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.JGt), Imm: int32(i), Off: 1}
	}
	const million = 1_000_000
	line, branches := []prog.Insn{zero}, []prog.Insn{{Op: isa.Op(isa.JMP) | isa.Op(isa.Call), Imm: 7}}
	for i := range million - 2 {
		line = append(line, add(i))
	}
	for i := range million/2 - 2 {
		branches = append(branches, branch(int(uint32(i)*7919>>1)), add(1))
	}
	for _, tc := range []struct {
		name    string
		insns   []prog.Insn
		code    Code
		perInsn int64
	}{
		{"a straight line of a million", append(line, exit), "", 2},
		{"half a million branches", append(branches, zero, exit), "", 60},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := prog.FromInsns("test", linux.Platform.Type("socket_filter"), tc.insns, nil)
			if err != nil {
				t.Fatal(err)
			}
			attack(t, p, tc.code, tc.perInsn)
		})
	}
	t.Run("a jump table of ten thousand", func(t *testing.T) {
		attack(t, assemble(t, "socket_filter", "call 7\nr6 = r0\nr7 = 0\n"+
			repeat(10_000, func(i int) string { return fmt.Sprintf("if r6 != %d goto +2\nr7 = %d\ngoto +0", i, i*31%10_007) })+
			repeat(1000, func(i int) string { return fmt.Sprintf("if r7 == %d goto +1\nr6 += 1", i) })+"r0 = r7\nexit"), "", 300)
	})
	t.Run("seven levels of eight calls", func(t *testing.T) {
		var b strings.Builder
		for level := range 8 {
			if level > 0 {
				fmt.Fprintf(&b, "g%d:\n", level)
			}
			if level < 7 {
				b.WriteString(repeat(8, func(int) string { return fmt.Sprintf("call g%d", level+1) }))
			}
			b.WriteString("r0 = 0\nexit\n")
		}
		attack(t, assemble(t, "xdp", b.String()), Limit, 0)
	})
	t.Run("two to the seven chains of calls", func(t *testing.T) {
		var b strings.Builder
		for level := range 8 {
			if level > 0 {
				fmt.Fprintf(&b, "g%d:\n", level)
			}
			if level < 7 {
				fmt.Fprintf(&b, "call g%[1]d\ncall g%[1]d\n", level+1)
			}
			b.WriteString("r0 = 0\nexit\n")
		}
		attack(t, assemble(t, "xdp", b.String()), "", 300)
	})
	t.Run("ten thousand maps", func(t *testing.T) {
		var specs []*maps.Spec
		for i := range 10_000 {
			specs = append(specs, &maps.Spec{Name: fmt.Sprintf("m%d", i), Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
		}
		insns, err := prog.Assemble("*(u32 *)(r10 -4) = 0\nr6 = 0\n" + repeat(10_000, func(i int) string {
			return fmt.Sprintf("r2 = r10\nr2 += -4\nr1 = map[%d]\ncall 1\nif r0 == 0 goto +2\nr1 = *(u64 *)(r0 +0)\nr6 += r1", i)
		}) + "r0 = 0\nexit")
		if err != nil {
			t.Fatal(err)
		}
		p, err := prog.FromInsns("test", linux.Platform.Type("xdp"), insns, specs)
		if err != nil {
			t.Fatal(err)
		}
		attack(t, p, "", 60)
	})
}

// attack verifies p, which must get the verdict code within its limits: in far
// less time than they allow, in the memory that they allow for states and as
// much again for each instruction, and with few visits of each, if perInsn is
// not 0. A limit names the place where the effort went.
func attack(t *testing.T, p *prog.Program, code Code, perInsn int64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v, stats, err := Verify(context.Background(), p, Options{})
	runtime.GC()
	runtime.ReadMemStats(&after)
	var e *Error
	got := Code("")
	if errors.As(err, &e) {
		got = e.Code
	} else if err != nil {
		t.Fatal(err)
	}
	if got != code {
		t.Errorf("got %q (%v), want %q", got, err, code)
	}
	if got == Limit && !strings.Contains(e.Msg, "the block that took most") && !strings.Contains(e.Msg, "meet here") {
		t.Errorf("the limit does not say where: %s", e.Msg)
	}
	n := int64(len(p.Insns))
	if per := stats.Visits / n; perInsn > 0 && per > perInsn {
		t.Errorf("%d visits of %d instructions: %d per instruction, want at most %d", stats.Visits, n, per, perInsn)
	}
	if stats.Bytes > DefaultMaxBytes*5/4 {
		t.Errorf("%d bytes of states", stats.Bytes)
	}
	const perSlot = 1000 // graph, liveness, facts, nodes, and garbage
	if grown, most := int64(after.Sys)-int64(before.Sys), 4*stats.Bytes+perSlot*n+32<<20; grown > most {
		t.Errorf("the process grew by %d MB; for %d instructions and %d MB of states at most %d MB", grown>>20, n, stats.Bytes>>20, most>>20)
	}
	if stats.Time > DefaultMaxTime*3/2 {
		t.Errorf("it took %v", stats.Time)
	}
	t.Logf("%d instructions, %d visits, %d states, %.1f MB, worst case %d, %v; %v", n, stats.Visits, stats.States, float64(stats.Bytes)/1e6, stats.WorstCase, stats.Time, err)
	runtime.KeepAlive(v)
}

// TestCancel checks that a proof that takes seconds ends with the context's error
// when nobody wants it any more: it does not go on to its verdict, which is a
// limit.
func TestCancel(t *testing.T) {
	p := assemble(t, "xdp", irreducible(50))
	for _, after := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(context.Background(), after)
		_, _, err := Verify(ctx, p, Options{})
		d, _ := ctx.Deadline()
		t.Logf("cancelled after %v, it went on for %v", after, time.Since(d))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("cancelled after %v: %v", after, err)
		}
	}
}
