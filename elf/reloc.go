package elf

import (
	"cmp"
	debugelf "debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Relocation types (LLVM, BPFELFObjectWriter; kernel,
// Documentation/bpf/llvm_reloc.rst).
const (
	relocNone = 0  // R_BPF_NONE: nothing; LLVM 3.7 wrote it for the next two
	reloc64   = 1  // R_BPF_64_64: wide instruction
	relocCall = 10 // R_BPF_64_32: call
)

// resolve fills f's Refs: what its calls and wide instructions refer to. The
// first fault is kept in Err.
func (l *loader) resolve(c *code, f *function) {
	fail := func(pc int, err error) {
		if f.fn.Err == nil {
			f.fn.Err = &Error{Section: c.name, Symbol: f.fn.Name, PC: prog.PC(pc - f.start), Err: err}
		}
	}
	if err := l.applyCORE(c, f); err != nil && f.fn.Err == nil {
		f.fn.Err = err
	}
	for pc := f.start; pc < f.end; pc++ {
		in := c.insns[pc]
		r, err := l.slotReloc(c, pc)
		if err != nil {
			fail(pc, err)
			return
		}
		var ref *prog.Ref
		switch {
		case in.IsWide():
			if pc+1 >= f.end {
				fail(pc, errors.New("a wide instruction without its second half"))
				return
			}
			ref, err = l.wideRef(c, pc, r)
			if err == nil && l.relocAt(c.index, uint64(pc+1)*slotSize) != nil {
				err = errors.New("a relocation of the second half of a wide instruction")
			}
		case in.IsCall(isa.CallSub):
			ref, err = l.callRef(c, pc, r)
		case r != nil && r.typ != relocNone:
			err = fmt.Errorf("a relocation (to %s) of an instruction that is neither a call nor wide", l.symbols[r.sym].name)
		}
		if err != nil {
			fail(pc, err)
			return
		}
		if ref != nil {
			ref.PC = prog.PC(pc - f.start)
			f.fn.Refs = append(f.fn.Refs, *ref)
		}
		if in.IsWide() {
			pc++
		}
	}
}

// slotReloc returns the relocation of slot pc, or nil.
func (l *loader) slotReloc(c *code, pc int) (*relocation, error) {
	rs := l.relocs[c.index]
	off := uint64(pc) * slotSize
	i, _ := slices.BinarySearchFunc(rs, off, func(r relocation, off uint64) int { return cmp.Compare(r.off, off) })
	switch {
	case i == len(rs) || rs[i].off >= off+slotSize:
		return nil, nil
	case rs[i].off != off:
		return nil, errors.New("a relocation inside the instruction")
	case i+1 < len(rs) && rs[i+1].off < off+slotSize:
		return nil, errors.New("two relocations of one instruction")
	}
	return &rs[i], nil
}

// callee returns where the call at pc leads; a nil section if it leads outside
// the object.
func (l *loader) callee(c *code, pc int) (*code, int, error) {
	imm := int64(c.insns[pc].Imm)
	r := l.relocAt(c.index, uint64(pc)*slotSize)
	if r == nil {
		return c, int(int64(pc) + 1 + imm), nil // inside the section, already resolved
	}
	sym := &l.symbols[r.sym]
	if sym.section == debugelf.SHN_UNDEF {
		return nil, 0, nil
	}
	target := l.code[int(sym.section)]
	if target == nil {
		return nil, 0, fmt.Errorf("call of %s, which is not code", sym.name)
	}
	// The addend is the immediate, in slots less one: −1 for a symbol of the
	// function itself, the distance for one of its section. RELA gives bytes.
	off := int64(sym.value)
	if r.explicit {
		off += r.addend
	} else {
		off += (imm + 1) * slotSize
	}
	if off < 0 || off%slotSize != 0 || uint64(off) >= target.size {
		return nil, 0, fmt.Errorf("call of %s, offset %#x: section %s has %#x bytes", sym.name, off, target.name, target.size)
	}
	return target, int(off / slotSize), nil
}

func (l *loader) callRef(c *code, pc int, r *relocation) (*prog.Ref, error) {
	if r != nil && r.typ != relocCall && r.typ != relocNone {
		return nil, fmt.Errorf("relocation of type %d for a call", r.typ)
	}
	target, at, err := l.callee(c, pc)
	if err != nil {
		return nil, err
	}
	if target == nil {
		sym := &l.symbols[r.sym]
		if sym.name == "" {
			return nil, errors.New("call of a function without a name")
		}
		ref := &prog.Ref{Kind: prog.RefExtern, Name: sym.name, Weak: sym.weak()}
		if e, ok := l.extern(sym.name); ok && e.typ.Kind == btf.Func {
			ref.Type = e.typ
		}
		return ref, nil
	}
	f := target.funcAt(at)
	if f == nil {
		return nil, fmt.Errorf("call of slot %d of section %s, where no function starts", at, target.name)
	}
	return &prog.Ref{Kind: prog.RefCall, Func: f.fn, Name: f.fn.Name}, nil
}

// addend returns what is added to the symbol of the wide instruction at pc.
func (l *loader) addend(c *code, pc int, r *relocation) int64 {
	if r.explicit {
		return r.addend
	}
	return int64(c.insns[pc].Imm)
}

// pointee returns which code the wide instruction at pc points to; a nil
// section if it points to none.
func (l *loader) pointee(c *code, pc int) (*code, int, error) {
	r := l.relocAt(c.index, uint64(pc)*slotSize)
	if r == nil {
		if c.insns[pc].Src == isa.PseudoFunc {
			return c, int(int64(pc) + 1 + int64(c.insns[pc].Imm)), nil
		}
		return nil, 0, nil
	}
	sym := &l.symbols[r.sym]
	target := l.code[int(sym.section)]
	if target == nil {
		return nil, 0, nil
	}
	off := int64(sym.value) + l.addend(c, pc, r)
	if off < 0 || off%slotSize != 0 || uint64(off) >= target.size {
		return nil, 0, fmt.Errorf("address of %s, offset %#x: section %s has %#x bytes", sym.name, off, target.name, target.size)
	}
	return target, int(off / slotSize), nil
}

// wideRef resolves the wide instruction at pc; nil if it refers to nothing.
func (l *loader) wideRef(c *code, pc int, r *relocation) (*prog.Ref, error) {
	if r == nil && c.insns[pc].Src != isa.PseudoFunc {
		return nil, nil
	}
	if r != nil && r.typ != reloc64 && r.typ != relocNone {
		return nil, fmt.Errorf("relocation of type %d for a wide instruction", r.typ)
	}
	target, at, err := l.pointee(c, pc)
	if err != nil {
		return nil, err
	}
	if target != nil {
		f := target.funcAt(at)
		if f == nil {
			return nil, fmt.Errorf("address of slot %d of section %s, where no function starts", at, target.name)
		}
		return &prog.Ref{Kind: prog.RefFunc, Func: f.fn, Name: f.fn.Name}, nil
	}
	sym := &l.symbols[r.sym]
	add := l.addend(c, pc, r)
	switch sym.section {
	case debugelf.SHN_UNDEF:
		return l.externRef(sym, add)
	case debugelf.SHN_ABS:
		return &prog.Ref{Kind: prog.RefConst, Name: sym.name, Const: sym.value + uint64(add)}, nil
	case debugelf.SHN_COMMON:
		return nil, fmt.Errorf("%s is a common symbol; compile with -fno-common", sym.name)
	}
	if int(sym.section) >= len(l.sections) {
		return nil, fmt.Errorf("%s is in the reserved section %#x", sym.name, int(sym.section))
	}
	s := &l.sections[sym.section]
	off := sym.value + uint64(add)
	if _, ok := l.mapsAt[s.index]; ok {
		m := l.findMap(s.index, off)
		if m == nil {
			return nil, fmt.Errorf("reference to %s, offset %#x of section %s, where no map starts", sym.name, off, s.name)
		}
		return &prog.Ref{Kind: prog.RefMap, Map: m.spec, Name: m.spec.Name}, nil
	}
	if m := l.dataAt[s.index]; m != nil {
		if off >= s.size && !(off == s.size && add != 0) {
			return nil, fmt.Errorf("address of %s: offset %#x of section %s, which has %#x bytes", sym.name, off, s.name, s.size)
		}
		l.used[m] = true
		return &prog.Ref{Kind: prog.RefMapValue, Map: m, Off: uint32(off), Name: sym.name}, nil
	}
	return nil, fmt.Errorf("address of %s in section %s, which holds neither code, maps nor data", sym.name, s.name)
}

func (l *loader) extern(name string) (extern, bool) {
	if l.types == nil {
		return extern{}, false
	}
	e, ok := l.types.externs[name]
	return e, ok
}

// externRef resolves the address of an undefined symbol: a kconfig variable, a
// kernel variable, a function of the host.
func (l *loader) externRef(sym *symbol, add int64) (*prog.Ref, error) {
	e, typed := l.extern(sym.name)
	if typed && e.section == ".kconfig" && l.kconfig != nil {
		v := l.kconfig.vars[sym.name]
		if v.err != nil {
			return nil, v.err
		}
		return l.kconfigRef(sym.name, v, add)
	}
	addr, ok := l.opts.Ksyms[sym.name]
	switch {
	case ok:
		return &prog.Ref{Kind: prog.RefConst, Name: sym.name, Const: addr + uint64(add)}, nil
	case typed && e.typ.Kind == btf.Func:
		return &prog.Ref{Kind: prog.RefExtern, Name: sym.name, Type: e.typ, Weak: sym.weak()}, nil
	case sym.weak():
		return &prog.Ref{Kind: prog.RefConst, Name: sym.name}, nil
	case sym.name == "":
		return nil, errors.New("address of a symbol without a name")
	case typed && e.section == ".ksyms":
		return nil, ksymError(sym.name)
	}
	return nil, fmt.Errorf("undefined symbol %s", sym.name)
}

func (l *loader) kconfigRef(name string, v kconfigVar, add int64) (*prog.Ref, error) {
	off := int64(v.off) + add
	if off < 0 || off >= int64(l.kconfig.spec.ValueSize) {
		return nil, fmt.Errorf("address of %s, offset %d of .kconfig, which has %d bytes", name, off, l.kconfig.spec.ValueSize)
	}
	return &prog.Ref{Kind: prog.RefMapValue, Map: l.kconfig.spec, Off: uint32(off), Name: name}, nil
}

// dataAddend returns what is added to the symbol of a relocation in data.
func (l *loader) dataAddend(s *section, r *relocation) uint64 {
	if r.explicit {
		return uint64(r.addend)
	}
	if r.off+8 > uint64(len(s.data)) {
		return 0
	}
	return binary.LittleEndian.Uint64(s.data[r.off:])
}

func ksymError(name string) error {
	return fmt.Errorf("ksym %s has no address: give one (Options.Ksyms), or declare it __weak", name)
}
