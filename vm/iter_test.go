package vm_test

import (
	"fmt"
	"math"
	"testing"
)

// newIter makes an iterator at fp-8 over the numbers in results at from on, two
// of 32 bits, and leaves what that returns at out.
func newIter(out int) string {
	return fmt.Sprintf("r1 = r10\nr1 += -8\ncall bpf_iter_num_new\n*(u64 *)(r9 +%d) = r0\n", out)
}

const (
	nextIter = "r1 = r10\nr1 += -8\ncall bpf_iter_num_next\n"
	endIter  = "r1 = r10\nr1 += -8\ncall bpf_iter_num_destroy\n"
	exit0    = "r0 = 0\nexit\n"
)

// TestIterNum runs loops over numbers: from every edge to every edge, with what
// the maker returns, the first numbers, and how many there were.
func TestIterNum(t *testing.T) {
	var cs []construct
	edges := []int32{math.MinInt32, math.MinInt32 + 1, -1 << 23, -2, -1, 0, 1, 7, 1 << 23, 1<<23 + 1, math.MaxInt32 - 1, math.MaxInt32}
	for _, a := range edges {
		for _, b := range edges {
			if n := int64(b) - int64(a); n > 100 && n <= 1<<23 && testing.Short() {
				continue // long
			}
			cs = append(cs, construct{name: fmt.Sprintf("%d to %d", a, b), text: fmt.Sprintf("r2 = %d\nr3 = %d\n", a, b) + newIter(0) + `
			again:
				` + nextIter + `
				if r0 == 0 goto done
				r1 = *(u32 *)(r0 +0)
				*(u32 *)(r9 +40) = r1
				r2 = *(u64 *)(r9 +16)
				r2 += r1
				*(u64 *)(r9 +16) = r2
				r2 = *(u64 *)(r9 +24)
				r2 += 1
				*(u64 *)(r9 +24) = r2
				goto again
			done:
				` + nextIter + `
				*(u64 *)(r9 +8) = r0
				` + endIter + exit0})
		}
	}
	checkConstructs(t, cs)
}

// TestIterNumNested has iterators of three frames at work at once.
func TestIterNumNested(t *testing.T) {
	checkConstructs(t, []construct{
		{name: "left early", text: "r2 = 0\nr3 = 10\n" + newIter(0) + nextIter + nextIter + `
			if r0 == 0 goto done
			r1 = *(u32 *)(r0 +0)
			*(u64 *)(r9 +8) = r1
		done:
			` + endIter + exit0},
		{name: "in a subprogram", text: "r2 = 0\nr3 = 5\n" + newIter(0) + `
		again:
			` + nextIter + `
			if r0 == 0 goto done
			r1 = *(u32 *)(r0 +0)
			call inner
			r1 = *(u64 *)(r9 +8)
			r1 += r0
			*(u64 *)(r9 +8) = r1
			goto again
		done:
			` + endIter + `
			r0 = 3
			exit
		inner:
			r3 = r1
			r3 += 4
			r2 = 0
			r9 = map[0][0]+0
			r6 = *(u64 *)(r9 +24)
			*(u64 *)(r10 -16) = r6
			r1 = r10
			r1 += -8
			call bpf_iter_num_new
		more:
			` + nextIter + `
			if r0 == 0 goto last
			r1 = *(s32 *)(r0 +0)
			r6 = *(u64 *)(r9 +32)
			r6 += r1
			*(u64 *)(r9 +32) = r6
			goto more
		last:
			` + endIter + `
			r0 = *(u64 *)(r9 +32)
			exit`},
	})
}

// TestSections runs what begins and ends sections.
func TestSections(t *testing.T) {
	checkConstructs(t, []construct{
		{name: "rcu", text: "call bpf_rcu_read_lock\nr1 = 5\n*(u64 *)(r9 +0) = r1\ncall bpf_rcu_read_unlock\n" + exit0},
		{name: "preemption", text: "call bpf_preempt_disable\ncall bpf_preempt_disable\nr1 = 5\n*(u64 *)(r9 +0) = r1\ncall bpf_preempt_enable\ncall bpf_preempt_enable\n" + exit0},
	})
}
