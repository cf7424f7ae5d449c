package vm_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestReplacedHelpersAreCalled: a host's replacement of a helper that machine
// code could do without is called, also if it is a copy with another body.
func TestReplacedHelpersAreCalled(t *testing.T) { eachProven(t, testReplacedHelpersAreCalled) }

func testReplacedHelpersAreCalled(t *testing.T, o vm.Options) {
	const text = "*(u32 *)(r10 -4) = 0\nr2 = r10\nr2 += -4\nr1 = map[0]\ncall 1\nif r0 == 0 goto +1\nr0 = *(u64 *)(r0 +0)\n" +
		"*(u64 *)(r10 -16) = 7\nr1 = map[0]\nr2 = r10\nr2 += -4\nr3 = r10\nr3 += -16\nr4 = 0\ncall 2\nr1 = map[0]\nr2 = r10\nr2 += -4\ncall 3\ncall 8\nexit"
	calls := map[helpers.ID]int{}
	o.Helpers = map[helpers.ID]*helpers.Func{}
	for _, id := range []helpers.ID{1, 2, 3, 8} {
		f := *helpers.Base().Helper(id)
		impl := f.Impl
		f.Impl = func(env helpers.Env, a1, a2, a3, a4, a5 uint64) uint64 {
			calls[id]++
			return impl(env, a1, a2, a3, a4, a5)
		}
		o.Helpers[id] = &f
	}
	p := load(t, packetType, text, o, sum64()).Program("p")
	if e, why := p.Engine(); e != o.Engine {
		t.Fatalf("engine %s: %s", e, why)
	}
	if _, err := p.Run(nil); err != nil {
		t.Fatal(err)
	}
	for id := range o.Helpers {
		if calls[id] != 1 {
			t.Errorf("helper %d: %d calls", id, calls[id])
		}
	}
}

// lookupKeys is a program that looks up the key at byte 3 of the packet, where
// it is, and returns the first byte of the value, or 256 if there is none.
func lookupKeys(spec *maps.Spec) string {
	return fmt.Sprintf("r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr2 += 3\nr4 = r2\nr4 += %d\nif r4 > r3 goto none\n"+
		"r6 = 1\nr7 = 2\nr8 = 3\nr9 = 4\nr1 = map[0]\ncall 1\nif r0 == 0 goto none\nr0 = *(u8 *)(r0 +0)\n"+
		"r6 += r7\nr6 += r8\nr6 += r9\nif r6 == 10 goto +1\nr0 = 1000\nexit\nnone:\nr0 = 256\nexit", spec.KeySize)
}

// TestInlineArrays looks every index that is near a limit up in arrays of many
// shapes: what machine code finds is what Go code stored.
func TestInlineArrays(t *testing.T) { eachProven(t, testInlineArrays) }

func testInlineArrays(t *testing.T, o vm.Options) {
	for _, typ := range []maps.Type{maps.Array, maps.PerCPUArray} {
		for _, size := range []uint32{1, 7, 8, 12, 16, 24, 64, 1000} {
			for _, entries := range []uint32{1, 2, 7, 4095, 4096, 4099} {
				spec := &maps.Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: size, MaxEntries: entries}
				c := load(t, packetType, lookupKeys(spec), vm.Options{Engine: o.Engine, Deterministic: true}, spec)
				at := func(cpu int, i uint32) []byte {
					return c.Map("m").LookupElem(cpu, binary.LittleEndian.AppendUint32(nil, i))
				}
				for _, i := range []uint32{0, 1, 2, entries - 1, entries, entries + 1, entries * 2, 1<<31 - 1, 1 << 31, 1<<32 - 2, 1<<32 - 1} {
					want := uint64(256)
					if i < entries {
						if typ == maps.PerCPUArray && maps.NumCPU() > 1 {
							at(1, i)[0] = 255
						}
						at(0, i)[0] = byte(i*7 + 5)
						want = uint64(byte(i*7 + 5))
					}
					if got, err := c.Program("p").Run(binary.LittleEndian.AppendUint32([]byte{1, 2, 3}, i)); got != want || err != nil {
						t.Errorf("%v of %d values of %d bytes: key %d: got %d, %v, want %d", typ, entries, size, i, got, err, want)
					}
				}
				c.Close()
			}
		}
	}
}

// TestInlineConstants looks constant indices up.
func TestInlineConstants(t *testing.T) { eachProven(t, testInlineConstants) }

