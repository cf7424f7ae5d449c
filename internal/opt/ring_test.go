package opt_test

import (
	"context"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// TestRecords says which records code makes without a call.
func TestRecords(t *testing.T) {
	spec := &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096}
	const commit = "if r0 == 0 goto +3\nr1 = r0\nr2 = 0\ncall 132\nr0 = 0\nexit"
	for _, tc := range []struct {
		name, text string
		want       []opt.InlineForm
	}{
		{"reserve", "r1 = map[0]\nr2 = 24\nr3 = 0\ncall 131\n" + commit, []opt.InlineForm{opt.InlineReserve, opt.InlineCommit}},
		{"too large", "r1 = map[0]\nr2 = 4000\nr3 = 0\ncall 131\n" + commit, []opt.InlineForm{opt.InlineCommit}},
		{"a size from further away", "r0 = *(u32 *)(r1 +16)\nr2 = 24\nif r0 == 0 goto +1\nr0 = 1\nr1 = map[0]\nr3 = 0\ncall 131\n" + commit, []opt.InlineForm{opt.InlineCommit}},
		{"output", "*(u64 *)(r10 -8) = 1\nr1 = map[0]\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 1\ncall 130\nexit", []opt.InlineForm{opt.InlineOutput}},
		{"output with a flag", "*(u64 *)(r10 -8) = 1\nr1 = map[0]\nr2 = r10\nr2 += -8\nr3 = 8\nr4 = 4\ncall 130\nexit", nil},
		{"output of nothing", "r1 = map[0]\nr2 = r10\nr3 = 0\nr4 = 0\ncall 130\nexit", nil},
	} {
		insns, err := prog.Assemble(tc.text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := prog.FromInsns("p", linux.XDP, insns, []*maps.Spec{spec})
		if err != nil {
			t.Fatal(err)
		}
		v, _, err := verifier.Verify(context.Background(), p, verifier.Options{})
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		for _, known := range []bool{false, true} {
			layouts, want := []*maps.Layout{nil}, 0
			if known {
				layouts[0], want = &maps.Layout{Kind: maps.LayoutRing, Entries: 4096}, len(tc.want)
			}
			o, err := opt.Prepare(v, layouts)
			if err != nil {
				t.Fatal(err)
			}
			var got []opt.InlineForm
			for pc := range o.Info {
				if x := o.Info[pc].Inline; x != nil {
					got = append(got, x.Form)
				}
			}
			if len(got) != want {
				t.Errorf("%s: forms %v, want %v", tc.name, got, tc.want[:want])
				continue
			}
			for i := range got {
				if got[i] != tc.want[i] {
					t.Errorf("%s: forms %v, want %v", tc.name, got, tc.want)
				}
			}
		}
	}
}
