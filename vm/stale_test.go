package vm_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestStaleStack: what earlier runs left in the stack no later run sees, whatever
// helper leaves memory as it was, or reads at an address.
func TestStaleStack(t *testing.T) {
	var fill strings.Builder
	fill.WriteString("call f\nr0 = 0\nexit\nf:\nr1 = 0x5a5a5a5a5a5a5a5a ll\n")
	for off := 8; off <= 256; off += 8 {
		fmt.Fprintf(&fill, "*(u64 *)(r10 -%d) = r1\n", off)
	}
	fill.WriteString("r0 = 0\nexit")
	const to = "r1 = r10\nr1 += -64\nr2 = 8\n"
	value := &maps.Spec{Name: "one", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1}
	for name, call := range map[string]string{
		"packet that is too short":  "r2 = 5000\nr3 = r10\nr3 += -64\nr4 = 8\ncall 189\n",
		"dynptr that is too short":  "r1 = map[0][0]+0\nr2 = 8\nr3 = 0\nr4 = r10\nr4 += -96\ncall 197\n" + to + "r3 = r10\nr3 += -96\nr4 = 4\nr5 = 0\ncall 201\n",
		"no branches":               to + "r3 = 0\ncall 176\n",
		"string that is short":      "*(u64 *)(r10 -80) = 0x41\n" + to + "r3 = r10\nr3 += -80\ncall 115\n",
		"memory at an address":      to + "r3 = r10\nr3 += -128\ncall 113\n",
		"memory at a lower address": to + "r3 = r10\nr3 += -256\ncall 113\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, e := range usable(t) {
				dirty := load(t, linux.XDP, fill.String(), vm.Options{Engine: e}).Program("p")
				see := load(t, linux.XDP, "call f\nexit\nf:\n"+call+"r0 = *(u64 *)(r10 -64)\nexit", vm.Options{Engine: e}, value).Program("p")
				for range 4 {
					if _, err := dirty.Run(make([]byte, 64)); err != nil {
						t.Fatal(err)
					}
					if r0, err := see.Run(make([]byte, 64)); err != nil || r0&0xffffffff_00000000 != 0 {
						t.Errorf("%s: %#x, %v: another run's stack shows", e, r0, err)
					}
				}
			}
		})
	}
}

// TestPeekReads: peek of a bloom filter reads the value, from memory that programs
// may only read, too.
func TestPeekReads(t *testing.T) {
	bloom := &maps.Spec{Name: "bloom", Type: maps.BloomFilter, ValueSize: 8, MaxEntries: 4}
	config := &maps.Spec{Name: "config", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: maps.ReadOnlyProg}
	for _, e := range usable(t) {
		p := load(t, linux.XDP, "r1 = map[0]\nr2 = map[1][0]+0\nr3 = 0\ncall 87\nr1 = map[0]\nr2 = map[1][0]+0\ncall 89\nexit", vm.Options{Engine: e}, bloom, config).Program("p")
		if r0, err := p.Run(make([]byte, 64)); err != nil || r0 != 0 {
			t.Errorf("%s: %d, %v", e, int64(r0), err)
		}
	}
}
