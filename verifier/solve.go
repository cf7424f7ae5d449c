package verifier

import (
	"context"
	"slices"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier/internal/state"
)

const (
	// unroll is how many states a loop head takes before the solver widens.
	unroll = 300
	// patience is how many instructions an exploration visits that never
	// widens: the kernel's limit (BPF_COMPLEXITY_LIMIT_INSNS).
	patience = 1_000_000
	// maxKeys is how many classes of states a join point keeps apart by their
	// constants before it looks at shapes only.
	maxKeys = 40
	// patientKeys is the same for a patient exploration, of those in which a
	// state waits.
	patientKeys = 500
	// patientApart is how many states that wait at a place a patient exploration
	// joins none of.
	patientApart = 64
	// maxShapes is how many shapes a join point may see.
	maxShapes = 200
	// maxDone is how many explored states of one class are remembered for
	// subsumption.
	maxDone = 24
)

// A chain is the calls that lead to a function's activation.
type chain struct {
	up    *chain
	call  prog.PC // in the caller
	site  *node   // the call's block in the caller
	kind  state.FrameKind
	fn    int
	once  bool    // its function is entered from one place in the exploration, and not again
	nodes []*node // by block, from the function's first on
	kids  map[chainKey]*chain
	order []chainKey        // of kids, in order of appearance
	roots []*root           // functions called here that are proved by themselves
	apart map[*root]prog.PC // after a call of each
}

// newChain returns the chain without callers that begins in function fn.
func (g *graph) newChain(fn int, kind state.FrameKind) *chain {
	return &chain{fn: fn, kind: kind, once: true, nodes: make([]*node, g.last(fn)-g.entry[fn])}
}

// node returns the node of block b of g, if there is one.
func (c *chain) node(g *graph, b int) *node { return c.nodes[b-g.entry[c.fn]] }

// A node is a block in the context of one chain of calls.
type node struct {
	chain   *chain
	block   int
	place   []int32 // order in the exploration: positions along the chain
	head    bool
	once    bool         // in no loop: when it is explored, nothing arrives any more
	live    []state.Live // what can be read from here on, by frame
	mask    state.Mask   // what keeps classes apart
	bucket  map[uint64]*bucket
	order   []*bucket // in order of appearance
	limit   int       // classes beyond which mask is coarsened
	visits  int64
	widen   bool  // a loop head that widens
	calls   int64 // a call that calls back: how often, at most
	id      int32
	latches []*latch // heads: what shrinks from one iteration to the next
	late    []*latch // of these, the iterations that began after the loop was widened
	widened int      // steps when it was
	stored  int      // explored states that are kept, or were
	queued  bool
	todo    []*pending // from next on
	next    int
	kept    []*state.State // with Options.Invariants: every state that was explored

	iter    *iterPlace // a call on an iterator: which
	drained bool       // bpf_iter_num_next: also called after it gave 0
	most    int64      // bpf_iter_num_new: how many numbers the iterator has at most
}

// A bucket is one class of states at a node.
type bucket struct {
	key  uint64
	done []explored // newest last; when widening, the newest covers the others
	wait *pending
}

type explored struct {
	s     *state.State
	id    int
	bytes int64
}

// A pending is a state that waits for exploration, and where it came from.
type pending struct {
	s     *state.State
	from  []edge
	b     *bucket
	bytes int64 // of s, as counted
}

// An edge of the exploration: from state id, after weight instructions.
type edge struct {
	id     int
	weight int64
}

// solver explores the program: nodes in the order of the weak topological
// order, so that a join has all its states before it goes on and inner loops
// come to rest before outer ones.
type solver struct {
	*verifier
	ctx       context.Context
	root      *chain
	nodes     []*node            // by id
	changes   map[int]state.Live // what loops write, by head
	merges    state.Merge        // see widening
	queue     nodeHeap
	traces    []state.Trace  // to take from
	loop      int            // the outermost loop, by its head, that is explored; −1: none
	open      []*node        // that keep states of it
	idle      []*pending     // to use again
	edges     []edge         // to take from
	steps     []step         // by id: what each explored state led to
	kept      []*state.State // by id, with Options.Invariants: the state itself
	stored    int
	bytes     int64 // of the stored states
	visits    int64
	maxVisits int64
	patient   bool                 // widens no loop and joins few states
	along     map[*state.Trace]int // guided: how many decisions of the guide a state has followed; −1: it has left it
	look      int64                // visits at which the clock is looked at
	decisions int                  // in traces
	places    int64                // bytes of nodes and chains below calls
	deadline  time.Time
	done      bool  // explored: nothing arrives any more
	async     bool  // proves a callback that runs later
	handles   bool  // proves the function that handles exceptions
	forMap    int32 // whose timer calls it
}

