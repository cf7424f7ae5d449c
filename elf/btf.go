package elf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/skepvm/skep/btf"
)

// Limits of a BTF section. The kernel's are 1<<20 types, 16 MiB of strings and
// 32 steps between a type and the types its size depends on
// (Documentation/bpf/btf.rst; kernel/bpf/btf.c, MAX_RESOLVE_DEPTH).
const (
	maxBTF       = 16 << 20
	maxTypes     = 1 << 17
	maxTypeDepth = 32
)

const (
	btfMagic   = 0xeb9f
	kindFwd    = 7
	kindDecl   = 17 // BTF_KIND_DECL_TAG, which becomes Tags of what it marks
	intSigned  = 1
	intChar    = 2
	intBool    = 4
	linkGlobal = 1
	linkExtern = 2
)

// A typeTable is a decoded BTF section. It holds every type, so that cyclic
// graphs need no recursion and an ID is an index.
type typeTable struct {
	types    []btf.Type // by ID; 0 is void
	sections map[string][]secVar
	externs  map[string]extern // by name: variables and functions that are declared only
	raw      []byte            // the section as in the file
	strings  string
}

// A secVar is a variable's place in a data section. Compilers leave offsets
// zero; the symbol table has them.
type secVar struct {
	typ       *btf.Type // of kind Var, or Func in .ksyms
	off, size uint32
}

// An extern is a variable or function that the host is to provide.
type extern struct {
	section string    // ".kconfig", ".ksyms"; "" for a plain function
	typ     *btf.Type // of kind Var or Func
}

