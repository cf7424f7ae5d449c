package checked

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
)

// Limits of the machine, the kernel's (MAX_BPF_STACK, MAX_CALL_FRAMES,
// MAX_TAIL_CALL_CNT, BPF_MAX_LOOPS).
const (
	frameSize    = 512
	maxFrames    = 8
	maxTailCalls = 33
	maxLoops     = 8 << 20
)

// ErrBudget is the reason of a run that executed as many instructions as it
// was allowed.
var ErrBudget = errors.New("instruction budget is used up")

// pollEvery is how many instructions run between two looks at whether the run
// was cancelled: about 50 µs.
const pollEvery = 1 << 14

// A Machine runs programs: registers, stack, and what a run may touch besides.
// Its zero value is not ready; use NewMachine. It belongs to one run at a time.
type Machine struct {
	// Space holds the regions of the run. Whoever removes one calls Forget.
	Space mem.Space
	// Env is what helpers get.
	Env helpers.Env
	// Tail returns the code in place index of the program array m, or nil if
	// there is none that this run may continue with.
	Tail func(m maps.Map, index uint32) *Code
	// Observe, if not nil, is called before each instruction. regs is R0 to
	// R10, aliased.
	Observe func(c *Code, pc int, regs *[16]uint64)
	// Locked says that the run holds a spin lock: it may call nothing but what
	// helpers.UnderLock allows. Begin clears it.
	Locked bool

	reg    [16]uint64
	win    [8]mem.Window // by base register: the object it last pointed into
	looked bool          // win is not empty

	stack     []byte
	stackBase uint64
	init      [maxFrames * frameSize / 64]uint64 // stack bytes that were written
	fp        int                                // end of the current frame in stack
	frames    [maxFrames]frame
	depth     int // frames below the current one

	ctx     []byte // the host's bytes
	ctxBase uint64
	ctxSpan uint64 // addresses from ctxBase that mean the context
	ctxLen  uint32 // bytes of the program's layout that this run has

	code  *Code
	live  regs // of code.tracked: those that are initialised
	loops uint32
	tails int

	shared []sharedMap // what ShareMap was given

	n       uint64 // instructions executed
	stop    uint64 // look round when n gets here
	budget  uint64
	done    <-chan struct{} // of context
	context context.Context

	why   fault // what the last failed access has to say
	err   error // ended the run
	abort error // what a helper gave to Abort
}

// A frame is what a call keeps of its caller.
type frame struct {
	code  *Code
	ret   int32 // op to go on with; -1: return to Go
	live  regs
	loops uint32
	saved [4]uint64 // R6 to R9
	// entered: a tail call put another program in the callee's place.
	entered bool
}

// NewMachine returns a machine whose helpers get env.
func NewMachine(env helpers.Env) *Machine {
	m := &Machine{Env: env, stack: make([]byte, maxFrames*frameSize)}
	m.stackBase = mem.Addr(m.stack)
	return m
}

// A Run is what one run is given.
type Run struct {
	Ctx    []byte // the host's bytes; as many as the larger layout has
	CtxLen uint32 // bytes of the program's layout that may be used
	// MaxInsns is how many instructions may be executed; 0: no limit.
	MaxInsns uint64
	// Context ends the run when it is done; nil: nothing does.
	Context context.Context
}

// Begin makes the machine, which is new or was given to End, ready to run c:
// the space holds c's fixed regions and nothing else. The caller sets the
// packet, then calls Exec, and End in any case.
func (m *Machine) Begin(c *Code, r *Run) {
	m.Space.SetFixed(&c.fixed.Load().Fixed)
	m.ctx = r.Ctx
	m.ctxBase = mem.Addr(r.Ctx)
	m.ctxSpan = uint64(len(r.Ctx))
	m.ctxLen = r.CtxLen
	m.code = c
	m.depth, m.fp = 0, 0
	m.tails = 0
	m.Locked = false
	m.n, m.stop = 0, 0
	m.Limit(r.MaxInsns)
	m.context, m.done = r.Context, nil
	if r.Context != nil {
		m.done = r.Context.Done()
	}
}

