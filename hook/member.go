package hook

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/skepvm/skep/btf"
)

// A member is one member of a typed context's C struct, with those inside it.
// Define reads members from a Go struct, ParseDescription from JSON.
type member struct {
	name    string
	kind    memberKind
	size    uint32 // of one element
	len     uint32 // memberArray: elements
	signed  bool
	rw      bool
	members []member // memberStruct

	off   uint32  // in the outermost C struct
	goOff uintptr // in the Go struct; Define only
}

type memberKind uint8

const (
	memberInt memberKind = iota
	memberBool
	memberArray // of integers
	memberStruct
	memberPacket    // a Bytes: two pointers
	maxTypedContext = 1 << 15
)

// readStruct fills m.members from the fields of t. rw: all are writable.
func (m *member) readStruct(t reflect.Type, rw bool) error {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, err := parseTag(f.Tag.Get("bpf"))
		if err != nil {
			return fmt.Errorf("field %s: tag %q: %w", f.Name, f.Tag.Get("bpf"), err)
		}
		if tag.skip || f.Name == "_" {
			continue
		}
		if !f.IsExported() && !f.Anonymous {
			return fmt.Errorf("field %s: unexported; export it, or keep it from programs with the tag `bpf:\"-\"`", f.Name)
		}
		c := member{name: tag.name, rw: rw || tag.rw, goOff: f.Offset}
		if c.name == "" {
			c.name = snakeCase(f.Name)
		}
		if err := c.read(f.Type); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		if c.kind == memberPacket && tag.name == "" {
			c.name = "data"
		}
		if f.Anonymous && c.kind == memberStruct && tag.name == "" {
			for _, inner := range c.members {
				inner.goOff += f.Offset
				m.members = append(m.members, inner)
			}
			continue
		}
		m.members = append(m.members, c)
	}
	return nil
}

// read fills m from the type of a Go field.
func (m *member) read(t reflect.Type) error {
	if t == reflect.TypeFor[Bytes]() {
		m.kind, m.size = memberPacket, 8
		return nil
	}
	if size, signed, ok := fixedInt(t.Kind()); ok {
		m.kind, m.size, m.signed = memberInt, size, signed
		return nil
	}
	switch t.Kind() {
	case reflect.Bool:
		m.kind, m.size = memberBool, 1
		return nil
	case reflect.Array:
		size, signed, ok := fixedInt(t.Elem().Kind())
		if !ok {
			return fmt.Errorf("%v: only arrays of fixed-size integers", t)
		}
		if t.Len() == 0 || t.Len() > maxTypedContext {
			return fmt.Errorf("%v: 1 to %d elements", t, maxTypedContext)
		}
		m.kind, m.size, m.signed, m.len = memberArray, size, signed, uint32(t.Len())
		return nil
	case reflect.Struct:
		m.kind = memberStruct
		if err := m.readStruct(t, m.rw); err != nil {
			return err
		}
		if len(m.members) == 0 {
			return fmt.Errorf("%v: no field that programs could see", t)
		}
		if m.packet() != nil {
			return fmt.Errorf("%v: hook.Bytes must be a field of the context itself", t)
		}
		return nil
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		return fmt.Errorf("%v: its size depends on the host; use %v32 or %v64", t, strings.TrimSuffix(t.Kind().String(), "ptr"), strings.TrimSuffix(t.Kind().String(), "ptr"))
	case reflect.Slice:
		return fmt.Errorf("%v: use hook.Bytes, or an array", t)
	default:
		return fmt.Errorf("%v: a context holds fixed-size integers, bools, arrays of integers, structs and hook.Bytes", t)
	}
}

func fixedInt(k reflect.Kind) (size uint32, signed, ok bool) {
	switch k {
	case reflect.Uint8:
		return 1, false, true
	case reflect.Uint16:
		return 2, false, true
	case reflect.Uint32:
		return 4, false, true
	case reflect.Uint64:
		return 8, false, true
	case reflect.Int8:
		return 1, true, true
	case reflect.Int16:
		return 2, true, true
	case reflect.Int32:
		return 4, true, true
	case reflect.Int64:
		return 8, true, true
	}
	return 0, false, false
}

// packet returns the member of m that is a packet, or nil.
func (m *member) packet() *member {
	for i := range m.members {
		if m.members[i].kind == memberPacket {
			return &m.members[i]
		}
	}
	return nil
}

// align returns m's alignment in C.
func (m *member) align() uint32 {
	if m.kind != memberStruct {
		return m.size
	}
	a := uint32(1)
	for i := range m.members {
		a = max(a, m.members[i].align())
	}
	return a
}

// bytes returns m's size in C. Its members have been placed.
func (m *member) bytes() uint32 {
	switch m.kind {
	case memberArray:
		return m.size * m.len
	case memberPacket:
		return 16
	case memberStruct:
		end := m.off
		for i := range m.members {
			end = m.members[i].off + m.members[i].bytes()
		}
		return roundUp(end-m.off, m.align())
	}
	return m.size
}

