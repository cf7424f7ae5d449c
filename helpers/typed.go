package helpers

import (
	"fmt"

	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
)

// A Param is what a typed helper's parameter can be. Integers take the low
// bits of the register.
type Param interface {
	Integer | bool | []byte | Out | InOut | Ctx | Map
}

// Integer is every integer type of the language itself.
type Integer interface {
	int8 | int16 | int32 | int64 | int | uint8 | uint16 | uint32 | uint64 | uint | uintptr
}

type (
	// Out is memory that the helper writes whole and does not read.
	Out []byte
	// InOut is memory that the helper reads and may write.
	InOut []byte
	// Ctx is the host's side of the program's context.
	Ctx []byte
	// Map is a map of the program's.
	Map struct{ maps.Map }
)

// A Value is what a typed helper's function can return; it becomes R0, signed
// integers with their sign extended.
type Value interface{ Integer | bool }

// New0 returns the helper name without arguments.
func New0[R Value](name string, fn func(Env) R) *Func {
	ret := encoder[R]()
	impl := func(env Env, _, _, _, _, _ uint64) uint64 { return toR0(ret, fn(env)) }
	return newFunc[R](name, nil, impl, impl)
}

// New1 returns the helper name with one argument.
func New1[A Param, R Value](name string, fn func(Env, A) R) *Func {
	a, ret := decoderOf[A](), encoder[R]()
	impl := func(env Env, r1, r2, _, _, _ uint64) uint64 {
		x, ok := a.get(env, r1, r2)
		if !ok {
			return badMemory(env)
		}
		return toR0(ret, fn(env, x))
	}
	trusting := impl
	var plain func(Env, []byte) uint64
	if a.trust != nil {
		trusting = func(env Env, r1, r2, _, _, _ uint64) uint64 {
			if r2 >= largeMem {
				return impl(env, r1, r2, 0, 0, 0)
			}
			return toR0(ret, fn(env, mem.Cast[A](mem.At(r1, int(r2)))))
		}
		if ret == nil {
			plain = mem.Cast[func(Env, []byte) uint64](fn)
			trusting = trustingBytes(plain, impl)
		}
	}
	f := newFunc[R](name, []param{a.param}, impl, trusting)
	f.trusting.plain = plain
	return f
}

// trustingBytes is the commonest trusting helper: fn of memory, with an R0 of 64 bits.
// Code that is shared by types takes longer.
//
//go:noinline
func trustingBytes(fn func(Env, []byte) uint64, impl Impl) Impl {
	return func(env Env, r1, r2, _, _, _ uint64) uint64 {
		if r2 >= largeMem {
			return impl(env, r1, r2, 0, 0, 0)
		}
		return fn(env, mem.At(r1, int(r2)))
	}
}

// New2 returns the helper name with two arguments.
func New2[A, B Param, R Value](name string, fn func(Env, A, B) R) *Func {
	a, b, ret := decoderOf[A](), decoderOf[B](), encoder[R]()
	at := places(a.param, b.param)
	impl := func(a decoder[A], b decoder[B]) Impl {
		return func(env Env, r1, r2, r3, r4, r5 uint64) uint64 {
			regs := registers{r1, r2, r3, r4, r5}
			x, ok1 := a.at(env, &regs, at[0])
			y, ok2 := b.at(env, &regs, at[1])
			if !ok1 || !ok2 {
				return badMemory(env)
			}
			return toR0(ret, fn(env, x, y))
		}
	}
	return newFunc[R](name, []param{a.param, b.param}, impl(a, b), impl(a.trusting(), b.trusting()))
}

