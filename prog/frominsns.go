package prog

import (
	"fmt"
	"slices"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
)

// FromInsns links raw slots in the form that bpf(2) takes them: what tests and
// tools have, which know no symbols.
//
// Map references (src PseudoMapFD, PseudoMapValue, PseudoMapIdx and
// PseudoMapIdxValue) hold an index into ms. Calls and addresses of subprograms
// hold the distance from the next slot; what they name are the subprograms,
// each of which ends where the next begins. Calls of kfuncs by BTF number and
// addresses of kernel variables are refused: the host has no such numbers. An
// error is an *Error.
func FromInsns(name string, t *hook.Type, insns []Insn, ms []*maps.Spec) (*Program, error) {
	p := &Program{
		Name:  name,
		Type:  t,
		Insns: slices.Clone(insns),
		Maps:  slices.Clone(ms),
	}
	entries, err := p.entries()
	if err != nil {
		return nil, err
	}
	for i, entry := range entries {
		f := FuncInfo{Name: name, Entry: entry, End: PC(len(insns)), Global: i == 0}
		if i+1 < len(entries) {
			f.End = entries[i+1]
		}
		if i > 0 {
			f.Name = fmt.Sprintf("subprog_%d", i)
		}
		p.Funcs = append(p.Funcs, f)
		if err := Check(p.Insns[f.Entry:f.End]); err != nil {
			e := err.(*Error)
			e.Program, e.Func = name, f.Name
			return nil, e
		}
	}
	for pc := range p.Insns {
		if msg := p.resolveRaw(PC(pc)); msg != "" {
			return nil, p.errorAt(PC(pc), msg)
		}
	}
	return p, nil
}

// entries returns where the functions of a raw program begin, in order, from 0.
func (p *Program) entries() ([]PC, error) {
	entries := []PC{0}
	second := PC(-1)
	for i, in := range p.Insns {
		if PC(i) == second {
			continue
		}
		if in.IsWide() {
			second = PC(i) + 1
		}
		if !in.IsCall(isa.CallSub) && !(in.IsWide() && in.Src == isa.PseudoFunc) {
			continue
		}
		target := int64(i) + 1 + int64(in.Imm)
		if target < 0 || target >= int64(len(p.Insns)) {
			return nil, p.errorAt(PC(i), fmt.Sprintf("subprogram at slot %d, outside the program's 0 to %d", target, len(p.Insns)-1))
		}
		entries = append(entries, PC(target))
	}
	slices.Sort(entries)
	return slices.Compact(entries), nil
}

// resolveRaw turns the reference in the valid slot pc, if it holds one, into
// the form of a linked program, or says why it cannot.
func (p *Program) resolveRaw(pc PC) string {
	in := &p.Insns[pc]
	if in.IsCall(isa.CallKfunc) {
		return fmt.Sprintf("call of kfunc %d: functions of the host are called by name here", in.Imm)
	}
	if !in.IsWide() {
		return ""
	}
	switch in.Src {
	case isa.PseudoBTFID:
		return fmt.Sprintf("address of kernel variable %d: the host has none", in.Imm)
	case isa.PseudoFunc:
		in.Imm += int32(pc) + 1
	case isa.PseudoMapFD, isa.PseudoMapIdx, isa.PseudoMapValue, isa.PseudoMapIdxValue:
		if in.Imm < 0 || int(in.Imm) >= len(p.Maps) {
			return fmt.Sprintf("map %d of %d", in.Imm, len(p.Maps))
		}
		if in.Src == isa.PseudoMapFD || in.Src == isa.PseudoMapIdx {
			in.Src = isa.PseudoMapFD
			return ""
		}
		in.Src = isa.PseudoMapValue
		return checkMapValue(p.Maps[in.Imm], uint32(p.Insns[pc+1].Imm))
	}
	return ""
}

// errorAt returns an Error at pc of a program whose functions may not all be
// known.
func (p *Program) errorAt(pc PC, msg string) *Error {
	e := &Error{File: p.File, Program: p.Name, Func: p.Name, PC: pc, Insn: p.Insns[pc], HasInsn: true, Msg: msg}
	if f := p.FuncAt(pc); f >= 0 {
		e.Func = p.Funcs[f].Name
		e.PC -= p.Funcs[f].Entry
		e.Line = p.LineAt(pc)
	}
	return e
}
