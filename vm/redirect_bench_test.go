package vm_test

import (
	"fmt"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// BenchmarkRedirect measures calls of helpers that say where a packet goes, 1000 in
// a run, less the loop round them.
func BenchmarkRedirect(b *testing.B) {
	const loop = "r9 = r1\nr6 = 1000\nr7 = 0\nagain:\n%s\nr7 += r0\nr6 += -1\nif r6 != 0 goto again\nr0 = r7\nexit"
	for _, tc := range []struct {
		name, text string
		spec       maps.Spec
		sum        uint64
	}{
		{"loop", "r0 = 4", maps.Spec{}, 4000},
		{"redirect", "r1 = 1\nr2 = 0\ncall 23", maps.Spec{}, 4000},
		{"redirect_map/devmap", "r1 = map[0]\nr2 = 3\nr3 = 0\ncall 51", maps.Spec{Type: maps.DevMap}, 4000},
		{"redirect_map/devmap, none", "r1 = map[0]\nr2 = 1\nr3 = 2\ncall 51", maps.Spec{Type: maps.DevMap}, 2000},
		{"redirect_map/devmap_hash", "r1 = map[0]\nr2 = 3\nr3 = 0\ncall 51", maps.Spec{Type: maps.DevMapHash}, 4000},
		{"redirect_map/cpumap", "r1 = map[0]\nr2 = 0\nr3 = 0\ncall 51", maps.Spec{Type: maps.CPUMap}, 4000},
	} {
		b.Run(tc.name, func(b *testing.B) {
			var ms []*maps.Spec
			if tc.spec.Type != 0 {
				tc.spec.Name, tc.spec.KeySize, tc.spec.ValueSize, tc.spec.MaxEntries = "m", 4, 4, 64
				ms = append(ms, &tc.spec)
			}
			c := load(b, linux.XDP, fmt.Sprintf(loop, tc.text), vm.Options{}, ms...)
			if ms != nil {
				key := uint32(3)
				if tc.spec.Type == maps.CPUMap {
					key = 0
				}
				if err := c.Map("m").Update(word(key), word(1), 0); err != nil {
					b.Fatal(err)
				}
			}
			packet := make([]byte, 64)
			for b.Loop() {
				if got, err := c.Program("p").Run(packet); err != nil || got != tc.sum {
					b.Fatal(got, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/call")
		})
	}
}
