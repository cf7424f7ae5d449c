package elf

import (
	"encoding/binary"
	"fmt"

	"github.com/skepvm/skep/btf"
)

// An extTable is a decoded .BTF.ext section (kernel,
// Documentation/bpf/btf.rst, section 4): what BTF says of instructions. The
// slices keep the file's order; offsets are bytes in the section they name.
type extTable struct {
	funcs map[string][]funcInfo
	lines map[string][]lineInfo
	relos map[string][]coreReloc
}

type funcInfo struct {
	off uint32
	typ *btf.Type // of kind Func
}

type lineInfo struct {
	off        uint32
	file, text string
	line, col  int
}

// A coreReloc is one CO-RE relocation as recorded; see core.go.
type coreReloc struct {
	off    uint32
	typ    uint32
	access uint32 // offset of the access string
	kind   uint32
}

const (
	funcInfoSize  = 8
	lineInfoSize  = 16
	coreRelocSize = 16
)

// decodeExt reads a .BTF.ext section that belongs to t.
func decodeExt(raw []byte, t *typeTable) (*extTable, error) {
	var h struct {
		Magic                              uint16
		Version, Flags                     uint8
		Len                                uint32
		FuncOff, FuncLen, LineOff, LineLen uint32
	}
	if err := read(raw, 0, &h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if h.Magic != btfMagic || h.Version != 1 || h.Flags != 0 {
		return nil, fmt.Errorf("magic %#x, version %d, flags %#x", h.Magic, h.Version, h.Flags)
	}
	if h.Len < 24 || uint64(h.Len) > uint64(len(raw)) {
		return nil, fmt.Errorf("header of %d bytes in a section of %d", h.Len, len(raw))
	}
	var core struct{ Off, Len uint32 }
	if h.Len >= 32 {
		if err := read(raw, 24, &core); err != nil {
			return nil, err
		}
	}
	body := raw[h.Len:]
	x := &extTable{map[string][]funcInfo{}, map[string][]lineInfo{}, map[string][]coreReloc{}}

	err := records(body, h.FuncOff, h.FuncLen, funcInfoSize, t, func(section string, rec []byte) error {
		id := binary.LittleEndian.Uint32(rec[4:])
		if uint64(id) >= uint64(len(t.types)) || t.types[id].Kind != btf.Func {
			return fmt.Errorf("type %d is no function", id)
		}
		x.funcs[section] = append(x.funcs[section], funcInfo{binary.LittleEndian.Uint32(rec), &t.types[id]})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("function info: %w", err)
	}
	err = records(body, h.LineOff, h.LineLen, lineInfoSize, t, func(section string, rec []byte) error {
		file, err := cstring(t.strings, binary.LittleEndian.Uint32(rec[4:]))
		if err != nil {
			return fmt.Errorf("file name: %w", err)
		}
		text, err := cstring(t.strings, binary.LittleEndian.Uint32(rec[8:]))
		if err != nil {
			return fmt.Errorf("source line: %w", err)
		}
		pos := binary.LittleEndian.Uint32(rec[12:]) // line above 10 bits of column
		x.lines[section] = append(x.lines[section], lineInfo{
			off: binary.LittleEndian.Uint32(rec), file: file, text: text, line: int(pos >> 10), col: int(pos & 0x3ff),
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("line info: %w", err)
	}
	err = records(body, core.Off, core.Len, coreRelocSize, t, func(section string, rec []byte) error {
		u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(rec[i:]) }
		x.relos[section] = append(x.relos[section], coreReloc{u32(0), u32(4), u32(8), u32(12)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("CO-RE relocations: %w", err)
	}
	return x, nil
}

// records calls f for each record of one part of .BTF.ext: a record size, then
// for each section its name, a count and that many records.
func records(body []byte, off, n uint32, least int, t *typeTable, f func(section string, rec []byte) error) error {
	if n == 0 {
		return nil
	}
	b, err := part(body, off, n)
	if err != nil {
		return err
	}
	if len(b) < 4 {
		return errTruncated
	}
	size := int64(binary.LittleEndian.Uint32(b))
	if size < int64(least) || size > 256 || size%4 != 0 {
		return fmt.Errorf("records of %d bytes, not %d", size, least)
	}
	for b = b[4:]; len(b) > 0; {
		if len(b) < 8 {
			return errTruncated
		}
		section, err := cstring(t.strings, binary.LittleEndian.Uint32(b))
		if err != nil {
			return fmt.Errorf("section name: %w", err)
		}
		count := int64(binary.LittleEndian.Uint32(b[4:]))
		if b = b[8:]; count*size > int64(len(b)) {
			return fmt.Errorf("section %s: %d records of %d bytes: %w", section, count, size, errTruncated)
		}
		for ; count > 0; count-- {
			if err := f(section, b[:size]); err != nil {
				return fmt.Errorf("section %s: %w", section, err)
			}
			b = b[size:]
		}
	}
	return nil
}
