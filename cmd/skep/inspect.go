package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

func newInspect(s streams) *cobra.Command {
	var flags objectFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE.o",
		Short: "Show what an object holds",
		Long: `Shows an object's programs with their types and the functions of the host that
they call, its maps, global variables, relocations and license. A program that
cannot be linked is listed with the reason; the exit code is then 1.

With --json, one object per line; "kind" says which: object, program, map,
variable, relocation, struct_ops.`,
		Args: oneObject,
		RunE: func(_ *cobra.Command, args []string) error {
			obj, err := flags.open(args[0])
			if err != nil {
				return err
			}
			in := inspectObject(obj, flags.program)
			if asJSON {
				err = in.writeJSON(s.out)
			} else {
				in.print(s.out)
			}
			if err != nil {
				return err
			}
			return in.refusal()
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per line")
	return cmd
}

// An inspection is what there is to know about an object without running it.
type inspection struct {
	Object      objectInfo
	Programs    []programInfo
	Maps        []mapInfo
	Variables   []variableInfo
	Relocations []relocationInfo
	StructOps   []structOpsInfo
}

type objectInfo struct {
	Kind    string   `json:"kind"`
	File    string   `json:"file"`
	License string   `json:"license"`
	Notes   []string `json:"notes,omitempty"`
}

type programInfo struct {
	Kind        string       `json:"kind"`
	Name        string       `json:"name"`
	Section     string       `json:"section"`
	Type        string       `json:"type"` // empty: the section names none
	Attach      string       `json:"attach,omitempty"`
	Sleepable   bool         `json:"sleepable,omitempty"`
	Insns       int          `json:"insns"` // slots, subprograms included
	Subprograms []string     `json:"subprograms"`
	Helpers     []helperInfo `json:"helpers"`
	Kfuncs      []string     `json:"kfuncs"`
	Maps        []string     `json:"maps"`
	Error       string       `json:"error,omitempty"` // why it cannot be linked
	err         error
}

type helperInfo struct {
	ID   int32  `json:"id"`
	Name string `json:"name,omitempty"` // empty if the program type does not have it
}

type mapInfo struct {
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Type       string `json:"type"`
	KeySize    uint32 `json:"key_size"`
	ValueSize  uint32 `json:"value_size"`
	MaxEntries uint32 `json:"max_entries"`
	Flags      string `json:"flags,omitempty"`
	Extra      uint64 `json:"map_extra,omitempty"`
	KeyType    string `json:"key_type,omitempty"`
	ValueType  string `json:"value_type,omitempty"`
	Inner      string `json:"inner,omitempty"`
	Entries    int    `json:"entries"` // stored before the first run
	Frozen     bool   `json:"frozen,omitempty"`
	Pinning    string `json:"pinning,omitempty"`
}

type variableInfo struct {
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Map      string `json:"map"`
	Offset   uint32 `json:"offset"`
	Size     uint32 `json:"size"`
	Type     string `json:"type,omitempty"`
	ReadOnly bool   `json:"read_only"`
	Value    string `json:"value"` // hex
}

type relocationInfo struct {
	Kind     string  `json:"kind"`
	Function string  `json:"function"`
	PC       prog.PC `json:"pc"`
	What     string  `json:"what"`
	Target   string  `json:"target"`
}

type structOpsInfo struct {
	Kind     string            `json:"kind"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Programs map[string]string `json:"programs"`
}

// inspectObject collects what obj holds; of its programs, only the one called
// only, unless that is empty.
func inspectObject(obj *prog.Object, only string) *inspection {
	in := &inspection{Object: objectInfo{Kind: "object", File: obj.File, License: obj.License, Notes: obj.Notes}}
	seen := map[*prog.Func]bool{}
	for _, s := range obj.Programs {
		if only != "" && s.Name != only {
			continue
		}
		in.Programs = append(in.Programs, inspectProgram(obj, s))
		in.addRelocations(s.Func, seen)
	}
	for _, m := range obj.Maps {
		in.Maps = append(in.Maps, inspectMap(m))
	}
	for _, v := range obj.Variables {
		in.Variables = append(in.Variables, variableInfo{
			Kind: "variable", Name: v.Name, Map: v.Map.Name, Offset: v.Off, Size: v.Size,
			Type: optionalTypeName(v.Type), ReadOnly: v.ReadOnly, Value: hex.EncodeToString(v.Value()),
		})
	}
	for _, s := range obj.StructOps {
		in.StructOps = append(in.StructOps, structOpsInfo{"struct_ops", s.Name, s.TypeName, s.Programs})
	}
	return in
}

func inspectProgram(obj *prog.Object, s *prog.Spec) programInfo {
	p := programInfo{
		Kind: "program", Name: s.Name, Section: s.Section, Attach: s.Attach, Sleepable: s.Sleepable,
		Subprograms: []string{}, Helpers: []helperInfo{}, Kfuncs: []string{}, Maps: []string{},
	}
	if s.Type != nil {
		p.Type = s.Type.Name
	}
	linked, err := obj.Link(s)
	if err != nil {
		p.Error, p.err = err.Error(), err
		if s.Func != nil {
			p.Insns = len(s.Func.Insns)
		}
		return p
	}
	p.Insns = len(linked.Insns)
	for _, f := range linked.Funcs[1:] {
		p.Subprograms = append(p.Subprograms, f.Name)
	}
	for _, e := range linked.Externs {
		p.Kfuncs = append(p.Kfuncs, e.Name)
	}
	for _, m := range linked.Maps {
		p.Maps = append(p.Maps, m.Name)
	}
	seen := map[int32]bool{}
	for _, insn := range linked.Insns {
		if insn.IsCall(isa.CallHelper) && !seen[insn.Imm] {
			seen[insn.Imm] = true
			h := helperInfo{ID: insn.Imm}
			if s.Type != nil {
				if f := s.Type.Helpers.Helper(helpers.ID(insn.Imm)); f != nil {
					h.Name = f.Name
				}
			}
			p.Helpers = append(p.Helpers, h)
		}
	}
	slices.SortFunc(p.Helpers, func(a, b helperInfo) int { return int(a.ID - b.ID) })
	return p
}

func inspectMap(m *maps.Spec) mapInfo {
	info := mapInfo{
		Kind: "map", Name: m.Name, Type: m.Type.String(), KeySize: m.KeySize, ValueSize: m.ValueSize,
		MaxEntries: m.MaxEntries, Flags: flagNames(m.Flags), Extra: m.Extra,
		KeyType: optionalTypeName(m.Key), ValueType: optionalTypeName(m.Value),
		Entries: len(m.Contents), Frozen: m.Frozen, Pinning: m.Pinning,
	}
	if m.Inner != nil {
		info.Inner = m.Inner.Type.String()
	}
	return info
}

func flagNames(f maps.Flags) string {
	if f == 0 {
		return ""
	}
	return f.String()
}

// addRelocations adds the references of f and of the functions that it
// reaches, each function once.
func (in *inspection) addRelocations(f *prog.Func, seen map[*prog.Func]bool) {
	if f == nil || seen[f] {
		return
	}
	seen[f] = true
	for i := range f.Refs {
		r := &f.Refs[i]
		info := relocationInfo{Kind: "relocation", Function: f.Name, PC: r.PC}
		switch r.Kind {
		case prog.RefCall:
			info.What, info.Target = "call", r.Func.Name
		case prog.RefFunc:
			info.What, info.Target = "function address", r.Func.Name
		case prog.RefMap:
			info.What, info.Target = "map", r.Map.Name
		case prog.RefMapValue:
			info.What, info.Target = "map value", fmt.Sprintf("%s+%d", r.Map.Name, r.Off)
		case prog.RefExtern:
			info.What, info.Target = "extern", r.Name
			if r.Weak {
				info.What = "weak extern"
			}
		case prog.RefConst:
			info.What, info.Target = "constant", fmt.Sprintf("%s = %#x", r.Name, r.Const)
		}
		in.Relocations = append(in.Relocations, info)
	}
	for i := range f.Refs {
		in.addRelocations(f.Refs[i].Func, seen)
	}
}

// refusal returns an error that names the programs that cannot be linked.
func (in *inspection) refusal() error {
	var names []string
	for _, p := range in.Programs {
		if p.err != nil {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return refused{fmt.Errorf("%s: cannot be linked: %s", in.Object.File, strings.Join(names, ", "))}
}

func (in *inspection) writeJSON(w io.Writer) error {
	lines := []any{in.Object}
	lines = appendAll(lines, in.Programs)
	lines = appendAll(lines, in.Maps)
	lines = appendAll(lines, in.Variables)
	lines = appendAll(lines, in.Relocations)
	lines = appendAll(lines, in.StructOps)
	for _, l := range lines {
		if err := writeJSON(w, l); err != nil {
			return err
		}
	}
	return nil
}

func appendAll[T any](lines []any, list []T) []any {
	for _, e := range list {
		lines = append(lines, e)
	}
	return lines
}

func (in *inspection) print(w io.Writer) {
	license := "none"
	if in.Object.License != "" {
		license = strconv.Quote(in.Object.License)
	}
	fmt.Fprintf(w, "%s: license %s\n", in.Object.File, license)
	for _, n := range in.Object.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	in.printPrograms(w)

	t := &table{head: []string{"MAP", "TYPE", "KEY", "VALUE", " ENTRIES", "FLAGS", "NOTES"}}
	for _, m := range in.Maps {
		t.add(m.Name, m.Type, sizeAndType(m.KeySize, m.KeyType), sizeAndType(m.ValueSize, m.ValueType),
			fmt.Sprint(m.MaxEntries), m.Flags, m.notes())
	}
	section(w, t)

	t = &table{head: []string{"VARIABLE", "IN", " OFFSET", " SIZE", "TYPE", "VALUE"}}
	for _, v := range in.Variables {
		t.add(v.Name, v.Map, fmt.Sprint(v.Offset), fmt.Sprint(v.Size), v.Type, shorten(v.Value, 32))
	}
	section(w, t)

	t = &table{head: []string{"RELOCATION", "KIND", "TARGET"}}
	for _, r := range in.Relocations {
		t.add(fmt.Sprintf("%s+%d", r.Function, r.PC), r.What, r.Target)
	}
	section(w, t)

	t = &table{head: []string{"STRUCT_OPS", "TYPE", "MEMBER", "PROGRAM"}}
	for _, s := range in.StructOps {
		members := make([]string, 0, len(s.Programs))
		for m := range s.Programs {
			members = append(members, m)
		}
		slices.Sort(members)
		for _, m := range members {
			t.add(s.Name, s.Type, m, s.Programs[m])
		}
		if len(members) == 0 {
			t.add(s.Name, s.Type, "", "")
		}
	}
	section(w, t)
}

func (in *inspection) printPrograms(w io.Writer) {
	t := &table{head: []string{"PROGRAM", "SECTION", "TYPE", " INSNS", "SUBPROGRAMS", "CALLS"}}
	for _, p := range in.Programs {
		typ := p.Type
		if typ == "" {
			typ = "? (give --type)"
		}
		calls := make([]string, 0, len(p.Helpers)+len(p.Kfuncs))
		for _, h := range p.Helpers {
			if h.Name == "" {
				calls = append(calls, fmt.Sprintf("helper %d (not for this type)", h.ID))
			} else {
				calls = append(calls, h.Name)
			}
		}
		for _, k := range p.Kfuncs {
			calls = append(calls, k+" (kfunc)")
		}
		t.add(p.Name, p.Section, typ, fmt.Sprint(p.Insns), strings.Join(p.Subprograms, ", "), strings.Join(calls, ", "))
	}
	section(w, t)
	for _, p := range in.Programs {
		if p.Error != "" {
			fmt.Fprintf(w, "error: %s\n", p.Error)
		}
	}
}

func (m *mapInfo) notes() string {
	var notes []string
	if m.Entries > 0 {
		notes = append(notes, fmt.Sprintf("%d initial", m.Entries))
	}
	if m.Frozen {
		notes = append(notes, "frozen")
	}
	if m.Inner != "" {
		notes = append(notes, "of "+m.Inner)
	}
	if m.Extra != 0 {
		notes = append(notes, fmt.Sprintf("map_extra %d", m.Extra))
	}
	if m.Pinning != "" {
		notes = append(notes, "pinning "+m.Pinning)
	}
	return strings.Join(notes, ", ")
}

func sizeAndType(size uint32, typ string) string {
	if typ == "" {
		return fmt.Sprint(size)
	}
	return fmt.Sprintf("%d (%s)", size, typ)
}

// section prints a table with an empty line before it.
func section(w io.Writer, t *table) {
	if len(t.rows) > 0 {
		fmt.Fprintln(w)
		t.print(w)
	}
}
