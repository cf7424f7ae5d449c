package helpers_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
	"github.com/skepvm/skep/internal/oracle"
)

// callers runs one helper in the kernel and here, on the same buffer.
type callers struct {
	t      *testing.T
	kernel *kernelCall
	fn     *helpers.Func
	args   []arg
	str    []byte
}

func newCallers(t *testing.T, typ uint32, id helpers.ID, str []byte, args ...arg) *callers {
	t.Helper()
	return &callers{t, newKernelCall(t, typ, id, str, args...), helpers.Base().Helper(id), args, str}
}

// compare calls both and fails unless R0 and the buffer are equal after.
func (c *callers) compare(what any, buf []byte) {
	c.t.Helper()
	ours := append([]byte(nil), buf...)
	want := c.kernel.run(buf)
	var env helpertest.Env
	base := env.Put(ours)
	var regs [5]uint64
	for i, a := range c.args {
		switch a.kind {
		case argAddr:
			regs[i] = base + uint64(a.off)
		case argNum, argSize, argSize0:
			regs[i] = binary.NativeEndian.Uint64(ours[a.off:])
		case argImm:
			regs[i] = uint64(int64(a.imm))
		case argStr:
			regs[i] = env.Put(c.str)
		}
	}
	got := c.fn.Impl(&env, regs[0], regs[1], regs[2], regs[3], regs[4])
	if got != want {
		c.t.Fatalf("%s(%v) = %d, the kernel's %d", c.fn.Name, what, int64(got), int64(want))
	}
	if string(ours[8:]) != string(buf[8:]) {
		i := 8
		for ours[i] == buf[i] {
			i++
		}
		c.t.Fatalf("%s(%v) = %d leaves %q at byte %d, the kernel %q", c.fn.Name, what, int64(got), ours[i:i+16], i, buf[i:i+16])
	}
}

func put64(buf []byte, off int, v uint64) { binary.NativeEndian.PutUint64(buf[off:], v) }

// TestStrtoxKernel compares strtol and strtoul with the kernel's on chosen and
// random text.
func TestStrtoxKernel(t *testing.T) {
	const text, size, flags, res = 64, 8, 16, 24
	args := []arg{{kind: argAddr, off: text}, {kind: argSize, off: size, max: 128}, {kind: argNum, off: flags}, {kind: argAddr, off: res}}
	both := []*callers{
		newCallers(t, oracle.SchedCls, 105, nil, args...),
		newCallers(t, oracle.SchedCls, 106, nil, args...),
	}
	check := func(s string, base uint64) {
		t.Helper()
		buf := make([]byte, bufSize)
		copy(buf[text:], s)
		put64(buf, size, uint64(len(s)))
		put64(buf, flags, base)
		put64(buf, res, 0xdeadbeef)
		for _, c := range both {
			c.compare([2]any{s, base}, append([]byte(nil), buf...))
		}
	}
	chosen := []string{
		"0", "-", "-0", " ", "-1", "+1", "  12", "\xa012", "0x", "0xg", "0x1f", "-0x1F", "0X10", "08", "077", "x", "12a", "\x00", "1\x00",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
		"18446744073709551615", "18446744073709551616", "99999999999999999999999", "ffffffffffffffff", "0x10000000000000000",
		"1777777777777777777777", "2000000000000000000000",
		"000000000000000000000000000000000000000000000000000000000000001",  // 63 characters
		"0000000000000000000000000000000000000000000000000000000000000012", // the 64th does not count
		"                                                                         7",
	}
	for _, s := range chosen {
		for _, base := range []uint64{0, 8, 10, 16, 2, 31, 32, 1 << 40} {
			check(s, base)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	const letters = "0123456789abcdefABCDEFxX- \t+g\x00"
	n := 2000
	if !testing.Short() {
		n = 10000
	}
	for range n {
		b := make([]byte, 1+rng.IntN(24))
		for i := range b {
			b[i] = letters[rng.IntN(len(letters))]
			if rng.IntN(2) == 0 {
				b[i] = letters[rng.IntN(10)]
			}
		}
		check(string(b), []uint64{0, 8, 10, 16, uint64(rng.IntN(64))}[rng.IntN(5)])
	}
}

// TestStrncmpKernel compares strncmp with the kernel's.
func TestStrncmpKernel(t *testing.T) {
	const text, size = 64, 8
	for _, s2 := range []string{"", "a", "abc", "abcdefgh", "ab\xff", "ab\x80c"} {
		c := newCallers(t, oracle.SchedCls, 182, append([]byte(s2), 0), arg{kind: argAddr, off: text}, arg{kind: argSize, off: size, max: 16}, arg{kind: argStr})
		for _, s1 := range []string{"", "a", "ab", "abc", "abd", "abcd", "abcdefghijk", "ab\xfe", "ab\xff", "b", "\x01"} {
			for n := 1; n <= 16; n++ {
				buf := make([]byte, bufSize)
				copy(buf[text:], s1)
				put64(buf, size, uint64(n))
				c.compare([3]any{s1, n, s2}, buf)
			}
		}
	}
}