func testInlineConstants(t *testing.T, o vm.Options) {
	for _, typ := range []maps.Type{maps.Array, maps.PerCPUArray} {
		for _, i := range []uint32{0, 1, 6, 7, 1 << 31, 1<<32 - 1} {
			spec := &maps.Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: 12, MaxEntries: 7}
			c := load(t, packetType, fmt.Sprintf("*(u32 *)(r10 -4) = %d\nr1 = map[0]\nr2 = r10\nr2 += -4\ncall 1\nr1 = r0\nr0 = 256\nif r1 == 0 goto +1\nr0 = *(u8 *)(r1 +0)\nexit", int32(i)),
				vm.Options{Engine: o.Engine, Deterministic: true}, spec)
			want := uint64(256)
			if i < 7 {
				c.Map("m").LookupElem(0, binary.LittleEndian.AppendUint32(nil, i))[0] = byte(i + 1)
				want = uint64(i + 1)
			}
			if got, err := c.Program("p").Run(nil); got != want || err != nil {
				t.Errorf("%v: key %d: got %d, %v, want %d", typ, i, got, err, want)
			}
		}
	}
}

// TestInlineHashes looks keys of every size up, those that are there, those
// that were, and those that never were: what machine code finds is what Go code
// stored.
func TestInlineHashes(t *testing.T) {
	needCompiler(t)
	r := rand.New(rand.NewPCG(1, 2))
	for _, typ := range []maps.Type{maps.Hash, maps.PerCPUHash, maps.LRUHash, maps.LRUPerCPUHash} {
		for _, keySize := range []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 18, 20, 23, 24, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 100} {
			spec := &maps.Spec{Name: "m", Type: typ, KeySize: keySize, ValueSize: 1 + r.Uint32N(30), MaxEntries: 1 + r.Uint32N(1500)}
			if testing.Short() {
				spec.MaxEntries = 1 + spec.MaxEntries%200
			}
			c := load(t, packetType, lookupKeys(spec), vm.Options{Engine: vm.JIT, Deterministic: true}, spec)
			m := c.Map("m")
			there := map[string]byte{}
			key, value := make([]byte, keySize), make([]byte, spec.ValueSize)
			check := func() {
				want := uint64(256)
				if v, ok := there[string(key)]; ok {
					want = uint64(v)
				}
				if got, err := c.Program("p").Run(append([]byte{1, 2, 3}, key...)); got != want || err != nil {
					t.Fatalf("%v of %d keys of %d bytes: key %x: got %d, %v, want %d", typ, len(there), keySize, key, got, err, want)
				}
			}
			rounds := 2 * spec.MaxEntries
			if typ == maps.LRUHash || typ == maps.LRUPerCPUHash {
				rounds = spec.MaxEntries // nothing has to give way
			}
			for range rounds {
				if r.IntN(2) == 0 || keySize == 1 {
					clear(key)
				}
				key[r.IntN(len(key))] = byte(r.Uint32())
				check()
				switch value[0] = byte(r.Uint32()); {
				case r.IntN(4) == 0:
					m.Delete(key)
					delete(there, string(key))
				case m.UpdateElem(0, key, value, maps.Any) == nil:
					there[string(key)] = value[0]
				}
				check()
				key[len(key)-1] ^= 1
				check()
			}
			for k := range there {
				copy(key, k)
				check()
			}
			c.Close()
		}
	}
}

// TestInlineHomes looks keys up in maps that keep most entries where the hash of
// their key says, and compares with a map of Go's.
func TestInlineHomes(t *testing.T) {
	needCompiler(t)
	r := rand.New(rand.NewPCG(7, 8))
	for _, size := range []struct{ key, value uint32 }{{8, 8}, {4, 8}, {8, 1}, {4, 4}} {
		spec := &maps.Spec{Name: "m", Type: maps.Hash, KeySize: size.key, ValueSize: size.value, MaxEntries: 40000}
		c := load(t, packetType, lookupKeys(spec), vm.Options{Engine: vm.JIT, Deterministic: true}, spec)
		m := c.Map("m")
		there := map[uint32]byte{}
		key := func(k uint32) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(k)<<1)[:size.key] }
		check := func(k uint32) {
			want := uint64(256)
			if v, ok := there[k]; ok {
				want = uint64(v)
			}
			if got, err := c.Program("p").Run(append([]byte{1, 2, 3}, key(k)...)); got != want || err != nil {
				t.Fatalf("keys of %d bytes, %d of them: key %d: got %d, %v, want %d", size.key, len(there), k, got, err, want)
			}
		}
		value := make([]byte, size.value)
		put := func(k uint32) {
			value[0] = byte(r.Uint32())
			if err := m.Update(key(k), value, maps.Any); err != nil {
				t.Fatal(err)
			}
			there[k] = value[0]
		}
		for k := range spec.MaxEntries {
			check(k)
			put(k)
		}
		for k := range 2 * spec.MaxEntries {
			check(k)
		}
		for range spec.MaxEntries {
			k := r.Uint32N(spec.MaxEntries)
			if r.IntN(3) == 0 {
				m.Delete(key(k))
				delete(there, k)
			} else {
				put(k)
			}
			check(k)
		}
		c.Close()
	}
}

