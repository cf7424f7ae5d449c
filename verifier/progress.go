package verifier

import (
	"math"
	"slices"

	"github.com/skepvm/skep/verifier/internal/state"
)

// progress.go watches what loops do from one iteration to the next. When the
// exploration of an iteration begins, the state notes what the places that the
// loop changes hold (ghosts); when it comes back to the head, the note is
// compared with what they hold then. A place that has always moved the same
// way by at least one, inside bounds, proves that the loop ends: a ranking
// function (Floyd 1967). terminate.go asks for it where the exploration has
// cycles.

// maxGhosts bounds the places that are watched in one loop.
const maxGhosts = 6

// A measure is what must shrink from one iteration to the next: the distance
// from place a up to place b, or, if they are equal, the bits of the number
// there.
type measure struct{ a, b state.Place }

// less orders measures, so that of equal ones always the same is used.
func (k measure) less(o measure) bool {
	for _, d := range [4]int{k.a.Frame - o.a.Frame, int(k.a.Off) - int(o.a.Off), k.b.Frame - o.b.Frame, int(k.b.Off) - int(o.b.Off)} {
		if d != 0 {
			return d < 0
		}
	}
	return false
}

// A rank is what is known of a measure over all iterations so far.
type rank struct {
	step  int64 // least decrease; ≤ 0: it does not always decrease
	least int64 // lower bound of the measure
	most  int64 // upper bound
	seen  int   // ends of iterations at which the places were there
}

// never is the place that does not move: distances to and from it are those of
// one place alone.
var never = state.Place{Off: -1 << 15}

// beginIteration notes the places that the loop headed by n changes, in s, which
// is the explored state id.
func (sv *solver) beginIteration(n *node, s *state.State, id int) {
	frame := len(s.Frames) - 1
	// Whatever else there is to note: an iteration that comes back is seen, and
	// whether it began before the loop was widened.
	late := uint64(0)
	if n.widen && id >= n.widened {
		late = 1
	}
	s.Ghosts = append(s.Ghosts, state.Ghost{Loop: n.id, Place: never, Reg: state.Const(late)})
	changes := sv.loopChanges(n.block)
	noted := 0
	note := func(off int16, r state.Reg) {
		if noted == maxGhosts || r.Kind == state.Unreadable {
			return
		}
		noted++
		r.Kind, r.Obj = state.Scalar, 0
		s.Ghosts = append(s.Ghosts, state.Ghost{Loop: n.id, Place: state.Place{Frame: frame, Off: off}, Reg: r})
	}
	f := &s.Frames[frame]
	for r := range f.Regs {
		if changes.Regs&(1<<r) != 0 {
			note(int16(r), f.Regs[r])
		}
	}
	for _, c := range f.Stack.Cells() {
		if b := int(c.Off) + state.StackSize; changes.Stack[b/64]&(1<<(b%64)) != 0 {
			note(c.Off, c.Reg)
		}
	}
}

// endIteration compares what s notes of the loop headed by n, if s comes from
// inside it, and drops the notes of loops that n is not in.
func (sv *solver) endIteration(n *node, s *state.State) {
	if len(s.Ghosts) == 0 {
		return
	}
	var moves []move
	late := false
	for _, g := range s.Ghosts {
		if g.Loop != n.id {
			continue
		}
		moves = append(moves, newMove(s, g))
		late = late || g.Place == never && s.Num(g.Reg).UMax() > 0
	}
	if len(moves) > 0 {
		l := latchOf(&n.latches, s)
		l.ends++
		l.compare(s, moves)
		if late {
			l := latchOf(&n.late, s)
			l.ends++
			l.compare(s, moves)
		}
	}
	s.Ghosts = slices.DeleteFunc(s.Ghosts, func(g state.Ghost) bool {
		return g.Loop == n.id || !sv.inside(n, sv.nodes[g.Loop])
	})
}

// inside reports whether n is in the loop headed by head, in it or in a
// function that it calls.
func (sv *solver) inside(n, head *node) bool {
	block := n.block
	for c := n.chain; c != nil; c = c.up {
		if c == head.chain {
			return block == head.block || slices.Contains(sv.g.blocks[block].loops, head.block)
		}
		if c.site != nil {
			block = c.site.block
		}
	}
	return false
}

// A move is what became of one place during an iteration. The zero bounds of
// known = false say nothing.
type move struct {
	place    state.Place
	then     state.Reg
	now      state.Reg
	up, down int64 // now − then is at least up, then − now at least down
	known    bool
}

func newMove(s *state.State, g state.Ghost) move {
	m := move{place: g.Place, then: g.Reg, up: math.MinInt64, down: math.MinInt64}
	now, ok := s.At(g.Place)
	if !ok {
		return m
	}
	now.Kind, now.Obj = state.Scalar, 0
	m.now, m.known = now, true
	if d, ok := s.DiffReg(g.Reg, now); ok && d > math.MinInt64/4 {
		m.up = -d
	}
	if d, ok := s.DiffReg(now, g.Reg); ok && d > math.MinInt64/4 {
		m.down = -d
	}
	return m
}

