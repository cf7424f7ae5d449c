package maps_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
)

// TestKernelTargets compares random operations on maps of devices, CPUs and XDP
// sockets, with the devices that this machine has.
func TestKernelTargets(t *testing.T) {
	oracle.Skip(t)
	if n, err := oracle.PossibleCPUs(); err != nil || n != maps.NumCPU() {
		t.Skipf("%d possible CPUs, %d virtual ones, %v", n, maps.NumCPU(), err)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	known := map[uint32]bool{}
	firsts := map[maps.Type][]uint32{
		maps.DevMap: {0, 0, 99, 1 << 20, 1 << 31, 1<<32 - 1},
		maps.CPUMap: {0, 1, 2, 64, 192, 16384, 16385, 1 << 31},
		maps.XSKMap: {1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1}, // no file descriptors
	}
	for _, i := range interfaces {
		known[uint32(i.Index)] = true
		for range 3 {
			firsts[maps.DevMap] = append(firsts[maps.DevMap], uint32(i.Index))
		}
	}
	firsts[maps.DevMapHash] = firsts[maps.DevMap]
	seconds := []uint32{0, 0, 0, 0, 1 << 31, 1<<32 - 1, 1 << 30} // and no program's descriptor
	access := []maps.Flags{0, 0, maps.ReadOnly, maps.WriteOnly, maps.NUMANode}
	for _, typ := range []maps.Type{maps.DevMap, maps.DevMapHash, maps.CPUMap, maps.XSKMap} {
		t.Run(typ.String(), func(t *testing.T) {
			ops, total := diffOps(t), 0
			for round := 0; total < ops; round++ {
				s := maps.Spec{Name: "m", Type: typ, KeySize: 4, ValueSize: []uint32{4, 8}[round%2]}
				s.MaxEntries = []uint32{1, 2, 3, 8, 30, 60}[round%6]
				s.Flags = access[round%len(access)]
				if typ == maps.XSKMap {
					s.ValueSize = 4
				}
				if typ == maps.CPUMap {
					s.Flags &^= maps.ReadOnly | maps.WriteOnly
				}
				p := newPair(t, s, uint64(round))
				p.ours.(maps.TargetMap).Resolve(func(i uint32) (any, bool) { return i, known[i] })
				p.values = func() []byte {
					f := firsts[typ]
					b := binary.NativeEndian.AppendUint32(nil, f[p.r.IntN(len(f))])
					b = binary.NativeEndian.AppendUint32(b, seconds[p.r.IntN(len(seconds))])
					return b[:s.ValueSize]
				}
				n := max(100, min(1000, ops/60))
				for i := range n {
					if err := p.step(); err != nil {
						t.Fatalf("%v, value %d, entries %d, flags %v, step %d: %v", typ, s.ValueSize, s.MaxEntries, s.Flags, i, err)
					}
					total++
				}
				if s.Flags&(maps.ReadOnly|maps.WriteOnly) == 0 && typ != maps.DevMap && typ != maps.CPUMap && typ != maps.XSKMap {
					if err := p.walk(); err != nil {
						t.Fatalf("%v, value %d, entries %d: %v", typ, s.ValueSize, s.MaxEntries, err)
					}
				}
				for i := range s.MaxEntries {
					key, a, b := binary.NativeEndian.AppendUint32(nil, i), make([]byte, p.vsize), make([]byte, p.vsize)
					e1, e2 := p.ours.Lookup(key, a), p.theirs.Lookup(key, b, 0)
					if number(e1) != number(e2) || !bytes.Equal(a, b) {
						t.Fatalf("%v, value %d, flags %v: key %d: %x, %v; the kernel: %x, %v", typ, s.ValueSize, s.Flags, i, a, e1, b, e2)
					}
				}
				for range 2 {
					if g, w := number(p.ours.(maps.Freezer).Freeze()), number(p.theirs.Freeze()); g != w {
						t.Fatalf("%v, flags %v: freeze: %s, the kernel: %s", typ, s.Flags, text(g), text(w))
					}
				}
				for i := range n / 10 {
					if err := p.step(); err != nil {
						t.Fatalf("%v, flags %v, frozen, step %d: %v", typ, s.Flags, i, err)
					}
					total++
				}
				p.theirs.Close()
			}
			t.Logf("%d operations", total)
		})
	}
}