// New3 returns the helper name with three arguments.
func New3[A, B, C Param, R Value](name string, fn func(Env, A, B, C) R) *Func {
	a, b, c, ret := decoderOf[A](), decoderOf[B](), decoderOf[C](), encoder[R]()
	at := places(a.param, b.param, c.param)
	impl := func(a decoder[A], b decoder[B], c decoder[C]) Impl {
		return func(env Env, r1, r2, r3, r4, r5 uint64) uint64 {
			regs := registers{r1, r2, r3, r4, r5}
			x, ok1 := a.at(env, &regs, at[0])
			y, ok2 := b.at(env, &regs, at[1])
			z, ok3 := c.at(env, &regs, at[2])
			if !ok1 || !ok2 || !ok3 {
				return badMemory(env)
			}
			return toR0(ret, fn(env, x, y, z))
		}
	}
	return newFunc[R](name, []param{a.param, b.param, c.param}, impl(a, b, c), impl(a.trusting(), b.trusting(), c.trusting()))
}

// New4 returns the helper name with four arguments.
func New4[A, B, C, D Param, R Value](name string, fn func(Env, A, B, C, D) R) *Func {
	a, b, c, d, ret := decoderOf[A](), decoderOf[B](), decoderOf[C](), decoderOf[D](), encoder[R]()
	at := places(a.param, b.param, c.param, d.param)
	impl := func(a decoder[A], b decoder[B], c decoder[C], d decoder[D]) Impl {
		return func(env Env, r1, r2, r3, r4, r5 uint64) uint64 {
			regs := registers{r1, r2, r3, r4, r5}
			x, ok1 := a.at(env, &regs, at[0])
			y, ok2 := b.at(env, &regs, at[1])
			z, ok3 := c.at(env, &regs, at[2])
			w, ok4 := d.at(env, &regs, at[3])
			if !ok1 || !ok2 || !ok3 || !ok4 {
				return badMemory(env)
			}
			return toR0(ret, fn(env, x, y, z, w))
		}
	}
	return newFunc[R](name, []param{a.param, b.param, c.param, d.param}, impl(a, b, c, d), impl(a.trusting(), b.trusting(), c.trusting(), d.trusting()))
}

// A param is the contract of one parameter: one Arg, or memory and its size.
type param []Arg

// newFunc puts the contract together. trusting is impl for calls that are proven.
func newFunc[R Value](name string, params []param, impl, trusting Impl) *Func {
	f := &Func{Name: name, Impl: impl}
	var args []Arg
	for _, p := range params {
		args = append(args, p...)
	}
	if len(args) > len(f.Proto.Args) {
		panic(fmt.Sprintf("helper %s: its parameters need %d registers; memory takes two, and 5 is the most", name, len(args)))
	}
	copy(f.Proto.Args[:], args)
	f.Proto.Ret = valueRange[R]()
	f.trusting = trust{instead: impl, args: f.Proto.Args, impl: trusting}
	if err := f.Check(); err != nil {
		panic(err)
	}
	return f
}

// registers are R1 to R5, and a place to read past R5.
type registers [6]uint64

// places returns the index of the register at which each parameter begins.
func places(params ...param) (at [4]int) {
	n := 0
	for i, p := range params {
		at[i] = min(n, 4) // too many: newFunc refuses
		n += len(p)
	}
	return at
}

// A decoder makes the Go value of one parameter.
type decoder[T Param] struct {
	param param
	get   func(env Env, r, next uint64) (T, bool)
	trust func(env Env, r, next uint64) (T, bool) // get, if memory is proven; nil: as get
}

// trusting returns d for calls that are proven.
func (d decoder[T]) trusting() decoder[T] {
	if d.trust != nil {
		d.get = d.trust
	}
	return d
}

func (d *decoder[T]) at(env Env, regs *registers, i int) (T, bool) {
	return d.get(env, regs[i], regs[i+1])
}

