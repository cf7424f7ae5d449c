package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// batchSize is how many programs go to a worker at a time.
const batchSize = 64

// codes compares programs of function code, and mutants of them.
func (c *campaign) codes(seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 2))
	b := &batch{Inputs: packets(r, 4)[:3]}
	for i, in := range b.Inputs { // long enough for the map's value
		long := make([]byte, 0, 2*codeValue)
		for len(long) < codeValue {
			long = append(long, in...)
		}
		b.Inputs[i] = long[:codeValue]
	}
	for i := range batchSize {
		insns := code(seed*batchSize + uint64(i))
		if i%4 == 3 {
			insns = mutant(insns, r)
		}
		b.Variants = append(b.Variants, prog.Encode(insns))
	}
	return c.batch(fmt.Sprintf("code %d", seed), b, r)
}

// batch has all that can run b run it, and compares.
func (c *campaign) batch(name string, b *batch, r *rand.Rand) error {
	b.Engines = slices.Clone(c.engines)
	asked := c.kernel && b.Object == nil && r.IntN(4) == 0
	if asked {
		b.Engines = append(b.Engines, kernelEngine)
	}
	all, err := c.host.do(request{Batch: b})
	if errors.Is(err, errEnded) {
		c.crash(name, "here", b)
		return nil
	} else if err != nil {
		return err
	}
	good := *b
	good.Variants = nil
	var number []int // of good's in b
	want := map[int]outcome{}
	for i, group := range grouped(all, len(b.Variants)) {
		if ref := c.judge(fmt.Sprintf("%s.%d", name, i), b, i, "here", group, nil); ref != nil {
			want[len(number)] = *ref
			number = append(number, i)
			good.Variants = append(good.Variants, b.Variants[i])
		}
	}
	if c.arm == nil || len(number) == 0 || r.IntN(3) > 0 {
		return nil
	}
	good.Engines = []string{string(vm.JIT)}
	all, err = c.arm.do(request{Batch: &good})
	if errors.Is(err, errEnded) {
		c.crash(name, "arm64", &good)
		return nil
	} else if err != nil {
		return err
	}
	for i, group := range grouped(all, len(number)) {
		ref := want[i]
		c.judge(fmt.Sprintf("%s.%d", name, number[i]), b, number[i], "arm64", group, &ref)
	}
	return nil
}

func grouped(all []outcome, n int) [][]outcome {
	groups := make([][]outcome, n)
	for _, o := range all {
		i, _ := strconv.Atoi(o.Program)
		groups[i] = append(groups[i], o)
	}
	return groups
}

// strict are the refusals of programs that the kernel takes from the privileged,
// and the one that it takes longer for.
var strict = map[string]bool{"[limit]": true, "[unreachable-code]": true, "[pointer-leak]": true, "[uninitialized-stack]": true}

// judge compares what came of one program, and returns what the checked
// interpreter, or want, has; nil if the program was refused.
func (c *campaign) judge(name string, b *batch, i int, host string, group []outcome, want *outcome) *outcome {
	by := map[string]outcome{}
	for _, o := range group {
		by[o.Engine] = o
	}
	for _, o := range group {
		if o.Engine == "checked" && want == nil && o.Refused == "" {
			want = &o
		}
	}
	if o, ok := by[c.fastest()]; !ok || o.Refused != "" {
		c.counts[host+" refused"]++
		c.refusals[host+" "+o.Refused]++
		if host == "arm64" { // and here it ran
			c.save("refused", name, b, i, host+" "+o.Refused)
		}
		if k, ok := by[kernelEngine]; ok && k.Refused == "" {
			c.counts["refused, which the kernel accepts"]++
			c.refusals["kernel accepts: "+o.Refused]++
			if !strict[o.Refused] {
				c.save("refused", name, b, i, o.Refused)
			}
		}
		return nil
	}
	if want == nil {
		return nil
	}
	for _, o := range group {
		who := host + " " + o.Engine
		if o.Refused != "" {
			c.counts[who+" refused"]++
			continue
		}
		c.counts[who]++
		if !equal(o, *want) && (o.Engine != kernelEngine || !fetches(b.Variants[i])) {
			c.save("finding", name, b, i, fmt.Sprintf("%s %v\nchecked %v", who, o.Runs, want.Runs))
		}
	}
	return want
}

