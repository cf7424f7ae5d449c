package vm

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
)

// Timers of map values. A timer goes with its value: when that is deleted or
// overwritten, or the map closed (maps.OnEnd). Its callback is a function of a
// collection's program and goes with the collection. It runs on a goroutine of
// the clock's, as a run of its own: with the collection's limit, counted in the
// program's Stats.

// A timer is one of them, from timer_init on.
type timer struct {
	m     maps.Map
	addr  uint64
	clock helpers.Clock

	mu      sync.Mutex
	ended   bool
	prog    *Program // whose function fn is; nil: there is no callback
	fn      uint64
	start   uint64      // counts starts and cancels: who comes for an earlier one is late
	stop    func() bool // takes back the latest start; nil: it is over
	running chan struct{}
	waited  int // callbacks of other timers that wait for this one's end
}

// allTimers are the timers of the process, by their address.
var allTimers sync.Map

// Flags of timer_init and timer_start (include/uapi/linux/bpf.h, time.h).
const (
	clockRealtime  = 0
	clockMonotonic = 1
	clockBoot      = 7

	timerAbs    = 1 << 0
	timerCPUPin = 1 << 1
)

// Timers implements helpers.Env.
func (s *slot) Timers() helpers.Timers { return (*slotTimers)(s) }

// slotTimers is what a run may do with timers.
type slotTimers slot

var errNoTimer = errors.New("there is no timer there")

// find returns the timer at addr; nil if it was not initialised, and !ok if no
// proof says that there is one, and there is none.
func (x *slotTimers) find(addr uint64) (t *timer, ok bool) {
	s := (*slot)(x)
	if s.exec == &s.reference && !s.isSpecial(addr, "bpf_timer") {
		s.Abort(fmt.Errorf("%#x: %w", addr, errNoTimer))
		return nil, false
	}
	v, _ := allTimers.Load(addr)
	t, _ = v.(*timer)
	return t, true
}

func (x *slotTimers) Init(addr uint64, m maps.Map, flags uint64) error {
	var clock helpers.Clock
	switch flags {
	case clockRealtime:
		clock = helpers.ClockRealtime
	case clockMonotonic:
		clock = helpers.ClockMonotonic
	case clockBoot:
		clock = helpers.ClockBoot
	default:
		return errno.EINVAL
	}
	if old, ok := x.find(addr); !ok {
		return errno.EINVAL
	} else if old != nil {
		return errno.EBUSY
	}
	t := &timer{m: m, addr: addr, clock: clock}
	if _, taken := allTimers.LoadOrStore(addr, t); taken {
		return errno.EBUSY
	}
	if err := maps.OnEnd(m, addr, t.end); err != nil {
		allTimers.CompareAndDelete(addr, t)
		return err
	}
	return nil
}

func (x *slotTimers) SetCallback(addr, fn uint64) error {
	t, _ := x.find(addr)
	if t == nil {
		return errno.EINVAL
	}
	p := (*slot)(x).exec.running()
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended:
		return errno.EINVAL
	case t.prog != nil && t.prog.coll != p.coll:
		t.prog.coll.forgetTimer(t)
	}
	if !p.coll.keepTimer(t) {
		return errno.EPERM
	}
	t.prog, t.fn = p, fn
	return nil
}

func (x *slotTimers) Start(addr, ns, flags uint64) error {
	if flags&^(timerAbs|timerCPUPin) != 0 {
		return errno.EINVAL
	}
	t, _ := x.find(addr)
	if t == nil {
		return errno.EINVAL
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.prog == nil {
		return errno.EINVAL
	}
	host := t.prog.coll.host
	if flags&timerAbs != 0 {
		if now := host.Now(t.clock); now < ns {
			ns -= now
		} else {
			ns = 0
		}
	}
	if ns > math.MaxInt64 {
		ns = 0 // negative, to the kernel
	}
	var pin *vcpu.CPU
	if cpu := (*slot)(x).lease; flags&timerCPUPin != 0 && cpu.Index() >= 0 {
		pin = cpu
	}
	t.disarm()
	start := t.start
	t.stop = host.After(time.Duration(ns), func() { t.fire(start, pin) })
	return nil
}

// disarm takes back the latest start, and reports whether it was in time. The
// caller has the timer's lock.
func (t *timer) disarm() (active bool) {
	t.start++
	active = t.stop != nil
	if active {
		t.stop()
	}
	t.stop = nil
	return active
}

func (x *slotTimers) Cancel(addr uint64) (active bool, err error) {
	t, _ := x.find(addr)
	if t == nil {
		return false, errno.EINVAL
	}
	if own := x.timer; own == t {
		return false, errno.EDEADLK
	} else if own != nil {
		t.wait(1)
		defer t.wait(-1)
		if own.isWaitedFor() {
			return false, errno.EDEADLK
		}
	}
	t.mu.Lock()
	t.setCallback(nil)
	active = t.disarm()
	running := t.running
	t.mu.Unlock()
	if running != nil {
		var done <-chan struct{}
		if ctx := x.run.Context; ctx != nil {
			done = ctx.Done()
		}
		select {
		case <-running:
		case <-done: // the run is over as soon as it looks
		}
	}
	return active, nil
}

func (t *timer) wait(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waited += n
}

func (t *timer) isWaitedFor() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waited > 0
}

