// Command cfuzz looks for programs that an engine runs wrongly. It shares no
// generator with the tests of the packages: it writes C, which clang compiles at
// every level for every version of the instruction set, and for the host, whose
// processor says what is right; it writes instructions; and it changes those of
// compiled objects. Each program runs in the checked interpreter, in the fast one
// and in machine code of this host, some in machine code of arm64 under qemu and in
// this machine's kernel, on the same packets and maps.
//
//	cfuzz -n 100                      a hundred units of C
//	cfuzz -mode code -n 100           a hundred batches of instructions
//	cfuzz -mode mutants -objects dir  mutants of the programs below dir
//
// What differs is printed, and kept in -out, from where -shrink makes it small;
// -unit does that for a program of a unit. The exit code is 1 if anything differs.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/skepvm/skep/internal/oracle"
)

func main() {
	var o options
	flag.StringVar(&o.mode, "mode", "c", "what programs are made from: c, code or mutants")
	flag.Uint64Var(&o.seed, "seed", 1, "the first unit or batch")
	flag.IntVar(&o.n, "n", 10, "how many units or batches")
	flag.IntVar(&o.size, "programs", 8, "programs of a unit")
	flag.IntVar(&o.variants, "variants", 2, "targets that each unit is compiled for")
	flag.BoolVar(&o.kernel, "kernel", oracle.Available() == nil, "ask the kernel, too")
	flag.StringVar(&o.arm64, "arm64", "", "this command compiled for arm64, to run under qemu")
	flag.StringVar(&o.out, "out", "bin/findings", "the directory of findings")
	flag.StringVar(&o.objects, "objects", "testdata", "directories of objects, for mutants, separated by colons")
	flag.BoolVar(&o.print, "print", false, "print the C of the first unit")
	flag.StringVar(&o.unit, "unit", "", "the program of the first unit to make small")
	flag.StringVar(&o.level, "level", "-O2", "with -unit: how it was compiled")
	flag.IntVar(&o.cpu, "cpu", 3, "with -unit: for which version")
	flag.StringVar(&o.shrink, "shrink", "", "the file of a finding to make small")
	flag.StringVar(&o.host, "host", "here", "with -unit and -shrink: here or arm64; of a refusal, its code")
	flag.StringVar(&o.engine, "engine", "jit", "with -unit and -shrink: the engine that differs")
	serve := flag.Bool("serve", false, "do jobs from standard input: what cfuzz runs itself with")
	flag.Parse()
	run := o.run
	if *serve {
		run = func() error { return answer(os.Stdin, os.Stdout) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "cfuzz:", err)
		os.Exit(1)
	}
}

type options struct {
	mode, arm64, out, objects, unit, level, shrink, host, engine string

	seed              uint64
	n, size, variants int
	cpu               int
	kernel, print     bool
}

func (o *options) run() error {
	if o.print {
		fmt.Print(generate(o.seed, o.size, nil).Source)
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := newCampaign(&worker{args: []string{self, "-serve"}})
	c.size, c.variants, c.kernel, c.out = o.size, o.variants, o.kernel, o.out
	if o.arm64 != "" {
		c.arm = &worker{args: []string{"qemu-aarch64-static", o.arm64, "-serve"}}
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	switch {
	case o.unit != "":
		return c.shrinkUnit(o.seed, target{o.level, o.cpu}, o.unit, o.engine, o.host)
	case o.shrink != "":
		return c.shrink(o.shrink, o.host, o.engine)
	}
	round := c.unit
	switch o.mode {
	case "c":
	case "code":
		round = c.codes
	case "mutants":
		all, err := objects(filepath.SplitList(o.objects))
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("no program below %s runs", o.objects)
		}
		round = func(seed uint64) error { return c.mutants(all, seed) }
	default:
		return fmt.Errorf("mode %q is none of c, code, mutants", o.mode)
	}
	for i := range o.n {
		if err := round(o.seed + uint64(i)); err != nil {
			c.counts["not compared"]++
			fmt.Fprintf(os.Stderr, "%d: %v\n", o.seed+uint64(i), err)
		}
		if i%20 == 19 || i == o.n-1 {
			fmt.Printf("%d of %d: %s\n", i+1, o.n, strings.TrimPrefix(fmt.Sprint(c.counts), "map"))
		}
	}
	for why, n := range c.refusals {
		fmt.Printf("%7d %s\n", n, why)
	}
	if n := c.counts["finding"]; n > 0 {
		return fmt.Errorf("%d findings in %s", n, o.out)
	}
	if c.counts["not compared"] == o.n {
		return errors.New("nothing was compared")
	}
	return nil
}
