package opt_test

import (
	"testing"

	"github.com/skepvm/skep/prog"
)

// TestPlace: the place of a tail call is known where an instruction shortly before
// it says so, on every path.
func TestPlace(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		pc         prog.PC
		want       uint32
		ok         bool
	}{
		{"constant", "r3 = 5\nr0 = 0\nexit", 1, 5, true},
		{"32 bits", "w3 = 5\nr0 = 0\nexit", 1, 5, true},
		{"negative", "r3 = -1\nr0 = 0\nexit", 1, 1<<32 - 1, true},
		{"overwritten", "r3 = 5\nr3 += 1\nr0 = 0\nexit", 2, 0, false},
		{"past a wide instruction", "r3 = 5\nr4 = 1 ll\nr0 = 0\nexit", 3, 5, true},
		{"two paths", "r3 = 5\nr0 = *(u32 *)(r1 +16)\nif r0 == 0 goto +1\nr3 = 6\nr0 = 0\nexit", 4, 0, false},
		{"none", "r0 = 0\nexit", 0, 0, false},
	} {
		got, ok := prepare(t, tc.text).Place(tc.pc)
		if got != tc.want || ok != tc.ok {
			t.Errorf("%s: %d, %v; want %d, %v", tc.name, got, ok, tc.want, tc.ok)
		}
	}
}