// A step is one explored state.
type step struct {
	n   *node
	out []edge // id of a successor and instructions on the way; id −1: the end
}

func (sv *solver) node(c *chain, b int) *node {
	if n := c.node(sv.g, b); n != nil {
		return n
	}
	var prefix []int32
	if c.site != nil {
		prefix = c.site.place
	}
	blk := &sv.g.blocks[b]
	n := &node{
		chain: c, block: b,
		place: append(slices.Clone(prefix), blk.order),
		head:  len(blk.loops) > 0 && blk.loops[len(blk.loops)-1] == b || sv.isCallback(blk),
		limit: maxKeys,
	}
	n.once = c.once && len(blk.loops) == 0 && !n.head
	if c.up != nil { // those of the outermost function are as many as its blocks
		sv.places += nodeBytes * int64(len(n.place))
	}
	if blk.joins {
		n.live = sv.perFrame(n, sv.l.live)
		n.mask = state.Mask{Frames: sv.perFrame(n, sv.l.tested), Packet: true, Moved: true}
		if sv.patient {
			n.mask.Frames, n.mask.Fine = n.live, true
		}
	}
	n.id = int32(len(sv.nodes))
	sv.nodes = append(sv.nodes, n)
	c.nodes[b-sv.g.entry[c.fn]] = n
	return n
}

func (sv *solver) isCallback(b *block) bool {
	f := sv.callee(sv.p.Insns[b.start])
	return f != nil && f.Proto.Control == helpers.Callback
}

// arrive brings s to block b of chain c, from explored state from, weight
// instructions later.
func (sv *solver) arrive(c *chain, b int, s *state.State, from int, weight int64) error {
	if sv.along[s.Trace] < 0 {
		s.Free()
		return nil
	}
	n := sv.node(c, b)
	if !sv.g.blocks[b].joins {
		sv.push(n, sv.pending(s, nil, edge{from, weight}))
		return nil
	}
	sv.endIteration(n, s)
	s.Clean(n.live)
	s.Canon()
	if n.head && !n.widen && n.visits >= unroll && (!sv.patient || sv.isCallback(&sv.g.blocks[b])) {
		n.widen, n.widened = true, len(sv.steps)
		sv.coarsen(n, 4, 0)
	}
	bk := sv.bucketOf(n, s)
	if sv.crowded(n) {
		// First give up constants of which there are many; a flag or a status
		// code only if it comes to the worst.
		sv.coarsen(n, 4, maxKeys/2)
		if len(n.order) > maxShapes/2 {
			sv.coarsen(n, 1, maxKeys/2)
		}
		n.limit = min(maxShapes, max(n.limit, 2*len(n.order)))
		if len(n.order) >= maxShapes {
			return sv.errorAt(Limit, sv.g.blocks[b].start, s.Trace, "more than %d kinds of states meet here", maxShapes)
		}
		bk = sv.bucketOf(n, s)
	}
	sv.merge(n, bk, s, edge{from, weight})
	return nil
}

// widening returns the widening of this program; only loops that are not
// unrolled to their end need it.
func (sv *solver) widening() state.Merge {
	if sv.merges == nil {
		t := sv.newThresholds()
		sv.merges = state.Widening(&t)
	}
	return sv.merges
}

// replace returns the join of s and t, which are not needed any more.
func replace(s, t *state.State) *state.State {
	u := state.Join(s, t, state.Union, false)
	s.Free()
	t.Free()
	return u
}

