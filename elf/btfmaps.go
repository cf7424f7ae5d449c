package elf

import (
	"cmp"
	debugelf "debug/elf"
	"errors"
	"fmt"
	"slices"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/maps"
)

// A pendingValues is a map whose definition has an initialiser: pointers to
// programs or maps, in the section's bytes from off to end.
type pendingValues struct {
	spec     *maps.Spec
	section  *section
	off, end uint64
}

// readBTFMaps reads the definitions in .maps: variables of anonymous struct
// types whose members' types, not values, hold the attributes (kernel,
// Documentation/bpf/map_hash.rst shows the form; libbpf, bpf_helpers.h,
// __uint, __type, __array).
func (l *loader) readBTFMaps() error {
	for i := range l.sections {
		s := &l.sections[i]
		if s.name != ".maps" || s.typ != debugelf.SHT_PROGBITS || s.size == 0 {
			continue
		}
		if l.types == nil {
			return l.errorf(s.name, "", "maps defined by BTF in an object without a .BTF section")
		}
		types := map[string]*btf.Type{}
		for _, v := range l.types.sections[s.name] {
			types[v.typ.Name] = v.typ
		}
		var defs []mapAt
		for _, sym := range l.mapSymbols(s) {
			v := types[sym.name]
			if v == nil || v.Kind != btf.Var {
				return l.errorf(s.name, sym.name, "BTF describes no such map")
			}
			d, err := l.mapFromBTF(sym.name, v.Elem, false)
			if err != nil {
				return l.errorf(s.name, sym.name, "%w", err)
			}
			size := max(sym.size, uint64(v.Size))
			if size > s.size-sym.value {
				return l.errorf(s.name, sym.name, "bytes %#x to %#x are outside the section's %#x", sym.value, sym.value+size, s.size)
			}
			if d.values >= 0 {
				l.pending = append(l.pending, pendingValues{d.spec, s, sym.value + uint64(d.values), sym.value + size})
			}
			defs = append(defs, mapAt{off: sym.value, size: size, spec: d.spec})
			l.obj.Maps = append(l.obj.Maps, d.spec)
		}
		l.mapsAt[i] = defs
	}
	return nil
}

// A btfMap is a definition: the map, and where its initialiser starts in the
// variable, −1 if it has none.
type btfMap struct {
	spec   *maps.Spec
	values int
}

