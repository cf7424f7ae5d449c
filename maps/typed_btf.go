package maps

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/skepvm/skep/btf"
)

// A difference is why a Go type does not stand for a C type.
type difference struct {
	at  uint32 // bits from the start of the struct in which they differ
	msg string
}

func (d *difference) Error() string { return d.msg }

func differ(at uint32, format string, args ...any) *difference {
	return &difference{at, fmt.Sprintf(format, args...)}
}

// maxNesting bounds how deep types are compared; C nests far less deeply.
const maxNesting = 64

// compare returns the first difference between Go type g, called path, and C
// type c, or nil.
func compare(path string, g reflect.Type, c *btf.Type, depth int) *difference {
	u := underlying(c)
	if u == nil || depth > maxNesting {
		return differ(0, "%s stands for a C type that has no values", path)
	}
	if g.Kind() == reflect.Array && g.Elem().Kind() == reflect.Uint8 && g.Size() == uintptr(u.SizeOf()) {
		return nil
	}
	isStruct := u.Kind == btf.Struct || u.Kind == btf.Union || u.Kind == btf.Datasec
	switch {
	case g.Kind() == reflect.Struct && isStruct:
		return compareStruct(path, g, u, depth)
	case g.Kind() == reflect.Struct: // a struct of one field may stand for what is none
		if f := onlyField(g); f != nil {
			return compare(path+"."+f.Name, f.Type, u, depth+1)
		}
	case isStruct && len(u.Members) == 1 && u.Members[0].Bits == 0:
		return compare(path, g, u.Members[0].Type, depth+1)
	case g.Kind() == reflect.Array && u.Kind == btf.Array:
		if g.Len() != int(u.Len) {
			return differ(0, "%s has %d elements, in C %d", path, g.Len(), u.Len)
		}
		if g.Len() == 0 {
			return nil
		}
		return compare(path+"[]", g.Elem(), u.Elem, depth+1)
	case sameScalar(g, u):
		if g.Size() != uintptr(u.SizeOf()) {
			return differ(0, "%s has %d bytes, in C %s has %d", path, g.Size(), describe(c), u.SizeOf())
		}
		return nil
	}
	return differ(0, "%s is of type %v, in C it is %s", path, g, describe(c))
}

// underlying returns t without names, qualifiers and the variable it is of.
func underlying(t *btf.Type) *btf.Type {
	if u := t.Underlying(); u == nil || u.Kind != btf.Var {
		return u
	}
	return t.Underlying().Elem.Underlying()
}

// sameScalar reports whether g, whatever its size, can hold what u is.
func sameScalar(g reflect.Type, u *btf.Type) bool {
	switch g.Kind() {
	case reflect.Bool:
		return u.Kind == btf.Int
	case reflect.Float32, reflect.Float64:
		return u.Kind == btf.Float
	case reflect.Array, reflect.Struct:
		return false
	}
	switch u.Kind {
	case btf.Int, btf.Enum, btf.Enum64, btf.Ptr:
		return true
	}
	return false
}

// onlyField returns the one field of g that is not blank, or nil.
func onlyField(g reflect.Type) (only *reflect.StructField) {
	for i := range g.NumField() {
		f := g.Field(i)
		if f.Name == "_" {
			continue
		}
		if only != nil {
			return nil
		}
		only = &f
	}
	return only
}

// describe names a C type for a message.
func describe(t *btf.Type) string {
	switch {
	case t == nil || t.Kind == btf.Void:
		return "void"
	case t.Kind == btf.Struct && t.Name != "":
		return "struct " + t.Name
	case t.Kind == btf.Struct:
		return "a struct"
	case t.Kind == btf.Union && t.Name != "":
		return "union " + t.Name
	case t.Kind == btf.Union:
		return "a union"
	case t.Kind == btf.Array:
		return fmt.Sprintf("an array of %d", t.Len)
	case t.Kind == btf.Ptr:
		return "a pointer"
	case t.Name != "":
		return t.Name
	case t.Elem != nil:
		return describe(t.Elem)
	}
	return fmt.Sprintf("a type of kind %d", t.Kind)
}

// A cMember is a member of a C struct, or of an anonymous one in it.
type cMember struct {
	*btf.Member
	at       uint32 // bits from the start of the outermost
	optional bool   // another member of a union may be there in its place
}

