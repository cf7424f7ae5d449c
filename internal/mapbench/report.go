//go:build linux && amd64

package main

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/skepvm/skep/internal/oracle"
)

// scaleLimit is what two goroutines have to gain, of what native code gains.
const scaleLimit = 0.9

// A report is what was measured.
type report struct {
	Host   string        `json:"host"`
	Kernel string        `json:"kernel"`
	Rounds int           `json:"rounds"`
	Tests  []testReport  `json:"tests"`
	Scales []scaleReport `json:"two_goroutines"`
}

type testReport struct {
	Name   string  `json:"name"`
	What   string  `json:"what"`
	Ours   float64 `json:"skep_ns"`
	Theirs float64 `json:"other_ns"`
	Ratio  float64 `json:"ratio"`
	Limit  float64 `json:"limit,omitempty"`
}

type scaleReport struct {
	Name   string  `json:"name"`
	What   string  `json:"what"`
	Gain   float64 `json:"gain"`
	Native float64 `json:"native_gain"`
	Ratio  float64 `json:"ratio"`
}

func newReport(o options, tests []*test, scales []*scale) *report {
	cpu, kernel := oracle.Machine()
	r := &report{Host: cpu, Kernel: kernel, Rounds: o.rounds}
	for _, t := range tests {
		a, b := t.ours.nanoseconds(), t.theirs.nanoseconds()
		r.Tests = append(r.Tests, testReport{t.name, t.what, round(a), round(b), round(a / b), t.limit})
	}
	for _, s := range scales {
		load, native := s.gain()
		r.Scales = append(r.Scales, scaleReport{s.name, s.what, round(load), round(native), round(load / native)})
	}
	return r
}

func round(x float64) float64 { return math.Round(x*100) / 100 }

// met reports whether every limit is met.
func (r *report) met() bool {
	for _, t := range r.Tests {
		if t.Limit != 0 && t.Ratio > t.Limit {
			return false
		}
	}
	for _, s := range r.Scales {
		if s.Ratio < scaleLimit {
			return false
		}
	}
	return true
}

func (r *report) json() string {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(b) + "\n"
}

func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Maps\n\nWritten by `make bench-maps`; internal/mapbench says how. Nanoseconds per operation, least of %d interleaved\n"+
		"rounds of one process: a million entries, random keys. Keys and values have 8 bytes; prefixes are of IPv4, mixed\n"+
		"as in a table of Internet routes. %s, Linux %s.\n\n"+
		"| | skep | kernel (Go map) | ratio | limit |\n|---|--:|--:|--:|--:|\n", r.Rounds, r.Host, r.Kernel)
	for _, t := range r.Tests {
		limit := "–"
		if t.Limit != 0 {
			limit = fmt.Sprintf("%.2g", t.Limit)
		}
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.2f | %s |\n", t.What, t.Ours, t.Theirs, t.Ratio, limit)
	}
	fmt.Fprintf(&b, "\nThe work that two goroutines do in the time of one, in multiples of what one does, beside that of native code that\n"+
		"touches no memory:\n\n| | gain | native gain | ratio | limit |\n|---|--:|--:|--:|--:|\n")
	for _, s := range r.Scales {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f | %.2f | %.1f |\n", s.What, s.Gain, s.Native, s.Ratio, scaleLimit)
	}
	return b.String()
}
