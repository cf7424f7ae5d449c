// Package tested says which helpers and map types tests compare with the running
// kernel's, for docs/support.md, and sees to it that they do: Main fails a
// package whose tests did not have the kernel run what is said of it here. Tests
// and internal/support import it, and nothing else.
package tested

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
)

// A Package is what the differential tests of one package compare: results,
// error numbers, and what is left in memory.
type Package struct {
	Helpers string // numbers and ranges of them
	Maps    []maps.Type
	// Kfuncs are the names of kfuncs. Tests report those that the kernel ran
	// by oracle.RanKfunc.
	Kfuncs []string
}

// Packages holds every package that compares helpers or maps with the kernel's.
// It calls Main.
var Packages = map[string]Package{
	"helpers":    {Helpers: "28 105-106 165 182", Maps: []maps.Type{maps.Array}},
	"hook/linux": {Helpers: "9-11 13 23-24 26 32 38-44 48 54 65 68 112-115 120 152 155 188-190", Maps: []maps.Type{maps.Array}},
	"maps": {Helpers: "1-3 8 130-134", Maps: []maps.Type{
		maps.Hash, maps.Array, maps.ProgArray, maps.PerCPUHash, maps.PerCPUArray, maps.LRUHash, maps.LRUPerCPUHash, maps.LPMTrie,
		maps.ArrayOfMaps, maps.HashOfMaps, maps.Queue, maps.Stack, maps.RingBuf, maps.BloomFilter,
		maps.DevMap, maps.DevMapHash, maps.CPUMap, maps.XSKMap, maps.SockMap, maps.SockHash, maps.ReuseportSockArray,
	}},
	"vm": {Helpers: "1-3 8 12 18-21 25-27 29-31 34 37-39 43 46 48 50-53 59-63 65-67 69-73 82 84-91 93-104 110 124 130-140 142-144 163-164 169-172 178 181 186-187 192 195-207 209", Maps: []maps.Type{
		maps.Hash, maps.Array, maps.PerfEventArray, maps.LRUHash, maps.LPMTrie, maps.ArrayOfMaps, maps.HashOfMaps, maps.Queue,
		maps.Stack, maps.BloomFilter, maps.ProgArray, maps.PerCPUArray, maps.DevMap, maps.DevMapHash, maps.CPUMap, maps.XSKMap,
		maps.RingBuf, maps.SockMap, maps.SockHash, maps.StackTrace, maps.UserRingBuf, maps.CgroupArray, maps.ReuseportSockArray, maps.PerCPUHash,
	}, Kfuncs: strings.Fields("bpf_iter_num_new bpf_iter_num_next bpf_iter_num_destroy " +
		"bpf_rcu_read_lock bpf_rcu_read_unlock bpf_preempt_disable bpf_preempt_enable " +
		"bpf_dynptr_slice bpf_dynptr_slice_rdwr bpf_dynptr_adjust bpf_dynptr_is_null bpf_dynptr_is_rdonly bpf_dynptr_size " +
		"bpf_dynptr_clone bpf_dynptr_copy bpf_dynptr_memset bpf_dynptr_from_skb bpf_dynptr_from_xdp bpf_throw " +
		"bpf_iter_bits_new bpf_iter_bits_next bpf_iter_bits_destroy")},
}

// Helpers returns the numbers of the helpers that some package compares.
func Helpers() map[int32]bool {
	all := map[int32]bool{}
	for _, p := range Packages {
		for _, id := range p.ids() {
			all[id] = true
		}
	}
	return all
}

// Maps returns the types of the maps that some package compares.
func Maps() map[maps.Type]bool {
	all := map[maps.Type]bool{}
	for _, p := range Packages {
		for _, t := range p.Maps {
			all[t] = true
		}
	}
	return all
}

// Kfuncs returns the names of the kfuncs that some package compares.
func Kfuncs() map[string]bool {
	all := map[string]bool{}
	for _, p := range Packages {
		for _, name := range p.Kfuncs {
			all[name] = true
		}
	}
	return all
}

// Main runs the tests of the package called name, and fails if all of them ran,
// with a kernel to ask, and it did something else than Packages says.
func Main(m *testing.M, name string) {
	code := m.Run()
	if code == 0 && whole() {
		if diff := differs(Packages[name]); diff != "" {
			fmt.Fprintf(os.Stderr, "internal/tested, package %s: %s\n", name, diff)
			code = 1
		}
	}
	os.Exit(code)
}

// whole reports whether every test ran to its end, the kernel beside it.
func whole() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f == nil || f.Value.String() != "" {
			return false
		}
	}
	return !testing.Short() && oracle.Available() == nil
}

// differs says how what the kernel did differs from p.
func differs(p Package) string {
	var diffs []string
	report := func(what, which string) {
		if which != "" {
			diffs = append(diffs, what+which)
		}
	}
	ids, types, kfuncs := oracle.Ran()
	report("said to be compared, and the kernel ran no program with helper", list(p.ids(), ids))
	report("the kernel ran programs with helper", list(ids, p.ids()))
	report("said to be compared, and the kernel had no map of type", list(p.Maps, types))
	report("the kernel had maps of type", list(types, p.Maps))
	report("said to be compared, and the kernel did not run", list(p.Kfuncs, kfuncs))
	report("the kernel ran", list(kfuncs, p.Kfuncs))
	return strings.Join(diffs, "; ")
}

// list returns the elements of a that are not in b.
func list[T comparable](a, b []T) (s string) {
	for _, v := range a {
		if !slices.Contains(b, v) {
			s += fmt.Sprintf(" %v", v)
		}
	}
	return s
}

// ids returns the numbers in p.Helpers.
func (p *Package) ids() (ids []int32) {
	for _, f := range strings.Fields(p.Helpers) {
		first, last, isRange := strings.Cut(f, "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			panic(fmt.Sprintf("BUG: helper numbers %q", f))
		}
		for id := a; id <= b; id++ {
			ids = append(ids, int32(id))
		}
	}
	return ids
}
