package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// kernelTypes are the program types by number (include/uapi/linux/bpf.h, enum
// bpf_prog_type).
var kernelTypes = []string{
	"unspec", "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb",
	"cgroup_sock", "lwt_in", "lwt_out", "lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint",
	"cgroup_sock_addr", "lwt_seg6local", "lirc_mode2", "sk_reuseport", "flow_dissector", "cgroup_sysctl",
	"raw_tracepoint_writable", "cgroup_sockopt", "tracing", "struct_ops", "ext", "lsm", "sk_lookup", "syscall", "netfilter",
}

// attachTypes are those that the kernel's verifier looks at (enum
// bpf_attach_type), by the name that hook.Type.Attach gives them.
var attachTypes = map[string]uint32{
	"cgroup_inet4_bind": 8, "cgroup_inet6_bind": 9, "cgroup_inet4_connect": 10, "cgroup_inet6_connect": 11,
	"cgroup_inet4_post_bind": 12, "cgroup_inet6_post_bind": 13, "cgroup_udp4_sendmsg": 14, "cgroup_udp6_sendmsg": 15,
	"cgroup_udp4_recvmsg": 19, "cgroup_udp6_recvmsg": 20, "cgroup_getsockopt": 21, "cgroup_setsockopt": 22,
	"cgroup_inet4_getpeername": 29, "cgroup_inet6_getpeername": 30, "cgroup_inet4_getsockname": 31,
	"cgroup_inet6_getsockname": 32, "xdp_devmap": 33, "xdp_cpumap": 35,
}

func attachType(t *hook.Type) uint32 {
	if t.Attach == "" && t.Name == "cgroup_sock_addr" {
		return attachTypes["cgroup_inet4_connect"]
	}
	return attachTypes[t.Attach]
}

// An answer is the kernel's.
type answer struct {
	loads bool
	took  time.Duration // verification time, in whole microseconds
	insns int64         // processed
	err   string        // why it does not load, or could not be asked
	asked bool
}

// maxEntries bounds the entries of the kernel's maps that allocate them in
// advance. No program can tell.
const maxEntries = 1000

// kernelMaps makes and keeps the kernel's twins of an object's maps.
type kernelMaps map[*maps.Spec]*oracle.Map

func (k kernelMaps) close() {
	for _, m := range k {
		m.Close()
	}
}

func (k kernelMaps) of(s *maps.Spec) (*oracle.Map, error) {
	if m := k[s]; m != nil {
		return m, nil
	}
	var inner *oracle.Map
	if s.Inner != nil {
		var err error
		if inner, err = k.of(s.Inner); err != nil {
			return nil, err
		}
	}
	cpus, err := oracle.PossibleCPUs()
	if err != nil {
		return nil, err
	}
	twin := *s
	switch s.Type {
	case maps.Array, maps.PerCPUArray, maps.ProgArray:
	case maps.RingBuf: // the kernel wants no sizes where C may give some
		twin.KeySize, twin.ValueSize = 0, 0
	case maps.PerfEventArray:
		twin.KeySize, twin.ValueSize, twin.MaxEntries = 4, 4, uint32(cpus)
	default:
		twin.MaxEntries = min(twin.MaxEntries, maxEntries)
	}
	if twin.MaxEntries == 0 { // for the loader to choose: one per CPU
		twin.MaxEntries = uint32(cpus)
	}
	m, err := oracle.NewMap(&twin, inner)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", s.Name, err)
	}
	k[s] = m
	if s.Type != maps.Array {
		return m, nil
	}
	for _, e := range s.Contents {
		if err := m.Update(e.Key, e.Value, 0); err != nil {
			return nil, fmt.Errorf("contents of map %s: %w", s.Name, err)
		}
	}
	if s.Frozen {
		if err := m.Freeze(); err != nil {
			return nil, fmt.Errorf("freezing map %s: %w", s.Name, err)
		}
	}
	return m, nil
}

// A kernelProgram is a program as the kernel gets it: the instructions that
// skep verifies.
type kernelProgram struct {
	opts oracle.LoadOptions
	err  error // why the kernel cannot be asked
}

func newKernelProgram(p *prog.Program, k kernelMaps) *kernelProgram {
	number := slices.Index(kernelTypes, p.Type.Name)
	license := p.License
	if license == "" {
		license = "GPL" // old objects have none
	}
	kp := &kernelProgram{opts: oracle.LoadOptions{
		Type: uint32(number), Attach: attachType(p.Type), License: license,
		Insns: slices.Clone(p.Insns), Maps: []*oracle.Map{}, LogLevel: logStats,
	}}
	for pc, in := range p.Insns {
		if in.IsWide() && in.Src == isa.PseudoFunc { // linked: the entry itself; the kernel's are relative
			kp.opts.Insns[pc].Imm = in.Imm - int32(pc) - 1
		}
	}
	switch {
	case number <= 0:
		kp.err = fmt.Errorf("program type %s is not the kernel's", p.Type.Name)
	case p.Type.Name == "tracing" || p.Type.Name == "lsm" || p.Type.Name == "ext" || p.Type.Name == "struct_ops":
		kp.err = errors.New("needs a target in the kernel")
	case len(p.Externs) > 0:
		kp.err = fmt.Errorf("needs %s of the kernel", p.Externs[0].Name)
	}
	for _, s := range p.Maps {
		m, err := k.of(s)
		if err != nil {
			kp.err = err
			break
		}
		kp.opts.Maps = append(kp.opts.Maps, m)
	}
	return kp
}

// logStats asks for the statistics of a verification
// (include/linux/bpf_verifier.h, BPF_LOG_STATS).
const logStats = 4

var (
	tookLine  = regexp.MustCompile(`(?m)^verification time (\d+) usec`)
	insnsLine = regexp.MustCompile(`(?m)^processed (\d+) insns`)
)

// ask loads the program once.
func (kp *kernelProgram) ask() answer {
	if kp.err != nil {
		return answer{err: kp.err.Error()}
	}
	p, log, err := oracle.Load(kp.opts)
	a := answer{asked: true, loads: err == nil}
	if err == nil {
		p.Close()
	} else {
		a.err = err.Error()
		for line := range strings.Lines(log) {
			if tookLine.MatchString(line) {
				break
			}
			a.err = strings.TrimSpace(line)
		}
	}
	if m := tookLine.FindStringSubmatch(log); m != nil {
		n, _ := strconv.ParseInt(m[1], 10, 64)
		a.took = time.Duration(n) * time.Microsecond
	}
	if m := insnsLine.FindStringSubmatch(log); m != nil {
		a.insns, _ = strconv.ParseInt(m[1], 10, 64)
	}
	return a
}
