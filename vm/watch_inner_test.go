package vm

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// fillInner puts maps into the maps of maps of c: two that fit the template, so
// that programs find one, the other, or none.
func fillInner(c *Collection) {
	for _, m := range c.maps {
		holder, ok := m.(maps.MapHolder)
		if !ok {
			continue
		}
		for i := range uint32(2) {
			inner, err := maps.New(m.Spec().Inner)
			if err != nil {
				continue // a template needs no more than sizes
			}
			key := make([]byte, max(m.Spec().KeySize, 4))
			binary.NativeEndian.PutUint32(key, i)
			holder.StoreMap(key[:m.Spec().KeySize], inner, maps.Any)
		}
	}
}

// TestWatchInner holds runs that find inner maps against their proof.
func TestWatchInner(t *testing.T) {
	inner := maps.Spec{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 16, MaxEntries: 3}
	specs := []*maps.Spec{{Name: "outer", Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 3, Inner: &inner}}
	insns, err := prog.Assemble(`
		call 7
		r0 &= 3
		*(u32 *)(r10 -4) = r0
		*(u32 *)(r10 -8) = 1
		r1 = map[0]
		r2 = r10
		r2 += -4
		call 1
		r9 = 1
		if r0 == 0 goto end
		r6 = r0
		r1 = r0
		r2 = r10
		r2 += -8
		call 1
		r9 = 2
		if r0 == 0 goto end
		r7 = r0
		*(u64 *)(r7 +8) = 5
		r1 = r6
		r2 = r10
		r2 += -4
		call 1
		if r0 == 0 goto end
		r1 = *(u64 *)(r0 +0)
		r9 = 3
	end:
		r0 = r9
		exit`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prog.FromInsns("p", linux.Platform.Type("xdp"), insns, specs)
	if err != nil {
		t.Fatal(err)
	}
	proof, _, err := verifier.Verify(context.Background(), p, verifier.Options{Invariants: true})
	if err != nil {
		t.Fatal(err)
	}
	c, err := LoadProgram(p, Options{Engine: Checked})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fillInner(c)
	r := rand.New(rand.NewPCG(1, 2))
	verdicts := map[uint64]int{}
	for range 200 {
		w := newWatcher(r, &watched{v: proof, p: c.Program("p")})
		if err := w.run(make([]byte, 64)); err != nil {
			t.Fatal(err)
		}
		got, err := c.Program("p").Run(make([]byte, 64))
		if err != nil {
			t.Fatal(err)
		}
		verdicts[got]++
	}
	if verdicts[1] == 0 || verdicts[2] != 0 || verdicts[3] == 0 {
		t.Errorf("verdicts %v: both kinds of look-ups should have been seen", verdicts)
	}
}