func equal(a, b outcome) bool {
	return slices.EqualFunc(a.Runs, b.Runs, run.same)
}

// fetches reports whether the program has an atomic operation on its stack that
// gives back what was there, after which Linux 6.18 may remove branches that are
// taken (see tame in package vm's tests).
func fetches(raw []byte) bool {
	insns, err := prog.Decode(raw)
	return err != nil || slices.ContainsFunc(insns, func(in prog.Insn) bool {
		return in.Op&7 == opSTX && in.Op&0xe0 == modeATOMIC && in.Imm&isa.AtomicFetch != 0
	})
}

// save keeps a program that somebody should look at.
func (c *campaign) save(what, name string, b *batch, i int, text string) {
	c.counts[what]++
	if c.counts[what] > 200 {
		return
	}
	fmt.Fprintf(c.log, "%s %s: %s\n", strings.ToUpper(what), name, text)
	if c.out == "" {
		return
	}
	one := *b
	one.Variants = one.Variants[i : i+1]
	if err := one.write(filepath.Join(c.out, what+"-"+strings.NewReplacer("/", "_", " ", "-").Replace(name))); err != nil {
		fmt.Fprintln(c.log, err)
	}
}

// crash finds the programs that end the process.
func (c *campaign) crash(name, host string, b *batch) {
	w := c.host
	if host == "arm64" {
		w = c.arm
	}
	for i := range b.Variants {
		one := *b
		one.Variants = one.Variants[i : i+1]
		if _, err := w.do(request{Batch: &one}); errors.Is(err, errEnded) {
			c.save("finding", fmt.Sprintf("%s.%d", name, i), b, i, host+": "+err.Error())
		}
	}
}

// A source is a program of an object.
type source struct {
	file   string
	object []byte
	name   string
	insns  []prog.Insn

	verdict string
}

// objects returns the programs in the objects below dirs that can be run.
func objects(dirs []string) (all []source, err error) {
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".o") || strings.HasSuffix(path, ".native.o") {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			obj, err := elf.Load(bytes.NewReader(raw), path, elf.Options{})
			if err != nil {
				return nil // made to be refused
			}
			for _, s := range obj.Programs {
				p, err := linked(obj, s.Name)
				if err != nil || len(p.Insns) > 3000 {
					continue
				}
				all = append(all, source{file: path, object: raw, name: s.Name, insns: unlinked(p)})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// mutants compares mutants of one of the programs.
func (c *campaign) mutants(all []source, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 3))
	s := &all[r.IntN(len(all))]
	if s.verdict == "" { // is it one that runs?
		o, err := c.host.do(request{Batch: &batch{Object: s.object, Program: s.name, Variants: [][]byte{prog.Encode(s.insns)}, Inputs: packets(r, 2), Engines: c.engines[:1]}})
		if err != nil {
			return err
		}
		if s.verdict = "runs"; o[0].Refused != "" {
			s.verdict = o[0].Refused
			c.refusals["object: "+s.verdict]++
		}
	}
	if s.verdict != "runs" {
		c.counts["objects' programs refused"]++
		return nil
	}
	b := &batch{Object: s.object, Program: s.name, Inputs: packets(r, 4)[:3]}
	for i := range batchSize {
		insns := s.insns
		if i > 0 {
			insns = mutant(insns, r)
		}
		b.Variants = append(b.Variants, prog.Encode(insns))
	}
	return c.batch(fmt.Sprintf("%s %s %d", filepath.Base(s.file), s.name, seed), b, r)
}