// TestInlineLookupsAreUses fills an LRU map many times over. Keys that machine
// code looks up meanwhile stay; others go.
func TestInlineLookupsAreUses(t *testing.T) {
	needCompiler(t)
	for _, typ := range []maps.Type{maps.LRUHash, maps.LRUPerCPUHash} {
		spec := &maps.Spec{Name: "m", Type: typ, KeySize: 8, ValueSize: 8, MaxEntries: 3000}
		c := load(t, packetType, lookupKeys(spec), vm.Options{Engine: vm.JIT, Deterministic: true}, spec)
		m := c.Map("m")
		key := func(i uint64) []byte { return binary.LittleEndian.AppendUint64(nil, i) }
		store := func(i uint64) {
			if err := m.UpdateElem(0, key(i), key(7), maps.Any); err != nil {
				t.Fatal(err)
			}
		}
		const hot = 40
		for i := range uint64(2 * hot) {
			store(i)
		}
		lost := 0
		for i := range uint64(12 * spec.MaxEntries) {
			store(1000 + i)
			if got, err := c.Program("p").Run(append([]byte{1, 2, 3}, key(i%hot)...)); err != nil {
				t.Fatal(err)
			} else if got != 7 {
				lost++
				store(i % hot)
			}
		}
		if lost > hot {
			t.Errorf("%v: of %d keys in constant use one was gone %d times", typ, hot, lost)
		}
		for i := range uint64(hot) {
			if m.LookupElem(0, key(hot+i)) != nil {
				t.Errorf("%v: a key that nobody used is there after the map was filled 12 times", typ)
			}
		}
		c.Close()
	}
}

