// Package oracle asks the running Linux kernel, through raw bpf(2), what a
// program or a map does: whether the kernel's verifier accepts it, what it
// computes, which error number a map operation gives. Tests compare skep with
// the answers, and internal/bench the speed. Nothing else imports it.
//
// It needs Linux and the right to use bpf(2); Skip says so elsewhere. Error
// numbers come back as errno.Errno.
package oracle

import (
	"time"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/prog"
)

// Program types (include/uapi/linux/bpf.h, enum bpf_prog_type).
const (
	SocketFilter  = 1
	SchedCls      = 3
	XDP           = 6
	RawTracepoint = 17
	Syscall       = 31
)

// LoadOptions is a program as BPF_PROG_LOAD takes it.
type LoadOptions struct {
	Type  uint32
	Insns []prog.Insn // every slot as given, but see Maps
	// Maps are what map references mean: an index into Maps, in any of the
	// four forms, as prog.FromInsns takes it. With nil Maps references go to
	// the kernel as they are.
	Maps     []*Map
	License  string // "" means GPL
	Flags    uint32
	Attach   uint32 // expected_attach_type
	LogLevel uint32 // 0: 1
	NoLog    bool   // faster, and programs with a long log load too
	// Within is how long the kernel may take. Later Load interrupts it and
	// returns EAGAIN. Zero means as long as it likes.
	Within time.Duration
	// NoFuncInfo leaves out the BTF that says where functions begin. Without
	// it the kernel refuses callbacks.
	NoFuncInfo bool
	// Globals are the types of the functions that are global, by where they
	// begin: integers, pointers to them and to structs, with tags. The kernel
	// proves such a function by itself, and its callers see the type alone.
	Globals map[prog.PC]*btf.Type
}

// RunInput is what one BPF_PROG_TEST_RUN takes.
type RunInput struct {
	Data   []byte // packet; nil where the program type has none
	Ctx    []byte // context in the program's layout; nil: the kernel's default
	Room   int    // bytes that the packet may grow by; 0: 512
	Repeat uint32 // 0: once
	Flags  uint32
}

// RunResult is what it gives.
type RunResult struct {
	Retval   uint32
	Data     []byte
	Ctx      []byte
	Duration uint32 // nanoseconds per repetition
}

// A T is the part of testing.TB that Skip needs.
type T interface {
	Helper()
	Skipf(format string, args ...any)
}

// Skip skips t, saying why, unless the kernel can be asked.
func Skip(t T) {
	t.Helper()
	if err := Available(); err != nil {
		t.Skipf("no kernel oracle: %v", err)
	}
}

// asErrno returns n as the project's error number.
func asErrno[N ~uintptr](n N) error { return errno.Errno(n) }
