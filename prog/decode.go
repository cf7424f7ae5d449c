package prog

import (
	"encoding/binary"
	"fmt"

	"github.com/skepvm/skep/internal/isa"
)

// InsnSize is the size of one slot in bytes.
const InsnSize = 8

// Decode splits raw little-endian code into slots (RFC 9669, section 3). It
// loses no bit and judges none: Check, Link and FromInsns do.
func Decode(raw []byte) ([]Insn, error) {
	if len(raw)%InsnSize != 0 {
		return nil, fmt.Errorf("code of %d bytes: not a multiple of %d", len(raw), InsnSize)
	}
	insns := make([]Insn, len(raw)/InsnSize)
	for i := range insns {
		b := raw[i*InsnSize:]
		insns[i] = Insn{
			Op:  isa.Op(b[0]),
			Dst: Reg(b[1] & 0xf),
			Src: Reg(b[1] >> 4),
			Off: int16(binary.LittleEndian.Uint16(b[2:])),
			Imm: int32(binary.LittleEndian.Uint32(b[4:])),
		}
	}
	return insns, nil
}

// Encode is the inverse of Decode.
func Encode(insns []Insn) []byte {
	raw := make([]byte, 0, len(insns)*InsnSize)
	for _, in := range insns {
		raw = append(raw, byte(in.Op), byte(in.Dst&0xf|in.Src<<4))
		raw = binary.LittleEndian.AppendUint16(raw, uint16(in.Off))
		raw = binary.LittleEndian.AppendUint32(raw, uint32(in.Imm))
	}
	return raw
}

// MaxInsns is the largest program, in slots (kernel, BPF_COMPLEXITY_LIMIT_INSNS).
const MaxInsns = 1_000_000

// Check reports the first slot of a function whose encoding is invalid, whose
// reserved fields are not zero, or that jumps out of the function or into the
// second slot of a wide instruction; or that the function can fall off its
// end. It is an *Error with PC in slots from the start of insns. Calls are
// checked for their encoding only.
func Check(insns []Insn) error {
	if len(insns) == 0 {
		return &Error{Msg: "no instructions"}
	}
	if len(insns) > MaxInsns {
		return &Error{Msg: fmt.Sprintf("%d slots, at most %d are allowed", len(insns), MaxInsns)}
	}
	second := make([]bool, len(insns)) // of wide instructions
	for pc := 0; pc < len(insns); pc++ {
		wide, msg := checkSlot(insns, pc)
		if msg != "" {
			return slotError(insns, pc, msg)
		}
		if wide {
			pc++
			second[pc] = true
		}
	}
	last := 0
	for pc, in := range insns {
		if second[pc] {
			continue
		}
		last = pc
		target, ok := in.target(PC(pc))
		switch {
		case !ok:
		case target < 0 || target >= int64(len(insns)):
			return slotError(insns, pc, fmt.Sprintf("jump to slot %d, outside the function's 0 to %d", target, len(insns)-1))
		case second[target]:
			return slotError(insns, pc, fmt.Sprintf("jump to slot %d, the second slot of a wide instruction", target))
		}
	}
	if !insns[last].endsFlow() {
		return slotError(insns, last, "the function falls off its end: its last instruction is neither exit nor goto")
	}
	return nil
}

// checkSlot checks the encoding of the instruction at pc.
func checkSlot(insns []Insn, pc int) (wide bool, msg string) {
	in := insns[pc]
	f, err := isa.Find(in.Op, uint8(in.Dst), uint8(in.Src), in.Off, in.Imm)
	if err != nil {
		return false, err.Error()
	}
	if f.Name == isa.AddrSpaceCast {
		return false, "addr_space_cast converts arena pointers, and arenas are not supported"
	}
	if !in.IsWide() {
		return false, ""
	}
	if pc+1 == len(insns) {
		return false, f.Name + ": the second slot is missing"
	}
	n := insns[pc+1]
	if err := f.CheckNext(n.Op, uint8(n.Dst), uint8(n.Src), n.Off, n.Imm); err != nil {
		return false, err.Error()
	}
	return true, ""
}

func slotError(insns []Insn, pc int, msg string) *Error {
	return &Error{PC: PC(pc), Insn: insns[pc], HasInsn: true, Msg: msg}
}

// target returns where in, at pc, may jump to; ok is false if it does not
// jump. Calls do not jump. The result may lie anywhere.
func (in Insn) target(pc PC) (slot int64, ok bool) {
	switch in.Op.Class() {
	case isa.JMP:
		switch in.Op.JmpOp() {
		case isa.Call, isa.Exit:
			return 0, false
		}
		return int64(pc) + 1 + int64(in.Off), true
	case isa.JMP32:
		if in.Op.JmpOp() == isa.JA {
			return int64(pc) + 1 + int64(in.Imm), true
		}
		return int64(pc) + 1 + int64(in.Off), true
	}
	return 0, false
}

// Target returns the slot that in, at pc of a valid program, may jump to; ok
// is false if it does not jump. A call is no jump.
func (in Insn) Target(pc PC) (t PC, ok bool) {
	slot, ok := in.target(pc)
	return PC(slot), ok
}

// endsFlow reports whether control never passes to the slot after in.
func (in Insn) endsFlow() bool {
	switch in.Op {
	case isa.Op(isa.JMP) | isa.Op(isa.Exit), isa.Op(isa.JMP) | isa.Op(isa.JA), isa.Op(isa.JMP32) | isa.Op(isa.JA):
		return true
	}
	return false
}
