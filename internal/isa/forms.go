package isa

import (
	"fmt"
	"strings"
)

// table builds every row: one call per chapter of the instruction set.
func table() []Form {
	var t []Form
	t = append(t, aluForms()...)
	t = append(t, swapForms()...)
	t = append(t, jumpForms()...)
	t = append(t, callForms()...)
	t = append(t, loadForms()...)
	t = append(t, storeForms()...)
	t = append(t, atomicForms()...)
	t = append(t, wideForms()...)
	t = append(t, packetForms()...)
	return t
}

func op(class Class, rest ...uint8) Op {
	o := uint8(class)
	for _, r := range rest {
		o |= r
	}
	return Op(o)
}

// aluForms are arithmetic and moves (RFC 9669, section 4.1).
func aluForms() []Form {
	rows := []struct {
		op    ALUOp
		name  string
		sign  string // operator in text
		off   int16  // 0, or what selects a signed form
		dst   Use
		group [2]Group // ALU, ALU64
	}{
		{Add, "add", "+=", 0, Read | Write, [2]Group{GroupBase32, GroupBase64}},
		{Sub, "sub", "-=", 0, Read | Write, [2]Group{GroupBase32, GroupBase64}},
		{Mul, "mul", "*=", 0, Read | Write, [2]Group{GroupDivMul32, GroupDivMul64}},
		{Div, "div", "/=", 0, Read | Write, [2]Group{GroupDivMul32, GroupDivMul64}},
		{Div, "sdiv", "s/=", 1, Read | Write, [2]Group{GroupDivMul32, GroupDivMul64}},
		{Or, "or", "|=", 0, Read | Write, [2]Group{GroupBase32, GroupBase64}},
		{And, "and", "&=", 0, Read | Write, [2]Group{GroupBase32, GroupBase64}},
		{Lsh, "lsh", "<<=", 0, Read | Write, [2]Group{GroupBase32, GroupBase64}},
		{Rsh, "rsh", ">>=", 0, Read | Write, [2]Group{GroupBase32, GroupBase64}},
		{Mod, "mod", "%=", 0, Read | Write, [2]Group{GroupDivMul32, GroupDivMul64}},
		{Mod, "smod", "s%=", 1, Read | Write, [2]Group{GroupDivMul32, GroupDivMul64}},
		{Xor, "xor", "^=", 0, Read | Write, [2]Group{GroupBase32, GroupBase64}},
		{Mov, "mov", "=", 0, Write, [2]Group{GroupBase32, GroupBase64}},
		{Arsh, "arsh", "s>>=", 0, Read | Write, [2]Group{GroupBase32, GroupBase64}},
	}
	var t []Form
	for i, class := range []Class{ALU, ALU64} {
		r, suffix := width(class == ALU64)
		for _, row := range rows {
			t = append(t, Form{
				Op: op(class, uint8(row.op), uint8(K)), Name: row.name + suffix, Group: row.group[i],
				Text: fmt.Sprintf("%s{dst} %s {imm}", r, row.sign),
				Dst:  row.dst, dst: anyValue, off: only(int32(row.off)), imm: anyValue,
			}, Form{
				Op: op(class, uint8(row.op), uint8(X)), Name: row.name + suffix, Group: row.group[i],
				Text: fmt.Sprintf("%s{dst} %s %s{src}", r, row.sign, r),
				Dst:  row.dst, Src: Read, dst: anyValue, src: anyValue, off: only(int32(row.off)),
			})
		}
		t = append(t, Form{
			Op: op(class, uint8(Neg)), Name: "neg" + suffix, Group: [2]Group{GroupBase32, GroupBase64}[i],
			Text: fmt.Sprintf("%s{dst} = -%s{dst}", r, r),
			Dst:  Read | Write, dst: anyValue,
		})
		for _, bits := range []int32{8, 16, 32} {
			if class == ALU && bits == 32 {
				continue
			}
			t = append(t, Form{
				Op: op(class, uint8(Mov), uint8(X)), Name: "movsx" + suffix, Group: [2]Group{GroupBase32, GroupBase64}[i],
				Text: fmt.Sprintf("%s{dst} = (s%d)%s{src}", r, bits, r),
				Dst:  Write, Src: Read, dst: anyValue, src: anyValue, off: only(bits),
			})
		}
	}
	// Address-space casts: kernel, include/uapi/linux/bpf.h, since 6.9. The
	// immediate holds both spaces: from in the upper half, to in the lower.
	for _, spaces := range []int32{1, 1 << 16} {
		t = append(t, Form{
			Op: op(ALU64, uint8(Mov), uint8(X)), Name: AddrSpaceCast, Group: GroupKernel,
			Text: fmt.Sprintf("r{dst} = addr_space_cast(r{src}, %d, %d)", spaces>>16, spaces&0xffff),
			Dst:  Write, Src: Read, dst: anyValue, src: anyValue, off: only(1), imm: only(spaces),
		})
	}
	return t
}

