package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/skepvm/skep/btf"
)

// encodeValue stores the JSON value v in dst, which has the size of a map's
// key or value or of a variable, or less than that for a part of one:
//
//	"hex:…"            the bytes themselves, all of them, as --dump-maps --json prints them
//	"0x…"              of an integer, its value; else the bytes themselves
//	12, -1, true       an integer, little-endian; a string of digits if it does not fit a JSON number
//	"NAME"             a constant of an enum, or the text of a char array
//	[…]                the elements of an array; the rest is zero
//	{"field": …}       the fields of a struct or union; the rest is zero
//
// Without a type (t is nil) only bytes and integers have a meaning.
func encodeValue(dst []byte, t *btf.Type, v any) error {
	u := t.Underlying()
	if s, ok := v.(string); ok && !(isInteger(u) && strings.HasPrefix(s, "0x")) {
		if b, err := literalBytes(s); err != nil {
			return err
		} else if b != nil {
			if len(b) != len(dst) {
				return fmt.Errorf("%q has %d bytes; %d are needed", shorten(s, 40), len(b), len(dst))
			}
			copy(dst, b)
			return nil
		}
	}
	switch {
	case u == nil, isInteger(u):
		return encodeInt(dst, u, v)
	case u.Kind == btf.Array:
		return encodeArray(dst, u, v)
	case u.Kind == btf.Struct, u.Kind == btf.Union:
		return encodeStruct(dst, u, v)
	}
	return fmt.Errorf("no value can be given for a %s; use bytes, \"0x…\"", typeName(t))
}

// isInteger reports whether values of type t, an underlying one, are numbers.
func isInteger(t *btf.Type) bool {
	return t != nil && (t.Kind == btf.Int || t.Kind == btf.Enum || t.Kind == btf.Enum64 || t.Kind == btf.Ptr)
}

// literalBytes returns the bytes of a string that spells bytes; nil if it
// spells none.
func literalBytes(s string) ([]byte, error) {
	if digits, ok := strings.CutPrefix(s, "hex:"); ok {
		return parseHex(digits)
	}
	if strings.HasPrefix(s, "0x") {
		return parseHex(s)
	}
	return nil, nil
}

func encodeInt(dst []byte, t *btf.Type, v any) error {
	n, err := integer(t, v)
	if err != nil {
		return err
	}
	bits := uint(len(dst)) * 8
	low := new(big.Int).Lsh(big.NewInt(-1), max(bits, 1)-1) // the least signed value
	high := new(big.Int).Lsh(big.NewInt(1), bits)           // the first value beyond the unsigned ones
	if n.Cmp(low) < 0 || n.Cmp(high) >= 0 {
		return fmt.Errorf("%v does not fit %d bytes", n, len(dst))
	}
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, high)
	}
	n.FillBytes(dst)
	slices.Reverse(dst)
	return nil
}

// integer reads v as a number, or as the name of one of t's constants.
func integer(t *btf.Type, v any) (*big.Int, error) {
	if t != nil && t.Bool {
		switch v {
		case true, json.Number("1"), "true", "1", "0x1":
			return big.NewInt(1), nil
		case false, json.Number("0"), "false", "0", "0x0":
			return new(big.Int), nil
		}
		return nil, fmt.Errorf("%s is no bool: true, false, 1 or 0", jsonText(v))
	}
	switch v := v.(type) {
	case bool:
		if v {
			return big.NewInt(1), nil
		}
		return new(big.Int), nil
	case json.Number:
		return parseInteger(string(v))
	case string:
		if t != nil {
			for _, c := range t.Values {
				if c.Name == v {
					if t.Signed {
						return big.NewInt(int64(c.Value)), nil
					}
					return new(big.Int).SetUint64(c.Value), nil
				}
			}
		}
		return parseInteger(v)
	}
	return nil, fmt.Errorf("%s is no number", jsonText(v))
}

func parseInteger(s string) (*big.Int, error) {
	n, ok := new(big.Int).SetString(s, 0)
	if !ok {
		return nil, fmt.Errorf("%q is no integer", shorten(s, 40))
	}
	return n, nil
}

