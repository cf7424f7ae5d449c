package vm_test

import (
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestInnerMap looks up a value in a map that a map of maps holds and changes it,
// which allocates nothing, or gives it to a helper that asks for its bytes
// (csum_diff).
func TestInnerMap(t *testing.T) { eachProven(t, testInnerMap) }

func testInnerMap(t *testing.T, o vm.Options) {
	const lookup = `
		*(u32 *)(r10 -4) = 1
		r1 = map[0]
		r2 = r10
		r2 += -4
		call 1
		if r0 == 0 goto end
		r1 = r0
		r2 = r10
		r2 += -4
		call 1
		if r0 == 0 goto end
		r1 = *(u32 *)(r0 +0)
		r1 += 1
		*(u32 *)(r0 +0) = r1
`
	const end = "end:\nexit"
	const value = lookup + "r0 = r1\n" + end
	const checksum = lookup + "r3 = r0\nr1 = 0\nr2 = 0\nr4 = 4\nr5 = 0\ncall 28\n" + end
	for _, typ := range []maps.Type{maps.Array, maps.Hash, maps.LRUHash, maps.PerCPUArray} {
		for _, holder := range []maps.Type{maps.ArrayOfMaps, maps.HashOfMaps} {
			inner := maps.Spec{Name: "inner", Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 3}
			outer := maps.Spec{Name: "outer", Type: holder, KeySize: 4, ValueSize: 4, MaxEntries: 3, Inner: &inner}
			c := load(t, linux.Platform.Type("xdp"), value, o, &outer)
			o := o
			o.Maps = map[string]maps.Map{"outer": c.Map("outer")}
			sum := load(t, linux.Platform.Type("xdp"), checksum, o, &outer).Program("p")
			p, pkt := c.Program("p"), make([]byte, 64)
			if got, err := p.Run(pkt); got != 0 || err != nil {
				t.Errorf("%v in %v, which is empty: got %d, error %v", typ, holder, got, err)
			}
			m, err := maps.New(&inner)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			key := []byte{1, 0, 0, 0}
			if err := m.Update(key, make([]byte, inner.HostValueSize()), maps.Any); err != nil {
				t.Fatal(err)
			}
			if err := c.Map("outer").(maps.MapHolder).StoreMap(key, m, maps.Any); err != nil {
				t.Fatal(err)
			}
			for i, p := range []*vm.Program{p, p, sum, p, sum} {
				got, err := p.Run(pkt)
				if err != nil || got != uint64(i+1) && typ != maps.PerCPUArray || got == 0 {
					t.Fatalf("%v in %v, run %d: got %d, error %v", typ, holder, i, got, err)
				}
			}
			if n := testing.AllocsPerRun(1000, func() {
				if _, err := p.Run(pkt); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v in %v: %v allocations per run", typ, holder, n)
			}
		}
	}
}
