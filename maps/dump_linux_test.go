package maps_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
)

// TestKernelDump fills the maps of testdata/types.o here and in the kernel, and
// compares what WriteJSON says with what bpftool says.
func TestKernelDump(t *testing.T) {
	oracle.Skip(t)
	if _, err := exec.LookPath("bpftool"); err != nil {
		t.Skip("no bpftool in PATH")
	}
	if n, err := oracle.PossibleCPUs(); err != nil || n != maps.NumCPU() {
		t.Skipf("per-CPU values differ in length: %d possible CPUs, %d virtual ones, %v", n, maps.NumCPU(), err)
	}
	spec, err := ebpf.LoadCollectionSpec("testdata/types.o")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ebpf.NewCollection(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	obj, err := elf.Open("testdata/types.o")
	if err != nil {
		t.Fatal(err)
	}
	rounds := 30
	if testing.Short() {
		rounds = 3
	}
	for _, s := range obj.Maps {
		if s.Type == maps.Queue { // bpftool finds nothing in one
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			ours, err := maps.New(s)
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			info, err := theirs.Maps[s.Name].Info()
			if err != nil {
				t.Fatal(err)
			}
			id, _ := info.ID()
			r := rand.New(rand.NewPCG(1, uint64(len(s.Name))))
			for range rounds {
				fillBoth(t, r, s, ours, theirs.Maps[s.Name])
				var got bytes.Buffer
				if err := maps.WriteJSON(&got, ours); err != nil {
					t.Fatal(err)
				}
				want, err := exec.Command("bpftool", "-j", "map", "dump", "id", fmt.Sprint(id)).Output()
				if err != nil {
					t.Fatalf("bpftool: %v", err)
				}
				a, b := dumped(t, got.Bytes()), dumped(t, want)
				if len(b) == 0 || !slices.Equal(a, b) {
					t.Fatalf("got\n%s\nbpftool prints\n%s", a, b)
				}
			}
		})
	}
}

// fillBoth stores the same random entries in both maps.
func fillBoth(t *testing.T, r *rand.Rand, s *maps.Spec, ours maps.Map, theirs *ebpf.Map) {
	t.Helper()
	if s.Frozen {
		return
	}
	for key := make([]byte, s.KeySize); ours.NextKey(nil, key) == nil && ours.Delete(key) == nil; {
		if err := theirs.Delete(key); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		key, value := make([]byte, s.KeySize), make([]byte, s.HostValueSize())
		scribble(r, key)
		scribble(r, value)
		switch s.Type {
		case maps.Array, maps.PerCPUArray:
			key = []byte{byte(r.Uint32N(s.MaxEntries)), 0, 0, 0}
		case maps.LPMTrie:
			copy(key, []byte{byte(r.IntN(33)), 0, 0, 0})
		}
		if err := ours.Update(key, value, maps.Any); err != nil {
			t.Fatal(err)
		}
		var v any = value
		if theirs.Type() == ebpf.PerCPUArray || theirs.Type() == ebpf.PerCPUHash {
			stride := len(value) / maps.NumCPU()
			var all [][]byte
			for cpu := range maps.NumCPU() {
				all = append(all, value[cpu*stride:][:s.ValueSize])
			}
			v = all
		}
		if err := theirs.Update(key, v, ebpf.UpdateAny); err != nil {
			t.Fatal(err)
		}
	}
}

// scribble fills b with stretches of zeros, small numbers, text, and anything.
// The text has no backslash, which bpftool prints as if it ended a line.
func scribble(r *rand.Rand, b []byte) {
	for i := 0; i < len(b); {
		n, kind := 1+r.IntN(12), r.IntN(4)
		for ; n > 0 && i < len(b); n, i = n-1, i+1 {
			switch kind {
			case 0:
				b[i] = 0
			case 1:
				b[i] = byte(r.IntN(3)) * byte(r.IntN(2))
			case 2:
				b[i] = `abc"/<&~z`[r.IntN(9)]
			default:
				if b[i] = byte(r.Uint32()); b[i] == '\\' {
					b[i] = 0xff
				}
			}
		}
	}
}

// dumped returns the entries of a dump, sorted.
func dumped(t *testing.T, dump []byte) (entries []string) {
	t.Helper()
	var list []json.RawMessage
	if err := json.Unmarshal(dump, &list); err != nil {
		t.Fatalf("%v: %s", err, dump)
	}
	for _, e := range list {
		entries = append(entries, string(e))
	}
	slices.Sort(entries)
	return entries
}
