package linux

import (
	"strings"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/helpers"
)

// A Sysctl is the access to a file of /proc/sys that a cgroup_sysctl program
// judges.
type Sysctl struct {
	Name    string // below /proc/sys: "net/ipv4/ip_forward"
	Current []byte // what a read gives
	New     []byte // what a write is to store, and what the program made of it
	Write   bool
	Pos     uint32 // in the file
	Updated bool   // the program replaced New
	Retval  int32  // of the system call: see Judged
}

const (
	sysctlBaseName = 1 << 0
	pageSize       = 4096
)

// sysctlGetName is sysctl_get_name(ctx, buf, size, flags): the length of the name;
// E2BIG if it was cut. There is one flag; the kernel ignores the others.
func sysctlGetName(env helpers.Env, _, to, size, flags, _ uint64) uint64 {
	name := stateOf(env).Sysctl.Name
	if flags&sysctlBaseName != 0 {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	b := helpers.Mem(env, to, size)
	if len(b) == 0 {
		return errno.E2BIG.R0()
	}
	n := min(len(name), len(b)-1)
	helpers.CopyMem(b[:n], []byte(name[:n]))
	helpers.ClearMem(b[n : n+1])
	if n < len(name) {
		return errno.E2BIG.R0()
	}
	return uint64(n)
}

// copySysctl copies a value with NULs behind it: its length, or E2BIG if it was
// cut, or EINVAL if it is empty.
func copySysctl(b, value []byte) uint64 {
	if len(value) == 0 {
		helpers.ClearMem(b)
		return errno.EINVAL.R0()
	}
	n := min(len(b), len(value))
	helpers.CopyMem(b[:n], value[:n])
	if n < len(b) {
		helpers.ClearMem(b[n:])
		return uint64(n)
	}
	if n > 0 {
		helpers.ClearMem(b[n-1:])
	}
	return errno.E2BIG.R0()
}

func sysctlGetCurrentValue(env helpers.Env, _, to, size, _, _ uint64) uint64 {
	return copySysctl(helpers.Mem(env, to, size), stateOf(env).Sysctl.Current)
}

func sysctlGetNewValue(env helpers.Env, _, to, size, _, _ uint64) uint64 {
	s := &stateOf(env).Sysctl
	b := helpers.Mem(env, to, size)
	if !s.Write {
		helpers.ClearMem(b)
		return errno.EINVAL.R0()
	}
	return copySysctl(b, s.New)
}

func sysctlSetNewValue(env helpers.Env, _, from, size, _, _ uint64) uint64 {
	s := &stateOf(env).Sysctl
	switch {
	case !s.Write || len(s.New) == 0 || size == 0:
		return errno.EINVAL.R0()
	case size > pageSize-1:
		return errno.E2BIG.R0()
	}
	s.New = append([]byte(nil), helpers.Mem(env, from, size)...)
	s.Updated = true
	return 0
}

// getRetval and setRetval are get_retval() and set_retval(value): what the system
// call is to return.
func getRetval(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	return uint64(int64(stateOf(env).Retval))
}

func setRetval(env helpers.Env, value, _, _, _, _ uint64) uint64 {
	stateOf(env).Retval = int32(value)
	return 0
}

// sockoptGetRetval and sockoptSetRetval are those of getsockopt programs, which
// see it in their context, too.
func sockoptGetRetval(env helpers.Env, _, _, _, _, _ uint64) uint64 {
	return uint64(int64(int32(get32(env.Ctx(), sockoptRetval))))
}

func sockoptSetRetval(env helpers.Env, value, _, _, _, _ uint64) uint64 {
	put32(env.Ctx(), sockoptRetval, uint32(value))
	return 0
}

var sockoptRetval = sockopt.Field("retval").HostOff
