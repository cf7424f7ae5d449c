package maps

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// Flags of a commit (BPF_RB_*, include/uapi/linux/bpf.h).
const (
	RingBufNoWakeup    = 1 << 0 // do not wake a reader that waits
	RingBufForceWakeup = 1 << 1 // wake it, even if it is behind
)

// What Query can be asked for (BPF_RB_*).
const (
	RingBufAvailData = 0 // bytes between the reader and the producers
	RingBufRingSize  = 1 // size of the buffer
	RingBufConsPos   = 2 // bytes read since the start
	RingBufProdPos   = 3 // bytes reserved since the start
)

// ringBuf is a BPF_MAP_TYPE_RINGBUF: records from programs to Go code, in the
// order in which they were reserved (kernel, Documentation/bpf/ringbuf.rst).
//
//	position   0 ……… cons ……………………………………………………… prod ………     never wrap
//	            read │ records: whole, dropped, or open │
//
//	record     header, one word: length | busy | dropped;  data, to a multiple of 8
//
// A record at position p is at offset p mod size of the memory, and contiguous:
// one that begins near the end of the ring goes on behind it. The memory is
// therefore twice the ring, and the upper half is used as far as the longest
// such record reaches. Two records that do not overlap in positions do not
// overlap there either, since the distance from the reader to the producers is
// less than size and a record is found by where it begins.
type ringBuf struct {
	core
	words []uint64
	bytes []byte // the same memory
	mask  uint64 // size - 1

	_    [64]byte
	cons atomic.Uint64
	_    [64]byte
	prod atomic.Uint64

	mu sync.Mutex // held to reserve

	_       [64]byte
	wake    chan struct{} // holds a token when a reader should look
	reading sync.Mutex    // held to take a record
	waiting atomic.Int32  // readers that wait for a token
	closed  chan struct{}
	close   sync.Once
}

// Bits of a header (include/uapi/linux/bpf.h, BPF_RINGBUF_*_BIT).
const (
	recordBusy    = 1 << 31
	recordDropped = 1 << 30
	recordHeader  = 8 // bytes
)

// maxRecord is RINGBUF_MAX_RECORD_SZ (kernel/bpf/ringbuf.c).
const maxRecord = math.MaxUint32 / 4

func newRingBuf(spec *Spec) (Map, error) {
	if err := checkMemory(spec, 2, uint64(spec.MaxEntries)); err != nil {
		return nil, err
	}
	m := &ringBuf{
		mask:   uint64(spec.MaxEntries) - 1,
		wake:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	m.init(spec)
	m.words, m.bytes = mem.Alloc(2 * int(spec.MaxEntries) / 8)
	return m, nil
}

func (m *ringBuf) Bytes() int64 { return int64(len(m.bytes)) }

// extent returns how far a record with n bytes of data reaches.
func extent(n uint64) uint64 { return (n + recordHeader + 7) &^ 7 }

// header returns the header of the record at position pos.
func (m *ringBuf) header(pos uint64) *uint64 { return &m.words[(pos&m.mask)/8] }

// Reserve is __bpf_ringbuf_reserve. The kernel also compares the new end with
// the oldest open reservation, since user space may move its reader past one;
// here no reader does.
func (m *ringBuf) Reserve(n int) []byte {
	if n < 0 || n > maxRecord {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	prod := m.prod.Load()
	end := prod + extent(uint64(n))
	if end-m.cons.Load() > m.mask {
		return nil
	}
	atomic.StoreUint64(m.header(prod), uint64(n)|recordBusy)
	m.prod.Store(end)
	at := int(prod&m.mask) + recordHeader
	return m.bytes[at : at+n : at+max(n, 1)] // without capacity it would not point here
}

// Commit panics if b is not an open reservation of m: that its header would be
// read from memory that programs write is what an attacker would gain.
func (m *ringBuf) Commit(b []byte, discard bool, flags uint64) {
	at, ok := mem.Index(m.bytes, b)
	if !ok || at < recordHeader || at%8 != 0 {
		panic("BUG: ring buffer: commit of memory that was not reserved")
	}
	h := &m.words[(at-recordHeader)/8]
	word := atomic.LoadUint64(h)
	if word != uint64(len(b))|recordBusy {
		panic("BUG: ring buffer: commit of memory that is not reserved")
	}
	word &^= recordBusy
	if discard {
		word |= recordDropped
	}
	atomic.StoreUint64(h, word)
	// The header is set before cons is read; a reader sets cons before it
	// reads the header. So either the reader sees the record, or this sees
	// the reader at it, and wakes it.
	behind := m.cons.Load()&m.mask != uint64(at-recordHeader)
	if flags&RingBufForceWakeup != 0 || !behind && flags&RingBufNoWakeup == 0 {
		m.wakeOne()
	}
}

// wakeOne leaves a token, if there is none yet, for a reader that waits or for
// the next that would.
func (m *ringBuf) wakeOne() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *ringBuf) Discard(b []byte) { m.Commit(b, true, 0) }

// Output is bpf_ringbuf_output. EINVAL: unknown flags.
func (m *ringBuf) Output(data []byte, flags uint64) error {
	if flags&^(RingBufNoWakeup|RingBufForceWakeup) != 0 {
		return errno.EINVAL
	}
	b := m.Reserve(len(data))
	if b == nil {
		return errno.EAGAIN
	}
	mem.CopyShared(b, data)
	m.Commit(b, false, flags)
	return nil
}

func (m *ringBuf) Query(flags uint64) uint64 {
	switch flags {
	case RingBufAvailData:
		cons := m.cons.Load() // first: it does not pass a prod read later
		return m.prod.Load() - cons
	case RingBufRingSize:
		return m.mask + 1
	case RingBufConsPos:
		return m.cons.Load()
	case RingBufProdPos:
		return m.prod.Load()
	}
	return 0
}

// Close ends the use by Go code; readers return os.ErrClosed.
func (m *ringBuf) Close() error {
	m.close.Do(func() { close(m.closed) })
	return m.core.Close()
}

// The kernel's ring buffers have no entries to look up: ENOTSUPP
// (ringbuf_map_ops, kernel/bpf/ringbuf.c).

func (m *ringBuf) none(may error) error {
	if may != nil {
		return may
	}
	return errno.ENOTSUPP
}

func (m *ringBuf) LookupElem(int, []byte) []byte                     { return nil }
func (m *ringBuf) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.ENOTSUPP }
func (m *ringBuf) DeleteElem(int, []byte) error                      { return errno.ENOTSUPP }

func (m *ringBuf) Lookup(_, _ []byte) error                { return m.none(m.mayRead()) }
func (m *ringBuf) Update(_, _ []byte, _ UpdateFlags) error { return m.none(m.mayWrite()) }
func (m *ringBuf) Delete([]byte) error                     { return m.none(m.mayWrite()) }
func (m *ringBuf) NextKey(_, _ []byte) error               { return m.none(m.mayRead()) }

func (m *ringBuf) batch() batchOp { return 0 }