// cMembers returns the members of u, which lies at bit at.
func cMembers(u *btf.Type, at uint32, optional bool, depth int) (list []cMember) {
	optional = optional || u.Kind == btf.Union
	for i := range u.Members {
		m := &u.Members[i]
		inner := m.Type.Underlying()
		nests := inner != nil && (inner.Kind == btf.Struct || inner.Kind == btf.Union)
		switch {
		case m.Name != "":
			list = append(list, cMember{m, at + m.Offset, optional})
		case nests && depth < maxNesting:
			list = append(list, cMembers(inner, at+m.Offset, optional, depth+1)...)
		}
	}
	return list
}

// A goField is a field of a Go struct, or of one embedded in it.
type goField struct {
	reflect.StructField
	at   uint32 // bits from the start of the outermost
	name string // the member it asks for, as plain says
}

// goFields returns the fields of g, which lies at byte off, apart from the
// blank ones, whose bytes come in a list of their own.
func goFields(g reflect.Type, off uintptr) (list []goField, blank []span) {
	for i := range g.NumField() {
		f := g.Field(i)
		from := off + f.Offset
		tag, _, _ := strings.Cut(f.Tag.Get("bpf"), ",")
		switch {
		case f.Name == "_":
			blank = appendSpan(blank, span{int(from), int(from + f.Type.Size())})
		case f.Anonymous && f.Type.Kind() == reflect.Struct && tag == "":
			l, b := goFields(f.Type, from)
			list, blank = append(list, l...), append(blank, b...)
		case tag != "":
			list = append(list, goField{f, uint32(from * 8), tag})
		default:
			list = append(list, goField{f, uint32(from * 8), plain(f.Name)})
		}
	}
	return list, blank
}

// plain returns a name as names in Go and in C are compared.
func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// compareStruct returns the difference with the lowest offset.
func compareStruct(path string, g reflect.Type, u *btf.Type, depth int) *difference {
	members := cMembers(u, 0, false, 0)
	fields, blank := goFields(g, 0)
	var first *difference
	note := func(d *difference) {
		if d != nil && (first == nil || d.at < first.at) {
			first = d
		}
	}
	used := make([]bool, len(members))
	for _, f := range fields {
		i := slices.IndexFunc(members, func(m cMember) bool { return m.Name == f.name || plain(m.Name) == f.name })
		if i < 0 {
			note(differ(f.at, "%s.%s has no member in %s; its members are %s", path, f.Name, describe(u), memberNames(members)))
			continue
		}
		used[i] = true
		note(compareField(path+"."+f.Name, f, members[i], u, depth))
	}
	for i, m := range members {
		if !used[i] && !m.optional && m.Bits == 0 && !covers(blank, m) {
			note(differ(m.at, "%s has no field for member %s of %s, at offset %d", path, m.Name, describe(u), m.at/8))
		}
	}
	if first == nil && g.Size() != uintptr(u.SizeOf()) {
		return differ(0, "%s has %d bytes, in C %s has %d", path, g.Size(), describe(u), u.SizeOf())
	}
	return first
}

func compareField(path string, f goField, m cMember, u *btf.Type, depth int) *difference {
	switch {
	case m.Bits != 0:
		return differ(m.at, "%s: member %s of %s is a bit-field: leave its bytes to a blank field", path, m.Name, describe(u))
	case f.at != m.at:
		return differ(min(f.at, m.at), "%s is at offset %d, member %s of %s at %d", path, f.at/8, m.Name, describe(u), m.at/8)
	}
	if d := compare(path, f.Type, m.Type, depth+1); d != nil {
		return differ(m.at, "%s", d.msg)
	}
	return nil
}

// covers reports whether blank fields take all bytes of m.
func covers(blank []span, m cMember) bool {
	from, to := int(m.at/8), int(m.at/8+m.Type.SizeOf())
	for _, s := range blank {
		if s.from <= from && from < s.to {
			from = min(s.to, to)
		}
	}
	return from == to
}

func memberNames(members []cMember) string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.Name
	}
	if len(names) > 16 {
		names = append(names[:16], "…")
	}
	return strings.Join(names, ", ")
}