// TestInlineTags looks millions of keys up in a small map, some of which differ
// from one that is there in nothing but the key: their hashes agree as far as a
// table knows.
func TestInlineTags(t *testing.T) {
	needCompiler(t)
	spec := &maps.Spec{Name: "m", Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: 400, Flags: maps.ZeroSeed}
	rounds := 1 << 26
	if testing.Short() {
		rounds = 1 << 21
	}
	o := compiled
	o.MaxInsns = -1
	c := load(t, packetType, fmt.Sprintf("r6 = 0\nr7 = 0\nloop:\n*(u64 *)(r10 -8) = r6\nr1 = map[0]\nr2 = r10\nr2 += -8\ncall 1\nif r0 == 0 goto next\n"+
		"r7 += 1\nr0 = *(u64 *)(r0 +0)\nif r0 != r6 goto bad\nnext:\nr6 += 1\nif r6 < %d goto loop\nr0 = r7\nexit\nbad:\nr0 = -1\nexit", rounds), o, spec)
	for k := range uint64(spec.MaxEntries) {
		b := binary.LittleEndian.AppendUint64(nil, k)
		if err := c.Map("m").Update(b, b, maps.Any); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := c.Program("p").Run(nil); got != uint64(spec.MaxEntries) || err != nil {
		t.Errorf("found %d keys, %v; there are %d", int64(got), err, spec.MaxEntries)
	}
}

// TestInlinePerCPU looks up the values of other CPUs, and of some that there are
// not.
func TestInlinePerCPU(t *testing.T) {
	needCompiler(t)
	if maps.NumCPU() == 1 {
		t.Skip("a host of one CPU has no others")
	}
	for _, spec := range []*maps.Spec{
		{Name: "m", Type: maps.PerCPUArray, KeySize: 4, ValueSize: 20, MaxEntries: 5},
		{Name: "m", Type: maps.PerCPUHash, KeySize: 4, ValueSize: 20, MaxEntries: 5},
		{Name: "m", Type: maps.PerCPUHash, KeySize: 10, ValueSize: 20, MaxEntries: 5},
	} {
		for _, constant := range []bool{false, true} {
			text := "r2 = *(u32 *)(r1 +0)\nr3 = *(u32 *)(r1 +4)\nr4 = r2\nr4 += 20\nif r4 > r3 goto none\n" +
				"r3 = *(u64 *)(r2 +0)\nr2 += 8\nr1 = map[0]\ncall 195\nif r0 == 0 goto none\nr0 = *(u8 *)(r0 +0)\nexit\nnone:\nr0 = 256\nexit"
			if constant {
				text = "*(u64 *)(r10 -16) = 3\n*(u64 *)(r10 -8) = 0\n" + strings.Replace(text, "r2 += 8", "r2 = r10\nr2 += -16", 1)
			}
			c := load(t, packetType, text, compiled, spec)
			value := make([]byte, spec.HostValueSize())
			for cpu := range maps.NumCPU() {
				value[cpu*24] = byte(cpu + 1)
			}
			key := append([]byte{3, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, 0)
			if err := c.Map("m").Update(key[:spec.KeySize], value, maps.Any); err != nil {
				t.Fatal(err)
			}
			for _, cpu := range []uint64{0, 1, uint64(maps.NumCPU()) - 1, uint64(maps.NumCPU()), 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 + 1} {
				want := uint64(256)
				if uint32(cpu) < uint32(maps.NumCPU()) {
					want = uint64(uint32(cpu) + 1)
				}
				if got, err := c.Program("p").Run(append(binary.LittleEndian.AppendUint64(nil, cpu), key...)); got != want || err != nil {
					t.Errorf("%v, constant key %v: CPU %#x: got %d, %v, want %d", spec.Type, constant, cpu, got, err, want)
				}
			}
		}
	}
}

// TestInlineCPU: a program sees the CPU whose values it gets.
func TestInlineCPU(t *testing.T) { eachProven(t, testInlineCPU) }

func testInlineCPU(t *testing.T, o vm.Options) {
	spec := &maps.Spec{Name: "m", Type: maps.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 3}
	const text = "*(u32 *)(r10 -4) = 2\nr1 = map[0]\nr2 = r10\nr2 += -4\ncall 1\nif r0 == 0 goto out\nr6 = *(u64 *)(r0 +0)\ncall 8\nif r0 != r6 goto out\nr0 = 1\nexit\nout:\nr0 = 0\nexit"
	c := load(t, packetType, text, o, spec)
	for cpu := range maps.NumCPU() {
		binary.LittleEndian.PutUint64(c.Map("m").LookupElem(cpu, []byte{2, 0, 0, 0}), uint64(cpu))
	}
	var wg sync.WaitGroup
	for range 2 * maps.NumCPU() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 1000 {
				if got, err := c.Program("p").Run(nil); got != 1 || err != nil {
					t.Errorf("got %d, %v", got, err)
					return
				}
			}
		}()
	}
	wg.Wait()
}

// TestInlineLoadBytes copies pieces of a packet of every size, from offsets near
// every limit: R0 and memory are as the checked interpreter leaves them.
func TestInlineLoadBytes(t *testing.T) {
	needCompiler(t)
	pkt := make([]byte, 100)
	for i := range pkt {
		pkt[i] = byte(i*3 + 1)
	}
	spec := &maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 120, MaxEntries: 1}
	for _, typ := range []*hook.Type{linux.SchedCls, linux.SocketFilter} {
		for _, n := range []uint64{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 33, 63, 64, 65, 99, 100, 101} {
			text := fmt.Sprintf("r6 = 1\nr7 = 2\nr8 = map[0][0]+0\nr9 = 4\nr2 = *(u64 *)(r8 +0)\nr3 = r8\nr3 += 8\nr4 = %d\ncall 26\nr6 += r7\nr6 += r9\nif r6 == 7 goto +1\nr0 = 77\nexit", n)
			native, checked := load(t, typ, text, compiled, spec), load(t, typ, text, vm.Options{Engine: vm.Checked}, spec)
			for _, off := range []uint64{0, 1, 50, 100 - n, 100 - n + 1, 99, 100, 101, 1<<31 - n, 1<<31 - 1, 1 << 31, 1<<32 - n, 1<<32 - 1, 1 << 32, 1<<63 + 5} {
				var after [2][]byte
				var r0 [2]uint64
				for i, c := range []*vm.Collection{native, checked} {
					value := c.Map("m").LookupElem(0, make([]byte, 4))
					for j := range value {
						value[j] = 0xee
					}
					binary.LittleEndian.PutUint64(value, off)
					var err error
					if r0[i], err = c.Program("p").Run(bytes.Clone(pkt)); err != nil {
						t.Fatal(err)
					}
					after[i] = bytes.Clone(value)
				}
				if r0[0] != r0[1] || !bytes.Equal(after[0], after[1]) {
					t.Errorf("%s: %d bytes at %d: R0 %d, memory %x; checked %d, %x", typ.Name, n, int64(off), int64(r0[0]), after[0], int64(r0[1]), after[1])
				}
			}
		}
	}
}

