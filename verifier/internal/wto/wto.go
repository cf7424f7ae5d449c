// Package wto orders the nodes of a graph for iteration to a fixpoint.
//
// A weak topological order (Bourdoncle, "Efficient Chaotic Iteration Strategies
// with Widenings", FMPA 1993) is a list of the nodes with components, which are
// parts of the list, nested in each other or apart, that begin with their head.
// For each edge u→v, either v is the head of a component that holds u, or v
// comes after u. So an iteration that repeats each component until the state at
// its head is stable, inner ones within outer ones, reaches a fixpoint, and
// needs to widen at heads alone.
//
// Bourdoncle's algorithm searches the graph once per nesting level, which is
// quadratic for deep nests. This one finds components of the same kind in one
// depth-first search: the loops of the search tree from the innermost outwards,
// each collapsed into its head by union-find (Tarjan, "Testing Flow Graph
// Reducibility", 1974). An edge between branches of the tree is looked at only
// when the search for loops reaches their nearest common ancestor; on inner
// loops it cannot be (Ramalingam, "Identifying Loops in Almost Linear Time",
// TOPLAS 1999). This makes it right for irreducible graphs. Kim, Venet and Thakur,
// "Deterministic Parallel Fixpoint Computation" (POPL 2020), show that these
// loops are the components of a weak topological order. Time and memory are
// almost linear in nodes and edges, and nothing recurses.
package wto

import "slices"

// An Order is a weak topological order of the nodes that can be reached from
// an entry. Its slices do not change once made.
type Order struct {
	// Nodes lists the nodes. The entry is first.
	Nodes []int32

	// End has for the position in Nodes of each head the position after its
	// component, and 0 for the positions of other nodes.
	End []int32

	// Outer has for each position the position of the head of the innermost
	// component that holds the node and that it does not head; −1 if there is
	// none.
	Outer []int32

	// Position has for each node of the graph its position in Nodes, and −1
	// for nodes that cannot be reached.
	Position []int32
}

// New returns an order for the graph in which v has the successors succs[v].
// Lists may name a node twice. Of nodes that no path orders, those reached
// through earlier successors come first. The order depends on nothing else than
// the arguments, which New does not keep.
func New(entry int32, succs [][]int32) *Order {
	s := search(entry, succs)
	s.findLoops()
	return s.order(len(succs))
}

// A forest is the state of New. Nodes are numbered in the order in which the
// search finds them, so that an ancestor in the search tree has a lower number
// than its descendants.
type forest struct {
	node    []int32 // number to node
	parent  []int32 // in the search tree; −1 for the entry
	reverse []int32 // the numbers in reverse postorder

	// Edges, in lists: each edge that goes back to an ancestor in the list of
	// that ancestor in back, each other in the list in meets of the nearest
	// common ancestor of its ends.
	edges       []edge
	back, meets []int32 // first edge of each list; −1 if there is none

	head []bool  // whether the node heads a component
	loop []int32 // the head of the innermost component around it; −1 if there is none
}

type edge struct{ from, to, next int32 }

const unset = -1

func filled(n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = unset
	}
	return s
}

// find returns the root of x, and halves the paths that it walks. The root has
// itself as parent.
func find(up []int32, x int32) int32 {
	for up[x] != x {
		up[x] = up[up[x]]
		x = up[x]
	}
	return x
}

func (s *forest) link(list []int32, at, from, to int32) {
	s.edges = append(s.edges, edge{from, to, list[at]})
	list[at] = int32(len(s.edges) - 1)
}

