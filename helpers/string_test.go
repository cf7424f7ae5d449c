package helpers_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/kcall"
	"github.com/skepvm/skep/internal/oracle"
)

func put64(buf []byte, off int, v uint64) { binary.NativeEndian.PutUint64(buf[off:], v) }

// TestStrtoxKernel compares strtol and strtoul with the kernel's on chosen and
// random text.
func TestStrtoxKernel(t *testing.T) {
	const text, size, flags, res = 64, 8, 16, 24
	args := []kcall.Arg{{Kind: kcall.Addr, Off: text}, {Kind: kcall.Size, Off: size, Max: 128}, {Kind: kcall.Num, Off: flags}, {Kind: kcall.Addr, Off: res}}
	both := []*kcall.Call{
		kcall.New(t, oracle.SchedCls, 105, helpers.Base().Helper(105), nil, args...),
		kcall.New(t, oracle.SchedCls, 106, helpers.Base().Helper(106), nil, args...),
	}
	check := func(s string, base uint64) {
		t.Helper()
		buf := make([]byte, kcall.BufSize)
		copy(buf[text:], s)
		put64(buf, size, uint64(len(s)))
		put64(buf, flags, base)
		put64(buf, res, 0xdeadbeef)
		for _, c := range both {
			c.Compare([2]any{s, base}, append([]byte(nil), buf...), nil)
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
		c := kcall.New(t, oracle.SchedCls, 182, helpers.Base().Helper(182), append([]byte(s2), 0), kcall.Arg{Kind: kcall.Addr, Off: text}, kcall.Arg{Kind: kcall.Size, Off: size, Max: 16}, kcall.Arg{Kind: kcall.Str})
		for _, s1 := range []string{"", "a", "ab", "abc", "abd", "abcd", "abcdefghijk", "ab\xfe", "ab\xff", "b", "\x01"} {
			for n := 1; n <= 16; n++ {
				buf := make([]byte, kcall.BufSize)
				copy(buf[text:], s1)
				put64(buf, size, uint64(n))
				c.Compare([3]any{s1, n, s2}, buf, nil)
			}
		}
	}
}