// AddrSpaceCast is the name of the forms that convert pointers to and from an
// arena's address space.
const AddrSpaceCast = "addr_space_cast"

// width returns the register letter and the name suffix of an operand width.
func width(is64 bool) (letter, suffix string) {
	if is64 {
		return "r", ""
	}
	return "w", "32"
}

// swapForms are the byte swaps (RFC 9669, section 4.2).
func swapForms() []Form {
	var t []Form
	for _, row := range []struct {
		op   Op
		name string
	}{
		{op(ALU, uint8(End), uint8(K)), "le"},
		{op(ALU, uint8(End), uint8(X)), "be"},
		{op(ALU64, uint8(End), uint8(K)), "bswap"},
	} {
		for _, bits := range []int32{16, 32, 64} {
			group := GroupBase32
			if bits == 64 {
				group = GroupBase64
			}
			t = append(t, Form{
				Op: row.op, Name: row.name, Group: group,
				Text: fmt.Sprintf("r{dst} = %s%d r{dst}", row.name, bits),
				Dst:  Read | Write, dst: anyValue, imm: only(bits),
			})
		}
	}
	return t
}

// jumpForms are the jumps that stay in a function (RFC 9669, section 4.3).
func jumpForms() []Form {
	t := []Form{
		{Op: op(JMP, uint8(JA)), Name: "goto", Group: GroupBase32, Text: "goto pc{off}", off: anyValue},
		{Op: op(JMP32, uint8(JA)), Name: "gotol", Group: GroupBase32, Text: "gotol pc{rel}", imm: anyValue},
		{Op: op(JMP, uint8(MayGoto)), Name: "may_goto", Group: GroupKernel, Text: "may_goto pc{off}", off: anyValue},
	}
	rows := []struct {
		op         JmpOp
		name, sign string
	}{
		{JEq, "jeq", "=="},
		{JGt, "jgt", ">"},
		{JGe, "jge", ">="},
		{JSet, "jset", "&"},
		{JNe, "jne", "!="},
		{JSGt, "jsgt", "s>"},
		{JSGe, "jsge", "s>="},
		{JLt, "jlt", "<"},
		{JLe, "jle", "<="},
		{JSLt, "jslt", "s<"},
		{JSLe, "jsle", "s<="},
	}
	for i, class := range []Class{JMP32, JMP} {
		r, suffix := width(class == JMP)
		group := [2]Group{GroupBase32, GroupBase64}[i]
		for _, row := range rows {
			t = append(t, Form{
				Op: op(class, uint8(row.op), uint8(K)), Name: row.name + suffix, Group: group,
				Text: fmt.Sprintf("if %s{dst} %s {hex} goto pc{off}", r, row.sign),
				Dst:  Read, dst: anyValue, off: anyValue, imm: anyValue,
			}, Form{
				Op: op(class, uint8(row.op), uint8(X)), Name: row.name + suffix, Group: group,
				Text: fmt.Sprintf("if %s{dst} %s %s{src} goto pc{off}", r, row.sign, r),
				Dst:  Read, Src: Read, dst: anyValue, src: anyValue, off: anyValue,
			})
		}
	}
	return t
}