func roundUp(n, align uint32) uint32 { return (n + align - 1) &^ (align - 1) }

// place gives m's members their offsets, m being at off.
func (m *member) place(off uint32) error {
	m.off = off
	for i := range m.members {
		c := &m.members[i]
		if err := c.place(roundUp(off, c.align())); err != nil {
			return err
		}
		off = c.off + c.bytes()
		if off > maxTypedContext {
			return fmt.Errorf("member %s ends at byte %d; %d is the most", c.name, off, maxTypedContext)
		}
	}
	return nil
}

// setLayout makes t's context from root: Ctx, in which program and host share
// one layout, and BTF.
func (t *Type) setLayout(root *member) error {
	if len(root.members) == 0 {
		return fmt.Errorf("no field that programs could see")
	}
	if err := root.checkNames(); err != nil {
		return err
	}
	if err := root.place(0); err != nil {
		return err
	}
	size := root.bytes()
	t.Ctx = Ctx{Name: root.name, Size: size, HostSize: roundUp(size, 8)}
	t.Ctx.addFields(root, "")
	t.BTF = root.btf()
	return nil
}

// checkNames refuses names that C would.
func (m *member) checkNames() error {
	seen := map[string]bool{}
	packets := 0
	for i := range m.members {
		c := &m.members[i]
		names := []string{c.name}
		if c.kind == memberPacket {
			names = append(names, c.name+"_end")
			if packets++; packets > 1 {
				return fmt.Errorf("member %s: a context has one packet at most", c.name)
			}
		}
		for _, n := range names {
			switch {
			case !isIdentifier(n):
				return fmt.Errorf("member %q: not a C identifier", n)
			case seen[n]:
				return fmt.Errorf("member %s: twice", n)
			}
			seen[n] = true
		}
		if err := c.checkNames(); err != nil {
			return fmt.Errorf("member %s: %w", c.name, err)
		}
	}
	return nil
}

// addFields adds m's members to c; those inside a struct as "outer.inner".
func (c *Ctx) addFields(m *member, prefix string) {
	for i := range m.members {
		e := &m.members[i]
		f := Field{Name: prefix + e.name, Off: e.off, Size: e.bytes(), Read: narrow(e.size)}
		if e.rw {
			f.Write = f.Read
		}
		switch e.kind {
		case memberStruct:
			c.addFields(e, prefix+e.name+".")
			continue
		case memberArray:
			f.Kind = FieldBytes
			f.Read = narrow(8)
			if e.rw {
				f.Write = f.Read
			}
		case memberPacket:
			f.Size, f.Kind, f.Read, f.Write = 8, FieldPacket, 8, 0
			end := f
			end.Name, end.Off, end.Kind = f.Name+"_end", f.Off+8, FieldPacketEnd
			end.HostOff, end.HostSize = end.Off, 8
			f.HostOff, f.HostSize = f.Off, 8
			c.Fields = append(c.Fields, f, end)
			continue
		}
		f.HostOff, f.HostSize = f.Off, f.Size
		if f.Kind == FieldBytes {
			f.Read &= fits(f.Size)
			f.Write &= fits(f.Size)
		}
		c.Fields = append(c.Fields, f)
	}
}

// narrow returns the widths up to size.
func narrow(size uint32) Widths { return Widths(size<<1 - 1) }

// fits returns the widths that an access to size bytes can have.
func fits(size uint32) Widths { return Widths(1)<<bitsOf(size) - 1 }

// btf returns m as a BTF type.
func (m *member) btf() *btf.Type {
	switch m.kind {
	case memberStruct:
		t := &btf.Type{Kind: btf.Struct, Name: m.name, Size: m.bytes()}
		for i := range m.members {
			c := &m.members[i]
			bit := (c.off - m.off) * 8
			ct := c.btf()
			if c.kind == memberStruct {
				ct.Name = "" // defined in place
			}
			t.Members = append(t.Members, btf.Member{Name: c.name, Type: ct, Offset: bit})
			if c.kind == memberPacket {
				t.Members = append(t.Members, btf.Member{Name: c.name + "_end", Type: ct, Offset: bit + 64})
			}
		}
		return t
	case memberArray:
		return &btf.Type{Kind: btf.Array, Size: m.bytes(), Len: m.len, Elem: intType(m.size, m.signed)}
	case memberBool:
		return &btf.Type{Kind: btf.Int, Name: "_Bool", Size: 1, Bool: true}
	case memberPacket:
		return &btf.Type{Kind: btf.Ptr, Size: 8, Elem: &btf.Type{Kind: btf.Void}}
	}
	return intType(m.size, m.signed)
}

// intType returns the C integer of size bytes, under the name that clang gives
// it.
func intType(size uint32, signed bool) *btf.Type {
	names := map[uint32]string{1: "char", 2: "short", 4: "int", 8: "long long"}
	if !signed {
		names = map[uint32]string{1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long"}
	} else if size == 1 {
		names[1] = "signed char"
	}
	return &btf.Type{Kind: btf.Int, Name: names[size], Size: size, Signed: signed}
}