func encodeArray(dst []byte, t *btf.Type, v any) error {
	elem := t.Elem.Underlying()
	if s, ok := v.(string); ok && elem != nil && elem.Kind == btf.Int && len(dst) == int(t.Len) {
		if len(s) > len(dst) {
			return fmt.Errorf("%q has %d bytes; the array has %d", shorten(s, 40), len(s), len(dst))
		}
		clear(dst[copy(dst, s):])
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		return fmt.Errorf("%s is no list, for a %s", jsonText(v), typeName(t))
	}
	if len(list) > int(t.Len) {
		return fmt.Errorf("%d elements for a %s", len(list), typeName(t))
	}
	clear(dst)
	if t.Len == 0 {
		return nil
	}
	size := len(dst) / int(t.Len)
	for i, e := range list {
		if err := encodeValue(dst[i*size:(i+1)*size], t.Elem, e); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

func encodeStruct(dst []byte, t *btf.Type, v any) error {
	fields, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is no object, for a %s", jsonText(v), typeName(t))
	}
	clear(dst)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		m, off := findMember(t, name, 0)
		if m == nil {
			return fmt.Errorf("%s has no field %q", typeName(t), name)
		}
		if err := encodeMember(dst, m, off, fields[name]); err != nil {
			return fmt.Errorf(".%s: %w", name, err)
		}
	}
	return nil
}

// maxAnonymous bounds how deep anonymous structs are searched: types from a
// hostile object may hold themselves.
const maxAnonymous = 16

// findMember returns the field called name, of t itself or of an anonymous
// struct or union inside it, and the field's offset in bits from t's start.
func findMember(t *btf.Type, name string, depth int) (*btf.Member, uint32) {
	if depth > maxAnonymous {
		return nil, 0
	}
	for i := range t.Members {
		m := &t.Members[i]
		if m.Name == name {
			return m, m.Offset
		}
		if inner := m.Type.Underlying(); m.Name == "" && inner != nil && (inner.Kind == btf.Struct || inner.Kind == btf.Union) {
			if found, off := findMember(inner, name, depth+1); found != nil {
				return found, m.Offset + off
			}
		}
	}
	return nil, 0
}

func encodeMember(dst []byte, m *btf.Member, off uint32, v any) error {
	if m.Bits > 0 {
		return encodeBits(dst, m, off, v)
	}
	start, size := off/8, m.Type.SizeOf()
	if uint64(start)+uint64(size) > uint64(len(dst)) {
		return fmt.Errorf("bytes %d to %d lie outside the %d bytes of the value", start, start+size, len(dst))
	}
	return encodeValue(dst[start:start+size], m.Type, v)
}

func encodeBits(dst []byte, m *btf.Member, off uint32, v any) error {
	n, err := integer(m.Type.Underlying(), v)
	if err != nil {
		return err
	}
	full := new(big.Int).Lsh(big.NewInt(1), uint(m.Bits))
	least := new(big.Int).Neg(new(big.Int).Rsh(full, 1))
	if m.Bits > 64 || n.Cmp(full) >= 0 || n.Cmp(least) < 0 {
		return fmt.Errorf("%v does not fit a bit-field of %d bits", n, m.Bits)
	}
	if n.Sign() < 0 {
		n = full.Add(full, n)
	}
	for i := range m.Bits {
		at := off + i
		if int(at/8) >= len(dst) {
			return fmt.Errorf("bit %d lies outside the %d bytes of the value", at, len(dst))
		}
		dst[at/8] = dst[at/8]&^(1<<(at%8)) | byte(n.Bit(int(i)))<<(at%8)
	}
	return nil
}

// typeName returns a type's name for messages.
func typeName(t *btf.Type) string {
	if t == nil {
		return "value without a type"
	}
	if t.Name != "" && t.Kind != btf.Struct && t.Kind != btf.Union {
		return t.Name
	}
	switch t.Kind {
	case btf.Struct:
		return "struct " + t.Name
	case btf.Union:
		return "union " + t.Name
	case btf.Array:
		return fmt.Sprintf("%s[%d]", typeName(t.Elem), t.Len)
	case btf.Ptr:
		return "pointer"
	}
	if t.Elem != nil {
		return typeName(t.Elem)
	}
	return fmt.Sprintf("type of kind %d", t.Kind)
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return shorten(string(b), 40)
}

// optionalTypeName returns a type's name; "" without a type.
func optionalTypeName(t *btf.Type) string {
	if t == nil {
		return ""
	}
	return typeName(t)
}
