package interp

import "unsafe"

// An op is an instruction, or a pair of them, decoded for the loop. Operands of
// the second half of a pair are in d2, a2, b2 and imm2.
type op struct {
	code    opcode
	d, a, b uint8 // registers: written, read, read
	d2      uint8
	a2      uint8
	b2      uint8
	sub     uint8 // opLeave: what for; opDiv: which division
	imm     int32 // constant, or offset of a load or store
	imm2    int32
	off     int32 // of a jump: bytes from the op after this one to the target
	cost    int32 // of a jump that is taken: what the meter is charged
}

const opSize = int(unsafe.Sizeof(op{}))

type opcode uint8

// What ops leave the loop for, in op.sub.
const (
	leaveDone   = iota // the outermost function of this exec has returned
	leaveBack          // a program that another's subprogram went on in has ended
	leaveHelper        // imm is the index of the function
	leavePacket        // imm is the index; the offset is imm2, if d2 plus register a; b2 the size
	leaveTail          // tail call
	leaveThrow         // bpf_throw
	leaveCallX         // call through register a
	leaveAtomic        // imm says whether a load or a store, d2 the size, a and off the place, d or b the register
	leaveZero          // clear the stack of the function
	leaveTrap          // proven not to be reached
)

// Kinds of divisions, in op.sub.
const (
	div32     = 1 << iota // else 64 bits
	divK                  // by imm, else by register b
	divSigned             // else unsigned
	divMod                // the remainder, else the quotient
)

// Functions on number iterators, in op.sub.
const (
	iterNext = iota
	iterNew
	iterDestroy
)

// mayGotoBegin, in op.sub: the function begins, and may_goto with it.
const mayGotoBegin = 1

// loopEach, in op.sub: the loop is for_each_map_elem.
const loopEach = 1

// Ops that every Code begins with.
const (
	doneAt = iota // leaves for leaveDone
	backAt        // leaves for leaveBack
	exitAt        // returns from a function
)

// at returns the memory at addr, which the program was proven to be allowed to
// touch. The addition, rather than a conversion, is for tools that take every
// conversion of a number for a mistake.
//
//go:norace
//go:nocheckptr
func at(addr uint64) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), uintptr(addr)) }
