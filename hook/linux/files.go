package linux

import (
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// dPath is d_path(path, buf, size): the name that a struct path of the traced
// machine stands for, with its NUL (kernel/trace/bpf_trace.c). Tracing programs come
// by it as a number here, so that is what it is.
func dPath(env helpers.Env, path, to, size, _, _ uint64) uint64 {
	b := helpers.Mem(env, to, size)
	if len(b) == 0 {
		return 0
	}
	name, err := host(env).Memory.Path(env, path)
	switch {
	case err != nil:
		return helpers.Result(err)
	case len(name)+1 > len(b):
		return errno.ENAMETOOLONG.R0()
	}
	helpers.CopyMem(b, append([]byte(name), 0))
	return uint64(len(name) + 1)
}

// SystemCalls are bpf(2) and what goes with it, as programs of type syscall call it.
// Results are those of the system call: an error is a negative number.
type SystemCalls struct {
	// BPF is sys_bpf: attr may be changed.
	BPF func(env helpers.Env, cmd int, attr []byte) int64
	// Close is sys_close.
	Close func(env helpers.Env, fd uint32) int64
	// FindBTF is btf_find_by_name_kind: the number of a type, and of the object that
	// holds it above 32 bits.
	FindBTF func(env helpers.Env, name string, kind int) int64
}

func sysBPF(env helpers.Env, cmd, attr, size, _, _ uint64) uint64 {
	return uint64(host(env).SystemCalls.BPF(env, int(int32(cmd)), helpers.Mem(env, attr, size)))
}

func sysClose(env helpers.Env, fd, _, _, _, _ uint64) uint64 {
	return uint64(host(env).SystemCalls.Close(env, uint32(fd)))
}

// findBTF is btf_find_by_name_kind(name, size, kind, flags): the name ends with its
// NUL, and there are no flags.
func findBTF(env helpers.Env, name, size, kind, flags, _ uint64) uint64 {
	b := helpers.Mem(env, name, size)
	if flags != 0 || len(b) <= 1 || b[len(b)-1] != 0 {
		return errno.EINVAL.R0()
	}
	text := make([]byte, len(b)-1)
	helpers.CopyMem(text, b[:len(text)])
	for i, c := range text {
		if c == 0 {
			text = text[:i]
			break
		}
	}
	return uint64(host(env).SystemCalls.FindBTF(env, string(text), int(int32(kind))))
}

var (
	needsPath    = need("Memory.Path", func(h *Host) bool { return h.Memory.Path != nil })
	needsBPF     = need("SystemCalls.BPF", func(h *Host) bool { return h.SystemCalls.BPF != nil })
	needsClose   = need("SystemCalls.Close", func(h *Host) bool { return h.SystemCalls.Close != nil })
	needsFindBTF = need("SystemCalls.FindBTF", func(h *Host) bool { return h.SystemCalls.FindBTF != nil })
)
