package helpers

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
)

// Formatting as trace_printk and snprintf of the kernel do it, in the kernel's
// two steps (kernel/bpf/helpers.c, bpf_bprintf_prepare; lib/vsprintf.c,
// bstr_printf): checking the format while packing the arguments, and
// rendering the packed arguments. The packed form is kept because it shows:
// its size is limited, and what follows an address that no longer fits into
// the output is read from the wrong place there.

// maxPacked is the size of the packed arguments (MAX_BPRINTF_BIN_ARGS).
const maxPacked = 512

// packed holds arguments in the order that the format names them.
type packed struct {
	buf [maxPacked]byte
	n   int
}

func (p *packed) room() int { return len(p.buf) - p.n }

// put32 and put64 append a number at a multiple of 4.
func (p *packed) put32(v uint64) bool {
	p.n = (p.n + 3) &^ 3
	if p.room() < 4 {
		return false
	}
	binary.NativeEndian.PutUint32(p.buf[p.n:], uint32(v))
	p.n += 4
	return true
}

func (p *packed) put64(v uint64) bool {
	p.n = (p.n + 3) &^ 3
	if p.room() < 8 {
		return false
	}
	binary.NativeEndian.PutUint64(p.buf[p.n:], v)
	p.n += 8
	return true
}

// putText appends text that was made for the purpose, cut to fit, with a NUL.
// As in the kernel the end moves by the whole length.
func (p *packed) putText(s []byte) {
	if r := p.room(); r > 0 {
		n := copy(p.buf[p.n:p.n+r-1], s)
		p.buf[p.n+n] = 0
	}
	p.n += len(s) + 1
}

// putString appends the string at addr and a NUL, cut to fit; the empty string
// if addr is not the address of one.
func (p *packed) putString(env Env, addr uint64) bool {
	room := p.room()
	if room <= 0 {
		return false
	}
	s, ok := cString(env, addr, room-1)
	if !ok {
		s = nil
	}
	p.n += copy(p.buf[p.n:], s)
	p.buf[p.n] = 0
	p.n++
	return true
}

// pack checks format, which has no NUL, and packs args into p, or counts them
// only if p is nil. The result is 0, EINVAL or ENOSPC.
func pack(env Env, p *packed, format []byte, args formatArgs) errno.Errno {
	at := func(i int) byte {
		if i < len(format) {
			return format[i]
		}
		return 0
	}
	next := 0 // argument
	for i := 0; i < len(format); i++ {
		c := format[i]
		if !isFormat(c) {
			return errno.EINVAL
		}
		if c != '%' {
			continue
		}
		if at(i+1) == '%' {
			i++
			continue
		}
		if next >= args.len() {
			return errno.EINVAL
		}
		i++
		for at(i) == '0' || at(i) == '+' || at(i) == '-' || at(i) == ' ' {
			i++
		}
		if '1' <= at(i) && at(i) <= '9' {
			for i++; isDigit(at(i)); i++ {
			}
		}
		arg := args.at(next)
		next++
		fits := true
		switch at(i) {
		case 'p':
			n, kind := pointerKind(at(i+1), at(i+2), at(i+3))
			i += n
			switch kind {
			case pointerPlain:
				fits = p.put64(arg)
			case pointerString:
				fits = p.putString(env, arg)
			case pointerSymbol:
				var tmp [20]byte
				p.putText(appendAddress(tmp[:0], arg))
			case pointerIP:
				size := 4
				if at(i) == '6' {
					size = 16
				}
				if p.room() < size {
					return errno.ENOSPC
				}
				var ip [16]byte
				copy(ip[:], env.Bytes(arg, size)) // zeros if it is not memory
				var tmp [64]byte
				p.putText(appendIP(tmp[:0], ip[:size], at(i-1) == 'I'))
			default:
				return errno.EINVAL
			}
		case 's':
			if c := at(i + 1); c != 0 && !isSpace(c) && !isPunct(c) {
				return errno.EINVAL
			}
			fits = p.putString(env, arg)
		case 'c':
			if fits = p.room() > 0; fits {
				p.buf[p.n] = byte(arg)
				p.n++
			}
		default:
			long := false
			for n := 0; n < 2 && at(i) == 'l'; n++ {
				long = true
				i++
			}
			switch at(i) {
			case 'i', 'd', 'u', 'x', 'X':
			default:
				return errno.EINVAL
			}
			if long {
				fits = p.put64(arg)
			} else {
				fits = p.put32(arg)
			}
		}
		if !fits {
			return errno.ENOSPC
		}
	}
	return 0
}

