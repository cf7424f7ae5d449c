package maps

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// perfEventArray is a BPF_MAP_TYPE_PERF_EVENT_ARRAY: for each CPU a buffer of
// events, once a reader has opened it. Programs write to it with
// perf_event_output.
type perfEventArray struct {
	fdArray
	rings  []atomic.Pointer[perfRing]
	closed chan struct{}
	close  sync.Once
}

func newPerfEventArray(spec *Spec) (Map, error) {
	if err := checkMemory(spec, uint64(spec.MaxEntries), 8); err != nil {
		return nil, err
	}
	m := &perfEventArray{
		rings:  make([]atomic.Pointer[perfRing], spec.MaxEntries),
		closed: make(chan struct{}),
	}
	m.how = "a buffer is put in by NewPerfReader"
	m.empty = func(i uint32) bool { return m.rings[i].Swap(nil) != nil }
	m.init(spec)
	return m, nil
}

// Bytes counts the places, and the buffers of readers.
func (m *perfEventArray) Bytes() int64 {
	n := int64(len(m.rings)) * 8
	for i := range m.rings {
		if r := m.rings[i].Load(); r != nil {
			n += int64(len(r.buf))
		}
	}
	return n
}

// The index that stands for the CPU of the run (BPF_F_CURRENT_CPU, which is
// also BPF_F_INDEX_MASK).
const currentCPU = 1<<32 - 1

// Output is __bpf_perf_event_output (kernel/trace/bpf_trace.c).
func (m *perfEventArray) Output(cpu int, index uint32, data, more []byte) error {
	if index == currentCPU {
		index = uint32(cpu)
	}
	if index >= m.spec.MaxEntries {
		return errno.E2BIG
	}
	r := m.rings[index].Load()
	switch {
	case r == nil:
		return errno.ENOENT
	case int(index) != cpu:
		return errno.EOPNOTSUPP
	}
	return r.write(data, more)
}

// Close also ends every reader.
func (m *perfEventArray) Close() error {
	m.close.Do(func() { close(m.closed) })
	return m.core.Close()
}

// checkPerfEventArray is fd_array_map_alloc_check for this type, which alone
// may have PreserveElems.
func checkPerfEventArray(s *Spec) error {
	plain := *s
	plain.Flags &^= PreserveElems
	return checkFDArray(&plain)
}

// A perfRing is the buffer of one CPU:
//
//	record   size, 4 bytes; lost before it, 4 bytes; data; padding to 8 bytes
//
// Records lie around the end of the buffer.
type perfRing struct {
	wake chan<- struct{}

	mu   sync.Mutex
	buf  []byte // a power of two long
	head uint64 // bytes ever written
	tail uint64 // bytes ever read
	lost uint32 // since the last record
}

const perfHeader = 8

// maxPerfRecord is the largest sample of the kernel's: its size has 16 bits.
const maxPerfRecord = 1<<16 - 1

// write stores one record, or, if there is no room, counts it as lost and
// returns ENOSPC.
func (r *perfRing) write(data, more []byte) error {
	n := len(data) + len(more)
	if n > maxPerfRecord {
		return errno.E2BIG
	}
	size := uint64(roundUp8(perfHeader + n))
	r.mu.Lock()
	if r.head-r.tail+size > uint64(len(r.buf)) {
		r.lost++
		r.mu.Unlock()
		return errno.ENOSPC
	}
	var h [perfHeader]byte
	binary.NativeEndian.PutUint32(h[:], uint32(n))
	binary.NativeEndian.PutUint32(h[4:], r.lost)
	r.lost = 0
	r.put(r.head, h[:])
	r.put(r.head+perfHeader, data)
	r.put(r.head+perfHeader+uint64(len(data)), more)
	r.head += size
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default: // the reader has one to come for already
	}
	return nil
}

// put copies b to offset at, around the end.
func (r *perfRing) put(at uint64, b []byte) {
	i := int(at) & (len(r.buf) - 1)
	n := min(len(b), len(r.buf)-i)
	mem.CopyShared(r.buf[i:i+n], b[:n])
	mem.CopyShared(r.buf[:len(b)-n], b[n:])
}

// get is put the other way.
func (r *perfRing) get(b []byte, at uint64) {
	i := int(at) & (len(r.buf) - 1)
	n := copy(b, r.buf[i:])
	copy(b[n:], r.buf)
}

// read moves the next record to rec. ok is false if there is none; then
// rec.Lost counts what was lost since the last one.
func (r *perfRing) read(rec *PerfRecord) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.head == r.tail {
		rec.Lost, r.lost = uint64(r.lost), 0
		return false
	}
	var h [perfHeader]byte
	r.get(h[:], r.tail)
	n := int(binary.NativeEndian.Uint32(h[:]))
	rec.Lost = uint64(binary.NativeEndian.Uint32(h[4:]))
	if cap(rec.Data) < n {
		rec.Data = make([]byte, n)
	}
	rec.Data = rec.Data[:n]
	r.get(rec.Data, r.tail+perfHeader)
	r.tail += uint64(roundUp8(perfHeader + n))
	return true
}
