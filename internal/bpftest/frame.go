package bpftest

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
)

// Constants returns the numbers that a program compares something with, or may:
// what Frame puts in frames so that runs take both ways.
func Constants(insns []prog.Insn) []uint32 {
	words := []uint32{0, 1, 0xffffffff, 0x80000000, 0x7fffffff}
	for _, in := range insns {
		if c := in.Op.Class(); in.Op.Source() == isa.K && in.Imm != 0 && (c == isa.JMP || c == isa.JMP32) && in.Op.JmpOp() != isa.Call {
			words = append(words, uint32(in.Imm), uint32(in.Imm)+1, uint32(in.Imm)-1)
		}
	}
	return words
}

// Frame returns an Ethernet frame with headers of IP and what lies on it, cut
// off anywhere, with some of words in it.
func Frame(r *rand.Rand, words []uint32) []byte {
	b := make([]byte, 0, 256)
	random := func(n int) {
		for range n {
			b = append(b, byte(r.Uint32()>>r.IntN(32)))
		}
	}
	random(12)
	for range r.IntN(3) {
		b = append(b, 0x81, 0x00, 0, byte(r.Uint32()))
	}
	protocol := []byte{6, 17, 1, 58}[r.IntN(4)]
	if r.IntN(3) == 0 {
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, protocol, 64)
		random(32)
	} else {
		words := 5 + r.IntN(3)*r.IntN(6)
		b = append(b, 0x08, 0x00, 0x40|byte(words), 0, 0, 60, 0, 0, 0x40*byte(r.IntN(2)), 0, 64, protocol)
		random(4*words - 10)
	}
	random(4)
	b = append(b, 0, 8+byte(r.IntN(24)))
	random(r.IntN(150))
	for range r.IntN(8) {
		var w [8]byte
		binary.LittleEndian.PutUint32(w[:], words[r.IntN(len(words))])
		copy(b[r.IntN(len(b)):], w[:[]int{1, 2, 4, 8}[r.IntN(4)]])
	}
	if r.IntN(3) > 0 {
		b = b[:r.IntN(len(b)+1)]
	}
	return b
}
