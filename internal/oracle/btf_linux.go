package oracle

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// The kernel takes callbacks only from programs that say, in BTF, where their
// functions begin and that they are static. The BTF made here holds one
// function per subprogram, of type long f(long, long, long, long, long) unless it is
// said to be global, of a type of its own (Documentation/bpf/btf.rst).

const (
	btfMagic       = 0xeb9f
	btfKindInt     = 1 << 24
	btfKindPtr     = 2 << 24
	btfKindStruct  = 4 << 24
	btfKindFunc    = 12 << 24
	btfKindProto   = 13 << 24
	btfKindDeclTag = 17 << 24
	btfSigned      = 1 << 24
	btfGlobal      = 1 // in the place of a function's number of members
)

type btfLoadAttr struct {
	btf  uint64
	_    uint64 // log
	size uint32
	_    [5]uint32
}

// funcInfo loads BTF for the functions of a raw program, if it has subprograms.
// fd is its file descriptor, -1 if there is none, and info has n records.
func funcInfo(insns []prog.Insn, globals map[prog.PC]*btf.Type) (fd int, info []byte, n int, err error) {
	entries := []int{0}
	for pc := range globals {
		entries = append(entries, int(pc))
	}
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
	blob, ids := functionBTF(entries, globals)
	var pin runtime.Pinner
	attr := btfLoadAttr{btf: pointer(&pin, blob), size: uint32(len(blob))}
	made, err := bpf(btfLoad, &attr, &pin)
	if err != nil {
		return -1, nil, 0, fmt.Errorf("loading BTF: %w", err)
	}
	for i, e := range entries {
		info = binary.NativeEndian.AppendUint32(info, uint32(e))
		info = binary.NativeEndian.AppendUint32(info, ids[i])
	}
	return int(made), info, len(entries), nil
}

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

// functionBTF returns the types of functions that begin at entries, and their
// numbers. 1 is long and 2 the prototype of those that are not global.
func functionBTF(entries []int, globals map[prog.PC]*btf.Type) (blob []byte, ids []uint32) {
	const firstFree = 3
	w := typeWriter{last: firstFree - 1}
	w.put(w.name("long"), btfKindInt, 8, btfSigned|64)
	w.put(0, btfKindProto|5, 1)
	arg := w.name("a")
	for range 5 {
		w.put(arg, 1)
	}
	for i, e := range entries {
		name := w.name(fmt.Sprintf("f%d", i))
		t := globals[prog.PC(e)]
		if t != nil && t.Name != "" {
			name = w.name(t.Name)
		}
		if t == nil {
			w.put(name, btfKindFunc, 2) // vlen 0: static
			w.last++
			ids = append(ids, w.last)
			continue
		}
		proto := w.proto(t.Elem)
		w.put(name, btfKindFunc|btfGlobal, proto)
		w.last++
		f := w.last
		ids = append(ids, f)
		for _, tag := range t.Tags {
			w.put(w.name(tag), btfKindDeclTag, f, ^uint32(0)) // of the function itself
			w.last++
		}
		for j, m := range t.Elem.Members {
			for _, tag := range m.Tags {
				w.put(w.name(tag), btfKindDeclTag, f, uint32(j))
				w.last++
			}
		}
	}
	return w.blob(), ids
}

// A typeWriter counts the types that it has put.
type typeWriter struct {
	blobWriter
	last uint32
}

// proto puts a prototype and what it mentions.
func (w *typeWriter) proto(t *btf.Type) uint32 {
	result := w.typ(t.Elem)
	var params []uint32
	for _, m := range t.Members {
		id := w.typ(m.Type)
		params = append(params, w.name(m.Name), id)
	}
	w.put(0, btfKindProto|uint32(len(t.Members)), result)
	w.put(params...)
	w.last++
	return w.last
}

// typ puts t, of which a struct has no members. It returns 0 for void.
func (w *typeWriter) typ(t *btf.Type) uint32 {
	t = t.Underlying()
	switch t.Kind {
	case btf.Int:
		signed := uint32(0)
		if t.Signed {
			signed = btfSigned
		}
		w.put(w.name(t.Name), btfKindInt, t.Size, signed|8*t.Size)
	case btf.Ptr:
		to := w.typ(t.Elem)
		w.put(0, btfKindPtr, to)
	case btf.Struct:
		w.put(w.name(t.Name), btfKindStruct, t.Size)
	default:
		return 0
	}
	w.last++
	return w.last
}

// special returns the members of a value that the kernel has to know: structs of
// its own, such as bpf_spin_lock, of which only name and size matter.
func special(t *btf.Type) (out []btf.Member) {
	if t = t.Underlying(); t == nil || t.Kind != btf.Struct {
		return nil
	}
	for _, m := range t.Members {
		if u := m.Type.Underlying(); u != nil && u.Kind == btf.Struct && strings.HasPrefix(u.Name, "bpf_") {
			out = append(out, btf.Member{Name: m.Name, Type: u, Offset: m.Offset})
		}
	}
	return out
}

// valueBTF returns the types of s: 1 is the key, an integer; then one empty
// struct per special member of the value; then the value, with these alone.
func valueBTF(s *maps.Spec, members []btf.Member) []byte {
	var w blobWriter
	w.put(w.name("key"), btfKindInt, s.KeySize, 8*s.KeySize)
	for _, m := range members {
		w.put(w.name(m.Type.Name), btfKindStruct, m.Type.Size)
	}
	w.put(w.name("value"), btfKindStruct|uint32(len(members)), s.ValueSize)
	for i, m := range members {
		w.put(w.name(m.Name), uint32(i)+2, m.Offset)
	}
	return w.blob()
}
