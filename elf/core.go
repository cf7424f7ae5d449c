package elf

import (
	"bytes"
	debugelf "debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// CO-RE (kernel, Documentation/bpf/llvm_reloc.rst, "CO-RE Relocations"): the
// compiler records where an instruction depends on the layout of a type, and
// the loader rewrites it for the layout that the target has. Which target type
// and field correspond is cilium's to find; what the instruction becomes is
// decided here, because cilium applies its results on Linux hosts only.

// errNoTarget is what programs with CO-RE relocations get without target BTF, unless
// all are of types that no kernel lays out in another way (uapi.go).
var errNoTarget = errors.New("needs target BTF: pass --btf or set Options.BTF")

// Kinds of relocations (libbpf, enum bpf_core_relo_kind).
var coreKinds = []string{
	"byte_off", "byte_sz", "field_exists", "signed", "lshift_u64", "rshift_u64", "local_type_id", "target_type_id",
	"type_exists", "type_size", "enumval_exists", "enumval_value", "type_matches",
}

const coreLocalTypeID = 6

// A coreTable is the object's CO-RE relocations in cilium's form.
type coreTable struct {
	spec   *ciliumbtf.Spec
	relocs map[string]ciliumbtf.CORERelocationOffsets
	err    error
}

// applyCORE rewrites f's instructions for the target. It changes f.fn.Insns.
func (l *loader) applyCORE(c *code, f *function) error {
	if l.ext == nil || len(l.ext.relos[c.name]) == 0 {
		return nil
	}
	var own []coreReloc
	for _, r := range l.ext.relos[c.name] {
		if r.off%slotSize == 0 && int(r.off/slotSize) >= f.start && int(r.off/slotSize) < f.end {
			own = append(own, r)
		}
	}
	slices.SortStableFunc(own, func(a, b coreReloc) int { return int(int64(a.off) - int64(b.off)) })
	fail := func(r coreReloc, err error) error {
		return &Error{
			Section: c.name, Symbol: f.fn.Name, PC: prog.PC(int(r.off/slotSize) - f.start),
			Err: fmt.Errorf("CO-RE relocation %s: %w", l.describe(r), err),
		}
	}
	// The compiler's own type IDs are right as they are.
	own = slices.DeleteFunc(own, func(r coreReloc) bool { return r.kind == coreLocalTypeID })
	if len(own) == 0 {
		return nil
	}
	target := l.opts.BTF
	if target == nil {
		for _, r := range own {
			if int64(r.typ) >= int64(len(l.types.types)) || !uapiType(l.types.types[r.typ].Name) {
				return fail(r, errNoTarget)
			}
		}
		var err error
		if target, err = uapi(); err != nil {
			return fail(own[0], err)
		}
	}
	if l.core == nil {
		l.core = l.readCORE()
	}
	if l.core.err != nil {
		return fail(own[0], l.core.err)
	}
	at := map[int]*ciliumbtf.CORERelocation{} // by byte offset; one per instruction
	for _, r := range l.core.relocs[c.name] {
		at[int(r.Offset)*slotSize] = r.Relo
	}
	var relocs []*ciliumbtf.CORERelocation
	var pcs []int
	for i, r := range own {
		if at[int(r.off)] == nil || i > 0 && own[i-1].off == r.off {
			return fail(r, errors.New("two relocations of one instruction"))
		}
		relocs = append(relocs, at[int(r.off)])
		pcs = append(pcs, int(r.off/slotSize)-f.start)
	}
	if i, err := relocateCORE(f.fn.Insns, relocs, pcs, target, l.core.spec); err != nil {
		return fail(own[i], err)
	}
	return nil
}

// relocateCORE rewrites the instructions at pcs for the types of target; local
// holds the types that relocs refer to. With an error it returns the index of
// the relocation that caused it.
func relocateCORE(insns []prog.Insn, relocs []*ciliumbtf.CORERelocation, pcs []int, target, local *ciliumbtf.Spec) (int, error) {
	calculate := func(relocs []*ciliumbtf.CORERelocation) ([]ciliumbtf.COREFixup, error) {
		return ciliumbtf.CORERelocate(relocs, []*ciliumbtf.Spec{target}, binary.LittleEndian, local.TypeID)
	}
	fixups, err := calculate(relocs)
	if err != nil {
		// All fail together; find one that fails alone.
		for i := range relocs {
			if _, err := calculate(relocs[i : i+1]); err != nil {
				return i, err
			}
		}
		return 0, err
	}
	for i := range fixups {
		fix, err := parseFixup(fixups[i].String())
		if err == nil {
			err = fix.apply(insns, pcs[i])
		}
		if err != nil {
			return i, err
		}
	}
	return 0, nil
}

// describe names a relocation for people: "byte_off of task_struct, 0:1".
func (l *loader) describe(r coreReloc) string {
	kind := "of unknown kind " + strconv.Itoa(int(r.kind))
	if int64(r.kind) < int64(len(coreKinds)) {
		kind = coreKinds[r.kind]
	}
	name, access := "an unknown type", ""
	if int64(r.typ) < int64(len(l.types.types)) {
		if name = l.types.types[r.typ].Name; name == "" {
			name = "an anonymous type"
		}
	}
	if s, err := cstring(l.types.strings, r.access); err == nil {
		access = ", " + s
	}
	return kind + " of " + name + access
}

// What cilium is given is limited further than what is decoded here: its
// decoder recurses from type to type and copies every name.
const (
	maxCORETypes  = 1 << 15
	maxCORENames  = 32 << 20 // bytes
	maxCORERelocs = 1 << 16
	maxCOREAccess = 256 // bytes of an access string
)

// checkCORE refuses tables that would cost cilium more than they should.
func (l *loader) checkCORE() error {
	if n := len(l.types.types); n > maxCORETypes {
		return fmt.Errorf("%d types; at most %d are relocated", n, maxCORETypes)
	}
	names := 0
	for i := range l.types.types {
		t := &l.types.types[i]
		names += len(t.Name)
		for j := range t.Members {
			names += len(t.Members[j].Name)
		}
		for j := range t.Values {
			names += len(t.Values[j].Name)
		}
	}
	if names > maxCORENames {
		return fmt.Errorf("%d bytes of names; at most %d are relocated", names, maxCORENames)
	}
	total := 0
	for section, relocs := range l.ext.relos {
		if total += len(relocs); total > maxCORERelocs {
			return fmt.Errorf("more than %d CO-RE relocations", maxCORERelocs)
		}
		for _, r := range relocs {
			access, err := cstring(l.types.strings, r.access)
			if err != nil {
				return fmt.Errorf("section %s: access string: %w", section, err)
			}
			if len(access) > maxCOREAccess {
				return fmt.Errorf("section %s: access string of %d bytes", section, len(access))
			}
		}
	}
	return nil
}

// readCORE hands the object's types and CO-RE relocations to cilium, in an ELF
// file made for the purpose: it holds nothing else, so that none of the checks
// that cilium makes of symbols and sections matter.
func (l *loader) readCORE() *coreTable {
	if err := l.checkCORE(); err != nil {
		return &coreTable{err: err}
	}
	s := l.named(".BTF.ext")
	var h struct {
		_   [24]byte
		Off uint32
		Len uint32
	}
	if err := read(s.data, 0, &h); err != nil {
		return &coreTable{err: err}
	}
	relocs, err := part(s.data[binary.LittleEndian.Uint32(s.data[4:]):], h.Off, h.Len)
	if err != nil {
		return &coreTable{err: err}
	}
	// A header with empty function and line parts: each only a record size.
	ext := binary.LittleEndian.AppendUint16(nil, btfMagic)
	ext = append(ext, 1, 0)
	for _, v := range []uint32{32, 0, 4, 4, 4, 8, uint32(len(relocs)), funcInfoSize, lineInfoSize} {
		ext = binary.LittleEndian.AppendUint32(ext, v)
	}
	spec, infos, err := ciliumbtf.LoadSpecAndExtInfosFromReader(bytes.NewReader(elfWith(l.types.raw, append(ext, relocs...))))
	if err != nil {
		return &coreTable{err: err}
	}
	if infos == nil { // what cilium makes of a missing type
		return &coreTable{err: errors.New("the relocations refer to types that are not there")}
	}
	return &coreTable{spec: spec, relocs: infos.CORERelos}
}

// elfWith returns an ELF file that holds two sections and an empty symbol
// table.
func elfWith(btf, ext []byte) []byte {
	const names = "\x00.BTF\x00.BTF.ext\x00.symtab\x00.strtab\x00"
	const header, size = 64, 64 // bytes of file and section headers
	parts := [][]byte{btf, ext, make([]byte, debugelf.Sym64Size), []byte(names)}
	sections := []debugelf.Section64{
		{},
		{Name: 1, Type: uint32(debugelf.SHT_PROGBITS)},
		{Name: 6, Type: uint32(debugelf.SHT_PROGBITS)},
		{Name: 15, Type: uint32(debugelf.SHT_SYMTAB), Link: 4, Entsize: debugelf.Sym64Size},
		{Name: 23, Type: uint32(debugelf.SHT_STRTAB)},
	}
	var b bytes.Buffer
	h := debugelf.Header64{
		Type: uint16(debugelf.ET_REL), Machine: uint16(debugelf.EM_BPF), Version: uint32(debugelf.EV_CURRENT),
		Shoff: header, Ehsize: header, Shentsize: size, Shnum: uint16(len(sections)), Shstrndx: 4,
	}
	copy(h.Ident[:], debugelf.ELFMAG)
	h.Ident[debugelf.EI_CLASS] = byte(debugelf.ELFCLASS64)
	h.Ident[debugelf.EI_DATA] = byte(debugelf.ELFDATA2LSB)
	h.Ident[debugelf.EI_VERSION] = byte(debugelf.EV_CURRENT)
	write := func(v any) {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic("BUG: " + err.Error()) // a bytes.Buffer takes everything
		}
	}
	write(&h)
	off := uint64(header + size*len(sections))
	for i := range sections {
		if i > 0 {
			sections[i].Off, sections[i].Size = off, uint64(len(parts[i-1]))
			off += sections[i].Size
		}
		write(&sections[i])
	}
	for _, p := range parts {
		b.Write(p)
	}
	return b.Bytes()
}