// What the letters after %p make of its argument.
type pointer uint8

const (
	pointerBad    pointer = iota
	pointerPlain          // %p %px %pK %ps %pS: the address, rendered later
	pointerString         // %pks %pus
	pointerSymbol         // %pB
	pointerIP             // %pi4 %pI4 %pi6 %pI6
)

// pointerKind reads the letters after %p; n is how many belong to it.
func pointerKind(a, b, c byte) (n int, k pointer) {
	switch {
	case a == 0 || isSpace(a) || isPunct(a):
		return 0, pointerPlain
	case (a == 'k' || a == 'u') && b == 's':
		if c != 0 && !isSpace(c) && !isPunct(c) {
			return 0, pointerBad
		}
		return 2, pointerString
	case a == 'K' || a == 'x' || a == 's' || a == 'S':
		return 1, pointerPlain
	case a == 'B':
		return 1, pointerSymbol
	case (a == 'i' || a == 'I') && (b == '4' || b == '6'):
		return 2, pointerIP
	}
	return 0, pointerBad
}

// appendAddress appends addr as the kernel prints one that has no symbol.
func appendAddress(dst []byte, addr uint64) []byte {
	dst = append(dst, "0x"...)
	return appendUint(dst, addr, 16)
}

const hexDigits = "0123456789abcdef"

// appendUint appends v in base 10 or 16.
func appendUint(dst []byte, v uint64, base uint64) []byte {
	var tmp [20]byte
	i := len(tmp)
	for {
		i--
		tmp[i] = hexDigits[v%base]
		if v /= base; v == 0 {
			return append(dst, tmp[i:]...)
		}
	}
}

// appendIP appends an IPv4 or IPv6 address. Plain is the form with separators,
// which for IPv6 keeps every zero (%pI6); otherwise (%pi4, %pi6) IPv4 numbers
// have leading zeros and IPv6 has no colons.
func appendIP(dst, ip []byte, plain bool) []byte {
	for i, b := range ip {
		switch {
		case len(ip) == 4:
			if i > 0 {
				dst = append(dst, '.')
			}
			if !plain && b < 100 {
				dst = append(dst, '0')
			}
			if !plain && b < 10 {
				dst = append(dst, '0')
			}
			dst = appendUint(dst, uint64(b), 10)
		default:
			if plain && i > 0 && i%2 == 0 {
				dst = append(dst, ':')
			}
			dst = append(dst, hexDigits[b>>4], hexDigits[b&15])
		}
	}
	return dst
}

// Character classes of the kernel (lib/ctype.c), which are those of Latin-1.
// Formats may hold any byte from 0x80, so that UTF-8 text passes.

func isFormat(c byte) bool { return c >= ' ' && c != 0x7f || '\t' <= c && c <= '\r' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

func isAlpha(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || c >= 0xc0 && c != 0xd7 && c != 0xf7
}

func isPunct(c byte) bool {
	return c > ' ' && c < 0x7f && !isDigit(c) && !isAlpha(c) || c > 0xa0 && c < 0xc0 || c == 0xd7 || c == 0xf7
}

// formatArgs are arguments of 64 bits each, as memory or as numbers.
type formatArgs struct {
	mem  []byte
	regs [3]uint64
	n    int // of regs; used if mem is nil
}

func (a *formatArgs) len() int {
	if a.mem != nil {
		return len(a.mem) / 8
	}
	return a.n
}

func (a *formatArgs) at(i int) uint64 {
	if a.mem != nil {
		return binary.NativeEndian.Uint64(a.mem[8*i:])
	}
	return a.regs[i]
}