// A latch is one way back to the head of a loop, and what is known of the
// iterations that ended there.
type latch struct {
	pc   int32 // the last decision before the head
	ends int
	rank map[measure]*rank
}

// latchOf returns the latch of list through which s comes, adding it if need be.
func latchOf(list *[]*latch, s *state.State) *latch {
	pc := int32(-1)
	if s.Trace != nil {
		pc = s.Trace.PC
	}
	for _, l := range *list {
		if l.pc == pc {
			return l
		}
	}
	l := &latch{pc: pc, rank: map[measure]*rank{}}
	*list = append(*list, l)
	return l
}

// compare updates the ranks of n with one iteration: of each place alone, and
// of each distance between two.
func (n *latch) compare(s *state.State, moves []move) {
	for i := range moves {
		m := &moves[i]
		if !m.known {
			continue
		}
		then, now := s.Num(m.then), s.Num(m.now)
		low, high := min(then.SMin(), now.SMin()), max(then.SMax(), now.SMax())
		n.update(measure{m.place, never}, m.up, negated(high), negated(low))
		n.update(measure{never, m.place}, m.down, low, high)
		if s.Sheds(m.then, m.now) {
			n.update(measure{m.place, m.place}, 1, 0, 128) // bits that are set, and bits up to the highest
		}
		for j := range moves {
			o := &moves[j]
			if i == j || !o.known || m.up == math.MinInt64 || o.down == math.MinInt64 {
				continue
			}
			// The distance o − m shrinks by what m goes up and o goes down.
			lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
			for _, p := range [2][2]state.Reg{{m.then, o.then}, {m.now, o.now}} {
				if d, ok := s.DiffReg(p[0], p[1]); ok {
					lo = min(lo, -d)
				} else {
					lo = math.MinInt64
				}
				if d, ok := s.DiffReg(p[1], p[0]); ok {
					hi = max(hi, d)
				} else {
					hi = math.MaxInt64
				}
			}
			if closer := m.up + o.down; (m.up < 0) != (o.down < 0) || (closer < 0) == (m.up < 0) {
				n.update(measure{m.place, o.place}, closer, lo, hi)
			}
		}
	}
}

func negated(x int64) int64 {
	if x == math.MinInt64 {
		return math.MaxInt64
	}
	if x == math.MaxInt64 {
		return math.MinInt64
	}
	return -x
}

func (n *latch) update(k measure, step, least, most int64) {
	r := n.rank[k]
	if r == nil {
		r = &rank{step: math.MaxInt64, least: math.MaxInt64, most: math.MinInt64}
		n.rank[k] = r
	}
	r.seen++
	r.step = min(r.step, step)
	r.least, r.most = min(r.least, least), max(r.most, most)
}

// iterations returns how often a loop can begin again whose iterations end at
// latches.
//
// Measures are lexicographic (Bradley, Manna and Sipma 2005): the first does
// not grow on any way back and shrinks on some; what is left after taking
// those away is bounded, between two of them, by the next. So loops that share
// a head, as nested loops do when nothing stands between them, are bounded too.
func iterations(latches []*latch) (bound int64, ok bool) {
	left := slices.Clone(latches)
	for len(left) > 0 {
		best, most := int64(0), 0
		var strict measure
		for k := range left[0].rank {
			ok, steps, shrinks := span(left, k)
			if ok && (shrinks > most || shrinks == most && (steps < best || steps == best && k.less(strict))) {
				best, most, strict = steps, shrinks, k
			}
		}
		if most == 0 {
			return 0, false
		}
		// best more iterations of the strict latches before each of those
		// counted so far, and after the last.
		bound = addSat(bound, mulSat(addSat(bound, 1), best))
		left = slices.DeleteFunc(left, func(l *latch) bool { return l.rank[strict].step > 0 })
	}
	return bound, true
}

// span returns by how many steps measure k can shrink on latches, and on how
// many of them it does; ok is false, and that number 0, unless it never grows.
func span(latches []*latch, k measure) (ok bool, steps int64, shrinks int) {
	least, most, step := int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64)
	for _, l := range latches {
		r := l.rank[k]
		if r == nil || r.seen != l.ends || r.step < 0 || r.least == math.MinInt64 || r.most == math.MaxInt64 {
			return false, 0, 0
		}
		least, most = min(least, r.least), max(most, r.most)
		if r.step > 0 {
			step = min(step, r.step)
			shrinks++
		}
	}
	width := uint64(most) - uint64(least)
	if shrinks == 0 || width >= math.MaxInt64 {
		return false, 0, 0
	}
	return true, int64(width)/step + 1, shrinks
}

// loopChanges returns the registers and stack bytes that the loop headed by
// block b writes.
func (sv *solver) loopChanges(b int) state.Live {
	if sv.changes == nil {
		sv.changes = map[int]state.Live{}
		for i := range sv.g.blocks {
			for _, head := range sv.g.blocks[i].loops {
				c := sv.changes[head]
				merge(&c, sv.l.writes[i])
				sv.changes[head] = c
			}
		}
	}
	return sv.changes[b]
}