// A fixup is what an instruction's constant is and becomes.
type fixup struct {
	kind          string
	local, target uint64
	poison        bool // the target has no such thing: the instruction must not run
}

// parseFixup reads the text form of a COREFixup, "kind=local->target" or
// "kind=poison"; its fields are not exported.
func parseFixup(s string) (fixup, error) {
	kind, v, ok := strings.Cut(s, "=")
	if ok && v == "poison" {
		return fixup{kind: kind, poison: true}, nil
	}
	local, target, ok2 := strings.Cut(v, "->")
	a, err1 := strconv.ParseUint(local, 10, 64)
	b, err2 := strconv.ParseUint(target, 10, 64)
	if !ok || !ok2 || err1 != nil || err2 != nil {
		return fixup{}, fmt.Errorf("result %q is not of the form kind=local->target", s)
	}
	return fixup{kind: kind, local: a, target: b}, nil
}

// poisonHelper is the helper that libbpf puts where an instruction cannot be
// relocated: it does not exist, so a program that can reach it is refused.
const poisonHelper = 0xbad2310

// apply rewrites the instruction at pc.
func (x fixup) apply(insns []prog.Insn, pc int) error {
	in := &insns[pc]
	call := prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.Call), Imm: poisonHelper}
	if in.IsWide() && pc+1 >= len(insns) {
		return errors.New("a wide instruction without its second half")
	}
	if x.poison {
		if in.IsWide() {
			insns[pc+1] = call
		}
		*in = call
		return nil
	}
	// Bit-fields are read by another access than C's, so their old values are
	// not what the compiler recorded.
	check := strings.Contains(x.kind, "exists") || strings.Contains(x.kind, "type_") || strings.Contains(x.kind, "enumval_")
	switch class := in.Op.Class(); {
	case class == isa.LDX || class == isa.ST || class == isa.STX:
		if x.target > math.MaxInt16 {
			return fmt.Errorf("offset %d does not fit an instruction", x.target)
		}
		in.Off = int16(x.target)
	case in.IsWide():
		if old := uint64(uint32(in.Imm)) | uint64(uint32(insns[pc+1].Imm))<<32; check && old != x.local {
			return fmt.Errorf("the instruction holds %d, not %d", old, x.local)
		}
		in.Imm, insns[pc+1].Imm = int32(x.target), int32(x.target>>32)
	case (class == isa.ALU || class == isa.ALU64) && in.Op.Source() == isa.K:
		if check && in.Imm != int32(x.local) {
			return fmt.Errorf("the instruction holds %d, not %d", in.Imm, int32(x.local))
		}
		if fits := int64(int32(x.target)) == int64(x.target) || class == isa.ALU && x.target>>32 == 0; !fits {
			return fmt.Errorf("value %#x does not fit an instruction", x.target)
		}
		in.Imm = int32(x.target)
	default:
		return fmt.Errorf("opcode %#02x holds no constant", uint8(in.Op))
	}
	return nil
}
