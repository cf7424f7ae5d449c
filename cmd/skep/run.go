package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

type runFlags struct {
	objectFlags
	engine   string
	packet   string
	pcap     string
	write    string
	ctx      []string
	set      []string
	maps     []string
	repeat   int
	dumpMaps bool
	mapsJSON string
	trace    bool
	profile  string
	verify   bool
	json     bool
}

func newRun(s streams) *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run FILE.o",
		Short: "Run a program on a packet, on a capture, or on a context",
		Long: `Runs one program of an object and prints what it returns: on one packet
(--packet; empty by default), on every packet of a capture (--pcap), or on a
context (--ctx, and --packet for its bytes, where the program's type takes no
packet). Maps keep their contents between the packets and repetitions of one
command.

Packets have 256 bytes of room before them and are followed by as much room as
a page leaves, as in the kernel's own test runs, so that programs can grow them.

With --json, one object per run, or per packet of a capture:

  program, engine   which program ran, and how
  engine_reason     why in no faster engine, if there is a reason
  retval            what it returned, as the kernel reports it (the low 32 bits
                    of R0; all of R0, signed, at a host's own hook); null after
                    a fault
  packet            the packet after the run, in hexadecimal
  redirect          after a verdict of redirection, {"device"} or {"map", "key"}
  maps              with --dump-maps, after the last run: the contents of every
                    map, {"name": {"key": "value"}} in hexadecimal; per-CPU maps
                    have the values of all CPUs in a row, ring buffers their
                    records under consecutive numbers
  insns, ns_per_run instructions of a run, and time; averages with --repeat
  error             why the run failed, or null

Values in --set and in the files of --map are JSON: numbers (also "0x1f90"),
names of enum constants, text for arrays of char, lists for arrays, objects for
structs, or "hex:0a0b" for the bytes themselves. A file holds entries,
[{"key": …, "value": …}, …], or what --dump-maps prints with --json,
{"key in hexadecimal": "value in hexadecimal", …}.

--maps-json writes what maps hold at the end, {"name": […], …}, where the list
is what bpftool map dump -j prints for such a map in the kernel. Ring buffers and
perf event arrays are left out.

--write writes a pcap file of the packets that the program let pass, as it left
them: what it did not drop (XDP_DROP, XDP_ABORTED, TC_ACT_SHOT, 0 of a socket
filter).

A program must be proven safe before it runs (see skep verify), except with
--engine checked, where each access is checked when it happens. --engine auto is
machine code where that is possible; --json says why if it is not.

--profile counts each instruction that runs, in every program that takes part, and
writes a profile that "go tool pprof" reads: functions, files and C lines by
instructions executed. It needs the checked interpreter, so it says how often
and not how long; what lines cost in machine code, perf shows (see
vm.Options.PerfMap).

--trace prints each instruction with the register it wrote, to standard
error, where text printed by bpf_trace_printk goes, too.

Exit codes: 0 if every run ended well, 1 if one faulted or the program was
refused, 2 for bad usage or input.`,
		Args: oneObject,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return usage{err, cmd.CommandPath()}
			}
			return runObject(cmd.Context(), s, &f, args[0])
		},
	}
	f.register(cmd)
	g := cmd.Flags()
	g.StringVar(&f.engine, "engine", "auto", "`ENGINE` that runs the program: auto, jit, interp or checked")
	g.StringVar(&f.packet, "packet", "", "the packet: `HEX`, or @FILE with its bytes")
	g.StringVar(&f.pcap, "pcap", "", "run on each packet of `FILE`, a pcap or pcapng capture")
	g.StringVar(&f.write, "write", "", "with --pcap: write the packets that pass to `FILE`")
	g.StringArrayVar(&f.ctx, "ctx", nil, "context fields: `FIELD=NUMBER,…`")
	g.StringArrayVar(&f.set, "set", nil, "initial value of a global variable: `NAME=VALUE` (repeat for several)")
	g.StringArrayVar(&f.maps, "map", nil, "entries to store in a map: `NAME=FILE.json` (repeat for several)")
	g.IntVar(&f.repeat, "repeat", 1, "run `N` times on the same packet")
	g.BoolVar(&f.dumpMaps, "dump-maps", false, "print the contents of maps at the end")
	g.StringVar(&f.mapsJSON, "maps-json", "", "write the contents of maps at the end to `FILE`, or - for standard output, as bpftool does")
	g.BoolVar(&f.trace, "trace", false, "print each instruction that runs")
	g.StringVar(&f.profile, "profile", "", "count the instructions that run, and write a pprof profile to `FILE`")
	g.BoolVar(&f.verify, "verify", false, "with --engine checked: run only what the verifier accepts, too")
	g.BoolVar(&f.json, "json", false, "one JSON object per run")
	return cmd
}