// Exec runs the code that Begin was given and returns its R0. After an error
// the machine must not be used before the next Begin.
func (m *Machine) Exec() (r0 uint64, err error) {
	m.openFrame()
	m.live = ^m.code.tracked | bit(1) | frameReg
	m.reg[1] = m.ctxBase
	m.exec(0)
	return m.reg[0], m.err
}

// ExecFunc is Exec of the function that fn means, with a1 to a3 in R1 to R3.
func (m *Machine) ExecFunc(fn, a1, a2, a3 uint64) (r0 uint64, err error) {
	entry := m.function(fn)
	if entry < 0 {
		return 0, fmt.Errorf("%#x is no subprogram", fn)
	}
	m.openFrame()
	m.live = ^m.code.tracked | argRegs | frameReg
	m.reg[1], m.reg[2], m.reg[3], m.reg[4], m.reg[5] = a1, a2, a3, 0, 0
	m.exec(int(entry))
	return m.reg[0], m.err
}

// Owner returns that of the code that runs.
func (m *Machine) Owner() any { return m.code.owner }

// GoOn is Exec of c in the middle of a run that another engine began: it has
// made tails tail calls, and left instructions may still be executed.
func (m *Machine) GoOn(c *Code, tails int, left uint64) (r0 uint64, err error) {
	m.Switch(c)
	m.depth, m.fp, m.tails = 0, 0, tails
	m.budget = m.n + min(left, ^m.n)
	m.stop = m.n
	return m.Exec()
}

// Tails returns how many tail calls the run has made.
func (m *Machine) Tails() int { return m.tails }

// End drops what the run was given.
func (m *Machine) End() {
	m.Space.Reset(nil)
	m.Forget()
	m.ctx, m.ctxBase, m.ctxSpan, m.ctxLen = nil, 0, 0, 0
	for ; m.depth > 0; m.depth-- { // the run was cut short
		m.frames[m.depth-1].code = nil
	}
	clear(m.shared)
	m.shared = m.shared[:0]
	if m.why.reason != "" || m.why.err != nil {
		m.why = fault{}
	}
	m.code, m.err, m.abort = nil, nil, nil
	m.done, m.context, m.Observe = nil, nil, nil
}

// Share makes b live until the run ends, unless it is already, and returns its
// address.
func (m *Machine) Share(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	addr := mem.Addr(b)
	if m.Space.Holds(addr, len(b)) {
		return addr
	}
	m.Refresh()
	return m.Space.Add("shared memory", mem.Plain, b, false)
}

// A sharedMap is a map that came to the program from another.
type sharedMap struct {
	m     maps.Map
	slabs int // how many of its slabs are live
}

// ShareMap lets the program use inner until the run ends, and returns its handle;
// 0 if inner is nil. Its memory becomes live when it is asked for (Refresh).
func (m *Machine) ShareMap(inner maps.Map) uint64 {
	if inner == nil {
		return 0
	}
	for i := len(m.shared) - 1; i >= 0; i-- { // the last is the likeliest
		if m.shared[i].m == inner {
			return mapHandle | uint64(sharedMaps+i)
		}
	}
	m.shared = append(m.shared, sharedMap{m: inner})
	return mapHandle | uint64(sharedMaps+len(m.shared)-1)
}

// HandleOf returns the handle that means of, which becomes a map of the run if it
// is none.
func (m *Machine) HandleOf(of maps.Map) uint64 {
	if i := slices.Index(m.code.maps, of); i >= 0 {
		return mapHandle | uint64(i)
	}
	return m.ShareMap(of)
}

// Refresh makes the memory live that maps have taken since they were last
// looked at.
func (m *Machine) Refresh() {
	for i := range m.shared {
		s := &m.shared[i]
		if slabber, ok := s.m.(maps.Slabber); ok {
			all := slabber.Slabs()
			for _, slab := range all[s.slabs:] {
				m.Space.AddSlab("map "+s.m.Spec().Name, slab)
			}
			s.slabs = len(all)
		}
	}
	if m.code.refresh() {
		m.Space.SetFixed(&m.code.fixed.Load().Fixed)
	}
}

