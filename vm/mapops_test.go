package vm_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// fold mixes what a call left in R0 and the 8 bytes at fp-8 into R9.
const fold = "r9 *= 31\nr9 += r0\nr1 = *(u64 *)(r10 -8)\nr9 *= 31\nr9 += r1\n"

// mapOp returns one random operation on map 0, whose description is s, by a
// program.
func mapOp(r *rand.Rand, s *maps.Spec) string {
	small := r.IntN(min(int(s.MaxEntries)*2, 50))
	switch s.Type {
	case maps.Queue, maps.Stack, maps.BloomFilter:
		args := fmt.Sprintf("*(u64 *)(r10 -8) = %d\nr1 = map[0]\nr2 = r10\nr2 += -8\n", small)
		calls := []int{87, 87, 88, 89}
		if s.Type == maps.BloomFilter {
			calls = []int{87, 89, 89}
		}
		call := calls[r.IntN(len(calls))]
		if call == 87 {
			args += fmt.Sprintf("r3 = %d\n", []int{0, 0, 0, 1, 2, 3, 4}[r.IntN(7)])
		}
		return args + fmt.Sprintf("call %d\n", call) + fold
	}
	key := "*(u64 *)(r10 -8) = 0\n"
	if s.Type == maps.LPMTrie {
		key += fmt.Sprintf("*(u32 *)(r10 -8) = %d\n*(u32 *)(r10 -4) = %d\n", r.IntN(34), 1<<r.IntN(32)>>r.IntN(3)&0x7fffffff)
	} else {
		key += fmt.Sprintf("*(u32 *)(r10 -8) = %d\n", small)
	}
	key += "r1 = map[0]\nr2 = r10\nr2 += -8\n"
	switch r.IntN(4) {
	case 0:
		return key + "call 3\n" + fold
	case 1, 2:
		flags := []int{0, 0, 0, 1, 2, 3, 4}[r.IntN(7)]
		return fmt.Sprintf("*(u64 *)(r10 -16) = %d\n", r.IntN(1000)) + key +
			fmt.Sprintf("r3 = r10\nr3 += -16\nr4 = %d\ncall 2\n", flags) + fold
	}
	if r.IntN(3) == 0 {
		return key + "call 1\nif r0 == 0 goto +3\nr1 = 3\nr1 = atomic_fetch_add((u64 *)(r0 +0), r1)\nr0 = *(u64 *)(r0 +0)\n" + fold
	}
	return key + "call 1\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 +0)\n" + fold
}

// TestKernelMapOps compares what programs get from every kind of map with what
// they get in the kernel: a hash of all results, of each of many runs on the same
// map.
func TestKernelMapOps(t *testing.T) {
	oracle.Skip(t)
	const runs = 20
	n := envInt(t, "SKEP_DIFF_PROGS", 20)
	if testing.Short() {
		n = 10
	}
	for _, typ := range []maps.Type{maps.Queue, maps.Stack, maps.BloomFilter, maps.LPMTrie, maps.Hash, maps.Array, maps.LRUHash} {
		t.Run(typ.String(), func(t *testing.T) {
			for seed := range uint64(n) {
				r := rand.New(rand.NewPCG(seed, uint64(typ)))
				s := &maps.Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: []uint32{1, 2, 5, 20}[r.IntN(4)]}
				switch typ {
				case maps.Queue, maps.Stack:
					s.KeySize = 0
				case maps.BloomFilter:
					s.KeySize, s.Flags = 0, maps.ZeroSeed
				case maps.LPMTrie:
					s.KeySize, s.Flags = 8, maps.NoPrealloc
				case maps.LRUHash: // the kernel evicts from small maps before they are full
					s.MaxEntries = 2000
				}
				var b strings.Builder
				b.WriteString("r9 = 0\n*(u64 *)(r10 -16) = 0\n")
				for range 60 {
					b.WriteString(mapOp(r, s))
				}
				b.WriteString("r0 = r9\nr9 >>= 32\nr0 ^= r9\nw0 = w0\nexit")
				if msg := runsAsKernel(t, runs, b.String(), s); msg != "" {
					t.Fatalf("seed %d: %s\n%s", seed, msg, b.String())
				}
			}
			t.Logf("%d operations", n*runs*60)
		})
	}
}