// merge adds s to a class: it is dropped if an explored state covers it, joined
// to the one that waits, or becomes the one that waits.
func (sv *solver) merge(n *node, b *bucket, s *state.State, in edge) {
	for i := len(b.done) - 1; i >= 0; i-- {
		if e := &b.done[i]; s.Same(e.s) && s.Leq(e.s) {
			sv.leads(in.id, edge{e.id, in.weight})
			s.Free()
			return
		}
	}
	if b.wait != nil && s.Same(b.wait.s) && (!sv.patient || len(n.todo)-n.next >= patientApart) {
		sv.rough = true
		b.wait.s = replace(b.wait.s, s)
		b.wait.from = append(b.wait.from, in)
		sv.recount(b.wait)
		return
	}
	if n.widen && len(b.done) > 0 {
		if last := b.done[len(b.done)-1].s; s.Same(last) {
			wide := state.Join(last, s, sv.widening(), true)
			s.Free()
			if wide.Equal(last) { // which therefore covers s, though Leq does not see it
				wide.Free()
				sv.steps[in.id].out = append(sv.steps[in.id].out, edge{b.done[len(b.done)-1].id, in.weight})
				return
			}
			s = wide
		}
	}
	b.wait = sv.pending(s, b, in)
	sv.push(n, b.wait)
}

// leads notes that the state id leads to another.
func (sv *solver) leads(id int, to edge) {
	out := &sv.steps[id].out
	if *out == nil { // mostly there are two
		if len(sv.edges) < 2 {
			sv.edges = make([]edge, edgeChunk)
		}
		*out, sv.edges = sv.edges[:0:2], sv.edges[2:]
	}
	*out = append(*out, to)
}

// edgeChunk is how many edges are allocated at a time.
const edgeChunk = 64

// pending returns a state that waits.
func (sv *solver) pending(s *state.State, b *bucket, in edge) *pending {
	p := &pending{}
	if last := len(sv.idle) - 1; last >= 0 {
		p, sv.idle = sv.idle[last], sv.idle[:last]
	}
	p.s, p.b, p.from, p.bytes = s, b, append(p.from[:0], in), 0
	return p
}

// recount counts the memory of p's state, which has changed.
func (sv *solver) recount(p *pending) {
	bytes := p.s.Bytes()
	sv.bytes += bytes - p.bytes
	p.bytes = bytes
	sv.peakBytes = max(sv.peakBytes, sv.memory())
}

// drop counts one state of so many bytes less.
func (sv *solver) drop(bytes int64) {
	sv.stored--
	sv.bytes -= bytes
}

func (sv *solver) push(n *node, p *pending) {
	sv.stored++
	sv.recount(p)
	sv.peak = max(sv.peak, sv.stored)
	n.todo = append(n.todo, p)
	if !n.queued {
		n.queued = true
		sv.queue.push(n)
	}
}

// run explores until nothing waits.
func (sv *solver) run() error {
	for len(sv.queue) > 0 {
		n := sv.queue[0]
		p := n.todo[n.next]
		n.todo[n.next] = nil
		if n.next++; n.next == len(n.todo) {
			sv.queue.pop()
			n.queued, n.todo, n.next = false, n.todo[:0], 0
		}
		sv.closeLoops(n)
		id := len(sv.steps)
		sv.steps = append(sv.steps, step{n: n})
		for _, e := range p.from {
			if e.id >= 0 {
				sv.leads(e.id, edge{id, e.weight})
			}
		}
		n.visits++
		s := p.s
		if sv.o.Invariants {
			n.kept = append(n.kept, s.Clone())
			sv.kept = append(sv.kept, n.kept[len(n.kept)-1])
		}
		if p.b != nil && p.b.wait == p {
			p.b.wait = nil
		}
		if p.b == nil || n.once {
			sv.drop(p.bytes)
		} else {
			if len(p.b.done) == maxDone {
				sv.drop(p.b.done[0].bytes)
				p.b.done[0].s.Free()
				p.b.done = append(p.b.done[:0], p.b.done[1:]...)
			}
			p.b.done = append(p.b.done, explored{s, id, p.bytes})
			if n.stored++; n.stored == 1 {
				sv.open = append(sv.open, n)
			}
			s = s.Clone()
		}
		p.s, p.b = nil, nil
		sv.idle = append(sv.idle, p)
		if n.head {
			sv.beginIteration(n, s, id)
		}
		if err := sv.limits(); err != nil {
			return err
		}
		if err := (&machine{sv: sv, s: s, n: n, id: id}).run(); err != nil {
			return err
		}
	}
	return nil
}

