// Command mutate measures the tests of the verifier: it puts wrong rules in the
// place of right ones, one at a time, and counts how many of these mutants some
// test notices.
//
// All mutants of a package are compiled into one binary per test suite (mutant
// schemata: Untch, Offutt and Harrold, ISSTA 1993), and an environment variable
// chooses the one that is in force. The changed files exist only in an overlay
// of the go command; the tree is never written to. Which tests execute a mutated
// place is recorded first, so that a mutant is held against those tests alone,
// the quickest first, until one fails.
//
// target.go says what is mutated, operator.go how, schema.go how mutants become
// code, suite.go how tests run, and equivalent.go which mutants are no faults: a
// committed list says why of each. RESULTS.md has the score.
//
//	go run ./internal/mutate             # all, into bin/mutants.tsv
//	go run ./internal/mutate -resume     # only what was not killed before
//	go run ./internal/mutate -list       # the mutants, without running any
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.out, "o", "bin/mutants.tsv", "`file` for the results")
	flag.BoolVar(&o.resume, "resume", false, "take over what an earlier run has killed in functions that are unchanged")
	flag.BoolVar(&o.list, "list", false, "print the mutants and run none")
	flag.StringVar(&o.report, "report", "", "write the table of results to `file`")
	flag.BoolVar(&everything, "all", false, "take all mutants, not a sample")
	flag.BoolVar(&o.tests, "tests", false, "print the tests, what they take and how many mutants they reach")
	flag.DurationVar(&o.within, "within", time.Hour, "run only tests that take no longer than `this`")
	only := flag.String("only", "", "take only mutants whose name matches this `expression`")
	flag.Parse()
	o.only = regexp.MustCompile(*only)
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

type options struct {
	out, report  string
	resume, list bool
	tests        bool
	within       time.Duration
	only         *regexp.Regexp
}

// least is the score that a whole run must reach.
const least = 0.95

func run(o options) error {
	start := time.Now()
	ms, files, err := load()
	if err != nil {
		return err
	}
	equivalents, err := readEquivalents(equivalentsFile, ms)
	if err != nil {
		return err
	}
	if o.list {
		for _, m := range ms {
			if o.only.MatchString(m.name()) {
				fmt.Println(m.name())
			}
		}
		return nil
	}
	var chosen []*mutant
	for _, m := range ms {
		if o.only.MatchString(m.name()) {
			chosen = append(chosen, m)
		}
	}
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := writeOverlay(dir, files)
	if err != nil {
		return err
	}
	tests, err := build(dir, overlay)
	if err != nil {
		return err
	}
	fmt.Printf("%d mutants, %d tests; built and measured in %v\n", len(ms), len(tests), time.Since(start).Round(time.Second))
	if o.tests {
		for _, t := range tests {
			fmt.Printf("%v\t%v\t%d\n", t.took.Round(time.Millisecond), t, len(t.reaches))
		}
	}
	tests = slices.DeleteFunc(tests, func(t *test) bool { return t.took > o.within })
	results, err := openResults(o.out, o.resume)
	if err != nil {
		return err
	}
	defer results.close()
	for i, m := range chosen {
		if equivalents[m.name()] != "" {
			m.verdict = equivalent
			continue
		}
		if !results.killed(m) {
			kill(m, tests)
			if err := results.add(m); err != nil {
				return err
			}
		}
		if m.verdict == survived || m.verdict == untested {
			fmt.Printf("%d/%d %s: %s\n", i+1, len(chosen), m.verdict, m.name())
		}
	}
	s := newScore(chosen)
	fmt.Printf("%s\nin %v\n", s.table(), time.Since(start).Round(time.Second))
	if o.report != "" {
		if err := writeReport(o.report, s, chosen); err != nil {
			return err
		}
	}
	if r := s.all.rate(); r < least {
		return fmt.Errorf("%.1f %% of the mutants are noticed, less than %.0f %%", 100*r, 100*least)
	}
	return nil
}
