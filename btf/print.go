package btf

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// maxDepth bounds recursion into values; C types nest far less deeply.
const maxDepth = 64

// SizeOf returns the bytes that a value of type t takes: 0 for functions,
// forward declarations and void. Unlike Size it also serves types that were
// built without it.
func (t *Type) SizeOf() uint32 { return t.sizeOf(0) }

func (t *Type) sizeOf(depth int) uint32 {
	switch {
	case t == nil || depth > maxDepth:
		return 0
	case t.Size != 0:
		return t.Size
	}
	switch t.Kind {
	case Ptr:
		return 8
	case Typedef, Volatile, Const, Restrict, TypeTag, Var:
		return t.Elem.sizeOf(depth + 1)
	case Array:
		if n := uint64(t.Len) * uint64(t.Elem.sizeOf(depth+1)); n <= math.MaxUint32 {
			return uint32(n)
		}
	}
	return 0
}

// AppendJSON appends the value of type t in data, which is little-endian, as
// JSON:
//
//	struct, union   an object; members of anonymous members are its own
//	section         an object of variables
//	array           an array; of char, a string if the bytes are text padded with zeros
//	enum            the constant's name, or a number if none has it
//	bool            true or false
//	pointer         a string "0x…"
//	other           a number; wider than 8 bytes, a string "0x…"
//
// What data is too short for is null. With t nil the result is a string of
// hexadecimal digits.
func (t *Type) AppendJSON(dst, data []byte) []byte {
	p := printer{dst: dst, json: true}
	p.value(t, data, 0)
	return p.dst
}

// AppendC appends the value of type t in data as a C initialiser:
//
//	{.count = 3, .last = DROP, .name = "eth0"}
func (t *Type) AppendC(dst, data []byte) []byte {
	p := printer{dst: dst}
	p.value(t, data, 0)
	return p.dst
}

// A printer writes values in one of two notations.
type printer struct {
	dst  []byte
	json bool
}

func (p *printer) text(s string) { p.dst = append(p.dst, s...) }

// word writes a token that JSON has to quote.
func (p *printer) word(s string) {
	if p.json {
		p.dst = appendQuoted(p.dst, s)
		return
	}
	p.text(s)
}

func (p *printer) missing() {
	if p.json {
		p.text("null")
		return
	}
	p.text("/* missing */")
}

func (p *printer) value(t *Type, data []byte, depth int) {
	if t == nil {
		p.bytes("", data)
		return
	}
	if t.Kind == Var {
		p.value(t.Elem, data, depth+1)
		return
	}
	t = t.Underlying()
	size := t.SizeOf()
	if t == nil || depth > maxDepth || uint64(len(data)) < uint64(size) {
		p.missing()
		return
	}
	data = data[:size:size]
	switch t.Kind {
	case Struct, Union, Datasec:
		p.bracket('{', '{')
		first := true
		p.members(t, data, 0, &first, depth)
		p.bracket('}', '}')
	case Array:
		p.array(t, data, depth)
	case Ptr:
		p.word("0x" + strconv.FormatUint(binary.LittleEndian.Uint64(data), 16))
	case Float:
		p.float(data)
	case Int, Enum, Enum64:
		if size > 8 {
			p.wide(data)
			return
		}
		p.number(t, load(data, 0, size*8), size*8)
	default: // void, forward declarations, functions: no value
		p.missing()
	}
}

// bracket writes a bracket: the first in JSON, the second in C.
func (p *printer) bracket(json, c byte) {
	if p.json {
		p.dst = append(p.dst, json)
		return
	}
	p.dst = append(p.dst, c)
}

// comma separates elements.
func (p *printer) comma(first *bool) {
	switch {
	case *first:
		*first = false
	case p.json:
		p.text(",")
	default:
		p.text(", ")
	}
}

