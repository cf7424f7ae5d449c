package verifier

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBlocks checks where blocks end, what follows them, and in which loops
// they are.
func TestBlocks(t *testing.T) {
	p, _, _ := construct(t, "sched_cls", `
		r6 = 0
		call 7
	again:
		call f
		r6 += 1
		may_goto again
		r7 = 3
	inner:
		r7 += -1
		if r7 != 0 goto inner
		if r6 < 10 goto again
		r1 = 0
		call bpf_throw
		exit
	f:
		r0 = 0
		goto end
	end:
		exit`)
	want := []Block{
		{Start: 0, End: 2, Succs: []int{1}},
		{Start: 2, End: 3, Succs: []int{2}, Loops: []int{1}}, // call f
		{Start: 3, End: 5, Succs: []int{3, 1}, Loops: []int{1}},
		{Start: 5, End: 6, Succs: []int{4}, Loops: []int{1}},
		{Start: 6, End: 8, Succs: []int{5, 4}, Loops: []int{1, 4}},
		{Start: 8, End: 9, Succs: []int{6, 1}, Loops: []int{1}},
		{Start: 9, End: 10, Succs: []int{7}},
		{Start: 10, End: 11, Succs: []int{8}}, // bpf_throw
		{Start: 11, End: 12},
		{Func: 1, Start: 12, End: 14, Succs: []int{10}},
		{Func: 1, Start: 14, End: 15},
	}
	if d := cmp.Diff(want, Blocks(p)); d != "" {
		t.Error(d)
	}
}
