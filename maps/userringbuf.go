package maps

import (
	"encoding/binary"
	"sync"
	"sync/atomic"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// userRingBuf is a BPF_MAP_TYPE_USER_RINGBUF: records from Go code to programs,
// in the order in which they were reserved (kernel, kernel/bpf/ringbuf.c,
// bpf_user_ringbuf_drain). Positions and the room that records take are as in a
// ringBuf, and so is the memory, of which the upper half is for records that
// begin near the end of the ring. What a record is, Go code keeps for itself:
// programs may write what they get. A record's header is its number, by which Submit
// finds it.
type userRingBuf struct {
	core
	bytes []byte
	mask  uint64 // size - 1

	mu         sync.Mutex
	cons, prod uint64
	records    []userRecord // those between cons and prod, from first on
	first      int
	number     uint64        // of records[first]: how many came before it
	room       chan struct{} // closed when a program has made room and says so

	draining atomic.Bool
	closed   chan struct{}
	close    sync.Once
}

// A userRecord is one record.
type userRecord struct {
	pos   uint64
	n     uint64
	state recordState
}

type recordState uint8

const (
	recordOpen recordState = iota
	recordWhole
	recordSkipped
)

func newUserRingBuf(spec *Spec) (Map, error) {
	if err := checkMemory(spec, 2, uint64(spec.MaxEntries)); err != nil {
		return nil, err
	}
	m := &userRingBuf{mask: uint64(spec.MaxEntries) - 1, room: make(chan struct{}), closed: make(chan struct{})}
	m.init(spec)
	_, m.bytes = mem.Alloc(2 * int(spec.MaxEntries) / 8)
	return m, nil
}

func (m *userRingBuf) Bytes() int64 { return int64(len(m.bytes)) }

// data returns the memory of the record of n bytes at position pos.
func (m *userRingBuf) data(pos, n uint64) []byte {
	at := pos&m.mask + recordHeader
	return m.bytes[at : at+n : at+max(n, 1)] // without capacity it would not point here
}

// reserve makes a record of n bytes. E2BIG: it can never be; ENOSPC: there is no
// room now, and wait is closed when there may be.
func (m *userRingBuf) reserve(n int) (b []byte, wait <-chan struct{}, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.mayWrite(); err != nil {
		return nil, nil, err
	}
	if n < 0 || uint64(n) > m.mask+1-recordHeader {
		return nil, nil, errno.E2BIG
	}
	need := extent(uint64(n))
	switch {
	case need > m.mask+1:
		return nil, nil, errno.E2BIG
	case need > m.mask+1-(m.prod-m.cons):
		return nil, m.room, errno.ENOSPC
	}
	r := userRecord{pos: m.prod, n: uint64(n)}
	m.prod += need
	binary.NativeEndian.PutUint64(m.header(r.pos), m.number+uint64(len(m.records)-m.first))
	m.records = append(m.records, r)
	return m.data(r.pos, r.n), nil, nil
}

// header returns the header of the record at position pos.
func (m *userRingBuf) header(pos uint64) []byte { return m.bytes[pos&m.mask:][:recordHeader] }

// commit ends the reservation b. EINVAL: it is none.
func (m *userRingBuf) commit(b []byte, state recordState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.record(b)
	if r == nil || r.state != recordOpen {
		return m.fail("this is no open reservation", errno.EINVAL)
	}
	r.state = state
	return nil
}

// record returns the record whose memory is b, or nil. Before b, which may be
// anything, there may be anything, too.
func (m *userRingBuf) record(b []byte) *userRecord {
	at, ok := mem.Index(m.bytes, b)
	if !ok || at < recordHeader {
		return nil
	}
	i := binary.NativeEndian.Uint64(m.bytes[at-recordHeader:]) - m.number
	if i >= uint64(len(m.records)-m.first) {
		return nil
	}
	r := &m.records[m.first+int(i)]
	if r.pos&m.mask+recordHeader != uint64(at) || r.n != uint64(len(b)) {
		return nil
	}
	return r
}

// maxUserRecords is how many records one drain takes
// (BPF_MAX_USER_RINGBUF_SAMPLES).
const maxUserRecords = 128 << 10

// maxDynptr is the longest record that a program can be given (DYNPTR_MAX_SIZE).
const maxDynptr = 1<<24 - 1

// Drain is bpf_user_ringbuf_drain.
func (m *userRingBuf) Drain(flags uint64, f func(record []byte) (more bool)) (n int, err error) {
	if flags&^(RingBufNoWakeup|RingBufForceWakeup) != 0 {
		return 0, errno.EINVAL
	}
	if !m.draining.CompareAndSwap(false, true) {
		return 0, errno.EBUSY
	}
	taken := 0
	defer func() { // also if f panics
		m.draining.Store(false)
		if flags&RingBufForceWakeup != 0 || flags&RingBufNoWakeup == 0 && taken > 0 {
			m.wake()
		}
	}()
	for more := true; more && taken < maxUserRecords; {
		b, state, err := m.next()
		if err != nil {
			return 0, err
		}
		if state == recordOpen {
			break
		}
		taken++
		if state == recordSkipped {
			m.release()
			continue
		}
		n++
		more = func() bool {
			defer m.release()
			return f(b)
		}()
	}
	return n, nil
}

// next returns the oldest record; recordOpen if it is not whole, or there is
// none.
func (m *userRingBuf) next() (b []byte, state recordState, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.first == len(m.records) {
		return nil, recordOpen, nil
	}
	r := m.records[m.first]
	if r.n > maxDynptr {
		return nil, recordOpen, errno.E2BIG
	}
	return m.data(m.cons, r.n), r.state, nil
}

// release takes the oldest record out.
func (m *userRingBuf) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cons += extent(m.records[m.first].n)
	m.first++
	m.number++
	switch {
	case m.first == len(m.records):
		m.records, m.first = m.records[:0], 0
	case m.first > 64 && m.first > len(m.records)/2:
		m.records = m.records[:copy(m.records, m.records[m.first:])]
		m.first = 0
	}
}

// wake wakes all that wait for room.
func (m *userRingBuf) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.room)
	m.room = make(chan struct{})
}

// Close ends the use by Go code; producers get EBADF.
func (m *userRingBuf) Close() error {
	m.close.Do(func() { close(m.closed) })
	return m.core.Close()
}

func (m *userRingBuf) none(may error) error {
	if may != nil {
		return may
	}
	return errno.ENOTSUPP
}

func (m *userRingBuf) LookupElem(int, []byte) []byte                     { return nil }
func (m *userRingBuf) UpdateElem(int, []byte, []byte, UpdateFlags) error { return errno.ENOTSUPP }
func (m *userRingBuf) DeleteElem(int, []byte) error                      { return errno.ENOTSUPP }

func (m *userRingBuf) Lookup(_, _ []byte) error                { return m.none(m.mayRead()) }
func (m *userRingBuf) Update(_, _ []byte, _ UpdateFlags) error { return m.none(m.mayWrite()) }
func (m *userRingBuf) Delete([]byte) error                     { return m.none(m.mayWrite()) }
func (m *userRingBuf) NextKey(_, _ []byte) error               { return m.none(m.mayRead()) }

func (m *userRingBuf) batch() batchOp { return 0 }
