//go:build linux && amd64

// Command bench compares skep's engines with the kernel's JIT and with clang's
// native code, on C programs that were written for it: programs/*.c.
//
// Each program is compiled by clang for eBPF, which the kernel and skep run,
// and for the host, which this process runs. All get the same packet. Before
// anything is timed their results are compared. Then they take turns, some
// hundred microseconds each, for several rounds; the least time of a round
// counts, less what the engine takes for a program that does nothing. Numbers
// are comparable within one run of this command and not otherwise.
//
// The kernel runs programs by BPF_PROG_TEST_RUN, which repeats them and says
// what a repetition took; that needs root. Its verifier refuses some programs.
// Native code is entered by the same stub as skep's machine code.
//
// It also measures what entering and leaving machine code costs, for how long programs
// that never end hold up others, and what it costs to make machine code and to load.
//
// It writes tables, a plot and the numbers to a directory.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
)

func main() {
	var o options
	dir := flag.String("programs", "internal/bench/programs", "directory of the objects")
	out := flag.String("out", "docs", "directory for bench.md, bench.svg and bench.json; empty: print the table only")
	only := flag.String("run", "", "measure only programs that match this regular expression")
	flag.IntVar(&o.rounds, "rounds", 30, "how many rounds to measure")
	flag.BoolVar(&o.checked, "checked", true, "measure the checked interpreter too")
	entry := flag.Bool("entry", false, "measure only what docs/entry.md shows")
	compile := flag.Bool("compile", false, "measure only what docs/compile.md shows")
	trials := flag.Int("trials", 200, "how many trials of each program that never ends")
	watch := flag.Bool(witnessFlag, false, "do nothing but see when a processor is there for nobody (for itself)")
	flag.Parse()
	if *watch {
		if err := bearWitness(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
	o.dir = *dir
	var err error
	if o.only, err = regexp.Compile(*only); err == nil && !*entry && !*compile {
		err = run(o, *out)
	}
	if err == nil && (*compile || *only == "" && !*entry) {
		err = writeReport(*out, "compile.md", func() (string, error) { return compileReport(o.dir, o.rounds) })
	}
	if err == nil && *entry {
		err = writeReport(*out, "entry.md", func() (string, error) { return entryReport(o.rounds, *trials) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options say what to measure.
type options struct {
	dir     string
	only    *regexp.Regexp
	rounds  int
	checked bool
}

func run(o options, out string) error {
	runtime.LockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would fall into someone's turn
	r, err := measure(o)
	if err != nil {
		return err
	}
	table := r.markdown()
	fmt.Print(table)
	if out == "" {
		return nil
	}
	if err := os.MkdirAll(out, 0o777); err != nil {
		return err
	}
	for name, text := range map[string]string{"bench.md": table, "bench.svg": r.plot(), "bench.json": r.json()} {
		if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// writeReport prints what report returns, and writes it to a file of the directory out.
func writeReport(out, name string, report func() (string, error)) error {
	runtime.UnlockOSThread()
	text, err := report()
	if err != nil {
		return err
	}
	fmt.Print(text)
	if out == "" {
		return nil
	}
	return os.WriteFile(filepath.Join(out, name), []byte(text), 0o666)
}