// check refuses flags that contradict each other.
func (f *runFlags) check() error {
	switch {
	case f.pcap != "" && f.packet != "":
		return errors.New("--packet and --pcap exclude each other")
	case f.write != "" && f.pcap == "":
		return errors.New("--write needs --pcap")
	case f.repeat < 1:
		return fmt.Errorf("--repeat %d: at least one run is needed", f.repeat)
	case f.repeat > 1 && f.pcap != "":
		return errors.New("--repeat and --pcap exclude each other")
	}
	_, err := vm.ParseEngine(f.engine)
	return err
}

// A session is a loaded program and what its runs are given.
type session struct {
	s      streams
	file   string // the object's
	flags  *runFlags
	coll   *vm.Collection
	prog   *vm.Program
	fields map[string]uint64 // of the context
	tracer *tracer           // nil without --trace
	counts *profiler         // nil without --profile

	redirect linux.Redirect // what the last run asked for
}

func runObject(ctx context.Context, s streams, f *runFlags, name string) error {
	obj, err := f.open(name)
	if err != nil {
		return err
	}
	spec, err := choose(obj, f.program)
	if err != nil {
		return err
	}
	if err := setVariables(obj, f.set); err != nil {
		return err
	}
	if spec.Type == nil && spec.Err == nil {
		return fmt.Errorf("%s: program %s: section %q means no program type; give one with --type", name, spec.Name, spec.Section)
	}
	r := &session{s: s, file: name, flags: f}
	if spec.Type != nil {
		if r.fields, err = parseFields(f.ctx, spec.Type); err != nil {
			return err
		}
	}
	if err := r.load(obj, spec.Name); err != nil {
		if e := (*verifier.Error)(nil); errors.As(err, &e) {
			hint := ""
			if f.engine != string(vm.Checked) {
				hint = "\n  --engine checked runs it without a proof, and checks each access"
			}
			err = fmt.Errorf("%s: %s%s", name, strings.TrimSuffix(e.Explain(), "\n"), hint)
		}
		return refused{err}
	}
	defer r.coll.Close()
	if err := fillMaps(r.coll, f.maps); err != nil {
		return err
	}
	if f.trace {
		r.tracer = &tracer{w: s.err}
	}
	run := r.runOnce
	if f.pcap != "" {
		run = r.runCapture
	}
	if f.profile != "" {
		r.counts = newProfiler()
	}
	err = run(ctx)
	if f.profile != "" {
		err = errors.Join(err, r.counts.write(f.profile))
	}
	if f.mapsJSON != "" {
		err = errors.Join(err, writeMaps(s.out, f.mapsJSON, r.coll))
	}
	return err
}

// load loads the object for the program called name.
func (r *session) load(obj *prog.Object, name string) error {
	engine, err := vm.ParseEngine(r.flags.engine)
	if err != nil {
		return err
	}
	verify := vm.VerifyAuto
	if r.flags.verify {
		verify = vm.VerifyRequire
	}
	r.coll, err = vm.Load(obj, vm.Options{
		Engine: engine,
		Verify: verify,
		Host:   helpers.Host{Trace: func(line string) { fmt.Fprintln(r.s.err, line) }},
	})
	if err != nil {
		return err
	}
	r.prog = r.coll.Program(name)
	if err := r.prog.Err(); err != nil {
		r.coll.Close()
		return err
	}
	return nil
}

// watched reports whether something wants to know of each instruction.
func (r *session) watched() bool { return r.tracer != nil || r.counts != nil }

