package bpftest

import (
	"math/rand/v2"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Options choose what Generate may use. The zero value gives arithmetic,
// branches and stack accesses of cpu v3.
type Options struct {
	Statements int // of the main program, about; 0: 30

	V4          bool // signed division, sign extension, bswap, gotol
	Atomics     bool // read-modify-write on stack, and on map values with Maps
	AcquireLoad bool // load-acquire and store-release (kernel 6.14)
	Loops       bool // counted loops
	MayGoto     bool
	Subprograms bool
	Callbacks   bool // bpf_loop
	Maps        bool // lookup, update and delete on an array and a hash
	Packet      bool // bounds-checked access to the packet; xdp and sched_cls
	LegacyLoads bool // LD_ABS and LD_IND; sched_cls

	// What follows is for verifiers alone: the kernel refuses some of it, or
	// results depend on more than the input. Everything leaves it out.

	Cursors   bool // loops that walk the packet; needs Packet
	LongLoops bool // loops of several counters, and up to a thousand iterations
	Indexes   bool // offsets bounded in as many ways as compilers and people know
	Idioms    bool // flags tested twice, pieces of spills, context fields, memory handed on
	RingBuf   bool // reservations, submitted or discarded
	Bytes     bool // packet bytes, checksums and random numbers by helpers
	ForEach   bool // bpf_for_each_map_elem
	TailCalls bool
	Moves     bool // helpers that move the packet; needs Packet
	Iterators bool // bpf_iter_num; calls GenKfuncs by index
	Lookups   bool // maps per CPU and with keys of many sizes, the CPU's number; needs Maps
	// Constructs are locks, timers, dynptrs, iterators over bits, queues, maps of
	// maps, sockets, exceptions, sections, and what user space sends; needs Maps.
	Constructs bool
}

// Everything is every feature that programs of type kind ("xdp", "sched_cls")
// can use.
func Everything(kind string) Options {
	return Options{
		V4: true, Atomics: true, AcquireLoad: true, Loops: true, MayGoto: true, Subprograms: true,
		Callbacks: true, Maps: true, Packet: true, LegacyLoads: kind == "sched_cls",
	}
}

// Hostile is every feature there is.
func Hostile(kind string) Options {
	o := Everything(kind)
	o.Cursors, o.LongLoops, o.Indexes, o.Idioms, o.RingBuf = true, true, true, true, true
	o.ForEach, o.TailCalls, o.Moves, o.Iterators, o.Lookups, o.Constructs = true, true, true, true, true, true
	return o
}

// A Generated is a random program, in the form that FromInsns takes.
type Generated struct {
	Seed  uint64
	Type  string
	Insns []prog.Insn
	Maps  []*maps.Spec // with the contents that a run begins with
	// Packet is an Ethernet frame to run the program on.
	Packet []byte
}

// Maps that generated programs use: their index is their place in Maps. Keys
// are below GenKeys.
const (
	GenArray = 0
	GenHash  = 1
	GenRing  = 2
	GenTail  = 3
	GenKeys  = 8
)

// GenKfuncs are the functions that generated programs call by index.
var GenKfuncs = []string{
	"bpf_iter_num_new", "bpf_iter_num_next", "bpf_iter_num_destroy",
	"bpf_iter_bits_new", "bpf_iter_bits_next", "bpf_iter_bits_destroy",
	"bpf_dynptr_from_xdp", "bpf_dynptr_from_skb", "bpf_dynptr_slice", "bpf_dynptr_slice_rdwr",
	"bpf_dynptr_size", "bpf_dynptr_is_null", "bpf_dynptr_is_rdonly", "bpf_dynptr_adjust", "bpf_dynptr_clone",
	"bpf_rcu_read_lock", "bpf_rcu_read_unlock", "bpf_preempt_disable", "bpf_preempt_enable", "bpf_throw",
}

// Generate returns the program of type kind, "xdp" or "sched_cls", that seed
// stands for: the same on every host. It always ends; what it returns, leaves
// in the packet and in the maps depends on its input alone, and R0 mixes in
// every register and stack slot it still holds, so that a difference between
// two engines shows. The kernel accepts nearly all such programs: the few
// others cost its verifier too many states.
func Generate(kind string, seed uint64, o Options) *Generated {
	if o.Statements == 0 {
		o.Statements = 30
	}
	g := &generator{r: rand.New(rand.NewPCG(seed, 0x5eed)), o: o, kind: kind}
	main := &function{budget: o.Statements, frame: 128, label: g.newLabel()}
	for rank := 1; rank <= maxRank; rank++ {
		g.subs = append(g.subs, &function{
			rank: rank, label: g.newLabel(), budget: 3 + g.r.IntN(8), frame: 64,
			args: g.r.IntN(5), takesMemory: g.r.IntN(2) == 0,
		})
	}
	g.body(main)
	for len(g.pending) > 0 {
		f := g.pending[0]
		g.pending = g.pending[1:]
		g.body(f)
	}
	g.resolve()
	out := &Generated{Seed: seed, Type: kind, Insns: g.insns, Packet: g.bytes(14 + g.r.IntN(80))}
	copy(out.Packet[12:], []byte{0x88, 0xb5}) // an EtherType for experiments, which nothing parses
	if extra := o.RingBuf || o.ForEach || o.TailCalls || o.Lookups || o.Constructs; o.Maps || extra {
		out.Maps = []*maps.Spec{
			{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: valueSize, MaxEntries: GenKeys - 2},
			{Name: "hash", Type: maps.Hash, KeySize: 4, ValueSize: valueSize, MaxEntries: GenKeys - 3},
		}
		for i, m := range out.Maps {
			for key := range byte(3) {
				m.Contents = append(m.Contents, maps.Entry{Key: []byte{key + byte(i), 0, 0, 0}, Value: g.bytes(valueSize)})
			}
		}
		if extra {
			out.Maps = append(out.Maps,
				&maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 1 << 12},
				&maps.Spec{Name: "tail", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 3})
		}
		if o.Lookups || o.Constructs {
			out.Maps = append(out.Maps, others()...)
		}
		if o.Constructs {
			out.Maps = append(out.Maps, constructMaps()...)
		}
	}
	return out
}