// TestInlinePacketBytes copies to and from packets of XDP and skb programs as
// TestInlineLoadBytes does, XDP's being longer than what its helpers reach: R0, the
// packet and memory are as the checked interpreter leaves them.
func TestInlinePacketBytes(t *testing.T) {
	needCompiler(t)
	spec := &maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 120, MaxEntries: 1}
	for _, tc := range []struct {
		typ  *hook.Type
		id   int
		size uint64
	}{{linux.SchedCls, 9, 100}, {linux.XDP, 189, 100}, {linux.XDP, 189, 0x10010}, {linux.XDP, 190, 100}, {linux.XDP, 190, 0x10010}} {
		for _, n := range []uint64{1, 3, 8, 13, 16, 31, 32, 33, 39, 40, 41, 47, 64, 65} {
			for _, flags := range []int{0, 1, 2, 4} {
				if flags != 0 && tc.id != 9 {
					continue
				}
				text := fmt.Sprintf("r6 = 1\nr7 = 2\nr8 = map[0][0]+0\nr9 = 4\nr2 = *(u64 *)(r8 +0)\nr3 = r8\nr3 += 8\nr4 = %d\nr5 = %d\ncall %d\nr6 += r7\nr6 += r9\nif r6 == 7 goto +1\nr0 = 77\nexit", n, flags, tc.id)
				native, checked := load(t, tc.typ, text, compiled, spec), load(t, tc.typ, text, vm.Options{Engine: vm.Checked}, spec)
				for _, off := range []uint64{0, 1, 50, tc.size - n, tc.size - n + 1, tc.size, 0xffff - n, 0xffff, 0x10000, 1<<31 - n, 1 << 31, 1<<32 - n, 1<<32 - 1, 1 << 32, 1<<63 + 5} {
					var after, packet [2][]byte
					var r0 [2]uint64
					for i, c := range []*vm.Collection{native, checked} {
						value := c.Map("m").LookupElem(0, make([]byte, 4))
						for j := range value {
							value[j] = byte(j)
						}
						binary.LittleEndian.PutUint64(value, off)
						packet[i] = make([]byte, tc.size)
						for j := range packet[i] {
							packet[i][j] = byte(j*3 + 1)
						}
						var err error
						if r0[i], err = c.Program("p").Run(packet[i]); err != nil {
							t.Fatal(err)
						}
						after[i] = bytes.Clone(value)
					}
					if r0[0] != r0[1] || !bytes.Equal(after[0], after[1]) || !bytes.Equal(packet[0], packet[1]) {
						t.Errorf("%s: helper %d, %d bytes at %d of %d, flags %d: R0 %d, checked %d; memory %x, checked %x; packets equal: %t",
							tc.typ.Name, tc.id, n, int64(off), tc.size, flags, int64(r0[0]), int64(r0[1]), after[0], after[1], bytes.Equal(packet[0], packet[1]))
					}
				}
			}
		}
	}
}

