package helpers_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/helpers/helpertest"
	"github.com/skepvm/skep/internal/kcall"
	"github.com/skepvm/skep/internal/oracle"
)

// Places in the buffer of a snprintf call.
const (
	fmtSize = 8   // size of the output
	fmtArgs = 64  // twelve arguments
	fmtText = 256 // strings and addresses that arguments point to
	fmtOut  = 1024
	maxOut  = 1024
)

// texts are what a string or address argument may point to.
var texts = []string{"", "a", "hello", "tab\tand\nline", strings.Repeat("long ", 40), "\x7f\x00\x00\x01 127.0.0.1 and the next", "\xfe\x80\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\xff", "\xff\xfe high"}

const textRoom = 256 // bytes for each

// snprintfOn compares snprintf(format) with n arguments. Argument i is an
// address of texts[i%len] if bit i of pointers is set, and values[i] otherwise.
func snprintfOn(t *testing.T, format string, n int, pointers uint, values []uint64, size int) {
	t.Helper()
	args := []kcall.Arg{
		{Kind: kcall.Addr, Off: fmtOut}, {Kind: kcall.SizeOrZero, Off: fmtSize, Max: maxOut},
		{Kind: kcall.Str}, {Kind: kcall.Addr, Off: fmtArgs}, {Kind: kcall.Const, Imm: int32(8 * n)},
	}
	if n == 0 {
		args[3] = kcall.Arg{Kind: kcall.Const}
	}
	buf := make([]byte, kcall.BufSize)
	for i, s := range texts {
		copy(buf[2048+textRoom*i:], s+"\x00")
	}
	put64(buf, fmtSize, uint64(size))
	for i := range n {
		put64(buf, fmtArgs+8*i, values[i])
		if pointers>>i&1 != 0 {
			args = append(args, kcall.Arg{Kind: kcall.Store, Off: int32(fmtArgs + 8*i), Imm: int32(2048 + textRoom*(i%len(texts)))})
		}
	}
	c, log, err := kcall.Load(t, oracle.SchedCls, 165, helpers.Base().Helper(165), append([]byte(format), 0), args...)
	if err != nil {
		if !errors.Is(err, errno.EINVAL) && !strings.Contains(log, "format") {
			t.Fatalf("%q: %v\n%s", format, err, log)
		}
		if got := c.Ours(buf); got != errno.EINVAL.R0() {
			t.Errorf("snprintf(%q) with %d arguments = %d; the kernel refuses the format: %s", format, n, int64(got), log)
		}
		return
	}
	c.Compare(fmt.Sprintf("%q, %d arguments, size %d", format, n, size), buf, nil)
}

