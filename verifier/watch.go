package verifier

import (
	"errors"
	"fmt"

	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

// Concrete is a running program between two instructions, as Watch.Step wants
// to know it.
type (
	Concrete      = state.Concrete
	ConcreteFrame = state.ConcreteFrame
)

// A Watch compares one run with what was proven of all runs. The run follows
// the exploration: it begins in a state that was explored, each instruction
// makes of that state what the abstract semantics make of it, and where the
// exploration went on with another state, one of those that it went on with
// from here must describe the run. At each instruction all of the state is
// held against the run.
//
// A Watch belongs to one goroutine, and so do all Watches of one Verified: they
// share what they have prepared (see point).
type Watch struct {
	ps    *points
	at    *point // the run is there; nil before the first step
	trial state.Trial
	notes [][]state.Note
}

// points is what the Watches of a Verified share.
type points struct {
	sv      *solver
	entries []*point // by explored state
	made    int
	past    state.Past
}

// maxPoints bounds the points that are kept from one run to the next.
const maxPoints = 100_000

// A point is one instruction in one state.
type point struct {
	pc     prog.PC
	id     int   // of the explored state that it comes of
	weight int64 // instructions since then
	n      *node
	check  *state.Checker
	s      *state.State // what check was made of; nil if it became that of a later point

	from *point    // the point before, of the same explored state
	next [2]*point // what follows in the same explored state: by falling through, by jumping
	// to are the entries of explored states that may follow at the beginning
	// of block, the last to do so first.
	to    []*point
	block int
	notes []placeReg // heads: what the iteration that begins here has to note
}

// A placeReg is a place and what a state knows of it.
type placeReg struct {
	place state.Place
	reg   state.Reg
}

// Watch returns a Watch for the beginning of a run; nil if Options.Invariants
// was not set.
func (v *Verified) Watch() *Watch {
	if v.solver == nil {
		return nil
	}
	if v.points == nil || v.points.made > maxPoints {
		v.points = &points{sv: v.solver, entries: make([]*point, len(v.solver.steps))}
	}
	return &Watch{ps: v.points}
}

// Restart makes w ready for the beginning of another run.
func (w *Watch) Restart() {
	w.at = nil
	for i := range w.notes {
		w.notes[i] = w.notes[i][:0]
	}
}

// Step says that the run is before the instruction at pc. The error says what
// the proof is wrong about; after one the Watch must not be used.
func (w *Watch) Step(pc prog.PC, c *Concrete) error {
	c.Notes = w.notes
	sv := w.ps.sv
	if b := sv.g.at[pc]; b >= 0 {
		if entered, err := w.enter(b, c); entered || err != nil {
			return err
		}
		if w.at == nil || sv.g.blocks[b].joins {
			return fmt.Errorf("before instruction %d: proven unreachable from %v", pc, w.where())
		}
	}
	way := 0
	if pc != next(sv.p, w.at.pc) {
		way = 1
	}
	p := w.at.next[way]
	if p == nil {
		var err error
		if p, err = w.ps.follow(w.at, pc, way); err != nil {
			return err
		}
	}
	if !p.check.Holds(c, &w.trial) {
		return w.ps.explain(p, c)
	}
	w.at = p
	return nil
}

// where says how the run got here.
func (w *Watch) where() string {
	if w.at == nil {
		return "the beginning"
	}
	return fmt.Sprintf("instruction %d in\n%v", w.at.pc, w.ps.state(w.at))
}

// enter finds, among the explored states that may follow at block b, one that
// describes c. entered is false if none may follow.
func (w *Watch) enter(b int, c *Concrete) (entered bool, err error) {
	from := w.at
	if from == nil {
		from = w.ps.entry(0)
	}
	if from.to == nil || from.block != b {
		from.to, from.block = w.ps.successors(from, b), b
	}
	for i, p := range from.to {
		if !p.check.Holds(c, &w.trial) {
			continue
		}
		if i > 0 {
			copy(from.to[1:i+1], from.to[:i])
			from.to[0] = p
		}
		w.at = p
		if p.n.head {
			w.note(p)
		}
		return true, nil
	}
	if len(from.to) == 0 {
		return false, nil
	}
	err = fmt.Errorf("none of the %d states that may follow %s describes the run", len(from.to), w.where())
	for _, p := range from.to {
		err = fmt.Errorf("%w\n%w", err, w.ps.explain(p, c))
	}
	return true, err
}

// note remembers what the places that the loop headed by p changes hold now.
func (w *Watch) note(p *point) {
	id := int(p.n.id)
	for len(w.notes) <= id {
		w.notes = append(w.notes, nil)
	}
	list := w.notes[id][:0]
	for _, n := range p.notes {
		if x, ok := w.trial.Value(n.reg); ok {
			list = append(list, state.Note{Place: n.place, X: x})
		}
	}
	w.notes[id] = list
}

// entry returns the point at which explored state id begins. 0 is the
// beginning of a run, which has no state.
func (ps *points) entry(id int) *point {
	p := ps.entries[id]
	if p != nil {
		return p
	}
	p = &point{id: id, block: -1}
	if id > 0 {
		s := ps.sv.kept[id-1].Clone()
		p.n = ps.sv.steps[id].n
		p.pc = ps.sv.g.blocks[p.n.block].start
		p.check = state.NewChecker(s, nil)
		if p.n.head {
			before := len(s.Ghosts)
			ps.sv.beginIteration(p.n, s, p.id)
			for _, g := range s.Ghosts[before:] {
				p.notes = append(p.notes, placeReg{g.Place, g.Reg})
			}
		}
		p.s = s
	}
	ps.entries[id] = p
	ps.made++
	return p
}

// successors returns the entries of the explored states at block b that the
// exploration went on with when it was done with the instruction at p.
//
// A callback returns to the call that calls it back, which a run does not
// execute again: it goes on with what follows that.
func (ps *points) successors(p *point, b int) []*point {
	sv, to := ps.sv, []*point{}
	for _, e := range sv.steps[p.id].out {
		if e.id <= 0 || p.id > 0 && e.weight != p.weight+1 {
			continue
		}
		n := sv.steps[e.id].n
		if n.block == b {
			to = append(to, ps.entry(e.id))
		}
		if p.n == nil || n != p.n.chain.site || p.n.chain.kind != state.CallbackBody {
			continue
		}
		for _, f := range sv.steps[e.id].out {
			if f.id > 0 && sv.steps[f.id].n.block == b {
				to = append(to, ps.entry(f.id))
			}
		}
	}
	return to
}

// follow makes the point at pc that follows p within one explored state.
func (ps *points) follow(p *point, pc prog.PC, way int) (*point, error) {
	m := machine{sv: ps.sv, n: p.n, id: p.id, pc: p.pc}
	if b := ps.sv.g.at[pc]; b >= 0 {
		if n := p.n.chain.node(ps.sv.g, b); n != nil {
			m.n = n
		}
	}
	in := ps.sv.p.Insns[p.pc]
	m.s = ps.state(p)
	if p.s != nil {
		if isConditional(in) && p.next[1-way] == nil {
			m.s = p.s.Clone()
		} else {
			p.s = nil
		}
	}
	past := m.s.Past(&ps.past)
	if err := m.step(in, way == 1); err != nil {
		return nil, err
	}
	q := &point{pc: pc, id: p.id, weight: p.weight + 1, n: m.n, check: state.NewChecker(m.s, past), s: m.s, from: p, block: -1}
	p.next[way] = q
	ps.made++
	return q, nil
}

// isConditional reports whether in may be followed by either of two
// instructions.
func isConditional(in prog.Insn) bool {
	if !isJump(in) {
		return false
	}
	switch in.Op.JmpOp() {
	case isa.JA, isa.Exit, isa.Call:
		return false
	}
	return true
}

// step changes the state into that after in, which jumped or not.
func (m *machine) step(in prog.Insn, jumped bool) error {
	if !isJump(in) || in.Op.JmpOp() == isa.Call {
		return m.exec(in)
	}
	switch in.Op.JmpOp() {
	case isa.JA, isa.MayGoto, isa.Exit:
		return nil
	}
	a, b, is32 := m.comparands(in)
	if !m.assume(m.s, in, is32, jumped, a, b) {
		return fmt.Errorf("instruction %d: proven not to go this way in\n%v", m.pc, m.s)
	}
	return nil
}

// comparands returns what the conditional jump in compares. Both are known to
// be readable.
func (m *machine) comparands(in prog.Insn) (a, b state.Reg, is32 bool) {
	is32 = in.Op.Class() == isa.JMP32
	b = state.Const(uint64(int64(in.Imm)))
	if in.Op.Source() == isa.X {
		b = m.s.Reg(uint8(in.Src))
	} else if is32 {
		b = state.Const(uint64(uint32(in.Imm)))
	}
	return m.s.Reg(uint8(in.Dst)), b, is32
}

// state returns the state of p, made anew if a later point has taken it.
func (ps *points) state(p *point) *state.State {
	if p.s != nil {
		return p.s
	}
	if p.from == nil {
		s := ps.sv.kept[p.id-1].Clone()
		if p.n.head {
			ps.sv.beginIteration(p.n, s, p.id)
		}
		return s
	}
	from := p.from
	m := machine{sv: ps.sv, n: from.n, id: from.id, pc: from.pc, s: ps.state(from)}
	if from.s != nil {
		m.s = from.s.Clone()
	}
	if err := m.step(ps.sv.p.Insns[from.pc], from.next[1] == p); err != nil {
		panic(fmt.Sprintf("BUG: instruction %d was followed once: %v", from.pc, err))
	}
	return m.s
}

// explain says why p does not describe c.
func (ps *points) explain(p *point, c *Concrete) error {
	s := ps.state(p)
	err := s.Holds(c)
	if err == nil {
		err = errors.New("a value that no location holds any more was not what is proven of it")
	}
	return fmt.Errorf("before instruction %d: %w; proven:\n%v", p.pc, err, s)
}