// mapFromBTF reads the map definition that the struct type t is. inner
// definitions may be neither pinned nor maps of maps.
func (l *loader) mapFromBTF(name string, t *btf.Type, inner bool) (btfMap, error) {
	d := btfMap{&maps.Spec{Name: name}, -1}
	m := d.spec
	t = t.Underlying()
	if t == nil || t.Kind != btf.Struct {
		return d, errors.New("the definition is not a struct")
	}
	var numa bool
	for i := range t.Members {
		f := &t.Members[i]
		var err error
		var u uint64
		switch f.Name {
		case "type":
			u, err = attribute(f.Type)
			m.Type = l.mapType(uint32(u))
		case "key_size":
			u, err = attribute(f.Type)
			m.KeySize, err = sameSize(m.KeySize, u, err)
		case "value_size":
			u, err = attribute(f.Type)
			m.ValueSize, err = sameSize(m.ValueSize, u, err)
		case "max_entries":
			u, err = attribute(f.Type)
			m.MaxEntries = uint32(u)
		case "map_flags":
			u, err = attribute(f.Type)
			m.Flags |= maps.Flags(u)
		case "map_extra":
			m.Extra, err = attribute(f.Type)
		case "numa_node":
			_, err = attribute(f.Type)
			numa = true
		case "key":
			m.Key, err = pointee(f.Type)
			if err == nil {
				m.KeySize, err = sameSize(m.KeySize, uint64(m.Key.Size), nil)
			}
		case "value":
			m.Value, err = pointee(f.Type)
			if err == nil {
				m.ValueSize, err = sameSize(m.ValueSize, uint64(m.Value.Size), nil)
			}
		case "pinning":
			u, err = attribute(f.Type)
			switch {
			case err != nil || u == 0: // LIBBPF_PIN_NONE
			case inner:
				err = errors.New("an inner map cannot be pinned")
			case u == 1: // LIBBPF_PIN_BY_NAME
				m.Pinning = pinDir + name
			default: // other loaders' own, such as cilium's 16
				m.Pinning = pinDir + name
				l.obj.Notes = append(l.obj.Notes, fmt.Sprintf("map %s: asks for pinning %d, which is not libbpf's", name, u))
			}
		case "values":
			if inner {
				err = errors.New("an inner map cannot have initial values")
				break
			}
			d.values = int(f.Offset / 8)
			err = l.valuesFromBTF(m, f.Type)
		case "id", "inner_id", "inner_map_idx": // eBPF for Windows
			_, err = attribute(f.Type)
		default:
			err = errors.New("unknown attribute")
		}
		if err != nil {
			return d, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if m.Type == 0 {
		return d, errors.New("no type")
	}
	if numa {
		m.Flags |= maps.NUMANode
	}
	if inner && isMapOfMaps(m.Type) {
		return d, errors.New("an inner map cannot hold maps")
	}
	return d, nil
}

// valuesFromBTF reads what a "values" member says of the elements: pointers
// to maps of one definition, or to programs.
func (l *loader) valuesFromBTF(m *maps.Spec, t *btf.Type) error {
	t = t.Underlying()
	if t == nil || t.Kind != btf.Array {
		return errors.New("not an array")
	}
	e := t.Elem.Underlying()
	if e == nil || e.Kind != btf.Ptr {
		return errors.New("not an array of pointers")
	}
	if m.ValueSize == 0 {
		m.ValueSize = 4
	} else if m.ValueSize != 4 {
		return fmt.Errorf("the map's values have %d bytes, not 4", m.ValueSize)
	}
	switch e = e.Elem.Underlying(); {
	case e == nil:
		return errors.New("pointers to nothing")
	case e.Kind == btf.Struct:
		in, err := l.mapFromBTF(m.Name+".inner", e, true)
		if err != nil {
			return fmt.Errorf("inner map: %w", err)
		}
		m.Inner = in.spec
	case e.Kind == btf.FuncProto:
	default:
		return errors.New("pointers to neither maps nor programs")
	}
	return nil
}

// attribute returns the number n of __uint(name, n), which is int (*name)[n];
// of __ulong(name, n), an anonymous enum's value.
func attribute(t *btf.Type) (uint64, error) {
	switch t = t.Underlying(); {
	case t == nil:
	case t.Kind == btf.Ptr:
		if a := t.Elem.Underlying(); a != nil && a.Kind == btf.Array {
			return uint64(a.Len), nil
		}
	case (t.Kind == btf.Enum || t.Kind == btf.Enum64) && len(t.Values) > 0:
		return t.Values[0].Value, nil
	}
	return 0, errors.New("not made by __uint")
}

// pointee returns T of __type(name, T), which is T *name.
func pointee(t *btf.Type) (*btf.Type, error) {
	if t = t.Underlying(); t == nil || t.Kind != btf.Ptr {
		return nil, errors.New("not made by __type")
	}
	return t.Elem, nil
}

// sameSize returns size if it does not contradict old, a size given before.
func sameSize(old uint32, size uint64, err error) (uint32, error) {
	if err != nil {
		return old, err
	}
	if old != 0 && uint64(old) != size {
		return old, fmt.Errorf("%d bytes, but %d elsewhere", size, old)
	}
	return uint32(size), nil
}

// fillMaps reads the initialisers of maps of maps and program arrays: the
// element's index is the key, a relocation its value.
func (l *loader) fillMaps() error {
	for _, p := range l.pending {
		rs := l.relocs[p.section.index]
		i, _ := slices.BinarySearchFunc(rs, p.off, func(r relocation, off uint64) int { return cmp.Compare(r.off, off) })
		for ; i < len(rs) && rs[i].off < p.end; i++ {
			entry, err := l.initialValue(p, &rs[i])
			if err != nil {
				return l.errorf(p.section.name, p.spec.Name, "initial value at offset %#x: %w", rs[i].off-p.off, err)
			}
			p.spec.Contents = append(p.spec.Contents, entry)
		}
	}
	return nil
}

func (l *loader) initialValue(p pendingValues, r *relocation) (maps.Entry, error) {
	var e maps.Entry
	if (r.off-p.off)%8 != 0 {
		return e, errors.New("not a whole pointer")
	}
	if p.spec.KeySize != 4 {
		return e, fmt.Errorf("keys have %d bytes, not 4", p.spec.KeySize)
	}
	e.Key = make([]byte, 4)
	if err := putUint(e.Key, (r.off-p.off)/8); err != nil {
		return e, err
	}
	sym := &l.symbols[r.sym]
	if sym.section == 0 || int(sym.section) >= len(l.sections) {
		return e, fmt.Errorf("%s is not defined in this object", sym.name)
	}
	off := l.dataAddend(p.section, r) + sym.value
	target := &l.sections[sym.section]
	if p.spec.Inner != nil {
		m := l.findMap(target.index, off)
		if m == nil {
			return e, fmt.Errorf("%s is not a map", sym.name)
		}
		e.Map = m.spec
		return e, nil
	}
	f := l.functionAt(target.index, off)
	if f == nil {
		return e, fmt.Errorf("%s is not a program", sym.name)
	}
	e.Program = f.fn.Name
	return e, nil
}
