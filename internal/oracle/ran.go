package oracle

import (
	"maps"
	"slices"
	"sync"

	"github.com/skepvm/skep/internal/isa"
	skepmaps "github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// ran is what the kernel has done in this process: internal/tested holds what
// it was to do against it.
var ran struct {
	sync.Mutex
	helpers map[int32]bool
	types   map[skepmaps.Type]bool
	kfuncs  map[string]bool
}

// Ran returns the numbers of the helpers that programs call which the kernel ran
// for this process, the types of the maps that it worked on, and the kfuncs that
// RanKfunc was told of.
func Ran() (helpers []int32, types []skepmaps.Type, kfuncs []string) {
	ran.Lock()
	defer ran.Unlock()
	return slices.Sorted(maps.Keys(ran.helpers)), slices.Sorted(maps.Keys(ran.types)), slices.Sorted(maps.Keys(ran.kfuncs))
}

// RanKfunc records that the kernel ran a program which calls the kfunc called
// name: programs call them by numbers, which say nothing here.
func RanKfunc(name string) {
	ran.Lock()
	defer ran.Unlock()
	if ran.kfuncs == nil {
		ran.kfuncs = map[string]bool{}
	}
	ran.kfuncs[name] = true
}

// note records helpers and types.
func note(helpers []int32, types []skepmaps.Type) {
	ran.Lock()
	defer ran.Unlock()
	if ran.helpers == nil {
		ran.helpers, ran.types = map[int32]bool{}, map[skepmaps.Type]bool{}
	}
	for _, id := range helpers {
		ran.helpers[id] = true
	}
	for _, t := range types {
		ran.types[t] = true
	}
}

// calls returns the numbers of the helpers that insns call.
func calls(insns []prog.Insn) []int32 {
	ids := map[int32]bool{}
	for pc := 0; pc < len(insns); pc++ {
		in := insns[pc]
		if in.IsWide() {
			pc++
		} else if in.IsCall(isa.CallHelper) {
			ids[in.Imm] = true
		}
	}
	return slices.Collect(maps.Keys(ids))
}
