package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// A family is programs of one kind, as long as one wants.
type family struct {
	name string
	unit string // repeated; %d is the number of the repetition
	pre  string
}

var families = []family{
	{"straight line", "r0 += %d", "r0 = 1"},
	{"branches on independent flags", "if r6 & %d goto +1\nr7 += 1", "call 7\nr6 = r0\nr7 = 0"},
	{"loops of 50 iterations", "r1 = 0\nr7 += %d\nr1 += 1\nif r1 != 50 goto -3", "r7 = 0"},
	{"map lookups", "*(u32 *)(r10 -4) = %d\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto +2\nr1 = *(u64 *)(r0 +0)\nr7 += r1", "r7 = 0"},
}

var familyMaps = []*maps.Spec{{Name: "counters", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 8}}

// program returns the member of about n slots.
func (f *family) program(n int) (*prog.Program, error) {
	var b strings.Builder
	b.WriteString(f.pre + "\n")
	per := strings.Count(f.unit, "\n") + 1 + strings.Count(f.unit, "map[") // wide
	for i := range max(1, n/per) {
		fmt.Fprintf(&b, f.unit+"\n", 1<<(i%30))
	}
	b.WriteString("r0 = 0\nexit")
	insns, err := prog.Assemble(b.String())
	if err != nil {
		return nil, err
	}
	return prog.FromInsns(f.name, linux.Platform.Type("socket_filter"), insns, familyMaps)
}

// A cost is what one program took, per slot; kernel is 0 if it was not asked or
// refused.
type cost struct {
	slots        int
	skep, kernel float64 // nanoseconds
}

// sizes are the lengths of generated programs.
var sizes = []int{32, 128, 512, 2048, 8192, 32768, 131072}

// grow returns the costs of the members of f.
func (c *campaign) grow(f *family) ([]cost, error) {
	var costs []cost
	twins := kernelMaps{}
	defer twins.close()
	for _, n := range sizes {
		p, err := f.program(n)
		if err != nil {
			return nil, err
		}
		var kp *kernelProgram
		if c.o.kernel {
			kp = newKernelProgram(p, twins)
		}
		k := cost{slots: len(p.Insns)}
		best, theirs := time.Duration(0), time.Duration(0)
		for round := range c.o.rounds {
			_, stats, err := verifier.Verify(context.Background(), p, verifier.Options{})
			if e := (*verifier.Error)(nil); errors.As(err, &e) && e.Code == verifier.Limit {
				return costs, nil // larger ones are beyond it too
			}
			if err != nil {
				return nil, fmt.Errorf("%s, %d slots: %w", f.name, len(p.Insns), err)
			}
			if round == 0 || stats.Time < best {
				best = stats.Time
			}
			if kp == nil {
				continue
			}
			if a := kp.ask(); a.loads && (theirs == 0 || a.took < theirs) {
				theirs = a.took
			}
		}
		k.skep, k.kernel = float64(best.Nanoseconds())/float64(k.slots), float64(theirs.Nanoseconds())/float64(k.slots)
		costs = append(costs, k)
	}
	return costs, nil
}