// decodeBTF reads a .BTF section (kernel, Documentation/bpf/btf.rst, section 2).
func decodeBTF(raw []byte) (*typeTable, error) {
	if len(raw) > maxBTF {
		return nil, fmt.Errorf("%d bytes; at most %d are read", len(raw), maxBTF)
	}
	types, str, err := splitBTF(raw)
	if err != nil {
		return nil, err
	}
	t := &typeTable{raw: raw, strings: string(str), sections: map[string][]secVar{}, externs: map[string]extern{}}
	offs, err := typeOffsets(types)
	if err != nil {
		return nil, err
	}
	t.types = make([]btf.Type, len(offs))
	t.types[0] = btf.Type{Kind: btf.Void, Name: "void"}
	d := typeDecoder{t: t, bits: map[*btf.Type][2]uint32{}, own: map[*btf.Type]bool{}}
	for id := 1; id < len(offs); id++ {
		if err := d.decode(uint32(id), types[offs[id]:]); err != nil {
			return nil, fmt.Errorf("type %d: %w", id, err)
		}
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return t, nil
}

// splitBTF checks the header and returns the type and string parts.
func splitBTF(raw []byte) (types, str []byte, err error) {
	var h struct {
		Magic                               uint16
		Version, Flags                      uint8
		Len                                 uint32
		TypeOff, TypeLen, StringOff, StrLen uint32
	}
	if err := read(raw, 0, &h); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if h.Magic != btfMagic {
		return nil, nil, fmt.Errorf("magic is %#x, not %#x", h.Magic, btfMagic)
	}
	if h.Version != 1 || h.Flags != 0 {
		return nil, nil, fmt.Errorf("version %d, flags %#x; only version 1 without flags is known", h.Version, h.Flags)
	}
	if h.Len < 24 || uint64(h.Len) > uint64(len(raw)) {
		return nil, nil, fmt.Errorf("header of %d bytes in a section of %d", h.Len, len(raw))
	}
	body := raw[h.Len:]
	if types, err = part(body, h.TypeOff, h.TypeLen); err != nil {
		return nil, nil, fmt.Errorf("types: %w", err)
	}
	if str, err = part(body, h.StringOff, h.StrLen); err != nil {
		return nil, nil, fmt.Errorf("strings: %w", err)
	}
	if len(str) == 0 || str[0] != 0 || str[len(str)-1] != 0 {
		return nil, nil, errors.New("strings: not a table that starts and ends with NUL")
	}
	return types, str, nil
}

func part(b []byte, off, n uint32) ([]byte, error) {
	if uint64(off)+uint64(n) > uint64(len(b)) {
		return nil, fmt.Errorf("bytes %#x to %#x of %#x", off, uint64(off)+uint64(n), len(b))
	}
	return b[off : off+n : off+n], nil
}

// typeOffsets returns where each type starts, by ID; all of each type's data
// lies inside types.
func typeOffsets(types []byte) ([]int, error) {
	offs := make([]int, 1, len(types)/16+1)
	for off := 0; off < len(types); {
		if len(types)-off < 12 {
			return nil, fmt.Errorf("type %d: %w", len(offs), errTruncated)
		}
		if len(offs) > maxTypes {
			return nil, fmt.Errorf("more than %d types", maxTypes)
		}
		info := binary.LittleEndian.Uint32(types[off+4:])
		vlen := int(info & 0xffff)
		var extra int
		switch kind := info >> 24 & 0x1f; btf.Kind(kind) {
		case btf.Int, btf.Var, kindDecl:
			extra = 4
		case btf.Array:
			extra = 12
		case btf.Struct, btf.Union, btf.Datasec, btf.Enum64:
			extra = 12 * vlen
		case btf.Enum, btf.FuncProto:
			extra = 8 * vlen
		case btf.Ptr, btf.Fwd, btf.Typedef, btf.Volatile, btf.Const, btf.Restrict, btf.Func, btf.Float, btf.TypeTag:
		default:
			return nil, fmt.Errorf("type %d: unknown kind %d", len(offs), kind)
		}
		offs = append(offs, off)
		if off += 12 + extra; off > len(types) {
			return nil, fmt.Errorf("type %d: %w", len(offs)-1, errTruncated)
		}
	}
	return offs, nil
}

// A typeDecoder fills a typeTable.
type typeDecoder struct {
	t    *typeTable
	bits map[*btf.Type][2]uint32 // integer types that are bit-fields by themselves: offset, width
	tags []declTag
	own  map[*btf.Type]bool // functions whose prototype was copied for their tags
}

type declTag struct {
	typ       *btf.Type
	component int32
	text      string
}

func (d *typeDecoder) ref(id uint32) (*btf.Type, error) {
	if uint64(id) >= uint64(len(d.t.types)) {
		return nil, fmt.Errorf("refers to type %d of %d", id, len(d.t.types))
	}
	return &d.t.types[id], nil
}

// decode reads type id from b, which holds all of it.
func (d *typeDecoder) decode(id uint32, b []byte) (err error) {
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }
	t := &d.t.types[id]
	info, arg := u32(4), u32(8) // arg: size or type
	vlen, flag := int(info&0xffff), info>>31 != 0
	t.Kind = btf.Kind(info >> 24 & 0x1f)
	if t.Name, err = cstring(d.t.strings, u32(0)); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	b = b[12:]
	switch t.Kind {
	case btf.Int:
		enc := u32(0)
		t.Size = arg
		t.Signed, t.Char, t.Bool = enc>>24&intSigned != 0, enc>>24&intChar != 0, enc>>24&intBool != 0
		if t.Name == "char" && t.Size == 1 {
			t.Char = true // clang does not set the bit
		}
		if off, n := enc>>16&0xff, enc&0xff; off != 0 || n != 8*arg {
			d.bits[t] = [2]uint32{off, n}
		}
	case btf.Ptr, btf.Typedef, btf.Volatile, btf.Const, btf.Restrict, btf.TypeTag:
		t.Elem, err = d.ref(arg)
	case btf.Array:
		t.Len = u32(8)
		t.Elem, err = d.ref(u32(0))
	case btf.Struct, btf.Union:
		t.Size = arg
		err = d.members(t, b, vlen, flag)
	case btf.Enum, btf.Enum64:
		t.Size, t.Signed = arg, flag
		err = d.values(t, b, vlen)
	case btf.FuncProto:
		if t.Elem, err = d.ref(arg); err != nil {
			return err
		}
		err = d.params(t, b, vlen)
	case btf.Func:
		t.Global, t.Extern = vlen == linkGlobal, vlen == linkExtern
		if t.Elem, err = d.ref(arg); err == nil && t.Extern {
			if _, ok := d.t.externs[t.Name]; !ok {
				d.t.externs[t.Name] = extern{typ: t}
			}
		}
	case btf.Var:
		link := u32(0)
		t.Global, t.Extern = link == linkGlobal, link == linkExtern
		t.Elem, err = d.ref(arg)
	case btf.Datasec:
		t.Size = arg
		err = d.variables(t, b, vlen)
	case btf.Float:
		t.Size = arg
	case kindDecl:
		var on *btf.Type
		if on, err = d.ref(arg); err == nil {
			d.tags = append(d.tags, declTag{on, int32(u32(0)), t.Name})
		}
		*t = btf.Type{} // not a type that anything may refer to
	}
	return err
}

