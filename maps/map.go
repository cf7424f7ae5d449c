// Package maps holds the maps that programs and Go code share: the Map
// interface, the Spec that describes one, and every map type skep has.
//
// A map has two sides. Programs use LookupElem, UpdateElem and DeleteElem: they
// run on a virtual CPU and get pointers into the map. Go code uses Lookup,
// Update, Delete and NextKey, which copy and do what bpf(2) does, errno for
// errno. Both sides may be used by any number of goroutines at the same time;
// the guarantees per entry are the kernel's: insert, replace and delete are
// atomic, the bytes of a value are shared memory.
//
// Typed does the same with Go values for keys and values, checked against the
// C types of the map once; Walk visits entries, WriteJSON prints them,
// TakeSnapshot copies them to be restored. A Registry holds maps by name.
//
// What a program can still reach is never recycled: a deleted value keeps its
// bytes until every run that could have seen it has ended (package
// internal/vcpu). Values never move and hold no Go pointers.
package maps

import (
	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// A Type is a kind of map, numbered as enum bpf_map_type
// (include/uapi/linux/bpf.h). Other platforms' numbers are translated when an
// object is read.
type Type uint32

const (
	Hash                Type = 1
	Array               Type = 2
	ProgArray           Type = 3
	PerfEventArray      Type = 4
	PerCPUHash          Type = 5
	PerCPUArray         Type = 6
	StackTrace          Type = 7
	CgroupArray         Type = 8
	LRUHash             Type = 9
	LRUPerCPUHash       Type = 10
	LPMTrie             Type = 11
	ArrayOfMaps         Type = 12
	HashOfMaps          Type = 13
	DevMap              Type = 14
	SockMap             Type = 15
	CPUMap              Type = 16
	XSKMap              Type = 17
	SockHash            Type = 18
	CgroupStorage       Type = 19
	ReuseportSockArray  Type = 20
	PerCPUCgroupStorage Type = 21
	Queue               Type = 22
	Stack               Type = 23
	SKStorage           Type = 24
	DevMapHash          Type = 25
	StructOps           Type = 26
	RingBuf             Type = 27
	InodeStorage        Type = 28
	TaskStorage         Type = 29
	BloomFilter         Type = 30
	UserRingBuf         Type = 31
	CgrpStorage         Type = 32
	Arena               Type = 33
)

// Flags are a map's creation flags (BPF_F_*).
type Flags uint32

const (
	NoPrealloc    Flags = 1 << 0
	NoCommonLRU   Flags = 1 << 1
	NUMANode      Flags = 1 << 2
	ReadOnly      Flags = 1 << 3 // BPF_F_RDONLY: Go code may not write
	WriteOnly     Flags = 1 << 4 // BPF_F_WRONLY: Go code may not read
	StackBuildID  Flags = 1 << 5
	ZeroSeed      Flags = 1 << 6
	ReadOnlyProg  Flags = 1 << 7 // BPF_F_RDONLY_PROG: programs may not write
	WriteOnlyProg Flags = 1 << 8 // BPF_F_WRONLY_PROG: programs may not read
	Clone         Flags = 1 << 9
	MMapable      Flags = 1 << 10
	PreserveElems Flags = 1 << 11
	InnerMap      Flags = 1 << 12
)

// UpdateFlags are the flags of one update or lookup (BPF_ANY, …).
type UpdateFlags uint64

const (
	Any     UpdateFlags = 0 // create or replace
	NoExist UpdateFlags = 1 // create only: EEXIST if the key exists
	Exist   UpdateFlags = 2 // replace only: ENOENT if it does not
	Lock    UpdateFlags = 4 // hold the value's spin lock while copying
)

// A Spec describes a map before it exists. Specs of an object may be changed
// until the object is loaded; a map keeps a copy of its own.
type Spec struct {
	Name       string
	Type       Type
	KeySize    uint32 // bytes
	ValueSize  uint32 // bytes
	MaxEntries uint32 // entries; RingBuf: bytes
	Flags      Flags
	Extra      uint64 // map_extra: its meaning depends on Type

	Key, Value *btf.Type // nil without BTF
	Inner      *Spec     // ArrayOfMaps, HashOfMaps: what inner maps look like

	// Contents are stored before the first program runs, in order.
	Contents []Entry
	// Frozen: after Contents are stored neither Go code nor, with
	// ReadOnlyProg, programs can write. The verifier may then read Contents.
	Frozen bool

	Pinning string // path that the object asks for, or ""; Registry pins by Name
}

// An Entry is one initial value of a map.
type Entry struct {
	Key     []byte
	Value   []byte // plain maps
	Program string // ProgArray: name of a program of the same object
	Map     *Spec  // ArrayOfMaps, HashOfMaps: a map of the same object
}

// A Map is a map that exists. Host-defined maps implement it too; embedding
// Base gives every operation that a type does not have the kernel's answer.
//
// Keys and values passed in must have the sizes of the Spec; a wrong length is
// EINVAL. Errors are, or wrap, errno.Errno.
type Map interface {
	// Spec returns the map's description, which must not be changed.
	Spec() *Spec

	// LookupElem returns the value for key as seen by a program that runs on
	// virtual CPU cpu, or nil if there is none. The result aliases the map, is
	// 8-byte aligned, never moves, and holds ValueSize bytes.
	LookupElem(cpu int, key []byte) []byte
	// UpdateElem stores a copy of value for a program that runs on cpu.
	UpdateElem(cpu int, key, value []byte, flags UpdateFlags) error
	// DeleteElem removes key for a program that runs on cpu.
	DeleteElem(cpu int, key []byte) error

	// Lookup copies the value for key into value. Per-CPU maps: one value per
	// virtual CPU, each rounded up to 8 bytes (HostValueSize in all).
	Lookup(key, value []byte) error
	// Update stores a copy of value.
	Update(key, value []byte, flags UpdateFlags) error
	// Delete removes key.
	Delete(key []byte) error
	// NextKey writes to next the key that follows key in the map's own order;
	// the first if key is nil or not in the map. ENOENT after the last.
	NextKey(key, next []byte) error

	// Close says that the owner needs the map no more. Programs that run keep
	// what they hold; a second Close does nothing.
	Close() error
}

// What a map may offer besides. Callers ask with a type assertion.
type (
	// A Slabber keeps all its values in slabs, so that an engine can tell an
	// address in one from any other. Slabs is cheap, and what it returns must
	// not be changed; slabs are added while the map is in use, never removed,
	// and one is there before LookupElem returns a value in it.
	Slabber interface{ Slabs() []mem.Slab }

	// A Ranger can be walked by a program (bpf_for_each_map_elem). Range
	// calls f for every entry until f returns false. Key and value alias the
	// map; the value is that of virtual CPU cpu. Entries that come or go
	// during the walk are seen or not; every other exactly once. f may change
	// the map. The caller runs on a virtual CPU.
	Ranger interface {
		Range(cpu int, f func(key, value []byte) bool)
	}

	// A Freezer can be made read-only for Go code, for good (BPF_MAP_FREEZE).
	Freezer interface{ Freeze() error }

	// A LookupDeleter removes an entry and copies its value, in one step
	// (BPF_MAP_LOOKUP_AND_DELETE_ELEM).
	LookupDeleter interface {
		LookupAndDelete(key, value []byte) error
	}

	// A Sizer knows how many bytes of memory it occupies.
	Sizer interface{ Bytes() int64 }

	// A Pusher holds values without keys: queues, stacks and bloom filters.
	// Programs reach them by these three; values have ValueSize bytes.
	Pusher interface {
		// PushElem adds a copy of value. E2BIG: the map is full; with Exist
		// the oldest value gives way instead.
		PushElem(value []byte, flags UpdateFlags) error
		// PopElem moves the next value to value. ENOENT: there is none.
		PopElem(value []byte) error
		// PeekElem copies the next value to value. A bloom filter reads
		// value and reports whether it may hold it. ENOENT: no.
		PeekElem(value []byte) error
	}

	// A ProgramArray holds the targets of tail calls, which are opaque to it.
	ProgramArray interface {
		// Store puts target at index, or empties the place if target is nil.
		Store(index uint32, target any) error
		// Load returns the target at index, or nil.
		Load(index uint32) any
	}

	// A MapHolder holds maps, all of which fit Spec.Inner.
	MapHolder interface {
		// StoreMap puts inner at key. EINVAL: it does not fit.
		StoreMap(key []byte, inner Map, flags UpdateFlags) error
		// InnerMap returns the map at key for a program, or nil.
		InnerMap(key []byte) Map
	}

	// An EventArray takes events from programs, a buffer for each CPU
	// (perf_event_output).
	EventArray interface {
		// Output stores data and more as one event in the buffer at index,
		// which is the number of the CPU or 1<<32-1 to say the same. E2BIG: no
		// such index; ENOENT: nobody reads there; EOPNOTSUPP: not this CPU's;
		// ENOSPC: no room, and the event is lost.
		Output(cpu int, index uint32, data, more []byte) error
	}

	// A UserRingBuffer gives records of Go code to programs
	// (bpf_user_ringbuf_drain). Flags are those of a RingBuffer.
	UserRingBuffer interface {
		// Drain calls f for each record that is whole, oldest first, until f
		// returns false, and returns how many there were; the record is taken
		// out when f returns. EBUSY: another drain is under way; EINVAL:
		// unknown flags; E2BIG: a record is longer than programs can be given.
		Drain(flags uint64, f func(record []byte) (more bool)) (n int, err error)
	}

	// A RingBuffer takes records from programs. Flags are BPF_RB_NO_WAKEUP
	// and BPF_RB_FORCE_WAKEUP.
	RingBuffer interface {
		// Reserve returns n bytes of contiguous memory, aligned to 8 bytes,
		// or nil if there is no room. Commit or Discard must follow.
		Reserve(n int) []byte
		// Commit gives what Reserve returned to the reader, or drops it.
		Commit(b []byte, discard bool, flags uint64)
		// Discard is Commit of a record that an aborted run still held, with
		// discard and no flags.
		Discard(b []byte)
		// Output stores a copy of data as one record. EAGAIN: no room.
		Output(data []byte, flags uint64) error
		// Query returns what flags (BPF_RB_AVAIL_DATA, …) asks for, and 0 for
		// anything else.
		Query(flags uint64) uint64
	}
)

// Sentinels for what callers branch on. Each is the errno bpf(2) gives.
const (
	ErrKeyNotExist  = errno.ENOENT
	ErrKeyExist     = errno.EEXIST
	ErrFull         = errno.E2BIG
	ErrInvalid      = errno.EINVAL
	ErrNoMemory     = errno.ENOMEM
	ErrPermission   = errno.EPERM
	ErrNotSupported = errno.ENOTSUPP
)
