package prog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
)

// Format returns the text of an instruction in the kernel's form
// (kernel/bpf/disasm.c): "r1 += 8", "if r0 s> 0x5 goto pc+3". next is the slot
// after in, which matters only to a wide instruction. Two texts say more than
// the kernel's: the constant of a wide instruction ends in "ll", as compilers
// write it, and its other forms are bpftool's ("map[0]", "subprog[+5]").
// Assemble reads all of them.
func Format(in, next Insn) string {
	f, err := isa.Find(in.Op, uint8(in.Dst), uint8(in.Src), in.Off, in.Imm)
	if err != nil {
		return fmt.Sprintf("invalid (opcode %#02x, dst %d, src %d, offset %d, imm %d)", uint8(in.Op), in.Dst, in.Src, in.Off, in.Imm)
	}
	var b strings.Builder
	rest := f.Text
	for {
		before, after, found := strings.Cut(rest, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		var name string
		name, rest, _ = strings.Cut(after, "}")
		switch name {
		case "dst":
			b.WriteString(strconv.Itoa(int(in.Dst)))
		case "src":
			b.WriteString(strconv.Itoa(int(in.Src)))
		case "off":
			fmt.Fprintf(&b, "%+d", in.Off)
		case "rel":
			fmt.Fprintf(&b, "%+d", in.Imm)
		case "imm":
			b.WriteString(strconv.Itoa(int(in.Imm)))
		case "hex":
			fmt.Fprintf(&b, "%#x", uint32(in.Imm))
		case "next":
			fmt.Fprintf(&b, "%d", uint32(next.Imm))
		case "imm64":
			fmt.Fprintf(&b, "%#x", in.Const(next))
		}
	}
}

// Const returns the constant of the wide instruction in, whose second slot is
// next.
func (in Insn) Const(next Insn) uint64 {
	return uint64(uint32(in.Imm)) | uint64(next.Imm)<<32
}

// Text returns the text of the instruction at pc with the names that p knows:
// helpers, functions of the host, subprograms and maps.
func (p *Program) Text(pc PC) string {
	in, next := p.Insns[pc], Insn{}
	if int(pc)+1 < len(p.Insns) {
		next = p.Insns[pc+1]
	}
	switch {
	case in.IsCall(isa.CallHelper):
		if f := p.helper(in.Imm); f != nil {
			return fmt.Sprintf("call bpf_%s#%d", f.Name, in.Imm)
		}
	case in.IsCall(isa.CallSub):
		if f := p.funcFrom(pc + 1 + PC(in.Imm)); f != nil {
			return fmt.Sprintf("call pc%+d#%s", in.Imm, f.Name)
		}
	case in.IsCall(isa.CallKfunc):
		if in.Imm >= 0 && int(in.Imm) < len(p.Externs) {
			return Format(in, next) + "#" + p.Externs[in.Imm].Name
		}
	case !in.IsWide():
	case in.Src == isa.PseudoFunc:
		rel := in
		rel.Imm -= int32(pc) + 1
		if f := p.funcFrom(PC(in.Imm)); f != nil {
			return fmt.Sprintf("r%d = subprog[%+d]#%s", in.Dst, rel.Imm, f.Name)
		}
		return Format(rel, next)
	case in.Src == isa.PseudoMapFD || in.Src == isa.PseudoMapValue:
		if in.Imm < 0 || int(in.Imm) >= len(p.Maps) || p.Maps[in.Imm].Name == "" {
			break
		}
		return Format(in, next) + "#" + p.Maps[in.Imm].Name
	}
	return Format(in, next)
}

func (p *Program) helper(id int32) *helpers.Func {
	if p.Type == nil {
		return nil
	}
	return p.Type.Helpers.Helper(helpers.ID(id))
}

// funcFrom returns the function that begins at entry, or nil.
func (p *Program) funcFrom(entry PC) *FuncInfo {
	if i := p.FuncAt(entry); i >= 0 && p.Funcs[i].Entry == entry {
		return &p.Funcs[i]
	}
	return nil
}
