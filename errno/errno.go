// Package errno holds the error numbers that maps and helpers report to eBPF
// programs. The numbers are Linux's on every host, because programs are
// compiled against them; the syscall package's differ between systems.
package errno

import "strconv"

// An Errno is a Linux error number. It is an error; errors.Is finds it in
// whatever wraps it.
type Errno uint16

// Linux numbers: include/uapi/asm-generic/errno-base.h and errno.h. ENOTSUPP
// is internal to the kernel, which reports it to programs all the same.
const (
	EPERM           Errno = 1
	ENOENT          Errno = 2
	ESRCH           Errno = 3
	EINTR           Errno = 4
	EIO             Errno = 5
	E2BIG           Errno = 7
	EBADF           Errno = 9
	EAGAIN          Errno = 11
	ENOMEM          Errno = 12
	EACCES          Errno = 13
	EFAULT          Errno = 14
	EBUSY           Errno = 16
	EEXIST          Errno = 17
	ENODEV          Errno = 19
	EINVAL          Errno = 22
	ENOSPC          Errno = 28
	EPIPE           Errno = 32
	EDOM            Errno = 33
	ERANGE          Errno = 34
	EDEADLK         Errno = 35
	ENAMETOOLONG    Errno = 36
	ELOOP           Errno = 40
	ENOMSG          Errno = 42
	ENODATA         Errno = 61
	EALREADY        Errno = 114
	EBADMSG         Errno = 74
	EOVERFLOW       Errno = 75
	EBADFD          Errno = 77
	EMSGSIZE        Errno = 90
	ESOCKTNOSUPPORT Errno = 94
	EPROTOTYPE      Errno = 91
	EPROTONOSUPPORT Errno = 93
	EPROTO          Errno = 71
	EOPNOTSUPP      Errno = 95
	EAFNOSUPPORT    Errno = 97
	EADDRINUSE      Errno = 98
	ENETUNREACH     Errno = 101
	ETIMEDOUT       Errno = 110
	ENOTSUPP        Errno = 524
)

var names = map[Errno]string{
	EPERM: "EPERM", ENOENT: "ENOENT", ESRCH: "ESRCH", EINTR: "EINTR", EIO: "EIO", E2BIG: "E2BIG",
	EBADF: "EBADF", EAGAIN: "EAGAIN", ENOMEM: "ENOMEM", EACCES: "EACCES", EFAULT: "EFAULT",
	EBUSY: "EBUSY", EEXIST: "EEXIST", ENODEV: "ENODEV", EINVAL: "EINVAL", ENOSPC: "ENOSPC",
	EPIPE: "EPIPE", EDOM: "EDOM", ERANGE: "ERANGE", EDEADLK: "EDEADLK", ENAMETOOLONG: "ENAMETOOLONG", ELOOP: "ELOOP",
	ENODATA: "ENODATA", EBADMSG: "EBADMSG", EOVERFLOW: "EOVERFLOW", EMSGSIZE: "EMSGSIZE",
	EPROTO: "EPROTO", EALREADY: "EALREADY", EOPNOTSUPP: "EOPNOTSUPP", EADDRINUSE: "EADDRINUSE",
	EBADFD: "EBADFD", EPROTOTYPE: "EPROTOTYPE", EPROTONOSUPPORT: "EPROTONOSUPPORT", ENOMSG: "ENOMSG", EAFNOSUPPORT: "EAFNOSUPPORT",
	ENETUNREACH: "ENETUNREACH", ETIMEDOUT: "ETIMEDOUT", ESOCKTNOSUPPORT: "ESOCKTNOSUPPORT", ENOTSUPP: "ENOTSUPP",
}

// Error returns the symbolic name, such as "ENOENT".
func (e Errno) Error() string {
	if s, ok := names[e]; ok {
		return s
	}
	return "errno " + strconv.Itoa(int(e))
}

// R0 returns e as a helper's result: the negative number, sign-extended.
func (e Errno) R0() uint64 { return uint64(-int64(e)) }
