package elf

import (
	"cmp"
	debugelf "debug/elf"
	"slices"
	"strings"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/prog"
)

// readStructOps lists the variables in .struct_ops sections: structs of
// function pointers, each a relocation to a program.
func (l *loader) readStructOps() error {
	for i := range l.sections {
		s := &l.sections[i]
		if !isStructOps(s) {
			continue
		}
		types := map[string]*btf.Type{}
		if l.types != nil {
			for _, v := range l.types.sections[s.name] {
				types[v.typ.Name] = v.typ
			}
		}
		for _, sym := range l.mapSymbols(s) {
			ops := &prog.StructOps{Name: sym.name, Programs: map[string]string{}}
			var t *btf.Type
			if v := types[sym.name]; v != nil {
				t = v.Elem.Underlying()
			}
			if t == nil || t.Kind != btf.Struct {
				return l.errorf(s.name, sym.name, "BTF describes no such struct")
			}
			ops.TypeName = t.Name
			if uint64(t.Size) > s.size-sym.value {
				return l.errorf(s.name, sym.name, "%d bytes at %#x of %#x", t.Size, sym.value, s.size)
			}
			if err := l.structOpsPrograms(s, sym.value, t, ops); err != nil {
				return err
			}
			l.obj.StructOps = append(l.obj.StructOps, ops)
		}
	}
	return nil
}

func isStructOps(s *section) bool {
	return s.typ == debugelf.SHT_PROGBITS && s.size > 0 &&
		(s.name == ".struct_ops" || strings.HasPrefix(s.name, ".struct_ops.") ||
			s.name == "?.struct_ops" || strings.HasPrefix(s.name, "?.struct_ops."))
}

func (l *loader) structOpsPrograms(s *section, base uint64, t *btf.Type, ops *prog.StructOps) error {
	rs := l.relocs[s.index]
	i, _ := slices.BinarySearchFunc(rs, base, func(r relocation, off uint64) int { return cmp.Compare(r.off, off) })
	for ; i < len(rs) && rs[i].off < base+uint64(t.Size); i++ {
		bit := uint32(rs[i].off-base) * 8
		j := slices.IndexFunc(t.Members, func(m btf.Member) bool { return m.Offset == bit })
		if j < 0 {
			return l.errorf(s.name, ops.Name, "relocation at offset %#x, where %s has no member", rs[i].off-base, t.Name)
		}
		sym := &l.symbols[rs[i].sym]
		if m := t.Members[j].Type.Underlying(); m == nil || m.Kind != btf.Ptr {
			return l.errorf(s.name, ops.Name, "relocation of member %s, which is no pointer", t.Members[j].Name)
		}
		f := l.functionAt(int(sym.section), sym.value+l.dataAddend(s, &rs[i]))
		if f == nil {
			return l.errorf(s.name, ops.Name, "member %s points to %s, which is no program", t.Members[j].Name, sym.name)
		}
		ops.Programs[t.Members[j].Name] = f.fn.Name
	}
	return nil
}
