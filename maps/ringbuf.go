package maps

import (
	"encoding/binary"
	"math"
	"runtime"
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
//	record     header, one word: length | whole | dropped;  data, to a multiple of 8
//
// A record at position p is at offset p mod size of the memory, and contiguous:
// one that begins near the end of the ring goes on behind it. The memory is
// therefore twice the ring, and the upper half is used as far as the longest
// such record reaches. Two records that do not overlap in positions do not
// overlap there either, since the distance from the reader to the producers is
// less than size and a record is found by where it begins.
//
// A reader must not take for a header what an earlier record left in its place. So a
// producer takes prod first, by a bit of it, then writes the header of an open record,
// and only then moves prod on, which gives it back. Between the one and the other it
// waits for nothing; others wait for it in Go code, where they can be stopped. Readers
// write to no record.
//
// Who writes cons takes its cache line from those who read it, and so with prod. So
// producers in machine code go by RingSeen as long as that leaves room, and readers
// by top as long as there is something before it. What only readers use lies beside
// cons.
type ringBuf struct {
	core
	shared []uint64 // what machine code reads and writes, too: cons, prod, …
	base   uint64   // its address
	words  []uint64
	bytes  []byte // the same memory
	mask   uint64 // size - 1

	wake   chan struct{} // holds a token when a reader should look
	top    uint64        // prod, or what it was: readers ask for prod when they are there
	closed chan struct{}
	close  sync.Once
}

// Places in a ring buffer's memory, by word, whose address is Layout.Base. All
// positions are in bytes.
const (
	RingCons    = 0  // cons
	RingReading = 1  // 1 while a reader takes a record
	RingProd    = 16 // prod, two cache lines away
	RingSeen    = 17 // cons, or what it was: producers ask for cons when this says that the ring is full
	RingWaiting = 24 // readers that wait for a token
	RingData    = 32 // the ring
)

func (m *ringBuf) cons() *uint64    { return &m.shared[RingCons] }
func (m *ringBuf) prod() *uint64    { return &m.shared[RingProd] }
func (m *ringBuf) seen() *uint64    { return &m.shared[RingSeen] }
func (m *ringBuf) reading() *uint64 { return &m.shared[RingReading] }
func (m *ringBuf) waiting() *uint64 { return &m.shared[RingWaiting] }

// RingTaken is the number of the bit of prod that is set while a producer has it.
// It makes the ring seem full.
const RingTaken = 63

// reserved returns prod as it is, or was before a producer took it.
func (m *ringBuf) reserved() uint64 { return atomic.LoadUint64(m.prod()) &^ (1 << RingTaken) }

// yield is called before each try after the first to take what another has for some
// instructions, unless the system took its processor away.
func yield(tries int) {
	if tries > 30 {
		runtime.Gosched()
	}
}

// Bits of a header. The kernel's (include/uapi/linux/bpf.h, BPF_RINGBUF_BUSY_BIT) says
// that a record is not whole.
const (
	RingWhole    = 1 << 31
	RingDropped  = 1 << 30
	recordHeader = 8 // bytes
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
	words, bytes := mem.Alloc(RingData + 2*int(spec.MaxEntries)/8)
	m.shared, m.words, m.bytes, m.base = words[:RingData], words[RingData:], bytes[8*RingData:], mem.Addr(bytes)
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
	for tries := 0; ; tries++ {
		yield(tries)
		seen := atomic.LoadUint64(m.seen()) // first: it does not pass a prod read later
		prod := atomic.LoadUint64(m.prod())
		if prod>>RingTaken != 0 {
			continue
		}
		end := prod + extent(uint64(n))
		if end-seen > m.mask {
			cons := atomic.LoadUint64(m.cons())
			if cons == seen {
				return nil // so it was full when prod was read
			}
			mem.Publish(m.seen(), cons)
			continue
		}
		if !atomic.CompareAndSwapUint64(m.prod(), prod, prod|1<<RingTaken) {
			continue
		}
		mem.Publish(m.header(prod), uint64(n))
		mem.Publish(m.prod(), end)
		at := int(prod&m.mask) + recordHeader
		return m.bytes[at : at+n : at+max(n, 1)] // without capacity it would not point here
	}
}

// RingRecord returns the memory of the open reservation at addr, which machine
// code made, as Reserve would have. The caller vouches for it.
func RingRecord(addr uint64) []byte {
	header := mem.At(addr-recordHeader, recordHeader)
	n := int(uint32(binary.NativeEndian.Uint64(header)))
	return mem.At(addr, max(n, 1))[:n]
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
	if word != uint64(len(b)) {
		panic("BUG: ring buffer: commit of memory that is not reserved")
	}
	word |= RingWhole
	if discard {
		word |= RingDropped
	}
	if flags&(RingBufNoWakeup|RingBufForceWakeup) == RingBufNoWakeup {
		mem.Publish(h, word)
		return
	}
	// Before the readers are counted. What emulates arm64 may let a load pass a
	// store that releases, though no processor does; it lets none pass a swap.
	atomic.SwapUint64(h, word)
	if atomic.LoadUint64(m.waiting()) > 0 {
		m.wakeFor(at-recordHeader, flags)
	}
}

// Wake does what remains of the commit of the record at addr, which machine code
// has made whole.
func (m *ringBuf) Wake(addr, flags uint64) {
	m.wakeFor(int(addr-m.base)-8*RingData-recordHeader, flags)
}

// wakeFor wakes a reader, if there is one, for the record at offset at. The
// header is set before waiting and cons are read; a reader counts among those
// that wait, and sets cons, before it reads the header. So either the reader
// sees the record, or the one who commits it sees the reader at it, and wakes it.
func (m *ringBuf) wakeFor(at int, flags uint64) {
	behind := atomic.LoadUint64(m.cons())&m.mask != uint64(at)
	if flags&RingBufForceWakeup != 0 || !behind && flags&RingBufNoWakeup == 0 {
		m.wakeOne()
	}
}

// wakeOne leaves a token, if there is none yet, for a reader that waits.
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
		cons := atomic.LoadUint64(m.cons()) // first: it does not pass a prod read later
		return m.reserved() - cons
	case RingBufRingSize:
		return m.mask + 1
	case RingBufConsPos:
		return atomic.LoadUint64(m.cons())
	case RingBufProdPos:
		return m.reserved()
	}
	return 0
}

// Close ends the use by Go code; readers return os.ErrClosed.
func (m *ringBuf) Close() error {
	err := m.core.Close() // first: who wakes finds it closed
	m.close.Do(func() { close(m.closed) })
	return err
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
