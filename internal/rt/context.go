// Package rt is the border between Go and machine code: the memory they share,
// and the stub through which a run enters code, calls helpers and leaves.
//
// # The stack
//
// Machine code runs on the goroutine's stack and never uses it. The stub, an
// assembly function with a fixed frame that holds no pointers, calls the code;
// the code leaves SP and the frame pointer as they are (on amd64 its return
// address is all there is below the stub's frame) and comes back by RET. The
// program's stack, spilled registers and frames of subprograms lie in a
// Context, reached through a register.
//
//	 goroutine stack                      heap, without pointers
//	┌─────────────────────┐              ┌──────────────────────┐
//	│ caller of Enter     │       Ctx ──►│ Context              │
//	├─────────────────────┤              │   R0, Arg, Meter …   │
//	│ enter: r, locals    │              ├──────────────────────┤
//	├─────────────────────┤     Frame ──►│ frames: BPF stack,   │
//	│ (code: nothing)     │              │ spills, return slots │
//	│ or Go helper        │              └──────────────────────┘
//	└─────────────────────┘
//
// So whenever Go looks at the stack (to grow it, to collect garbage, to unwind a
// panic or Goexit, to sample a profile or trace) it finds Go frames only. Code
// with frames of its own on the stack crashes in all of these.
//
// # Registers
//
// On entry and on return from a helper:
//
//	             amd64    arm64
//	Ctx          R14      R25     address of the Context
//	Frame        R13      R24     on entry Context.Frame; kept across exits
//	Result       RAX      R0      R0 of a helper; on leaving, see Exit
//	ExitCode     RDX      R1      on leaving: why
//	never used   RSP RBP  SP R18 R28 R29; R30 (LR) is kept for RET
//
// Code may use every other register, and finds nothing in them after a helper.
// On amd64 that includes Ctx, which is the register that Go code expects g in,
// and X15, which it expects to be zero: wrappers between Go's two calling
// conventions restore both. On arm64 nothing restores R28, and signal handlers
// read it: it must not change even for an instruction.
//
// # Exits
//
// Code leaves with an Exit in ExitCode. A number that is not negative is a
// helper: the stub calls it with Context.Arg and goes on at the address in
// Result. Code cannot be preempted, so it leaves with Yield at least every 100
// microseconds or so: then the stub keeps all registers while Go does what it
// must. Any other exit ends the run.
//
// CALL and RET always pair, so that the CPU predicts where a RET goes; the stub
// calls again, from the same place, to go on after a helper. A bare round trip
// takes 2.7 to 3.2 ns, a helper call 4.8 to 5.3, a yield 5.7, and a helper call
// that enters code again 7.4 (AMD EPYC of 2024, Go 1.26, least of 40 runs; package
// rttest below jit has the benchmarks). A loop in Go round the entry, with one
// exit per helper call, takes 9.4 ns a call, and up to 20 below other frames,
// for what it returns to is then mispredicted.
//
// A helper may grow the stack, block, panic, end the goroutine, and run other
// code, or the same code, on the same Context: the stub holds what the outer
// code needs in its own frame.
package rt

import (
	"math/rand/v2"
	"sync/atomic"
	"unsafe"

	"github.com/skepvm/skep/helpers"
)

// A Context is what one run shares with machine code. Code reaches its fields
// by offset, so it holds no Go pointers, and neither does the memory of frames
// that follows it.
type Context struct {
	// R0 is the result of a run that ended with Done.
	R0 uint64
	// Arg holds R1 to R5: on entry the program's, at a helper exit the
	// helper's. Arguments that a helper does not take are not cleared.
	Arg [5]uint64
	// Meter is what the code may still spend before it must Yield. Code
	// subtracts, and yields when it falls below zero.
	Meter int64
	// Frame is the address that the register Frame has on entry: at first
	// that of the frames. Code that calls a helper which may enter code again
	// stores here where its own frame ends; the stub keeps the register
	// itself.
	Frame uint64
	// CPU is the virtual CPU of the run.
	CPU uint64
	// Packet and PacketEnd are the addresses of the packet's first byte and of
	// the one after its last; equal if there is none.
	Packet, PacketEnd uint64
	// HeldTop is how many bytes of held are in use.
	HeldTop uint64
	// Kind is that of the targets that the run may go on in.
	Kind uint64
	// Tails is how many tail calls the run may still make, of MaxTails.
	Tails  uint64
	target uint64 // address of the Target that runs
	end    uint64 // address after the frames

	// Save is where code that yields leaves Result and ExitCode.
	Save [2]uint64

	stop  uint32
	_     uint32
	bytes uint64 // of frames

	// Random is the state of the code's random numbers; never 0.
	Random uint64
	_      uint64
	none   Held // zeros, below the lowest of held
	held   [MaxHeld]Held
}

