package helpers

import (
	"encoding/binary"

	"github.com/skepvm/skep/errno"
)

// Open-coded iterators over numbers (kernel, Documentation/bpf/bpf_iterators.rst).
// An iterator is 8 bytes on the program's stack, and all that it is: programs
// without a proof may write there what they like.
//
//	0  cur   the number that next gave last
//	4  end   where they end
//
// A new one has cur one before the first number; one that is through, or was
// never good, has zeros.

const iterNumSize = 8

// MaxIterNum is how many numbers an iterator gives at most (BPF_MAX_LOOPS).
const MaxIterNum = MaxLoops

var iterNum = Arg{Kind: ArgIter, Object: "bpf_iter_num", Write: true}

// IterNumNew is bpf_iter_num_new(it, start, end): an iterator over the numbers
// from start to before end, 0; or over none, an error.
var IterNumNew = (&Func{
	Name: "bpf_iter_num_new",
	Proto: Proto{
		Args: [5]Arg{{Kind: ArgIter, Object: "bpf_iter_num", Write: true, Uninit: true}, {Kind: ArgAnything}, {Kind: ArgAnything}},
		Ret:  IntRet,
		GPL:  true,
	},
	Impl: func(env Env, it, start, end, _, _ uint64) uint64 {
		b := env.Bytes(it, iterNumSize)
		if b == nil {
			return badMemory(env)
		}
		first, last := int32(start), int32(end)
		switch {
		case first > last:
			clear(b)
			return Int(errno.EINVAL)
		case int64(last)-int64(first) > MaxIterNum:
			clear(b)
			return Int(errno.E2BIG)
		}
		binary.LittleEndian.PutUint32(b, uint32(first-1))
		binary.LittleEndian.PutUint32(b[4:], uint32(last))
		return 0
	},
}).Inlines(InlineIterNew)

// IterNumNext is bpf_iter_num_next(it): the address of the next number, or 0
// after the last.
var IterNumNext = (&Func{
	Name: "bpf_iter_num_next",
	Proto: Proto{
		Args: [5]Arg{iterNum},
		Ret:  Ret{Kind: RetMem, Size: 4, Nullable: true, ReadOnly: true},
		GPL:  true,
	},
	Impl: func(env Env, it, _, _, _, _ uint64) uint64 {
		b := env.Bytes(it, iterNumSize)
		if b == nil {
			return badMemory(env)
		}
		next := int32(binary.LittleEndian.Uint32(b)) + 1
		if next >= int32(binary.LittleEndian.Uint32(b[4:])) {
			clear(b)
			return 0
		}
		binary.LittleEndian.PutUint32(b, uint32(next))
		return it
	},
}).Inlines(InlineIterNext)

// IterNumDestroy is bpf_iter_num_destroy(it).
var IterNumDestroy = (&Func{
	Name:  "bpf_iter_num_destroy",
	Proto: Proto{Args: [5]Arg{iterNum}, Ret: Ret{Kind: RetVoid}, GPL: true},
	Impl: func(env Env, it, _, _, _, _ uint64) uint64 {
		b := env.Bytes(it, iterNumSize)
		if b == nil {
			return badMemory(env)
		}
		clear(b)
		return 0
	},
}).Inlines(InlineIterDestroy)

// StackSize returns how many bytes of stack an object takes that helpers make
// and end there: a dynptr or an iterator; 0 if a is none.
func (a *Arg) StackSize() int {
	switch {
	case a.Kind == ArgDynptr:
		return dynptrSize
	case a.Kind == ArgIter && a.Object == "bpf_iter_num":
		return iterNumSize
	case a.Kind == ArgIter && a.Object == "bpf_iter_bits":
		return iterBitsSize
	}
	return 0
}