// bytes returns n random bytes.
func (g *generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.r.Uint32())
	}
	return b
}

const (
	maxRank   = 3  // a function calls only those of higher rank, so depth is bounded
	valueSize = 32 // of either map
	memSize   = 16 // of memory that callers lend to subprograms and callbacks
)

// A generator writes one program, function by function. It knows at each point
// what every register and stack byte holds, so that it only does what is
// allowed.
type generator struct {
	r     *rand.Rand
	o     Options
	kind  string
	insns []prog.Insn

	labels []int // slot of each label; -1: not placed yet
	jumps  []jump

	branches int // written so far: each may double the verifier's work
	records  int // reserved so far
	endless  int // loops so far that a verifier cannot unroll to their end

	subs    []*function
	pending []*function // called, not yet written

	f *function
	s *state
}

// A function is what a generator keeps of the function it writes.
type function struct {
	rank        int
	label       int
	budget      int // statements left
	frame       int // bytes of stack
	args        int // scalars in R1 and up
	takesMemory bool
	callback    bool // for bpf_loop: R1 is the index, R2 memory
	each        bool // and for bpf_for_each_map_elem: R2 is the key, R3 the value, R4 memory
	drains      bool // and for bpf_user_ringbuf_drain: R1 is a dynptr, R2 memory
	late        bool // for a timer: R2 is the key, R3 the value
	queued      bool

	depth  int // of nested blocks
	loops  int // of nested loops
	short  int // label of the exit for packets that are too short; -1: none
	held   int // references that an exit would leak
	locked [prog.NumRegs]bool
}

// A jump is a slot that waits for a label.
type jump struct {
	pc, label int
	long      bool // the distance goes to the immediate
}

func (g *generator) newLabel() int {
	g.labels = append(g.labels, -1)
	return len(g.labels) - 1
}

func (g *generator) place(label int) { g.labels[label] = len(g.insns) }

