package verifier

import (
	"math"
	"slices"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/maps"
)

// Maps go by number: those of the program by their index there, and after them
// the templates of inner maps. Of a template only the sizes and the type hold
// for the maps that programs meet: contents and number of entries do not.

// A mapInfo is what the verifier needs of a map besides its spec.
type mapInfo struct {
	spec    *maps.Spec
	inner   int32 // number of the template; −1: none
	special []special
}

// A special is a field of a map value that only helpers may touch (kernel,
// struct btf_record).
type special struct {
	kind      string // name of the C type; "kptr" for pointers the value owns
	off, size uint32
}

// specialTypes are the C types that only helpers may touch.
var specialTypes = []string{
	"bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer", "bpf_wq", "bpf_task_work",
	"bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount",
}

// kptrTags are the type tags of pointers that a map value owns.
var kptrTags = []string{"kptr", "kptr_untrusted", "percpu_kptr", "uptr"}

// maxNesting bounds the nesting of templates and of C types that is looked at.
const maxNesting = 16

// newMaps numbers the maps of the program and their templates.
func (v *verifier) newMaps() {
	for _, s := range v.p.Maps {
		v.maps = append(v.maps, mapInfo{spec: s, inner: -1, special: specialFields(s.Value)})
	}
	for i := 0; i < len(v.maps); i++ {
		s := v.maps[i].spec
		if s.Inner == nil || s.Type != maps.ArrayOfMaps && s.Type != maps.HashOfMaps {
			continue
		}
		if i >= len(v.p.Maps) {
			continue // a template of maps of maps: the kernel has none, nor have we
		}
		v.maps[i].inner = int32(len(v.maps))
		v.maps = append(v.maps, mapInfo{spec: s.Inner, inner: -1, special: specialFields(s.Inner.Value)})
	}
	for i := range v.maps {
		v.maxKey = max(v.maxKey, int(min(v.maps[i].spec.KeySize, math.MaxInt32)))
		v.maxValue = max(v.maxValue, int(min(v.maps[i].spec.ValueSize, math.MaxInt32)))
	}
}

// spec returns the description of map i.
func (v *verifier) spec(i int32) *maps.Spec { return v.maps[i].spec }

// isTemplate reports whether i stands for any inner map that fits it.
func (v *verifier) isTemplate(i int32) bool { return int(i) >= len(v.p.Maps) }

// ownMap returns i if it is a map of the program: one map.
func (v *verifier) ownMap(i int32) int32 {
	if v.isTemplate(i) {
		return several
	}
	return i
}

// special returns the field of map i's value that overlaps [lo, hi), or nil.
func (v *verifier) special(i int32, lo, hi int64) *special {
	for j := range v.maps[i].special {
		if f := &v.maps[i].special[j]; lo < int64(f.off)+int64(f.size) && hi > int64(f.off) {
			return f
		}
	}
	return nil
}

// specialAt returns the field of the C type kind that begins at off.
func (v *verifier) specialAt(i int32, kind string, off int64) *special {
	for j := range v.maps[i].special {
		if f := &v.maps[i].special[j]; f.kind == kind && int64(f.off) == off {
			return f
		}
	}
	return nil
}

// specialFields finds the special fields of a value of type t, in nested
// structs, arrays and data sections too.
func specialFields(t *btf.Type) (fields []special) {
	visits := 0
	var visit func(t *btf.Type, off uint32, depth int)
	visit = func(t *btf.Type, off uint32, depth int) {
		tag := tagOf(t)
		t = t.Underlying()
		if visits++; t == nil || depth > maxNesting || visits > maxVisits {
			return
		}
		switch t.Kind {
		case btf.Ptr:
			if tag == "" {
				tag = tagOf(t.Elem)
			}
			if slices.Contains(kptrTags, tag) {
				fields = append(fields, special{"kptr", off, 8})
			}
		case btf.Struct, btf.Union:
			if slices.Contains(specialTypes, t.Name) {
				fields = append(fields, special{t.Name, off, t.Size})
				return
			}
			for _, m := range t.Members {
				visit(m.Type, off+m.Offset/8, depth+1)
			}
		case btf.Datasec:
			for _, m := range t.Members {
				visit(m.Type, m.Offset/8, depth+1)
			}
		case btf.Var:
			visit(t.Elem, off, depth+1)
		case btf.Array:
			e := t.Elem.Underlying()
			if e == nil || t.Len == 0 {
				return
			}
			before := len(fields)
			visit(t.Elem, off, depth+1)
			first := slices.Clone(fields[before:])
			if len(first) == 0 {
				return
			}
			stride := e.Size
			for i := uint32(1); i < t.Len && len(fields) < maxFields; i++ {
				for _, f := range first {
					f.off += i * stride
					fields = append(fields, f)
				}
			}
			if len(fields) >= maxFields { // more than a value can have: all of the array is special
				fields = append(fields[:before], special{"array of " + first[0].kind, off, t.Len * e.Size})
			}
		}
	}
	if t != nil {
		visit(t, 0, 0)
	}
	if visits > maxVisits { // nobody's value: nothing in it may be touched
		return []special{{"type of more than 65536 parts", 0, math.MaxUint32}}
	}
	return fields
}

// maxFields is how many special fields are told apart (kernel,
// BTF_FIELDS_MAX is 11).
const maxFields = 256

// maxVisits bounds the work on one C type.
const maxVisits = 1 << 16

// tagOf returns the type tag on t, past typedefs and qualifiers.
func tagOf(t *btf.Type) string {
	for t != nil {
		switch t.Kind {
		case btf.TypeTag:
			return t.Name
		case btf.Typedef, btf.Volatile, btf.Const, btf.Restrict:
			t = t.Elem
		default:
			return ""
		}
	}
	return ""
}
