package maps

import (
	"fmt"
	"reflect"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// A form says what the bytes of a Go type are to a map.
type form struct {
	size   int
	blank  []span // of no field: padding, and fields called _
	bools  []span // of bools
	perCPU bool   // the Go value is a slice of these, one for each CPU
}

// A span is the bytes from up to, but not including, to.
type span struct{ from, to int }

// formOf returns the form of t, which is to stand for values of type c, or of
// any type if c is nil, that have size bytes.
func formOf(t reflect.Type, c *btf.Type, size int) (form, error) {
	f := form{size: int(t.Size())}
	if err := f.add(t.String(), t, 0); err != nil {
		return f, err
	}
	if c != nil && int(c.SizeOf()) == size {
		if d := compare(t.String(), t, c, 0); d != nil {
			return f, fmt.Errorf("%w: %w", d, errno.EINVAL)
		}
	}
	if f.size != size {
		return f, fmt.Errorf("%v has %d bytes, the map has %d: %w", t, f.size, size, errno.EINVAL)
	}
	return f, nil
}

// add notes what is special about t at byte off. path names it.
func (f *form) add(path string, t reflect.Type, off int) error {
	switch t.Kind() {
	case reflect.Bool:
		f.bools = appendSpan(f.bools, span{off, off + 1})
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
	case reflect.Array:
		return f.addArray(path, t, off)
	case reflect.Struct:
		return f.addStruct(path, t, off)
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		return fmt.Errorf("%s is of type %v, whose size depends on the host: use %v32 or %v64: %w",
			path, t, integerName(t), integerName(t), errno.EINVAL)
	default:
		return fmt.Errorf("%s is of type %v, which no map can hold: %w", path, t, errno.EINVAL)
	}
	return nil
}

func integerName(t reflect.Type) string {
	if t.Kind() == reflect.Int {
		return "int"
	}
	return "uint"
}

func (f *form) addArray(path string, t reflect.Type, off int) error {
	var one form
	if err := one.add(path+"[]", t.Elem(), 0); err != nil {
		return err
	}
	if one.blank == nil && one.bools == nil {
		return nil
	}
	size := int(t.Elem().Size())
	for i := range t.Len() {
		for _, s := range one.blank {
			f.blank = appendSpan(f.blank, span{off + i*size + s.from, off + i*size + s.to})
		}
		for _, s := range one.bools {
			f.bools = appendSpan(f.bools, span{off + i*size + s.from, off + i*size + s.to})
		}
	}
	return nil
}

func (f *form) addStruct(path string, t reflect.Type, off int) error {
	end := 0
	for i := range t.NumField() {
		field := t.Field(i)
		from, to := int(field.Offset), int(field.Offset+field.Type.Size())
		if field.Name == "_" {
			continue // padding too: end stays
		}
		f.blank = appendSpan(f.blank, span{off + end, off + from})
		if err := f.add(path+"."+field.Name, field.Type, off+from); err != nil {
			return err
		}
		end = to
	}
	f.blank = appendSpan(f.blank, span{off + end, off + int(t.Size())})
	return nil
}

// appendSpan appends s, which begins where the others end or later.
func appendSpan(list []span, s span) []span {
	if s.from >= s.to {
		return list
	}
	if n := len(list); n > 0 && list[n-1].to == s.from {
		list[n-1].to = s.to
		return list
	}
	return append(list, s)
}

// plain reports whether any bytes are a value.
func (f *form) plain() bool { return f.blank == nil && f.bools == nil && !f.perCPU }

// erase clears the bytes of b that belong to no field.
func (f *form) erase(b []byte) {
	for _, s := range f.blank {
		clear(b[s.from:s.to])
	}
}

// repair makes Go bools of the bytes that are to be bools: Go knows 0 and 1.
func (f *form) repair(b []byte) {
	for _, s := range f.bools {
		for i := s.from; i < s.to; i++ {
			if b[i] > 1 {
				b[i] = 1
			}
		}
	}
}

// readValue copies b, a value as Map gives it, to *value.
func readValue[V any](f *form, value *V, b []byte) {
	if !f.perCPU {
		v := mem.View(value)
		copy(v, b)
		f.repair(v)
		return
	}
	slice := reflect.ValueOf(mem.Borrow(value)).Elem()
	n := NumCPU()
	if slice.Cap() < n {
		slice.Set(reflect.MakeSlice(slice.Type(), n, n))
	}
	slice.SetLen(n)
	elems := mem.Elements(slice)
	for cpu := range n {
		elem := elems[cpu*f.size:][:f.size]
		copy(elem, b[cpu*roundUp8(f.size):])
		f.repair(elem)
	}
}

// writeValue copies *value to b, a value as Map takes it.
func writeValue[V any](f *form, b []byte, value *V) error {
	if !f.perCPU {
		copy(b, mem.View(value))
		f.erase(b)
		return nil
	}
	slice := reflect.ValueOf(mem.Borrow(value)).Elem()
	if slice.Len() > NumCPU() {
		return fmt.Errorf("values for %d CPUs, of which there are %d: %w", slice.Len(), NumCPU(), errno.EINVAL)
	}
	clear(b)
	elems := mem.Elements(slice)
	for cpu := range slice.Len() {
		to := b[cpu*roundUp8(f.size):][:f.size]
		copy(to, elems[cpu*f.size:])
		f.erase(to)
	}
	return nil
}
