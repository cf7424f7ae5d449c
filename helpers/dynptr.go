package helpers

import "github.com/skepvm/skep/errno"

// Dynptrs (kernel, struct bpf_dynptr_kern): memory whose size is known when the
// program runs. On the program's stack one is 16 bytes that mean nothing: what
// it stands for is kept by the run, under their address, so that a program
// without a proof gains nothing by writing there.

const dynptrSize = 16

// maxDynptr is DYNPTR_MAX_SIZE (kernel/bpf/helpers.c).
const maxDynptr = 1<<24 - 1

// Dynptrs are the dynptrs of one run. There are never more than addresses on
// its stack, and one for each callback that has one. What iterators over bits need
// beyond their place on the stack is here, too. The zero value has none.
type Dynptrs struct {
	list  []dynptr
	lent  uint64
	words []words
}

// A dynptr is one of them.
type dynptr struct {
	at       uint64 // where it lies
	addr     uint64 // of the memory; it is looked up at each use
	off      uint32
	size     uint32
	readOnly bool
	ringBuf  bool       // the memory is a reservation
	packet   PacketView // nil: it is memory
}

// A PacketView is how dynptrs reach the packet of one kind of context. Results
// are those of the kernel's helper for it; off has been checked against the
// dynptr's size alone.
type PacketView interface {
	// Size returns how many bytes there are.
	Size(env Env) int
	// Load copies the bytes at off to dst.
	Load(env Env, off uint32, dst []byte) uint64
	// Store copies src to the packet.
	Store(env Env, off uint32, src []byte, flags uint64) uint64
	// Slice returns the n bytes at off, aliased, or nil.
	Slice(env Env, off, n uint32) []byte
}

// Reset forgets all.
func (d *Dynptrs) Reset() {
	clear(d.list)
	d.list = d.list[:0]
	clear(d.words)
	d.words = d.words[:0]
}

func (d *Dynptrs) find(at uint64) *dynptr {
	for i := len(d.list) - 1; i >= 0; i-- { // the last is the likeliest
		if d.list[i].at == at {
			return &d.list[i]
		}
	}
	return nil
}

// set puts p where it lies, in place of what was there.
func (d *Dynptrs) set(p dynptr) {
	if old := d.find(p.at); old != nil {
		*old = p
		return
	}
	d.list = append(d.list, p)
}

// drop makes what lies at at a dynptr of nothing.
func (d *Dynptrs) drop(at uint64) {
	for i := range d.list {
		if d.list[i].at == at {
			last := len(d.list) - 1
			d.list[i] = d.list[last]
			d.list[last] = dynptr{}
			d.list = d.list[:last]
			return
		}
	}
}

// lend returns what stands for a dynptr of memory that a callback gets. Like the
// handle of a map it is a number that no address can equal; the caller drops it.
func (d *Dynptrs) lend(addr uint64, size uint32) (at uint64) {
	d.lent++
	at = dynptrHandle | d.lent&(1<<32-1)
	d.list = append(d.list, dynptr{at: at, addr: addr, size: size})
	return at
}

// dynptrHandle is the upper half of such numbers.
const dynptrHandle = 0xeb9f_0003_0000_0000

// fits reports whether n bytes at off are inside p.
func (p *dynptr) fits(off, n uint32) bool { return n <= p.size && off <= p.size-n }

// bytes returns the n bytes at off, which fit; nil if the memory is the run's no
// more.
func (p *dynptr) bytes(env Env, mem MemFunc, off, n uint32) []byte {
	return mem(env, p.addr+uint64(p.off)+uint64(off), uint64(n))
}

// load copies the bytes at off, which fit, to dst.
func (p *dynptr) load(env Env, mem MemFunc, off uint32, dst []byte) uint64 {
	if p.packet != nil {
		return p.packet.Load(env, p.off+off, dst)
	}
	b := p.bytes(env, mem, off, uint32(len(dst)))
	if b == nil {
		return errno.EINVAL.R0()
	}
	CopyMem(dst, b)
	return 0
}

// store copies src to off, where it fits.
func (p *dynptr) store(env Env, mem MemFunc, off uint32, src []byte, flags uint64) uint64 {
	if p.packet != nil {
		return p.packet.Store(env, p.off+off, src, flags)
	}
	if flags != 0 {
		return errno.EINVAL.R0()
	}
	b := p.bytes(env, mem, off, uint32(len(src)))
	if b == nil {
		return errno.EINVAL.R0()
	}
	CopyMem(b, src)
	return 0
}