func (d *typeDecoder) members(t *btf.Type, b []byte, n int, bitfields bool) error {
	t.Members = make([]btf.Member, n)
	for i := range t.Members {
		m, e := &t.Members[i], b[12*i:]
		var err error
		if m.Name, err = cstring(d.t.strings, binary.LittleEndian.Uint32(e)); err != nil {
			return fmt.Errorf("member %d: %w", i, err)
		}
		id := binary.LittleEndian.Uint32(e[4:])
		if m.Type, err = d.ref(id); err != nil {
			return fmt.Errorf("member %s: %w", m.Name, err)
		}
		m.Offset = binary.LittleEndian.Uint32(e[8:])
		if bitfields { // kind_flag: 8 bits of width above 24 bits of offset
			m.Bits, m.Offset = m.Offset>>24, m.Offset&0xffffff
		}
	}
	return nil
}

func (d *typeDecoder) values(t *btf.Type, b []byte, n int) error {
	t.Values = make([]btf.EnumValue, n)
	size := 8
	if t.Kind == btf.Enum64 {
		size = 12
	}
	for i := range t.Values {
		v, e := &t.Values[i], b[size*i:]
		var err error
		if v.Name, err = cstring(d.t.strings, binary.LittleEndian.Uint32(e)); err != nil {
			return fmt.Errorf("value %d: %w", i, err)
		}
		low := binary.LittleEndian.Uint32(e[4:])
		switch {
		case t.Kind == btf.Enum64:
			v.Value = uint64(low) | uint64(binary.LittleEndian.Uint32(e[8:]))<<32
		case t.Signed:
			v.Value = uint64(int64(int32(low)))
		default:
			v.Value = uint64(low)
		}
	}
	return nil
}

func (d *typeDecoder) params(t *btf.Type, b []byte, n int) error {
	t.Members = make([]btf.Member, n)
	for i := range t.Members {
		m, e := &t.Members[i], b[8*i:]
		var err error
		if m.Name, err = cstring(d.t.strings, binary.LittleEndian.Uint32(e)); err != nil {
			return fmt.Errorf("parameter %d: %w", i, err)
		}
		if m.Type, err = d.ref(binary.LittleEndian.Uint32(e[4:])); err != nil {
			return fmt.Errorf("parameter %d: %w", i, err)
		}
	}
	return nil
}

func (d *typeDecoder) variables(t *btf.Type, b []byte, n int) error {
	t.Members = make([]btf.Member, n)
	vars := make([]secVar, n)
	for i := range t.Members {
		e := b[12*i:]
		typ, err := d.ref(binary.LittleEndian.Uint32(e))
		if err != nil {
			return fmt.Errorf("variable %d: %w", i, err)
		}
		vars[i] = secVar{typ, binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint32(e[8:])}
		t.Members[i].Type = typ // the name is known when all types are; see finish
	}
	d.t.sections[t.Name] = append(d.t.sections[t.Name], vars...)
	return nil
}

