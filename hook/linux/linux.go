// Package linux is the platform that clang objects for the Linux kernel are
// written for: its program types, with their contexts (include/uapi/linux/bpf.h)
// and helper numbers, and the section names by which libbpf knows them.
//
// What the package says of a type is what the kernel's verifier enforces for a
// privileged program on Linux 6.18. What a program asks the host is in Host, what
// its helpers know of one run, and leave, in State; contexts that are more than a
// packet or bytes are made by the Sources (SockAddr, Sysctl, Call and so on), which
// vm.Program.RunSource takes.
package linux

import "github.com/skepvm/skep/hook"

// Platform is the Linux platform.
var Platform hook.Platform = platform{}

type platform struct{}

func (platform) Name() string        { return "linux" }
func (platform) Types() []*hook.Type { return append([]*hook.Type(nil), types...) }

func (platform) Type(name string) *hook.Type {
	for _, t := range types {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// types holds every program type, in the order of enum bpf_prog_type.
var types = []*hook.Type{
	SocketFilter,
	Kprobe,
	SchedCls,
	SchedAct,
	Tracepoint,
	XDP,
	PerfEvent,
	CgroupSkb,
	CgroupSock,
	LwtIn,
	LwtOut,
	LwtXmit,
	SockOps,
	SkSkb,
	CgroupDevice,
	SkMsg,
	RawTracepoint,
	CgroupSockAddr,
	LwtSeg6Local,
	LircMode2,
	SkReuseport,
	FlowDissector,
	CgroupSysctl,
	RawTracepointWritable,
	CgroupSockopt,
	Tracing,
	StructOps,
	Ext,
	LSM,
	SkLookup,
	Syscall,
	Netfilter,
}

// u32 describes a 4-byte number.
func u32(name string, off uint32, read hook.Widths) hook.Field {
	return hook.Field{Name: name, Off: off, Size: 4, Read: read}
}

// words describes an array of four 4-byte numbers, such as an IPv6 address.
func words(name string, off uint32, read hook.Widths) []hook.Field {
	var fs []hook.Field
	for i := range uint32(4) {
		fs = append(fs, u32(name+"["+string(rune('0'+i))+"]", off+4*i, read))
	}
	return fs
}

// Widths of accesses, by the widest that is allowed.
const (
	narrow4 = 1 | 2 | 4     // any naturally aligned part of a 4-byte field
	narrow8 = 1 | 2 | 4 | 8 // and of an 8-byte field
)