// callForms are calls and returns (RFC 9669, section 4.3). A call through a
// register is what clang emits, the register in dst; the RFC names the
// operation without giving it a place.
func callForms() []Form {
	return []Form{
		{Op: op(JMP, uint8(Call)), Name: "call", Group: GroupBase32, Text: "call {imm}", src: only(CallHelper), imm: anyValue},
		{Op: op(JMP, uint8(Call)), Name: "call", Group: GroupBase32, Text: "call pc{rel}", src: only(CallSub), imm: anyValue},
		{Op: op(JMP, uint8(Call)), Name: "call", Group: GroupBase32, Text: "call kfunc[{off}]#{imm}", src: only(CallKfunc), off: anyValue, imm: anyValue},
		{Op: op(JMP, uint8(Call), uint8(X)), Name: "callx", Group: GroupKernel, Text: "callx r{dst}", Dst: Read, dst: anyValue},
		{Op: op(JMP, uint8(Exit)), Name: "exit", Group: GroupBase32, Text: "exit"},
	}
}

// sizes are the widths of loads and stores, with their C types in text.
var sizes = []struct {
	size  Size
	name  string
	group Group
}{{B, "8", GroupBase32}, {H, "16", GroupBase32}, {W, "32", GroupBase32}, {DW, "64", GroupBase64}}

// loadForms are LDX (RFC 9669, sections 5.1 and 5.2).
func loadForms() []Form {
	var t []Form
	for _, s := range sizes {
		t = append(t, Form{
			Op: op(LDX, uint8(MEM), uint8(s.size)), Name: "ldx" + s.name, Group: s.group,
			Text: fmt.Sprintf("r{dst} = *(u%s *)(r{src} {off})", s.name),
			Dst:  Write, Src: Read, dst: anyValue, src: anyValue, off: anyValue,
		})
		if s.size != DW {
			t = append(t, Form{
				Op: op(LDX, uint8(MEMSX), uint8(s.size)), Name: "ldsx" + s.name, Group: GroupBase64,
				Text: fmt.Sprintf("r{dst} = *(s%s *)(r{src} {off})", s.name),
				Dst:  Write, Src: Read, dst: anyValue, src: anyValue, off: anyValue,
			})
		}
	}
	return t
}

// storeForms are ST and STX (RFC 9669, section 5.1).
func storeForms() []Form {
	var t []Form
	for _, s := range sizes {
		t = append(t, Form{
			Op: op(ST, uint8(MEM), uint8(s.size)), Name: "st" + s.name, Group: s.group,
			Text: fmt.Sprintf("*(u%s *)(r{dst} {off}) = {imm}", s.name),
			Dst:  Read, dst: anyValue, off: anyValue, imm: anyValue,
		}, Form{
			Op: op(STX, uint8(MEM), uint8(s.size)), Name: "stx" + s.name, Group: s.group,
			Text: fmt.Sprintf("*(u%s *)(r{dst} {off}) = r{src}", s.name),
			Dst:  Read, Src: Read, dst: anyValue, src: anyValue, off: anyValue,
		})
	}
	return t
}