// engine returns the engine that the program runs in, and why not in a faster
// one. A trace and a profile need the one that goes instruction by instruction.
func (r *session) engine() (e vm.Engine, why string) {
	if r.tracer != nil {
		return vm.Checked, "it is traced"
	}
	if r.counts != nil {
		return vm.Checked, "its instructions are counted"
	}
	e, why = r.prog.Engine()
	if string(e) == r.flags.engine {
		why = "" // it was asked for
	}
	return e, why
}

// engineText is engine for people: "jit engine", "checked engine (why)".
func (r *session) engineText() string {
	e, why := r.engine()
	if why != "" {
		return fmt.Sprintf("%s engine (%s)", e, why)
	}
	return string(e) + " engine"
}

// A report is what --json prints of a run.
type report struct {
	Program  string                       `json:"program"`
	Engine   vm.Engine                    `json:"engine"`
	Why      string                       `json:"engine_reason,omitempty"`
	Retval   *int64                       `json:"retval"`
	Packet   string                       `json:"packet"`
	Redirect *redirectTarget              `json:"redirect,omitempty"`
	Maps     map[string]map[string]string `json:"maps,omitempty"`
	Insns    uint64                       `json:"insns"`
	NsPerRun float64                      `json:"ns_per_run"`
	Error    *string                      `json:"error"`
}

// report describes a run that took d and left packet.
func (r *session) report(res *vm.Result, d time.Duration, packet []byte, err error) *report {
	engine, why := r.engine()
	rep := &report{
		Program: r.prog.Name(), Engine: engine, Why: why, Packet: hex.EncodeToString(packet),
		Insns: res.Insns, NsPerRun: float64(d.Nanoseconds()),
	}
	if err != nil {
		text := err.Error()
		rep.Error = &text
	} else {
		n := r.retval(res.R0)
		rep.Retval = &n
		rep.Redirect = r.target(res)
	}
	return rep
}

// A redirectTarget says where a packet was redirected to.
type redirectTarget struct {
	Device uint32 `json:"device,omitempty"`
	Map    string `json:"map,omitempty"`
	Key    uint32 `json:"key,omitempty"`
}

func (t *redirectTarget) String() string {
	if t.Map != "" {
		return fmt.Sprintf("entry %d of map %s", t.Key, t.Map)
	}
	return fmt.Sprintf("device %d", t.Device)
}

// target returns where the program redirected its packet to; nil if its
// verdict is another.
func (r *session) target(res *vm.Result) *redirectTarget {
	if !strings.HasSuffix(res.Verdict, "_REDIRECT") {
		return nil
	}
	switch t := r.redirect; t.Kind {
	case linux.RedirectNone:
		return nil
	case linux.RedirectMap:
		return &redirectTarget{Map: t.Map.Spec().Name, Key: t.Index}
	default:
		return &redirectTarget{Device: t.Index}
	}
}

// retval returns r0 as the platform reports it: the kernel's test runs have 32
// bits for it; a host's own hook gets all of R0.
func (r *session) retval(r0 uint64) int64 {
	if r.prog.Type().BTF != nil { // made by hook.Define
		return int64(r0)
	}
	return int64(uint32(r0))
}

// Room around packets: XDP_PACKET_HEADROOM, and what a page of 4096 bytes
// leaves behind after it and 320 bytes of struct skb_shared_info (kernel,
// net/bpf/test_run.c, bpf_prog_test_run_xdp).
const (
	headroom = 256
	pageRoom = 4096 - 256 - 320
)

// An input is what runs are given: a buffer that is filled again for each run,
// because programs write to it.
type input struct {
	typ  *hook.Type
	pkt  vm.Packet
	buf  []byte
	data []byte // of types that take a context
}

// set makes data the packet, or the context.
func (in *input) set(data []byte) {
	if in.typ.Input != hook.InputPacket {
		if data != nil {
			in.data = append(in.data[:0], data...)
		}
		return
	}
	if need := headroom + max(len(data), pageRoom); len(in.buf) < need {
		in.buf = make([]byte, need)
	}
	copy(in.buf[headroom:], data)
	end := headroom + len(data)
	in.pkt = vm.Packet{Buf: in.buf[:max(end, headroom+pageRoom)], Meta: headroom, Head: headroom, Tail: end}
}

// value returns what Program.Run takes.
func (in *input) value() any {
	switch {
	case in.typ.Input == hook.InputPacket:
		return &in.pkt
	case in.data == nil:
		return nil
	}
	return in.data
}

