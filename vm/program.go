package vm

import (
	"sync/atomic"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/internal/interp"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/internal/vcpu"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// A Program is a loaded program. Methods of a nil *Program, which is what
// Collection.Program returns for an unknown name, return ErrNoProgram.
type Program struct {
	coll *Collection
	name string
	err  error // why it cannot run
	typ  *hook.Type
	prog *prog.Program
	code *checked.Code

	engine Engine               // what it runs in
	in     func(*slot) executor // the engine in a slot; nil: the checked interpreter
	why    string               // why in none that is faster
	native *native              // its machine code; nil if engine is not JIT
	target rt.Target            // it, for other machine code
	fast   *interp.Code         // nil if engine is not Interp
	proof  *proof               // nil: it has none
	ms     []maps.Map           // to make it ready; nil once the collection is loaded

	maxInsns     uint64
	ctxRoom      int
	objRoom      int // bytes for objects, after the context's
	packetFields []packetField
	objects      []object
	hasPacket    bool // runs have a packet, be it an empty one
	states       *states
	stats        stats
	quick        atomic.Pointer[quick] // nil: runs need more, or the collection is closed
}

// A packetField is a context field that follows the packet.
type packetField struct {
	off  uint32 // in the host's bytes
	kind hook.FieldKind
}

// newProgram makes the linked program lp ready to run.
func newProgram(c *Collection, lp *prog.Program, set *helpers.Set, ms []maps.Map, v *proof) (*Program, error) {
	t := lp.Type
	p := &Program{
		coll: c, name: lp.Name, typ: t, prog: lp, engine: Checked, proof: v, ms: ms,
		maxInsns: c.opts.maxInsns(),
		ctxRoom:  int(max(t.Ctx.Size, t.Ctx.HostSize)+7) &^ 7,
		stats:    newStats(),
	}
	p.target.Owner, p.target.Kind = p, rt.Identity(t)
	uninit := c.opts.AllowUninitStack || v != nil && !c.opts.Rules.Strict
	with := checked.Binding{Maps: ms, Helpers: set, Host: c.host, Owner: p, AllowUninitStack: uninit, CheckLicense: c.opts.Rules.CheckLicense}
	if v != nil {
		with.Unreached = func(pc prog.PC) bool { return !v.v.Reached(pc) }
	}
	var err error
	p.code, err = checked.Bind(lp, with)
	if err != nil {
		return nil, err
	}
	for _, f := range t.Ctx.Fields {
		switch f.Kind {
		case hook.FieldPacket, hook.FieldPacketEnd, hook.FieldPacketMeta:
			p.packetFields = append(p.packetFields, packetField{f.HostOff, f.Kind})
		}
	}
	p.findObjects()
	p.hasPacket = t.Input == hook.InputPacket || p.packetFields != nil
	if t.NewState != nil {
		p.states = &states{typ: t, perCPU: make([]atomic.Pointer[state], vcpu.Count())}
	}
	return p, nil
}

// Name returns the program's name.
func (p *Program) Name() string {
	if p == nil {
		return ""
	}
	return p.name
}

// Type returns the program's type; nil if it has none.
func (p *Program) Type() *hook.Type {
	if p == nil {
		return nil
	}
	return p.typ
}

// TailTarget is for package maps: where machine code finds what it needs to go on
// in p.
func (p *Program) TailTarget() uint64 { return p.target.Addr() }

// Err returns why the program cannot run; nil if it can.
func (p *Program) Err() error {
	if p == nil {
		return ErrNoProgram
	}
	return p.err
}

// Linked returns the program as it was linked; nil if it could not be.
func (p *Program) Linked() *prog.Program {
	if p == nil {
		return nil
	}
	return p.prog
}

// states keeps what helpers of one type keep during a run, for later runs.
type states struct {
	typ    *hook.Type
	perCPU []atomic.Pointer[state]
}

type state struct{ hook.State }

// take returns a state that nobody else uses, ready for a run.
func (s *states) take(cpu int) *state {
	if st := s.perCPU[cpu].Swap(nil); st != nil {
		st.Reset()
		return st
	}
	return &state{s.typ.NewState()}
}

// put gives back what take returned.
func (s *states) put(cpu int, st *state) { s.perCPU[cpu].Store(st) }
