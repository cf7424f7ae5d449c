package checked

import (
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// A Code is a program that is ready to run. It never changes and may be run by
// any number of machines at once.
type Code struct {
	prog  *prog.Program
	owner any
	ops   []op
	pcs   []prog.PC // by op
	entry []int32   // by PC: the op that stands for it; -1 where none begins
	taken []bool    // by function: its address is taken
	calls []call
	maps  []maps.Map
	set   *helpers.Set
	plain []mem.Region // fixed regions that are in no map's slabs
	fixed atomic.Pointer[fixed]

	tracked      regs // registers whose initialisation is followed at run time
	uninitStack  bool
	legacyPacket bool
}

// Owner returns what Binding.Owner was.
func (c *Code) Owner() any { return c.owner }

// A Binding is what a program is bound to.
type Binding struct {
	Maps    []maps.Map    // by index, as Program.Maps
	Helpers *helpers.Set  // helpers and kfuncs that the program may call
	Host    *helpers.Host // what helpers may ask; nil: nothing
	Owner   any           // whatever the caller wants to find again
	// AllowUninitStack lets programs read stack bytes that they have not
	// written, as the kernel does for privileged loaders; they read 0.
	AllowUninitStack bool
	// CheckLicense refuses helpers and kfuncs that are for GPL programs to
	// programs whose license is not compatible with it.
	CheckLicense bool
	// Unreached, if it is not nil, says of which instructions a proof has it that no
	// run comes there: calls there may lack what they need. A run that does come
	// there ends with a fault.
	Unreached func(pc prog.PC) bool
}

// Handles of maps and functions in registers. The upper half is one that no
// address has: user space ends at 2^47 on amd64, at 2^52 on arm64.
const (
	handleMask = 0xffff_ffff_0000_0000
	mapHandle  = 0xeb9f_0001_0000_0000
	funcHandle = 0xeb9f_0002_0000_0000

	// sharedMaps is the number of the first map that is not the program's own;
	// programs have fewer.
	sharedMaps = 1 << 24
)

// A BindError says why a program cannot run with what it was bound to.
type BindError struct {
	PC  prog.PC
	Msg string
}

func (e *BindError) Error() string { return fmt.Sprintf("instruction %d: %s", e.PC, e.Msg) }

// Bind makes p ready to run. p must be linked and have a type. Errors are
// *BindError.
func Bind(p *prog.Program, b Binding) (*Code, error) {
	bd := &binder{
		license:   b.CheckLicense,
		host:      b.Host,
		unreached: b.Unreached,
		Code: &Code{
			prog:         p,
			owner:        b.Owner,
			entry:        make([]int32, len(p.Insns)),
			taken:        make([]bool, len(p.Funcs)),
			maps:         b.Maps,
			set:          b.Helpers,
			uninitStack:  b.AllowUninitStack,
			legacyPacket: p.Type.LegacyPacket,
		},
		needs:   make([]regs, len(p.Insns)),
		effects: make([]effect, len(p.Insns)),
		callAt:  map[prog.PC]int{},
		values:  map[prog.PC]uint64{},
	}
	if p.Handler < 0 || p.Handler >= len(p.Funcs) {
		return nil, &BindError{0, fmt.Sprintf("function %d handles exceptions; there are %d", p.Handler, len(p.Funcs))}
	}
	if err := bd.survey(); err != nil {
		return nil, err
	}
	l := &liveness{p: p, needs: bd.needs, effects: bd.effects, taken: bd.taken}
	bd.tracked = l.solve()
	bd.emitAll(l)
	bd.resolveJumps()
	bd.refresh()
	return bd.Code, nil
}

// A fixed is the regions that every run of a code can reach, as of a moment
// when the maps had so many slabs.
type fixed struct {
	mem.Fixed
	slabs int
}

// refresh takes in the slabs that maps have added, and reports whether there
// were any.
func (c *Code) refresh() bool {
	n := 0
	for _, m := range c.maps {
		if s, ok := m.(maps.Slabber); ok {
			n += len(s.Slabs())
		}
	}
	if f := c.fixed.Load(); f != nil && f.slabs == n {
		return false
	}
	rs := slices.Clone(c.plain)
	for i, m := range c.maps {
		if s, ok := m.(maps.Slabber); ok {
			for _, slab := range s.Slabs() {
				rs = append(rs, mem.NewRegion("map "+c.prog.Maps[i].Name, slab))
			}
		}
	}
	c.fixed.Store(&fixed{*mem.NewFixed(rs), n})
	return true
}

// A binder is one Bind under way.
type binder struct {
	*Code
	license bool // see Binding.CheckLicense
	host    *helpers.Host

	unreached func(pc prog.PC) bool // see Binding

	needs   []regs
	effects []effect
	callAt  map[prog.PC]int    // index into calls
	values  map[prog.PC]uint64 // what wide instructions load
}

// survey resolves what instructions refer to, and collects what each needs.
func (b *binder) survey() error {
	for pc := prog.PC(0); int(pc) < len(b.prog.Insns); pc++ {
		in := b.prog.Insns[pc]
		e := effectOf(in)
		need := e.reads
		var err error
		switch {
		case in.IsWide():
			err = b.wide(pc, in)
		case in.IsCall(isa.CallHelper), in.IsCall(isa.CallKfunc):
			var c *call
			if c, err = b.call(pc, in); err == nil {
				need |= c.args
				if c.fn.Proto.Ret.Kind == helpers.RetVoid {
					e.writes, e.kills = 0, e.kills|bit(prog.R0)
				}
			}
		case in.Op == isa.Op(isa.JMP)|isa.Op(isa.Exit):
			// A subprogram may return nothing; liveness.ret follows that.
			if f := b.prog.FuncAt(pc); f == 0 {
				need = bit(prog.R0)
			}
		case in.Op.Class() == isa.LD && !b.legacyPacket:
			err = &BindError{pc, fmt.Sprintf("programs of type %s have no legacy packet loads", b.prog.Type.Name)}
		case in.Op == isa.Op(isa.ALU64)|isa.Op(isa.Mov)|isa.Op(isa.X) && in.Off == 1:
			err = &BindError{pc, "address-space cast without an arena"}
		}
		if err == nil && e.writes&frameReg != 0 {
			err = &BindError{pc, "R10 is read-only"}
		}
		if err != nil {
			return err
		}
		b.needs[pc], b.effects[pc] = need, e
		if in.IsWide() {
			pc++
		}
	}
	for i, f := range b.prog.Funcs { // a callback's R0 is read by its caller, and a handler's is the program's
		if !b.taken[i] && (i == 0 || i != b.prog.Handler) {
			continue
		}
		for pc := f.Entry; pc < f.End; pc++ {
			if b.prog.Insns[pc].Op == isa.Op(isa.JMP)|isa.Op(isa.Exit) {
				b.needs[pc] |= bit(prog.R0)
			}
		}
	}
	return nil
}

// wide resolves a wide instruction.
func (b *binder) wide(pc prog.PC, in prog.Insn) error {
	next := b.prog.Insns[pc+1]
	switch in.Src {
	case 0:
		b.values[pc] = uint64(uint32(in.Imm)) | uint64(uint32(next.Imm))<<32
	case isa.PseudoMapFD:
		b.values[pc] = mapHandle | uint64(uint32(in.Imm))
	case isa.PseudoMapValue:
		m, spec := b.maps[in.Imm], b.prog.Maps[in.Imm]
		v := m.LookupElem(0, make([]byte, spec.KeySize))
		if uint64(next.Imm) >= uint64(len(v)) {
			return &BindError{pc, fmt.Sprintf("address of byte %d of map %s, whose value has %d", next.Imm, spec.Name, len(v))}
		}
		b.values[pc] = mem.Addr(v) + uint64(next.Imm)
		if _, ok := m.(maps.Slabber); !ok {
			b.plain = append(b.plain, mem.NewRegion("map "+spec.Name,
				mem.Slab{Bytes: v, ReadOnly: m.Spec().Flags&maps.ReadOnlyProg != 0}))
		}
	case isa.PseudoFunc:
		b.values[pc] = funcHandle | uint64(uint32(in.Imm))
		b.taken[b.prog.FuncAt(prog.PC(in.Imm))] = true
	default:
		return &BindError{pc, fmt.Sprintf("wide instruction with src %d, which linking does not leave", in.Src)}
	}
	return nil
}

// call resolves the call of a helper or kfunc.
func (b *binder) call(pc prog.PC, in prog.Insn) (*call, error) {
	var f *helpers.Func
	typ := b.prog.Type
	if in.Src == isa.CallHelper {
		f = b.set.Helper(helpers.ID(in.Imm))
		if f == nil && b.dead(pc) {
			f = &helpers.Func{Name: fmt.Sprintf("helper %d", in.Imm)}
		}
		if f == nil {
			return nil, &BindError{pc, fmt.Sprintf("call of helper %d, which programs of type %s do not have", in.Imm, typ.Name)}
		}
	} else {
		x := b.prog.Externs[in.Imm]
		f = b.set.Kfunc(x.Name)
		if f == nil {
			f = helpers.Kfunc(x.Name)
		}
		if f == nil {
			f = helpers.Builtin(x.Name)
		}
		if f == nil {
			f = &helpers.Func{Name: x.Name}
			if !x.Weak && !b.dead(pc) {
				return nil, &BindError{pc, fmt.Sprintf("call of %s, which programs of type %s do not have", x.Name, typ.Name)}
			}
		}
	}
	if f.Proto.GPL && b.license && !b.prog.GPLCompatible() {
		return nil, &BindError{pc, fmt.Sprintf("call of %s, which is for programs with a license compatible with the GPL, not %q", f.Name, b.prog.License)}
	}
	if missing := b.missing(f); missing != "" {
		switch {
		case b.dead(pc):
			bare := *f
			bare.Impl = nil
			f = &bare
		case in.Src == isa.CallHelper:
			return nil, &BindError{pc, fmt.Sprintf("call of %s (helper %d), which %s", f.Name, in.Imm, missing)}
		case !b.prog.Externs[in.Imm].Weak:
			return nil, &BindError{pc, fmt.Sprintf("call of %s, which %s", f.Name, missing)}
		}
	}
	if name := b.prog.ExceptionHandler(); name != "" && b.prog.Handler == 0 && f.Proto.Control == helpers.Throw {
		return nil, &BindError{pc, fmt.Sprintf("call of %s in a program whose exceptions %s is to handle, which is not there", f.Name, name)}
	}
	c := newCall(f)
	b.callAt[pc] = len(b.calls)
	b.calls = append(b.calls, c)
	return &b.calls[len(b.calls)-1], nil
}

// dead reports whether a proof says that no run comes to pc.
func (b *binder) dead(pc prog.PC) bool { return b.unreached != nil && b.unreached(pc) }

// missing says why f cannot be called; "" if it can.
func (b *binder) missing(f *helpers.Func) string {
	what := f.Missing(b.host)
	switch {
	case f.Impl != nil && what != "":
		return "needs what the host does not give: " + what
	case f.Impl != nil || f.Proto.Control == helpers.TailCall || f.Proto.Control == helpers.Throw:
		return ""
	case what != "":
		return "is declared but has no implementation here: it needs " + what + "; a host can provide the helper"
	}
	return "is declared but has no implementation here"
}

// emitAll translates every instruction.
func (b *binder) emitAll(l *liveness) {
	for pc := prog.PC(0); int(pc) < len(b.prog.Insns); pc++ {
		in := b.prog.Insns[pc]
		b.entry[pc] = int32(len(b.ops))
		if need := b.needs[pc] &^ l.in[pc]; need != 0 {
			b.emit(pc, op{code: opNeed, imm: uint64(need)})
		}
		b.emit(pc, b.translate(pc, in))
		e := b.effects[pc]
		if set, kill := e.writes&b.tracked, e.kills&b.tracked; set|kill != 0 && !in.IsCall(isa.CallSub) {
			b.emit(pc, op{code: opLive, imm: uint64(set), off: int32(kill)})
		}
		if in.IsWide() {
			pc++
			b.entry[pc] = -1
		}
	}
}

func (b *binder) emit(pc prog.PC, o op) {
	b.ops = append(b.ops, o)
	b.pcs = append(b.pcs, pc)
}

// resolveJumps turns targets, so far PCs, into indices of ops.
func (b *binder) resolveJumps() {
	for i := range b.ops {
		o := &b.ops[i]
		if o.code == opCall || o.code >= opJA && o.code <= opMayGoto {
			o.off = b.entry[o.off]
		}
	}
}