// TestKernelMapCalls compares what programs get from helpers on maps that
// TestKernelMapOps does not call: walks of a map, values of another CPU, tail
// calls that lead nowhere.
func TestKernelMapCalls(t *testing.T) {
	oracle.Skip(t)
	array := &maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 7}
	perCPU := &maps.Spec{Name: "m", Type: maps.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 3}
	progs := &maps.Spec{Name: "m", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 3}
	walk := func(stop, flags int) string {
		return fmt.Sprintf(`
			*(u64 *)(r10 -8) = 0
			r1 = map[0]
			r2 = subprog[each]
			r3 = r10
			r3 += -8
			r4 = %d
			call 164
			r1 = *(u64 *)(r10 -8)
			r0 *= 1000
			r0 += r1
			w0 = w0
			exit
		each:
			r5 = *(u32 *)(r2 +0)
			r1 = *(u64 *)(r4 +0)
			r1 += r5
			r1 += 1
			*(u64 *)(r4 +0) = r1
			lock *(u64 *)(r3 +0) += r5
			r0 = 0
			if r5 != %d goto +1
			r0 = 1
			exit`, flags, stop)
	}
	lookup := func(key, cpu int) string {
		return fmt.Sprintf("*(u32 *)(r10 -4) = %d\nr1 = map[0]\nr2 = r10\nr2 += -4\nr3 = %d\ncall 195\nif r0 == 0 goto +3\nr0 = *(u64 *)(r0 +0)\nr0 += 5\nexit\nr0 = 9\nexit", key, cpu)
	}
	for text, s := range map[string]*maps.Spec{
		walk(100, 0): array, walk(3, 0): array, walk(3, 1): array,
		lookup(0, 0): perCPU, lookup(2, 1): perCPU, lookup(3, 0): perCPU, lookup(1, 1000): perCPU,
		"r2 = map[0]\nr3 = 1\ncall 12\nr0 = 7\nexit":  progs,
		"r2 = map[0]\nr3 = 99\ncall 12\nr0 = 8\nexit": progs,
	} {
		if msg := sameAsKernel(t, text, s); msg != "" {
			t.Errorf("%s\n%s", msg, text)
		}
	}
}

// sameAsKernel runs an XDP program here, by each engine, and in the kernel, two
// times each on the same maps, and says what differs.
func sameAsKernel(t *testing.T, text string, ms ...*maps.Spec) string {
	t.Helper()
	return runsAsKernel(t, 2, text, ms...)
}

// runsAsKernel is sameAsKernel with a number of runs.
func runsAsKernel(t *testing.T, runs int, text string, ms ...*maps.Spec) string {
	t.Helper()
	var theirs []*oracle.Map
	for _, s := range ms {
		m, err := oracle.NewMap(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		theirs = append(theirs, m)
	}
	k, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: assemble(t, text), Maps: theirs})
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, text, log)
	}
	defer k.Close()
	pkt := make([]byte, 64)
	want := make([]uint64, runs)
	for i := range want {
		res, err := k.Run(oracle.RunInput{Data: pkt})
		if err != nil {
			t.Fatal(err)
		}
		want[i] = uint64(res.Retval)
	}
	for _, e := range usable(t) {
		p := load(t, linux.Platform.Type("xdp"), text, vm.Options{Engine: e}, ms...).Program("p")
		for i := range want {
			got, err := p.Run(pkt)
			if err != nil || got != want[i] {
				return fmt.Sprintf("%s, run %d: %#x, %v; the kernel: %#x", e, i, got, err, want[i])
			}
		}
	}
	return ""
}

