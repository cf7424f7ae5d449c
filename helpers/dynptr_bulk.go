package helpers

import "github.com/skepvm/skep/errno"

// Kfuncs that move or fill what dynptrs stand for. Memory that is in one piece is
// written in place; otherwise the first error ends it.

// DynptrCopy is bpf_dynptr_copy(dst, dst_offset, src, src_offset, size). The two
// may overlap.
var DynptrCopy = &Func{
	Name: "bpf_dynptr_copy",
	Proto: Proto{
		Args: [5]Arg{dynptrArg("any"), {Kind: ArgAnything}, dynptrArg("any"), {Kind: ArgAnything}, {Kind: ArgAnything}},
		Ret:  IntRet,
	},
	Impl: func(env Env, to, toOff, from, fromOff, size uint64) uint64 {
		all := env.Dynptrs()
		dst, src := all.find(to), all.find(from)
		d, s, n := uint32(toOff), uint32(fromOff), uint32(size)
		target, source := dst.slice(env, Mem, d, n, true), src.slice(env, Mem, s, n, false)
		switch {
		case target != nil && source != nil:
			move(env, target, source)
			return 0
		case source != nil:
			return uint64(uint32(dst.write(env, d, source)))
		case target != nil:
			return uint64(uint32(src.read(env, s, target)))
		case !dst.holds(d, n) || !src.holds(s, n):
			return Int(errno.E2BIG)
		}
		return inPieces(n, func(off uint32, b []byte) uint64 {
			if r := src.read(env, s+off, b); r != 0 {
				return r
			}
			return dst.write(env, d+off, b)
		})
	},
}

// DynptrMemset is bpf_dynptr_memset(ptr, offset, size, value).
var DynptrMemset = &Func{
	Name: "bpf_dynptr_memset",
	Proto: Proto{
		Args: [5]Arg{dynptrArg("any"), {Kind: ArgAnything}, {Kind: ArgAnything}, {Kind: ArgAnything}},
		Ret:  IntRet,
	},
	Impl: func(env Env, at, offset, size, value, _ uint64) uint64 {
		p := env.Dynptrs().find(at)
		off, n := uint32(offset), uint32(size)
		target := p.slice(env, Mem, off, n, true)
		switch {
		case target != nil:
		case p != nil && p.readOnly:
			return Int(errno.EINVAL)
		case !p.holds(off, n):
			return Int(errno.E2BIG)
		}
		return inPieces(n, func(at uint32, b []byte) uint64 {
			for i := range b {
				b[i] = byte(value)
			}
			if target != nil {
				CopyMem(target[at:int(at)+len(b)], b)
				return 0
			}
			return p.write(env, off+at, b)
		})
	},
}

// inPieces calls f for each piece of n bytes with room for its bytes, until it
// fails.
func inPieces(n uint32, f func(off uint32, b []byte) uint64) uint64 {
	var buf [256]byte
	for off := uint32(0); off < n; off += uint32(len(buf)) {
		if r := f(off, buf[:min(uint32(len(buf)), n-off)]); r != 0 {
			return uint64(uint32(r))
		}
	}
	return 0
}

// holds is fits, of a dynptr of nothing, too.
func (p *dynptr) holds(off, n uint32) bool {
	if p == nil {
		p = &dynptr{}
	}
	return p.fits(off, n)
}

// read is dynptr_read, write is dynptr_write, without flags.
func (p *dynptr) read(env Env, off uint32, dst []byte) uint64 {
	switch {
	case p == nil:
		return errno.EINVAL.R0()
	case !p.fits(off, uint32(len(dst))):
		return errno.E2BIG.R0()
	}
	return p.load(env, Mem, off, dst)
}

func (p *dynptr) write(env Env, off uint32, src []byte) uint64 {
	switch {
	case p == nil || p.readOnly:
		return errno.EINVAL.R0()
	case !p.fits(off, uint32(len(src))):
		return errno.E2BIG.R0()
	}
	return p.store(env, Mem, off, src, 0)
}
