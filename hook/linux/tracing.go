package linux

import "github.com/skepvm/skep/hook"

// Program types that observe the kernel. Nothing here calls them; a run gives
// them a context's bytes.

// ptRegs is struct pt_regs of x86-64, the machine whose objects are the most;
// other machines' have other names and sizes.
var ptRegs = []string{
	"r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di",
	"orig_ax", "ip", "cs", "flags", "sp", "ss",
}

func registers(read, write hook.Widths) []hook.Field {
	var fs []hook.Field
	for i, name := range ptRegs {
		fs = append(fs, hook.Field{Name: name, Off: 8 * uint32(i), Size: 8, Read: read, Write: write})
	}
	return fs
}

// Kprobe is BPF_PROG_TYPE_KPROBE: kprobes, uprobes, and their returns.
var (
	Kprobe        = kprobe("", hook.AnyReturn)
	kprobeSession = kprobe("trace_kprobe_session", hook.Range{Max: 1})
	uprobeSession = kprobe("trace_uprobe_session", hook.Range{Max: 1})
)

func kprobe(attach string, ret hook.Range) *hook.Type {
	return &hook.Type{
		Name:    "kprobe",
		Attach:  attach,
		Ctx:     hook.NewCtx("pt_regs", 168, registers(narrow8, 0)...),
		Input:   hook.InputContext,
		Return:  ret,
		Helpers: helperSet("kprobe", nil),
	}
}

// Tracepoint is BPF_PROG_TYPE_TRACEPOINT. How much of the context there is
// depends on the tracepoint.
var Tracepoint = &hook.Type{
	Name: "tracepoint",
	Ctx: hook.NewCtx("trace_entry", 8192,
		hook.Field{Name: "args", Off: 8, Size: 8184, Kind: hook.FieldBytes, Read: narrow8}),
	Input:   hook.InputContext,
	Return:  hook.AnyReturn,
	Helpers: helperSet("tracepoint", nil),
}

// maxArgs is how many arguments the context of a traced function can hold.
const maxArgs = 12

// RawTracepoint is BPF_PROG_TYPE_RAW_TRACEPOINT.
var RawTracepoint = &hook.Type{
	Name: "raw_tracepoint",
	Ctx: hook.NewCtx("bpf_raw_tracepoint_args", 8*maxArgs,
		hook.Field{Name: "args", Off: 0, Size: 8 * maxArgs, Kind: hook.FieldBytes, Read: narrow8}),
	Input:   hook.InputContext,
	Return:  hook.AnyReturn,
	Helpers: helperSet("raw_tracepoint", nil),
}

// RawTracepointWritable is BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE: the first
// argument is a buffer of the tracepoint's.
var RawTracepointWritable = &hook.Type{
	Name: "raw_tracepoint_writable",
	Ctx: hook.NewCtx("bpf_raw_tracepoint_args", 8*maxArgs,
		hook.Field{Name: "buffer", Off: 0, Size: 8, Kind: hook.FieldObject, Object: "tp_buffer", Read: 8},
		hook.Field{Name: "args", Off: 8, Size: 8 * (maxArgs - 1), Kind: hook.FieldBytes, Read: narrow8}),
	Input:   hook.InputContext,
	Return:  hook.AnyReturn,
	Helpers: helperSet("raw_tracepoint_writable", nil),
}

// PerfEvent is BPF_PROG_TYPE_PERF_EVENT.
var PerfEvent = &hook.Type{
	Name: "perf_event",
	Ctx: hook.NewCtx("bpf_perf_event_data", 184, append(registers(8, 0),
		hook.Field{Name: "sample_period", Off: 168, Size: 8, Read: narrow8},
		hook.Field{Name: "addr", Off: 176, Size: 8, Read: narrow8})...),
	Input:   hook.InputContext,
	Return:  hook.AnyReturn,
	Helpers: helperSet("perf_event", perfEventFuncs),
}

// Tracing is BPF_PROG_TYPE_TRACING. Its arguments have the types of the traced
// function; what is known here is that each has eight bytes.
var (
	Tracing          = traced("tracing", "", hook.Range{}) // fentry, fexit
	tracingModifyRet = traced("tracing", "modify_return", hook.AnyReturn)
	tracingRawTp     = traced("tracing", "trace_raw_tp", hook.AnyReturn)
	tracingSession   = traced("tracing", "trace_fsession", hook.Range{Max: 1})
	tracingIter      = traced("tracing", "trace_iter", hook.Range{Max: 1})
)

// Types of which the context is that of a function in the kernel.
var (
	LSM       = traced("lsm", "", hook.AnyReturn)
	lsmCgroup = traced("lsm", "lsm_cgroup", hook.AnyReturn)
	StructOps = traced("struct_ops", "", hook.AnyReturn)
	Ext       = traced("ext", "", hook.AnyReturn)
)

func traced(name, attach string, ret hook.Range) *hook.Type {
	set := name
	if attach == "trace_iter" {
		set = "tracing/iter"
	}
	return &hook.Type{
		Name:   name,
		Attach: attach,
		Ctx: hook.NewCtx("args", 8*maxArgs,
			hook.Field{Name: "args", Off: 0, Size: 8 * maxArgs, Kind: hook.FieldBytes, Read: narrow8}),
		Input:   hook.InputContext,
		Return:  ret,
		Helpers: helperSet(set, tracingFuncs),
	}
}

// LircMode2 is BPF_PROG_TYPE_LIRC_MODE2.
var LircMode2 = &hook.Type{
	Name:    "lirc_mode2",
	Ctx:     hook.NewCtx("lirc_mode2", 4, u32("sample", 0, 4)),
	Input:   hook.InputContext,
	Return:  hook.AnyReturn,
	Helpers: helperSet("lirc_mode2", nil),
}
