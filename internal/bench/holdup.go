//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/internal/spin"
	"github.com/skepvm/skep/vm"
)

// A holdup is how a program that never ends held up others.
type holdup struct {
	stops, cancels spin.Distribution

	// Of trials in which a processor was there for nobody (witness).
	without spin.Distribution // the longer of both
}

// measureHoldup does so many trials.
func measureHoldup(w *witness, trials int, trial func() (spin.Held, error)) (h holdup, err error) {
	all := make([]spin.Held, 0, trials)
	rest := time.Now()
	for len(all) < trials {
		x, err := trial()
		if err != nil {
			return h, err
		}
		all = append(all, x)
		if time.Since(rest) > share {
			time.Sleep(pause)
			rest = time.Now()
		}
	}
	time.Sleep(pause) // the witness has said all
	for _, x := range all {
		if w.saw(x.From, x.Stop+x.Cancel) {
			h.without = append(h.without, max(x.Stop, x.Cancel))
			continue
		}
		h.stops, h.cancels = append(h.stops, x.Stop), append(h.cancels, x.Cancel)
	}
	return h, nil
}

// Whoever runs in real time gets 950 of 1000 milliseconds (sched(7), "Limiting the
// CPU usage of real-time and deadline processes"), and would wait for the rest.
const (
	share = 600 * time.Millisecond
	pause = 200 * time.Millisecond
)

// holdups measures programs that never end, and returns a table, and what there is
// to say about it.
func holdups(trials int) (string, error) {
	w, err := newWitness()
	if err != nil {
		return "", err
	}
	defer w.close()
	lab, err := spin.NewLab(1 << 20)
	if err != nil {
		return "", err
	}
	defer lab.Close()
	var b strings.Builder
	b.WriteString("| program | engine | stop: p50 | p99 | max | cancel: p50 | p99 | max | without a processor | their max |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	var total, without, long int
	row := func(name, engine string, trials int, trial func() (spin.Held, error)) error {
		h, err := measureHoldup(w, trials, trial)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(&b, "| %s | %s |", name, engine)
		for _, d := range []spin.Distribution{h.stops, h.cancels} {
			for _, x := range []time.Duration{d.At(.5), d.At(.99), d.Max()} {
				fmt.Fprintf(&b, " %d |", x.Microseconds())
			}
			for _, x := range d {
				if x > time.Millisecond {
					long++
				}
			}
		}
		fmt.Fprintf(&b, " %d | %d |\n", len(h.without), h.without.Max().Microseconds())
		total, without = total+trials, without+len(h.without)
		fmt.Fprintf(os.Stderr, "\r%-40s", name)
		return nil
	}
	for _, p := range spin.Programs {
		for _, e := range []vm.Engine{vm.JIT, vm.Interp} {
			c, err := lab.Load(p, e)
			if err != nil {
				return "", err
			}
			err = row(p.Name, string(e), trials, func() (spin.Held, error) { return lab.Trial(c) })
			c.Close()
			if err != nil {
				return "", err
			}
		}
	}
	fmt.Fprintf(&b, "\nOf %d trials, %d took longer than a millisecond though the processors were there; %d were without one.\n", total, long, without)
	table := b.String()
	b.Reset()
	total, without, long = 0, 0, 0
	err = row("*a loop in Go, for comparison*", "", loops*trials, spin.TrialGo)
	fmt.Fprintln(os.Stderr)
	last := b.String()
	at := strings.LastIndex(table, "\n\n") + 1
	return table[:at] + last + table[at:] + fmt.Sprintf("Of %d of the loop in Go, %d and %d.\n", total, long, without), err
}

// loops is how many times as many trials the loop in Go has: what is rare in all
// other rows together should be seen in this one.
const loops = 10

// entryReport returns docs/entry.md.
func entryReport(rounds, trials int) (string, error) {
	costs, err := entryCosts(rounds)
	if err != nil {
		return "", err
	}
	waits, err := holdups(trials)
	if err != nil {
		return "", err
	}
	cpu, kernel := oracle.Machine()
	return fmt.Sprintf("# Entering and leaving machine code\n\nWritten by `make bench`; internal/bench says how. %s, Linux %s, %d processors%s.\n"+
		"Least of %d interleaved rounds of one process.\n\n%s\n## How long programs that never end hold up others\n\n"+
		"Microseconds, %d trials each (internal/spin): until the world has stopped, and until the run has returned after its\n"+
		"context was cancelled. Trials during which a processor was there for nobody count apart: a thread that goes before\n"+
		"all others, and that no program can hold up, waited for it, since what is below this kernel had it, or the kernel\n"+
		"itself. The last line is a loop in Go that calls and looks at its context, %d times as often: what it shows\n"+
		"every line has.\n\n%s", cpu, kernel, runtime.NumCPU(), priority(), rounds*10, costs, trials, loops, waits), nil
}

// priority says that the process goes before others, if it does (chrt -f 10), which
// is as good as an idle machine.
func priority() string {
	if a, err := unix.SchedGetAttr(0, 0); err == nil && a.Policy == unix.SCHED_FIFO {
		return ", in real time"
	}
	return ""
}