// slice returns the n bytes at off, aliased, or nil: there is no dynptr (p is
// nil), it is too short, or it is not to be written.
func (p *dynptr) slice(env Env, mem MemFunc, off, n uint32, write bool) []byte {
	switch {
	case p == nil || write && p.readOnly || !p.fits(off, n):
		return nil
	case p.packet != nil:
		return p.packet.Slice(env, p.off+off, n)
	}
	return p.bytes(env, mem, off, n)
}

// dynptrArg is an argument that is a dynptr of the given kind, or of any.
func dynptrArg(kind string) Arg { return Arg{Kind: ArgDynptr, Object: kind} }

func newDynptrArg(kind string) Arg {
	return Arg{Kind: ArgDynptr, Object: kind, Write: true, Uninit: true}
}

// DynptrFromMem is dynptr_from_mem(data, size, flags, ptr): a dynptr of a map
// value's bytes.
var DynptrFromMem = &Func{
	Name: "dynptr_from_mem",
	Proto: Proto{
		Args: [5]Arg{{Kind: ArgMem, Write: true, Uninit: true}, {Kind: ArgSizeOrZero}, {Kind: ArgAnything}, newDynptrArg("local")},
		Ret:  Ret{Min: -maxErrno},
	},
	Impl: func(env Env, data, size, flags, at, _ uint64) uint64 {
		all := env.Dynptrs()
		n := uint64(uint32(size))
		switch {
		case n > maxDynptr:
			all.drop(at)
			return errno.E2BIG.R0()
		case flags != 0:
			all.drop(at)
			return errno.EINVAL.R0()
		}
		all.set(dynptr{at: at, addr: data, size: uint32(n)})
		return 0
	},
}

// DynptrRead is dynptr_read(dst, len, src, offset, flags).
var DynptrRead = (&Func{
	Name: "dynptr_read",
	Proto: Proto{
		Args: [5]Arg{{Kind: ArgMem, Write: true, Uninit: true, Partial: true}, {Kind: ArgSizeOrZero}, dynptrArg("any"), {Kind: ArgAnything}, {Kind: ArgAnything}},
		Ret:  Ret{Min: -maxErrno},
	},
}).WithMem(func(mem MemFunc) Impl {
	return func(env Env, dst, size, at, off, flags uint64) uint64 {
		p := env.Dynptrs().find(at)
		if p == nil || flags != 0 {
			return errno.EINVAL.R0()
		}
		n, from := uint32(size), uint32(off)
		if !p.fits(from, n) {
			return errno.E2BIG.R0()
		}
		to := mem(env, dst, uint64(n))
		if to == nil {
			return errno.EFAULT.R0()
		}
		return p.load(env, mem, from, to)
	}
})

// DynptrWrite is dynptr_write(dst, offset, src, len, flags). To an skb's packet
// it is skb_store_bytes, flags included, and slices of the packet end.
var DynptrWrite = (&Func{
	Name: "dynptr_write",
	Proto: Proto{
		Args: [5]Arg{dynptrArg("any"), {Kind: ArgAnything}, {Kind: ArgMem}, {Kind: ArgSizeOrZero}, {Kind: ArgAnything}},
		Ret:  Ret{Min: -maxErrno},
	},
}).WithMem(func(mem MemFunc) Impl {
	return func(env Env, at, off, src, size, flags uint64) uint64 {
		p := env.Dynptrs().find(at)
		if p == nil || p.readOnly {
			return errno.EINVAL.R0()
		}
		n, to := uint32(size), uint32(off)
		if !p.fits(to, n) {
			return errno.E2BIG.R0()
		}
		from := mem(env, src, uint64(n))
		if from == nil {
			return errno.EFAULT.R0()
		}
		return p.store(env, mem, to, from, flags)
	}
})

// DynptrData is dynptr_data(ptr, offset, len): the address of len bytes, or 0;
// always 0 for a packet.
var DynptrData = (&Func{
	Name: "dynptr_data",
	Proto: Proto{
		Args: [5]Arg{dynptrArg("any"), {Kind: ArgAnything}, {Kind: ArgConstAllocSize}},
		Ret:  Ret{Kind: RetMem, Nullable: true},
	},
}).WithMem(func(mem MemFunc) Impl {
	return func(env Env, at, off, size, _, _ uint64) uint64 {
		p := env.Dynptrs().find(at)
		if p == nil || !p.fits(uint32(off), uint32(size)) || p.readOnly || p.packet != nil {
			return 0
		}
		return addrOf(p.bytes(env, mem, uint32(off), uint32(size)))
	}
})
