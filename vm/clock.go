package vm

import (
	"slices"
	"sync"
	"time"

	"github.com/skepvm/skep/helpers"
)

// A ManualClock is a clock that the host moves: for tests, simulations and
// replays. All of a program's clocks show the same time, and timers of map values
// fire when Advance comes to their time. The zero ManualClock stands at 0.
// Methods may be called from any goroutine, Advance not from a callback.
type ManualClock struct {
	mu    sync.Mutex
	now   uint64 // nanoseconds
	count uint64 // of alarms that there were
	due   []alarm
}

// An alarm is something to do at a time; those of the same time come in the
// order in which they were made.
type alarm struct {
	at, id uint64
	f      func()
}

// Host returns h with the clock's functions in it.
func (c *ManualClock) Host(h helpers.Host) helpers.Host {
	h.Now, h.After = c.Now, c.After
	return h
}

// Now is helpers.Host.Now.
func (c *ManualClock) Now(clock helpers.Clock) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if clock == helpers.ClockJiffies {
		return c.now / uint64(jiffy)
	}
	return c.now
}

// After is helpers.Host.After.
func (c *ManualClock) After(d time.Duration, f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	a := alarm{c.now + uint64(max(d, 0)), c.count, f}
	if a.at < c.now {
		a.at = 1<<64 - 1
	}
	i, _ := slices.BinarySearchFunc(c.due, a, func(x, y alarm) int {
		if x.at < y.at || x.at == y.at && x.id < y.id {
			return -1
		}
		return 1
	})
	c.due = slices.Insert(c.due, i, a)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		n := len(c.due)
		c.due = slices.DeleteFunc(c.due, func(x alarm) bool { return x.id == a.id })
		return len(c.due) < n
	}
}

// Advance moves the clock by d, and stops on the way for what is due: each
// callback finds the clock at its time, and runs to its end on the caller's
// goroutine before the next. It returns how many there were.
func (c *ManualClock) Advance(d time.Duration) (n int) {
	c.mu.Lock()
	until := c.now + uint64(max(d, 0))
	for len(c.due) > 0 && c.due[0].at <= until {
		a := c.due[0]
		c.due = slices.Delete(c.due, 0, 1)
		c.now = max(c.now, a.at)
		c.mu.Unlock()
		a.f()
		n++
		c.mu.Lock()
	}
	c.now = until
	c.mu.Unlock()
	return n
}
