package helpers

import (
	"bytes"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// Strtol is strtol(buf, size, flags, *res): parses a signed number after
// white space; returns the number of bytes read.
var Strtol = &Func{
	Name:  "strtol",
	Proto: strtoxProto,
	Impl: func(env Env, addr, size, flags, res, _ uint64) uint64 {
		buf, out := strtoxArgs(env, addr, size, res)
		if out == nil {
			return errno.EFAULT.R0()
		}
		n, v, neg, err := parseInt(buf, flags)
		switch {
		case err != 0:
			return err.R0()
		case neg && int64(-v) > 0 || !neg && int64(v) < 0:
			return errno.ERANGE.R0()
		case neg:
			v = -v
		}
		mem.Store(out, v)
		return uint64(n)
	},
}

// Strtoul is strtoul(buf, size, flags, *res): parses an unsigned number after
// white space; returns the number of bytes read.
var Strtoul = &Func{
	Name:  "strtoul",
	Proto: strtoxProto,
	Impl: func(env Env, addr, size, flags, res, _ uint64) uint64 {
		buf, out := strtoxArgs(env, addr, size, res)
		if out == nil {
			return errno.EFAULT.R0()
		}
		n, v, neg, err := parseInt(buf, flags)
		switch {
		case err != 0:
			return err.R0()
		case neg:
			return errno.EINVAL.R0()
		}
		mem.Store(out, v)
		return uint64(n)
	},
}

var strtoxProto = Proto{
	Args: [5]Arg{
		{Kind: ArgMem}, {Kind: ArgSize}, {Kind: ArgAnything},
		{Kind: ArgMem, Size: 8, Aligned: true, Write: true, Uninit: true},
	},
	Ret: Ret{Min: -maxErrno, Max: MaxMem - 1},
}

// strtoxArgs returns the text and the place of the result, which is zeroed; a
// nil out if either is not memory.
func strtoxArgs(env Env, addr, size, res uint64) (buf, out []byte) {
	if out = env.Bytes(res, 8); out == nil {
		return nil, nil
	}
	if buf = Mem(env, addr, size); buf == nil {
		return nil, nil
	}
	mem.ClearShared(out)
	return buf, out
}

// parseInt reads a number as kernel/bpf/helpers.c does: white space, a minus
// sign, a prefix that base 16 allows and base 0 (flags) asks for, and digits,
// of which only the first 63 characters count. n is how much of buf it read.
func parseInt(buf []byte, flags uint64) (n int, v uint64, neg bool, err errno.Errno) {
	const baseMask = 0x1f
	const window = 63
	base := flags & baseMask
	if len(buf) == 0 || flags&^baseMask != 0 || base != 0 && base != 8 && base != 10 && base != 16 {
		return 0, 0, false, errno.EINVAL
	}
	for n < len(buf) && isSpace(buf[n]) {
		n++
	}
	if n < len(buf) && buf[n] == '-' {
		neg = true
		n++
	}
	s := buf[n:]
	if len(s) == 0 {
		return 0, 0, false, errno.EINVAL
	}
	s = s[:min(len(s), window)]
	hexPrefix := len(s) > 1 && s[0] == '0' && s[1]|0x20 == 'x'
	if base == 0 {
		switch {
		case hexPrefix && len(s) > 2 && digit(s[2]) < 16:
			base = 16
		case s[0] == '0':
			base = 8
		default:
			base = 10
		}
	}
	i := 0
	if base == 16 && hexPrefix {
		i = 2
	}
	start, overflow := i, false
	for ; i < len(s); i++ {
		d := digit(s[i])
		if d >= base {
			break
		}
		if v>>60 != 0 && v > (^uint64(0)-d)/base {
			overflow = true
		}
		v = v*base + d
	}
	switch {
	case overflow:
		return 0, 0, false, errno.ERANGE
	case i == start:
		return 0, 0, false, errno.EINVAL
	}
	return n + i, v, neg, 0
}

// digit returns the value of a hexadecimal digit, or 16.
func digit(c byte) uint64 {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return uint64(c|0x20-'a') + 10
	}
	return 16
}

// isSpace is the kernel's isspace, for which 0xa0 is a space (lib/ctype.c).
func isSpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r' || c == 0xa0
}

// Strncmp is strncmp(s1, s1_size, s2): compares up to s1_size bytes, up to the
// first NUL: -1, 0 or 1.
var Strncmp = &Func{
	Name: "strncmp",
	Proto: Proto{
		Args: [5]Arg{{Kind: ArgMem}, {Kind: ArgSize}, {Kind: ArgConstStr}},
		Ret:  Ret{Min: -1, Max: 1},
	},
	Impl: func(env Env, s1, size, s2, _, _ uint64) uint64 {
		a := Mem(env, s1, size)
		b, _ := cString(env, s2, len(a))
		for i, c := range a {
			var d byte
			if i < len(b) {
				d = b[i]
			}
			switch {
			case c < d:
				return ^uint64(0)
			case c > d:
				return 1
			case c == 0:
				return 0
			}
		}
		return 0
	},
}

// cString returns the bytes at addr up to the first NUL, or the first max if
// there is none among them. ok is false if it meets the end of the memory
// before either.
func cString(env Env, addr uint64, max int) (s []byte, ok bool) {
	const guess = 64
	s = env.Bytes(addr, min(max, guess))
	if s != nil {
		if i := bytes.IndexByte(s, 0); i >= 0 {
			return s[:i], true
		}
		if len(s) == max {
			return s, true
		}
	}
	// The region ends within max bytes, or the string is long: find how many
	// bytes there are. Memory of one region has no holes.
	lo, hi := len(s), max+1 // lo bytes are there, hi are not
	for lo+1 < hi {
		mid := int(uint(lo+hi) / 2)
		if b := env.Bytes(addr, mid); b != nil {
			lo, s = mid, b
		} else {
			hi = mid
		}
	}
	if i := bytes.IndexByte(s, 0); i >= 0 {
		return s[:i], true
	}
	return s, len(s) == max
}
