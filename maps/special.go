package maps

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
)

// A Special is a field of a value that programs reach through helpers alone
// (kernel, struct btf_record): a spin lock, a timer, an owned pointer. Kind is
// the name of the C type; "kptr" for pointers that the value owns. Copies of
// values by Update and Lookup leave such fields out: they keep what they hold,
// and read as zeros.
type Special = mem.Special

// specialTypes are the C types that only helpers may touch.
var specialTypes = []string{
	"bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer", "bpf_wq", "bpf_task_work",
	"bpf_list_head", "bpf_list_node", "bpf_rb_root", "bpf_rb_node", "bpf_refcount",
}

// kptrTags are the type tags of pointers that a map value owns.
var kptrTags = []string{"kptr", "kptr_untrusted", "percpu_kptr", "uptr"}

// maxTypeDepth bounds the nesting of C types that is looked at.
const maxTypeDepth = 16

// SpecialFields finds the special fields of a value of type t, in nested
// structs, arrays and data sections too.
func SpecialFields(t *btf.Type) (fields []Special) {
	visits := 0
	var visit func(t *btf.Type, off uint32, depth int)
	visit = func(t *btf.Type, off uint32, depth int) {
		tag := typeTag(t)
		t = t.Underlying()
		if visits++; t == nil || depth > maxTypeDepth || visits > maxVisits {
			return
		}
		switch t.Kind {
		case btf.Ptr:
			if tag == "" {
				tag = typeTag(t.Elem)
			}
			if slices.Contains(kptrTags, tag) {
				fields = append(fields, Special{Kind: "kptr", Off: off, Size: 8})
			}
		case btf.Struct, btf.Union:
			if slices.Contains(specialTypes, t.Name) {
				fields = append(fields, Special{Kind: t.Name, Off: off, Size: t.Size})
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
					f.Off += i * stride
					fields = append(fields, f)
				}
			}
			if len(fields) >= maxFields { // more than a value can have: all of the array is special
				fields = append(fields[:before], Special{Kind: "array of " + first[0].Kind, Off: off, Size: t.Len * e.Size})
			}
		}
	}
	if t != nil {
		visit(t, 0, 0)
	}
	if visits > maxVisits { // nobody's value: nothing in it may be touched
		return []Special{{Kind: "type of more than 65536 parts", Size: math.MaxUint32}}
	}
	return fields
}

// maxFields is how many special fields are told apart (kernel,
// BTF_FIELDS_MAX is 11).
const maxFields = 256

// maxVisits bounds the work on one C type.
const maxVisits = 1 << 16

// typeTag returns the type tag on t, past typedefs and qualifiers.
func typeTag(t *btf.Type) string {
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

// spinLock and timer are the kinds that maps act on.
const (
	spinLock = "bpf_spin_lock"
	timer    = "bpf_timer"
)

// lockSize and timerSize are the sizes of struct bpf_spin_lock and struct
// bpf_timer (include/uapi/linux/bpf.h).
const (
	lockSize  = 4
	timerSize = 16
)

// specialIn lists the map types that values with fields of a kind may lie in
// (kernel, map_check_btf); kinds that are not listed can be in none here.
var specialIn = map[string][]Type{
	spinLock:        {Hash, Array, CgroupStorage, SKStorage, InodeStorage, TaskStorage, CgrpStorage},
	timer:           {Hash, LRUHash, Array},
	"bpf_wq":        {Hash, LRUHash, Array},
	"bpf_list_head": {Hash, LRUHash, Array},
	"bpf_rb_root":   {Hash, LRUHash, Array},
}

// checkSpecial is what map_check_btf (kernel/bpf/syscall.c) checks of the fields
// that it knows, and what the kernel finds wrong with their types before.
func checkSpecial(s *Spec) error {
	locks := 0
	for _, f := range SpecialOf(s) {
		if f.Kind == spinLock {
			locks++
		}
		types, ok := specialIn[f.Kind]
		switch {
		case !ok:
		case f.Kind == spinLock && (f.Size != lockSize || f.Off%lockSize != 0), f.Kind == timer && (f.Size != timerSize || f.Off%8 != 0):
			return refuse(s, errno.EINVAL, "a %s of %d bytes at offset %d", f.Kind, f.Size, f.Off)
		case locks > 1:
			return refuse(s, errno.E2BIG, "values have more than one %s", f.Kind)
		case s.Flags&(ReadOnlyProg|WriteOnlyProg) != 0:
			return refuse(s, errno.EACCES, "flags %v are not for values with a %s", s.Flags&(ReadOnlyProg|WriteOnlyProg), f.Kind)
		case !slices.Contains(types, s.Type):
			return refuse(s, errno.EOPNOTSUPP, "values of type %v cannot have a %s", s.Type, f.Kind)
		}
	}
	return nil
}

// SpecialOf returns the special fields of a value of s, in order, as far as they
// lie in it.
func SpecialOf(s *Spec) []Special {
	fields := slices.DeleteFunc(SpecialFields(s.Value), func(f Special) bool { return f.Off >= s.ValueSize })
	for i := range fields {
		fields[i].Size = min(fields[i].Size, s.ValueSize-fields[i].Off)
	}
	slices.SortStableFunc(fields, func(a, b Special) int { return cmp.Compare(a.Off, b.Off) })
	return fields
}

// SameSpecial reports why a map that got describes may not stand for one that
// want describes: programs proven against want take other bytes of its values
// for plain memory.
func SameSpecial(got, want *Spec) error {
	a, b := SpecialOf(got), SpecialOf(want)
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a) || i < len(b) && a[i] != b[i]:
			return fmt.Errorf("the value has no %s of %d bytes at offset %d", b[i].Kind, b[i].Size, b[i].Off)
		case i >= len(b):
			return fmt.Errorf("the value has a %s at offset %d, of which the program knows nothing", a[i].Kind, a[i].Off)
		}
	}
	return nil
}

// LookupLocked is m.Lookup under the value's spin lock (BPF_F_LOCK): nobody who
// takes the lock to change the value is half way. EINVAL: it has none.
func LookupLocked(m Map, key, value []byte) error {
	l, ok := m.(interface {
		lookup(key, value []byte, flags UpdateFlags) error
		mayRead() error
	})
	if !ok {
		if c, ok := m.(interface{ mayRead() error }); ok && c.mayRead() != nil {
			return c.mayRead()
		}
		return fmt.Errorf("map %q: type %v has no spin locks: %w", m.Spec().Name, m.Spec().Type, errno.EINVAL)
	}
	return l.lookup(key, value, Lock)
}
