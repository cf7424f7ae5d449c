package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A point is a place in a file that some mutants change: an expression, or a
// statement that may be left out.
type point struct {
	start, end int // in the file's source
	kind       pointKind
	typ        string // of a value, as the file spells it
	mutants    []*mutant
}

type pointKind uint8

const (
	condition pointKind = iota
	value
	statement
)

// A mutant is one change.
type mutant struct {
	id       int
	file     string // path from the root of the module
	function string
	operator string
	right    string // the text at the point, in one line
	wrong    string // what is there instead; "" for a statement
	ordinal  int    // among equal names
	hash     string // of the function's text

	verdict verdict
	killer  string
}

// name identifies the mutant as long as its function does not change there.
func (m *mutant) name() string {
	s := m.file + " " + m.function + ": " + m.operator + ": " + m.right
	if m.wrong != "" {
		s += " => " + m.wrong
	}
	if m.ordinal > 1 {
		s += fmt.Sprintf(" #%d", m.ordinal)
	}
	return s
}

// render returns the source of f between start and end with every mutant of
// points in it. Points are sorted, outer ones first, and either nested or apart.
//
// Inside the text of a mutant there are no others: one is in force at a time.
func render(src []byte, start, end int, points []*point) string {
	var b strings.Builder
	for len(points) > 0 {
		p := points[0]
		n := 1
		for n < len(points) && points[n].start < p.end {
			n++
		}
		b.Write(src[start:p.start])
		p.write(&b, render(src, p.start, p.end, points[1:n]))
		start, points = p.end, points[n:]
	}
	b.Write(src[start:end])
	return b.String()
}

func (p *point) write(b *strings.Builder, right string) {
	switch p.kind {
	case statement:
		fmt.Fprintf(b, "if !mutantOn(%d) {%s}", p.mutants[0].id, right)
	case condition:
		b.WriteByte('(')
		for _, m := range p.mutants {
			fmt.Fprintf(b, "mutantOn(%d) && (%s) || ", m.id, m.wrong)
		}
		fmt.Fprintf(b, "mutantOff(%d, %d) && (%s))", p.mutants[0].id, p.mutants[len(p.mutants)-1].id, right)
	case value:
		fmt.Fprintf(b, "func() %s {", p.typ)
		for _, m := range p.mutants {
			fmt.Fprintf(b, " if mutantOn(%d) { return %s };", m.id, m.wrong)
		}
		fmt.Fprintf(b, " return %s }()", right)
	}
}

// sortPoints brings points into the order that render needs.
func sortPoints(ps []*point) {
	slices.SortStableFunc(ps, func(a, b *point) int {
		if a.start != b.start {
			return a.start - b.start
		}
		if a.end != b.end {
			return b.end - a.end
		}
		return int(b.kind) - int(a.kind) // the statement holds its only expression
	})
}

// environment variables of the compiled mutants.
const (
	envMutant = "SKEP_MUTANT"       // number of the mutant in force
	envReach  = "SKEP_MUTANT_REACH" // file to which the numbers of those that are reached are added
)

// support is added to each mutated package.
const support = `package %s

import (
	"os"
	"strconv"
	"sync/atomic"
)

var mutantID, _ = strconv.Atoi(os.Getenv("` + envMutant + `"))

var mutantReach, _ = os.OpenFile(os.Getenv("` + envReach + `"), os.O_WRONLY|os.O_APPEND, 0)

var mutantReached [1 << 16]atomic.Bool

func mutantOn(id int) bool { return mutantID == id || mutantReach != nil && mutantMark(id) }

func mutantOff(first, last int) bool { return mutantID < first || mutantID > last }

func mutantMark(id int) bool {
	if !mutantReached[id].Load() && !mutantReached[id].Swap(true) {
		mutantReach.WriteString(strconv.Itoa(id) + "\n")
	}
	return false
}
`

// writeOverlay writes the mutated files to dir and returns the overlay that
// puts them in the place of the real ones.
func writeOverlay(dir string, files []*file) (overlay string, err error) {
	replace := map[string]string{}
	put := func(path, text string) error {
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		replace[abs] = to
		return os.WriteFile(to, []byte(text), 0o666)
	}
	for _, f := range files {
		if err := put(f.path, render(f.src, 0, len(f.src), f.points)); err != nil {
			return "", err
		}
	}
	for _, t := range targets {
		if err := put(t.pkg+"/mutant_support.go", fmt.Sprintf(support, filepath.Base(t.pkg))); err != nil {
			return "", err
		}
	}
	j, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, j, 0o666)
}
