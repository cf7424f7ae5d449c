package linux

import (
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// TestPath: d_path gives the host's name with its NUL, or says why not
// (kernel/trace/bpf_trace.c, bpf_d_path).
func TestPath(t *testing.T) {
	env := asked(&Host{Memory: Memory{Path: func(_ helpers.Env, path uint64) (string, error) {
		if path != 0xffff0010 {
			return "", errno.EFAULT
		}
		return "/etc/hosts", nil
	}}})
	call, check := caller(t, Tracing, env)
	b := []byte(strings.Repeat("x", 32))
	at := env.Share(b)
	check("d_path", call(147, 0xffff0010, at, 32), 11)
	if string(b) != "/etc/hosts\x00"+strings.Repeat("x", 21) {
		t.Errorf("%q", b)
	}
	check("d_path that just fits", call(147, 0xffff0010, at, 11), 11)
	check("d_path into too little", call(147, 0xffff0010, at, 10), -int64(errno.ENAMETOOLONG))
	check("d_path into nothing", call(147, 0xffff0010, at, 0), 0)
	check("d_path of nothing", call(147, 0, at, 32), -int64(errno.EFAULT))
}

// TestSystemCalls: programs of type syscall call what the host gives.
func TestSystemCalls(t *testing.T) {
	env := asked(&Host{SystemCalls: SystemCalls{
		BPF: func(_ helpers.Env, cmd int, attr []byte) int64 {
			attr[0] = byte(cmd)
			return int64(len(attr))
		},
		Close: func(_ helpers.Env, fd uint32) int64 { return -int64(fd) },
		FindBTF: func(_ helpers.Env, name string, kind int) int64 {
			if name == "task_struct" && kind == 4 {
				return 1<<32 | 77
			}
			return -int64(errno.ENOENT)
		},
	}})
	call, check := caller(t, Syscall, env)
	b := make([]byte, 24)
	check("sys_bpf", call(166, 5, env.Share(b), 24), 24)
	if b[0] != 5 {
		t.Errorf("attr is %x", b)
	}
	check("sys_close", call(168, 9), -9)
	name := []byte("task_struct\x00")
	at := env.Share(name)
	check("btf_find_by_name_kind", call(167, at, 12, 4, 0), 1<<32|77)
	check("of another kind", call(167, at, 12, 5, 0), -int64(errno.ENOENT))
	check("with flags", call(167, at, 12, 4, 1), -int64(errno.EINVAL))
	check("without its end", call(167, at, 11, 4, 0), -int64(errno.EINVAL))
	check("of nothing", call(167, at, 1, 4, 0), -int64(errno.EINVAL))
}

// TestNeedsOfHosts: what a helper needs is called by its name in Host.
func TestNeedsOfHosts(t *testing.T) {
	for id, want := range map[helpers.ID]string{147: "linux.Host.Memory.Path", 158: "linux.Host.Task.Pointer", 166: "linux.Host.SystemCalls.BPF", 167: "linux.Host.SystemCalls.FindBTF", 168: "linux.Host.SystemCalls.Close"} {
		f := declared.Helper(id)
		if got := f.Missing(&helpers.Host{}); got != want {
			t.Errorf("%s needs %q, want %q", f.Name, got, want)
		}
	}
	if err := errors.Join(declared.Helper(147).Check(), declared.Helper(166).Check()); err != nil {
		t.Error(err)
	}
}