// TestSnprintfKernel compares snprintf with the kernel's, which refuses wrong
// formats when it loads the program. Hashed addresses (%p of anything but 0)
// are not compared.
func TestSnprintfKernel(t *testing.T) {
	oracle.Skip(t)
	v := []uint64{42, ^uint64(0), 1 << 31, 0x1234_5678_9abc_def0, 0, 7, 1 << 63, 0x7fffffff, 'A', 0xff, 100000, 255}
	for _, tc := range []struct {
		format   string
		n        int
		pointers uint
	}{
		{"", 0, 0}, {"plain", 0, 0}, {"100%%", 0, 0}, {"%", 0, 0}, {"%d", 0, 0}, {"a%", 1, 0},
		{"%d %i %u %x %X", 5, 0}, {"%ld %li %lu %lx %lX", 5, 0}, {"%lld %lli %llu %llx %llX", 5, 0},
		{"%5d|%-5d|%05d|%+d|% d|%+05d|%-+5d|%- 5d", 8, 0}, {"%20lx|%-20lx|%020lx", 3, 0}, {"%0-5d|%-05d", 2, 0},
		{"%12x|%012X|%1d|%2d", 4, 0}, {"%+x|% x|%+u", 3, 0},
		{"%c%c%c", 3, 0}, {"%5c|%-5c|%1c", 3, 0}, {"%c%d%c%ld", 4, 0},
		{"%s", 1, 1}, {"%s %s %s", 3, 7}, {"%10s|%-10s|%1s", 3, 7}, {"%s%d%s%lx", 4, 5}, {"%s", 1, 0}, {"%s,%s.", 2, 3}, {"%ss", 1, 1},
		{"%s%s%s%s%s%s%s%s", 8, 0xff}, {"%s %s %s %s %s %s %s %d %s", 9, 0x17f}, {"%05s|%+s", 2, 3},
		{"%pks %pus", 2, 1}, {"%pks", 1, 1}, {"%10pks|", 1, 4}, {"%pksx", 1, 1}, {"%pk", 1, 1},
		{"%px %px", 2, 0}, {"%20px|%-20px|%020px", 3, 0}, {"%pxyz %d", 2, 0}, {"%5px", 1, 0},
		{"%pi4 %pI4", 2, 3}, {"%pI4", 1, 1 << 5}, {"%d %d %d %d %d %pi4 %pI6", 7, 0x60}, {"%pi6 %pI6", 2, 3}, {"%pi5", 1, 1}, {"%pi", 1, 1}, {"%pI4x %d", 2, 1},
		{"%20pI4|", 1, 1}, {"%pI4", 1, 0},
		{"%pB", 1, 0}, {"%pS %ps", 2, 0}, {"%30pS|%-30ps|", 2, 0}, {"%pe", 1, 0}, {"%pV", 1, 0},
		{"%f", 1, 0}, {"%hd", 1, 0}, {"%#x", 1, 0}, {"%.3d", 1, 0}, {"%*d", 2, 0}, {"%zd", 1, 0}, {"%n", 1, 0}, {"%llld", 1, 0}, {"%l", 1, 0}, {"%q", 1, 0}, {"%lc", 1, 0}, {"%ls", 1, 1},
		{"\x01", 0, 0}, {"%px\xc3\xa9\xa9", 1, 0}, {"%s\xa9", 1, 1}, {"%s\xc3\xa9", 1, 1}, {"%d\xff%d", 2, 0}, {"%\xa9", 1, 0}, {"caf\xc3\xa9", 0, 0}, {"%s\x80", 1, 1}, {"tab\there\r\n\v\f", 0, 0}, {"\x1b[0m", 0, 0}, {"\x7f", 0, 0},
		{"%d", 2, 0}, {"%% %d %%%%", 1, 0}, {"%5%", 1, 0},
		{"%1000d|", 1, 0}, {"%-2000d|%s", 2, 2}, {"%99999d", 1, 0}, {"%2147483647d", 1, 0}, {"%4294967297d|", 1, 0}, {"%4294967295d|", 1, 0}, {"%-2000c|%2000c", 2, 0},
		{"%d %d %d %d %d %d %d %d %d %d %d %d", 12, 0},
	} {
		if strings.Contains(tc.format, "2147483647") {
			continue // the kernel takes seconds to count that far
		}
		for _, size := range []int{0, 1, 2, 7, 40, maxOut} {
			snprintfOn(t, tc.format, tc.n, tc.pointers, v, size)
		}
	}
	if testing.Short() {
		return
	}
	rng := rand.New(rand.NewPCG(11, 12))
	pieces := []string{"%", "%", "%s", "%pI4", "%pi6", "%pks", "d", "5", "-", "0", "+", " ", "l", "ll", "x", "X", "u", "i", "c", "s", "p", "pI4", "pi6", "px", "pks", "%d", "%s", "%lx", "a", ",", "%%", "%pB", "\xc3\xa9", "\xa0", "\x85", "\xd7", "\xff", "\t", "\x02"}
	for range 3000 {
		var format strings.Builder
		for range 1 + rng.IntN(8) {
			format.WriteString(pieces[rng.IntN(len(pieces))])
		}
		f := format.String()
		if hashes(f) {
			continue
		}
		pointers := uint(rng.IntN(8))
		if strings.ContainsAny(f, "diuxXcB") { // addresses differ between the two
			pointers = 0
		}
		snprintfOn(t, f, rng.IntN(4), pointers, v[rng.IntN(8):], rng.IntN(64))
	}
}

// hashes reports whether format has a %p that the kernel would hash.
func hashes(format string) bool {
	for {
		i := strings.IndexByte(format, 'p')
		if i < 0 {
			return false
		}
		format = format[i+1:]
		if format == "" || !strings.ContainsAny(format[:1], "xikuIB") {
			return true
		}
	}
}

// TestTrace checks the line that the host gets, and the two results that the
// kernel gives: the length, and EINVAL for a wrong format at run time.
func TestTrace(t *testing.T) {
	var lines []string
	env := &helpertest.Env{HostFuncs: helpers.Host{Trace: func(s string) { lines = append(lines, s) }}}
	call := func(f *helpers.Func, format string, a, b, c uint64) uint64 {
		p := []byte(format + "\x00")
		return f.Impl(env, env.Put(p), uint64(len(p)), a, b, c)
	}
	for _, tc := range []struct {
		format string
		want   int64
		line   string
	}{
		{"hello %d %x\n", 12, "hello -1 ff"},
		{"no newline", 10, "no newline"},
		{"%s", 0, ""}, // not an address
		{"%p", 16, "ffffffffffffffff"},
		{"%q", -22, ""},
		{"%d %d %d %d", -22, ""},
		{strings.Repeat("x", 1500), 1500, strings.Repeat("x", 1023)},
	} {
		lines = nil
		got := int64(call(helpers.TracePrintk, tc.format, ^uint64(0), 0xff, 3))
		if got != tc.want {
			t.Errorf("trace_printk(%q) = %d, want %d", tc.format, got, tc.want)
		}
		if tc.want >= 0 && (len(lines) != 1 || lines[0] != tc.line) {
			t.Errorf("trace_printk(%q) gives %q, want %q", tc.format, lines, tc.line)
		}
		if tc.want < 0 && lines != nil {
			t.Errorf("trace_printk(%q) gives %q, want nothing", tc.format, lines)
		}
	}
	args := make([]byte, 16)
	put64(args, 0, 5)
	put64(args, 8, 6)
	lines = nil
	if got := call(helpers.TraceVprintk, "%lu %lu", env.Put(args), 16, 0); got != 3 || len(lines) != 1 || lines[0] != "5 6" {
		t.Errorf("trace_vprintk = %d, %q", got, lines)
	}
	for _, size := range []uint64{7, 104} {
		if got := call(helpers.TraceVprintk, "x", env.Put(make([]byte, 128)), size, 0); got != errno.EINVAL.R0() {
			t.Errorf("trace_vprintk with %d bytes of arguments = %d", size, int64(got))
		}
	}
}
