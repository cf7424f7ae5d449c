package helpers_test

import (
	"encoding/binary"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// A kernelCall is a program that calls one helper on arguments from a map
// value, which the test writes before and reads after each run. R0 goes to
// the value's first eight bytes.
type kernelCall struct {
	t    *testing.T
	prog *oracle.Program
	buf  *oracle.Map
}

const bufSize = 4096

// An arg says what a register holds at the call.
type arg struct {
	kind argKind
	off  int32 // in the buffer
	max  int32 // argSize: sizes are 1 to max, argSize0: 0 to max; a power of two
	imm  int32
}

type argKind int

const (
	argAddr  argKind = iota // address of the buffer's byte off
	argNum                  // the 64-bit number at off
	argSize                 // the same, which the test keeps in 1 to max
	argSize0                // the same, which the test keeps in 0 to max
	argImm                  // imm
	argStr                  // address of the constant string
)

// newKernelCall loads the program. str, if not nil, is the constant string.
func newKernelCall(t *testing.T, typ uint32, id helpers.ID, str []byte, args ...arg) *kernelCall {
	t.Helper()
	oracle.Skip(t)
	buf, err := oracle.NewMap(&maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: bufSize, MaxEntries: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(buf.Close)
	refs := []*oracle.Map{buf}
	if str != nil {
		ro, err := oracle.NewMap(&maps.Spec{Type: maps.Array, KeySize: 4, ValueSize: uint32(len(str)), MaxEntries: 1, Flags: maps.ReadOnlyProg}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(ro.Close)
		if err := ro.Update(make([]byte, 4), str, 0); err != nil {
			t.Fatal(err)
		}
		if err := ro.Freeze(); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ro)
	}
	p, log, err := oracle.Load(oracle.LoadOptions{Type: typ, Insns: callProgram(id, args), Maps: refs})
	if err != nil {
		t.Fatalf("the kernel refuses the call of helper %d: %v\n%s", id, err, log)
	}
	t.Cleanup(p.Close)
	return &kernelCall{t, p, buf}
}

// callProgram returns: r6 = buffer; r1.. = args; call id; *(u64 *)r6 = r0; exit.
func callProgram(id helpers.ID, args []arg) []prog.Insn {
	const (
		movX  = isa.Op(uint8(isa.ALU64) | uint8(isa.X) | uint8(isa.Mov))
		movK  = isa.Op(uint8(isa.ALU64) | uint8(isa.K) | uint8(isa.Mov))
		addK  = isa.Op(uint8(isa.ALU64) | uint8(isa.K) | uint8(isa.Add))
		andK  = isa.Op(uint8(isa.ALU64) | uint8(isa.K) | uint8(isa.And))
		loadD = isa.Op(uint8(isa.LDX) | uint8(isa.MEM) | uint8(isa.DW))
		stD   = isa.Op(uint8(isa.STX) | uint8(isa.MEM) | uint8(isa.DW))
		call  = isa.Op(uint8(isa.JMP) | uint8(isa.Call))
		exit  = isa.Op(uint8(isa.JMP) | uint8(isa.Exit))
	)
	p := []prog.Insn{
		{Op: isa.Wide, Dst: 6, Src: isa.PseudoMapValue}, {},
	}
	for i, a := range args {
		r := prog.Reg(i + 1)
		switch a.kind {
		case argAddr:
			p = append(p, prog.Insn{Op: movX, Dst: r, Src: 6}, prog.Insn{Op: addK, Dst: r, Imm: a.off})
		case argNum:
			p = append(p, prog.Insn{Op: loadD, Dst: r, Src: 6, Off: int16(a.off)})
		case argSize0:
			p = append(p, prog.Insn{Op: loadD, Dst: r, Src: 6, Off: int16(a.off)}, prog.Insn{Op: andK, Dst: r, Imm: 2*a.max - 1})
		case argSize: // stored less one
			p = append(p, prog.Insn{Op: loadD, Dst: r, Src: 6, Off: int16(a.off)}, prog.Insn{Op: addK, Dst: r, Imm: -1},
				prog.Insn{Op: andK, Dst: r, Imm: a.max - 1}, prog.Insn{Op: addK, Dst: r, Imm: 1})
		case argImm:
			p = append(p, prog.Insn{Op: movK, Dst: r, Imm: a.imm})
		case argStr:
			p = append(p, prog.Insn{Op: isa.Wide, Dst: r, Src: isa.PseudoMapValue, Imm: 1}, prog.Insn{})
		}
	}
	return append(p,
		prog.Insn{Op: call, Imm: int32(id)},
		prog.Insn{Op: stD, Dst: 6, Src: 0},
		prog.Insn{Op: movK, Dst: 0},
		prog.Insn{Op: exit})
}

// run calls the helper with the buffer's bytes buf, which it replaces by what
// the call left there. It returns R0.
func (k *kernelCall) run(buf []byte) uint64 {
	k.t.Helper()
	key := make([]byte, 4)
	if err := k.buf.Update(key, buf, 0); err != nil {
		k.t.Fatal(err)
	}
	in := oracle.RunInput{Data: make([]byte, 64)}
	if _, err := k.prog.Run(in); err != nil {
		k.t.Fatal(err)
	}
	if err := k.buf.Lookup(key, buf, 0); err != nil {
		k.t.Fatal(err)
	}
	return binary.NativeEndian.Uint64(buf)
}
