//go:build linux && amd64

// Command mapbench compares the speed of skep's maps with that of the kernel's,
// and of Go's.
//
// The programs (programs/*.c) are the same objects in the kernel and in skep's
// machine code, and so are the keys: random numbers, each run going on where the
// one before ended. A run does 1024 operations, so entering it does not count.
// Maps of a million entries are filled by the host and lie in memory at the same
// time; then the lanes take turns of some milliseconds each, for several rounds,
// and the least time of a turn counts. Numbers are comparable within one run of
// this command and not otherwise. Before anything is timed, the results of
// programs whose results are determined are compared.
//
// The kernel repeats programs by BPF_PROG_TEST_RUN, which needs root. All are
// charged what their thread computed.
//
// It writes a table and the numbers to a directory, and fails if a limit is not
// met and -enforce is given.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
)

func main() {
	var o options
	dir := flag.String("programs", "internal/mapbench/programs", "directory of the objects")
	out := flag.String("out", "docs", "directory for maps.md and maps.json; empty: print the table only")
	only := flag.String("run", "", "measure only what matches this regular expression")
	enforce := flag.Bool("enforce", false, "fail if a limit is not met")
	flag.IntVar(&o.rounds, "rounds", 40, "how many rounds to measure")
	flag.Parse()
	o.dir = *dir
	var err error
	if o.only, err = regexp.Compile(*only); err == nil {
		err = run(o, *out, *enforce)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mapbench:", err)
		os.Exit(1)
	}
}

// options say what to measure.
type options struct {
	dir    string
	only   *regexp.Regexp
	rounds int
}

func run(o options, out string, enforce bool) error {
	debug.SetGCPercent(-1) // a collection would fall into someone's turn
	r, err := measure(o)
	if err != nil {
		return err
	}
	table := r.markdown()
	fmt.Print(table)
	if out != "" {
		if err := os.MkdirAll(out, 0o777); err != nil {
			return err
		}
		for name, text := range map[string]string{"maps.md": table, "maps.json": r.json()} {
			if err := os.WriteFile(filepath.Join(out, name), []byte(text), 0o666); err != nil {
				return err
			}
		}
	}
	if enforce && !r.met() {
		return errors.New("a limit is not met")
	}
	return nil
}