// search walks the graph depth first, later successors first: their nodes are
// finished first and so come last in reverse postorder.
func search(entry int32, succs [][]int32) *forest {
	n, edges := len(succs), 0
	for _, list := range succs {
		edges += len(list)
	}
	s := &forest{
		node: make([]int32, 0, n), parent: make([]int32, 0, n), reverse: make([]int32, 0, n),
		edges: make([]edge, 0, edges), back: filled(n), meets: filled(n),
	}
	number := filled(n)
	left := make([]int32, n)    // successors still to visit
	open := make([]int32, 0, n) // numbers from the entry to the current node
	up := make([]int32, n)      // a finished number points upwards, an open one to itself
	enter := func(v, parent int32) {
		x := int32(len(s.node))
		number[v] = x
		s.node = append(s.node, v)
		s.parent = append(s.parent, parent)
		left[x] = int32(len(succs[v]))
		up[x] = x
		open = append(open, x)
	}
	enter(entry, unset)
	for len(open) > 0 {
		x := open[len(open)-1]
		if left[x] == 0 {
			open = open[:len(open)-1]
			s.reverse = append(s.reverse, x)
			if s.parent[x] != unset {
				up[x] = s.parent[x]
			}
			continue
		}
		left[x]--
		v := succs[s.node[x]][left[x]]
		y := number[v]
		switch {
		case y == unset:
			y = int32(len(s.node))
			enter(v, x)
			s.link(s.meets, x, x, y)
		case up[y] == y: // open, so an ancestor or x itself
			s.link(s.back, y, x, y)
		default:
			s.link(s.meets, find(up, y), x, y)
		}
	}
	slices.Reverse(s.reverse)
	return s
}

// findLoops sets head and loop.
//
// Heads are visited from the highest number down, so inner loops are collapsed
// before outer ones. The loop of h holds the collapsed nodes from which an edge
// back to h can be reached below h in the tree. Walking backwards from those
// edges never leaves the subtree of h: the edges at hand are those whose nearest
// common ancestor has been visited, and as that is an ancestor of the edge's
// end, which is in the subtree, and not above h, it is in the subtree too.
//
// Once a loop is collapsed, all edges found so far that enter its nodes come
// from inside it. They are not looked at again, which bounds the work.
func (s *forest) findLoops() {
	n := len(s.node)
	s.head, s.loop = make([]bool, n), filled(n)
	up := make([]int32, n) // a collapsed node points to its head, others to themselves
	for x := range up {
		up[x] = int32(x)
	}
	into := filled(n) // edges that enter a collapsed node, by list
	var body []int32
	for h := int32(n - 1); h >= 0; h-- {
		for e := s.meets[h]; e != unset; {
			next := s.edges[e].next
			to := find(up, s.edges[e].to)
			s.edges[e].next, into[to] = into[to], e
			e = next
		}
		body = body[:0]
		add := func(from int32) {
			if x := find(up, from); x != h && s.loop[x] == unset {
				s.loop[x] = h
				body = append(body, x)
			}
		}
		for e := s.back[h]; e != unset; e = s.edges[e].next {
			s.head[h] = true
			add(s.edges[e].from)
		}
		for i := 0; i < len(body); i++ {
			for e := into[body[i]]; e != unset; e = s.edges[e].next {
				add(s.edges[e].from)
			}
		}
		for _, x := range body {
			up[x] = h
		}
	}
}

// order lists the nodes of each component after its head, in reverse postorder
// of the nodes and of the heads of the components among them.
//
// That is a topological order of a component's parts but for edges to its head:
// let p and q head the parts that an edge leaves and enters. If p is an ancestor
// of q in the tree, p is before q. If q is an ancestor of p, each reaches the
// other below q, and p is in the loop of q, not beside it. Otherwise the edge
// crosses from the subtree of p to that of q, which was finished before, so that
// p is before q.
func (s *forest) order(nodes int) *Order {
	n := len(s.node)
	o := &Order{
		Nodes: make([]int32, 0, n), End: make([]int32, n),
		Outer: make([]int32, 0, n), Position: filled(nodes),
	}
	first, next, top := filled(n), filled(n), int32(unset) // parts of each component, and of the list
	for i := n - 1; i >= 0; i-- {
		x := s.reverse[i]
		list := &top
		if s.loop[x] != unset {
			list = &first[s.loop[x]]
		}
		next[x], *list = *list, x
	}
	at := make([]int32, n) // number to position
	for x := top; x != unset; {
		at[x] = int32(len(o.Nodes))
		o.Position[s.node[x]] = at[x]
		o.Nodes = append(o.Nodes, s.node[x])
		outer := s.loop[x]
		if outer != unset {
			outer = at[outer]
		}
		o.Outer = append(o.Outer, outer)
		if first[x] != unset {
			x = first[x]
			continue
		}
		for {
			if s.head[x] {
				o.End[at[x]] = int32(len(o.Nodes))
			}
			if next[x] != unset || s.loop[x] == unset {
				break
			}
			x = s.loop[x]
		}
		x = next[x]
	}
	return o
}
