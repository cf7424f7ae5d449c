package linux

import (
	"bytes"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// Helpers that read memory at any address (kernel/trace/bpf_trace.c, mm/maccess.c).
// What cannot be read is EFAULT and leaves zeros. Addresses that no kernel memory
// can have are ERANGE to reads of it, as on x86-64.

// userEnd is where user space ends on x86-64 with four levels of page tables, and
// kernelStart where the kernel's begins; between them no address is canonical.
const (
	userEnd     = 1<<47 - 4096
	kernelStart = 1<<64 - 1<<47
)

// A reader reads memory of one space for one run.
type reader struct {
	env   helpers.Env
	space Space
}

// read fills b from addr, whole.
func (r reader) read(b []byte, addr uint64) errno.Errno {
	if r.space == KernelSpace {
		if own := r.env.Bytes(addr, max(len(b), 1)); own != nil {
			helpers.CopyMem(b, own[:len(b)])
			return 0
		}
		if addr < kernelStart {
			return errno.ERANGE
		}
	}
	if r.space == UserSpace && (addr > userEnd || uint64(len(b)) > userEnd-addr) {
		return errno.EFAULT
	}
	if len(b) == 0 {
		return 0
	}
	if fn := host(r.env).Memory.Read; fn == nil || !fn(r.env, r.space, addr, b) {
		return errno.EFAULT
	}
	return 0
}

// readString copies to b from addr up to a NUL, which is there even if it had to
// cut, and returns how many bytes that are. What follows in b stays as it is.
func (r reader) readString(b []byte, addr uint64) (n int, err errno.Errno) {
	const page = 4096
	var piece []byte // what the host gives, which is more than goes to b
	for n < len(b) {
		size := min(len(b)-n, 64, int(page-addr%page))
		var from []byte
		if r.space == KernelSpace {
			if from = r.env.Bytes(addr, size); from == nil {
				from = r.env.Bytes(addr, 1) // memory of the program ends where it likes
			}
		}
		if from == nil {
			if piece == nil {
				piece = make([]byte, 64)
			}
			from = piece[:size]
			if err := r.read(from, addr); err != 0 {
				from = piece[:1]
				if err := r.read(from, addr); err != 0 {
					return 0, err
				}
			}
		}
		if i := bytes.IndexByte(from, 0); i >= 0 {
			helpers.CopyMem(b[n:n+i+1], from[:i+1])
			return n + i + 1, 0
		}
		helpers.CopyMem(b[n:n+len(from)], from)
		n += len(from)
		addr += uint64(len(from))
	}
	if n > 0 {
		helpers.ClearMem(b[n-1 : n])
	}
	return n, 0
}

// probeRead returns the body of a read from the space that addresses are in.
func probeRead(space func(env helpers.Env, addr uint64) Space) helpers.Impl {
	return func(env helpers.Env, to, size, from, _, _ uint64) uint64 {
		dst := helpers.Mem(env, to, size)
		if err := (reader{env, space(env, from)}).read(dst, from); err != 0 {
			helpers.ClearMem(dst)
			return err.R0()
		}
		return 0
	}
}

// probeReadString is probeRead of a string.
func probeReadString(space func(env helpers.Env, addr uint64) Space) helpers.Impl {
	return func(env helpers.Env, to, size, from, _, _ uint64) uint64 {
		dst := helpers.Mem(env, to, size)
		n, err := (reader{env, space(env, from)}).readString(dst, from)
		if err != 0 {
			helpers.ClearMem(dst)
			return err.R0()
		}
		return uint64(n)
	}
}

// mixedSpace is that of the first helpers of the kind: an address below the
// kernel's is the user's, except for what is memory of the program here.
func mixedSpace(env helpers.Env, addr uint64) Space {
	if addr < userEnd && env.Bytes(addr, 1) == nil {
		return UserSpace
	}
	return KernelSpace
}

func userSpace(helpers.Env, uint64) Space   { return UserSpace }
func kernelSpace(helpers.Env, uint64) Space { return KernelSpace }

// probeWriteUser is probe_write_user(dst, src, size).
func probeWriteUser(env helpers.Env, to, from, size, _, _ uint64) uint64 {
	if to >= userEnd || size > userEnd-to || !host(env).Memory.Write(env, to, helpers.Mem(env, from, size)) {
		return errno.EFAULT.R0()
	}
	return 0
}

// kallsymsLookupName is kallsyms_lookup_name(name, size, flags, *address).
func kallsymsLookupName(env helpers.Env, name, size, flags, to, _ uint64) uint64 {
	s := helpers.Mem(env, name, size)
	if flags != 0 || len(s) <= 1 || s[len(s)-1] != 0 {
		return errno.EINVAL.R0()
	}
	s = s[:bytes.IndexByte(s, 0)]
	addr := host(env).Memory.Symbol(string(s))
	store64(env.Bytes(to, 8), addr)
	if addr == 0 {
		return errno.ENOENT.R0()
	}
	return 0
}
