package isa

import "testing"

// sample returns slot fields that f is meant to describe.
func (f *Form) sample() (dst, src uint8, off int16, imm int32) {
	pick := func(name string, n int32) int32 {
		if v, ok := f.Fixed(name); ok {
			return v
		}
		return n
	}
	return uint8(pick("dst", 3)), uint8(pick("src", 4)), int16(pick("off", 7)), pick("imm", 9)
}

func TestFormsAreDistinct(t *testing.T) {
	texts := map[string]*Form{}
	for i := range Forms() {
		f := &Forms()[i]
		dst, src, off, imm := f.sample()
		got, err := Find(f.Op, dst, src, off, imm)
		if err != nil {
			t.Errorf("%s: %v", f.Text, err)
		} else if got != f {
			t.Errorf("%s: found as %s", f.Text, got.Text)
		}
		if g := texts[f.Text]; g != nil {
			t.Errorf("%s: text of two forms, opcodes %#02x and %#02x", f.Text, f.Op, g.Op)
		}
		texts[f.Text] = f
	}
}

// TestOpcodes counts the valid opcodes of each class (RFC 9669, appendix A, and
// what the kernel added).
func TestOpcodes(t *testing.T) {
	want := map[Class]int{
		LD:    7,                // lddw; 3 widths each of ABS and IND
		LDX:   7,                // 4 widths of MEM, 3 of MEMSX
		ST:    4,                //
		STX:   8,                // 4 widths of MEM and ATOMIC
		ALU:   12*2 + 1 + 2,     // 12 operations, neg, le and be
		ALU64: 12*2 + 1 + 1,     // 12 operations, neg, bswap
		JMP:   11*2 + 3 + 1 + 1, // 11 conditions; goto, call, exit; callx; may_goto
		JMP32: 11*2 + 1,         // 11 conditions; gotol
	}
	got := map[Class]int{}
	for op := range 256 {
		if len(byOp[op]) > 0 {
			got[Op(op).Class()]++
		}
	}
	for class := LD; class <= ALU64; class++ {
		if got[class] != want[class] {
			t.Errorf("class %d: %d opcodes, want %d", class, got[class], want[class])
		}
	}
}

