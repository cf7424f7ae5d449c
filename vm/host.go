package vm

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/skepvm/skep/helpers"
)

// fillHost returns h with its nil fields filled: with real things, or with
// repeatable ones.
func fillHost(h helpers.Host, deterministic bool) *helpers.Host {
	if h.Now == nil {
		h.Now = realClock
		if deterministic {
			h.Now = steppingClock()
		}
	}
	if h.After == nil {
		h.After = func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
		if deterministic {
			h.After = func(time.Duration, func()) func() bool { return func() bool { return true } }
		}
	}
	if h.Random == nil {
		h.Random = rand.Uint32
		if deterministic {
			h.Random = seededRandom()
		}
	}
	if h.Trace == nil {
		h.Trace = func(string) {}
	}
	if h.PidTgid == nil {
		h.PidTgid = func() uint64 { return 0 }
	}
	if h.UidGid == nil {
		h.UidGid = func() uint64 { return 0 }
	}
	if h.Comm == nil {
		h.Comm = func() string { return "" }
	}
	return &h
}

var started = time.Now()

// jiffy is the unit of jiffies: HZ is 250.
const jiffy = 4 * time.Millisecond

// taiOffset is how far TAI is ahead of UTC, since 2017.
const taiOffset = 37 * time.Second

// realClock reads the host's clocks. Those that count from boot count from the
// start of the process: Go has no portable way to know when the host started.
func realClock(c helpers.Clock) uint64 {
	switch c {
	case helpers.ClockTAI:
		return uint64(time.Now().Add(taiOffset).UnixNano())
	case helpers.ClockRealtime:
		return uint64(time.Now().UnixNano())
	case helpers.ClockJiffies:
		return uint64(time.Since(started) / jiffy)
	}
	return uint64(time.Since(started))
}

// steppingClock returns a clock that starts at one second and advances by
// 1000 ns whenever it is read.
func steppingClock() func(helpers.Clock) uint64 {
	var reads atomic.Uint64
	return func(c helpers.Clock) uint64 {
		ns := uint64(time.Second) + reads.Add(1)*1000
		if c == helpers.ClockJiffies {
			return ns / uint64(jiffy)
		}
		return ns
	}
}

// seededRandom returns a generator that gives the same numbers in every
// process: splitmix64 (Steele, Lea and Flood, OOPSLA 2014) over a counter.
func seededRandom() func() uint32 {
	var state atomic.Uint64
	return func() uint32 {
		z := state.Add(0x9e3779b97f4a7c15)
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		return uint32((z ^ z>>31) >> 32)
	}
}
