package elf_test

import (
	"bytes"
	debugelf "debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// An image is an ELF object taken apart, to be changed and put together again.
type image struct {
	header   debugelf.Header64
	sections []*part
}

type part struct {
	debugelf.Section64
	name string
	data []byte
}

func readImage(t *testing.T, name string) *image {
	t.Helper()
	raw, err := os.ReadFile(dir + name)
	if err != nil {
		t.Fatal(err)
	}
	f, err := debugelf.NewFile(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	m := &image{}
	if _, err := binary.Decode(raw, binary.LittleEndian, &m.header); err != nil {
		t.Fatal(err)
	}
	for i, s := range f.Sections {
		p := &part{name: s.Name}
		if _, err := binary.Decode(raw[m.header.Shoff+uint64(i)*64:], binary.LittleEndian, &p.Section64); err != nil {
			t.Fatal(err)
		}
		if s.Type != debugelf.SHT_NOBITS && s.Type != debugelf.SHT_NULL {
			if p.data, err = s.Data(); err != nil {
				t.Fatal(err)
			}
		}
		m.sections = append(m.sections, p)
	}
	return m
}

// bytes puts the object together: header, contents, section headers.
func (m *image) bytes(t *testing.T) []byte {
	t.Helper()
	out := make([]byte, 64)
	for _, p := range m.sections {
		if p.Type == uint32(debugelf.SHT_NOBITS) || p.Type == uint32(debugelf.SHT_NULL) {
			continue
		}
		p.Off, p.Size = uint64(len(out)), uint64(len(p.data))
		out = append(out, p.data...)
	}
	m.header.Shoff = uint64(len(out))
	m.header.Shnum = uint16(len(m.sections))
	for _, p := range m.sections {
		var err error
		if out, err = binary.Append(out, binary.LittleEndian, p.Section64); err != nil {
			t.Fatal(err)
		}
	}
	head, err := binary.Append(nil, binary.LittleEndian, m.header)
	if err != nil {
		t.Fatal(err)
	}
	copy(out, head)
	return out
}

func (m *image) section(name string) *part {
	for _, p := range m.sections {
		if p.name == name {
			return p
		}
	}
	return nil
}

// contents returns what a map starts with, for comparison.
func contents(es []maps.Entry) []string {
	var out []string
	for _, e := range es {
		s := fmt.Sprintf("%x %x %s", e.Key, e.Value, e.Program)
		if e.Map != nil {
			s += " " + e.Map.Name
		}
		out = append(out, s)
	}
	return out
}

// symbols calls f with each symbol's bytes and name.
func (m *image) symbols(f func(name string, sym []byte)) {
	tab, str := m.section(".symtab").data, m.section(".strtab").data
	for i := 24; i < len(tab); i += 24 {
		name := str[binary.LittleEndian.Uint32(tab[i:]):]
		f(string(name[:bytes.IndexByte(name, 0)]), tab[i:i+24])
	}
}

func load(t *testing.T, raw []byte, opts ...elf.Options) (*prog.Object, error) {
	t.Helper()
	var o elf.Options
	if len(opts) > 0 {
		o = opts[0]
	}
	return elf.Load(bytes.NewReader(raw), "bad.o", o)
}

// TestOtherEncodings changes how an object says what it says: relocations with
// explicit addends, symbols as old LLVM wrote them. The linked programs must
// not change.
func TestOtherEncodings(t *testing.T) {
	for _, tc := range []struct {
		name   string
		object string
		change func(t *testing.T, m *image)
	}{
		{"RELA", "xdp.o", rela},
		{"RELA", "subprogs.o", rela},
		{"RELA", "data.o", rela},
		{"RELA", "maps.o", rela},
		{"RELA without types", "xdp.o", func(t *testing.T, m *image) { // LLVM 3.7
			rela(t, m)
			for _, p := range m.sections {
				for b := p.data; p.Type == uint32(debugelf.SHT_RELA) && len(b) > 0; b = b[24:] {
					binary.LittleEndian.PutUint32(b[8:], 0)
				}
			}
		}},
		{"no symbol sizes", "xdp.o", func(t *testing.T, m *image) {
			m.symbols(func(_ string, sym []byte) { binary.LittleEndian.PutUint64(sym[16:], 0) })
		}},
		{"no symbol types", "legacy.o", func(t *testing.T, m *image) {
			m.symbols(func(_ string, sym []byte) {
				if typ := sym[4] & 0xf; typ == byte(debugelf.STT_FUNC) || typ == byte(debugelf.STT_OBJECT) {
					sym[4] &= 0xf0
					binary.LittleEndian.PutUint64(sym[16:], 0)
				}
			})
		}},
		{"EM_NONE", "xdp.o", func(t *testing.T, m *image) { m.header.Machine = 0 }},
	} {
		t.Run(tc.name+" "+tc.object, func(t *testing.T) {
			m := readImage(t, tc.object)
			tc.change(t, m)
			got, err := load(t, m.bytes(t))
			if err != nil {
				t.Fatal(err)
			}
			want := open(t, tc.object)
			for i, p := range want.Programs {
				a, b := link(t, want, p.Name), link(t, got, got.Programs[i].Name)
				if d := cmp.Diff(describe(a, true), describe(b, true)); d != "" {
					t.Errorf("%s: %s", p.Name, d)
				}
			}
			for i, m := range want.Maps {
				if d := cmp.Diff(contents(m.Contents), contents(got.Maps[i].Contents)); d != "" {
					t.Errorf("%s: %s", m.Name, d)
				}
			}
		})
	}
}

// rela turns REL sections into RELA: addends move out of the instructions.
func rela(t *testing.T, m *image) {
	for _, p := range m.sections {
		if p.Type != uint32(debugelf.SHT_REL) {
			continue
		}
		target := m.sections[p.Info]
		code := target.Flags&uint64(debugelf.SHF_EXECINSTR) != 0
		var out []byte
		for b := p.data; len(b) > 0; b = b[16:] {
			off := binary.LittleEndian.Uint64(b)
			var addend int64
			switch typ := binary.LittleEndian.Uint32(b[8:]); {
			case code && typ == 10:
				imm := target.data[off+4:]
				addend = (int64(int32(binary.LittleEndian.Uint32(imm))) + 1) * 8
				binary.LittleEndian.PutUint32(imm, 0xffffffff)
			case code:
				imm := target.data[off+4:]
				addend = int64(int32(binary.LittleEndian.Uint32(imm)))
				binary.LittleEndian.PutUint32(imm, 0)
			case typ == 2 && target.name == ".maps":
				addend = int64(binary.LittleEndian.Uint64(target.data[off:]))
				binary.LittleEndian.PutUint64(target.data[off:], 0)
			}
			out = append(out, b[:16]...)
			out = binary.LittleEndian.AppendUint64(out, uint64(addend))
		}
		p.Type, p.Entsize, p.data = uint32(debugelf.SHT_RELA), 24, out
	}
}

// TestHostile checks the answers to files that no compiler wrote.
func TestHostile(t *testing.T) {
	u32, u64 := binary.LittleEndian.PutUint32, binary.LittleEndian.PutUint64
	for _, tc := range []struct {
		name   string
		object string
		change func(t *testing.T, m *image)
		want   string // in the error; of the program if the object is fine
	}{
		{"4 GiB of zeros", "xdp.o", func(t *testing.T, m *image) { m.section(".bss").Size = 1 << 32 },
			"section .bss: 4294967296 bytes of data; at most"},
		{"2^63 bytes of zeros", "xdp.o", func(t *testing.T, m *image) { m.section(".bss").Size = 1 << 63 },
			"section .bss: 9223372036854775808 bytes"},
		{"other machine", "xdp.o", func(t *testing.T, m *image) { m.header.Machine = uint16(debugelf.EM_X86_64) }, "EM_X86_64"},
		{"executable", "xdp.o", func(t *testing.T, m *image) { m.header.Type = uint16(debugelf.ET_EXEC) }, "ET_EXEC"},
		{"32-bit", "xdp.o", func(t *testing.T, m *image) { m.header.Ident[4] = 1 }, "ELFCLASS32"},
		{"compressed", "xdp.o", func(t *testing.T, m *image) { m.section(".BTF").Flags |= uint64(debugelf.SHF_COMPRESSED) },
			"section .BTF: compressed"},
		{"name table", "xdp.o", func(t *testing.T, m *image) { m.header.Shstrndx = 99 }, "section name table 99"},
		{"odd code", "xdp.o", func(t *testing.T, m *image) { p := m.section("xdp"); p.data = p.data[:len(p.data)-3] },
			"section xdp: 421 bytes are not whole instructions"},
		{"relocations of nothing", "xdp.o", func(t *testing.T, m *image) { m.section(".relxdp").Info = 77 }, "relocates section 77"},
		{"relocation of no symbol", "xdp.o", func(t *testing.T, m *image) { u32(m.section(".relxdp").data[12:], 999) }, "symbol 999"},
		{"relocation outside", "xdp.o", func(t *testing.T, m *image) { u64(m.section(".relxdp").data, 1<<40) }, "relocation at 0x10000000000"},
		{"relocation inside a slot", "xdp.o", func(t *testing.T, m *image) { u64(m.section(".relxdp").data, 0x14) },
			"section xdp: filter+2: a relocation inside the instruction"},
		{"two relocations of one instruction", "xdp.o", func(t *testing.T, m *image) { b := m.section(".relxdp").data; copy(b[16:32], b) },
			"section xdp: filter+2: two relocations"},
		{"relocation of a plain instruction", "xdp.o", func(t *testing.T, m *image) { u64(m.section(".relxdp").data, 0) },
			"section xdp: filter+0: a relocation (to total) of an instruction"},
		{"relocation type", "xdp.o", func(t *testing.T, m *image) { u32(m.section(".relxdp").data[8:], 77) },
			"relocation of type 77"},
		{"data address outside", "xdp.o", func(t *testing.T, m *image) { u32(m.section("xdp").data[0x74:], 1<<20) },
			"section xdp: filter+14: address of .rodata: offset 0x100000"},
		{"map address inside", "xdp.o", func(t *testing.T, m *image) { u32(m.section("xdp").data[0xd4:], 4) },
			"section xdp: filter+26: reference to flows"},
		{"call outside", "xdp.o", func(t *testing.T, m *image) { u32(m.section("xdp").data[0x18c:], 1<<20) },
			"section xdp: filter+49: call of .text"},
		{"call into a function", "xdp.o", func(t *testing.T, m *image) { u32(m.section("xdp").data[0x18c:], 1) },
			"where no function starts"},
		{"function outside", "xdp.o", func(t *testing.T, m *image) {
			m.symbols(func(name string, sym []byte) {
				if name == "filter" {
					u64(sym[16:], 1<<40)
				}
			})
		}, "section xdp: filter: a function of 1099511627776 bytes"},
		{"variable outside", "xdp.o", func(t *testing.T, m *image) {
			m.symbols(func(name string, sym []byte) {
				if name == "drops" {
					u64(sym[8:], 1<<20)
				}
			})
		}, "section .data: drops: bytes 0x100000"},
		{"symbol in no section", "xdp.o", func(t *testing.T, m *image) {
			m.symbols(func(name string, sym []byte) { binary.LittleEndian.PutUint16(sym[6:], 500) })
		}, "section 500 of"},
		{"string table", "xdp.o", func(t *testing.T, m *image) { m.section(".symtab").Link = 12345 }, "string table 12345"},
		{"half a symbol", "xdp.o", func(t *testing.T, m *image) { p := m.section(".symtab"); p.data = p.data[:len(p.data)-1] }, "whole symbols"},
		{"BTF magic", "xdp.o", func(t *testing.T, m *image) { m.section(".BTF").data[0] = 0 }, "section .BTF: magic"},
		{"BTF cut", "xdp.o", func(t *testing.T, m *image) { p := m.section(".BTF"); p.data = p.data[:200] }, "section .BTF: "},
		{"BTF type out of range", "xdp.o", func(t *testing.T, m *image) { u32(m.section(".BTF").data[24+8:], 1<<30) },
			"section .BTF: type 1: refers to type 1073741824"},
		{"BTF kind", "xdp.o", func(t *testing.T, m *image) { u32(m.section(".BTF").data[24+4:], 31<<24) }, "unknown kind 31"},
		{"BTF.ext cut", "xdp.o", func(t *testing.T, m *image) { p := m.section(".BTF.ext"); p.data = p.data[:60] }, "section .BTF.ext: "},
		{"BTF.ext record size", "xdp.o", func(t *testing.T, m *image) { u32(m.section(".BTF.ext").data[32:], 1<<31) }, "records of 2147483648 bytes"},
		{"legacy map cut", "legacy.o", func(t *testing.T, m *image) { p := m.section("maps"); p.data = p.data[:60] }, "section maps: "},
		{"no BTF for maps", "maps.o", func(t *testing.T, m *image) { m.section(".BTF").Type = uint32(debugelf.SHT_NULL) },
			"section .maps: maps defined by BTF in an object without a .BTF section"},
		{"map reference without maps", "xdp.o", func(t *testing.T, m *image) { m.section(".maps").Type = uint32(debugelf.SHT_NOTE) },
			"section xdp: filter+26: address of flows in section .maps"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := readImage(t, tc.object)
			tc.change(t, m)
			obj, err := load(t, m.bytes(t))
			if err == nil {
				_, err = obj.Link(obj.Programs[0])
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "bad.o: ") {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// TestTruncated reads every prefix of an object.
func TestTruncated(t *testing.T) {
	raw, err := os.ReadFile(dir + "xdp.o")
	if err != nil {
		t.Fatal(err)
	}
	for n := range raw {
		if obj, err := load(t, raw[:n]); err == nil || obj != nil {
			t.Fatalf("the first %d bytes of %d make an object", n, len(raw))
		}
	}
}

// TestOneFaultOneProgram checks that the other programs of an object link.
func TestOneFaultOneProgram(t *testing.T) {
	m := readImage(t, "subprogs.o")
	code := m.section("xdp").data
	binary.LittleEndian.PutUint32(code[8+4:], 1<<20) // first's call of thrice
	obj, err := load(t, m.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	var failed []string
	for _, p := range obj.Programs {
		if _, err := obj.Link(p); err != nil {
			failed = append(failed, p.Name)
		}
	}
	if d := cmp.Diff([]string{"first"}, failed); d != "" {
		t.Error(d)
	}
}

// btfOf returns a BTF section with the types in body.
func btfOf(body []byte) []byte {
	strs := "\x00name\x00"
	out := []byte{0x9f, 0xeb, 1, 0}
	for _, v := range []int{24, 0, len(body), len(body), len(strs)} {
		out = binary.LittleEndian.AppendUint32(out, uint32(v))
	}
	return append(append(out, body...), strs...)
}

func btfType(kind, vlen, arg int, rest ...uint32) []byte {
	var out []byte
	for _, v := range append([]uint32{1, uint32(kind<<24 | vlen), uint32(arg)}, rest...) {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	return out
}

// TestHostileTypes checks that types no compiler makes are refused, or cost no
// more than their size.
func TestHostileTypes(t *testing.T) {
	long := func(n int, f func(i int) []byte) []byte {
		var b []byte
		for i := 1; i <= n; i++ {
			b = append(b, f(i)...)
		}
		return b
	}
	for _, tc := range []struct {
		name, want string
		body       []byte
	}{
		{"typedef of itself", "contains itself", btfType(8, 0, 1)},
		{"const cycle", "contains itself", append(btfType(10, 0, 2), btfType(9, 0, 1)...)},
		{"struct in itself", "contains itself", btfType(4, 1, 8, 1, 1, 0)},
		{"array of itself", "contains itself", btfType(3, 0, 0, 1, 1, 2)},
		{"deep", "nests", long(10000, func(i int) []byte { return btfType(8, 0, min(i+1, 10000)%10000) })},
		{"deep, from below", "nests", long(10000, func(i int) []byte { return btfType(8, 0, i-1) })},
		{"huge array", "array of", append(btfType(1, 0, 8, 64), append(btfType(3, 0, 0, 1, 1, 1<<30), btfType(3, 0, 0, 2, 1, 1<<30)...)...)},
		{"member outside", "ends at bit", append(btfType(1, 0, 4, 32), btfType(4, 1, 4, 1, 1, 8)...)},
		{"function without prototype", "no prototype", append(btfType(1, 0, 4, 32), btfType(12, 0, 1)...)},
		{"section of integers", "not variables", append(btfType(1, 0, 4, 32), btfType(15, 1, 4, 1, 0, 4)...)},
		{"tag of a component that is not there", "component 5", append(btfType(4, 0, 4), btfType(17, 0, 1, 5)...)},
		{"many types", "more than", long(1<<17+2, func(int) []byte { return btfType(2, 0, 0) })},
		{"pointers", "", long(1<<17, func(i int) []byte { return btfType(2, 0, i%(1<<17)) })},
		{"many tags of one parameter", "", append(btfType(13, 1, 0, 0, 0), append(btfType(12, 0, 1),
			long(100000, func(int) []byte { return btfType(17, 0, 2, 0) })...)...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := readImage(t, "legacy.o")
			m.section(".BTF").data = btfOf(tc.body)
			m.section(".BTF.ext").Type = uint32(debugelf.SHT_NULL)
			_, err := load(t, m.bytes(t))
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// TestHostileCORE gives cilium's recursive decoder, which is used for CO-RE
// relocations, the longest chain of types that is let through; and too many
// relocations with too long access strings.
func TestHostileCORE(t *testing.T) {
	target, err := ciliumbtf.LoadSpec(dir + "core_target.o")
	if err != nil {
		t.Fatal(err)
	}
	m := readImage(t, "core.o")
	btf := m.section(".BTF")
	types := binary.LittleEndian.Uint32(btf.data[12:])
	body, strs := btf.data[24:24+types], btf.data[24+types:]
	n := 0 // types so far
	for b := body; len(b) > 0; n++ {
		info := binary.LittleEndian.Uint32(b[4:])
		vlen := int(info & 0xffff)
		size := map[uint32]int{1: 16, 3: 24, 4: 12 + 12*vlen, 5: 12 + 12*vlen, 6: 12 + 8*vlen, 13: 12 + 8*vlen, 14: 16, 15: 12 + 12*vlen, 17: 16, 19: 12 + 12*vlen}[info>>24&0x1f]
		b = b[max(size, 12):]
	}
	const limit = 1<<15 - 1
	chain := bytes.Clone(body)
	for i := n + 1; i <= limit; i++ {
		p := btfType(2, 0, (i+1)%(limit+1))
		binary.LittleEndian.PutUint32(p, 0)
		chain = append(chain, p...)
	}
	// The first relocation is of the chain's first type.
	ext := m.section(".BTF.ext").data
	core := 32 + binary.LittleEndian.Uint32(ext[24:])
	binary.LittleEndian.PutUint32(ext[core+4+8+4:], uint32(n+1))
	binary.LittleEndian.PutUint32(btf.data[12:], uint32(len(chain)))
	binary.LittleEndian.PutUint32(btf.data[16:], uint32(len(chain)))
	btf.data = append(append(bytes.Clone(btf.data[:24]), chain...), strs...)
	start := time.Now()
	obj, err := load(t, m.bytes(t), elf.Options{BTF: target})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := obj.Link(obj.Programs[0]); err == nil || strings.Contains(err.Error(), "at most") {
		t.Errorf("relocation of a chain of pointers: %v", err)
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("%v, %d MiB of stack", time.Since(start), mem.StackSys>>20)
}

// TestHostileAccess makes every CO-RE relocation use one long access string.
func TestHostileAccess(t *testing.T) {
	target, err := ciliumbtf.LoadSpec(dir + "core_target.o")
	if err != nil {
		t.Fatal(err)
	}
	m := readImage(t, "core.o")
	btf := m.section(".BTF")
	off := binary.LittleEndian.Uint32(btf.data[20:])
	binary.LittleEndian.PutUint32(btf.data[20:], off+4001)
	btf.data = append(append(btf.data, bytes.Repeat([]byte("0:"), 2000)...), 0)
	ext := m.section(".BTF.ext").data
	core := 32 + binary.LittleEndian.Uint32(ext[24:])
	binary.LittleEndian.PutUint32(ext[core+4+8+8:], off)
	obj, err := load(t, m.bytes(t), elf.Options{BTF: target})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := obj.Link(obj.Programs[0]); err == nil || !strings.Contains(err.Error(), "access string of 4000 bytes") {
		t.Errorf("%v", err)
	}
}

// TestManySymbols checks the cost of a symbol table whose names overlap and
// whose functions all start at the same place.
func TestManySymbols(t *testing.T) {
	m := readImage(t, "legacy.o")
	str := m.section(".strtab")
	name := uint32(len(str.data))
	str.data = append(append(str.data, bytes.Repeat([]byte("x"), 4000)...), 0)
	tab := m.section(".symtab")
	var code []byte
	m.symbols(func(n string, sym []byte) {
		if n == "use" {
			code = bytes.Clone(sym)
		}
	})
	binary.LittleEndian.PutUint32(code, name)
	tab.data = append(tab.data, bytes.Repeat(code, 200000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	raw := m.bytes(t)
	obj, err := load(t, raw)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 100*uint64(len(raw)) {
		t.Errorf("%d bytes for a file of %d", used, len(raw))
	}
	t.Logf("%d programs in %v", len(obj.Programs), time.Since(start))

	tab.data = append(tab.data, bytes.Repeat(code, 400000)...)
	if _, err := load(t, m.bytes(t)); err == nil || !strings.Contains(err.Error(), "symbols; at most") {
		t.Errorf("too many symbols: %v", err)
	}
}
