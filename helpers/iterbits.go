package helpers

import (
	"encoding/binary"
	"math/bits"

	"github.com/skepvm/skep/errno"
)

// Iterators over the bits that are set in words (kernel, kernel/bpf/helpers.c,
// struct bpf_iter_bits_kern): 16 bytes on the program's stack.
//
//	 0  word   the word, if there is one
//	 8  n      how many bits there are; 0: none, the iterator is no good
//	12  bit    what next gave last
//
// More words are kept by the run, under the iterator's address.

const (
	iterBitsSize = 16
	iterBitAt    = 12
)

// MaxIterWords is how many words an iterator goes over at most
// (BITS_ITER_NR_WORDS_MAX).
const MaxIterWords = 511

// words are those of an iterator.
type words struct {
	at uint64
	w  []uint64
}

// setWords keeps w for the iterator at at; nil: no more.
func (d *Dynptrs) setWords(at uint64, w []uint64) {
	for i := range d.words {
		if d.words[i].at == at {
			last := len(d.words) - 1
			d.words[i] = d.words[last]
			d.words[last] = words{}
			d.words = d.words[:last]
			break
		}
	}
	if w != nil {
		d.words = append(d.words, words{at, w})
	}
}

func (d *Dynptrs) wordsOf(at uint64) []uint64 {
	for i := range d.words {
		if d.words[i].at == at {
			return d.words[i].w
		}
	}
	return nil
}

var iterBits = Arg{Kind: ArgIter, Object: "bpf_iter_bits", Write: true}

// IterBitsNew is bpf_iter_bits_new(it, words, n): an iterator over the bits of a
// copy of n words, 0; or over none, an error.
var IterBitsNew = &Func{
	Name: "bpf_iter_bits_new",
	Proto: Proto{
		Args:         [5]Arg{{Kind: ArgIter, Object: "bpf_iter_bits", Write: true, Uninit: true}, {Kind: ArgAnything}, {Kind: ArgAnything}},
		Ret:          IntRet,
		GPL:          true,
		PacketAccess: true,
	},
	Impl: func(env Env, it, from, count, _, _ uint64) uint64 {
		b := env.Bytes(it, iterBitsSize)
		if b == nil {
			return badMemory(env)
		}
		clear(b)
		binary.LittleEndian.PutUint32(b[iterBitAt:], 1<<32-1)
		env.Dynptrs().setWords(it, nil)
		n := uint32(count)
		switch {
		case from == 0 || n == 0:
			return Int(errno.EINVAL)
		case n > MaxIterWords:
			return Int(errno.E2BIG)
		}
		src := env.Bytes(from, int(n)*8)
		if src == nil {
			return Int(errno.EFAULT)
		}
		own := make([]byte, len(src))
		CopyMem(own, src)
		if n == 1 {
			copy(b, own)
		} else {
			w := make([]uint64, n)
			for i := range w {
				w[i] = binary.LittleEndian.Uint64(own[8*i:])
			}
			env.Dynptrs().setWords(it, w)
		}
		binary.LittleEndian.PutUint32(b[8:], 64*n)
		return 0
	},
}

// IterBitsNext is bpf_iter_bits_next(it): the address of the number of the next
// bit that is set, or 0 after the last.
var IterBitsNext = &Func{
	Name:  "bpf_iter_bits_next",
	Proto: Proto{Args: [5]Arg{iterBits}, Ret: Ret{Kind: RetMem, Size: 4, Nullable: true, ReadOnly: true}, GPL: true},
	Impl: func(env Env, it, _, _, _, _ uint64) uint64 {
		b := env.Bytes(it, iterBitsSize)
		if b == nil {
			return badMemory(env)
		}
		n := binary.LittleEndian.Uint32(b[8:])
		w := []uint64{binary.LittleEndian.Uint64(b)}
		if n != 64 {
			w = env.Dynptrs().wordsOf(it)
		}
		if uint64(n) != 64*uint64(len(w)) { // none, or the program wrote there
			return 0
		}
		last := int32(binary.LittleEndian.Uint32(b[iterBitAt:]))
		bit := nextBit(w, uint32(max(last+1, 0)))
		if last >= int32(n) {
			return 0
		}
		binary.LittleEndian.PutUint32(b[iterBitAt:], bit)
		if bit >= n {
			return 0
		}
		return it + iterBitAt
	},
}

// nextBit returns the number of the first bit of w that is set from from on, or
// how many bits there are.
func nextBit(w []uint64, from uint32) uint32 {
	for i := from / 64; i < uint32(len(w)); i++ {
		x := w[i]
		if i == from/64 {
			x &= ^uint64(0) << (from % 64)
		}
		if x != 0 {
			return 64*i + uint32(bits.TrailingZeros64(x))
		}
	}
	return 64 * uint32(len(w))
}

// IterBitsDestroy is bpf_iter_bits_destroy(it).
var IterBitsDestroy = &Func{
	Name:  "bpf_iter_bits_destroy",
	Proto: Proto{Args: [5]Arg{iterBits}, Ret: Ret{Kind: RetVoid}, GPL: true},
	Impl: func(env Env, it, _, _, _, _ uint64) uint64 {
		b := env.Bytes(it, iterBitsSize)
		if b == nil {
			return badMemory(env)
		}
		clear(b)
		env.Dynptrs().setWords(it, nil)
		return 0
	},
}
