package prog

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/maps"
)

// Value returns a copy of the variable's initial bytes.
func (v *Variable) Value() []byte {
	out := make([]byte, v.Size)
	if len(v.Map.Contents) > 0 {
		if b := v.Map.Contents[0].Value; uint64(v.Off) < uint64(len(b)) {
			copy(out, b[v.Off:])
		}
	}
	return out
}

// Set changes the variable's initial value, of constants too, in every
// collection that is loaded afterwards. x may be
//
//   - an integer of any Go type that the variable can hold, or a bool;
//   - a string, which must leave room for its NUL, or a []byte of exactly the
//     variable's size;
//   - anything else of fixed size, such as an array or a struct, that
//     encoding/binary encodes to exactly the variable's size, little-endian.
func (v *Variable) Set(x any) error {
	b, err := v.encode(x)
	if err != nil {
		return fmt.Errorf("variable %s: %w", v.Name, err)
	}
	m := v.Map
	if uint64(v.Off)+uint64(v.Size) > uint64(m.ValueSize) {
		return fmt.Errorf("variable %s: %d bytes at offset %d of map %s, whose value has %d", v.Name, v.Size, v.Off, m.Name, m.ValueSize)
	}
	value := make([]byte, m.ValueSize)
	if len(m.Contents) == 0 {
		m.Contents = []maps.Entry{{Key: make([]byte, m.KeySize)}}
	}
	copy(value, m.Contents[0].Value)
	copy(value[v.Off:], b)
	m.Contents[0].Value = value
	return nil
}

// encode returns x as the variable's bytes.
func (v *Variable) encode(x any) ([]byte, error) {
	switch r := reflect.ValueOf(x); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.encodeInt(uint64(r.Int()), r.Int() < 0)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return v.encodeInt(r.Uint(), false)
	case reflect.Bool:
		n := uint64(0)
		if r.Bool() {
			n = 1
		}
		return v.encodeInt(n, false)
	case reflect.String:
		if uint64(r.Len()) >= uint64(v.Size) {
			return nil, fmt.Errorf("string of %d bytes and a NUL in %d bytes", r.Len(), v.Size)
		}
		b := make([]byte, v.Size)
		copy(b, r.String())
		return b, nil
	}
	size := binary.Size(x)
	if size < 0 {
		return nil, fmt.Errorf("values of type %T have no fixed size", x)
	}
	if uint64(size) != uint64(v.Size) {
		return nil, fmt.Errorf("%T has %d bytes, the variable %d", x, size, v.Size)
	}
	b := make([]byte, size)
	if _, err := binary.Encode(b, binary.LittleEndian, x); err != nil {
		return nil, err
	}
	return b, nil
}

// encodeInt returns n, sign-extended to 64 bits if negative, in the variable's
// width. Without BTF to say whether the variable has a sign, either will do.
func (v *Variable) encodeInt(n uint64, negative bool) ([]byte, error) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	switch v.Size {
	case 1, 2, 4, 8:
	default:
		return nil, fmt.Errorf("a number for %d bytes", v.Size)
	}
	signed, unsigned := true, true
	if t := v.Type.Underlying(); t != nil {
		switch t.Kind {
		case btf.Int, btf.Enum, btf.Enum64:
			signed, unsigned = t.Signed, !t.Signed
		case btf.Ptr:
			signed = false
		default:
			return nil, fmt.Errorf("a number for a variable of type %s", t.Name)
		}
		if t.Bool && n > 1 {
			return nil, fmt.Errorf("%d is no bool", n)
		}
	}
	bits := 8 * v.Size
	fits := unsigned && !negative && n <= math.MaxUint64>>(64-bits) ||
		signed && negative && int64(n) >= -1<<(bits-1) ||
		signed && !negative && n <= math.MaxInt64>>(64-bits)
	if !fits {
		if negative {
			return nil, fmt.Errorf("%d does not fit %s", int64(n), width(bits, signed, unsigned))
		}
		return nil, fmt.Errorf("%d does not fit %s", n, width(bits, signed, unsigned))
	}
	return b[:v.Size], nil
}

// width describes an integer type.
func width(bits uint32, signed, unsigned bool) string {
	switch {
	case !unsigned:
		return fmt.Sprintf("%d bits with a sign", bits)
	case !signed:
		return fmt.Sprintf("%d bits without a sign", bits)
	}
	return fmt.Sprintf("%d bits", bits)
}
