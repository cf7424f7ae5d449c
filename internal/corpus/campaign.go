package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A campaign goes through the table and remembers what was said.
type campaign struct {
	o       options
	rows    []*row
	ledger  *ledger
	results []*result
}

// A verdict is what skep says of a row.
type verdict string

const (
	accepts verdict = "accept"
	refuses verdict = "reject"
	limited verdict = "limit"  // not decided within the limits on work
	unfit   verdict = "error"  // it cannot be read or linked
	absent  verdict = "absent" // the object has no such program
)

// A result is what both said of one row.
type result struct {
	row     *row
	verdict verdict
	code    verifier.Code
	why     string // the whole message
	slots   int
	stats   verifier.Stats // of the fastest round
	first   time.Duration  // of the first round
	kernel  answer         // of the fastest round
}

func newCampaign(o options) (*campaign, error) {
	c := &campaign{o: o}
	var err error
	if c.ledger, err = readLedger(o.ledger); err != nil {
		return nil, err
	}
	if o.kernel {
		if err := oracle.Available(); err != nil {
			return nil, fmt.Errorf("%w (-kernel=false does without)", err)
		}
	}
	if c.rows, err = readTable(o.table); err != nil {
		return nil, err
	}
	return c, nil
}

// open reads an object; types says that it needs those of the target.
func (c *campaign) open(name string, types bool) (*prog.Object, error) {
	name = filepath.Join(c.o.objects, name)
	if !types {
		return elf.Open(name)
	}
	f, err := os.Open(c.o.btf)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	spec, err := ciliumbtf.LoadSpecFromReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.o.btf, err)
	}
	return elf.Open(name, elf.Options{BTF: spec})
}

// run goes through the rows, object by object in the table's order.
func (c *campaign) run() error {
	for i := 0; i < len(c.rows); {
		last := i
		for last < len(c.rows) && c.rows[last].object == c.rows[i].object {
			last++
		}
		if err := c.object(c.rows[i:last]); err != nil {
			return err
		}
		i = last
	}
	if len(c.results) == 0 {
		return errors.New("no program of the table was meant")
	}
	return nil
}

// object goes through the rows of one object.
func (c *campaign) object(rows []*row) error {
	var o *prog.Object
	twins := kernelMaps{}
	defer twins.close()
	for _, r := range rows {
		if !strings.Contains(r.name(), c.o.only) {
			continue
		}
		res := &result{row: r, verdict: unfit}
		c.results = append(c.results, res)
		if o == nil {
			var err error
			o, err = c.open(r.object, false)
			if errors.Is(err, os.ErrNotExist) {
				return err
			}
			if err != nil {
				res.why = err.Error()
				continue
			}
		}
		if err := c.program(res, o, twins); err != nil {
			return fmt.Errorf("%s: %w", r.name(), err)
		}
	}
	return nil
}

func (c *campaign) program(res *result, o *prog.Object, twins kernelMaps) error {
	spec := res.row.find(o)
	if spec == nil {
		res.verdict = absent
		return nil
	}
	if spec.Type == nil {
		if spec.Type = typeNamed(res.row.kernelType); spec.Type == nil {
			spec.Type = typeNamed("SchedCLS") // neither knows better
		}
	}
	p, err := o.Link(spec)
	if err != nil && c.o.btf != "" && strings.Contains(err.Error(), "needs target BTF") {
		// Only then: a kernel's types weigh on the collector.
		if o, err = c.open(res.row.object, true); err == nil {
			p, err = o.Link(res.row.find(o))
		}
	}
	if err != nil {
		res.why = err.Error()
		return nil
	}
	return c.measure(res, p, twins)
}

// measure verifies p in turn by skep and the kernel, round by round.
func (c *campaign) measure(res *result, p *prog.Program, twins kernelMaps) error {
	res.slots = len(p.Insns)
	var kp *kernelProgram
	if c.o.kernel {
		kp = newKernelProgram(p, twins)
	}
	for round := range c.o.rounds {
		_, stats, err := verifier.Verify(context.Background(), p, verifier.Options{})
		var e *verifier.Error
		switch {
		case err == nil:
			res.verdict = accepts
		case errors.As(err, &e):
			res.verdict, res.code, res.why = refuses, e.Code, err.Error()
			if e.Code == verifier.Limit {
				res.verdict = limited
			}
		default:
			return err
		}
		if round == 0 {
			res.first = stats.Time
		}
		if round == 0 || stats.Time < res.stats.Time {
			res.stats = stats
		}
		if kp == nil {
			continue
		}
		if a := kp.ask(); round == 0 || a.took < res.kernel.took {
			res.kernel = a
		}
	}
	return nil
}
