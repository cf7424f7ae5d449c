package oracle

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A UserRing is a user ring buffer of the kernel's, from the side that puts
// records in (Documentation/bpf/ringbuf.rst, kernel/bpf/ringbuf.c).
type UserRing struct{ cons, prod []byte }

// MapUserRing maps the memory of m, a user ring buffer of size bytes.
func MapUserRing(m *Map, size int) (*UserRing, error) {
	page := os.Getpagesize()
	cons, err := unix.Mmap(m.fd, 0, page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	prod, err := unix.Mmap(m.fd, int64(page), page+2*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &UserRing{cons, prod}, nil
}

// Close gives the memory back.
func (r *UserRing) Close() {
	_ = unix.Munmap(r.cons)
	_ = unix.Munmap(r.prod)
}

func word(b []byte) *uint64 { return (*uint64)(unsafe.Pointer(unsafe.SliceData(b))) }

// Taken returns how many bytes programs have taken.
func (r *UserRing) Taken() uint64 { return atomic.LoadUint64(word(r.cons)) }

// Put appends a record whose header is header; it takes room for data.
func (r *UserRing) Put(header uint32, data []byte) {
	page := os.Getpagesize()
	size := (len(r.prod) - page) / 2
	pos := atomic.LoadUint64(word(r.prod))
	at := r.prod[page+int(pos)%size:]
	copy(at[8:], data)
	atomic.StoreUint32((*uint32)(unsafe.Pointer(unsafe.SliceData(at))), header)
	atomic.StoreUint64(word(r.prod), pos+uint64(8+(len(data)+7)&^7))
}