// TestInlinePacketOverlap copies from the packet to a slice of it and back: what is
// copied is what was there before.
func TestInlinePacketOverlap(t *testing.T) {
	needCompiler(t)
	for _, id := range []int{9} {
		for _, n := range []int{8, 9, 16, 24, 40, 41, 48, 64} {
			for _, off := range []int{0, 31, 32, 33, 36, 40, 47, 48, 64, 100} {
				// The slice begins at 40.
				text := fmt.Sprintf("r6 = r1\nr2 = 0\nr3 = r10\nr3 += -16\ncall bpf_dynptr_from_skb\nr1 = r10\nr1 += -16\nr2 = 40\nr3 = 0\nr4 = 64\ncall bpf_dynptr_slice_rdwr\nif r0 == 0 goto none\n"+
					"r1 = r6\nr2 = %d\nr3 = r0\nr4 = %d\nr5 = 0\ncall %d\nexit\nnone:\nr0 = 7\nexit", off, n, id)
				pkt := make([]byte, 200)
				for i := range pkt {
					pkt[i] = byte(i*7 + 1)
				}
				want := bytes.Clone(pkt)
				if id == 26 {
					copy(want[40:40+n], pkt[off:])
				} else {
					copy(want[off:off+n], pkt[40:])
				}
				c, err := vm.LoadProgram((&construct{typ: "sched_cls", text: text}).link(t), compiled)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := c.Program("p").Run(pkt); got != 0 || err != nil || !bytes.Equal(pkt, want) {
					t.Errorf("helper %d, %d bytes at %d: got %d, %v;\n%x, want\n%x", id, n, off, int64(got), err, pkt, want)
				}
				c.Close()
			}
		}
	}
}

// TestInlineCsumDiff computes checksums of known sizes, of bytes whose sums are and
// are not 0 modulo 0xffff: R0 is as in the checked interpreter, which the kernel is
// compared with.
func TestInlineCsumDiff(t *testing.T) {
	needCompiler(t)
	r := rand.New(rand.NewPCG(11, 12))
	spec := &maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 168, MaxEntries: 1}
	sizes := []int{0, 4, 8, 12, 16, 20, 40, 60, 64, 68, 3, 6}
	for _, from := range sizes {
		for _, to := range sizes {
			text := fmt.Sprintf("r6 = map[0][0]+0\nr5 = *(u64 *)(r6 +0)\nr1 = r6\nr1 += 8\nr3 = r6\nr3 += 88\nr2 = %d\nr4 = %d\ncall 28\nexit", from, to)
			native, checked := load(t, linux.SchedCls, text, compiled, spec), load(t, linux.SchedCls, text, vm.Options{Engine: vm.Checked}, spec)
			for i := range 60 {
				value := make([]byte, 168)
				for at := 8; at < len(value); at += 4 {
					binary.LittleEndian.PutUint32(value[at:], []uint32{0, 0xffffffff, 0xffff, 1, 0xfffffffe, r.Uint32()}[r.IntN(6)])
				}
				switch i % 4 {
				case 0:
					clear(value[8:])
				case 1:
					for j := range value[8:] {
						value[8+j] = 0xff
					}
				case 2: // what is taken out adds up to one of the zeros
					clear(value[8:])
					binary.LittleEndian.PutUint32(value[8:], 1)
					binary.LittleEndian.PutUint32(value[12:], 0xfffffffe)
				}
				binary.LittleEndian.PutUint64(value, []uint64{0, 0xffff, 0xffffffff, 0xffffffffffffffff, r.Uint64()}[r.IntN(5)])
				var r0 [2]uint64
				for k, c := range []*vm.Collection{native, checked} {
					if err := c.Map("m").Update(make([]byte, 4), value, maps.Any); err != nil {
						t.Fatal(err)
					}
					var err error
					if r0[k], err = c.Program("p").Run(make([]byte, 64)); err != nil {
						t.Fatal(err)
					}
				}
				if r0[0] != r0[1] {
					t.Errorf("%d bytes out, %d in, of %x: got %#x, checked %#x", from, to, value, r0[0], r0[1])
				}
			}
			native.Close()
			checked.Close()
		}
	}
}

// TestInlineRandom: code makes random numbers of its own, with all bits in use,
// unless the host has a say in them.
func TestInlineRandom(t *testing.T) {
	needCompiler(t)
	const text = "call 7\nr6 = r0\ncall 7\nr6 <<= 32\nr0 |= r6\nexit"
	p := load(t, packetType, text, compiled).Program("p")
	ones, seen := [64]int{}, map[uint64]bool{}
	const n = 4000
	for range n {
		x, err := p.Run(nil)
		if err != nil {
			t.Fatal(err)
		}
		seen[x] = true
		for b := range ones {
			ones[b] += int(x >> b & 1)
		}
	}
	for b, k := range ones {
		if k < n/2-320 || k > n/2+320 { // ten standard deviations
			t.Errorf("bit %d is set in %d of %d numbers", b, k, n)
		}
	}
	if len(seen) < n {
		t.Errorf("%d of %d pairs of numbers differ", len(seen), n)
	}
	o := compiled
	calls := uint32(0)
	o.Host.Random = func() uint32 { calls++; return calls }
	if got, err := load(t, packetType, text, o).Program("p").Run(nil); got != 1<<32|2 || err != nil {
		t.Errorf("the host's numbers: got %#x, %v", got, err)
	}
	o = compiled
	o.Deterministic = true
	var repeated [3]uint64
	for i := range repeated {
		if i == 2 {
			o.Engine = vm.Checked
		}
		var err error
		if repeated[i], err = load(t, packetType, text, o).Program("p").Run(nil); err != nil {
			t.Fatal(err)
		}
	}
	if repeated[0] != repeated[1] || repeated[0] != repeated[2] {
		t.Errorf("repeatable numbers: %#x", repeated)
	}
}

