package verifier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestAdversaries verifies programs built to make a proof explode. Each must be
// decided, by a verdict or by a limit, with work that grows with the program
// and not with the number of its paths: perInsn bounds visits per instruction.
func TestAdversaries(t *testing.T) {
	repeat := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
			b.WriteByte('\n')
		}
		return b.String()
	}
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
		{"a long chain of branches", "call 7\nr6 = r0\nr0 = 0\n" +
			repeat(5000, func(i int) string { return fmt.Sprintf("if r6 != %d goto +1\nr0 += 1", i) }) + "exit", "", 60},
		{"a stack of distinct values", "call 7\nr6 = r0\n" + repeat(64, func(i int) string {
			return fmt.Sprintf("r1 = r6\nr1 *= %d\n*(u64 *)(r10 -%d) = r1\nif r1 > %d goto +0", 2*i+3, 8*(i+1), i*100)
		}) + "r0 = 0\n" + repeat(64, func(i int) string {
			return fmt.Sprintf("r1 = *(u64 *)(r10 -%d)\nif r1 > 7 goto +1\nr0 += r1", 8*(i+1))
		}) + "exit", "", 400},
		{"nested loops", repeat(5, func(i int) string { return fmt.Sprintf("r%d = 0", i+1) }) +
			"r5 = 0\nr4 = 0\nr3 = 0\nr2 = 0\nr1 = 0\n" +
			"r1 += 1\nif r1 < 100 goto -2\nr1 = 0\nr2 += 1\nif r2 < 100 goto -5\nr2 = 0\nr3 += 1\nif r3 < 100 goto -8\nr0 = r3\nexit", "", 2000},
		{"branches in a loop", "r6 = 0\nr7 = 0\n" + "call 7\n" +
			repeat(20, func(i int) string { return fmt.Sprintf("if r0 & %d goto +1\nr7 ^= %d", 1<<i, 1<<i) }) +
			"r6 += 1\nif r6 != 1000 goto -43\nr0 = r7\nexit", "", 2000},
		{"counters in step, beyond unrolling", "r6 = 0\nr7 = 31\n*(u64 *)(r10 -8) = r7\n" +
			"r1 = r6\nr1 &= 7\nr2 = r10\nr2 += r1\n*(u8 *)(r2 -8) = r6\nr6 += 1\nr7 += 2\nif r6 s< 320 goto -9\nr0 = r7\nexit", "", 400},
		{"counting down in 32 bits", "r6 = 320\nr7 = 30\nw6 += -1\nr7 += 8\nif r6 s> 0 goto -3\nr0 = 0\nexit", "", 200},
		{"straight line", "r0 = 0\n" + repeat(100_000, func(i int) string { return fmt.Sprintf("r0 += %d", i) }) + "exit", "", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := assemble(t, "xdp", tc.asm)
			_, stats, err := Verify(context.Background(), p, Options{})
			var e *Error
			got := Code("")
			if errors.As(err, &e) {
				got = e.Code
			} else if err != nil {
				t.Fatal(err)
			}
			if got != tc.code {
				t.Errorf("got %q (%v), want %q", got, err, tc.code)
			}
			if per := stats.Visits / int64(len(p.Insns)); per > tc.perInsn {
				t.Errorf("%d visits of %d instructions: %d per instruction, want at most %d", stats.Visits, len(p.Insns), per, tc.perInsn)
			}
			t.Logf("%d instructions, %d visits, %d states, worst case %d, %v", len(p.Insns), stats.Visits, stats.States, stats.WorstCase, stats.Time)
		})
	}
}