// decoderOf chooses the decoder when the helper is made, so that a call does
// not look at types.
func decoderOf[T Param]() decoder[T] {
	number := param{{Kind: ArgAnything}}
	memory := func(write, uninit bool) param {
		return param{{Kind: ArgMem, Write: write, Uninit: uninit}, {Kind: ArgSizeOrZero}}
	}
	var d any
	switch any(*new(T)).(type) {
	case bool:
		d = decoder[bool]{param: number, get: func(_ Env, r, _ uint64) (bool, bool) { return r != 0, true }}
	case int8:
		d = integer[int8](number)
	case int16:
		d = integer[int16](number)
	case int32:
		d = integer[int32](number)
	case int64:
		d = integer[int64](number)
	case int:
		d = integer[int](number)
	case uint8:
		d = integer[uint8](number)
	case uint16:
		d = integer[uint16](number)
	case uint32:
		d = integer[uint32](number)
	case uint64:
		d = integer[uint64](number)
	case uint:
		d = integer[uint](number)
	case uintptr:
		d = integer[uintptr](number)
	case []byte:
		d = bytesOf[[]byte](memory(false, false))
	case Out:
		d = bytesOf[Out](memory(true, true))
	case InOut:
		d = bytesOf[InOut](memory(true, false))
	case Ctx:
		d = decoder[Ctx]{param: param{{Kind: ArgCtx}}, get: func(env Env, _, _ uint64) (Ctx, bool) { return env.Ctx(), true }}
	case Map:
		d = decoder[Map]{param: param{{Kind: ArgMapPtr}}, get: func(env Env, r, _ uint64) (Map, bool) {
			m := env.Map(r)
			return Map{m}, m != nil
		}}
	}
	return d.(decoder[T])
}

func integer[T Integer](p param) decoder[T] {
	return decoder[T]{param: p, get: func(_ Env, r, _ uint64) (T, bool) { return T(r), true }}
}

func bytesOf[T []byte | Out | InOut](p param) decoder[T] {
	get := func(env Env, addr, size uint64) (T, bool) {
		b := Mem(env, addr, size)
		return T(b), b != nil
	}
	return decoder[T]{param: p, get: get, trust: func(env Env, addr, size uint64) (T, bool) {
		if size >= largeMem {
			return get(env, addr, size)
		}
		return T(mem.At(addr, int(size))), true
	}}
}

// largeMem is the size from which on an engine is asked for memory, since it counts
// on that to see how much a helper has to do.
const largeMem = 1 << 12

// encoder chooses how a result becomes R0; nil: it has all 64 bits.
func encoder[R Value]() func(R) uint64 {
	if mem.SizeOf[R]() == 8 {
		return nil
	}
	var e any
	switch any(*new(R)).(type) {
	case bool:
		e = func(v bool) uint64 {
			if v {
				return 1
			}
			return 0
		}
	case int8:
		e = fromInt[int8]
	case int16:
		e = fromInt[int16]
	case int32:
		e = fromInt[int32]
	case int64:
		e = fromInt[int64]
	case int:
		e = fromInt[int]
	case uint8:
		e = fromInt[uint8]
	case uint16:
		e = fromInt[uint16]
	case uint32:
		e = fromInt[uint32]
	case uint64:
		e = fromInt[uint64]
	case uint:
		e = fromInt[uint]
	case uintptr:
		e = fromInt[uintptr]
	}
	return e.(func(R) uint64)
}

// toR0 returns v as R0.
func toR0[R Value](encode func(R) uint64, v R) uint64 {
	if encode == nil {
		return mem.Cast[uint64](v)
	}
	return encode(v)
}

func fromInt[T Integer](v T) uint64 {
	return uint64(int64(v))
}

// valueRange returns the contract of a result: the values of its type.
func valueRange[R Value]() Ret {
	switch any(*new(R)).(type) {
	case bool:
		return Ret{Max: 1}
	case int8:
		return Ret{Min: -1 << 7, Max: 1<<7 - 1}
	case int16:
		return Ret{Min: -1 << 15, Max: 1<<15 - 1}
	case int32:
		return Ret{Min: -1 << 31, Max: 1<<31 - 1}
	case uint8:
		return Ret{Max: 1<<8 - 1}
	case uint16:
		return Ret{Max: 1<<16 - 1}
	case uint32:
		return Ret{Max: 1<<32 - 1}
	}
	return Ret{}
}
