package oracle

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// The kernel takes callbacks only from programs that say, in BTF, where their
// functions begin and that they are static. The BTF made here holds one
// function per subprogram, all of type long f(long, long, long, long, long)
// (Documentation/bpf/btf.rst).

const (
	btfMagic     = 0xeb9f
	btfKindInt   = 1 << 24
	btfKindFunc  = 12 << 24
	btfKindProto = 13 << 24
	btfSigned    = 1 << 24
)

type btfLoadAttr struct {
	btf  uint64
	_    uint64 // log
	size uint32
	_    [5]uint32
}

// funcInfo loads BTF for the functions of a raw program, if it has subprograms.
// btf is its file descriptor, -1 if there is none, and info has n records.
func funcInfo(insns []prog.Insn) (btf int, info []byte, n int, err error) {
	entries := []int{0}
	for pc := 0; pc < len(insns); pc++ {
		in := insns[pc]
		if in.IsCall(isa.CallSub) || in.IsWide() && in.Src == isa.PseudoFunc {
			entries = append(entries, pc+1+int(in.Imm))
		}
		if in.IsWide() {
			pc++
		}
	}
	slices.Sort(entries)
	entries = slices.Compact(entries)
	if len(entries) == 1 {
		return -1, nil, 0, nil
	}
	blob := functionBTF(len(entries))
	var pin runtime.Pinner
	attr := btfLoadAttr{btf: pointer(&pin, blob), size: uint32(len(blob))}
	fd, err := bpf(btfLoad, &attr, &pin)
	if err != nil {
		return -1, nil, 0, fmt.Errorf("loading BTF: %w", err)
	}
	for i, e := range entries {
		info = binary.NativeEndian.AppendUint32(info, uint32(e))
		info = binary.NativeEndian.AppendUint32(info, firstFunc+uint32(i))
	}
	return int(fd), info, len(entries), nil
}

// firstFunc is the type number of the first function: 1 is long, 2 its
// prototype.
const firstFunc = 3

func functionBTF(n int) []byte {
	strings := []byte{0}
	name := func(s string) uint32 {
		off := uint32(len(strings))
		strings = append(append(strings, s...), 0)
		return off
	}
	var types []byte
	put := func(words ...uint32) {
		for _, w := range words {
			types = binary.NativeEndian.AppendUint32(types, w)
		}
	}
	put(name("long"), btfKindInt, 8, btfSigned|64)
	put(0, btfKindProto|5, 1)
	arg := name("a")
	for range 5 {
		put(arg, 1)
	}
	for i := range n {
		put(name(fmt.Sprintf("f%d", i)), btfKindFunc, 2) // vlen 0: static
	}
	blob := binary.NativeEndian.AppendUint16(nil, btfMagic)
	blob = append(blob, 1, 0) // version, flags
	for _, w := range []uint32{24, 0, uint32(len(types)), uint32(len(types)), uint32(len(strings))} {
		blob = binary.NativeEndian.AppendUint32(blob, w)
	}
	return append(append(blob, types...), strings...)
}
