package linux

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/oracle"
)

// A kernelType is one of our types as the kernel loads it.
type kernelType struct {
	typ    *hook.Type
	kernel ebpf.ProgramType
	attach ebpf.AttachType
	flags  uint32
	quick  bool // also in short mode
}

var kernelTypes = []kernelType{
	{typ: SocketFilter, kernel: ebpf.SocketFilter, quick: true},
	{typ: Kprobe, kernel: ebpf.Kprobe},
	{typ: SchedCls, kernel: ebpf.SchedCLS, quick: true},
	{typ: SchedAct, kernel: ebpf.SchedACT},
	{typ: XDP, kernel: ebpf.XDP, quick: true},
	{typ: XDPDevmap, kernel: ebpf.XDP, attach: ebpf.AttachXDPDevMap},
	{typ: XDPCpumap, kernel: ebpf.XDP, attach: ebpf.AttachXDPCPUMap},
	{typ: PerfEvent, kernel: ebpf.PerfEvent},
	{typ: CgroupSkb, kernel: ebpf.CGroupSKB, attach: ebpf.AttachCGroupInetIngress},
	{typ: cgroupSkbEgress, kernel: ebpf.CGroupSKB, attach: ebpf.AttachCGroupInetEgress},
	{typ: CgroupSock, kernel: ebpf.CGroupSock, attach: ebpf.AttachCGroupInetSockCreate},
	{typ: cgroupPostBind4, kernel: ebpf.CGroupSock, attach: ebpf.AttachCGroupInet4PostBind},
	{typ: cgroupPostBind6, kernel: ebpf.CGroupSock, attach: ebpf.AttachCGroupInet6PostBind},
	{typ: LwtIn, kernel: ebpf.LWTIn},
	{typ: LwtOut, kernel: ebpf.LWTOut},
	{typ: LwtXmit, kernel: ebpf.LWTXmit},
	{typ: SockOps, kernel: ebpf.SockOps, attach: ebpf.AttachCGroupSockOps},
	{typ: SkSkb, kernel: ebpf.SkSKB},
	{typ: CgroupDevice, kernel: ebpf.CGroupDevice, attach: ebpf.AttachCGroupDevice},
	{typ: SkMsg, kernel: ebpf.SkMsg, attach: ebpf.AttachSkMsgVerdict},
	{typ: RawTracepoint, kernel: ebpf.RawTracepoint, quick: true},
	{typ: RawTracepointWritable, kernel: ebpf.RawTracepointWritable},
	{typ: CgroupSockAddr, kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCGroupInet4Connect},
	{typ: sockAddrTypes["connect6"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCGroupInet6Connect},
	{typ: sockAddrTypes["bind4"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCGroupInet4Bind},
	{typ: sockAddrTypes["bind6"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCGroupInet6Bind},
	{typ: sockAddrTypes["sendmsg4"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCGroupUDP4Sendmsg},
	{typ: sockAddrTypes["sendmsg6"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCGroupUDP6Sendmsg},
	{typ: sockAddrTypes["recvmsg4"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCGroupUDP4Recvmsg},
	{typ: sockAddrTypes["recvmsg6"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCGroupUDP6Recvmsg},
	{typ: sockAddrTypes["getpeername4"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCgroupInet4GetPeername},
	{typ: sockAddrTypes["getsockname6"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCgroupInet6GetSockname},
	{typ: sockAddrTypes["connect_unix"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCgroupUnixConnect},
	{typ: sockAddrTypes["recvmsg_unix"], kernel: ebpf.CGroupSockAddr, attach: ebpf.AttachCgroupUnixRecvmsg},
	{typ: LwtSeg6Local, kernel: ebpf.LWTSeg6Local},
	{typ: SkReuseport, kernel: ebpf.SkReuseport, attach: ebpf.AttachSkReuseportSelect},
	{typ: skReuseportMigrate, kernel: ebpf.SkReuseport, attach: ebpf.AttachSkReuseportSelectOrMigrate},
	{typ: FlowDissector, kernel: ebpf.FlowDissector, attach: ebpf.AttachFlowDissector},
	{typ: CgroupSysctl, kernel: ebpf.CGroupSysctl, attach: ebpf.AttachCGroupSysctl},
	{typ: CgroupSockopt, kernel: ebpf.CGroupSockopt, attach: ebpf.AttachCGroupGetsockopt},
	{typ: cgroupSetsockopt, kernel: ebpf.CGroupSockopt, attach: ebpf.AttachCGroupSetsockopt},
	{typ: SkLookup, kernel: ebpf.SkLookup, attach: ebpf.AttachSkLookup},
	{typ: Syscall, kernel: ebpf.Syscall, flags: 16, quick: true}, // BPF_F_SLEEPABLE
	{typ: Netfilter, kernel: ebpf.Netfilter, attach: ebpf.AttachNetfilter},
}

// load asks the kernel for its verdict on a program of type k. The log is
// empty unless it is wanted.
func (k *kernelType) load(insns asm.Instructions, wantLog bool) (ok bool, log string, err error) {
	opts := ebpf.ProgramOptions{LogDisabled: !wantLog}
	p, err := ebpf.NewProgramWithOptions(&ebpf.ProgramSpec{
		Type: k.kernel, AttachType: k.attach, License: "GPL", Flags: k.flags, Instructions: insns,
	}, opts)
	if err == nil {
		p.Close()
		return true, "", nil
	}
	return false, err.Error(), err
}

// lax are the fields of which we let programs read narrow parts that the
// kernel refuses: all but the first, or padding.
var lax = map[string]bool{
	"sock_ops.skb_tcp_flags": true,
	"cgroup_sock.family":     true, "cgroup_sock.type": true, "cgroup_sock.protocol": true, "cgroup_sock.src_port": true,
	"cgroup_sock.state": true, "cgroup_sock.dst_port": true, "cgroup_sock.rx_queue_mapping": true,
}

// strict are the fields of which the kernel lets programs read bytes in the
// middle, though they hold a pointer.
var strict = map[string]bool{"raw_tracepoint_writable.buffer": true}

func fieldName(c *hook.Ctx, off int) string {
	if f := c.At(uint32(off)); f != nil {
		return f.Name
	}
	return ""
}

// TestCtxKernel compares the context tables with the kernel's verdicts on
// every aligned load and store up to the struct's end and a little further.
func TestCtxKernel(t *testing.T) {
	oracle.Skip(t)
	for _, k := range kernelTypes {
		if testing.Short() && !k.quick {
			continue
		}
		name := k.typ.Name
		if k.typ.Attach != "" {
			name += "/" + k.typ.Attach
		}
		t.Run(name, func(t *testing.T) {
			end := min(int(k.typ.Ctx.Size)+8, 256)
			for off := range end {
				for _, size := range []int{1, 2, 4, 8} {
					if off%size != 0 {
						continue
					}
					for _, write := range []bool{false, true} {
						ours := allowed(&k.typ.Ctx, off, size, write)
						kernel, _, _ := k.load(access(k.typ, off, size, write), false)
						if ours == kernel {
							continue
						}
						field := k.typ.Name + "." + fieldName(&k.typ.Ctx, off)
						if ours && !write && lax[field] || kernel && !write && strict[field] {
							continue
						}
						_, log, _ := k.load(access(k.typ, off, size, write), true)
						t.Errorf("offset %d, %d bytes, write %v: we allow it: %v, the kernel: %v (%s)", off, size, write, ours, kernel, strings.TrimSpace(log))
					}
				}
			}
		})
	}
}

// allowed says what c allows, as engines and the verifier read it.
func allowed(c *hook.Ctx, off, size int, write bool) bool {
	f := c.At(uint32(off))
	if f == nil || uint32(off+size) > f.Off+f.Size {
		return false
	}
	if f.Kind != hook.FieldBytes && (uint32(off)-f.Off)%uint32(size) != 0 {
		return false
	}
	if write {
		return f.Write.Has(size) && (f.Kind == hook.FieldBytes || uint32(size) == f.Size && uint32(off) == f.Off || f.Write.Has(1))
	}
	return f.Read.Has(size)
}

// access is a program that does nothing else but load from or store to the
// context.
func access(typ *hook.Type, off, size int, write bool) asm.Instructions {
	s := map[int]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word, 8: asm.DWord}[size]
	ret := int32(0)
	if typ.Return != hook.AnyReturn {
		ret = int32(typ.Return.Min)
	}
	in := asm.LoadMem(asm.R2, asm.R1, int16(off), s)
	if write {
		in = asm.StoreMem(asm.R1, int16(off), asm.R3, s)
	}
	return asm.Instructions{asm.Mov.Imm(asm.R3, 0), in, asm.Mov.Imm(asm.R0, ret), asm.Return()}
}
