package helpers

// Builtin returns the C library function called name that clang may call for
// a large copy or comparison though the source does not, or nil: memset,
// memcpy, memmove, memcmp. The kernel has no such functions; objects that use
// them would not load there.
//
// What memset, memcpy and memmove return, the address of the destination,
// programs get as a number.
func Builtin(name string) *Func { return builtins[name] }

var builtins = map[string]*Func{
	"memset":  memset,
	"memcpy":  memcopy("memcpy").Inlines(InlineMemcpy),
	"memmove": memcopy("memmove").Inlines(InlineMemmove),
	"memcmp":  memcmp,
}

var memset = (&Func{
	Name: "memset",
	Proto: Proto{
		Args:         [5]Arg{{Kind: ArgMem, Write: true, Uninit: true}, {Kind: ArgAnything}, {Kind: ArgSizeOrZero}},
		PacketAccess: true,
	},
	Impl: func(env Env, dst, c, n, _, _ uint64) uint64 {
		b := Mem(env, dst, n)
		if b == nil {
			return badMemory(env)
		}
		fill(env, b, byte(c))
		return dst
	},
}).Inlines(InlineMemset)

// memcopy returns memcpy or memmove: both copy as if through a buffer.
func memcopy(name string) *Func {
	return &Func{
		Name: name,
		Proto: Proto{
			Args:         [5]Arg{{Kind: ArgMem, Write: true, Uninit: true}, {Kind: ArgMem}, {Kind: ArgSizeOrZero}},
			PacketAccess: true,
		},
		Impl: func(env Env, dst, src, n, _, _ uint64) uint64 {
			to, from := Mem(env, dst, n), Mem(env, src, n)
			if to == nil || from == nil {
				return badMemory(env)
			}
			move(env, to, from)
			return dst
		},
	}
}

var memcmp = (&Func{
	Name: "memcmp",
	Proto: Proto{
		Args:         [5]Arg{{Kind: ArgMem}, {Kind: ArgMem}, {Kind: ArgSizeOrZero}},
		Ret:          Ret{Min: -1, Max: 1},
		PacketAccess: true,
	},
	Impl: func(env Env, a, b, n, _, _ uint64) uint64 {
		x, y := Mem(env, a, n), Mem(env, b, n)
		if x == nil || y == nil {
			return badMemory(env)
		}
		return uint64(compare(env, x, y))
	},
}).Inlines(InlineMemcmp)