// bytes returns the packet, or the context, after a run.
func (in *input) bytes() []byte {
	if in.typ.Input == hook.InputPacket {
		return in.pkt.Data()
	}
	return in.data
}

// do runs the program once, with all the result.
func (r *session) do(ctx context.Context, in *input) (vm.Result, error) {
	r.redirect = linux.Redirect{}
	o := vm.RunOptions{Fields: r.fields, Outcome: func(state any) {
		if s, ok := state.(*linux.State); ok {
			r.redirect = s.Redirect
		}
	}}
	var watch []func(*vm.Program, int, *[16]uint64)
	if r.tracer != nil {
		r.tracer.begin()
		watch = append(watch, r.tracer.observe)
	}
	if r.counts != nil {
		watch = append(watch, r.counts.observe)
	}
	o.Observe = observers(watch...)
	res, err := r.prog.Do(ctx, in.value(), o)
	if r.tracer != nil {
		r.tracer.end(res.R0, err)
	}
	return res, err
}

// runOnce runs the program on one input, as often as --repeat says.
func (r *session) runOnce(ctx context.Context) error {
	var data []byte
	if r.flags.packet != "" {
		var err error
		if data, err = hexOrFile(r.flags.packet); err != nil {
			return fmt.Errorf("--packet: %w", err)
		}
	}
	in := &input{typ: r.prog.Type()}
	var res vm.Result
	var err error
	counted := r.prog.Stats().Insns
	begin := time.Now()
	n := 0
	for n < r.flags.repeat && err == nil {
		n++
		in.set(data)
		if n < r.flags.repeat && r.fields == nil && !r.watched() {
			_, err = r.prog.RunContext(ctx, in.value()) // allocates nothing
			continue
		}
		res, err = r.do(ctx, in)
	}
	perRun := time.Since(begin) / time.Duration(n)
	res.Insns = (r.prog.Stats().Insns - counted) / uint64(n)
	if r.flags.json {
		rep := r.report(&res, perRun, in.bytes(), err)
		if r.flags.dumpMaps {
			var dumpErr error
			if rep.Maps, dumpErr = dumpJSON(r.coll); dumpErr != nil {
				return dumpErr
			}
		}
		if err := writeJSON(r.s.out, rep); err != nil {
			return err
		}
	} else if err == nil {
		r.print(&res, perRun, data, in.bytes())
	}
	if err != nil {
		return refused{fmt.Errorf("%s: %w", r.file, err)}
	}
	if r.flags.dumpMaps && !r.flags.json {
		return dumpText(r.s.out, r.coll)
	}
	return nil
}

// print shows one result to people.
func (r *session) print(res *vm.Result, perRun time.Duration, before, after []byte) {
	w := r.s.out
	fmt.Fprintf(w, "%s: %s\n", r.prog.Name(), r.verdict(res.R0))
	fmt.Fprintf(w, "  %s in %v, %s\n", plural(int(res.Insns), "instruction", "instructions"), perRun, r.engineText())
	if t := r.target(res); t != nil {
		fmt.Fprintf(w, "  redirected to %v\n", t)
	}
	switch {
	case len(before) == 0 && len(after) == 0:
	case string(before) == string(after):
		fmt.Fprintf(w, "  packet: %s, unchanged\n", plural(len(after), "byte", "bytes"))
	default:
		fmt.Fprintf(w, "  packet: %s, changed:\n", plural(len(after), "byte", "bytes"))
		hexDump(w, after)
	}
}

// verdict returns the name of r0 and its value.
func (r *session) verdict(r0 uint64) string {
	n := fmt.Sprint(r.retval(r0))
	if name := r.prog.Type().Verdict(r0); name != n && r.prog.Type().Verdicts != nil && !isNumber(name) {
		return name + " (" + n + ")"
	}
	return n
}

func isNumber(s string) bool {
	_, err := parseInteger(s)
	return err == nil
}

// hexDump prints b, indented, 16 bytes on a line.
func hexDump(w io.Writer, b []byte) {
	for at := 0; at < len(b); at += 16 {
		line := b[at:min(at+16, len(b))]
		fmt.Fprintf(w, "  %04x  % x\n", at, line)
	}
}