// MaxTails is how many tail calls a run may make (kernel, MAX_TAIL_CALL_CNT).
const MaxTails = 33

// A Held is a record of a ring buffer that code has reserved.
type Held struct {
	Addr uint64 // of the record
	Ring uint64 // of the ring buffer (maps.Layout.Base)
}

// MaxHeld is how many records code can hold at a time by itself.
const MaxHeld = 8

// HeldSize is the size of a Held.
const HeldSize = int32(unsafe.Sizeof(Held{}))

// Held returns what code holds, aliased, the last reserved last.
func (c *Context) Held() []Held { return c.held[:c.HeldTop/uint64(HeldSize)] }

// Drop takes the record at addr out of what code holds; ok is false if it is not
// there.
func (c *Context) Drop(addr uint64) (h Held, ok bool) {
	all := c.Held()
	for i := len(all) - 1; i >= 0; i-- {
		if h = all[i]; h.Addr == addr {
			copy(all[i:], all[i+1:])
			c.HeldTop -= uint64(HeldSize)
			return h, true
		}
	}
	return Held{}, false
}

// NewContext returns a context with size bytes of frames, all zero, aligned to 8
// bytes and following the context in memory.
func NewContext(size int) *Context {
	const word = 8
	words := make([]uint64, int(unsafe.Sizeof(Context{})/word)+(size+word-1)/word)
	c := (*Context)(unsafe.Pointer(unsafe.SliceData(words)))
	c.bytes = uint64(size)
	c.Frame = c.FrameBase()
	c.end = c.Frame + c.bytes
	c.Random = rand.Uint64() | 1
	return c
}

// Frames returns the memory of frames, aliased.
func (c *Context) Frames() []byte {
	if c.bytes == 0 {
		return nil // there is nothing behind c to point to
	}
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(c), OffFrames)), c.bytes)
}

// FrameBase returns the address of the frames.
func (c *Context) FrameBase() uint64 {
	return uint64(uintptr(unsafe.Pointer(c))) + uint64(OffFrames)
}

// Stop makes the run end with Stopped when it next leaves code for a helper or
// to yield. It may be called by the helper, or by any goroutine.
func (c *Context) Stop() { atomic.StoreUint32(&c.stop, 1) }

// Stopped reports whether Stop was called since the last Resume.
func (c *Context) Stopped() bool { return atomic.LoadUint32(&c.stop) != 0 }

// Resume undoes Stop, before the next run.
func (c *Context) Resume() { atomic.StoreUint32(&c.stop, 0) }

// A Run is what the stub needs of a run, on the side of Go. Several runs of one
// Context, one within the other, may share it.
type Run struct {
	Context *Context
	Env     helpers.Env // passed to helpers

	// Yield is called when the code has spent its meter. It gives the meter
	// more, or stops the context; if it does neither, the code yields again
	// before long.
	Yield func(c *Context)

	// Moved is called when code has gone on in t by itself, before a helper or
	// Yield is, and before Target says so.
	Moved func(t *Target)

	// Look is called now and then before a helper is: the meter does not know how
	// long helpers take. It may stop the context. nil: nobody wants to look.
	Look func()

	at    uint64 // address of the target
	impls uint64 // of the first of its helpers
	plain uint64 // of the first of its plain helpers; 0: it has none
	calls uint32 // of helpers
}
