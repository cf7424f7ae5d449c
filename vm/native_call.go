package vm

import (
	"bytes"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/jit"
	"github.com/skepvm/skep/maps"
)

// proven returns what machine code calls for c: the helper itself, or, for a
// bundled one, what does the same with less, since the proof says that memory
// arguments are what the contract asks for, and which map the call gets.
//
// Sound: what a helper is given as memory, the verifier has proved to be memory
// of the run, whose addresses are the host's; the context never is. A host's
// own function may ask Env for other memory than its contract names, and so
// gets the Env that looks every address up.
func proven(c jit.Call, ms []maps.Map) helpers.Impl {
	form := c.Func.Inline()
	if c.Map >= 0 {
		if _, ok := ms[c.Map].(maps.Slabber); ok { // what is looked up can be found again
			switch form {
			case helpers.InlineMapLookup:
				return provenLookup(ms[c.Map])
			case helpers.InlineMapUpdate:
				return provenUpdate(ms[c.Map])
			case helpers.InlineMapDelete:
				return provenDelete(ms[c.Map])
			}
		}
	}
	switch form {
	case helpers.InlineMemset:
		return func(_ helpers.Env, dst, c, n, _, _ uint64) uint64 {
			mem.Fill(mem.At(dst, int(n)), byte(c))
			return dst
		}
	case helpers.InlineMemcpy, helpers.InlineMemmove:
		return func(_ helpers.Env, dst, src, n, _, _ uint64) uint64 {
			mem.CopyShared(mem.At(dst, int(n)), mem.At(src, int(n)))
			return dst
		}
	case helpers.InlineMemcmp:
		return func(_ helpers.Env, x, y, n, _, _ uint64) uint64 {
			return uint64(bytes.Compare(mem.At(x, int(n)), mem.At(y, int(n))))
		}
	}
	return c.Func.Impl
}

func provenLookup(m maps.Map) helpers.Impl {
	keySize := int(m.Spec().KeySize)
	return func(env helpers.Env, _, key, _, _, _ uint64) uint64 {
		return mem.Addr(m.LookupElem(env.CPU(), mem.At(key, keySize)))
	}
}

func provenUpdate(m maps.Map) helpers.Impl {
	keySize, valueSize := int(m.Spec().KeySize), int(m.Spec().ValueSize)
	return func(env helpers.Env, _, key, value, flags, _ uint64) uint64 {
		return helpers.Result(m.UpdateElem(env.CPU(), mem.At(key, keySize), mem.At(value, valueSize), maps.UpdateFlags(flags)))
	}
}

func provenDelete(m maps.Map) helpers.Impl {
	keySize := int(m.Spec().KeySize)
	return func(env helpers.Env, _, key, _, _, _ uint64) uint64 {
		return helpers.Result(m.DeleteElem(env.CPU(), mem.At(key, keySize)))
	}
}
