package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/skepvm/skep/vm"
)

// A campaign compares programs, and counts.
type campaign struct {
	size, variants   int
	kernel           bool
	out              string // "": findings are not kept
	host, arm        runner // arm may be nil
	engines          []string
	counts, refusals map[string]int
	log              io.Writer
}

func newCampaign(host runner) *campaign {
	c := &campaign{size: 8, variants: 2, host: host, counts: map[string]int{}, refusals: map[string]int{}, log: os.Stdout}
	c.engines = []string{string(vm.JIT), string(vm.Interp), string(vm.Checked)}
	return c
}

// fastest is the engine whose programs count as run.
func (c *campaign) fastest() string { return c.engines[0] }

// unit compares all that can run the unit of seed with what a processor does.
func (c *campaign) unit(seed uint64) error {
	dir, err := os.MkdirTemp("", "cfuzz")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	u := generate(seed, c.size, nil)
	r := rand.New(rand.NewPCG(seed, 1))
	pkts := packets(r, 7)
	want, err := expect(dir, u.Source, "-O0", pkts, false)
	if err != nil {
		return err
	}
	if seed%8 == 0 { // the units themselves
		again, err := expect(dir, u.Source, "-O2", pkts, false)
		if err != nil {
			return err
		}
		for name, runs := range want {
			if !slices.EqualFunc(runs, again[name], run.same) {
				return fmt.Errorf("%s: -O0 has %v, -O2 %v", name, runs, again[name])
			}
		}
	}
	for _, k := range r.Perm(len(targets))[:c.variants] {
		if err := c.compiled(dir, u, seed, targets[k], pkts, want, r); err != nil {
			return err
		}
	}
	return nil
}

func (c *campaign) compiled(dir string, u *unit, seed uint64, t target, pkts [][]byte, want map[string][]run, r *rand.Rand) error {
	object, err := compile(dir, u.Source, t)
	if err != nil {
		return err
	}
	j := &job{Object: object, Packets: pkts, Engines: slices.Clone(c.engines)}
	if c.kernel && r.IntN(3) == 0 { // it takes its time
		j.Engines = append(j.Engines, kernelEngine)
	}
	name := fmt.Sprintf("unit %d %v", seed, t)
	all, err := c.host.do(request{Job: j})
	if errors.Is(err, errEnded) {
		c.finding(name, "here: "+err.Error())
		return nil
	} else if err != nil {
		return err
	}
	j.Programs = c.compare(name, "here", all, want)
	if c.arm == nil || r.IntN(4) > 0 { // proofs take long there
		return nil
	}
	j.Engines = []string{string(vm.JIT)}
	all, err = c.arm.do(request{Job: j})
	if errors.Is(err, errEnded) {
		c.finding(name, "arm64: "+err.Error())
		return nil
	} else if err != nil {
		return err
	}
	c.compare(name, "arm64", all, want)
	return nil
}

// compare compares what was left of a unit's programs with what native code leaves,
// and returns those that ran. A program that nobody accepts may be what a compiler
// made of it by mistake.
func (c *campaign) compare(name, host string, all []outcome, want map[string][]run) (ran []string) {
	accepted, known := map[string]bool{}, map[string]bool{}
	why := map[string]string{}
	for _, o := range all {
		switch {
		case o.Refused == "" && o.Engine == c.fastest():
			ran = append(ran, o.Program)
			accepted[o.Program] = true
		case o.Refused == "" && o.Engine == kernelEngine:
			accepted[o.Program], known[o.Program] = true, true
		case o.Engine == c.fastest():
			why[o.Program] = o.Refused
		}
	}
	for _, o := range all {
		who := host + " " + o.Engine
		if o.Refused != "" {
			c.counts[who+" refused"]++
			continue
		}
		c.counts[who]++
		w := want[o.Program]
		switch {
		case slices.EqualFunc(w, o.Runs, run.same):
		case !accepted[o.Program]:
			c.counts["compiled wrong, and refused"]++
		default:
			i := 0
			for w[i].same(o.Runs[i]) {
				i++
			}
			c.finding(name+" "+o.Program, fmt.Sprintf("%s, packet %d: %v; native %v", who, i, o.Runs[i], w[i]))
		}
	}
	for program, text := range why {
		if known[program] {
			c.counts["refused, which the kernel accepts"]++
			if !strings.Contains(text, "the limit is") {
				fmt.Fprintf(c.log, "REFUSED %s %s: %.300s\n", name, program, text)
			}
		}
	}
	return ran
}

func (c *campaign) finding(name, text string) {
	c.counts["finding"]++
	fmt.Fprintf(c.log, "FINDING %s: %s\n", name, text)
}
