//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/maps"
)

// A runner does operations on a map: ops a run, the keys from the seed on. It
// returns the last run's result and what all took.
type runner interface {
	time(seed uint64, runs int) (uint32, time.Duration, error)
}

// A test is a limit, and what it is held against.
type test struct {
	name  string
	what  string  // for the table
	limit float64 // for ours over theirs; 0: none
	free  bool    // the result depends on which entries were evicted

	ours, theirs lane
}

// A lane is one runner, with what was measured so far.
type lane struct {
	runner runner
	best   time.Duration // of a turn
}

// runs is how many a lane does in a turn: enough for it to fill the caches with
// what it uses.
const runs = 128

// nanoseconds returns what one operation took.
func (l *lane) nanoseconds() float64 { return float64(l.best) / (runs * ops) }

func (l *lane) turn(seed uint64) error {
	_, d, err := l.runner.time(seed, runs)
	if l.best == 0 || d < l.best {
		l.best = d
	}
	return err
}

func measure(o options) (*report, error) {
	tests, scales, err := setUp(o)
	if err != nil {
		return nil, err
	}
	for _, t := range tests {
		if err := t.compare(); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	turns := uint64(0) // every turn has a seed of its own: the generator's states in a row would be the same keys
	for i := range o.rounds {
		runtime.LockOSThread()
		for _, t := range tests {
			lanes := []*lane{&t.ours, &t.theirs}
			for k := range lanes {
				turns++
				if err := lanes[(k+i)%2].turn(key(turns)); err != nil {
					return nil, fmt.Errorf("%s: %w", t.name, err)
				}
			}
		}
		runtime.UnlockOSThread()
		for _, s := range scales {
			for range scaleTurns {
				turns += 3
				if err := s.turn(turns); err != nil {
					return nil, fmt.Errorf("%s on two goroutines: %w", s.name, err)
				}
			}
		}
		fmt.Fprintf(os.Stderr, "\rround %d of %d", i+1, o.rounds)
	}
	fmt.Fprintln(os.Stderr)
	return newReport(o, tests, scales), nil
}

// setUp makes all maps and programs.
func setUp(o options) (tests []*test, scales []*scale, err error) {
	for _, object := range []struct {
		name  string
		fill  func() (keys, values []byte)
		tests []*test
	}{
		{"hash", hashEntries, []*test{
			{name: "hash_lookup", what: "hash: lookups from a program", limit: 0.4},
			{name: "hash_go", what: "hash: lookups from Go, against a Go map", limit: 1},
			{name: "hash_typed", what: "hash: lookups from Go with maps.Typed, against a Go map", limit: 1},
			{name: "hash_mix", what: "hash: updates 1/2, deletions 1/4, lookups 1/4", limit: 1},
			{name: "hash_mostly", what: "hash: lookups, one update in 64"},
		}},
		{"lpm", trieEntries, []*test{
			{name: "lpm_lookup", what: "LPM trie: lookups", limit: 0.7},
			{name: "lpm_update", what: "LPM trie: updates", limit: 0.7},
			{name: "lpm_mostly", what: "LPM trie: lookups, one update in 64", limit: 0.7},
		}},
		{"lru", hashEntries, []*test{
			{name: "lru_lookup", what: "LRU hash: lookups", limit: 0.7, free: true},
			{name: "lru_update", what: "LRU hash: updates, half of them evict", limit: 0.7, free: true},
			{name: "lru_mix", what: "LRU hash: lookup, and update if there is none", limit: 0.7, free: true},
			{name: "lru_mostly", what: "LRU hash: lookups, one update in 64", limit: 0.7, free: true},
		}},
		{"ring", noEntries, []*test{
			{name: "ring_submit_8", what: "ring buffer: 8 bytes reserved, submitted and read", limit: ringLimit},
			{name: "ring_submit_64", what: "ring buffer: 64 bytes reserved, submitted and read", limit: ringLimit},
			{name: "ring_submit_512", what: "ring buffer: 512 bytes reserved, submitted and read", limit: ringLimit},
			{name: "ring_output_8", what: "ring buffer: 8 bytes output and read", limit: ringLimit},
			{name: "ring_output_64", what: "ring buffer: 64 bytes output and read", limit: ringLimit},
			{name: "ring_output_384", what: "ring buffer: 384 bytes output and read", limit: ringLimit},
		}},
	} {
		var wanted []*test
		for _, t := range object.tests {
			if o.only.MatchString(t.name) {
				wanted = append(wanted, t)
			}
		}
		if wanted == nil {
			continue
		}
		obj, err := elf.Open(filepath.Join(o.dir, object.name+".o"))
		if err != nil {
			return nil, nil, err
		}
		keys, values := object.fill()
		theirs, err := kernel(obj, keys, values)
		if err != nil {
			return nil, nil, fmt.Errorf("kernel: %w", err)
		}
		ours, m, err := skep(obj, keys, values)
		if err != nil {
			return nil, nil, err
		}
		for _, t := range wanted {
			if err := t.setUp(ours[t.name], theirs[t.name], m); err != nil {
				return nil, nil, fmt.Errorf("%s: %w", t.name, err)
			}
			switch t.name {
			case "hash_go":
				scales = append(scales, &scale{name: t.name, what: t.what, one: &fromGo{m: m("table")}, two: &fromGo{m: m("table")}})
			case "hash_lookup", "hash_mostly", "lpm_lookup", "lpm_mostly", "lru_lookup", "lru_mostly":
				p := ours[t.name].prog
				scales = append(scales, &scale{name: t.name, what: t.what, one: newInSkep(p), two: newInSkep(p)})
			}
		}
		tests = append(tests, wanted...)
	}
	return tests, scales, nil
}

// setUp makes what is compared: mostly the program of this name in skep and in the
// kernel. m returns skep's maps by name.
func (t *test) setUp(ours *inSkep, theirs *inKernel, m func(name string) maps.Map) (err error) {
	switch {
	case t.name == "hash_go":
		t.ours.runner, t.theirs.runner = &fromGo{m: m("table")}, newGoMap()
	case t.name == "hash_typed":
		table, err := maps.NewTyped[uint64, uint64](m("table"))
		t.ours.runner, t.theirs.runner = typed{table}, newGoMap()
		return err
	case strings.HasPrefix(t.name, "ring_"):
		if t.ours.runner, err = skepRing(ours.prog, m("ring"), m("state")); err == nil {
			t.theirs.runner, err = kernelRing(theirs.prog, theirs.maps["ring"], theirs.maps["state"])
		}
	default:
		t.ours.runner, t.theirs.runner = ours, theirs
	}
	return err
}

// ringLimit is that of a ring buffer: at least one and a half times as many records
// in the same time.
const ringLimit = 1 / 1.5

// noEntries is for maps that are not filled.
func noEntries() (keys, values []byte) { return nil, nil }

// compare reports results that differ.
func (t *test) compare() error {
	for seed := uint64(1); seed < 10 && !t.free; seed++ {
		ours, _, err := t.ours.runner.time(seed, 5)
		if err != nil {
			return err
		}
		theirs, _, err := t.theirs.runner.time(seed, 5)
		if err != nil {
			return err
		}
		if ours != theirs {
			return fmt.Errorf("seed %d: result %#x, and not %#x", seed, ours, theirs)
		}
	}
	return nil
}

// processorTime returns what this thread has computed. What others do on the
// same processors meanwhile does not count.
func processorTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic("BUG: " + err.Error())
	}
	return time.Duration(t.Nano())
}