// finish does what needs every type: legacy bit-fields, names of variables,
// tags, sizes.
func (d *typeDecoder) finish() error {
	for id := range d.t.types {
		t := &d.t.types[id]
		switch t.Kind {
		case btf.Struct, btf.Union:
			for i := range t.Members {
				m := &t.Members[i]
				if b, ok := d.bits[m.Type]; ok && m.Bits == 0 {
					m.Offset, m.Bits = m.Offset+b[0], b[1]
				}
			}
		case btf.Datasec:
			for i := range t.Members {
				m := &t.Members[i]
				if k := m.Type.Kind; k != btf.Var && k != btf.Func {
					return fmt.Errorf("type %d: section %s holds a type of kind %d, not variables", id, t.Name, k)
				}
				m.Name = m.Type.Name
			}
		case btf.Func:
			if t.Elem.Kind != btf.FuncProto {
				return fmt.Errorf("type %d: function %s has no prototype", id, t.Name)
			}
		}
	}
	for name, vars := range d.t.sections {
		for _, v := range vars {
			if v.typ.Extern {
				d.t.externs[v.typ.Name] = extern{name, v.typ}
			}
		}
	}
	for _, tag := range d.tags {
		if err := d.apply(tag); err != nil {
			return err
		}
	}
	return d.sizes()
}

func (d *typeDecoder) apply(g declTag) error {
	t := g.typ
	if g.component < 0 {
		t.Tags = append(t.Tags, g.text)
		return nil
	}
	switch {
	case t.Kind == btf.Func: // a tag of a parameter: prototypes may be shared, so give it its own
		if !d.own[t] {
			proto := *t.Elem
			proto.Members = append([]btf.Member(nil), proto.Members...)
			t.Elem, d.own[t] = &proto, true
		}
		t = t.Elem
	case t.Kind != btf.Struct && t.Kind != btf.Union:
		return fmt.Errorf("tag %q on component %d of %s, which has none", g.text, g.component, t.Name)
	}
	if int64(g.component) >= int64(len(t.Members)) {
		return fmt.Errorf("tag %q on component %d of %s, which has %d", g.text, g.component, g.typ.Name, len(t.Members))
	}
	m := &t.Members[g.component]
	m.Tags = append(m.Tags, g.text)
	return nil
}

// sizes sets the size of every type that does not state it, and refuses types
// that contain themselves or nest deeper than maxTypeDepth, so that every user
// of the graph may recurse where it follows values rather than pointers.
func (d *typeDecoder) sizes() error {
	height := make(map[*btf.Type]int, len(d.t.types)) // how deep a type nests; set once known
	var visit func(t *btf.Type, depth int) error
	visit = func(t *btf.Type, depth int) error {
		if _, ok := height[t]; ok {
			return nil
		}
		if depth > maxTypeDepth {
			return errors.New("contains itself, or nests too deep")
		}
		h := 0
		below := func(e *btf.Type) error {
			if err := visit(e, depth+1); err != nil {
				return err
			}
			if h = max(h, height[e]+1); h > maxTypeDepth {
				return fmt.Errorf("%s nests deeper than %d", t.Name, maxTypeDepth)
			}
			return nil
		}
		switch t.Kind {
		case btf.Ptr:
			t.Size = 8
		case btf.Typedef, btf.Volatile, btf.Const, btf.Restrict, btf.TypeTag, btf.Var, btf.Array:
			if err := below(t.Elem); err != nil {
				return err
			}
			t.Size = t.Elem.Size
			if t.Kind == btf.Array {
				n := uint64(t.Elem.Size) * uint64(t.Len)
				if n > math.MaxInt32 {
					return fmt.Errorf("array of %d × %d bytes", t.Len, t.Elem.Size)
				}
				t.Size = uint32(n)
			}
		case btf.Struct, btf.Union:
			for i := range t.Members {
				m := &t.Members[i]
				if err := below(m.Type); err != nil {
					return err
				}
				bits := uint64(m.Bits)
				if bits == 0 {
					bits = 8 * uint64(m.Type.Size)
				}
				if uint64(m.Offset)+bits > 8*uint64(t.Size) {
					return fmt.Errorf("%s: member %s ends at bit %d of %d", t.Name, m.Name, uint64(m.Offset)+bits, 8*uint64(t.Size))
				}
			}
		}
		height[t] = h
		return nil
	}
	for id := range d.t.types {
		if err := visit(&d.t.types[id], 0); err != nil {
			return fmt.Errorf("type %d: %w", id, err)
		}
	}
	return nil
}
