package oracle

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/internal/mem"
)

// A Ring is a ring buffer of the kernel's, from the side that takes records out
// (Documentation/bpf/ringbuf.rst): by memory alone, without system calls. Nobody
// else takes any meanwhile.
type Ring struct {
	cons, prod []byte
	end        uint64 // what is before is known to be reserved
}

// MapRing maps the memory of m, a ring buffer of size bytes.
func MapRing(m *Map, size int) (*Ring, error) {
	page := os.Getpagesize()
	cons, err := unix.Mmap(m.fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	prod, err := unix.Mmap(m.fd, int64(page), page+2*size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Munmap(cons)
		return nil, err
	}
	return &Ring{cons: cons, prod: prod}, nil
}

// Close gives the memory back.
func (r *Ring) Close() {
	_ = unix.Munmap(r.cons)
	_ = unix.Munmap(r.prod)
}

// Next appends the next record to to, if there is one. It passes over discarded ones.
func (r *Ring) Next(to []byte) (record []byte, ok bool) {
	const busy, discarded = 1 << 31, 1 << 30 // BPF_RINGBUF_BUSY_BIT, BPF_RINGBUF_DISCARD_BIT
	page := os.Getpagesize()
	size := uint64(len(r.prod)-page) / 2
	for {
		pos := *word(r.cons)
		if pos >= r.end {
			if r.end = atomic.LoadUint64(word(r.prod)); pos == r.end {
				return to, false
			}
		}
		at := r.prod[page+int(pos&(size-1)):]
		header := atomic.LoadUint32((*uint32)(unsafe.Pointer(unsafe.SliceData(at))))
		if header&busy != 0 {
			return to, false
		}
		n := header &^ (busy | discarded)
		if header&discarded == 0 {
			to = append(to, at[8:8+n]...)
		}
		mem.Publish(word(r.cons), pos+uint64(8+(n+7)&^7))
		if header&discarded == 0 {
			return to, true
		}
	}
}