// members writes the members of t, which starts at bit base of data.
func (p *printer) members(t *Type, data []byte, base uint64, first *bool, depth int) {
	if depth > maxDepth {
		return
	}
	for i := range t.Members {
		m := &t.Members[i]
		bit := base + uint64(m.Offset)
		u := m.Type.Underlying()
		if m.Name == "" {
			if u != nil && (u.Kind == Struct || u.Kind == Union) {
				p.members(u, data, bit, first, depth+1)
			}
			continue // an unnamed bit-field is padding
		}
		p.comma(first)
		if p.json {
			p.dst = appendQuoted(p.dst, m.Name)
			p.text(":")
		} else {
			p.text("." + m.Name + " = ")
		}
		switch {
		case m.Bits == 0:
			p.value(m.Type, data[min(bit/8, uint64(len(data))):], depth+1)
		case bit+uint64(m.Bits) > 8*uint64(len(data)) || m.Bits > 64 || u == nil:
			p.missing()
		default:
			p.number(u, load(data, bit, m.Bits), m.Bits)
		}
	}
}

// load returns the n ≤ 64 bits of data that start at bit off.
func load(data []byte, off uint64, n uint32) uint64 {
	var v uint64
	for i := uint32(0); i < n; {
		at := off + uint64(i)
		take := min(8-uint32(at%8), n-i)
		v |= uint64(data[at/8]>>(at%8)) & (1<<take - 1) << i
		i += take
	}
	return v
}

// number writes the bits-wide value v of an integer or enum type.
func (p *printer) number(t *Type, v uint64, bits uint32) {
	s := int64(v)
	if t.Signed && bits > 0 && bits < 64 {
		s = int64(v<<(64-bits)) >> (64 - bits)
		v = uint64(s)
	}
	for i := range t.Values {
		if t.Values[i].Value == v {
			p.word(t.Values[i].Name)
			return
		}
	}
	switch {
	case t.Bool && v <= 1:
		p.text(strconv.FormatBool(v == 1))
	case t.Signed:
		p.dst = strconv.AppendInt(p.dst, s, 10)
	default:
		p.dst = strconv.AppendUint(p.dst, v, 10)
	}
}

// wide writes an integer of more than 8 bytes.
func (p *printer) wide(data []byte) {
	b := make([]byte, len(data))
	for i := range data {
		b[len(b)-1-i] = data[i]
	}
	p.bytes("0x", b)
}

// bytes writes hexadecimal digits.
func (p *printer) bytes(prefix string, b []byte) {
	if p.json {
		p.text(`"`)
	}
	p.text(prefix)
	p.dst = hex.AppendEncode(p.dst, b)
	if p.json {
		p.text(`"`)
	}
}

func (p *printer) float(data []byte) {
	var f float64
	bits := 8 * len(data)
	switch bits {
	case 32:
		f = float64(math.Float32frombits(binary.LittleEndian.Uint32(data)))
	case 64:
		f = math.Float64frombits(binary.LittleEndian.Uint64(data))
	default:
		p.wide(data)
		return
	}
	s := strconv.FormatFloat(f, 'g', -1, bits)
	if math.IsNaN(f) || math.IsInf(f, 0) { // JSON has no such numbers
		p.word(s)
		return
	}
	p.text(s)
}

func (p *printer) array(t *Type, data []byte, depth int) {
	e := t.Elem.Underlying()
	if e != nil && e.Kind == Int && e.Char && e.Size == 1 {
		if s, ok := text(data); ok {
			p.dst = appendQuoted(p.dst, s)
			return
		}
	}
	p.bracket('[', '{')
	if size := e.SizeOf(); size > 0 {
		first := true
		for off := uint32(0); off+size <= uint32(len(data)); off += size {
			p.comma(&first)
			p.value(e, data[off:off+size], depth+1)
		}
	}
	p.bracket(']', '}')
}

// text returns the string in data, if data is printable text and then zeros.
func text(data []byte) (string, bool) {
	n := 0
	for n < len(data) && data[n] != 0 {
		n++
	}
	for _, b := range data[n:] {
		if b != 0 {
			return "", false
		}
	}
	for s := data[:n]; len(s) > 0; {
		r, size := utf8.DecodeRune(s)
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return "", false
		}
		s = s[size:]
	}
	return string(data[:n]), true
}

// appendQuoted appends s as a string of both JSON and C.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			dst = append(dst, '\\', byte(r))
		case '\n':
			dst = append(dst, `\n`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			if r < ' ' {
				dst = append(dst, `\u00`...)
				dst = append(dst, "0123456789abcdef"[r>>4], "0123456789abcdef"[r&0xf])
				continue
			}
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
