package linux

import (
	"fmt"

	"github.com/skepvm/skep/hook"
)

// Regs are a processor's registers at a probe, by what bpf_tracing.h calls them:
// those of x86-64, or of arm64 in programs of PlatformARM64.
type Regs struct {
	Args []uint64 // of the function: PT_REGS_PARM1 and so on; six, of arm64 eight
	Ret  uint64   // what it returned: PT_REGS_RC; on arm64 that is the first argument's register
	IP   uint64
	SP   uint64
	FP   uint64
}

// The registers of arguments.
var (
	argsAMD64 = []string{"di", "si", "dx", "cx", "r8", "r9"}
	argsARM64 = []string{"regs[0]", "regs[1]", "regs[2]", "regs[3]", "regs[4]", "regs[5]", "regs[6]", "regs[7]"}
)

// fill stores the registers in the context.
func (g *Regs) fill(f frame) error {
	names, ret, ip, fp := argsAMD64, "ax", "ip", "bp"
	if f.t.Ctx.Field("regs[0]") != nil {
		names, ret, ip, fp = argsARM64, "regs[0]", "pc", "regs[29]"
	}
	if len(g.Args) > len(names) {
		return fmt.Errorf("%d arguments; registers take %d", len(g.Args), len(names))
	}
	if g.Ret != 0 {
		f.put(ret, g.Ret)
	}
	for i, v := range g.Args {
		f.put(names[i], v)
	}
	f.put(ip, g.IP)
	f.put("sp", g.SP)
	f.put(fp, g.FP)
	return nil
}

// A Call is a call of a function that a program observes. Kprobes and uprobes see
// Regs; fentry, fexit, LSM hooks and raw tracepoints see Args, and what the
// function returned if Probe.Returned is set, as the last of them.
type Call struct {
	Regs  Regs
	Args  []uint64
	Probe Probe // FuncIP and so on; Args and Returned of it follow from this
}

// Enter implements hook.Source.
func (c *Call) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "kprobe", "tracing", "lsm", "raw_tracepoint", "raw_tracepoint_writable", "struct_ops", "ext")
	if err != nil {
		return err
	}
	p := c.Probe
	if t.Name == "kprobe" {
		if err := c.Regs.fill(f); err != nil {
			return err
		}
		stateOf(r).Probe = p
		return nil
	}
	if len(c.Args) > maxArgs {
		return fmt.Errorf("%d arguments; %d is the most", len(c.Args), maxArgs)
	}
	args, first := f.bytes("args"), 0
	if t.Name == "raw_tracepoint_writable" {
		first = 1 // the first is a buffer
	}
	for i, v := range c.Args {
		if i >= first {
			store64(args[8*(i-first):8*(i-first)+8], v)
		}
	}
	if p.Args = len(c.Args); p.Returned && p.Args > 0 {
		p.Args--
	}
	stateOf(r).Probe = p
	return nil
}

// Leave implements hook.Source.
func (c *Call) Leave(_ *hook.Type, r hook.Run) { c.Probe = stateOf(r).Probe }

// A Sample is a sample of a performance event, for perf_event programs.
type Sample struct {
	Regs   Regs
	Period uint64
	Addr   uint64
	Probe  Probe // Cookie, Branches, Counter
}

// Enter implements hook.Source.
func (s *Sample) Enter(t *hook.Type, r hook.Run) error {
	f, err := enter(t, r, "perf_event")
	if err != nil {
		return err
	}
	f.put("sample_period", s.Period)
	f.put("addr", s.Addr)
	stateOf(r).Probe = s.Probe
	return s.Regs.fill(f)
}

// Leave implements hook.Source.
func (s *Sample) Leave(*hook.Type, hook.Run) {}
