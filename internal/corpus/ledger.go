package main

import (
	"fmt"
	"os"
	"strings"
)

// A ledger explains verdicts of skep's that differ from those of its peers. A
// line has, separated by tabs: what differs ("skep refuses", "kernel refuses"),
// object, section, function, "policy" or "imprecision" or "precision", and the
// reason. Empty lines and those that begin with # are comments.
type ledger struct {
	entries map[string]*entry
	order   []*entry
}

type entry struct {
	side, program, class, reason string
	used                         bool
}

func readLedger(name string) (*ledger, error) {
	l := &ledger{entries: map[string]*entry{}}
	if name == "" {
		return l, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	at := 0
	for line := range strings.Lines(string(text)) {
		at++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 6 {
			return nil, fmt.Errorf("%s:%d: %d fields separated by tabs; 6 are needed", name, at, len(f))
		}
		e := &entry{side: f[0], program: f[1] + ":" + f[2] + ":" + f[3], class: f[4], reason: f[5]}
		if e.side != skepRefuses && e.side != kernelRefuses {
			return nil, fmt.Errorf("%s:%d: %q is not %q or %q", name, at, e.side, skepRefuses, kernelRefuses)
		}
		if l.entries[e.side+e.program] != nil {
			return nil, fmt.Errorf("%s:%d: %s has an entry already", name, at, e.program)
		}
		l.entries[e.side+e.program] = e
		l.order = append(l.order, e)
	}
	return l, nil
}

const (
	skepRefuses   = "skep refuses"
	kernelRefuses = "kernel refuses"
)

// explain returns the entry for r, marking it used; nil if there is none.
func (l *ledger) explain(side string, r *row) *entry {
	e := l.entries[side+r.name()]
	if e != nil {
		e.used = true
	}
	return e
}
