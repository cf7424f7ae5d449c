package elf

import (
	"cmp"
	debugelf "debug/elf"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/skepvm/skep/maps"
)

// A mapAt is a map definition at its place in a section.
type mapAt struct {
	off, size uint64
	spec      *maps.Spec
	link      legacyLink
}

// A legacyLink is how a map-in-map without BTF names its inner map.
type legacyLink struct {
	id, innerID uint32 // iproute2, Windows: identifiers; 0 is none
	index       int    // PREVAIL's and samples/bpf's inner_map_idx; −1 is none
}

// findMap returns the map whose definition starts at off, or nil.
func (l *loader) findMap(section int, off uint64) *mapAt {
	ms := l.mapsAt[section]
	i, ok := slices.BinarySearchFunc(ms, off, func(m mapAt, off uint64) int { return cmp.Compare(m.off, off) })
	if !ok {
		return nil
	}
	return &ms[i]
}

// isLegacyMaps reports whether s holds map definitions as plain structs:
// "maps" (libbpf before 1.0, iproute2, Windows) and "maps/NAME" (gobpf).
func (s *section) isLegacyMaps() bool {
	return s.typ == debugelf.SHT_PROGBITS && s.size > 0 && !s.isCode() &&
		(s.name == "maps" || strings.HasPrefix(s.name, "maps/"))
}

// readLegacyMaps reads definitions that are structs of 32-bit numbers. All
// begin with type, key_size, value_size and max_entries; what follows depends
// on the length, which is that from one symbol to the next.
func (l *loader) readLegacyMaps() error {
	var all []*mapAt
	for i := range l.sections {
		s := &l.sections[i]
		if !s.isLegacyMaps() {
			continue
		}
		syms := l.mapSymbols(s)
		if len(syms) == 0 {
			return l.errorf(s.name, "", "no symbol names a map")
		}
		defs := make([]mapAt, len(syms))
		for i, sym := range syms {
			end := s.size
			if i+1 < len(syms) {
				end = syms[i+1].value
			}
			if sym.size != 0 && sym.size < end-sym.value {
				end = sym.value + sym.size
			}
			defs[i] = mapAt{off: sym.value, size: end - sym.value}
			if err := l.readLegacyMap(&defs[i], sym.name, s.data[sym.value:end]); err != nil {
				return l.errorf(s.name, sym.name, "%w", err)
			}
		}
		l.mapsAt[i] = defs
		for i := range defs {
			all = append(all, &defs[i])
			l.obj.Maps = append(l.obj.Maps, defs[i].spec)
		}
	}
	return l.linkLegacyMaps(all)
}

// mapSymbols returns the symbols of a map section, in order, one for each
// address. Old LLVM leaves their type NOTYPE.
func (l *loader) mapSymbols(s *section) []*symbol {
	var syms []*symbol
	for i := range l.symbols {
		sym := &l.symbols[i]
		if int(sym.section) == s.index && sym.name != "" && sym.value < s.size &&
			(sym.typ == debugelf.STT_OBJECT || sym.typ == debugelf.STT_NOTYPE) {
			syms = append(syms, sym)
		}
	}
	slices.SortStableFunc(syms, func(a, b *symbol) int { return cmp.Compare(a.value, b.value) })
	return slices.CompactFunc(syms, func(a, b *symbol) bool { return a.value == b.value })
}

// Lengths of the definitions in use.
const (
	defShort   = 16 // no flags: the first bpf_map_def
	defInner   = 24 // flags inner_map_idx: samples/bpf, PREVAIL
	defWindows = 32 // ebpf_map_definition_in_file: inner_map_idx pinning id inner_id
	defTC      = 36 // iproute2, struct bpf_elf_map: flags id pinning inner_id inner_idx
)

func (l *loader) readLegacyMap(m *mapAt, name string, def []byte) error {
	if len(def) < defShort {
		return fmt.Errorf("a definition of %d bytes; the shortest has %d", len(def), defShort)
	}
	field := func(i int) uint32 {
		if 4*i+4 > len(def) {
			return 0
		}
		return binary.LittleEndian.Uint32(def[4*i:])
	}
	m.spec = &maps.Spec{
		Name: name, Type: l.mapType(field(0)), KeySize: field(1), ValueSize: field(2), MaxEntries: field(3),
	}
	m.link.index = -1
	switch {
	case l.windows():
		m.link.id, m.link.innerID = field(6), field(7)
		if i := int32(field(4)); i > 0 {
			m.link.index = int(i)
		}
		if p := field(5); p != 0 && p != pinNone {
			m.spec.Pinning = pinDir + name
		}
	case len(def) == defTC:
		m.spec.Flags = maps.Flags(field(4))
		m.link.id, m.link.innerID = field(5), field(7)
		switch field(6) { // PIN_NONE, PIN_OBJECT_NS, PIN_GLOBAL_NS
		case 1:
			m.spec.Pinning = pinDir + "tc/" + name
		case 2:
			m.spec.Pinning = pinDir + "tc/globals/" + name
		}
	default:
		m.spec.Flags = maps.Flags(field(4))
		if isMapOfMaps(m.spec.Type) && len(def) >= defInner {
			m.link.index = int(int32(field(5)))
		}
	}
	return nil
}

const (
	pinDir  = "/sys/fs/bpf/"
	pinNone = 0xffffffff // Windows: PIN_NONE is −1 in some versions
)

// linkLegacyMaps finds the inner map of each map of maps.
func (l *loader) linkLegacyMaps(defs []*mapAt) error {
	byID := map[uint32]*maps.Spec{}
	for _, d := range defs {
		if d.link.id != 0 {
			byID[d.link.id] = d.spec
		}
	}
	for _, d := range defs {
		if !isMapOfMaps(d.spec.Type) {
			continue
		}
		if d.spec.ValueSize == 0 {
			d.spec.ValueSize = 4
		}
		switch inner := byID[d.link.innerID]; {
		case inner != nil && d.link.innerID != 0:
			d.spec.Inner = inner
		case d.link.index >= 0 && d.link.index < len(defs):
			d.spec.Inner = defs[d.link.index].spec
		}
		if d.spec.Inner == d.spec {
			return l.errorf("maps", d.spec.Name, "is its own inner map")
		}
	}
	return nil
}

func isMapOfMaps(t maps.Type) bool { return t == maps.ArrayOfMaps || t == maps.HashOfMaps }

func (l *loader) windows() bool { return l.opts.Platform.Name() == "windows" }

// windowsTypes translates map types of eBPF for Windows
// (ebpf_structs.h, ebpf_map_type_t).
var windowsTypes = []maps.Type{
	1: maps.Hash, 2: maps.Array, 3: maps.ProgArray, 4: maps.PerCPUHash, 5: maps.PerCPUArray, 6: maps.HashOfMaps,
	7: maps.ArrayOfMaps, 8: maps.LRUHash, 9: maps.LPMTrie, 10: maps.Queue, 11: maps.LRUPerCPUHash, 12: maps.Stack,
	13: maps.RingBuf, 15: maps.PerfEventArray,
}

// mapType returns the type that a definition's number means.
func (l *loader) mapType(n uint32) maps.Type {
	if l.windows() && int64(n) < int64(len(windowsTypes)) && windowsTypes[n] != 0 {
		return windowsTypes[n]
	}
	return maps.Type(n)
}