// atomicForms are the atomic operations (RFC 9669, section 5.3), and the
// kernel's load-acquire and store-release.
func atomicForms() []Form {
	var t []Form
	for _, s := range sizes {
		t = append(t, Form{
			Op: op(STX, uint8(ATOMIC), uint8(s.size)), Name: "load_acquire", Group: GroupKernel,
			Text: fmt.Sprintf("r{dst} = load_acquire((u%s *)(r{src} {off}))", s.name),
			Dst:  Write, Src: Read, dst: anyValue, src: anyValue, off: anyValue, imm: only(LoadAcquire),
		}, Form{
			Op: op(STX, uint8(ATOMIC), uint8(s.size)), Name: "store_release", Group: GroupKernel,
			Text: fmt.Sprintf("store_release((u%s *)(r{dst} {off}), r{src})", s.name),
			Dst:  Read, Src: Read, dst: anyValue, src: anyValue, off: anyValue, imm: only(StoreRelease),
		})
		if s.size != W && s.size != DW {
			continue
		}
		group, bits := GroupAtomic32, ""
		if s.size == DW {
			group, bits = GroupAtomic64, "64"
		}
		for _, row := range []struct {
			code int32
			name string
			src  Use
			text string // SIZE: the width in bits; N: "64" for eight bytes
		}{
			{AtomicAdd, "atomic_add", Read, "lock *(uSIZE *)(r{dst} {off}) += r{src}"},
			{AtomicOr, "atomic_or", Read, "lock *(uSIZE *)(r{dst} {off}) |= r{src}"},
			{AtomicAnd, "atomic_and", Read, "lock *(uSIZE *)(r{dst} {off}) &= r{src}"},
			{AtomicXor, "atomic_xor", Read, "lock *(uSIZE *)(r{dst} {off}) ^= r{src}"},
			{AtomicAdd | AtomicFetch, "atomic_fetch_add", Read | Write, "r{src} = atomicN_fetch_add((uSIZE *)(r{dst} {off}), r{src})"},
			{AtomicOr | AtomicFetch, "atomic_fetch_or", Read | Write, "r{src} = atomicN_fetch_or((uSIZE *)(r{dst} {off}), r{src})"},
			{AtomicAnd | AtomicFetch, "atomic_fetch_and", Read | Write, "r{src} = atomicN_fetch_and((uSIZE *)(r{dst} {off}), r{src})"},
			{AtomicXor | AtomicFetch, "atomic_fetch_xor", Read | Write, "r{src} = atomicN_fetch_xor((uSIZE *)(r{dst} {off}), r{src})"},
			{AtomicXchg, "atomic_xchg", Read | Write, "r{src} = atomicN_xchg((uSIZE *)(r{dst} {off}), r{src})"},
			{AtomicCmpXchg, "atomic_cmpxchg", Read, "r0 = atomicN_cmpxchg((uSIZE *)(r{dst} {off}), r0, r{src})"},
		} {
			text := strings.NewReplacer("SIZE", s.name, "N", bits).Replace(row.text)
			t = append(t, Form{
				Op: op(STX, uint8(ATOMIC), uint8(s.size)), Name: row.name, Group: group, Text: text,
				Dst: Read, Src: row.src, dst: anyValue, src: anyValue, off: anyValue, imm: only(row.code),
			})
		}
	}
	return t
}

// wideForms are the 64-bit immediates (RFC 9669, section 5.4). The suffix "ll"
// is the compilers': without it the kernel's text does not tell a wide
// instruction from a move. The bracketed forms are bpftool's.
func wideForms() []Form {
	var t []Form
	for _, row := range []struct {
		src  int32
		text string
		next field
	}{
		{0, "r{dst} = {imm64} ll", anyValue},
		{PseudoMapFD, "r{dst} = map[{imm}]", only(0)},
		{PseudoMapValue, "r{dst} = map[{imm}][0]+{next}", anyValue},
		{PseudoBTFID, "r{dst} = btf_id[{imm}]", only(0)},
		{PseudoFunc, "r{dst} = subprog[{rel}]", only(0)},
		{PseudoMapIdx, "r{dst} = map_idx[{imm}]", only(0)},
		{PseudoMapIdxValue, "r{dst} = map_idx[{imm}][0]+{next}", anyValue},
	} {
		t = append(t, Form{
			Op: Wide, Name: "lddw", Group: GroupBase64, Text: row.text,
			Dst: Write, dst: anyValue, src: only(row.src), imm: anyValue, next: row.next,
		})
	}
	return t
}

// packetForms are the legacy packet loads (RFC 9669, section 5.5; kernel,
// Documentation/bpf/standardization/instruction-set.rst).
func packetForms() []Form {
	var t []Form
	for _, s := range sizes {
		if s.size == DW {
			continue
		}
		t = append(t, Form{
			Op: op(LD, uint8(ABS), uint8(s.size)), Name: "ldabs" + s.name, Group: GroupPacket,
			Text: fmt.Sprintf("r0 = *(u%s *)skb[{imm}]", s.name), imm: anyValue,
		}, Form{
			Op: op(LD, uint8(IND), uint8(s.size)), Name: "ldind" + s.name, Group: GroupPacket,
			Text: fmt.Sprintf("r0 = *(u%s *)skb[r{src} + {imm}]", s.name),
			Src:  Read, src: anyValue, imm: anyValue,
		})
	}
	return t
}
