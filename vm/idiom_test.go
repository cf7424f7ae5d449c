package vm_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
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
	fired := map[string]int{}
	compareIdioms(t, first, n, fired)
	t.Logf("found in the first programs: %v", fired)
	for _, what := range []string{"rotate", "sum", "scaled sum", "32-bit sum", "access", "scaled", "shared address", "branch", "set", "idle",
		"operand in memory", "compared in memory", "pin", "update", "choose", "ones", "leading zeros", "lowest", "tally"} {
		if fired[what] == 0 {
			t.Errorf("no program has the idiom: %s", what)
		}
	}
}

// compareIdioms runs n programs, of the seeds from first on, in machine code and in
// the reference, and counts what the optimiser finds in the first of them.
func compareIdioms(t *testing.T, first, n int, fired map[string]int) {
	t.Helper()
	for i := range n {
		text := idioms(t, rand.New(rand.NewPCG(uint64(first+i), 3)))
		p, err := prog.FromInsns("p", packetType, assemble(t, text), []*maps.Spec{idiomMap(), bitMap()})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if i < 300 {
			count(t, p, fired)
		}
		var r0 [2]uint64
		for k, e := range []vm.Engine{vm.JIT, vm.Checked} {
			c, err := vm.LoadProgram(p, vm.Options{Engine: e, AllowUninitStack: true})
			if err != nil {
				t.Fatalf("seed %d: %v\n%s", first+i, err, text)
			}
			if err := c.Map("m").Update(make([]byte, 4), values, maps.Any); err != nil {
				t.Fatal(err)
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

// count adds to fired what the optimiser finds in p.
func count(t *testing.T, p *prog.Program, fired map[string]int) {
	v, _, err := verifier.Verify(t.Context(), p, verifier.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := opt.Prepare(v, nil)
	if err != nil {
		t.Fatal(err)
	}
	for pc := range o.Info {
		i := &o.Info[pc]
		in := o.Insns[pc]
		switch x := i.Idiom; {
		case i.Merged && in.Op.Class() == isa.ALU && in.Op.ALUOp() == isa.And:
			fired["idle"]++
		case i.Load > 0 && (in.Op.Class() == isa.JMP || in.Op.Class() == isa.JMP32):
			fired["compared in memory"]++
		case i.Load > 0:
			fired["operand in memory"]++
		case x.Kind == opt.Sum && !x.Wide:
			fired["32-bit sum"]++
		case x.Kind == opt.Sum && x.Shift > 0:
			fired["scaled sum"]++
		case x.Kind == opt.Access && x.Index == opt.NoIndex:
			fired["shared address"]++
		case x.Kind == opt.Access && x.Shift > 0:
			fired["scaled"]++
		case x.Kind != opt.NoIdiom:
			fired[[...]string{opt.Rotate: "rotate", opt.Sum: "sum", opt.Access: "access", opt.Branch: "branch", opt.Set: "set", opt.Update: "update", opt.Choose: "choose", opt.Ones: "ones", opt.Zeros: "leading zeros", opt.Lowest: "lowest", opt.Tally: "tally"}[x.Kind]]++
		}
	}
	if len(o.Funcs[0].Pins) > 0 {
		fired["pin"]++
	}
}

// idiomMap is a map whose value programs address directly.
func idiomMap() *maps.Spec {
	return &maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 128, MaxEntries: 1}
}

// The sequences by which compilers find the lowest bit that is set.
const (
	deBruijn32 = 0x077cb531
	deBruijn64 = 0x0218a392cd3d5dbf
)

// bitMap is a map that nobody writes to, of tables that go with the sequences: of 32
// bits, of 64, and of 32 with a mistake.
func bitMap() *maps.Spec {
	b := make([]byte, 128)
	for k := range 64 {
		if k < 32 {
			b[uint32(deBruijn32)<<k>>27] = byte(k)
			b[96+uint32(deBruijn32)<<k>>27] = byte(k)
		}
		b[32+uint64(deBruijn64)<<k>>58] = byte(k)
	}
	b[96+5]++
	return &maps.Spec{Name: "bits", Type: maps.Array, KeySize: 4, ValueSize: 128, MaxEntries: 1, Flags: maps.ReadOnlyProg,
		Frozen: true, Contents: []maps.Entry{{Key: make([]byte, 4), Value: b}}}
}

// values is what idiomMap holds.
var values = func() []byte {
	b := make([]byte, 128)
	for i := range b {
		b[i] = byte(i*37 + 11)
	}
	return b
}()

// idioms returns a program on R0 to R9 that r stands for; some are a loop on R0
// to R7, counted by R8.
func idioms(t *testing.T, r *rand.Rand) string {
	var b strings.Builder
	regs := 10
	if r.IntN(4) == 0 {
		regs = 8
	}
	for k := range regs {
		fmt.Fprintf(&b, "r%d = %#x ll\n", k, r.Uint64())
	}
	for k := 8; k <= 96; k += 8 {
		fmt.Fprintf(&b, "*(u64 *)(r10 -%d) = r%d\n", k, k%regs)
	}
	if regs == 10 {
		return b.String() + idiomBody(r, regs) + mixAll(regs)
	}
	body := idiomBody(r, regs) + "r8 += 1\n"
	n := len(assemble(t, body)) + 1
	return b.String() + "r8 = 0\n" + body + fmt.Sprintf("if r8 < 3 goto -%d\n", n) + mixAll(regs)
}

// idiomBody returns instructions on registers below regs, which hold no pointers
// before and after.
func idiomBody(r *rand.Rand, regs int) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	reg := func() int { return r.IntN(regs) }
	name := func(wide bool, n int) string {
		if wide {
			return fmt.Sprintf("r%d", n)
		}
		return fmt.Sprintf("w%d", n)
	}
	other := func(not ...int) int {
		for {
			if n := reg(); !slices.Contains(not, n) {
				return n
			}
		}
	}
	// fresh loads registers mostly, so that a condition on them is chosen by.
	fresh := func(regs ...int) {
		for _, n := range regs {
			if r.IntN(4) > 0 {
				line("r%d = *(u64 *)(r10 -%d)", n, 8+8*r.IntN(12))
			}
		}
	}
	for range 4 + r.IntN(20) {
		switch r.IntN(15) {
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
			if r.IntN(3) == 0 { // of one that is shifted
				x, y := reg(), reg()
				line("r%d = r%d\nr%d <<= %d\nr%d = r%d\nr%d += r%d", y, x, y, 1+r.IntN(4), d, a, d, y)
				if r.IntN(6) > 0 {
					line("r%d = 3", y)
				}
				break
			}
			line("r%d = r%d", d, a)
			if r.IntN(2) == 0 {
				line("r%d += r%d", d, reg())
			} else {
				line("r%d += %d", d, int32(r.Uint32()))
				if r.IntN(2) == 0 {
					line("r%d += r%d", d, reg())
				}
			}
		case 3: // addresses
			x, y, p := reg(), reg(), reg()
			for p == y || p == x {
				p = reg()
			}
			s := r.IntN(4)
			line("r%d &= %d", x, 15>>s)
			shift, base := fmt.Sprintf("r%d <<= %d", y, s), fmt.Sprintf("r%d = r10", p)
			at := []int{-40, -64, -24}[r.IntN(3)]
			if r.IntN(2) == 0 { // with a constant
				base += fmt.Sprintf("\nr%d += %d", p, at)
				at = 0
			}
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
				at = min(at, -24)
				line("r%d = r%d\nr%d <<= %d\nr%d += r10", p, y, p, s, p)
			}
			switch r.IntN(3) {
			case 0:
				line("r%d = *(u8 *)(r%d %+d)", []int{reg(), p, y}[r.IntN(3)], p, at)
			case 1:
				v := reg()
				for v == p {
					v = reg()
				}
				line("*(u8 *)(r%d %+d) = r%d", p, at, v)
			default:
				line("*(u8 *)(r%d %+d) = %d", p, at, r.IntN(256))
			}
			line("r%d = 1", p) // no pointer at the end
		case 4: // jumps over one instruction
			cond := []string{"==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"}[r.IntN(11)]
			w := r.IntN(2) == 0
			d, x, y := reg(), reg(), reg()
			fresh(x, y)
			if r.IntN(3) == 0 { // of a sum
				line("%s += %s", name(w, x), name(w, y))
			}
			line("%s = %d", name(w, d), r.IntN(2))
			if r.IntN(2) == 0 {
				line("if %s %s %s goto +1", name(w, x), cond, name(w, y))
			} else {
				line("if %s %s %d goto +1", name(w, x), cond, int32(r.Uint32())>>r.IntN(32))
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
			if r.IntN(6) == 0 {
				line("goto +1\nr%d += 1", reg())
				break
			}
			line("%s", choice(r, reg, false))
		case 14: // sums of conditions
			cond := []string{"==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"}[r.IntN(11)]
			w := r.IntN(2) == 0
			d := reg()
			x, bit := other(d), r.IntN(2)
			p, q := other(d), other(d)
			set := fmt.Sprintf("r%d = %d", d, bit)
			if r.IntN(2) == 0 {
				fresh(p, q)
			} else { // of a sum, perhaps of a copy
				set = fmt.Sprintf("%s += %s\n%s", name(w, p), name(w, q), set)
				if r.IntN(2) == 0 {
					from := other(d)
					set = fmt.Sprintf("%s = %s\n%s", name(w, p), name(w, from), set)
					if r.IntN(2) == 0 {
						q = from
					}
				}
				if r.IntN(2) == 0 {
					cond = []string{"<", ">=", ">", "<="}[r.IntN(4)]
				}
				if cond[0] == '>' && r.IntN(2) == 0 {
					p, q = q, p
				}
			}
			test := fmt.Sprintf("if %s %s %s goto", name(w, p), cond, name(w, q))
			if r.IntN(3) == 0 {
				test = fmt.Sprintf("if %s %s %d goto", name(w, p), cond, int32(r.Uint32())>>r.IntN(32))
			}
			sum := fmt.Sprintf("%s += %s", name(w, x), name(w, d))
			if r.IntN(8) == 0 {
				sum = fmt.Sprintf("%s %s %s", name(w, d), []string{"+=", "-="}[r.IntN(2)], name(w, x))
			}
			if r.IntN(2) == 0 { // to a sum that lies behind
				line("%s\n%s +1\nr%d = %d\n%s", set, test, d, 1-bit, sum)
			} else { // or before
				n := strings.Count(set, "\n")
				line("goto +3\n%s\nr%d = 5\ngoto +%d\n%s\n%s -%d\nr%d = %d\ngoto -%d", sum, d, 4+n, set, test, 5+n, d, 1-bit, 7+n)
				if r.IntN(4) == 0 { // or is led to from elsewhere
					line("if r%d == %d goto -8", d, 6)
				}
			}
			if r.IntN(8) > 0 {
				line("r%d = 9", d)
			}
		case 13: // counts of bits
			if r.IntN(3) == 0 {
				b.WriteString(lowest(r, reg, other))
			} else {
				b.WriteString(counts(r, reg, other))
			}
		case 12: // jumps over one operation or two moves
			cond := []string{"==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"}[r.IntN(11)]
			w := r.IntN(2) == 0
			x, y := reg(), reg()
			fresh(x, y)
			if r.IntN(3) == 0 {
				line("%s &= 3", name(r.IntN(2) == 0, x))
			}
			if r.IntN(3) == 0 {
				line("%s = %s", name(w, y), name(w, x))
			}
			right := name(w, y)
			if r.IntN(3) == 0 {
				right = fmt.Sprint(int32(r.Uint32()) >> r.IntN(32))
			}
			if r.IntN(3) == 0 {
				if z := reg(); r.IntN(2) == 0 { // the carry of a sum
					line("%s = %s\n%s += %s", name(w, x), name(w, z), name(w, x), name(w, y))
					line("if %s %s %s goto +1\n%s += 1", name(w, x), []string{"<", ">="}[r.IntN(2)], name(w, []int{y, z}[r.IntN(2)]), name(r.IntN(2) == 0, []int{x, reg()}[r.IntN(2)]))
				} else {
					line("%s += %s", name(w, x), name(w, y))
					line("if %s %s %s goto +1\n%s += 1", name(w, y), []string{">", "<="}[r.IntN(2)], name(w, x), name(w, []int{x, reg()}[r.IntN(2)]))
				}
				break
			}
			switch r.IntN(8) {
			case 0, 1, 2:
				line("if %s %s %s goto +2", name(w, x), cond, right)
				line("%s\n%s", choice(r, reg, true), choice(r, reg, r.IntN(8) > 0))
			case 3: // into the middle
				line("if r%d == %d goto +1\nif %s %s %s goto +1", reg(), r.IntN(4), name(w, x), cond, right)
				line("%s", choice(r, reg, false))
			default:
				line("if %s %s %s goto +1", name(w, x), cond, right)
				line("%s", choice(r, reg, false))
			}
		case 5: // an address for several accesses
			x, p := reg(), 0
			p = other(x)
			low := 64
			if base := fmt.Sprintf("r%d = r10", p); regs == 8 && r.IntN(2) == 0 {
				low = -r.IntN(48)
				line("r%d &= 15", x)
				line("r%d = map[0][0]+%d", p, r.IntN(48))
			} else {
				line("r%d &= 8", x) // the stack's accesses have to be aligned
				line("%s", base)
			}
			if r.IntN(6) > 0 {
				line("r%d += r%d", p, x)
			}
			for range 1 + r.IntN(6) {
				at := -low + 8*r.IntN(6)
				if low <= 0 {
					at = r.IntN(56)
				}
				size := []int{8, 16, 32, 64}[r.IntN(4)]
				switch r.IntN(8) {
				case 0:
					line("r%d = %d", other(p), r.IntN(9))
				case 1:
					line("r%d += %d", x, r.IntN(9))
				case 2:
					line("*(u%d *)(r%d %+d) = r%d", size, p, at, other(p))
				case 3:
					line("*(u%d *)(r%d %+d) = %d", size, p, at, r.IntN(100))
				default:
					line("r%d = *(u%d *)(r%d %+d)", other(p), size, p, at)
				}
			}
			line("r%d = 1", p)
		case 6, 7: // operands in memory
			p := reg()
			v, d := other(p), other(p)
			line("r%d = r10", p)
			size := []int{8, 16, 32, 64, 32, 64}[r.IntN(6)]
			wide := (size == 64) != (r.IntN(6) == 0)
			line("r%d = *(u%d *)(r%d -%d)", v, size, p, 8+8*r.IntN(10))
			for range r.IntN(3) {
				switch r.IntN(5) {
				case 0:
					line("*(u64 *)(r10 -%d) = r%d", 8+8*r.IntN(10), other(p))
				case 1:
					line("r%d = 1", p)
				case 2:
					line("w%d += w%d", other(p), other(p))
				default:
					line("r%d = %d", other(p), r.IntN(300))
				}
			}
			if r.IntN(2) == 0 {
				line("%s %s %s", name(wide, d), []string{"+=", "-=", "&=", "|=", "^=", "*="}[r.IntN(6)], name(wide, v))
			} else {
				cond := []string{"==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<=", "&"}[r.IntN(11)]
				left, right := name(wide, v), name(wide, d)
				if r.IntN(2) == 0 {
					left, right = right, left
				}
				if r.IntN(2) == 0 {
					left, right = name(wide, v), fmt.Sprint(int32(r.Uint32())>>r.IntN(32))
				}
				e := other(p)
				if r.IntN(3) == 0 {
					line("r%d = %d", e, r.IntN(2))
				}
				line("if %s %s %s goto +1", left, cond, right)
				line("r%d = %d", e, r.IntN(2))
			}
			line("r%d = 1", p)
			if r.IntN(3) > 0 {
				line("r%d = 7", v)
			}
		case 8: // small numbers, and what their flags say
			if r.IntN(3) == 0 {
				x, w := reg(), r.IntN(2) == 0
				if r.IntN(3) == 0 { // a way round them
					line("if r%d %s %d goto +2\nr%d *= 3", reg(), []string{"==", "s>", "s<"}[r.IntN(3)], r.IntN(2), reg())
				}
				line("%s %s %s", name(w, x), []string{"+=", "-=", "&=", "|=", "^="}[r.IntN(5)],
					[]string{name(w, reg()), fmt.Sprint(int32(r.Uint32()) >> r.IntN(32)), fmt.Sprint([]int{255, 1, 2, 4}[r.IntN(4)])}[r.IntN(3)])
				d, to := other(x), r.IntN(9)
				if r.IntN(4) == 0 {
					line("r%d = %d", reg(), r.IntN(9))
				} else if r.IntN(2) == 0 {
					to = r.IntN(2)
					line("r%d = %d", d, 1-to)
				}
				line("if %s %s 0 goto +1", name(w != (r.IntN(4) == 0), x), []string{"==", "!=", ">", ">=", "<", "<=", "s>", "s>=", "s<", "s<="}[r.IntN(10)])
				line("r%d = %d", d, to)
				break
			}
			x, y := reg(), reg()
			line("%s &= %d", name(r.IntN(2) == 0, x), []int{255, 65535, 15, 3, 0x7fffffff, 0x0ff0}[r.IntN(6)])
			for range 1 + r.IntN(6) {
				switch a, c := name(r.IntN(3) == 0, x), name(r.IntN(3) == 0, y); r.IntN(10) {
				case 0:
					line("%s <<= %d", a, r.IntN(31))
				case 1:
					line("%s += %d", a, int32(r.Uint32())>>r.IntN(32))
				case 2:
					line("%s = %s", name(c[0] == 'r', y), name(c[0] == 'r', x))
					x, y = y, x
				case 3:
					line("%s &= %d", a, []int{255, 65535, 15, 1, 0x7fffffff, -1}[r.IntN(6)])
				case 4:
					line("%s >>= %d", a, r.IntN(31))
				case 5:
					line("%s %s %d", a, []string{"*=", "|=", "^=", "/=", "%="}[r.IntN(5)], 1+r.IntN(300))
				case 9:
					n := int32(1) << r.IntN(32)
					line("%s *= %d", a, n+int32(r.IntN(3)-1))
				case 6:
					line("%s = %s", name(false, x), name(false, x))
				case 7:
					line("%s %s %s", a, []string{"+=", "|=", "^=", "&=", "*=", "%="}[r.IntN(6)], name(a[0] == 'r', y))
				default:
					line("r%d = %s%d r%d", x, []string{"be", "le"}[r.IntN(2)], []int{16, 32, 64}[r.IntN(3)], x)
				}
			}
		case 9: // the lower half; sums of 32 bits
			x, d := reg(), reg()
			if r.IntN(2) == 0 {
				if r.IntN(2) == 0 {
					line("r%d = r%d", d, x)
				}
				line("r%d <<= 32", d)
				line("r%d %s 32", d, []string{">>=", ">>=", "s>>="}[r.IntN(3)])
				break
			}
			line("%s = %s", name(false, d), name(false, x))
			if r.IntN(2) == 0 {
				line("w%d += w%d", d, reg())
			} else {
				line("w%d += %d", d, int32(r.Uint32()))
			}
		case 10: // changes of memory
			p := reg()
			v := other(p)
			from := 8 * (1 + r.IntN(10))
			size := []int{8, 16, 32, 64}[r.IntN(4)]
			sizes, to, kept := [2]int{size, size}, from, v
			switch r.IntN(24) {
			case 0:
				sizes[1] = 8
			case 1:
				to = 8
			case 2:
				kept = other(p)
			}
			stack := r.IntN(3) == 0
			base := fmt.Sprint("r", p)
			if stack {
				base = "r10"
			} else {
				line("%s = r10", base)
			}
			sign := "u"
			if size < 64 && r.IntN(8) == 0 {
				sign = "s"
			}
			x, wide := other(p), r.IntN(2) == 0
			jump := r.IntN(12)
			if jump == 0 { // into the middle
				line("if r%d == %d goto +1", x, r.IntN(4))
			}
			line("r%d = *(%s%d *)(%s -%d)", v, sign, sizes[0], base, from)
			if jump == 1 {
				line("if r%d s> 0 goto +1", x)
			}
			if r.IntN(2) == 0 {
				imm := int32(r.Uint32()) >> r.IntN(32)
				line("%s %s %d", name(wide, v), []string{"+=", "-=", "&=", "|=", "^=", "*="}[r.IntN(6)], []int32{imm, 1, -1, 127, 128, -128, -129, 255, 256, 65535}[r.IntN(10)])
			} else {
				line("%s %s %s", name(wide, v), []string{"+=", "-=", "&=", "|=", "^=", "*="}[r.IntN(6)], name(wide, x))
			}
			switch r.IntN(12) {
			case 0:
				line("r%d += 1", other(p, v))
			case 1:
				line("*(u8 *)(r10 -%d) = %d", from, r.IntN(200))
			}
			line("*(u%d *)(%s -%d) = r%d", sizes[1], base, to, kept)
			if !stack {
				line("r%d = 1", p) // no pointer at the end
			}
			if r.IntN(6) > 0 {
				line("r%d = 7", v)
			}
		default: // divisions by constants
			w := r.IntN(2) == 0
			c := []int32{1, 2, 3, 5, 7, 10, 16, 100, 641, 1000, 65521, 1000000007, -1, -7, 1 << 30, int32(r.Uint32() >> r.IntN(31))}[r.IntN(16)]
			op := []string{"/=", "%=", "s/=", "s%="}[r.IntN(4)]
			if r.IntN(2) == 0 { // by registers; of those that the host needs for it not all live
				d, by := []int{0, 3, reg(), reg()}[r.IntN(4)], []int{0, 3, reg(), reg()}[r.IntN(4)]
				switch r.IntN(4) {
				case 0:
					line("r%d |= %d", by, 1+r.IntN(9))
				case 1:
					line("w%d &= %d", by, r.IntN(4))
				case 2:
					line("r%d = -1", by)
				}
				line("%s %s %s", name(w, d), op, name(w, by))
				for _, k := range []int{0, 3} {
					if k != d && r.IntN(2) == 0 {
						line("r%d = %d", k, r.IntN(9))
					}
				}
				break
			}
			if r.IntN(3) == 0 {
				c = []int32{6, 9, 14, 28, 60, 127, 1000000, 1<<31 - 1, -1 << 31, -3, -8, -10}[r.IntN(12)]
			}
			if c == 0 {
				c = 1
			}
			d := reg()
			if r.IntN(3) == 0 { // where quotients change
				x := uint64(int64(c)) * (r.Uint64() >> r.IntN(64))
				line("r%d = %#x ll", d, []uint64{x, x - 1, 0, 1<<63 - 1, 1 << 63, 1<<64 - 1, 1 << 31, 1<<32 - 1}[r.IntN(8)])
			}
			line("%s %s %d", name(w, d), op, c)
			for _, k := range []int{0, 3} {
				if k != d && r.IntN(3) == 0 {
					line("r%d = %d", k, r.IntN(9))
				}
			}
		}
	}
	return b.String()
}

// counts returns a count of the bits that are set, or of leading zeros, as compilers
// have it; one in two has something else in one place.
func counts(r *rand.Rand, reg func() int, other func(...int) int) string {
	var lines []string
	wide := r.IntN(2) == 0
	prefix, bits := "w", 32
	if wide {
		prefix, bits = "r", 64
	}
	line := func(format string, args ...any) {
		lines = append(lines, strings.ReplaceAll(fmt.Sprintf(format, args...), "%", prefix))
	}
	x := reg()
	t := other(x)
	d := []int{other(x, t), t, other(x, t)}[r.IntN(3)]
	k := other(x, t, d)
	mask := func(to int, op string, c uint64) {
		if wide {
			line("r%d = %#x ll\nr%d %s r%d", k, c, to, op, k)
		} else {
			line("w%d %s %d", to, op, int32(c))
		}
	}
	if r.IntN(4) == 0 {
		line("r%d = %d", x, r.IntN(2)-r.IntN(2))
	} else if r.IntN(2) == 0 {
		line("r%d >>= %d", x, r.IntN(64))
	}
	if r.IntN(2) == 0 {
		for n := 1; n < bits; n *= 2 {
			line("%%%d = %%%d\n%%%d >>= %d\n%%%d |= %%%d", t, x, t, n, x, t)
		}
		line("%%%d ^= -1", x)
	}
	line("%%%d = %%%d\n%%%d >>= 1", t, x, t)
	mask(t, "&=", 0x5555555555555555)
	line("%%%d -= %%%d\n%%%d = %%%d", x, t, d, x)
	mask(d, "&=", 0x3333333333333333)
	line("%%%d >>= 2", x)
	mask(x, "&=", 0x3333333333333333)
	if r.IntN(4) == 0 {
		line("%%%d += %%%d", x, d)
		x, d = d, x
	} else {
		line("%%%d += %%%d", d, x)
	}
	line("%%%d = %%%d\n%%%d >>= 4\n%%%d += %%%d", x, d, x, d, x)
	mask(d, "&=", 0x0f0f0f0f0f0f0f0f)
	mask(d, "*=", 0x0101010101010101)
	line("%%%d >>= %d", d, bits-8)
	all := strings.Split(strings.Join(lines, "\n"), "\n")
	if r.IntN(2) == 0 {
		i := r.IntN(len(all))
		switch r.IntN(5) {
		case 0:
			all[i] += fmt.Sprintf("\nr%d += 1", reg())
		case 1:
			all[i] = strings.NewReplacer("1", "2", "4", "3", "24", "25").Replace(all[i])
		case 2:
			all[i] = fmt.Sprintf("if r%d == 7 goto +1\nr%d = 5\n%s", reg(), reg(), all[i])
		case 3:
			if i+1 < len(all) {
				all[i], all[i+1] = all[i+1], all[i]
			}
		default:
			all[i] = strings.ReplaceAll(all[i], "w", "r")
		}
	}
	for _, n := range []int{x, t, k} {
		if n != d && r.IntN(12) > 0 {
			all = append(all, fmt.Sprintf("r%d = %d", n, r.IntN(5)))
		}
	}
	return strings.Join(all, "\n") + "\n"
}

// lowest returns a search for the lowest bit that is set by a table, as compilers write
// it, or nearly so.
func lowest(r *rand.Rand, reg func() int, other func(...int) int) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	x := reg()
	t := other(x)
	p := other(x, t)
	k := other(x, t, p)
	prefix, sequence, shift, at, masked := "w", uint64(deBruijn32), 27, []int{0, 0, 0, 96}[r.IntN(4)], false
	switch r.IntN(3) {
	case 0:
		prefix, sequence, shift, at = "r", deBruijn64, 58, []int{32, 32, 32, 33}[r.IntN(4)]
	case 1:
		prefix, masked = "r", true
	}
	if r.IntN(3) > 0 {
		line("r%d = %#x ll", x, []uint64{0, 1, 1 << 31, 1 << 32, 1 << 63, r.Uint64() << r.IntN(64)}[r.IntN(6)])
	}
	if r.IntN(8) == 0 {
		sequence += 2
	}
	line("%[1]s%[2]d = %[1]s%[3]d\n%[1]s%[2]d = -%[1]s%[2]d", prefix, t, x)
	if r.IntN(8) == 0 {
		line("r%d += 1", []int{x, t, k, reg()}[r.IntN(4)])
	}
	i, j := x, t
	if r.IntN(2) == 0 {
		i, j = t, x
	}
	line("%[1]s%[2]d &= %[1]s%[3]d", prefix, i, j)
	if r.IntN(8) == 0 { // into the middle
		line("if r%d == 7 goto +1\nr%d = 5", reg(), reg())
	}
	if shift == 58 {
		line("r%d = %#x ll\nr%d *= r%d", k, sequence, i, k)
	} else {
		line("%s%d *= %d", prefix, i, sequence)
	}
	if masked {
		line("r%d = 0xf8000000 ll\nr%d &= r%d", k, i, k)
	}
	line("%s%d >>= %d", prefix, i, shift)
	d := []int{p, i, reg()}[r.IntN(3)]
	line("r%d = map[1][0]+%d\nr%d += r%d\nr%d = *(u8 *)(r%d +0)", p, at, p, i, d, p)
	if p != d {
		line("r%d = 1", p)
	}
	for _, n := range []int{x, t, k} {
		if n != d && r.IntN(12) > 0 {
			line("r%d = %d", n, r.IntN(5))
		}
	}
	return b.String()
}

// choice returns an operation on registers that reg picks, which a jump may lead
// over: a move, or any if it need not be one.
func choice(r *rand.Rand, reg func() int, move bool) string {
	name := func(wide bool, n int) string {
		return fmt.Sprintf("%c%d", map[bool]byte{true: 'r', false: 'w'}[wide], n)
	}
	w, d := r.IntN(2) == 0, reg()
	right := name(w, reg())
	if r.IntN(3) == 0 {
		right = fmt.Sprint([]int32{0, 1, -1, 16, int32(r.Uint32()) >> r.IntN(32)}[r.IntN(5)])
	}
	switch k := r.IntN(12); {
	case move || k < 4:
		return fmt.Sprintf("%s = %s", name(w, d), right)
	case k == 4:
		return fmt.Sprintf("%s = -%s", name(w, d), name(w, d))
	case k == 5:
		return fmt.Sprintf("%s %s %d", name(w, d), []string{"<<=", ">>=", "s>>="}[r.IntN(3)], r.IntN(32))
	case k < 8:
		return fmt.Sprintf("%s += 1", name(w, d))
	}
	return fmt.Sprintf("%s %s %s", name(w, d), []string{"+=", "-=", "&=", "|=", "^=", "*="}[r.IntN(6)], right)
}

// mixAll combines the registers below regs and the stack in R0.
func mixAll(regs int) string {
	var b strings.Builder
	for k := 1; k < regs; k++ {
		fmt.Fprintf(&b, "r0 *= 31\nr0 += r%d\n", k)
	}
	for k := 8; k <= 96; k += 8 {
		fmt.Fprintf(&b, "r1 = *(u64 *)(r10 -%d)\nr0 *= 31\nr0 += r1\n", k)
	}
	return b.String() + "exit\n"
}
