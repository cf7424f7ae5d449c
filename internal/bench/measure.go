//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/vm"
)

// A runner is one program in one engine.
type runner interface {
	// once runs it once.
	once() (uint32, error)
	// time runs it count times and returns what that took.
	time(count int) (time.Duration, error)
}

// The columns of the table.
const (
	clang = iota
	theKernel
	theJIT
	theInterp
	theChecked
	columns
)

var columnNames = [columns]string{"clang", "kernel", "jit", "interp", "checked"}

// A lane is one program in one engine, with what was measured so far.
type lane struct {
	runner runner
	count  int // runs per turn
	best   float64
}

// A row is one program in all engines.
type row struct {
	benchmark
	lanes [columns]*lane   // nil: does not run there
	why   [columns]string  // it does not
	net   [columns]float64 // nanoseconds, less those of trivial
	insns uint64           // that a run executes
}

// turn is how long a lane runs at a time.
const turn = 400 * time.Microsecond

func measure(o options) (*report, error) {
	base, err := newRow(o, trivial)
	if err != nil {
		return nil, err
	}
	rows := []*row{base}
	for _, b := range benchmarks {
		if !o.only.MatchString(b.object) {
			continue
		}
		r, err := newRow(o, b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.object, err)
		}
		rows = append(rows, r)
	}
	for i := range o.rounds {
		for _, r := range rows {
			for k := range columns {
				// Nobody is always the first after another program.
				if l := r.lanes[(k+i)%columns]; l != nil {
					if err := l.turn(); err != nil {
						return nil, fmt.Errorf("%s, %s: %w", r.object, columnNames[(k+i)%columns], err)
					}
				}
			}
		}
		fmt.Fprintf(os.Stderr, "\rround %d of %d", i+1, o.rounds)
	}
	fmt.Fprintln(os.Stderr)
	for _, r := range rows {
		for k, l := range r.lanes {
			if l != nil {
				r.net[k] = l.best - base.lanes[k].best
			}
		}
	}
	return newReport(o, base, rows[1:]), nil
}

// newRow makes b ready in every engine, and compares what they return.
func newRow(o options, b benchmark) (*row, error) {
	r := &row{benchmark: b}
	pkt := b.input()
	obj, err := elf.Open(filepath.Join(o.dir, b.object+".o"))
	if err != nil {
		return nil, err
	}
	set := func(column int, x runner, err error) {
		if err != nil {
			r.why[column] = err.Error()
			return
		}
		r.lanes[column] = &lane{runner: x}
	}
	n, err := newNative(o.dir, &b, pkt)
	switch {
	case err != nil:
		return nil, err
	case n == nil:
		r.why[clang] = b.note
	default:
		set(clang, n, nil)
	}
	k, err := newKernel(obj, &b, pkt)
	set(theKernel, k, err)
	for column, engine := range map[int]string{theJIT: "jit", theInterp: "interp", theChecked: "checked"} {
		e, err := vm.ParseEngine(engine)
		if err != nil {
			r.why[column] = "not built yet"
			continue
		}
		if column == theChecked {
			if r.insns, err = countInsns(obj, &b, pkt); err != nil {
				return nil, err
			}
		}
		if column == theChecked && !o.checked {
			r.why[column] = "not asked for"
			continue
		}
		s, err := newSkep(obj, e, &b, pkt)
		set(column, s, err)
	}
	return r, r.compare()
}

// compare reports an engine whose results are not those of the others. Programs
// may keep state, so it asks for several.
func (r *row) compare() error {
	for range 3 {
		first, want := -1, uint32(0)
		for k, l := range r.lanes {
			if l == nil {
				continue
			}
			got, err := l.runner.once()
			switch {
			case err != nil:
				return fmt.Errorf("%s: %w", columnNames[k], err)
			case first < 0:
				first, want = k, got
			case got != want:
				return fmt.Errorf("%s returns %#x, %s %#x", columnNames[first], want, columnNames[k], got)
			}
		}
	}
	return nil
}

// turn measures l for a while.
func (l *lane) turn() error {
	if l.count == 0 {
		d, err := l.runner.time(32)
		if err != nil {
			return err
		}
		l.count = int(max(min(turn*32/max(d, 1), 8192), 1))
		l.best = 1e18
	}
	d, err := l.runner.time(l.count)
	l.best = min(l.best, float64(d)/float64(l.count))
	return err
}
