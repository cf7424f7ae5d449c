package helpers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/helpers"
)

// TestSet checks look-ups by small, large and negative numbers, and that a set
// stays as it is when another is derived from it.
func TestSet(t *testing.T) {
	fn := func(name string) *helpers.Func {
		return helpers.New0(name, func(helpers.Env) int64 { return 0 })
	}
	a := helpers.NewSet(map[helpers.ID]*helpers.Func{1: fn("one"), 300: fn("many"), -5: fn("minus")}, map[string]*helpers.Func{"k": fn("k")})
	b := a.With(map[helpers.ID]*helpers.Func{1: fn("uno"), 2: fn("two"), 300: fn("muchos")}, nil)
	c := a.Merge(helpers.NewSet(map[helpers.ID]*helpers.Func{1: fn("eins")}, map[string]*helpers.Func{"l": fn("l")}))
	d := helpers.Pick([]helpers.ID{2, 300, 7}, helpers.NewSet(map[helpers.ID]*helpers.Func{300: fn("own")}, nil), b)
	for _, tc := range []struct {
		name string
		s    *helpers.Set
		want map[helpers.ID]string
		kf   []string
	}{
		{"nil", nil, map[helpers.ID]string{}, nil},
		{"new", a, map[helpers.ID]string{-5: "minus", 1: "one", 300: "many"}, []string{"k"}},
		{"with", b, map[helpers.ID]string{-5: "minus", 1: "uno", 2: "two", 300: "muchos"}, []string{"k"}},
		{"merge", c, map[helpers.ID]string{-5: "minus", 1: "eins", 300: "many"}, []string{"k", "l"}},
		{"pick", d, map[helpers.ID]string{2: "two", 300: "own"}, nil},
	} {
		got := map[helpers.ID]string{}
		for _, id := range tc.s.IDs() {
			got[id] = tc.s.Helper(id).Name
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		if diff := cmp.Diff(tc.kf, tc.s.Kfuncs()); diff != "" {
			t.Errorf("%s: kfuncs (-want +got):\n%s", tc.name, diff)
		}
		for _, id := range []helpers.ID{0, 255, 256, -1, 1 << 30, -1 << 31} {
			if f := tc.s.Helper(id); f != nil {
				t.Errorf("%s: helper %d is %q", tc.name, id, f.Name)
			}
		}
	}
	if a.Kfunc("k") == nil || a.Kfunc("l") != nil {
		t.Errorf("kfuncs k %v, l %v", a.Kfunc("k"), a.Kfunc("l"))
	}
}