// TestKernelMapOfMaps counts in inner maps, which come and go between runs.
func TestKernelMapOfMaps(t *testing.T) {
	oracle.Skip(t)
	const text = `
		r6 = *(u32 *)(r1 +0)
		r7 = *(u32 *)(r1 +4)
		r2 = r6
		r2 += 8
		r0 = 1
		if r2 > r7 goto end
		r1 = *(u32 *)(r6 +0)
		*(u32 *)(r10 -4) = r1
		r1 = *(u32 *)(r6 +4)
		*(u32 *)(r10 -8) = r1
		r1 = map[0]
		r2 = r10
		r2 += -4
		call 1
		if r0 != 0 goto found
		r0 = 2
		goto end
	found:
		r8 = r0
		r1 = r0
		r2 = r10
		r2 += -8
		call 1
		if r0 == 0 goto add
		r1 = 1
		lock *(u64 *)(r0 +0) += r1
		r0 = *(u64 *)(r0 +0)
		r0 += 100
		goto end
	add:
		*(u64 *)(r10 -16) = 7
		r1 = r8
		r2 = r10
		r2 += -8
		r3 = r10
		r3 += -16
		r4 = 0
		call 2
		r0 += 50
	end:
		exit`
	for _, inner := range []maps.Spec{
		{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 3},
		{Name: "inner", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 3},
	} {
		for _, typ := range []maps.Type{maps.ArrayOfMaps, maps.HashOfMaps} {
			outer := maps.Spec{Name: "outer", Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 3, Inner: &inner}
			newInner := func() (maps.Map, *oracle.Map) {
				m, err := maps.New(&inner)
				k, kerr := oracle.NewMap(&inner, nil)
				if err != nil || kerr != nil {
					t.Fatal(err, kerr)
				}
				return m, k
			}
			_, template := newInner()
			for _, e := range usable(t) {
				k, err := oracle.NewMap(&outer, template)
				if err != nil {
					t.Fatal(err)
				}
				kp, log, err := oracle.Load(oracle.LoadOptions{Type: oracle.XDP, Insns: assemble(t, text), Maps: []*oracle.Map{k}})
				if err != nil {
					t.Fatalf("%v\n%s", err, log)
				}
				c := load(t, linux.Platform.Type("xdp"), text, vm.Options{Engine: e}, &outer)
				holder := c.Map("outer").(maps.MapHolder)
				r := rand.New(rand.NewPCG(uint64(typ), uint64(inner.Type)))
				pkt := make([]byte, 64)
				for i := range 120 {
					key := []byte{byte(r.IntN(4)), 0, 0, 0}
					if r.IntN(6) == 0 {
						ours, theirs := newInner()
						if err := holder.StoreMap(key, ours, 0); err == nil {
							if err := k.Update(key, []byte{byte(theirs.FD()), byte(theirs.FD() >> 8), 0, 0}, 0); err != nil {
								t.Fatal(err)
							}
						}
						theirs.Close() // the outer map keeps it
					}
					pkt[0], pkt[4] = byte(r.IntN(4)), byte(r.IntN(4))
					want, err := kp.Run(oracle.RunInput{Data: pkt})
					if err != nil {
						t.Fatal(err)
					}
					got, err := c.Program("p").Run(pkt)
					if err != nil || uint32(got) != want.Retval {
						t.Fatalf("%v of %v, %s, step %d, % x: %d, %v; the kernel: %d", typ, inner.Type, e, i, pkt[:8], int32(got), err, int32(want.Retval))
					}
				}
				kp.Close()
				k.Close()
			}
			template.Close()
		}
	}
}

// TestKernelEvents compares what perf_event_output returns when nobody reads,
// and checks what a reader gets.
func TestKernelEvents(t *testing.T) {
	oracle.Skip(t)
	s := &maps.Spec{Name: "events", Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: uint32(maps.NumCPU())}
	output := func(flags uint64, size int) string {
		return fmt.Sprintf("*(u64 *)(r10 -8) = 0x1234\nr1 = r6\nr2 = map[0]\nr3 = %#x ll\nr4 = r10\nr4 += -8\nr5 = %d\ncall 25\n", flags, size)
	}
	const current = 1<<32 - 1
	var b strings.Builder
	b.WriteString("r9 = 0\nr6 = r1\n")
	for _, flags := range []uint64{current, 100, current | 10<<32, current | 64<<32, current | 65<<32, current | 0xfffff<<32, 1 << 52, 1 << 63} {
		b.WriteString(output(flags, 8) + fold)
	}
	b.WriteString(output(current, 0) + fold + "r0 = r9\nr9 >>= 32\nr0 ^= r9\nw0 = w0\nexit")
	if msg := sameAsKernel(t, b.String(), s); msg != "" {
		t.Error(msg)
	}
	for _, e := range usable(t) {
		text := "r6 = r1\n" + output(current|3<<32, 5) + "r7 = r0\n" + output(current, 8) + "r0 += r7\nexit"
		c := load(t, linux.Platform.Type("xdp"), text, vm.Options{Engine: e}, s)
		r, err := maps.NewPerfReader(c.Map("events"), 4096)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Program("p").Run(append([]byte{7, 8, 9}, make([]byte, 61)...)); got != 0 || err != nil {
			t.Fatalf("%d, %v", int32(got), err)
		}
		for _, want := range []string{"\x34\x12\x00\x00\x00\x07\x08\x09", "\x34\x12\x00\x00\x00\x00\x00\x00"} {
			if rec, err := r.Read(t.Context()); err != nil || string(rec.Data) != want || rec.Lost != 0 {
				t.Errorf("%s: got %x, %v, want %x", e, rec.Data, err, want)
			}
		}
		c.Close()
	}
}
