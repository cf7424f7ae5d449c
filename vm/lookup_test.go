package vm_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// lookupLoop returns a program that looks keys 0 to 9 up in ms, which have 8
// entries, in one of the ways that compilers write it, in a loop, a subprogram or a
// callback, and the values that it found, added up, and how often it found none, in
// bits 24 and up, and the CPU in bits 40 and up.
func lookupLoop(r *rand.Rand, ms []*maps.Spec) string {
	var b, sub strings.Builder
	one := func(w *strings.Builder, m int, key, sum string) {
		id := r.Uint32()
		switch r.IntN(6) {
		case 0: // a constant
			k := r.IntN(10)
			fmt.Fprintf(w, "*(u32 *)(r10 -4) = %d\nr3 = %d\n", k, k)
		case 1:
			fmt.Fprintf(w, "r1 = %s\n*(u32 *)(r10 -4) = r1\nr3 = r1\n", key)
		case 2: // bounded
			fmt.Fprintf(w, "r1 = %s\nr1 &= 7\n*(u32 *)(r10 -4) = r1\nr3 = r1\n", key)
		case 3:
			fmt.Fprintf(w, "w2 = w%s\nw2 &= 15\n*(u32 *)(r10 -4) = r2\nr3 = r2\n", key[1:])
		case 4: // stored twice
			fmt.Fprintf(w, "*(u32 *)(r10 -4) = %s\nr4 = 3\n*(u16 *)(r10 -4) = r4\nr3 = 3\n", key)
		default:
			fmt.Fprintf(w, "*(u32 *)(r10 -4) = %s\nr3 = %s\n", key, key)
		}
		w.WriteString("*(u64 *)(r10 -24) = r3\nr2 = r10\nr2 += -4\n")
		fmt.Fprintf(w, "r1 = map[%d]\ncall 1\n", m)
		none := sum + " += r1\n"
		none = "r1 = 16777216\n" + none
		found := "r1 = *(u64 *)(r0 +0)\n" + sum + " += r1\nr1 = *(u32 *)(r10 -4)\n" + sum + " += r1\n"
		switch r.IntN(4) {
		case 0:
			fmt.Fprintf(w, "if r0 == 0 goto none%d\n%sgoto done%d\nnone%d:\n%sdone%d:\n", id, found, id, id, none, id)
		case 1:
			fmt.Fprintf(w, "if r0 != 0 goto found%d\n%sgoto done%d\nfound%d:\n%sdone%d:\n", id, none, id, id, found, id)
		case 2: // R0 lives on, 0 or not
			fmt.Fprintf(w, "if r0 == 0 goto none%d\n%sr0 = 1\nnone%d:\nif r0 != 0 goto done%d\n%sdone%d:\n", id, found, id, id, none, id)
		default:
			fmt.Fprintf(w, "r4 = r0\nif r4 == 0 goto none%d\n%sgoto done%d\nnone%d:\n%sdone%d:\n", id, found, id, id, none, id)
		}
	}
	b.WriteString("r6 = 0\nr7 = 0\nloop:\n")
	if r.IntN(3) == 0 {
		b.WriteString("r1 = r6\ncall f\nr7 += r0\n")
		sub.WriteString("f:\nr6 = r1\nr7 = 0\n")
		if r.IntN(2) == 0 {
			sub.WriteString("r8 = 0\nagain:\n")
			one(&sub, r.IntN(len(ms)), "r6", "r7")
			sub.WriteString("r8 += 1\nif r8 != 3 goto again\n")
		}
		one(&sub, r.IntN(len(ms)), "r6", "r7")
		sub.WriteString("r0 = r7\nexit\n")
	}
	for m := range ms {
		one(&b, m, "r6", "r7")
	}
	b.WriteString("r6 += 1\nif r6 < 10 goto loop\n")
	one(&b, 0, "r6", "r7")
	b.WriteString("call 8\nr0 <<= 40\nr0 += r7\nexit\n")
	return b.String() + sub.String()
}

// TestLookupLoops compares engines on lookups in arrays, on every CPU that runs
// happen to get.
func TestLookupLoops(t *testing.T) { eachProven(t, testLookupLoops) }

func testLookupLoops(t *testing.T, o vm.Options) {
	n := envInt(t, "SKEP_DIFF_PROGS", 400) / 4
	specs := []*maps.Spec{
		{Name: "a", Type: maps.PerCPUArray, KeySize: 4, ValueSize: 16, MaxEntries: 8},
		{Name: "b", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 8},
		{Name: "c", Type: maps.PerCPUArray, KeySize: 4, ValueSize: 24, MaxEntries: 8},
		{Name: "d", Type: maps.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 8},
	}
	for k := range n {
		seed := uint64(envInt(t, "SKEP_DIFF_SEED", 1) + k)
		text := lookupLoop(rand.New(rand.NewPCG(seed, 5)), specs)
		fast := load(t, packetType, text, o, specs...)
		slow := load(t, packetType, text, vm.Options{Engine: vm.Checked, Maps: map[string]maps.Map{
			"a": fast.Map("a"), "b": fast.Map("b"), "c": fast.Map("c"), "d": fast.Map("d")}}, specs...)
		for i, s := range specs {
			for cpu := range maps.NumCPU() {
				for e := range uint32(8) {
					v := fast.Map(s.Name).LookupElem(cpu, binary.LittleEndian.AppendUint32(nil, e))
					if s.Type == maps.PerCPUArray || cpu == 0 {
						binary.LittleEndian.PutUint64(v, uint64(cpu*1000+i*100)+uint64(e))
					}
				}
			}
		}
		want := make([]uint64, maps.NumCPU())
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range 20 {
					for i, c := range []*vm.Collection{slow, fast} {
						got, err := c.Program("p").Run([]byte{1})
						cpu := got >> 40
						mu.Lock()
						if i == 0 && want[cpu] == 0 {
							want[cpu] = got
						}
						if err != nil || want[cpu] != 0 && got != want[cpu] {
							t.Errorf("seed %d: CPU %d: engine %d: got %#x, %v, checked %#x\n%s", seed, cpu, i, got, err, want[cpu], text)
						}
						mu.Unlock()
						if err != nil {
							return
						}
					}
				}
			})
		}
		wg.Wait()
		slow.Close()
		fast.Close()
		if t.Failed() {
			return
		}
	}
}
