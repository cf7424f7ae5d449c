package checked

import (
	"fmt"

	"github.com/skepvm/skep/prog"
)

// A Fault says what a program did wrong, or why it was ended, and where.
type Fault struct {
	Prog   *prog.Program // not the run's first after a tail call
	PC     prog.PC
	Reason string
	Addr   uint64 // of the access; 0 if it was none
	Region string // what lies at or near Addr, and where in it; "" if nothing
	Err    error  // the cause, if it has one: ErrBudget, or what a helper gave to Abort
}

func (f *Fault) Error() string { return fmt.Sprintf("instruction %d: %s", f.PC, f.Reason) }

func (f *Fault) Unwrap() error { return f.Err }

// A fault is what the machine notes when something goes wrong. The text is
// made when the run ends.
type fault struct {
	reason string
	access string // "load", "store", …; "" if it was no access
	addr   uint64
	size   int
	err    error
	bare   bool // err goes to the caller as it is
}

// fail ends the run at op pc for the reason noted in why.
func (m *Machine) fail(pc int) {
	if m.err != nil { // a nested call has failed already
		return
	}
	w := &m.why
	if w.bare {
		m.err = w.err
		return
	}
	f := &Fault{Prog: m.code.prog, PC: m.code.pcs[pc], Reason: w.reason, Err: w.err}
	if w.err != nil {
		if f.Reason != "" {
			f.Reason += ": "
		}
		f.Reason += w.err.Error()
	}
	if w.access != "" {
		f.Addr = w.addr
		f.Region = m.where(w.addr)
		place := f.Region
		if place == "" {
			place = "no memory of the program"
		}
		f.Reason = fmt.Sprintf("%s of %d bytes at %#x (%s): %s", w.access, w.size, w.addr, place, w.reason)
	}
	m.err = f
}

// where says for people what lies at addr, or else what lies nearest to it.
func (m *Machine) where(addr uint64) string {
	if m.inCtx(addr) {
		o := addr - m.ctxBase
		return fmt.Sprintf("%s+%d of %d", m.code.prog.Type.Ctx.Name, o, m.ctxLen)
	}
	switch addr & handleMask {
	case mapHandle:
		if m := m.Map(addr); m != nil {
			return "the map " + m.Spec().Name + " itself"
		}
	case funcHandle:
		return "the address of a subprogram"
	}
	const slack = frameSize
	fromStack := outside(int64(addr-m.stackBase), maxFrames*frameSize)
	name, off, size := m.Space.Describe(addr)
	if fromStack < slack && (name == "" || fromStack <= outside(off, int64(size))) {
		o := int64(addr - m.stackBase)
		frame := min(max(int(o), 0)/frameSize, m.depth)
		return fmt.Sprintf("stack frame %d, R10%+d", frame, o-int64(frame+1)*frameSize)
	}
	if name != "" {
		return fmt.Sprintf("%s%+d of %d", name, off, size)
	}
	if addr < frameSize {
		return "a null pointer"
	}
	return ""
}

// outside returns how far offset o lies from the size bytes it counts from: 0
// for one of them.
func outside(o, size int64) int64 {
	if o < 0 {
		return -o
	}
	return max(0, o-size+1)
}
