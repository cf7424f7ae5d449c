package prog

import (
	"fmt"
	"slices"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
)

// Link returns the program s with the subprograms it reaches, every reference
// resolved: the main program first, then the others in the order in which they
// are first named. The object is not changed, and the result shares nothing
// with it but map specs and types. An error, which is an *Error, concerns this
// program only.
//
// An extern may be missing from the program type's helpers: whether that
// matters is for the verifier and the engine to say, which know what the host
// adds. Where a program takes the address of one, to see whether it exists, the
// program type decides: 1 if it has it, 0 if not and the extern is weak.
func (o *Object) Link(s *Spec) (*Program, error) {
	l := &linker{
		spec:  s,
		file:  o.File,
		index: map[*Func]int{},
		prog: &Program{
			Name:      s.Name,
			Type:      s.Type,
			Attach:    s.Attach,
			Sleepable: s.Sleepable,
			License:   o.License,
			File:      o.File,
		},
		maps:    map[*maps.Spec]int32{},
		externs: map[string]int32{},
	}
	if s.Err != nil {
		return nil, &Error{File: o.File, Program: s.Name, Err: s.Err}
	}
	if s.Func == nil {
		return nil, &Error{File: o.File, Program: s.Name, Msg: "no code"}
	}
	name, n := exceptionHandler(s.Func.Type)
	switch {
	case n > 1:
		return nil, l.errorAt(s.Func, -1, "several functions are to handle exceptions")
	case n == 1 && s.Handler == nil:
		return nil, l.errorAt(s.Func, -1, fmt.Sprintf("the function that is to handle exceptions, %s, is not there, or not global", name))
	}
	if err := l.gather(s.Func, s.Handler); err != nil {
		return nil, err
	}
	l.prog.Handler = l.index[s.Handler] // of nil: 0
	for i := range l.units {
		if err := l.resolve(&l.units[i]); err != nil {
			return nil, err
		}
	}
	return l.prog, nil
}

// A linker is one Link under way.
type linker struct {
	spec    *Spec
	file    string
	units   []unit
	index   map[*Func]int // into units
	prog    *Program
	maps    map[*maps.Spec]int32
	externs map[string]int32
}

// A unit is a function in its place.
type unit struct {
	fn    *Func
	entry PC
	insns []Insn // in the program's Insns
}

// gather finds the functions that main, and what handles its exceptions (nil:
// nothing does), reach and lays them out.
func (l *linker) gather(main, handler *Func) error {
	todo := []*Func{main}
	l.index[main] = 0
	if handler != nil && handler != main {
		todo = append(todo, handler)
		l.index[handler] = 1
	}
	size := 0
	for i := 0; i < len(todo); i++ {
		fn := todo[i]
		if fn.Err != nil {
			return &Error{File: l.file, Program: l.spec.Name, Func: fn.Name, Err: fn.Err}
		}
		size += len(fn.Insns)
		if size > MaxInsns {
			return &Error{File: l.file, Program: l.spec.Name, Func: fn.Name,
				Msg: fmt.Sprintf("more than %d slots with its subprograms", MaxInsns)}
		}
		for j := range fn.Refs {
			r := &fn.Refs[j]
			if r.Kind != RefCall && r.Kind != RefFunc {
				continue
			}
			if r.Func == nil {
				return l.errorAt(fn, r.PC, "reference to a function that is not there")
			}
			if _, seen := l.index[r.Func]; !seen {
				l.index[r.Func] = len(todo)
				todo = append(todo, r.Func)
			}
		}
	}
	p := l.prog
	p.Insns = make([]Insn, 0, size+len(todo))
	for _, fn := range todo {
		entry := PC(len(p.Insns))
		p.Insns = append(p.Insns, fn.Insns...)
		if fn.endsWithThrow() {
			p.Insns = append(p.Insns, Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.Exit)})
		}
		end := PC(len(p.Insns))
		p.Funcs = append(p.Funcs, FuncInfo{Name: fn.Name, Entry: entry, End: end, Global: fn.Global, Type: fn.Type})
		l.units = append(l.units, unit{fn: fn, entry: entry, insns: p.Insns[entry:end:end]})
		p.Lines = append(p.Lines, fn.placedLines(entry)...)
	}
	return nil
}

// endsWithThrow reports whether the last instruction of f calls a function
// that does not return. Compilers put nothing after it; the linker adds an
// exit, so that no function falls off its end even if the host's does return.
func (f *Func) endsWithThrow() bool {
	if len(f.Refs) == 0 {
		return false
	}
	r := f.Refs[len(f.Refs)-1]
	return r.Kind == RefExtern && int(r.PC) == len(f.Insns)-1 && (r.Name == "bpf_throw" || r.Name == "__bpf_trap")
}

// placedLines returns f's lines with f at entry; lines outside f are dropped.
func (f *Func) placedLines(entry PC) []Line {
	var lines []Line
	for _, line := range f.Lines {
		if line.PC < 0 || int(line.PC) >= len(f.Insns) {
			continue
		}
		line.PC += entry
		lines = append(lines, line)
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return int(a.PC) - int(b.PC) })
	return lines
}