// TestInlineNoPacket: a legacy load of a program that has no packet does not
// find that of the run before.
func TestInlineNoPacket(t *testing.T) {
	needCompiler(t)
	typ := *packetType
	typ.Name, typ.Input = "test_context", hook.InputContext
	typ.Ctx = hook.NewCtx("test_ctx", 8, hook.Field{Name: "n", Size: 8, Read: 8})
	const text = "r6 = r1\nr0 = *(u8 *)skb[0]\nr0 += 1\nexit"
	with, without := load(t, packetType, text, compiled).Program("p"), load(t, &typ, text, compiled).Program("p")
	for range 3 {
		if got, err := with.Run([]byte{41}); got != 42 || err != nil {
			t.Errorf("with a packet: got %d, %v", got, err)
		}
		if got, err := without.Run(nil); got != 0 || err != nil {
			t.Errorf("without a packet: got %d, %v", got, err)
		}
		if got, err := with.Run(nil); got != 0 || err != nil {
			t.Errorf("with an empty packet: got %d, %v", got, err)
		}
	}
}

// TestInlineCopies moves 1 to 40 bytes of the stack to places that overlap with
// where they were.
func TestInlineCopies(t *testing.T) {
	needCompiler(t)
	spec := &maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 80, MaxEntries: 1}
	for _, name := range []string{"memcpy", "memmove"} {
		for n := 1; n <= 40; n++ {
			for _, shift := range []int{-40, -9, -8, -3, -1, 0, 1, 2, 7, 8, 16, 40} {
				o := compiled
				o.Helpers = map[helpers.ID]*helpers.Func{1000: helpers.Builtin(name)}
				from, to := max(-shift, 0), max(shift, 0)
				text := fmt.Sprintf("r6 = map[0][0]+0\nr1 = r6\nr1 += %d\nr2 = r6\nr2 += %d\nr3 = %d\nr7 = r1\ncall 1000\nif r0 == r7 goto +2\nr0 = 1\nexit\nr0 = 0\nexit", to, from, n)
				c := load(t, packetType, text, o, spec)
				value := c.Map("m").LookupElem(0, make([]byte, 4))
				for i := range value {
					value[i] = byte(i + 1)
				}
				want := bytes.Clone(value)
				copy(want[to:to+n], bytes.Clone(want[from:from+n]))
				if got, err := c.Program("p").Run(nil); got != 0 || err != nil || !bytes.Equal(value, want) {
					t.Errorf("%s of %d bytes from %d to %d: R0 %d, %v;\n%x, want\n%x", name, n, from, to, int64(got), err, value, want)
				}
				c.Close()
			}
		}
	}
}

