package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// shrinkUnit writes to c.out the unit of seed without the statements that it
// takes not for program name to differ from native code.
func (c *campaign) shrinkUnit(seed uint64, t target, name, engine, host string) error {
	dir, err := os.MkdirTemp("", "cfuzz")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pkts := packets(rand.New(rand.NewPCG(seed, 1)), 7)
	w := c.host
	if host == "arm64" {
		w = c.arm
	}
	differs := func(drop map[int]bool, show bool) (string, bool) {
		source := generate(seed, c.size, drop).Source
		want, err := expect(dir, source, "-O0", pkts, show)
		if err != nil {
			return err.Error(), false
		}
		again, err := expect(dir, source, "-O2", pkts, show)
		if err != nil || !slices.EqualFunc(want[name], again[name], run.same) {
			return "native code differs from native code", false
		}
		object, err := compile(dir, source, t)
		if err != nil {
			return err.Error(), false
		}
		all, err := w.do(request{Job: &job{Object: object, Programs: []string{name}, Packets: pkts, Engines: []string{engine}, Show: show}})
		if err != nil {
			return err.Error(), true
		}
		if all[0].Refused != "" || slices.EqualFunc(want[name], all[0].Runs, run.same) {
			return all[0].Refused, false
		}
		for i, r := range all[0].Runs {
			if !r.same(want[name][i]) {
				return fmt.Sprintf("packet %d\n%v\nnative %v", i, r, want[name][i]), true
			}
		}
		return "", true
	}
	drop := map[int]bool{}
	why, bad := differs(drop, false)
	if !bad {
		return fmt.Errorf("seed %d: nothing differs: %s", seed, why)
	}
	n := generate(seed, c.size, nil).Stmts
	for size := n / 2; size > 0; size /= 2 {
		for from := 0; from < n; from += size {
			less := map[int]bool{}
			for k := range drop {
				less[k] = true
			}
			for k := from; k < min(from+size, n); k++ {
				less[k] = true
			}
			if len(less) == len(drop) {
				continue
			}
			if _, bad := differs(less, false); bad {
				drop = less
			}
		}
	}
	why, _ = differs(drop, true)
	fmt.Println(why)
	file := filepath.Join(c.out, fmt.Sprintf("unit-%d-%s.c", seed, name))
	fmt.Println(file)
	return os.WriteFile(file, []byte(generate(seed, c.size, drop).Source), 0o644)
}
