// Command corpus verifies a corpus of real programs with skep and, in the same
// run, with the kernel of this machine, program by program in turn, and prints
// what both said and what it took them. make corpus runs it; make cost-plot
// draws docs/cost.svg as well.
//
// The corpus is a directory of objects and a table of programs (table.go): this
// repository has neither. A refusal that the ledger does not explain is an
// error, and so is an explanation that nothing needs; a program that the kernel
// and PREVAIL refuse must not be accepted.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
)

type options struct {
	objects, table, btf, ledger string
	only                        string
	rounds                      int
	kernel                      bool
	rows, plot, profile         string
}

func main() {
	var o options
	flag.StringVar(&o.objects, "objects", "", "directory of the objects")
	flag.StringVar(&o.table, "table", "", "table of programs")
	flag.StringVar(&o.btf, "btf", "/sys/kernel/btf/vmlinux", "types that CO-RE relocations are resolved against; empty: none")
	flag.StringVar(&o.ledger, "ledger", "", "file that explains refusals")
	flag.StringVar(&o.only, "only", "", "only programs whose name has this `part`")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each program is verified by each; the fastest counts")
	flag.BoolVar(&o.kernel, "kernel", true, "ask the kernel too; needs root")
	flag.StringVar(&o.rows, "rows", "", "write a line per program to `file`")
	flag.StringVar(&o.plot, "plot", "", "draw the cost per instruction, of generated programs too, to `file`")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a profile to `file`")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "corpus:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if o.objects == "" || o.table == "" {
		return errors.New("-objects and -table are needed")
	}
	if o.rounds < 1 {
		return fmt.Errorf("-rounds %d: at least 1", o.rounds)
	}
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	c, err := newCampaign(o)
	if err != nil {
		return err
	}
	if err := c.run(); err != nil {
		return err
	}
	c.report(os.Stdout)
	if o.rows != "" {
		if err := c.writeRows(o.rows); err != nil {
			return err
		}
	}
	if o.plot != "" {
		if err := c.draw(o.plot); err != nil {
			return err
		}
	}
	return c.judge()
}