// TestInlineIsUsed: where code can do without a helper that promises what it
// does, it does not call it.
func TestInlineIsUsed(t *testing.T) {
	needCompiler(t)
	memcpy := helpers.Builtin("memcpy").Proto
	loadBytes := linux.SchedCls.Helpers.Helper(26).Proto
	storeBytes, storeNear := linux.SchedCls.Helpers.Helper(9).Proto, linux.XDP.Helpers.Helper(190).Proto
	for _, tc := range []struct {
		name, text string
		form       helpers.Inline
		proto      helpers.Proto
		want       int
	}{
		{"cpu", "call 1000", helpers.InlineCPU, helpers.Proto{}, 0},
		{"array", "*(u32 *)(r10 -4) = 0\nr1 = map[0]\nr2 = r10\nr2 += -4\ncall 1000", helpers.InlineMapLookup, helpers.MapLookupElem.Proto, 0},
		{"hash", "*(u64 *)(r10 -8) = 1\nr1 = map[1]\nr2 = r10\nr2 += -8\ncall 1000", helpers.InlineMapLookup, helpers.MapLookupElem.Proto, 0},
		{"either map", "*(u64 *)(r10 -8) = 1\nr2 = *(u32 *)(r1 +16)\nr1 = map[0]\nif r2 == 0 goto +2\nr1 = map[2]\nr2 = r10\nr2 += -8\ncall 1000", helpers.InlineMapLookup, helpers.MapLookupElem.Proto, 0},
		{"load 8", "r2 = 3\nr3 = r10\nr3 += -8\nr4 = 8\ncall 1000", helpers.InlineLoadBytes, loadBytes, 0},
		{"load past the end", "r2 = 93\nr3 = r10\nr3 += -8\nr4 = 8\ncall 1000", helpers.InlineLoadBytes, loadBytes, 1},
		{"load near", "r2 = 3\nr3 = r10\nr3 += -8\nr4 = 8\ncall 1000", helpers.InlineLoadNear, loadBytes, 0},
		{"store near", "*(u64 *)(r10 -8) = 1\nr2 = 3\nr3 = r10\nr3 += -8\nr4 = 8\ncall 1000", helpers.InlineStoreNear, storeNear, 0},
		{"store", "*(u64 *)(r10 -8) = 1\nr2 = 3\nr3 = r10\nr3 += -8\nr4 = 8\nr5 = 1\ncall 1000", helpers.InlineStoreBytes, storeBytes, 0},
		{"store with a flag", "*(u64 *)(r10 -8) = 1\nr2 = 3\nr3 = r10\nr3 += -8\nr4 = 8\nr5 = 2\ncall 1000", helpers.InlineStoreBytes, storeBytes, 1},
		{"store past the end", "*(u64 *)(r10 -8) = 1\nr2 = 93\nr3 = r10\nr3 += -8\nr4 = 8\nr5 = 0\ncall 1000", helpers.InlineStoreBytes, storeBytes, 1},
		{"checksum", "*(u64 *)(r10 -8) = 1\nr1 = r10\nr1 += -8\nr2 = 8\nr3 = r10\nr3 += -4\nr4 = 4\nr5 = 0\ncall 1000", helpers.InlineCsumDiff, helpers.CsumDiff.Proto, 0},
		{"checksum of nothing out", "*(u64 *)(r10 -8) = 1\nr1 = 0\nr2 = 0\nr3 = r10\nr3 += -4\nr4 = 4\nr5 = 0\ncall 1000", helpers.InlineCsumDiff, helpers.CsumDiff.Proto, 0},
		{"checksum of odd bytes", "*(u64 *)(r10 -8) = 1\nr1 = 0\nr2 = 0\nr3 = r10\nr3 += -4\nr4 = 3\nr5 = 0\ncall 1000", helpers.InlineCsumDiff, helpers.CsumDiff.Proto, 1},
		{"random", "call 1000", helpers.InlineRandom, helpers.GetPrandomU32.Proto, 0},
		{"load some", "r4 = *(u32 *)(r1 +16)\nr4 &= 7\nr4 += 1\nr2 = 3\nr3 = r10\nr3 += -8\ncall 1000", helpers.InlineLoadBytes, loadBytes, 1},
		{"copy", "*(u64 *)(r10 -8) = 1\nr1 = r10\nr1 += -16\nr2 = r10\nr2 += -8\nr3 = 8\ncall 1000", helpers.InlineMemcpy, memcpy, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			calls := 0
			f := (&helpers.Func{Name: "f", Proto: tc.proto, Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { calls++; return 0 }}).Inlines(tc.form)
			o := compiled
			o.Helpers = map[helpers.ID]*helpers.Func{1000: f}
			m := func(name string, typ maps.Type, keySize uint32) *maps.Spec {
				return &maps.Spec{Name: name, Type: typ, KeySize: keySize, ValueSize: 8, MaxEntries: 4}
			}
			p := load(t, packetType, tc.text+"\nr0 = 0\nexit", o, m("a", maps.Array, 4), m("h", maps.Hash, 8), m("b", maps.Array, 4)).Program("p")
			if got, err := p.Run(make([]byte, 100)); got != 0 || err != nil || calls != tc.want {
				t.Errorf("got %d, %v after %d calls, want %d", got, err, calls, tc.want)
			}
		})
	}
}
