package verifier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestRefusalCost: a fault behind many branches that meet is refused by way of
// one path, though there are a million. The same program without the fault is
// accepted, and a fault on no path that there is does not count.
func TestRefusalCost(t *testing.T) {
	branches := strings.Repeat("call 7\nif r0 > 5 goto +1\nr6 += r0\n", 20)
	for _, tc := range []struct {
		name, end string
		code      Code
	}{
		{"fault", "r0 = *(u64 *)(r10 +8)" + out, OutOfBounds},
		{"no fault", "r0 = 0" + out, ""},
		{"fault in a callee", "call f\nr0 = 0\nexit\nf:\nr0 = *(u64 *)(r1 +0)\nexit", Unreadable},
		{"fault on some paths", "r1 = map[10][0]+0\nr1 += r6\nr0 = *(u8 *)(r1 +0)" + out, OutOfBounds},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _, _ := construct(t, "xdp", "r6 = 0\n"+branches+tc.end)
			_, stats, err := Verify(context.Background(), p, Options{})
			var e *Error
			if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
				t.Errorf("got %v, want %q", err, tc.code)
			}
			if stats.Visits > 20_000 {
				t.Errorf("%d visits", stats.Visits)
			}
		})
	}
}

// TestGuideIsNoProof: what joins lost is still found by following each path. The
// path of the first refusal has no fault.
func TestGuideIsNoProof(t *testing.T) {
	var b strings.Builder
	for i := range 6 {
		fmt.Fprintf(&b, "call 7\nif r0 > 5 goto +2\nr6 += %d\nr7 += %d\n", 1<<i, 1<<i)
	}
	p, _, _ := construct(t, "xdp", "r6 = 0\nr7 = 0\n"+b.String()+"r6 -= r7\nr1 = map[10][0]+0\nr1 += r6\nr0 = *(u8 *)(r1 +63)"+out)
	if _, _, err := Verify(context.Background(), p, Options{}); err != nil {
		t.Error(err)
	}
}
