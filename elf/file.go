package elf

import (
	"bytes"
	"cmp"
	debugelf "debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Limits on what is read. They are far above what compilers produce and keep
// a hostile file from costing more than a small multiple of its own size.
const (
	maxFile     = 64 << 20 // bytes of an object
	maxSections = 1 << 16  // section headers
	maxSymbols  = 1 << 19  // symbol table entries
	maxName     = 4096     // bytes of a section's or symbol's name
	maxData     = 64 << 20 // bytes of all data sections, .bss included
)

// A file is an ELF object in memory: section headers whose contents lie inside
// the file, symbols and relocations whose indices exist. It is read with the
// structures of debug/elf but not by its reader, which copies a name per
// section and so can be made to allocate far more than the file holds.
type file struct {
	data     []byte
	sections []section
	symbols  []symbol             // index as in the file; 0 is the null symbol
	relocs   map[int][]relocation // by target section, sorted by offset
}

type section struct {
	index int
	name  string
	typ   debugelf.SectionType
	flags debugelf.SectionFlag
	link  uint32
	info  uint32
	align uint64
	size  uint64 // of NOBITS sections too
	data  []byte // nil if NOBITS
}

// isCode reports whether the section holds instructions.
func (s *section) isCode() bool {
	return s.typ == debugelf.SHT_PROGBITS && s.flags&debugelf.SHF_EXECINSTR != 0 && s.size > 0
}

type symbol struct {
	name    string
	typ     debugelf.SymType
	bind    debugelf.SymBind
	section debugelf.SectionIndex // SHN_UNDEF: extern
	value   uint64
	size    uint64
}

func (s *symbol) weak() bool   { return s.bind == debugelf.STB_WEAK }
func (s *symbol) global() bool { return s.bind != debugelf.STB_LOCAL }

// A relocation is one entry of a REL or RELA section. In a RELA section the addend is explicit;
// otherwise it is in the bytes that the relocation changes.
type relocation struct {
	off      uint64
	typ      uint32
	sym      int
	addend   int64
	explicit bool
}

// readAll returns the bytes of r, at most maxFile.
func readAll(r io.ReaderAt) ([]byte, error) {
	var b bytes.Buffer
	n, err := b.ReadFrom(io.NewSectionReader(r, 0, maxFile+1))
	if err != nil {
		return nil, err
	}
	if n > maxFile {
		return nil, fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	return b.Bytes(), nil
}

// parseFile reads headers, symbols and relocations.
func parseFile(data []byte) (*file, error) {
	f := &file{data: data, relocs: map[int][]relocation{}}
	if err := f.readSections(); err != nil {
		return nil, err
	}
	for i := range f.sections {
		if s := &f.sections[i]; s.typ == debugelf.SHT_SYMTAB {
			if f.symbols != nil {
				return nil, fmt.Errorf("section %s: a second symbol table", s.name)
			}
			if err := f.readSymbols(s); err != nil {
				return nil, fmt.Errorf("section %s: %w", s.name, err)
			}
		}
	}
	for i := range f.sections {
		s := &f.sections[i]
		if s.typ != debugelf.SHT_REL && s.typ != debugelf.SHT_RELA {
			continue
		}
		if err := f.readRelocs(s); err != nil {
			return nil, fmt.Errorf("section %s: %w", s.name, err)
		}
	}
	for _, r := range f.relocs {
		slices.SortStableFunc(r, func(a, b relocation) int { return cmp.Compare(a.off, b.off) })
	}
	return f, nil
}

var errTruncated = errors.New("truncated")

// readSections checks the file header and reads the section headers.
func (f *file) readSections() error {
	if len(f.data) < 4 || string(f.data[:4]) != debugelf.ELFMAG {
		return errors.New("not an ELF file")
	}
	if len(f.data) < debugelf.EI_NIDENT {
		return fmt.Errorf("ELF header: %w", errTruncated)
	}
	if c := debugelf.Class(f.data[debugelf.EI_CLASS]); c != debugelf.ELFCLASS64 {
		return fmt.Errorf("%v; eBPF objects are 64-bit", c)
	}
	switch d := debugelf.Data(f.data[debugelf.EI_DATA]); d {
	case debugelf.ELFDATA2LSB:
	case debugelf.ELFDATA2MSB:
		return errors.New("big-endian object; skep runs little-endian programs only (build with -target bpfel)")
	default:
		return fmt.Errorf("unknown byte order %v", d)
	}
	var h debugelf.Header64
	if err := read(f.data, 0, &h); err != nil {
		return fmt.Errorf("ELF header: %w", err)
	}
	// Old LLVM left e_machine at EM_NONE.
	if m := debugelf.Machine(h.Machine); m != debugelf.EM_BPF && m != debugelf.EM_NONE {
		return fmt.Errorf("machine is %v, not EM_BPF", m)
	}
	if t := debugelf.Type(h.Type); t != debugelf.ET_REL {
		return fmt.Errorf("file type is %v; eBPF objects are relocatable (ET_REL)", t)
	}
	if h.Shoff == 0 {
		return errors.New("no section headers")
	}
	const size = 64 // of debugelf.Section64
	if h.Shentsize != size {
		return fmt.Errorf("section headers of %d bytes, not %d", h.Shentsize, size)
	}
	num, strndx := uint64(h.Shnum), uint64(h.Shstrndx)
	if num == 0 || strndx == uint64(debugelf.SHN_XINDEX) { // more than 65279 sections: see the first header
		var first debugelf.Section64
		if err := read(f.data, h.Shoff, &first); err != nil {
			return fmt.Errorf("section header 0: %w", err)
		}
		if num == 0 {
			num = first.Size
		}
		if strndx == uint64(debugelf.SHN_XINDEX) {
			strndx = uint64(first.Link)
		}
	}
	if num > maxSections {
		return fmt.Errorf("%d sections; at most %d are read", num, maxSections)
	}
	if h.Shoff > uint64(len(f.data)) || num*size > uint64(len(f.data))-h.Shoff {
		return fmt.Errorf("section headers: %w", errTruncated)
	}
	f.sections = make([]section, num)
	names := make([]uint32, num)
	for i := range f.sections {
		var sh debugelf.Section64
		if err := read(f.data, h.Shoff+uint64(i)*size, &sh); err != nil {
			return fmt.Errorf("section header %d: %w", i, err)
		}
		s := &f.sections[i]
		*s = section{
			index: i, typ: debugelf.SectionType(sh.Type), flags: debugelf.SectionFlag(sh.Flags),
			link: sh.Link, info: sh.Info, align: sh.Addralign, size: sh.Size,
		}
		names[i] = sh.Name
		if s.typ == debugelf.SHT_NOBITS || s.typ == debugelf.SHT_NULL {
			continue
		}
		if sh.Off > uint64(len(f.data)) || sh.Size > uint64(len(f.data))-sh.Off {
			return fmt.Errorf("section %d: bytes %#x to %#x are outside the file's %#x", i, sh.Off, sh.Off+sh.Size, len(f.data))
		}
		s.data = f.data[sh.Off : sh.Off+sh.Size : sh.Off+sh.Size]
	}
	if strndx >= num {
		return fmt.Errorf("section name table %d of %d sections", strndx, num)
	}
	table := string(f.sections[strndx].data)
	for i := range f.sections {
		name, err := cstring(table, names[i])
		if err != nil {
			return fmt.Errorf("name of section %d: %w", i, err)
		}
		s := &f.sections[i]
		if s.name = name; s.flags&debugelf.SHF_COMPRESSED != 0 {
			return fmt.Errorf("section %s: compressed sections are not supported", name)
		}
	}
	return nil
}

func (f *file) readSymbols(s *section) error {
	const size = debugelf.Sym64Size
	n := len(s.data) / size
	if len(s.data)%size != 0 {
		return fmt.Errorf("%d bytes are not whole symbols of %d", len(s.data), size)
	}
	if n > maxSymbols {
		return fmt.Errorf("%d symbols; at most %d are read", n, maxSymbols)
	}
	if int64(s.link) >= int64(len(f.sections)) {
		return fmt.Errorf("string table %d of %d sections", s.link, len(f.sections))
	}
	table := string(f.sections[s.link].data)
	f.symbols = make([]symbol, n)
	for i := range f.symbols {
		b := s.data[i*size:]
		name, err := cstring(table, binary.LittleEndian.Uint32(b))
		if err != nil {
			return fmt.Errorf("symbol %d: %w", i, err)
		}
		sym := symbol{
			name: name, typ: debugelf.ST_TYPE(b[4]), bind: debugelf.ST_BIND(b[4]),
			section: debugelf.SectionIndex(binary.LittleEndian.Uint16(b[6:])),
			value:   binary.LittleEndian.Uint64(b[8:]),
			size:    binary.LittleEndian.Uint64(b[16:]),
		}
		if sym.section < debugelf.SHN_LORESERVE {
			if int(sym.section) >= len(f.sections) {
				return fmt.Errorf("symbol %d (%s): section %d of %d", i, name, int(sym.section), len(f.sections))
			}
			// A section's symbol has no name of its own.
			if sym.typ == debugelf.STT_SECTION && sym.name == "" {
				sym.name = f.sections[sym.section].name
			}
		}
		f.symbols[i] = sym
	}
	return nil
}

func (f *file) readRelocs(s *section) error {
	size, explicit := 16, s.typ == debugelf.SHT_RELA
	if explicit {
		size = 24
	}
	if len(s.data)%size != 0 {
		return fmt.Errorf("%d bytes are not whole relocations of %d", len(s.data), size)
	}
	if int64(s.info) >= int64(len(f.sections)) {
		return fmt.Errorf("relocates section %d of %d", s.info, len(f.sections))
	}
	target := &f.sections[s.info]
	if target.flags&debugelf.SHF_ALLOC == 0 {
		return nil // types and debug information hold their offsets already
	}
	out := f.relocs[target.index]
	for b := s.data; len(b) > 0; b = b[size:] {
		info := binary.LittleEndian.Uint64(b[8:])
		r := relocation{
			off: binary.LittleEndian.Uint64(b), typ: debugelf.R_TYPE64(info), sym: int(debugelf.R_SYM64(info)),
			explicit: explicit,
		}
		if explicit {
			r.addend = int64(binary.LittleEndian.Uint64(b[16:]))
		}
		if r.sym < 0 || r.sym >= len(f.symbols) {
			return fmt.Errorf("relocation at %#x: symbol %d of %d", r.off, debugelf.R_SYM64(info), len(f.symbols))
		}
		if r.off >= target.size {
			return fmt.Errorf("relocation at %#x: section %s has %#x bytes", r.off, target.name, target.size)
		}
		if r.typ != relocNone || r.sym != 0 {
			out = append(out, r)
		}
	}
	f.relocs[target.index] = out
	return nil
}

// relocAt returns the relocation at a section's byte off, or nil.
func (f *file) relocAt(section int, off uint64) *relocation {
	rs := f.relocs[section]
	i, ok := slices.BinarySearchFunc(rs, off, func(r relocation, off uint64) int { return cmp.Compare(r.off, off) })
	if !ok {
		return nil
	}
	return &rs[i]
}

// named returns the first section called name, or nil.
func (f *file) named(name string) *section {
	for i := range f.sections {
		if f.sections[i].name == name && f.sections[i].typ != debugelf.SHT_NULL {
			return &f.sections[i]
		}
	}
	return nil
}

// read decodes the little-endian structure at off.
func read(data []byte, off uint64, v any) error {
	if off > uint64(len(data)) || uint64(binary.Size(v)) > uint64(len(data))-off {
		return errTruncated
	}
	_, err := binary.Decode(data[off:], binary.LittleEndian, v)
	return err
}

// cstring returns the NUL-terminated string at off of a string table. It shares
// the table's memory, so that a million names cost no more than the file.
func cstring(table string, off uint32) (string, error) {
	if off == 0 && len(table) == 0 {
		return "", nil
	}
	if int64(off) >= int64(len(table)) {
		return "", fmt.Errorf("string offset %d in a table of %d bytes", off, len(table))
	}
	b := table[off:]
	n := strings.IndexByte(b[:min(len(b), maxName+1)], 0)
	if n < 0 {
		return "", fmt.Errorf("string at %d does not end within %d bytes", off, min(len(b), maxName))
	}
	return b[:n], nil
}
