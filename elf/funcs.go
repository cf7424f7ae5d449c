package elf

import (
	debugelf "debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

const slotSize = 8

// A code is a section of instructions and the functions it holds.
type code struct {
	*section
	insns []prog.Insn
	funcs []*function // sorted by start
}

// A function is a prog.Func at its place in a section: slots from to end.
type function struct {
	fn         *prog.Func
	start, end int
	local      bool // has a symbol, which is local
	sized      bool // its symbol says where it ends
	aliases    []string
}

// readFunctions splits the code sections into functions and resolves what
// their instructions refer to.
func (l *loader) readFunctions() error {
	for i := range l.sections {
		s := &l.sections[i]
		if !s.isCode() {
			continue
		}
		if s.size%slotSize != 0 {
			return l.errorf(s.name, "", "%d bytes are not whole instructions of %d", s.size, slotSize)
		}
		c := &code{section: s, insns: make([]prog.Insn, s.size/slotSize)}
		for pc := range c.insns {
			c.insns[pc] = decodeSlot(s.data[pc*slotSize:])
		}
		l.code[i] = c
		l.order = append(l.order, c)
	}
	l.startFunctions()
	l.startCallees()
	for _, c := range l.order {
		l.endFunctions(c)
	}
	for _, c := range l.order {
		l.addInfo(c)
		for _, f := range c.funcs {
			l.resolve(c, f)
		}
	}
	return nil
}

// decodeSlot splits one slot into its fields (RFC 9669, section 3.1). Every
// value of every field is kept.
func decodeSlot(b []byte) prog.Insn {
	return prog.Insn{
		Op: isa.Op(b[0]), Dst: prog.Reg(b[1] & 0xf), Src: prog.Reg(b[1] >> 4),
		Off: int16(binary.LittleEndian.Uint16(b[2:])), Imm: int32(binary.LittleEndian.Uint32(b[4:])),
	}
}

// isText reports whether the section is for subprograms: .text, or one of those
// that -ffunction-sections makes.
func (c *code) isText() bool { return c.name == ".text" || strings.HasPrefix(c.name, ".text.") }

// startFunctions begins a function at each symbol that names code. Old LLVM
// types no symbols, and then a local one is a jump label. In a section without
// such symbols, BTF says where functions start; without BTF either, the
// section is one function, called as it is.
func (l *loader) startFunctions() {
	for i := range l.symbols {
		sym := &l.symbols[i]
		c := l.code[int(sym.section)]
		if c == nil || sym.name == "" || sym.value >= c.size || sym.value%slotSize != 0 {
			continue
		}
		if sym.typ != debugelf.STT_FUNC && (sym.typ != debugelf.STT_NOTYPE || !sym.global()) {
			continue
		}
		f := &function{
			fn:    &prog.Func{Name: sym.name, Section: c.name, Global: sym.global()},
			start: int(sym.value / slotSize), local: !sym.global(),
		}
		if n := sym.size; n != 0 {
			f.sized = true
			f.end = f.start + int(min(n, c.size-sym.value)/slotSize)
			if n > c.size-sym.value || n%slotSize != 0 {
				f.fn.Err = functionError(c.name, sym.name, "a function of %d bytes at %#x of %#x", n, sym.value, c.size)
			}
		}
		c.funcs = append(c.funcs, f)
	}
	for _, c := range l.order {
		if len(c.funcs) == 0 && l.ext != nil {
			for _, info := range l.ext.funcs[c.name] {
				if info.off%slotSize == 0 && uint64(info.off) < c.size {
					c.funcs = append(c.funcs, &function{
						fn:    &prog.Func{Name: info.typ.Name, Section: c.name, Global: info.typ.Global},
						start: int(info.off / slotSize), local: !info.typ.Global,
					})
				}
			}
		}
		if len(c.funcs) == 0 {
			c.funcs = []*function{{fn: &prog.Func{Name: c.name, Section: c.name, Global: true}}}
		}
		sortFunctions(c)
	}
}

// sortFunctions sorts by start. Of several names for one place a global one
// leads, and the others become its aliases.
func sortFunctions(c *code) {
	slices.SortStableFunc(c.funcs, func(a, b *function) int {
		if a.start != b.start {
			return a.start - b.start
		}
		switch {
		case !a.local && b.local:
			return -1
		case a.local && !b.local:
			return 1
		}
		return 0
	})
	kept := c.funcs[:0]
	for _, f := range c.funcs {
		if n := len(kept); n > 0 && kept[n-1].start == f.start {
			kept[n-1].aliases = append(kept[n-1].aliases, f.fn.Name)
			continue
		}
		kept = append(kept, f)
	}
	c.funcs = kept
}

// startCallees begins a function wherever a call leads that is in none so far:
// static functions lose their symbols when an object is stripped.
func (l *loader) startCallees() {
	found := map[*code]map[int]bool{}
	for _, c := range l.order {
		for pc := 0; pc < len(c.insns); pc++ {
			in := c.insns[pc]
			var target *code
			var at int
			var err error
			switch {
			case in.IsCall(isa.CallSub):
				target, at, err = l.callee(c, pc)
			case in.IsWide():
				target, at, err = l.pointee(c, pc)
				pc++
			}
			if err != nil || target == nil || at < 0 || at >= len(target.insns) || target.funcAt(at) != nil {
				continue
			}
			if f := target.around(at); f != nil && f.sized && at < f.end {
				continue // the middle of a function: resolve says so
			}
			if found[target] == nil {
				found[target] = map[int]bool{}
			}
			found[target][at] = true
		}
	}
	for c, starts := range found {
		for at := range starts {
			c.funcs = append(c.funcs, &function{
				fn:    &prog.Func{Name: fmt.Sprintf("%s+%d", c.name, at), Section: c.name},
				start: at, local: true,
			})
		}
		sortFunctions(c)
	}
}

// endFunctions gives each function its instructions. A function without a size
// ends where the next begins.
func (l *loader) endFunctions(c *code) {
	next := len(c.insns)
	for i := len(c.funcs) - 1; i >= 0; i-- {
		f := c.funcs[i]
		if i+1 < len(c.funcs) {
			next = c.funcs[i+1].start
		}
		if !f.sized {
			f.end = next
		}
		if f.end > next {
			if f.fn.Err == nil {
				f.fn.Err = functionError(c.name, f.fn.Name, "overlaps %s", c.around(next).fn.Name)
			}
			f.end = next
		}
		f.fn.Insns = slices.Clone(c.insns[f.start:f.end])
	}
}

// funcAt returns the function that starts at slot at, or nil.
func (c *code) funcAt(at int) *function {
	i, ok := slices.BinarySearchFunc(c.funcs, at, func(f *function, at int) int { return f.start - at })
	if !ok {
		return nil
	}
	return c.funcs[i]
}

// around returns the last function that starts at slot at or before, or nil.
func (c *code) around(at int) *function {
	i, ok := slices.BinarySearchFunc(c.funcs, at, func(f *function, at int) int { return f.start - at })
	switch {
	case ok:
		return c.funcs[i]
	case i > 0:
		return c.funcs[i-1]
	}
	return nil
}

// functionAt returns the function that starts at a section's byte off, or nil.
func (l *loader) functionAt(section int, off uint64) *function {
	c := l.code[section]
	if c == nil || off%slotSize != 0 || off >= c.size {
		return nil
	}
	return c.funcAt(int(off / slotSize))
}

// addInfo gives functions their types and source lines.
func (l *loader) addInfo(c *code) {
	if l.ext == nil {
		return
	}
	for _, info := range l.ext.funcs[c.name] {
		if info.off%slotSize != 0 || uint64(info.off) >= c.size {
			continue
		}
		at := int(info.off / slotSize)
		if f := c.funcAt(at); f != nil {
			f.fn.Type = info.typ
			f.fn.Global = f.fn.Global && info.typ.Global
		}
	}
	lines := slices.Clone(l.ext.lines[c.name])
	slices.SortStableFunc(lines, func(a, b lineInfo) int { return int(int64(a.off) - int64(b.off)) })
	for _, f := range c.funcs {
		i, _ := slices.BinarySearchFunc(lines, int64(f.start*slotSize), func(a lineInfo, off int64) int { return int(int64(a.off) - off) })
		for ; i < len(lines) && int64(lines[i].off) < int64(f.end*slotSize); i++ {
			f.fn.Lines = append(f.fn.Lines, prog.Line{
				PC: prog.PC(int(lines[i].off/slotSize) - f.start), File: lines[i].file,
				Num: lines[i].line, Col: lines[i].col, Text: lines[i].text,
			})
		}
	}
}

// listPrograms makes a program of each function that can be one: those outside
// .text, or those in .text if there are no others. Static functions that others
// refer to are subprograms; the rest are entries of program arrays.
func (l *loader) listPrograms() error {
	textOnly := !slices.ContainsFunc(l.order, func(c *code) bool { return !c.isText() })
	callee := map[*prog.Func]bool{}
	for _, c := range l.order {
		for _, f := range c.funcs {
			for i := range f.fn.Refs {
				if r := &f.fn.Refs[i]; r.Func != nil && r.Func != f.fn {
					callee[r.Func] = true
				}
			}
		}
	}
	for _, c := range l.order {
		if c.isText() && !textOnly {
			continue
		}
		sec := l.sectionType(c.name)
		for _, f := range c.funcs {
			if f.local && callee[f.fn] {
				continue
			}
			for i := -1; i < len(f.aliases); i++ {
				fn := f.fn
				if i >= 0 { // shares everything but the name
					alias := *fn
					alias.Name = f.aliases[i]
					fn = &alias
				}
				l.obj.Programs = append(l.obj.Programs, &prog.Spec{
					Name: fn.Name, Section: c.name,
					Type: sec.Type, Attach: sec.Attach, Sleepable: sec.Sleepable,
					Func: fn, Handler: l.handlerOf(fn),
				})
			}
		}
	}
	if len(l.order) == 0 && len(l.obj.Maps) == 0 && len(l.obj.StructOps) == 0 {
		return errors.New("holds neither programs nor maps, nor tables of struct_ops")
	}
	return nil
}

// handlerOf returns the global function that the tags of fn name for its
// exceptions; nil if there is none.
func (l *loader) handlerOf(fn *prog.Func) *prog.Func {
	if fn.Type == nil {
		return nil
	}
	for _, tag := range fn.Type.Tags {
		name, ok := strings.CutPrefix(tag, "exception_callback:")
		if !ok {
			continue
		}
		for _, c := range l.order {
			for _, f := range c.funcs {
				if c.isText() && !f.local && f.fn.Name == name {
					return f.fn
				}
			}
		}
	}
	return nil
}

// functionError makes an Error about a function; whoever links a program that
// calls it adds the file.
func functionError(section, symbol, format string, args ...any) *Error {
	return &Error{Section: section, Symbol: symbol, PC: -1, Err: fmt.Errorf(format, args...)}
}