// closeLoops forgets the explored states of an outermost loop when n is the first
// node after it: nothing arrives there any more. It keeps one state for each
// node, for people.
func (sv *solver) closeLoops(n *node) {
	c, b := n.chain, n.block
	for c.up != nil {
		c, b = c.up, c.site.block
	}
	loop := -1
	if l := sv.g.blocks[b].loops; len(l) > 0 {
		loop = l[0]
	} else if !n.once {
		loop = b // callbacks
	}
	if loop == sv.loop {
		return
	}
	for _, n := range sv.open {
		for i, b := range n.order {
			keep := 0
			if i == len(n.order)-1 {
				keep = min(1, len(b.done))
			}
			for _, e := range b.done[:len(b.done)-keep] {
				e.s.Free()
				sv.drop(e.bytes)
			}
			b.done = append(b.done[:0], b.done[len(b.done)-keep:]...)
		}
		n.stored = 0
	}
	sv.loop, sv.open = loop, sv.open[:0]
}

// limits returns an error if the proof has taken all that it may, or is not
// wanted any more. It is called often.
func (sv *solver) limits() error {
	switch {
	case sv.visits > sv.maxVisits:
		return sv.spent("%d instructions visited; the limit is %d", sv.visits, sv.maxVisits)
	case sv.stored > sv.o.MaxStates:
		return sv.spent("%d states stored; the limit is %d", sv.stored, sv.o.MaxStates)
	case sv.memory() > sv.o.MaxBytes:
		return sv.spent("%d bytes of states; the limit is %d", sv.memory(), sv.o.MaxBytes)
	}
	if sv.visits < sv.look {
		return nil
	}
	sv.look = sv.visits + lookEvery
	if err := sv.ctx.Err(); err != nil {
		return err
	}
	if time.Now().After(sv.deadline) {
		return sv.spent("not decided within %v", sv.o.MaxTime)
	}
	return nil
}

// lookEvery is after how many visits the clock and the context are looked at:
// a fraction of a millisecond.
const lookEvery = 256

// memory returns the bytes that the proof keeps: states, and what is recorded
// of each that was explored.
func (sv *solver) memory() int64 {
	return sv.bytes + sv.places + int64(len(sv.steps))*stepBytes + int64(sv.decisions)*traceBytes
}

// stepBytes is the memory of a step and its edges, of which there are mostly
// two; traceBytes that of a decision; nodeBytes and chainBytes those of a node
// and a chain, less what depends on the depth and on the blocks.
const (
	stepBytes  = 32 + 2*16
	traceBytes = 24
	nodeBytes  = 400
	chainBytes = 200
)

// spent returns the error that a limit was reached, at the block in which most
// instructions were visited.
func (sv *solver) spent(format string, args ...any) *Error {
	at, most := sv.g.entry[sv.root.fn], int64(0)
	visits := map[int]int64{}
	for _, n := range sv.nodes {
		visits[n.block] += n.visits
		if v := visits[n.block] * sv.g.blocks[n.block].weight; v > most {
			at, most = n.block, v
		}
	}
	b := &sv.g.blocks[at]
	return sv.errorAt(Limit, b.start, nil, format+"; the block that took most, instructions %d to %d, was explored %d times",
		append(args, b.start, sv.g.lastInsn(at), visits[at])...)
}

// perFrame returns what holds on entry to n, frame by frame: of the innermost
// what by says, of the others what is live after their calls.
//
// The result may be by's memory: nobody changes it.
func (sv *solver) perFrame(n *node, by []state.Live) []state.Live {
	if n.chain.up == nil {
		return by[n.block : n.block+1 : n.block+1]
	}
	depth := 0
	for c := n.chain; c != nil; c = c.up {
		depth++
	}
	live := make([]state.Live, depth)
	live[depth-1] = by[n.block]
	for c, i := n.chain, depth-2; c.up != nil; c, i = c.up, i-1 {
		live[i] = sv.l.after[c.call]
		if c.kind == state.CallbackBody {
			// The call runs again after each body, with its arguments.
			m := sv.l.live[c.site.block]
			live[i].Regs |= m.Regs
			for k := range m.Stack {
				live[i].Stack[k] |= m.Stack[k]
			}
		}
	}
	return live
}
