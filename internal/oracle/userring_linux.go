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

// Put appends a record whose header is header, and returns its position; it takes
// room for data.
func (r *UserRing) Put(header uint32, data []byte) (pos uint64) {
	page := os.Getpagesize()
	size := (len(r.prod) - page) / 2
	pos = atomic.LoadUint64(word(r.prod))
	copy(r.prod[page+int(pos)%size+8:], data)
	r.SetHeader(pos, header)
	atomic.StoreUint64(word(r.prod), pos+uint64(8+(len(data)+7)&^7))
	return pos
}

// SetHeader makes header the header of the record at position pos.
func (r *UserRing) SetHeader(pos uint64, header uint32) {
	page := os.Getpagesize()
	size := (len(r.prod) - page) / 2
	at := r.prod[page+int(pos)%size:]
	atomic.StoreUint32((*uint32)(unsafe.Pointer(unsafe.SliceData(at))), header)
}
