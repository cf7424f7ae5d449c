package linux

import "github.com/skepvm/skep/hook"

// syscallCtx is how many bytes of context a syscall program can reach (offsets
// are below U16_MAX). How many there are is what a run gives.
const syscallCtx = 1<<16 - 1

// Syscall is BPF_PROG_TYPE_SYSCALL: a program that user space calls with bytes
// of its own as the context.
var Syscall = &hook.Type{
	Name: "syscall",
	Ctx: hook.NewCtx("syscall", syscallCtx,
		hook.Field{Name: "args", Off: 0, Size: syscallCtx, Kind: hook.FieldBytes, Read: narrow8, Write: narrow8}),
	Input:   hook.InputContext,
	Return:  hook.AnyReturn,
	Helpers: helperSet("syscall", tracingFuncs),
}