// resolve writes the references of one function into its slots, and checks
// the result.
func (l *linker) resolve(u *unit) error {
	resolved := make([]bool, len(u.insns))
	for i := range u.fn.Refs {
		r := &u.fn.Refs[i]
		if r.PC < 0 || int(r.PC) >= len(u.fn.Insns) {
			return l.errorAt(u.fn, r.PC, fmt.Sprintf("reference at slot %d of %d", r.PC, len(u.fn.Insns)))
		}
		if resolved[r.PC] {
			return l.errorAt(u.fn, r.PC, "two references at one instruction")
		}
		resolved[r.PC] = true
		msg := ""
		if u.insns[r.PC].IsWide() {
			msg = l.resolveWide(u, r)
		} else {
			msg = l.resolveCall(u, r)
		}
		if msg != "" {
			return l.errorAt(u.fn, r.PC, msg)
		}
	}
	for pc := range u.insns {
		if resolved[pc] {
			continue
		}
		if msg := u.insns[pc].unresolved(); msg != "" {
			return l.errorAt(u.fn, PC(pc), msg)
		}
	}
	if err := Check(u.insns); err != nil {
		e := err.(*Error)
		e.File, e.Program, e.Func = l.file, l.spec.Name, u.fn.Name
		if e.HasInsn {
			e.Line = l.prog.LineAt(u.entry + e.PC)
		}
		return e
	}
	return nil
}

// resolveCall resolves r at a call and says what is wrong with it, if anything.
func (l *linker) resolveCall(u *unit, r *Ref) string {
	in := &u.insns[r.PC]
	if in.Op != isa.Op(isa.JMP)|isa.Op(isa.Call) {
		return fmt.Sprintf("reference to %s at an instruction that holds none", r.name())
	}
	if in.Off != 0 {
		return fmt.Sprintf("call of %s: offset is %d, must be 0", r.name(), in.Off)
	}
	switch r.Kind {
	case RefCall:
		in.Src = isa.CallSub
		in.Imm = int32(l.prog.Funcs[l.index[r.Func]].Entry - (u.entry + r.PC + 1))
	case RefExtern:
		in.Src = isa.CallKfunc
		in.Imm = l.extern(r)
	default:
		return fmt.Sprintf("call of %s, which is no function", r.name())
	}
	return ""
}

// resolveWide is resolveCall for a wide instruction.
func (l *linker) resolveWide(u *unit, r *Ref) string {
	if int(r.PC)+1 >= len(u.fn.Insns) {
		return "the second slot is missing"
	}
	in, next := &u.insns[r.PC], &u.insns[r.PC+1]
	in.Src, in.Imm, next.Imm = 0, 0, 0
	switch r.Kind {
	case RefFunc:
		in.Src = isa.PseudoFunc
		in.Imm = int32(l.prog.Funcs[l.index[r.Func]].Entry)
	case RefMap, RefMapValue:
		if r.Map == nil {
			return "reference to a map that is not there"
		}
		in.Src = isa.PseudoMapFD
		in.Imm = l.mapIndex(r.Map)
		if r.Kind == RefMapValue {
			in.Src = isa.PseudoMapValue
			next.Imm = int32(r.Off)
			return checkMapValue(r.Map, r.Off)
		}
	case RefExtern:
		switch {
		case l.spec.Type != nil && l.spec.Type.Helpers.Kfunc(r.Name) != nil:
			in.Imm = 1
		case !r.Weak:
			return fmt.Sprintf("address of %s, which programs of this type do not have", r.Name)
		}
	case RefConst:
		in.Imm, next.Imm = int32(r.Const), int32(r.Const>>32)
	default:
		return fmt.Sprintf("address of %s, which can only be called", r.name())
	}
	return ""
}

// checkMapValue says what is wrong with the address of byte off of m's value,
// if anything (kernel, array_map_direct_value_addr).
func checkMapValue(m *maps.Spec, off uint32) string {
	switch {
	case m.Type != maps.Array && m.Type != maps.Arena || m.MaxEntries != 1:
		return fmt.Sprintf("address in the value of map %s, which is no array of one entry", m.Name)
	case off >= m.ValueSize:
		return fmt.Sprintf("address of byte %d of map %s, whose value has %d", off, m.Name, m.ValueSize)
	}
	return ""
}

func (l *linker) mapIndex(m *maps.Spec) int32 {
	i, ok := l.maps[m]
	if !ok {
		i = int32(len(l.prog.Maps))
		l.maps[m] = i
		l.prog.Maps = append(l.prog.Maps, m)
	}
	return i
}

// extern returns the index of a called function. It is weak only if every call
// of it is.
func (l *linker) extern(r *Ref) int32 {
	i, ok := l.externs[r.Name]
	if !ok {
		i = int32(len(l.prog.Externs))
		l.externs[r.Name] = i
		l.prog.Externs = append(l.prog.Externs, Extern{Name: r.Name, Type: r.Type, Weak: r.Weak})
	}
	e := &l.prog.Externs[i]
	e.Weak = e.Weak && r.Weak
	if e.Type == nil {
		e.Type = r.Type
	}
	return i
}

// unresolved says what in, to which no reference belongs, names outside its
// function; "" if nothing.
func (in Insn) unresolved() string {
	switch {
	case in.IsCall(isa.CallSub):
		return "call of a subprogram that no relocation names"
	case in.IsCall(isa.CallKfunc):
		return "call of a kfunc that no relocation names"
	case in.IsWide() && in.Src != 0 && in.Src <= isa.PseudoMapIdxValue:
		return "wide instruction with a reference that no relocation names"
	}
	return ""
}

// name returns what r refers to, for people.
func (r *Ref) name() string {
	switch {
	case r.Func != nil:
		return r.Func.Name
	case r.Map != nil:
		return "map " + r.Map.Name
	case r.Name != "":
		return r.Name
	}
	return "a constant"
}

// errorAt returns an Error at slot pc of fn, which may lie outside it.
func (l *linker) errorAt(fn *Func, pc PC, msg string) *Error {
	e := &Error{File: l.file, Program: l.spec.Name, Func: fn.Name, PC: pc, Msg: msg}
	if pc < 0 || int(pc) >= len(fn.Insns) {
		return e
	}
	e.Insn, e.HasInsn = fn.Insns[pc], true
	for _, line := range fn.Lines {
		if line.PC <= pc {
			e.Line = line
		}
	}
	return e
}
