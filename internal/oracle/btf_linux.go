package oracle

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// The kernel takes callbacks only from programs that say, in BTF, where their
// functions begin and that they are static. The BTF made here holds one
// function per subprogram, all of type long f(long, long, long, long, long)
// (Documentation/bpf/btf.rst).

const (
	btfMagic      = 0xeb9f
	btfKindInt    = 1 << 24
	btfKindStruct = 4 << 24
	btfKindFunc   = 12 << 24
	btfKindProto  = 13 << 24
	btfSigned     = 1 << 24
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

// A blobWriter puts BTF together.
type blobWriter struct{ types, strings []byte }

func (w *blobWriter) name(s string) uint32 {
	if len(w.strings) == 0 {
		w.strings = []byte{0}
	}
	off := uint32(len(w.strings))
	w.strings = append(append(w.strings, s...), 0)
	return off
}

func (w *blobWriter) put(words ...uint32) {
	for _, x := range words {
		w.types = binary.NativeEndian.AppendUint32(w.types, x)
	}
}

func (w *blobWriter) blob() []byte {
	b := binary.NativeEndian.AppendUint16(nil, btfMagic)
	b = append(b, 1, 0) // version, flags
	for _, x := range []uint32{24, 0, uint32(len(w.types)), uint32(len(w.types)), uint32(len(w.strings))} {
		b = binary.NativeEndian.AppendUint32(b, x)
	}
	return append(append(b, w.types...), w.strings...)
}

func functionBTF(n int) []byte {
	var w blobWriter
	w.put(w.name("long"), btfKindInt, 8, btfSigned|64)
	w.put(0, btfKindProto|5, 1)
	arg := w.name("a")
	for range 5 {
		w.put(arg, 1)
	}
	for i := range n {
		w.put(w.name(fmt.Sprintf("f%d", i)), btfKindFunc, 2) // vlen 0: static
	}
	return w.blob()
}

// opaque reports whether t is a struct of structs that have no members.
func opaque(t *btf.Type) bool {
	return t != nil && t.Kind == btf.Struct && !slices.ContainsFunc(t.Members, func(m btf.Member) bool {
		return m.Type.Kind != btf.Struct || len(m.Type.Members) != 0
	})
}

// valueBTF returns the types of s: 1 is the key, an integer; then one empty
// struct per member of the value; then the value.
func valueBTF(s *maps.Spec) []byte {
	var w blobWriter
	w.put(w.name("key"), btfKindInt, s.KeySize, 8*s.KeySize)
	for _, m := range s.Value.Members {
		w.put(w.name(m.Type.Name), btfKindStruct, m.Type.Size)
	}
	w.put(w.name(s.Value.Name), btfKindStruct|uint32(len(s.Value.Members)), s.ValueSize)
	for i, m := range s.Value.Members {
		w.put(w.name(m.Name), uint32(i)+2, m.Offset)
	}
	return w.blob()
}
