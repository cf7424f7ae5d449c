package elf

import (
	"cmp"
	debugelf "debug/elf"
	"fmt"
	"slices"
	"strings"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// isData reports whether a section holds global variables: .data, .rodata and
// .bss, alone or followed by a dot and more.
func (s *section) isData() bool {
	if s.typ != debugelf.SHT_PROGBITS && s.typ != debugelf.SHT_NOBITS || s.isCode() {
		return false
	}
	for _, base := range []string{".data", ".rodata", ".bss"} {
		if rest, ok := strings.CutPrefix(s.name, base); ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}

// readData makes an array map of one element from each data section, and lists
// its variables.
func (l *loader) readData() error {
	var total uint64
	bySection := map[int][]*symbol{}
	for i := range l.symbols {
		sym := &l.symbols[i]
		if int(sym.section) < len(l.sections) && l.sections[sym.section].isData() {
			bySection[int(sym.section)] = append(bySection[int(sym.section)], sym)
		}
	}
	for i := range l.sections {
		s := &l.sections[i]
		if !s.isData() || s.size == 0 {
			continue
		}
		if s.size > maxData || total+s.size > maxData {
			return l.errorf(s.name, "", "%d bytes of data; at most %d in all", s.size, maxData)
		}
		total += s.size
		value := make([]byte, s.size)
		copy(value, s.data)
		spec := dataMap(s.name, value)
		l.dataAt[i] = spec
		l.obj.Maps = append(l.obj.Maps, spec)
		if err := l.readVariables(s, spec, bySection[i]); err != nil {
			return err
		}
	}
	return nil
}

// dataMap returns the map of a data section called name.
func dataMap(name string, value []byte) *maps.Spec {
	m := &maps.Spec{
		Name: name, Type: maps.Array, KeySize: 4, ValueSize: uint32(len(value)), MaxEntries: 1,
		Contents: []maps.Entry{{Key: make([]byte, 4), Value: value}},
	}
	if strings.HasPrefix(name, ".rodata") || name == ".kconfig" {
		m.Flags, m.Frozen = maps.ReadOnlyProg, true
	}
	return m
}

// readVariables lists the variables of a data section, in order of address.
func (l *loader) readVariables(s *section, m *maps.Spec, syms []*symbol) error {
	var types map[string]*btf.Type
	if l.types != nil {
		vars := l.types.sections[s.name]
		types = make(map[string]*btf.Type, len(vars))
		for _, v := range vars {
			types[v.typ.Name] = v.typ
		}
	}
	slices.SortStableFunc(syms, func(a, b *symbol) int { return cmp.Compare(a.value, b.value) })
	sec := &btf.Type{Kind: btf.Datasec, Name: s.name, Size: uint32(s.size)}
	add := func(name string, off, size uint64, t *btf.Type) {
		v := &prog.Variable{Name: name, Map: m, Off: uint32(off), Size: uint32(size), ReadOnly: m.Frozen}
		if t != nil && uint64(t.Size) <= size {
			v.Type = t.Elem
			sec.Members = append(sec.Members, btf.Member{Name: name, Type: t, Offset: uint32(off) * 8})
		}
		l.obj.Variables = append(l.obj.Variables, v)
	}
	for _, sym := range syms {
		// Compiler-made symbols start with a dot; C names do not.
		if sym.typ != debugelf.STT_OBJECT && sym.typ != debugelf.STT_NOTYPE || sym.name == "" || sym.name[0] == '.' {
			continue
		}
		t := types[sym.name]
		size := sym.size
		if size == 0 && t != nil {
			size = uint64(t.Size)
		}
		if sym.value > s.size || size > s.size-sym.value {
			return l.errorf(s.name, sym.name, "bytes %#x to %#x are outside the section's %#x", sym.value, sym.value+size, s.size)
		}
		if size == 0 {
			continue
		}
		add(sym.name, sym.value, size, t)
		delete(types, sym.name)
	}
	// Static variables may have lost their symbols; their offsets in BTF are
	// right, while those of others are filled in by linkers.
	if l.types != nil {
		for _, v := range l.types.sections[s.name] {
			if types[v.typ.Name] == v.typ && !v.typ.Global && v.size > 0 && uint64(v.off)+uint64(v.size) <= s.size {
				add(v.typ.Name, uint64(v.off), uint64(v.size), v.typ)
			}
		}
	}
	if len(sec.Members) > 0 {
		m.Value = sec
	}
	if n := len(l.relocs[s.index]); n > 0 {
		l.obj.Notes = append(l.obj.Notes, fmt.Sprintf(
			"section %s: %d pointers (the first at offset %#x, to %s) are left as in the file: data cannot hold addresses",
			s.name, n, l.relocs[s.index][0].off, l.symbols[l.relocs[s.index][0].sym].name))
	}
	return nil
}

// dropUnusedData forgets data maps without variables that no function refers
// to, such as constants that the compiler folded.
func (l *loader) dropUnusedData() error {
	named := map[*maps.Spec]bool{}
	for _, v := range l.obj.Variables {
		named[v.Map] = true
	}
	data := map[*maps.Spec]bool{}
	for _, m := range l.dataAt {
		data[m] = true
	}
	l.obj.Maps = slices.DeleteFunc(l.obj.Maps, func(m *maps.Spec) bool {
		return data[m] && !named[m] && !l.used[m]
	})
	return nil
}
