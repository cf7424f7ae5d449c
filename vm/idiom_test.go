package vm_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// TestIdioms compares the engines on programs made of what the compiler looks
// for (rotations, addresses, jumps over one instruction, divisions by
// constants), and of what is nearly that: another width, count, or register
// in one place. At the end every register counts, so that one that was thought
// dead and is not shows. SKEP_DIFF_PROGS says how many, SKEP_DIFF_SEED where to
// begin.
func TestIdioms(t *testing.T) {
	needCompiler(t)
	n := envInt(t, "SKEP_DIFF_PROGS", 1500)
	if testing.Short() {
		n = min(n, 300)
	}
	first := envInt(t, "SKEP_DIFF_SEED", 1)
	for i := range n {
		text := idioms(rand.New(rand.NewPCG(uint64(first+i), 3)))
		p, err := prog.FromInsns("p", packetType, assemble(t, text), nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var r0 [2]uint64
		for k, e := range []vm.Engine{vm.JIT, vm.Checked} {
			c, err := vm.LoadProgram(p, vm.Options{Engine: e, AllowUninitStack: true})
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", first+i, err, text)
			}
			if r0[k], err = c.Program("p").Run(nil); err != nil {
				t.Fatalf("seed %d: %v\n%s", first+i, err, text)
			}
			c.Close()
		}
		if r0[0] != r0[1] {
			t.Fatalf("seed %d: machine code %#x, checked %#x\n%s", first+i, r0[0], r0[1], text)
		}
	}
}

// idioms returns a program on R0 to R9 that r stands for.
func idioms(r *rand.Rand) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	reg := func() int { return r.IntN(10) }
	name := func(wide bool, n int) string {
		if wide {
			return fmt.Sprintf("r%d", n)
		}
		return fmt.Sprintf("w%d", n)
	}
	for k := range 10 {
		line("r%d = %#x ll", k, r.Uint64())
	}
	for k := 8; k <= 96; k += 8 {
		line("*(u64 *)(r10 -%d) = r%d", k, k%10)
	}
	for range 4 + r.IntN(20) {
		switch r.IntN(6) {
		case 0, 1: // rotations
			wide := r.IntN(2) == 0
			bits := 32
			if wide {
				bits = 64
			}
			w := func(n int) string { return name(wide != (r.IntN(12) == 0), n) }
			k := 1 + r.IntN(bits-1)
			n := bits - k
			if r.IntN(8) == 0 {
				n = 1 + r.IntN(bits-1)
			}
			ops := [2]string{"<<=", ">>="}
			first := r.IntN(2)
			v, t, d := reg(), reg(), reg()
			line("%s = %s", name(wide, t), name(wide, v))
			line("%s %s %d", w(t), ops[first], k)
			if r.IntN(2) == 0 {
				line("%s = %s", name(wide, d), name(wide, v))
			} else if r.IntN(8) > 0 {
				d = v
			}
			line("%s %s %d", w(d), ops[1-first], n)
			if r.IntN(2) == 0 {
				d, t = t, d
			}
			line("%s %s %s", name(wide, d), []string{"|=", "^=", "+="}[r.IntN(3)], name(wide, t))
			if r.IntN(2) == 0 {
				line("r%d = %d", t, r.IntN(100))
			}
		case 2: // sums
			a, d := reg(), reg()
			line("r%d = r%d", d, a)
			if r.IntN(2) == 0 {
				line("r%d += r%d", d, reg())
			} else {
				line("r%d += %d", d, int32(r.Uint32()))
			}
		case 3: // addresses
			x, y, p := reg(), reg(), reg()
			for p == y || p == x {
				p = reg()
			}
			s := r.IntN(4)
			line("r%d &= %d", x, 15>>s)
			shift, base := fmt.Sprintf("r%d <<= %d", y, s), fmt.Sprintf("r%d = r10", p)
			if r.IntN(3) == 0 {
				y = x
				shift = fmt.Sprintf("r%d <<= %d", y, s)
			} else if x != y {
				line("r%d = r%d", y, x)
			}
			switch r.IntN(3) {
			case 0:
				line("%s\n%s\nr%d += r%d", shift, base, p, y)
			case 1:
				line("%s\n%s\nr%d += r%d", base, shift, p, y)
			default:
				line("r%d = r%d\nr%d <<= %d\nr%d += r10", p, y, p, s, p)
			}
			at := []int{-40, -64, -24}[r.IntN(3)]
			switch r.IntN(3) {
			case 0:
				line("r%d = *(u8 *)(r%d %d)", []int{reg(), p, y}[r.IntN(3)], p, at)
			case 1:
				v := reg()
				for v == p {
					v = reg()
				}
				line("*(u8 *)(r%d %d) = r%d", p, at, v)
			default:
				line("*(u8 *)(r%d %d) = %d", p, at, r.IntN(256))
			}
			line("r%d = 1", p) // no pointer at the end
		case 4: // jumps over one instruction
			cond := []string{"==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"}[r.IntN(11)]
			w := r.IntN(2) == 0
			d := reg()
			line("%s = %d", name(w, d), r.IntN(2))
			if r.IntN(2) == 0 {
				line("if %s %s %s goto +1", name(w, reg()), cond, name(w, reg()))
			} else {
				line("if %s %s %d goto +1", name(w, reg()), cond, int32(r.Uint32())>>r.IntN(32))
			}
			w = r.IntN(2) == 0
			if r.IntN(3) == 0 { // over one that sets what another has set
				over := fmt.Sprintf("%s = %d", name(w, d), r.IntN(2)+r.IntN(20)/19)
				if r.IntN(2) == 0 {
					line("goto +1\nr%d += 1\n%s", reg(), over)
				} else {
					line("%s", over)
				}
				continue
			}
			switch r.IntN(4) {
			case 0:
				line("goto +1\nr%d += 1", reg())
			default:
				line("%s = %s", name(w, reg()), name(w, reg()))
			}
		default: // divisions by constants
			w := r.IntN(2) == 0
			c := []int32{1, 2, 3, 5, 7, 10, 16, 100, 641, 1000, 65521, 1000000007, -1, -7, 1 << 30, int32(r.Uint32() >> r.IntN(31))}[r.IntN(16)]
			op := []string{"/=", "%=", "s/=", "s%="}[r.IntN(4)]
			line("%s %s %d", name(w, reg()), op, max(c, 1)|c)
		}
	}
	return b.String() + mixAll()
}

// mixAll combines all registers and the stack in R0.
func mixAll() string {
	var b strings.Builder
	for k := 1; k < 10; k++ {
		fmt.Fprintf(&b, "r0 *= 31\nr0 += r%d\n", k)
	}
	for k := 8; k <= 96; k += 8 {
		fmt.Fprintf(&b, "r1 = *(u64 *)(r10 -%d)\nr0 *= 31\nr0 += r1\n", k)
	}
	return b.String() + "exit\n"
}
