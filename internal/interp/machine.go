package interp

import (
	"errors"
	"unsafe"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/prog"
)

const (
	frameSize = 512
	maxFrames = opt.MaxFrames
	keySize   = 4 // of an array
)

// What registers hold instead of addresses, as in the checked interpreter.
const (
	mapHandle  = 0xeb9f_0001_0000_0000
	funcHandle = 0xeb9f_0002_0000_0000
)

var (
	errDepth = errors.New("call depth is 8 frames already")
	errTrap  = errors.New("BUG: the instruction was proven unreachable")
)

// A Machine runs Codes: registers and stack. Use NewMachine. It belongs to one
// run at a time.
type Machine struct {
	reg    [256]uint64 // R0 to R10, and scratch: an index of one byte needs no check
	meter  int64
	base   uintptr // address of ops
	at     int     // offset of the op to go on at, in bytes
	cpu    uint32  // virtual CPU of the run
	depth  int     // frames in use
	frames [maxFrames]frame
	loopAt [maxFrames]loop // by how many frames are in use
	keys   uint64          // address of one word for each of loopAt: the iteration under way
	ops    []op

	code    *Code
	stopped bool
	calls   uint32 // of helpers
	stack   []byte
	bottom  uint64 // address of stack

	env  helpers.Env
	host Host
}

// A frame is what a call keeps of its caller.
type frame struct {
	ret   int       // offset of the op to go on at
	saved [4]uint64 // R6 to R9, unless the function is a leaf
	loops uint32    // what may_goto has left in the function
	code  *Code     // of the caller, if another program has taken the callee's place
	back  int       // ret, then
}

// A loop is a call of loop, or of for_each_map_elem, that the loop makes itself.
type loop struct {
	end   uint64 // how many iterations there are
	value uint64 // address of the next one's value
	arg   uint64 // what the function gets
}

// A Host is what a Machine asks of who runs it.
type Host interface {
	// Yield is called when the meter is spent, at the latest every so many
	// instructions as it was given. It calls Charge or Stop.
	Yield(m *Machine)
	// Tail returns the code that a tail call goes on in; or nil, and whether it
	// has run the target itself, whose result is r0.
	Tail(m *Machine, handle uint64, index uint32) (c *Code, r0 uint64, ran bool)
	// Switched is called when another code than before goes on: after a tail
	// call, and when the program that it led to has ended in a subprogram.
	Switched(c *Code)
	// Look is called now and then before a helper is: the meter does not know how
	// long helpers take. It may call Stop.
	Look()
	// Abort ends the run with err, for which it calls Stop.
	Abort(err error)
}

// looks is how many calls of helpers there are at most between two of Host.Look.
const looks = 64

// exit is why loop returns.
type exit int

const (
	exitLeave exit = iota
	exitYield
)

// NewMachine returns a machine whose helpers get env.
func NewMachine(env helpers.Env, host Host) *Machine {
	m := &Machine{env: env, host: host}
	_, m.stack = mem.Alloc(maxFrames*frameSize/8 + maxFrames) // aligned for atomic operations on every host
	m.bottom = mem.Addr(m.stack)
	m.keys = m.bottom + maxFrames*frameSize
	return m
}

// Begin makes the machine ready to run c with ctx in R1, on the given CPU.
func (m *Machine) Begin(c *Code, ctx uint64, cpu int) {
	m.enter(c)
	m.at = int(c.entry[0]) * opSize
	m.stopped = false
	m.meter = 0
	m.cpu = uint32(cpu)
	m.depth = 1
	m.frames[0].ret = doneAt * opSize
	m.reg[1] = ctx
	m.reg[10] = m.bottom + frameSize
}

// Exec runs the code that Begin was given. ok is false if Stop was called.
func (m *Machine) Exec() (r0 uint64, ok bool) {
	if !m.exec() {
		return 0, false
	}
	return m.reg[0], true
}

// End drops what the run was given.
func (m *Machine) End() {
	for i := range m.frames {
		m.frames[i].code = nil
	}
	m.code, m.ops, m.base = nil, nil, 0
}

func (m *Machine) enter(c *Code) {
	m.code, m.ops = c, c.ops
	m.base = uintptr(unsafe.Pointer(unsafe.SliceData(c.ops)))
}

// Stop ends the run as soon as the helper, or Yield, that calls it returns.
func (m *Machine) Stop() { m.stopped = true }

// Stopped reports whether Stop was called in this run.
func (m *Machine) Stopped() bool { return m.stopped }

// Charge gives the meter n more. What is left is never more than was given.
func (m *Machine) Charge(n int64) { m.meter += n }

// Meter returns what the meter has left; below zero, how much is missing.
func (m *Machine) Meter() int64 { return m.meter }

// Code returns the code that runs.
func (m *Machine) Code() *Code { return m.code }

// PC returns the instruction at which the run has left the loop: the call of
// the helper that runs, or where a yield goes on.
func (m *Machine) PC() prog.PC {
	i := m.at/opSize - 1
	if m.meter < 0 {
		i++
	}
	return m.code.pcs[i]
}

// Bytes returns the n bytes of the stack at addr, aliased, or nil if they are
// not part of one frame; ok is false if addr is not in the stack. The key that
// for_each_map_elem gives a function counts as part of it.
func (m *Machine) Bytes(addr uint64, n int) (b []byte, ok bool) {
	o := addr - m.bottom
	if key := addr - m.keys; key < maxFrames*8 {
		if n < 0 || key%8+uint64(n) > keySize {
			return nil, true
		}
		return m.stack[o : o+uint64(n) : o+uint64(n)], true
	}
	if o >= maxFrames*frameSize {
		return nil, false
	}
	if n < 0 || n > frameSize || o%frameSize+uint64(n) > frameSize {
		return nil, true
	}
	return m.stack[o : o+uint64(n) : o+uint64(n)], true
}

// exec runs ops from m.at on until the function that is outermost returns. It
// reports false if the run was stopped.
func (m *Machine) exec() (ok bool) {
	for {
		ip := unsafe.Add(unsafe.Pointer(unsafe.SliceData(m.ops)), m.at)
		if m.loop(ip, m.meter) == exitYield {
			if !m.yield() {
				return false
			}
			continue
		}
		r, o := &m.reg, &m.ops[m.at/opSize-1]
		switch o.sub {
		case leaveHelper:
			if m.calls++; m.calls%looks == 0 {
				m.host.Look()
			}
			r[0] = m.code.impls[o.imm](m.env, r[1], r[2], r[3], r[4], r[5])
			if m.stopped {
				return false
			}
		case leaveDone:
			return true
		case leavePacket:
			if !m.packet(o) {
				return false
			}
		case leaveTail:
			if !m.tailCall() {
				return false
			}
		case leaveThrow:
			if !m.throw() {
				return false
			}
		case leaveBack:
			m.back()
		case leaveCallX:
			if !m.callX(o) {
				return false
			}
		case leaveAtomic:
			m.atomic(o)
		case leaveZero:
			m.zero()
		default:
			m.host.Abort(errTrap)
			return false
		}
	}
}

// yield reports whether to go on.
func (m *Machine) yield() bool {
	for m.meter < 0 && !m.stopped {
		m.host.Yield(m)
	}
	return !m.stopped
}

// zero clears the stack of the current function.
func (m *Machine) zero() {
	end := m.reg[10] - m.bottom
	clear(m.stack[end-frameSize : end])
}
