package btf

import (
	"encoding/binary"
	"strconv"
)

// AppendBpftool appends the value of type t in data as bpftool map dump -j
// formats it. Unlike AppendJSON
//
//	anonymous members are objects under the name "", of which there may be several;
//	bit-fields are strings "0x…", whatever their sign;
//	pointers are numbers, and so are constants of an enum that have no name, as if signed;
//	an array of char is a string up to the first 0, if only printable ASCII comes before it;
//	a section is an object with its name, of a list of objects of one variable.
func (t *Type) AppendBpftool(dst, data []byte) []byte {
	p := printer{dst: dst, json: true}
	p.bpftool(t, data, 0)
	return p.dst
}

func (p *printer) bpftool(t *Type, data []byte, depth int) {
	if t != nil && t.Kind == Var {
		t = t.Elem
	}
	t = t.Underlying()
	size := t.SizeOf()
	if t == nil || depth > maxDepth || uint64(len(data)) < uint64(size) {
		p.missing()
		return
	}
	data = data[:size:size]
	switch t.Kind {
	case Struct, Union:
		p.bpftoolStruct(t, data, depth)
	case Datasec:
		p.bpftoolSection(t, data, depth)
	case Array:
		p.bpftoolArray(t, data, depth)
	case Ptr:
		p.dst = strconv.AppendUint(p.dst, load(data, 0, size*8), 10)
	case Float:
		p.float(data)
	case Int, Enum, Enum64:
		p.bpftoolNumber(t, data)
	default:
		p.missing()
	}
}

func (p *printer) bpftoolStruct(t *Type, data []byte, depth int) {
	p.text("{")
	first := true
	for i := range t.Members {
		m := &t.Members[i]
		p.name(m.Name, &first)
		switch bit := uint64(m.Offset); {
		case m.Bits == 0:
			p.bpftool(m.Type, data[min(bit/8, uint64(len(data))):], depth+1)
		case bit+uint64(m.Bits) > 8*uint64(len(data)) || m.Bits > 64:
			p.missing()
		default:
			p.text(`"0x` + strconv.FormatUint(load(data, bit, m.Bits), 16) + `"`)
		}
	}
	p.text("}")
}

func (p *printer) name(name string, first *bool) {
	p.comma(first)
	p.dst = appendQuoted(p.dst, name)
	p.text(":")
}

func (p *printer) bpftoolSection(t *Type, data []byte, depth int) {
	p.text("{")
	outer := true
	p.name(t.Name, &outer)
	p.text("[")
	first := true
	for i := range t.Members {
		m := &t.Members[i]
		p.comma(&first)
		p.text("{")
		one := true
		p.name(m.Name, &one)
		p.bpftool(m.Type, data[min(m.Offset/8, uint32(len(data))):], depth+1)
		p.text("}")
	}
	p.text("]}")
}

func (p *printer) bpftoolArray(t *Type, data []byte, depth int) {
	if isChar(t.Elem) {
		if s, ok := terminated(data); ok {
			p.dst = appendQuoted(p.dst, s)
			return
		}
	}
	p.text("[")
	if size := t.Elem.SizeOf(); size > 0 {
		first := true
		for off := uint32(0); off+size <= uint32(len(data)); off += size {
			p.comma(&first)
			p.bpftool(t.Elem, data[off:off+size], depth+1)
		}
	}
	p.text("]")
}

// isChar reports whether t is char, under no other name.
func isChar(t *Type) bool {
	for t != nil && (t.Kind == Const || t.Kind == Volatile || t.Kind == Restrict || t.Kind == TypeTag) {
		t = t.Elem
	}
	return t != nil && t.Kind == Int && t.Size == 1 && t.Char
}

// terminated returns what comes before the first 0 in data, if that is
// printable ASCII and there is a 0.
func terminated(data []byte) (string, bool) {
	for i, b := range data {
		switch {
		case b == 0:
			return string(data[:i]), true
		case b < 0x20 || b >= 0x7f:
			return "", false
		}
	}
	return "", false
}

func (p *printer) bpftoolNumber(t *Type, data []byte) {
	if len(data) == 16 {
		low, high := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
		digits := strconv.FormatUint(low, 16)
		if high != 0 {
			digits = strconv.FormatUint(high, 16) + "0000000000000000"[len(digits):] + digits
		}
		p.text(`"0x` + digits + `"`)
		return
	}
	if len(data) > 8 {
		p.wide(data)
		return
	}
	bits := uint32(len(data)) * 8
	v := load(data, 0, bits)
	s := int64(v<<(64-bits)) >> (64 - bits)
	if t.Signed && t.Kind != Int {
		v = uint64(s)
	}
	for i := range t.Values {
		if t.Values[i].Value == v {
			p.word(t.Values[i].Name)
			return
		}
	}
	switch {
	case t.Bool:
		p.text(strconv.FormatBool(v != 0))
	case t.Signed || t.Kind != Int:
		p.dst = strconv.AppendInt(p.dst, s, 10)
	default:
		p.dst = strconv.AppendUint(p.dst, v, 10)
	}
}
