package helpers

import (
	"bytes"

	"github.com/skepvm/skep/errno"
)

// Helpers that format text.

const (
	maxFormatArgs = 12   // MAX_BPRINTF_VARARGS
	maxTrace      = 1024 // MAX_BPRINTF_BUF: a trace line and its NUL
)

// TracePrintk is trace_printk(format, size, a, b, c): gives the host a line. As
// in the kernel, the contract names two arguments: a program passes as many more
// as its format uses, and the rest may be uninitialised.
var TracePrintk = &Func{
	Name: "trace_printk",
	Proto: Proto{
		Args:      [5]Arg{{Kind: ArgMem}, {Kind: ArgSize}},
		GPL:       true,
		AnyMemory: true, // %s, %pI4
	},
	Impl: func(env Env, format, size, a, b, c uint64) uint64 {
		return trace(env, Mem(env, format, size), formatArgs{regs: [3]uint64{a, b, c}, n: 3})
	},
}

// TraceVprintk is trace_vprintk(format, size, args, args_size): trace_printk
// with an array of 64-bit arguments.
var TraceVprintk = &Func{
	Name: "trace_vprintk",
	Proto: Proto{
		Args:      [5]Arg{{Kind: ArgMem}, {Kind: ArgSize}, {Kind: ArgMem, Nullable: true}, {Kind: ArgSizeOrZero}},
		GPL:       true,
		AnyMemory: true,
	},
	Impl: func(env Env, format, size, args, argsSize, _ uint64) uint64 {
		a, err := formatArgsAt(env, args, argsSize)
		if err != 0 {
			return err.R0()
		}
		return trace(env, Mem(env, format, size), a)
	},
}

// Snprintf is snprintf(str, str_size, format, args, args_size): writes a NUL-
// terminated text, cut to fit, and returns the size of the whole with its NUL.
var Snprintf = &Func{
	Name: "snprintf",
	Proto: Proto{
		Args: [5]Arg{
			{Kind: ArgMem, Nullable: true, Write: true}, {Kind: ArgSizeOrZero},
			{Kind: ArgConstStr},
			{Kind: ArgMem, Nullable: true}, {Kind: ArgSizeOrZero},
		},
		GPL:       true,
		AnyMemory: true,
	},
	Impl: func(env Env, str, size, format, args, argsSize uint64) uint64 {
		a, err := formatArgsAt(env, args, argsSize)
		if err != 0 {
			return err.R0()
		}
		var dst []byte
		if size != 0 {
			if dst = Mem(env, str, size); dst == nil {
				return errno.EFAULT.R0()
			}
		}
		f, ok := cString(env, format, MaxMem)
		if !ok {
			return errno.EINVAL.R0()
		}
		var p packed
		if err := pack(env, &p, f, a); err != 0 {
			return err.R0()
		}
		return uint64(render(dst, f, &p) + 1)
	},
}

// formatArgsAt returns the size/8 arguments at addr.
func formatArgsAt(env Env, addr, size uint64) (formatArgs, errno.Errno) {
	if size%8 != 0 || size > maxFormatArgs*8 || size != 0 && addr == 0 {
		return formatArgs{}, errno.EINVAL
	}
	if size == 0 {
		return formatArgs{}, 0
	}
	mem := Mem(env, addr, size)
	if mem == nil {
		return formatArgs{}, errno.EFAULT
	}
	return formatArgs{mem: mem}, 0
}

// trace renders format, which must contain a NUL, and gives the line to the
// host.
func trace(env Env, format []byte, args formatArgs) uint64 {
	end := bytes.IndexByte(format, 0)
	if end < 0 {
		return errno.EINVAL.R0()
	}
	format = format[:end]
	var p packed
	if err := pack(env, &p, format, args); err != 0 {
		return err.R0()
	}
	var line [maxTrace]byte
	n := render(line[:], format, &p)
	if sink := env.Host().Trace; sink != nil {
		text := line[:min(n, maxTrace-1)]
		sink(string(bytes.TrimSuffix(text, []byte("\n"))))
	}
	return uint64(n)
}
