package vm_test

import (
	"testing"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// TestFlagsOfAnotherPath runs a program in which a jump leads between an operation and a
// test of its result, before a move that the test makes superfluous.
func TestFlagsOfAnotherPath(t *testing.T) {
	needCompiler(t)
	for _, jump := range []string{"if r2 == 1 goto +2", "if r2 != 1 goto +2"} {
		text := "r2 = *(u32 *)(r1 +4)\nr3 = *(u32 *)(r1 +0)\nr2 -= r3\nr0 = 6\n" + jump +
			"\nr0 *= 3\nr0 &= 1\nr3 = 1\nif r0 == 0 goto +1\nr3 = 0\nr0 = r3\nexit\n"
		p, err := prog.FromInsns("p", packetType, assemble(t, text), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1, 2} {
			var got [2]uint64
			for k, e := range []vm.Engine{vm.JIT, vm.Checked} {
				c, err := vm.LoadProgram(p, vm.Options{Engine: e})
				if err != nil {
					t.Fatal(err)
				}
				if got[k], err = c.Program("p").Run(make([]byte, size)); err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
			if got[0] != got[1] {
				t.Errorf("%s, %d bytes: machine code %d, checked %d", jump, size, got[0], got[1])
			}
		}
	}
}

// TestFlagsOfNoBits runs programs that ask whether a result has one of no bits, which
// none has, right after what computes it.
func TestFlagsOfNoBits(t *testing.T) {
	needCompiler(t)
	for _, op := range []string{"r2 ^= r3", "r2 += r3", "r2 &= 7", "w2 |= w3"} {
		for _, test := range []string{"r0 = 0\nif r2 & 0 goto +1\nr0 = 1", "r0 = 1\nif w2 & 0 goto +1\nr0 = 0", "r0 = 5\nif r2 & 0 goto +1\nr0 += 1"} {
			text := "r2 = *(u32 *)(r1 +4)\nr3 = *(u32 *)(r1 +0)\nr2 -= r3\nr3 = r2\nr3 *= 5\n" + op + "\n" + test + "\nexit\n"
			p, err := prog.FromInsns("p", packetType, assemble(t, text), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got [2]uint64
			for k, e := range []vm.Engine{vm.JIT, vm.Checked} {
				c, err := vm.LoadProgram(p, vm.Options{Engine: e})
				if err != nil {
					t.Fatal(err)
				}
				if got[k], err = c.Program("p").Run([]byte{1, 2, 3}); err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
			if got[0] != got[1] {
				t.Errorf("machine code %d, checked %d:\n%s", got[0], got[1], text)
			}
		}
	}
}
