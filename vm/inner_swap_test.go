package vm_test

import (
	"encoding/binary"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// innerPair looks the first and the last value of a map up that the outer map of
// the packet's first byte holds, and returns both.
const innerPair = `
	r2 = *(u32 *)(r1 +0)
	r3 = *(u32 *)(r1 +4)
	r0 = -1
	r4 = r2
	r4 += 1
	if r4 > r3 goto end
	r6 = *(u8 *)(r2 +0)
	*(u32 *)(r10 -4) = 1
	*(u32 *)(r10 -8) = 0
	*(u32 *)(r10 -12) = 999
	r2 = r10
	r2 += -4
	if r6 != 0 goto second
	r1 = map[0]
	call 1
	if r0 == 0 goto end
	r7 = r0
	r1 = r7
	r2 = r10
	r2 += -8
	call 1
	goto found
second:
	r1 = map[1]
	call 1
	if r0 == 0 goto end
	r7 = r0
	r1 = r7
	r2 = r10
	r2 += -8
	call 1
found:
	if r0 == 0 goto none
	r8 = *(u32 *)(r0 +0)
	r1 = r7
	r2 = r10
	r2 += -12
	call 1
	if r0 == 0 goto none
	r1 = *(u32 *)(r0 +0)
	r8 <<= 32
	r8 |= r1
	r0 = r8
	goto end
none:
	r0 = -2
end:
	exit`

// outerOnce is innerPair where one call looks in either of the outer maps.
var outerOnce = strings.Replace(strings.Replace(innerPair, `	if r6 != 0 goto second
	r1 = map[0]
	call 1
`, `	r1 = map[0]
	if r6 == 0 goto look
	r1 = map[1]
look:
	call 1
	if r6 != 0 goto second
`, 1), `second:
	r1 = map[1]
	call 1
`, "second:\n", 1)

// TestInnerMapsSwapped has programs look up in arrays while others take their
// places, in an array and in a hash of maps: both values that a run finds are of the
// same array, which lives until the run ends.
func TestInnerMapsSwapped(t *testing.T) { eachProven(t, testInnerMapsSwapped) }

func testInnerMapsSwapped(t *testing.T, o vm.Options) {
	rounds := 20_000
	if testing.Short() {
		rounds = 2000
	}
	inner := maps.Spec{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 12, MaxEntries: 1000}
	outers := []*maps.Spec{
		{Name: "array", Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 2, Inner: &inner},
		{Name: "other", Type: maps.HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 2, Inner: &inner},
	}
	for name, text := range map[string]string{"a call each": innerPair, "one call": outerOnce} {
		c := load(t, linux.Platform.Type("xdp"), text, o, outers...)
		version := uint32(0)
		store := func() {
			version++
			for _, s := range outers {
				m, err := maps.New(&inner)
				if err != nil {
					t.Fatal(err)
				}
				value := binary.NativeEndian.AppendUint32(nil, version)
				value = append(value, 0, 0, 0, 0, 0, 0, 0, 0)
				for _, i := range []uint32{0, 999} {
					if err := m.Update(binary.NativeEndian.AppendUint32(nil, i), value, maps.Any); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.Map(s.Name).(maps.MapHolder).StoreMap([]byte{1, 0, 0, 0}, m, maps.Any); err != nil {
					t.Fatal(err)
				}
				m.Close() // the outer map keeps it
			}
		}
		pkt := make([]byte, 64)
		if got, err := c.Program("p").Run(pkt); got != 0 || err != nil {
			t.Fatalf("an empty map, %s: %d, %v", name, int64(got), err)
		}
		store()
		var stop atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			for !stop.Load() {
				store()
			}
		}()
		last := [2]uint64{}
		for i := range rounds {
			pkt[0] = byte(i & 1)
			got, err := c.Program("p").Run(pkt)
			if err != nil || got>>32 != got&0xffffffff || got>>32 < last[i&1] || got == 0 {
				t.Errorf("run %d, map %d, %s: %#x after %d, %v", i, i&1, name, got, last[i&1], err)
				break
			}
			last[i&1] = got >> 32
		}
		stop.Store(true)
		<-done
		t.Logf("%s: %d swaps, %d of them seen", name, version, last[0])
	}
}
