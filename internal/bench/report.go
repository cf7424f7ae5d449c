//go:build linux && amd64

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/skepvm/skep/internal/oracle"
)

// A report is what was measured.
type report struct {
	Host     string             `json:"host"`
	Kernel   string             `json:"kernel"`
	Rounds   int                `json:"rounds"`
	Trivial  map[string]float64 `json:"trivial_ns"`
	Programs []programReport    `json:"programs"`
	Means    map[string]float64 `json:"geometric_means"`
}

// A programReport is one program in nanoseconds per run, by engine.
type programReport struct {
	Name string `json:"name"`
	// Insns is how many instructions a run executes, beyond those of the trivial program.
	Insns uint64             `json:"instructions"`
	Net   map[string]float64 `json:"net_ns"`
	Not   map[string]string  `json:"not_measured,omitempty"`
	Note  string             `json:"note,omitempty"`
}

func newReport(o options, base *row, rows []*row) *report {
	cpu, kernel := oracle.Machine()
	r := &report{Host: cpu, Kernel: kernel, Rounds: o.rounds, Trivial: map[string]float64{}, Means: map[string]float64{}}
	for k, l := range base.lanes {
		if l != nil {
			r.Trivial[columnNames[k]] = round(l.best)
		}
	}
	for _, x := range rows {
		p := programReport{Name: x.object, Insns: x.insns - base.insns, Net: map[string]float64{}, Not: map[string]string{}, Note: x.note}
		for k, l := range x.lanes {
			if l != nil {
				p.Net[columnNames[k]] = round(x.net[k])
			} else {
				p.Not[columnNames[k]] = x.why[k]
			}
		}
		r.Programs = append(r.Programs, p)
	}
	for _, pair := range [][2]int{{theJIT, theKernel}, {theJIT, clang}, {theKernel, clang}, {theInterp, theJIT}, {theChecked, theJIT}} {
		if m, n := r.mean(pair[0], pair[1]); n > 0 {
			r.Means[columnNames[pair[0]]+"/"+columnNames[pair[1]]] = math.Round(m*1000) / 1000
		}
	}
	return r
}

func round(ns float64) float64 { return math.Round(ns*100) / 100 }

// ratio returns what p takes in engine a over what it takes in b.
func (p *programReport) ratio(a, b int) (r float64, ok bool) {
	x, ok1 := p.Net[columnNames[a]]
	y, ok2 := p.Net[columnNames[b]]
	return x / y, ok1 && ok2 && x > 0 && y > 0
}

// mean returns the geometric mean of the ratios of a to b, and how many there
// are.
func (r *report) mean(a, b int) (m float64, n int) {
	sum := 0.0
	for i := range r.Programs {
		if x, ok := r.Programs[i].ratio(a, b); ok {
			sum += math.Log(x)
			n++
		}
	}
	return math.Exp(sum / float64(n)), n
}

// perInsn returns how many nanoseconds the fast interpreter takes per instruction
// of p.
func (p *programReport) perInsn() (ns float64, ok bool) {
	x, ok := p.Net[columnNames[theInterp]]
	return x / float64(p.Insns), ok && p.Insns > 0
}

// perInsn returns that of all programs, in order.
func (r *report) perInsn() (xs []float64) {
	for i := range r.Programs {
		if x, ok := r.Programs[i].perInsn(); ok {
			xs = append(xs, x)
		}
	}
	slices.Sort(xs)
	return xs
}

func (r *report) json() string {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(b) + "\n"
}

// markdown returns the table.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\nWritten by `make bench`; internal/bench says how. Nanoseconds per run, less what the engine takes for a\n"+
		"program that does nothing, least of %d interleaved rounds of one process. %s, Linux %s. clang is\n"+
		"`clang-19 -O3 -fno-vectorize -fno-slp-vectorize` of the same C; both skep and the kernel run what\n"+
		"`clang-19 -O2 -target bpf -mcpu=v3` makes of it (mix and bswap: v4). Loops are kept from being unrolled in both.\n\n", r.Rounds, r.Host, r.Kernel)
	b.WriteString("| program | clang | kernel | jit | interp | checked | jit/kernel | jit/clang | interp/insn | |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	for i := range r.Programs {
		p := &r.Programs[i]
		fmt.Fprintf(&b, "| %s |", p.Name)
		for k := range columns {
			if ns, ok := p.Net[columnNames[k]]; ok {
				fmt.Fprintf(&b, " %.0f |", ns)
			} else {
				b.WriteString(" – |")
			}
		}
		for _, to := range []int{theKernel, clang} {
			if x, ok := p.ratio(theJIT, to); ok {
				fmt.Fprintf(&b, " %.2f |", x)
			} else {
				b.WriteString(" – |")
			}
		}
		if x, ok := p.perInsn(); ok {
			fmt.Fprintf(&b, " %.2f |", x)
		} else {
			b.WriteString(" – |")
		}
		note := p.Note
		if why := p.Not[columnNames[theKernel]]; why != "" {
			note += " kernel: " + why
		}
		if why := p.Not[columnNames[theJIT]]; why != "" {
			note += " jit: " + why
		}
		fmt.Fprintf(&b, " %s |\n", note)
	}
	b.WriteString("\nGeometric means:")
	for _, pair := range [][2]int{{theJIT, theKernel}, {theJIT, clang}, {theKernel, clang}, {theInterp, theJIT}, {theChecked, theJIT}} {
		if m, n := r.mean(pair[0], pair[1]); n > 0 {
			fmt.Fprintf(&b, " %s/%s %.3f (%d programs);", columnNames[pair[0]], columnNames[pair[1]], m, n)
		}
	}
	if xs := r.perInsn(); len(xs) > 0 {
		at := func(q int) float64 { return xs[(len(xs)-1)*q/100] }
		fmt.Fprintf(&b, "\nthe fast interpreter takes, per executed instruction, %.2f to %.2f ns: half of the programs at most %.2f, three\n"+
			"quarters %.2f, nine in ten %.2f (interp/insn);", xs[0], at(100), at(50), at(75), at(90))
	}
	b.WriteString("\nthe trivial program takes")
	for k := range columns {
		if ns, ok := r.Trivial[columnNames[k]]; ok {
			fmt.Fprintf(&b, " %.1f (%s)", ns, columnNames[k])
		}
	}
	b.WriteString(".\n\n![the same as a plot](bench.svg)\n\nWhat it costs to enter and to leave machine code: [entry.md](entry.md). What it costs to make:\n[compile.md](compile.md).\n")
	return b.String()
}
