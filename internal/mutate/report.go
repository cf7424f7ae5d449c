package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A verdict is what became of a mutant.
type verdict string

const (
	killed     verdict = "killed"
	hung       verdict = "hung" // killed: a test did not end
	survived   verdict = "survived"
	untested   verdict = "untested" // survived: no test gets there
	equivalent verdict = "equivalent"
)

// results are verdicts in a file, one per line: name, function's hash, verdict,
// killer, separated by tabs.
type results struct {
	f      *os.File
	before map[string][2]string // by name and hash: verdict and killer
}

func openResults(path string, resume bool) (*results, error) {
	r := &results{before: map[string][2]string{}}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if resume {
		flags = os.O_CREATE | os.O_WRONLY | os.O_APPEND
		if f, err := os.Open(path); err == nil {
			for sc := bufio.NewScanner(f); sc.Scan(); {
				if c := strings.Split(sc.Text(), "\t"); len(c) == 4 {
					r.before[c[0]+"\t"+c[1]] = [2]string{c[2], c[3]}
				}
			}
			f.Close()
		}
	}
	var err error
	r.f, err = os.OpenFile(path, flags, 0o666)
	return r, err
}

func (r *results) close() { r.f.Close() }

// killed takes over an earlier verdict on m, if it was that.
func (r *results) killed(m *mutant) bool {
	v, ok := r.before[m.name()+"\t"+m.hash]
	if !ok || verdict(v[0]) != killed && verdict(v[0]) != hung {
		return false
	}
	m.verdict, m.killer = verdict(v[0]), v[1]
	return true
}

func (r *results) add(m *mutant) error {
	_, err := fmt.Fprintf(r.f, "%s\t%s\t%s\t%s\n", m.name(), m.hash, m.verdict, m.killer)
	return err
}

// A count is of mutants by verdict.
type count map[verdict]int

// rate returns the part that is noticed of those that are faults.
func (c count) rate() float64 {
	k := c[killed] + c[hung]
	if all := k + c[survived] + c[untested]; all > 0 {
		return float64(k) / float64(all)
	}
	return 1
}

type score struct {
	all       count
	files     []string
	file      map[string]count
	operators []string
	operator  map[string]count
}

func newScore(ms []*mutant) *score {
	s := &score{all: count{}, file: map[string]count{}, operator: map[string]count{}}
	for _, m := range ms {
		if s.file[m.file] == nil {
			s.file[m.file] = count{}
			s.files = append(s.files, m.file)
		}
		if s.operator[m.operator] == nil {
			s.operator[m.operator] = count{}
			s.operators = append(s.operators, m.operator)
		}
		s.all[m.verdict]++
		s.file[m.file][m.verdict]++
		s.operator[m.operator][m.verdict]++
	}
	return s
}

// table returns the counts for people and for Markdown.
func (s *score) table() string {
	var b strings.Builder
	row := func(name string, c count) {
		n := 0
		for _, k := range c {
			n += k
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %.1f %% |\n", name, n, c[killed], c[hung], c[survived]+c[untested], c[equivalent], 100*c.rate())
	}
	b.WriteString("| | mutants | killed | of time | survived | no fault | noticed |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, f := range s.files {
		row(f, s.file[f])
	}
	for _, o := range s.operators {
		row("*"+o+"*", s.operator[o])
	}
	row("**all**", s.all)
	return b.String()
}

// writeReport writes the table, and what survived.
func writeReport(path string, s *score, ms []*mutant) error {
	var b strings.Builder
	b.WriteString(s.table())
	for _, m := range ms {
		if m.verdict == survived || m.verdict == untested {
			fmt.Fprintf(&b, "\n%s: `%s`\n", m.verdict, m.name())
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o666)
}