// A scale is a load on one goroutine, and on two.
type scale struct {
	name, what string
	one, two   runner
	alone      time.Duration
	both       time.Duration
	spinAlone  time.Duration
	spinBoth   time.Duration
}

// On a machine with other work, both processors are free for moments only.
const (
	scaleRuns  = 8
	scaleTurns = 8 // in a round
)

// turn measures the load and native code that spins, each alone and twice.
func (s *scale) turn(turn uint64) error {
	for _, x := range []struct {
		a, b runner
		best *time.Duration
		seed uint64 // no keys are used twice: they would be in the cache
	}{{spin{}, nil, &s.spinAlone, 0}, {spin{}, spin{}, &s.spinBoth, 0}, {s.one, nil, &s.alone, 0}, {s.one, s.two, &s.both, 1}} {
		var second error
		done := make(chan struct{})
		ready := make(chan struct{})
		go func() {
			defer close(done)
			ready <- struct{}{}
			if x.b != nil {
				_, _, second = x.b.time(key(turn+2), scaleRuns)
			}
		}()
		<-ready
		begun := time.Now()
		_, _, err := x.a.time(key(turn+x.seed), scaleRuns)
		<-done
		d := time.Since(begun)
		if err = errors.Join(err, second); err != nil {
			return err
		}
		if *x.best == 0 || d < *x.best {
			*x.best = d
		}
	}
	return nil
}

// gain returns how many times the work of one goroutine two did in the same
// time, and the same of spinning.
func (s *scale) gain() (load, native float64) {
	return 2 * float64(s.alone) / float64(s.both), 2 * float64(s.spinAlone) / float64(s.spinBoth)
}

// spin computes and touches no memory.
type spin struct{}

func (spin) time(seed uint64, runs int) (uint32, time.Duration, error) {
	begun := processorTime()
	s := seed
	for range runs * ops * 8 {
		s = next(s)
	}
	return uint32(s), processorTime() - begun, nil
}
