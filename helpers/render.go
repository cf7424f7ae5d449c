package helpers

import (
	"bytes"
	"encoding/binary"

	"github.com/skepvm/skep/internal/mem"
)

// render writes format with the packed arguments to dst, with a NUL at the
// end if dst has room for anything, and returns how long the text is, without
// the NUL, whether or not it fit (lib/vsprintf.c, bstr_printf). pack has
// accepted format.
func render(dst []byte, format []byte, args *packed) int {
	w := writer{buf: dst}
	in := unpacker{buf: args.buf[:]}
	for len(format) > 0 {
		i := bytes.IndexByte(format, '%')
		if i < 0 {
			w.text(format)
			break
		}
		w.text(format[:i])
		var s spec
		s, format = parseSpec(format[i+1:])
		switch s.verb {
		case '%':
			w.char('%')
		case 'c':
			if !s.left {
				w.pad(' ', s.width-1)
			}
			w.char(in.char())
			if s.left {
				w.pad(' ', s.width-1)
			}
		case 's':
			w.padded(in.string(), s)
		case 'p':
			format = w.pointer(format, s, &in)
		default:
			w.number(s.number(&in), s)
		}
	}
	w.end()
	return int(w.n)
}

// A spec is one conversion of a format.
type spec struct {
	left, plus, space, zero bool
	width                   int64 // 0: none
	hasWidth                bool
	long                    bool
	verb                    byte
}

// parseSpec reads the conversion that follows a '%' and returns the rest.
func parseSpec(f []byte) (spec, []byte) {
	var s spec
	i := 0
flags:
	for ; i < len(f); i++ {
		switch f[i] {
		case '-':
			s.left = true
		case '+':
			s.plus = true
		case ' ':
			s.space = true
		case '0':
			s.zero = true
		default:
			break flags
		}
	}
	var width int32 // wraps, as the kernel's int does
	for ; i < len(f) && isDigit(f[i]); i++ {
		width = width*10 + int32(f[i]-'0')
		s.hasWidth = true
	}
	s.width = int64(width)
	for ; i < len(f) && f[i] == 'l'; i++ {
		s.long = true
	}
	if i == len(f) {
		return s, nil
	}
	s.verb = f[i]
	return s, f[i+1:]
}

// number takes an integer of s's size; signed conversions extend its sign.
func (s *spec) number(in *unpacker) uint64 {
	if s.long {
		return in.uint64()
	}
	v := in.uint32()
	if s.verb == 'd' || s.verb == 'i' {
		return uint64(int64(int32(v)))
	}
	return uint64(v)
}

// An unpacker takes arguments in order. What lies past the end reads as zeros.
type unpacker struct {
	buf []byte
}

func (u *unpacker) take(n int) []byte {
	if n > len(u.buf) {
		u.buf = nil
		return nil
	}
	b := u.buf[:n]
	u.buf = u.buf[n:]
	return b
}

// align skips to a multiple of 4.
func (u *unpacker) align() { u.take(len(u.buf) & 3) } // the whole is a multiple of 4

func (u *unpacker) uint32() uint32 {
	u.align()
	if b := u.take(4); b != nil {
		return binary.NativeEndian.Uint32(b)
	}
	return 0
}

func (u *unpacker) uint64() uint64 {
	u.align()
	if b := u.take(8); b != nil {
		return binary.NativeEndian.Uint64(b)
	}
	return 0
}

func (u *unpacker) char() byte {
	if b := u.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (u *unpacker) string() []byte {
	i := bytes.IndexByte(u.buf, 0)
	if i < 0 {
		i = len(u.buf)
	}
	s := u.buf[:i]
	u.take(min(i+1, len(u.buf)))
	return s
}

// A writer fills buf and counts what did not fit.
type writer struct {
	buf []byte
	n   int64
}

func (w *writer) full() bool { return w.n >= int64(len(w.buf)) }

func (w *writer) char(c byte) {
	if !w.full() {
		mem.Fill(w.buf[w.n:][:1], c)
	}
	w.n++
}

func (w *writer) text(s []byte) {
	if !w.full() {
		n := min(len(s), len(w.buf)-int(w.n))
		mem.CopyShared(w.buf[w.n:][:n], s[:n])
	}
	w.n += int64(len(s))
}

// pad writes c n times; nothing if n is negative.
func (w *writer) pad(c byte, n int64) {
	if n <= 0 {
		return
	}
	if !w.full() {
		mem.Fill(w.buf[w.n:min(w.n+n, int64(len(w.buf)))], c)
	}
	w.n += n
}

// padded writes s in a field of s's width.
func (w *writer) padded(s []byte, sp spec) {
	n := sp.width - int64(len(s))
	if !sp.left {
		w.pad(' ', n)
	}
	w.text(s)
	if sp.left {
		w.pad(' ', n)
	}
}

// end writes the final NUL, over the last byte if there is no room.
func (w *writer) end() {
	switch {
	case !w.full():
		mem.Fill(w.buf[w.n:][:1], 0)
	case len(w.buf) > 0:
		mem.Fill(w.buf[len(w.buf)-1:], 0)
	}
}

// number writes v by s's verb.
func (w *writer) number(v uint64, s spec) {
	base, upper := uint64(10), false
	switch s.verb {
	case 'x', 'p':
		base = 16
	case 'X':
		base, upper = 16, true
	}
	var sign byte
	if s.verb == 'd' || s.verb == 'i' {
		switch {
		case int64(v) < 0:
			sign, v = '-', -v
		case s.plus:
			sign = '+'
		case s.space:
			sign = ' '
		}
	}
	var tmp [20]byte
	digits := appendUint(tmp[:0], v, base)
	if upper {
		for i, c := range digits {
			if c >= 'a' {
				digits[i] = c - 0x20
			}
		}
	}
	pad := s.width - int64(len(digits))
	if sign != 0 {
		pad--
	}
	if !s.left && !s.zero {
		w.pad(' ', pad)
	}
	if sign != 0 {
		w.char(sign)
	}
	if !s.left && s.zero {
		w.pad('0', pad)
	}
	w.text(digits)
	if s.left {
		w.pad(' ', pad)
	}
}

// pointer writes a %p, whose letters begin rest, and returns what follows
// them. There are no symbols, and addresses are not hashed, as with
// no_hash_pointers on the kernel's command line.
func (w *writer) pointer(rest []byte, s spec, in *unpacker) []byte {
	var c byte
	if len(rest) > 0 {
		c = rest[0]
	}
	switch {
	case c == 's' || c == 'S':
		var tmp [20]byte
		w.padded(appendAddress(tmp[:0], in.uint64()), s)
	case c == 'x' || c == 'K' || !isAlpha(c) && !isDigit(c):
		if !s.hasWidth {
			s.width, s.zero = 16, true
		}
		w.number(in.uint64(), s)
	case !w.full(): // made by pack
		w.text(in.string())
	}
	for len(rest) > 0 && (isAlpha(rest[0]) || isDigit(rest[0])) {
		rest = rest[1:]
	}
	return rest
}