func TestReservedFields(t *testing.T) {
	for _, tc := range []struct {
		name     string
		op       Op
		dst, src uint8
		off      int16
		imm      int32
		want     string // "" if valid
	}{
		{"add K with src", 0x07, 0, 1, 0, 0, "add: src is 1, must be 0"},
		{"add K with offset", 0x07, 0, 0, 1, 0, "add: offset is 1, must be 0"},
		{"add X with imm", 0x0f, 0, 1, 0, 1, "add: imm is 1, must be 0"},
		{"div K offset 2", 0x37, 0, 0, 2, 1, "div/sdiv: offset is 2, must be 0 or 1"},
		{"div K by 0", 0x37, 0, 0, 0, 0, ""},
		{"sdiv K", 0x37, 0, 0, 1, 0, ""},
		{"shift by 64", 0x67, 0, 0, 0, 64, ""},
		{"neg X", 0x8f, 0, 0, 0, 0, "opcode 0x8f is no instruction"},
		{"neg with imm", 0x87, 0, 0, 0, 1, "neg: imm is 1, must be 0"},
		{"mov X offset 24", 0xbf, 0, 1, 24, 0, "mov/movsx/addr_space_cast: offset is 24, must be 0 or 8 or 16 or 32 or 1"},
		{"mov32 X offset 32", 0xbc, 0, 1, 32, 0, "mov32/movsx32: offset is 32, must be 0 or 8 or 16"},
		{"movsx with imm", 0xbf, 0, 1, 8, 1, "movsx: imm is 1, must be 0"},
		{"mov K sign-extending", 0xb7, 0, 0, 8, 0, "mov: offset is 8, must be 0"},
		{"cast to space 2", 0xbf, 0, 1, 1, 2, "addr_space_cast: imm is 2, must be 1 or 65536"},
		{"le 24", 0xd4, 0, 0, 0, 24, "le: imm is 24, must be 16 or 32 or 64"},
		{"bswap X", 0xdf, 0, 0, 0, 16, "opcode 0xdf is no instruction"},
		{"r11", 0x0f, 11, 0, 0, 0, "add: dst is 11, must be a register, 0 to 10"},
		{"src r11", 0x0f, 0, 11, 0, 0, "add: src is 11, must be a register, 0 to 10"},
		{"write r10", 0x0f, 10, 0, 0, 0, "add: dst is 10, the frame pointer, which is read-only"},
		{"load into r10", 0x79, 10, 1, 0, 0, "ldx64: dst is 10, the frame pointer, which is read-only"},
		{"store to r10", 0x7b, 10, 1, -8, 0, ""},
		{"fetch into r10", 0xdb, 1, 10, 0, 1, "atomic_fetch_add: src is 10, the frame pointer, which is read-only"},
		{"atomic add of r10", 0xdb, 1, 10, 0, 0, ""},
		{"ldx with imm", 0x79, 1, 2, 0, 1, "ldx64: imm is 1, must be 0"},
		{"ldsx 64", 0x99, 1, 2, 0, 0, "opcode 0x99 is no instruction"},
		{"st with src", 0x7a, 1, 2, 0, 0, "st64: src is 2, must be 0"},
		{"stx with imm", 0x7b, 1, 2, 0, 1, "stx64: imm is 1, must be 0"},
		{"atomic 8-bit add", 0xd3, 1, 2, 0, 0, "load_acquire/store_release: imm is 0, must be 256 or 272"},
		{"goto with imm", 0x05, 0, 0, 0, 1, "goto: imm is 1, must be 0"},
		{"gotol with offset", 0x06, 0, 0, 1, 0, "gotol: offset is 1, must be 0"},
		{"goto X", 0x0d, 0, 0, 0, 0, "opcode 0x0d is no instruction"},
		{"jeq K with src", 0x15, 0, 1, 0, 0, "jeq: src is 1, must be 0"},
		{"jeq X with imm", 0x1d, 0, 1, 0, 1, "jeq: imm is 1, must be 0"},
		{"call src 3", 0x85, 0, 3, 0, 0, "call: src is 3, must be 0 or 1 or 2"},
		{"call with offset", 0x85, 0, 0, 1, 0, "call: offset is 1, must be 0"},
		{"call with dst", 0x85, 1, 0, 0, 0, "call: dst is 1, must be 0"},
		{"kfunc with offset", 0x85, 0, 2, 1, 0, ""},
		{"call32", 0x86, 0, 0, 0, 0, "opcode 0x86 is no instruction"},
		{"callx", 0x8d, 9, 0, 0, 0, ""},
		{"callx, register in imm", 0x8d, 0, 0, 0, 9, "callx: imm is 9, must be 0"},
		{"exit with imm", 0x95, 0, 0, 0, 1, "exit: imm is 1, must be 0"},
		{"exit with offset", 0x95, 0, 0, 1, 0, "exit: offset is 1, must be 0"},
		{"may_goto with src", 0xe5, 0, 1, 0, 0, "may_goto: src is 1, must be 0"},
		{"lddw src 7", 0x18, 0, 7, 0, 0, "lddw: src is 7, must be 0 or 1 or 2 or 3 or 4 or 5 or 6"},
		{"lddw with offset", 0x18, 0, 0, 1, 0, "lddw: offset is 1, must be 0"},
		{"ldabs with dst", 0x20, 1, 0, 0, 0, "ldabs32: dst is 1, must be 0"},
		{"ldabs 64", 0x38, 0, 0, 0, 0, "opcode 0x38 is no instruction"},
		{"ldabs with src", 0x20, 0, 1, 0, 0, "ldabs32: src is 1, must be 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			if _, err := Find(tc.op, tc.dst, tc.src, tc.off, tc.imm); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
