package bpftest

import (
	"slices"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// Helper numbers.
const (
	perfEventOutput  = 25
	skLookupTCP      = 84
	skLookupUDP      = 85
	skRelease        = 86
	mapPushElem      = 87
	mapPopElem       = 88
	mapPeekElem      = 89
	spinLock         = 93
	spinUnlock       = 94
	skcLookupTCP     = 99
	timerInit        = 169
	timerSetCallback = 170
	timerStart       = 171
	timerCancel      = 172
	userRingbufDrain = 209
)

// Maps that Options.Constructs adds, after those of Options.Lookups.
const (
	genLocked = 10 + iota // an array of one value, with a lock at its beginning
	genLocks              // a hash, with a lock in the last bytes of a value
	genTimers             // an array of one value, of which the second half is a timer
	genQueue
	genStack
	genBloom
	genOuter
	genUser
	genPerf
	genOne // an array of one value
)

// genKept is the size of values of queues, stacks and filters.
const genKept = 16

// constructMaps returns those maps.
func constructMaps() []*maps.Spec {
	field := func(name string, size, at uint32) *btf.Type {
		t := &btf.Type{Kind: btf.Struct, Name: name, Size: size}
		return &btf.Type{Kind: btf.Struct, Name: "value", Size: valueSize, Members: []btf.Member{{Name: name, Type: t, Offset: 8 * at}}}
	}
	return []*maps.Spec{
		{Name: "locked", Type: maps.Array, KeySize: 4, ValueSize: valueSize, MaxEntries: 1, Value: field("bpf_spin_lock", 4, 0)},
		{Name: "locks", Type: maps.Hash, KeySize: 4, ValueSize: valueSize, MaxEntries: GenKeys, Value: field("bpf_spin_lock", 4, valueSize-4)},
		{Name: "timers", Type: maps.Array, KeySize: 4, ValueSize: valueSize, MaxEntries: 1, Value: field("bpf_timer", 16, valueSize-16)},
		{Name: "queue", Type: maps.Queue, ValueSize: genKept, MaxEntries: 3},
		{Name: "stack", Type: maps.Stack, ValueSize: genKept, MaxEntries: 3},
		{Name: "bloom", Type: maps.BloomFilter, ValueSize: genKept, MaxEntries: 64},
		{Name: "outer", Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: GenKeys - 1,
			Inner: &maps.Spec{Name: "inner", Type: maps.Hash, KeySize: 4, ValueSize: valueSize, MaxEntries: GenKeys - 1}},
		{Name: "user", Type: maps.UserRingBuf, MaxEntries: 1 << 12},
		{Name: "perf", Type: maps.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 4},
		{Name: "one", Type: maps.Array, KeySize: 4, ValueSize: 2 * valueSize, MaxEntries: 1},
	}
}

// kfunc calls a function of GenKfuncs.
func (g *generator) kfunc(name string) {
	i := slices.Index(GenKfuncs, name)
	if i < 0 {
		panic("BUG: no function " + name)
	}
	g.emit(prog.Insn{Op: jumpOp(isa.JMP, isa.Call, isa.K), Src: isa.CallKfunc, Imm: int32(i)})
}

// valueInto loads the address of byte off of the value of map m, which has one.
func (g *generator) valueInto(r prog.Reg, m, off int32) {
	g.emit(prog.Insn{Op: isa.Wide, Dst: r, Src: isa.PseudoMapValue, Imm: m}, prog.Insn{Imm: off})
}

// frameInto loads the address of a place in the frame.
func (g *generator) frameInto(r prog.Reg, at int) {
	g.emit(move(r, 10), addImm(r, int32(g.stackOff(at))))
}

// found works on v if R0, which a call has returned, is not null.
func (g *generator) found(v value) {
	g.branches++
	end := g.newLabel()
	g.emitTo(jumpImm(isa.JMP, isa.JEq, 0, 0), end)
	other := g.s.clone()
	at := prog.Reg(0)
	if keep, ok := g.pick(func(r prog.Reg) bool { return r >= 6 && g.free(r) && g.f.loops == 0 }); ok && g.r.IntN(2) == 0 {
		at = keep
	} else {
		at = g.scratch()
	}
	g.emit(move(at, 0))
	g.s.regs[at] = v
	g.s.regs[0] = value{}
	g.memoryAccess()
	if g.f.depth < 3 {
		g.nested(1 + g.r.IntN(2))
	}
	g.s.join(other)
	g.place(end)
}

// lock does something to a value while it holds the lock in it.
func (g *generator) lock() {
	regs, ok := g.saved(1)
	if !ok {
		return
	}
	keep := regs[0]
	lockAt, end := int32(0), -1
	var other *state
	if g.r.IntN(2) == 0 && g.branchy() {
		if _, ok := g.keyOf(genLocks); !ok {
			return
		}
		g.emit(helper(mapLookupElem))
		g.s.called(nothing)
		g.branches++
		end = g.newLabel()
		g.emit(move(keep, 0))
		g.emitTo(jumpImm(isa.JMP, isa.JEq, 0, 0), end)
		g.s.regs[keep] = value{}
		other = g.s.clone()
		lockAt = valueSize - 4
	} else {
		g.valueInto(keep, genLocked, 0)
	}
	g.emit(move(1, keep), addImm(1, lockAt), helper(spinLock))
	g.s.called(nothing)
	data := value{kind: memory, size: valueSize - 8}
	if lockAt == 0 {
		g.emit(addImm(keep, 8))
		lockAt = -8
	}
	g.s.regs[keep] = data
	g.f.locked[keep] = true
	g.f.held++
	for range 1 + g.r.IntN(4) { // nothing that calls
		switch g.r.IntN(4) {
		case 0:
			g.arithmetic()
		case 1:
			g.stackStore()
		case 2:
			g.stackLoad()
		default:
			g.memoryAccess()
		}
	}
	g.f.held--
	g.f.locked[keep] = false
	g.emit(move(1, keep), addImm(1, lockAt), helper(spinUnlock))
	g.s.called(nothing)
	if other != nil {
		g.s.join(other)
		g.place(end)
	}
	g.emit(moveImm(keep, g.imm()))
	g.s.regs[keep] = value{kind: scalar}
}

// timer calls the helpers of a timer, in some order, and reads beside it. It is
// not to expire while anybody looks.
func (g *generator) timer() {
	regs, ok := g.saved(1)
	if !ok {
		return
	}
	keep := regs[0]
	g.valueInto(keep, genTimers, 0)
	g.s.regs[keep] = value{kind: memory, size: valueSize - 16}
	g.f.locked[keep] = true
	for range 1 + g.r.IntN(4) {
		g.emit(move(1, keep), addImm(1, valueSize-16))
		switch g.r.IntN(5) {
		case 0, 1:
			g.mapInto(2, genTimers)
			g.emit(moveImm(3, 1), helper(timerInit))
		case 2:
			f := &function{rank: g.f.rank + 1, label: g.newLabel(), budget: 2 + g.r.IntN(3), frame: 64, late: true}
			g.emitTo(prog.Insn{Op: isa.Wide, Dst: 2, Src: isa.PseudoFunc}, f.label)
			g.emit(helper(timerSetCallback))
			g.queue(f)
		case 3:
			g.emit(prog.Insn{Op: isa.Wide, Dst: 2}, prog.Insn{Imm: 1 << 10}, moveImm(3, 0), helper(timerStart))
		default:
			g.emit(helper(timerCancel))
		}
		g.s.called(scalar)
		g.memoryAccess()
	}
	g.f.locked[keep] = false
	g.emit(moveImm(keep, g.imm()))
	g.s.regs[keep] = value{kind: scalar}
}

// kept pushes a value, pops one, or looks at the next.
func (g *generator) kept() {
	at, ok := g.area(genKept)
	if !ok {
		return
	}
	m := int32(genQueue + g.r.IntN(3))
	g.mapInto(1, m)
	g.frameInto(2, at)
	switch n := g.r.IntN(3); {
	case n == 0:
		g.emit(moveImm(3, g.r.Int32N(4)), helper(mapPushElem))
	case n == 1 && m != genBloom:
		g.emit(helper(mapPopElem))
	default:
		g.emit(helper(mapPeekElem))
	}
	g.s.called(scalar)
	if m == genBloom { // what is there by accident is nobody's business
		g.emit(moveImm(0, 0))
	}
}

// innerMap looks a key up in an inner map, or writes there.
func (g *generator) innerMap() {
	regs, ok := g.saved(1)
	if !ok {
		return
	}
	inner := regs[0]
	if _, ok := g.keyOf(genOuter); !ok {
		return
	}
	g.emit(helper(mapLookupElem))
	g.s.called(nothing)
	g.branches++
	end := g.newLabel()
	g.emit(move(inner, 0))
	g.emitTo(jumpImm(isa.JMP, isa.JEq, 0, 0), end)
	g.s.regs[inner] = value{}
	g.f.locked[inner] = true
	other := g.s.clone()
	for range 1 + g.r.IntN(2) {
		area, ok := g.area(valueSize)
		if !ok {
			break
		}
		if _, ok := g.keyOf(-1); !ok {
			break
		}
		g.emit(move(1, inner))
		switch g.r.IntN(4) {
		case 0:
			g.frameInto(3, area)
			g.emit(moveImm(4, g.r.Int32N(3)), helper(mapUpdateElem))
			g.s.called(scalar)
		case 1:
			g.emit(helper(mapDeleteElem))
			g.s.called(scalar)
		default:
			g.emit(helper(mapLookupElem))
			g.s.called(nothing)
			g.found(value{kind: memory, size: valueSize})
		}
	}
	g.f.locked[inner] = false
	g.s.join(other)
	g.place(end)
	g.emit(moveImm(inner, g.imm()))
	g.s.regs[inner] = value{kind: scalar}
}

// keyOf is key for map m; −1: R1 is left to the caller.
func (g *generator) keyOf(m int32) (at int, ok bool) {
	at, ok = g.slot(8)
	if !ok {
		return 0, false
	}
	src := g.source()
	r := g.scratch(src)
	g.emit(move(r, src), aluImm(isa.ALU64, isa.And, r, GenKeys-1), store(isa.W, 10, r, g.stackOff(at)))
	for i := range 4 {
		g.s.stack[at+i] = data
	}
	if m >= 0 {
		g.mapInto(1, m)
	}
	g.frameInto(2, at)
	g.s.regs[1], g.s.regs[2] = value{}, value{}
	return at, true
}

// perf sends bytes of the frame to whoever listens.
func (g *generator) perf() {
	at, ok := g.area(16)
	if !ok {
		return
	}
	g.emit(move(1, 9))
	g.mapInto(2, genPerf)
	g.emit(prog.Insn{Op: isa.Wide, Dst: 3, Imm: -1}, prog.Insn{}) // BPF_F_CURRENT_CPU
	g.frameInto(4, at)
	g.emit(moveImm(5, g.r.Int32N(17)), helper(perfEventOutput))
	g.s.called(scalar)
}

// socket looks a socket up, which hardly exists, reads it and lets it go.
func (g *generator) socket() {
	regs, ok := g.saved(1)
	if !ok {
		return
	}
	keep := regs[0]
	at, ok := g.area(16)
	if !ok {
		return
	}
	g.emit(move(1, 9))
	g.frameInto(2, at)
	g.emit(moveImm(3, 12), moveImm(4, -1), moveImm(5, 0), helper([]int32{skLookupTCP, skLookupUDP, skcLookupTCP}[g.r.IntN(3)]))
	g.s.called(nothing)
	g.branches++
	end := g.newLabel()
	g.emit(move(keep, 0))
	g.emitTo(jumpImm(isa.JMP, isa.JEq, 0, 0), end)
	g.s.regs[keep] = value{}
	other := g.s.clone()
	g.f.locked[keep] = true
	g.f.held++
	dst := g.fresh()
	g.emit(load(isa.W, dst, keep, []int16{4, 24, 44}[g.r.IntN(3)])) // struct bpf_sock: family, src_ip4, src_port
	g.s.regs[dst] = value{kind: scalar}
	g.nested(g.r.IntN(3))
	g.f.held--
	g.f.locked[keep] = false
	g.emit(move(1, keep), helper(skRelease))
	g.s.called(nothing)
	g.s.join(other)
	g.place(end)
	g.emit(moveImm(keep, g.imm()))
	g.s.regs[keep] = value{kind: scalar}
}

// section writes statements in a section of RCU, or without preemption.
func (g *generator) section() {
	names := [2]string{"bpf_rcu_read_lock", "bpf_rcu_read_unlock"}
	if g.r.IntN(2) == 0 {
		names = [2]string{"bpf_preempt_disable", "bpf_preempt_enable"}
	}
	g.kfunc(names[0])
	g.s.called(nothing)
	g.f.held++
	g.nested(1 + g.r.IntN(3))
	g.f.held--
	g.kfunc(names[1])
	g.s.called(nothing)
}

// throw ends the program with an exception, at times.
func (g *generator) throw() {
	g.branches++
	over := g.newLabel()
	g.condition(over)
	other := g.s.clone()
	if src := g.source(); src != 1 {
		g.emit(move(1, src))
	}
	g.kfunc("bpf_throw")
	g.s = other
	g.place(over)
}

// bitsLoop writes a loop over the bits that are set in some words of the frame.
func (g *generator) bitsLoop() {
	at, ok := g.room(16)
	if !ok {
		return
	}
	was := g.s.clone()
	g.setSpecial(at, 16, special) // no words: the kernel keeps an address there before it reads them
	words, ok := g.area(16)
	if !ok {
		g.s = was
		return
	}
	g.frameInto(1, at)
	g.frameInto(2, words)
	g.emit(moveImm(3, 1+g.r.Int32N(2)))
	g.kfunc("bpf_iter_bits_new")
	g.f.held++
	g.looped(nil, func(head, out int) {
		g.frameInto(1, at)
		g.kfunc("bpf_iter_bits_next")
		g.emitTo(jumpImm(isa.JMP, isa.JEq, 0, 0), out)
		g.emit(load(isa.W, 0, 0, 0))
		g.s.called(scalar)
		g.nested(1 + g.r.IntN(2))
		g.emitTo(g.gotoInsn(), head)
	})
	g.f.held--
	g.frameInto(1, at)
	g.kfunc("bpf_iter_bits_destroy")
	g.s.called(nothing)
	g.ended(at, 16)
}

// room returns an aligned place of n bytes in the frame that holds no pointer.
func (g *generator) room(n int) (at int, ok bool) {
	for range 6 {
		at = g.r.IntN((g.f.frame-n)/8+1) * 8
		if !slices.ContainsFunc(g.s.stack[at:at+n], func(b byteKind) bool { return b >= spill }) {
			return at, true
		}
	}
	return 0, false
}

func (g *generator) setSpecial(at, n int, k byteKind) {
	for i := range n {
		g.s.stack[at+i] = k
	}
}

// ended says that the iterator or dynptr of n bytes at at is one no more. In a
// loop the next iteration finds numbers there, as the first did.
func (g *generator) ended(at, n int) {
	g.setSpecial(at, n, unset)
	if g.f.loops > 0 || g.r.IntN(2) == 0 {
		for i := 0; i < n; i += 8 {
			g.storeAt(at+i, isa.DW)
		}
	}
}

// drain calls a new callback for each record that the host has left.
func (g *generator) drain() {
	f := &function{rank: g.f.rank + 1, label: g.newLabel(), budget: 2 + g.r.IntN(4), frame: 64, callback: true, drains: true}
	mem, ok := g.lend()
	if !ok {
		return
	}
	g.mapInto(1, genUser)
	g.emitTo(prog.Insn{Op: isa.Wide, Dst: 2, Src: isa.PseudoFunc}, f.label)
	g.frameInto(3, mem)
	g.emit(moveImm(4, 0), helper(userRingbufDrain))
	g.queue(f)
	g.s.called(scalar)
}