func (g *generator) emit(in ...prog.Insn) { g.insns = append(g.insns, in...) }

// emitTo emits in, which goes to label.
func (g *generator) emitTo(in prog.Insn, label int) {
	long := in.Op.Class() == isa.JMP32 && in.Op.JmpOp() == isa.JA || in.IsCall(isa.CallSub) || in.IsWide()
	g.jumps = append(g.jumps, jump{len(g.insns), label, long})
	g.emit(in)
	if in.IsWide() {
		g.emit(prog.Insn{})
	}
}

func (g *generator) resolve() {
	for _, j := range g.jumps {
		d := g.labels[j.label] - j.pc - 1
		if j.long {
			g.insns[j.pc].Imm = int32(d)
		} else {
			g.insns[j.pc].Off = int16(d)
		}
	}
}

// body writes one function.
func (g *generator) body(f *function) {
	g.f, g.s = f, &state{stack: make([]byteKind, f.frame)}
	f.short = -1
	g.place(f.label)
	switch {
	case f.rank == 0:
		g.emit(move(9, 1))
		g.s.regs[9] = value{kind: ctx}
		f.locked[9] = true
	case f.each:
		g.s.regs[2] = value{kind: memory, size: 4, readOnly: true}
		g.s.regs[3] = value{kind: memory, size: valueSize}
		g.s.regs[4] = value{kind: memory, size: memSize, lent: true}
	case f.late:
		g.s.regs[2] = value{kind: memory, size: 4, readOnly: true}
		g.s.regs[3] = value{kind: memory, size: valueSize - 16}
	case f.drains:
		const own = 6
		g.emit(move(own, 1))
		f.locked[own] = true
		g.s.regs[2] = value{kind: memory, size: memSize, lent: true}
		g.records++
		g.dynptrs(&dynptr{reg: own, id: g.records}, 2)
	case f.callback:
		g.s.regs[1] = value{kind: scalar}
		g.s.regs[2] = value{kind: memory, size: memSize, lent: true}
	default:
		for i := 1; i <= f.args; i++ {
			g.s.regs[i] = value{kind: scalar}
		}
		if f.takesMemory {
			g.s.regs[f.args+1] = value{kind: memory, size: memSize, lent: true}
		}
	}
	g.block(f.budget)
	g.finish()
	if f.short >= 0 {
		g.place(f.short)
		g.emit(moveImm(0, int32(g.r.IntN(3))), exit)
	}
}

// finish mixes everything the function holds into R0, and exits.
func (g *generator) finish() {
	acc := prog.Reg(0)
	if g.s.regs[0].kind != scalar {
		g.emit(moveImm(acc, 0))
	}
	mix := func(src prog.Reg) {
		g.emit(
			prog.Insn{Op: aluOp(isa.ALU64, isa.Mul, isa.K), Dst: acc, Imm: 1000003},
			prog.Insn{Op: aluOp(isa.ALU64, isa.Xor, isa.X), Dst: acc, Src: src})
	}
	for r := prog.Reg(1); r < 10; r++ {
		if g.s.regs[r].kind == scalar {
			mix(r)
		}
	}
	for off := 0; off+8 <= g.f.frame; off += 8 {
		if g.s.holds(off, 8) {
			g.emit(prog.Insn{Op: memOp(isa.LDX, isa.MEM, isa.DW), Dst: 1, Src: 10, Off: g.stackOff(off)})
			mix(1)
		}
	}
	g.emit(
		move(1, 0),
		prog.Insn{Op: aluOp(isa.ALU64, isa.Rsh, isa.K), Dst: 1, Imm: 32},
		prog.Insn{Op: aluOp(isa.ALU, isa.Xor, isa.X), Dst: 0, Src: 1})
	if g.f.late {
		g.emit(moveImm(0, 0))
	}
	if g.f.callback {
		g.emit(prog.Insn{Op: aluOp(isa.ALU64, isa.And, isa.K), Dst: 0, Imm: 1}) // 1 ends the loop
	}
	g.emit(exit)
}
