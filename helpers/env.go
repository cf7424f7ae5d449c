package helpers

import (
	"time"

	"github.com/skepvm/skep/maps"
)

// Env is what a running helper may touch. It belongs to one run and must not
// be kept or used from another goroutine.
type Env interface {
	// CPU returns the virtual CPU of the run: 0 ≤ CPU < maps.NumCPU().
	CPU() int
	// Bytes returns the n bytes of program memory at addr, aliased; nil if
	// they do not lie inside one live region of the run. n = 0 gives an empty
	// slice that is not nil.
	Bytes(addr uint64, n int) []byte
	// Share lets the program use b, which must not move and must hold no Go
	// pointers, until the run ends; the result is b's address. An empty b
	// gives 0.
	Share(b []byte) uint64
	// Map returns the map that a map argument means, or nil.
	Map(handle uint64) maps.Map
	// ShareMap lets the program use m, until the run ends; the result is the
	// handle that means it. A nil m gives 0.
	ShareMap(m maps.Map) uint64
	// Call runs the subprogram that an ArgFunc argument means and returns its
	// R0. On error the run is over: the helper must return at once.
	Call(fn uint64, a1, a2, a3, a4, a5 uint64) (uint64, error)

	// Acquire shares b with the program as a reference that r must get back:
	// through Release, or, if the run ends first, through r.Discard.
	Acquire(b []byte, r Releaser) uint64
	// Release ends a reference of which addr is an address and returns its
	// memory and owner; ok is false if the run holds no such reference.
	Release(addr uint64) (b []byte, r Releaser, ok bool)
	// ShareObject lets the program read b, the memory of a host object, until
	// the run ends; the result is b's address. What Share says of b holds.
	ShareObject(b []byte, object any) uint64
	// Object returns the host object of which addr is an address: what
	// ShareObject was given, or the Releaser that Acquire was; nil if there
	// is none.
	Object(addr uint64) any

	// Lock takes the spin lock at addr, a field of a map's value, for which it
	// waits; Unlock gives it back. A run holds one at a time, and does not keep
	// it when it ends, for whatever reason.
	Lock(addr uint64)
	Unlock(addr uint64)

	// Timers are the timers of map values.
	Timers() Timers
	// Dynptrs returns the dynptrs of the run.
	Dynptrs() *Dynptrs

	// Ctx returns the host side of the run's context (hook.Ctx.HostSize
	// bytes), aliased.
	Ctx() []byte
	// Packet returns the run's packet, or nil if the program type has none.
	// A helper that changes it calls SetPacket afterwards.
	Packet() *Packet
	// SetPacket publishes a changed packet: the context's packet pointers and
	// the live regions follow.
	SetPacket()
	// State returns what hook.Type.NewState made for this run: outcomes such
	// as a redirect, and whatever else helpers of that type keep.
	State() any
	// Host returns the host's clock, random source, trace output and so on.
	Host() *Host

	// Abort makes the run end with err as soon as the helper returns.
	Abort(err error)
}

// A Releaser owns memory that programs borrow, such as a ring buffer. If it is a
// ReadOnly, they may not write that memory.
type Releaser interface {
	// Discard takes back b, which a run that was aborted still held.
	Discard(b []byte)
}

// A ReadOnly is a Releaser whose memory programs only read: a host object, such
// as a socket.
type ReadOnly interface{ ReadOnly() }

// A Packet is a buffer with room before and after the packet in it.
//
//	Buf   0 ......... Meta ........ Head ................ Tail ......... len(Buf)
//	      headroom    metadata      packet (data..data_end)  tailroom
type Packet struct {
	Buf  []byte
	Meta int // offset of the metadata; Meta ≤ Head
	Head int // offset of the first byte of the packet
	Tail int // offset after its last byte
}

// Data returns the packet's bytes, aliased.
func (p *Packet) Data() []byte { return p.Buf[p.Head:p.Tail:p.Tail] }

// A Clock is one of the clocks that programs can read.
type Clock uint8

const (
	ClockMonotonic Clock = iota // ktime_get_ns
	ClockBoot                   // ktime_get_boot_ns
	ClockCoarse                 // ktime_get_coarse_ns
	ClockTAI                    // ktime_get_tai_ns
	ClockJiffies                // jiffies64
	ClockRealtime               // for timers: since 1970
)

// Host is what programs learn of the world outside. Every field may be
// replaced by a fake; nil fields are filled with the real thing (clock,
// random) or with 0 (identities) when a collection is loaded.
type Host struct {
	Now    func(Clock) uint64 // nanoseconds; ClockJiffies: ticks
	Random func() uint32
	Trace  func(line string) // one line of trace_printk, without a newline
	// After calls f when d has passed, on a goroutine that it may hold up, and not
	// before it returns; stop takes that back, and reports whether it could. f may
	// be called late, and after stop: timers of map values ask it. A fake
	// belongs to a fake Now.
	After   func(d time.Duration, f func()) (stop func() bool)
	PidTgid func() uint64
	UidGid  func() uint64
	Comm    func() string
	// Platform is what the helpers of one platform ask besides: a *linux.Host.
	Platform any
}
