package bpftest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/internal/oracle"
)

var kinds = map[string]uint32{"xdp": oracle.XDP, "sched_cls": oracle.SchedCls}

// TestGenerateInKernel measures how many generated programs the kernel takes.
func TestGenerateInKernel(t *testing.T) {
	oracle.Skip(t)
	n := 300
	if testing.Short() {
		n = 40 // the kernel's verifier needs some 3 ms for each
	}
	for kind, number := range kinds {
		t.Run(kind, func(t *testing.T) {
			why := map[string]int{}
			accepted, slots := 0, 0
			results := map[uint32]bool{}
			for seed := range uint64(n) {
				g := Generate(kind, seed, Everything(kind))
				if _, err := g.Program(platform); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				slots += len(g.Insns)
				p, log, err := loadGenerated(t, number, g)
				if err == nil {
					accepted++
					r, err := p.Run(oracle.RunInput{Data: g.Packet})
					if err != nil {
						t.Fatalf("seed %d: run: %v", seed, err)
					}
					results[r.Retval] = true
					p.Close()
					continue
				}
				why[lastLine(log)]++
				if testing.Verbose() && why[lastLine(log)] == 1 {
					t.Logf("seed %d: %v\n%s", seed, err, log[max(0, len(log)-3000):])
				}
			}
			t.Logf("%d of %d accepted, %d slots each", accepted, n, slots/n)
			for line, count := range why {
				t.Logf("%4d %s", count, line)
			}
			if len(results) < accepted/2 {
				t.Errorf("%d results of %d programs: they end too early", len(results), accepted)
			}
			if accepted*100 < 95*n {
				t.Errorf("the kernel accepts %d of %d programs", accepted, n)
			}
		})
	}
}

// loadGenerated gives g to the kernel.
func loadGenerated(t *testing.T, number uint32, g *Generated) (*oracle.Program, string, error) {
	t.Helper()
	ms := make([]*oracle.Map, len(g.Maps))
	for i, s := range g.Maps {
		m, err := oracle.NewMap(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close() // the program holds it
		for _, e := range s.Contents {
			if err := m.Update(e.Key, e.Value, 0); err != nil {
				t.Fatal(err)
			}
		}
		ms[i] = m
	}
	o := oracle.LoadOptions{Type: number, Insns: g.Insns, Maps: ms, NoLog: true}
	p, _, err := oracle.Load(o)
	if err == nil {
		return p, "", nil
	}
	if !testing.Verbose() {
		return nil, err.Error(), err
	}
	o.NoLog = false // takes seconds for a program that is too complex
	return oracle.Load(o)
}

// lastLine returns the message of a verifier log.
func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	lines = slices.DeleteFunc(lines, func(s string) bool {
		return strings.HasPrefix(s, "processed") || strings.HasPrefix(s, "verification time") || strings.HasPrefix(s, "stack depth")
	})
	if len(lines) == 0 {
		return fmt.Sprintf("%q", log)
	}
	return lines[len(lines)-1]
}

// TestGenerateCoversForms finds every form that programs of the two types can
// hold in some of a few hundred programs.
func TestGenerateCoversForms(t *testing.T) {
	seen := map[string]bool{}
	for kind := range kinds {
		for seed := range uint64(300) {
			for _, in := range Generate(kind, seed, Everything(kind)).Insns {
				if f := formOf(in); f != nil {
					seen[f.Text] = true
				}
			}
		}
	}
	var missing []string
	for _, text := range formTexts() {
		if !seen[text] {
			missing = append(missing, text)
		}
	}
	slices.Sort(missing)
	want := []string{ // what the kernel refuses, or takes from other types or loaders only
		"call kfunc[{off}]#{imm}",
		"callx r{dst}",
		"r{dst} = addr_space_cast(r{src}, 0, 1)", "r{dst} = addr_space_cast(r{src}, 1, 0)",
		"r{dst} = btf_id[{imm}]",
		"r{dst} = map[{imm}][0]+{next}",
		"r{dst} = map_idx[{imm}]", "r{dst} = map_idx[{imm}][0]+{next}",
	}
	if d := cmp.Diff(want, missing); d != "" {
		t.Error(d)
	}
}

func TestGenerateIsDeterministic(t *testing.T) {
	for seed := range uint64(50) {
		a, b := Generate("xdp", seed, Everything("xdp")), Generate("xdp", seed, Everything("xdp"))
		if !slices.Equal(a.Insns, b.Insns) {
			t.Fatalf("seed %d: two programs", seed)
		}
	}
}
