package helpers

import (
	"encoding/binary"
	"math/bits"

	"github.com/skepvm/skep/errno"
)

// CsumDiff is csum_diff(from, from_size, to, to_size, seed): the Internet
// checksum (RFC 1071) of seed, with what from holds taken out and what to
// holds put in, folded to 16 bits and not inverted.
var CsumDiff = (&Func{
	Name: "csum_diff",
	Proto: Proto{
		Args: [5]Arg{
			{Kind: ArgMem, Nullable: true}, {Kind: ArgSizeOrZero},
			{Kind: ArgMem, Nullable: true}, {Kind: ArgSizeOrZero},
			{Kind: ArgAnything},
		},
		Ret:          Ret{Min: -maxErrno, Max: 1<<16 - 1},
		PacketAccess: true,
	},
}).WithMem(func(mem MemFunc) Impl {
	return func(env Env, from, fromSize, to, toSize, seed uint64) uint64 {
		var old, new []byte
		if fromSize != 0 {
			if old = mem(env, from, fromSize); old == nil {
				return errno.EFAULT.R0()
			}
		}
		if toSize != 0 {
			if new = mem(env, to, toSize); new == nil {
				return errno.EFAULT.R0()
			}
		}
		sum := uint32(seed)
		switch {
		case len(old) > 0 && len(new) > 0:
			sum = csumAdd(checksum(env, new, sum), ^checksum(env, old, 0))
		case len(new) > 0:
			sum = checksum(env, new, sum)
		case len(old) > 0:
			sum = ^checksum(env, old, ^sum)
		}
		return uint64(CsumFold(sum))
	}
}).Inlines(InlineCsumDiff)

// CsumPartial adds the 16-bit words of b, in memory order, to the 32-bit
// ones' complement sum. A last odd byte counts as if a zero followed it.
func CsumPartial(b []byte, sum uint32) uint32 {
	acc, carry := uint64(sum), uint64(0)
	for ; len(b) >= 32; b = b[32:] { // the carry stays in its flag
		acc, carry = bits.Add64(acc, binary.NativeEndian.Uint64(b), carry)
		acc, carry = bits.Add64(acc, binary.NativeEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.NativeEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.NativeEndian.Uint64(b[24:]), carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		acc, carry = bits.Add64(acc, binary.NativeEndian.Uint64(b), carry)
	}
	var last [8]byte
	copy(last[:], b)
	acc, carry = bits.Add64(acc, binary.NativeEndian.Uint64(last[:]), carry)
	acc, carry = bits.Add64(acc, 0, carry)
	acc += carry
	return csumAdd(uint32(acc), uint32(acc>>32))
}

// CsumFold folds a 32-bit ones' complement sum to 16 bits.
func CsumFold(sum uint32) uint16 {
	sum += sum>>16 | sum<<16
	return uint16(sum >> 16)
}

// csumAdd adds with end-around carry.
func csumAdd(a, b uint32) uint32 {
	sum, carry := bits.Add32(a, b, 0)
	return sum + carry
}