// setCallback makes p the program whose function is called, or nil. The caller
// has the timer's lock.
func (t *timer) setCallback(p *Program) {
	if t.prog != nil && (p == nil || p.coll != t.prog.coll) {
		t.prog.coll.forgetTimer(t)
	}
	t.prog = p
}

// end is called when the value is gone. A callback that runs goes on to its end.
func (t *timer) end() {
	allTimers.CompareAndDelete(t.addr, t)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.setCallback(nil)
	t.disarm()
}

// fire is what the clock calls for a start.
func (t *timer) fire(start uint64, pin *vcpu.CPU) {
	for {
		t.mu.Lock()
		if t.start != start || t.prog == nil {
			t.mu.Unlock()
			return
		}
		p, fn, before := t.prog, t.fn, t.running
		t.mu.Unlock()
		if before != nil { // it has started itself again
			<-before
			continue
		}
		cpu := leaseFor(pin, func() bool { return t.isLate(start) })
		if cpu == nil {
			return
		}
		if t.begin(start, p) {
			t.call(p, fn, cpu)
			return
		}
		cpu.Release()
	}
}

// leaseFor leases a virtual CPU, of which pin is the only one that will do unless
// it is nil; nil if late says that there is no hurry any more.
func leaseFor(pin *vcpu.CPU, late func() bool) *vcpu.CPU {
	if pin == nil {
		return vcpu.Lease()
	}
	for !pin.Try() {
		if late() {
			return nil
		}
		time.Sleep(20 * time.Microsecond)
	}
	return pin
}

func (t *timer) isLate(start uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.start != start || t.prog == nil
}

// begin notes that the callback runs, unless it is to be another's turn.
func (t *timer) begin(start uint64, p *Program) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.start != start || t.prog != p || t.running != nil {
		return false
	}
	t.stop = nil
	t.running = make(chan struct{})
	return true
}

// call runs the callback on cpu, and reports its error.
//
// Sound: the lease began before the timer was found to be alive, so its value
// stays what it is until the lease ends, whoever deletes it meanwhile.
func (t *timer) call(p *Program, fn uint64, cpu *vcpu.CPU) {
	report := p.coll.opts.CallbackError
	defer func() {
		if report == nil {
			t.over()
			return
		}
		r := recover()
		t.over()
		if r != nil {
			report(p, fmt.Errorf("panic in a timer's callback: %v\n%s", r, debug.Stack()))
		}
	}()
	err := p.runTimer(t, fn, cpu)
	if err != nil && report != nil {
		report(p, err)
	}
}

// over notes that the callback runs no more.
func (t *timer) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.running)
	t.running = nil
}

// runTimer runs function fn of p for t.
func (p *Program) runTimer(t *timer, fn uint64, cpu *vcpu.CPU) error {
	if p.coll.closed.Load() {
		cpu.Release()
		return nil
	}
	s := slotOf(cpu)
	s.lease = cpu
	s.begin(p)
	defer s.close()
	key, value, ok := maps.EntryAt(t.m, t.addr)
	if !ok {
		return fmt.Errorf("program %s: the value of a timer of map %q is gone", p.name, t.m.Spec().Name)
	}
	s.timer = t
	own := slices.Clone(key) // the map's is nobody's to write
	_, err := s.exec.enter(fn, s.machine.HandleOf(t.m), s.machine.Space.Add("key of a timer's value", mem.Plain, own, true), s.Share(value))
	s.ok = err == nil
	return err
}

// keepTimer notes that t calls a function of c, unless c is closed.
func (c *Collection) keepTimer(t *timer) bool {
	c.timersMu.Lock()
	defer c.timersMu.Unlock()
	if c.closed.Load() {
		return false
	}
	if c.timers == nil {
		c.timers = map[*timer]struct{}{}
	}
	c.timers[t] = struct{}{}
	return true
}

func (c *Collection) forgetTimer(t *timer) {
	c.timersMu.Lock()
	defer c.timersMu.Unlock()
	delete(c.timers, t)
}

// endTimers takes back the starts of all timers that call functions of c, which
// is closed.
func (c *Collection) endTimers() {
	c.timersMu.Lock()
	timers := c.timers
	c.timers = nil
	c.timersMu.Unlock()
	for t := range timers {
		t.mu.Lock()
		if t.prog != nil && t.prog.coll == c {
			t.prog = nil
			t.disarm()
		}
		t.mu.Unlock()
	}
}
