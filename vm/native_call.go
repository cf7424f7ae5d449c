package vm

import (
	"github.com/skepvm/skep/errno"
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
// gets the Env that looks every address up; one made by helpers.New1 and its like
// gets its memory as arguments, and asks for none.
func proven(c jit.Call, ms []maps.Map) helpers.Impl {
	if c.Func.Proto.Control == helpers.Throw {
		return nativeThrow
	}
	form := c.Func.Inline()
	if c.Map >= 0 {
		if impl := c.Func.Bound(ms[c.Map]); impl != nil {
			return impl
		}
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
	if c.Map >= 0 {
		if rb, ok := ms[c.Map].(ring); ok {
			switch form {
			case helpers.InlineRingReserve:
				return provenReserve(rb)
			case helpers.InlineRingOutput:
				return provenOutput(rb)
			}
		}
	}
	switch form {
	case helpers.InlineMapLookup:
		if c.Map < 0 {
			return provenAnyLookup(c.Func.Impl)
		}
		if t := ms[c.Map].Spec().Type; t == maps.ArrayOfMaps || t == maps.HashOfMaps {
			return provenInner(ms[c.Map])
		}
	case helpers.InlineMemset:
		return func(env helpers.Env, dst, b, n, _, _ uint64) uint64 {
			if n >= bulk {
				return c.Func.Impl(env, dst, b, n, 0, 0)
			}
			slotIn(env).workOn(n)
			mem.Fill(mem.At(dst, int(n)), byte(b))
			return dst
		}
	case helpers.InlineMemcpy, helpers.InlineMemmove:
		return func(env helpers.Env, dst, src, n, _, _ uint64) uint64 {
			if n >= bulk {
				return c.Func.Impl(env, dst, src, n, 0, 0)
			}
			slotIn(env).workOn(n)
			mem.CopyShared(mem.At(dst, int(n)), mem.At(src, int(n)))
			return dst
		}
	case helpers.InlineMemcmp:
		return func(env helpers.Env, x, y, n, _, _ uint64) uint64 {
			if n >= bulk {
				return c.Func.Impl(env, x, y, n, 0, 0)
			}
			slotIn(env).workOn(n)
			return uint64(mem.Compare(mem.At(x, int(n)), mem.At(y, int(n))))
		}
	}
	return c.Func.Trusting()
}

func provenReserve(m ring) helpers.Impl {
	return func(env helpers.Env, _, size, flags, _, _ uint64) uint64 {
		if flags != 0 {
			return 0
		}
		if b := m.Reserve(int(size)); b != nil {
			return env.Acquire(b, m)
		}
		return 0
	}
}

func provenOutput(m ring) helpers.Impl {
	return func(env helpers.Env, _, data, size, flags, _ uint64) uint64 {
		if size >= bulk && flags&^(maps.RingBufNoWakeup|maps.RingBufForceWakeup) == 0 {
			return outputLarge(slotIn(env), m, mem.At(data, int(size)), flags)
		}
		slotIn(env).workOn(size)
		return helpers.Result(m.Output(mem.At(data, int(size)), flags))
	}
}

// outputLarge is m.Output, in parts; there is no record if the run is over meanwhile.
func outputLarge(s *slot, m ring, data []byte, flags uint64) uint64 {
	b := m.Reserve(len(data))
	if b == nil {
		return errno.EAGAIN.R0()
	}
	for to := b; len(data) > 0; {
		n := min(bulk, len(data))
		if !s.Work(n) {
			m.Discard(b)
			return 0
		}
		mem.CopyShared(to[:n], data[:n])
		to, data = to[n:], data[n:]
	}
	m.Commit(b, false, flags)
	return 0
}

func provenLookup(m maps.Map) helpers.Impl {
	if f := maps.FinderOf(m); f != nil && f.PerCPU() {
		return func(env helpers.Env, _, key, _, _, _ uint64) uint64 { return f.Find(slotIn(env).cpu, key) }
	} else if f != nil {
		return func(_ helpers.Env, _, key, _, _, _ uint64) uint64 { return f.Find(0, key) }
	}
	keySize := int(m.Spec().KeySize)
	return func(env helpers.Env, _, key, _, _, _ uint64) uint64 {
		return mem.Addr(m.LookupElem(env.CPU(), mem.At(key, keySize)))
	}
}

// provenInner looks up a map in m, a map of maps. Its handle is what machine code
// finds, too, if m is one of package maps.
func provenInner(m maps.Map) helpers.Impl {
	keySize := int(m.Spec().KeySize)
	if of, ok := m.(interface{ InnerHandle(key []byte) uint64 }); ok && maps.Bundled(m) {
		return func(_ helpers.Env, _, key, _, _, _ uint64) uint64 { return of.InnerHandle(mem.At(key, keySize)) }
	}
	holder, ok := m.(maps.MapHolder)
	return func(env helpers.Env, _, key, _, _, _ uint64) uint64 {
		if !ok {
			return 0
		}
		return env.ShareMap(holder.InnerMap(mem.At(key, keySize)))
	}
}

// provenAnyLookup looks a key up in a map that is known only when code runs, as
// those in maps of maps are. impl does so for maps that this cannot.
func provenAnyLookup(impl helpers.Impl) helpers.Impl {
	return func(env helpers.Env, handle, key, a3, a4, a5 uint64) uint64 {
		m := env.Map(handle)
		if _, ok := m.(maps.Slabber); !ok {
			return impl(env, handle, key, a3, a4, a5)
		}
		return mem.Addr(m.LookupElem(env.CPU(), mem.At(key, int(m.Spec().KeySize))))
	}
}

func provenUpdate(m maps.Map) helpers.Impl {
	keySize, valueSize := int(m.Spec().KeySize), int(m.Spec().ValueSize)
	return func(env helpers.Env, _, key, value, flags, _ uint64) uint64 {
		if valueSize >= largeWork {
			slotIn(env).workOn(uint64(valueSize))
		}
		return helpers.Result(m.UpdateElem(env.CPU(), mem.At(key, keySize), mem.At(value, valueSize), maps.UpdateFlags(flags)))
	}
}

func provenDelete(m maps.Map) helpers.Impl {
	keySize := int(m.Spec().KeySize)
	return func(env helpers.Env, _, key, _, _, _ uint64) uint64 {
		return helpers.Result(m.DeleteElem(env.CPU(), mem.At(key, keySize)))
	}
}