// CtxAddr returns what R1 holds at the start of the run.
func (m *Machine) CtxAddr() uint64 { return m.ctxBase }

// Insns returns how many instructions the run has executed.
func (m *Machine) Insns() uint64 { return m.n }

// Forget makes the machine look regions up again. Who removes a region or
// makes one read-only calls it.
func (m *Machine) Forget() {
	if m.looked {
		m.win, m.looked = [8]mem.Window{}, false
	}
}

// openFrame makes the next frame of the stack the current one, with nothing in
// it initialised.
func (m *Machine) openFrame() {
	m.fp += frameSize
	m.reg[10] = m.stackBase + uint64(m.fp)
	m.loops = maxLoops
	m.clearFrame()
}

func (m *Machine) clearFrame() {
	words := m.init[(m.fp-frameSize)/64 : m.fp/64]
	if !m.code.uninitStack {
		clear(words)
		return
	}
	// What an earlier run left there is none of this program's business.
	clear(m.stack[m.fp-frameSize : m.fp])
	for i := range words {
		words[i] = ^uint64(0)
	}
}

// push opens a frame for a subprogram that returns to op ret; ok is false if
// the stack has no room for it.
func (m *Machine) push(ret int32) (ok bool) {
	if m.depth+1 >= maxFrames {
		m.why = fault{reason: "call depth is 8 frames already"}
		return false
	}
	f := &m.frames[m.depth]
	f.code, f.ret, f.live, f.loops, f.entered = m.code, ret, m.live, m.loops, false
	copy(f.saved[:], m.reg[6:10])
	m.depth++
	m.live = ^m.code.tracked | m.live&argRegs | frameReg
	m.openFrame()
	return true
}

// pop goes back to the caller's frame and returns the op it goes on with.
func (m *Machine) pop() (ret int32) {
	m.depth--
	f := &m.frames[m.depth]
	copy(m.reg[6:10], f.saved[:])
	m.fp -= frameSize
	m.reg[10] = m.stackBase + uint64(m.fp)
	m.loops = f.loops
	r0 := m.live & bit(0)
	if f.code != m.code { // a tail call in the subprogram
		m.Space.SetFixed(&f.code.fixed.Load().Fixed)
		m.Forget()
		m.code = f.code
		r0 = bit(0)
	}
	m.live = ^m.code.tracked | f.live&(savedRegs|frameReg) | r0
	f.code = nil
	return f.ret
}

// poll runs when n reaches stop: it ends the run if its budget is used up or
// it was cancelled, and says when to look next. It reports whether to go on.
func (m *Machine) poll(pc int) bool {
	if m.n >= m.budget {
		m.why = fault{err: ErrBudget}
		return false
	}
	vcpu.GiveWay()
	if m.cancelled() {
		return false
	}
	m.stop = min(m.n+pollEvery, m.budget)
	if m.Observe != nil {
		m.stop = m.n + 1
		if c := m.code.ops[pc].code; c == opNeed || c == opLive {
			m.stop = m.n // the instruction itself comes next
		} else {
			m.Observe(m.code, int(m.code.pcs[pc]), &m.reg)
		}
	}
	return true
}

// cancelled reports whether the run was cancelled, and why says so then.
func (m *Machine) cancelled() bool {
	if m.done == nil {
		return false
	}
	select {
	case <-m.done:
		m.why = fault{err: context.Cause(m.context), bare: true}
		return true
	default:
		return false
	}
}

// LimitCtx makes only the first n bytes of the program's layout of the context
// usable in this run.
func (m *Machine) LimitCtx(n uint32) { m.ctxLen = n }

// Limit makes n the number of instructions that the run may execute; 0: no
// limit.
func (m *Machine) Limit(n uint64) {
	if n == 0 {
		n = 1<<64 - 1
	}
	m.budget = n
}
