package oracle

import (
	"fmt"
	"sync"

	"github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// kernelTypes are the running kernel's own types.
var kernelTypes = sync.OnceValues(btf.LoadKernelSpec)

// Kfunc returns the number by which the kernel knows its function name.
func Kfunc(name string) (int32, error) {
	types, err := kernelTypes()
	if err != nil {
		return 0, fmt.Errorf("the kernel's types: %w", err)
	}
	var f *btf.Func
	if err := types.TypeByName(name, &f); err != nil {
		return 0, fmt.Errorf("the kernel has no function %s: %w", name, err)
	}
	id, err := types.TypeID(f)
	return int32(id), err
}

// Kfuncs replaces the number of each call of a kfunc, which is an index of
// names, by the kernel's.
func Kfuncs(insns []prog.Insn, names []string) error {
	for pc, in := range insns {
		if !in.IsCall(isa.CallKfunc) {
			continue
		}
		if uint32(in.Imm) >= uint32(len(names)) {
			return fmt.Errorf("instruction %d calls function %d of %d", pc, in.Imm, len(names))
		}
		id, err := Kfunc(names[in.Imm])
		if err != nil {
			return err
		}
		insns[pc].Imm = id
	}
	return nil
}
