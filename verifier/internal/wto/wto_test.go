package wto

import (
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"time"
)

// String returns the order in Bourdoncle's notation: (head part part).
func (o *Order) String() string {
	var b strings.Builder
	var ends []int32
	for p, v := range o.Nodes {
		for len(ends) > 0 && ends[len(ends)-1] == int32(p) {
			b.WriteString(")")
			ends = ends[:len(ends)-1]
		}
		if p > 0 {
			b.WriteString(" ")
		}
		if o.End[p] != 0 {
			b.WriteString("(")
			ends = append(ends, o.End[p])
		}
		fmt.Fprint(&b, v)
	}
	return b.String() + strings.Repeat(")", len(ends))
}

// holds reports whether the component that begins at position h holds position p.
func (o *Order) holds(h, p int32) bool { return h <= p && p < o.End[h] }

// check fails unless o is a weak topological order of the graph.
func check(t *testing.T, o *Order, entry int32, succs [][]int32) {
	t.Helper()
	if o.Nodes[0] != entry {
		t.Fatalf("%v: the entry %d is not first, graph %v", o, entry, succs)
	}
	for p, v := range o.Nodes {
		if o.Position[v] != int32(p) {
			t.Fatalf("%v: node %d has position %d, graph %v", o, v, o.Position[v], succs)
		}
	}
	reached := 0
	for v, p := range o.Position {
		if p == -1 {
			continue
		}
		reached++
		for _, w := range succs[v] {
			q := o.Position[w]
			if q == -1 {
				t.Fatalf("%v: %d is in the order and its successor %d is not, graph %v", o, v, w, succs)
			}
			if back := o.holds(q, p); back == (p < q) {
				t.Fatalf("%v: edge %d to %d goes back and not to the head of a component around it, graph %v", o, v, w, succs)
			}
		}
	}
	if reached != len(o.Nodes) || len(o.End) != reached || len(o.Outer) != reached {
		t.Fatalf("%v: %d nodes, graph %v", o, reached, succs)
	}
	// Components nest, and Outer is the innermost.
	var around []int32
	for p := range int32(reached) {
		for len(around) > 0 && o.End[around[len(around)-1]] == p {
			around = around[:len(around)-1]
		}
		outer := int32(-1)
		if len(around) > 0 {
			outer = around[len(around)-1]
			if o.End[p] > o.End[outer] {
				t.Fatalf("%v: components overlap, graph %v", o, succs)
			}
		}
		if o.Outer[p] != outer {
			t.Fatalf("%v: outer of position %d is %d, want %d, graph %v", o, p, o.Outer[p], outer, succs)
		}
		if o.End[p] != 0 {
			around = append(around, p)
		}
	}
}

// checkTight fails unless each component is strongly connected, so that no
// node is iterated without need, and its head has an edge from inside.
func checkTight(t *testing.T, o *Order, succs [][]int32) {
	t.Helper()
	preds := make([][]int32, len(succs))
	for v, ws := range succs {
		for _, w := range ws {
			preds[w] = append(preds[w], int32(v))
		}
	}
	for h, end := range o.End {
		if end == 0 {
			continue
		}
		for _, edges := range [][][]int32{succs, preds} {
			seen := map[int32]bool{}
			closed := false // an edge inside leads to the head
			for work := []int32{o.Nodes[h]}; len(work) > 0; {
				v := work[len(work)-1]
				work = work[:len(work)-1]
				for _, w := range edges[v] {
					if w == o.Nodes[h] {
						closed = closed || o.Position[v] != -1 && o.holds(int32(h), o.Position[v])
					}
					if p := o.Position[w]; p != -1 && o.holds(int32(h), p) && !seen[w] {
						seen[w] = true
						work = append(work, w)
					}
				}
			}
			if !closed || len(seen) != int(end)-h {
				t.Fatalf("%v: the component of %d is not strongly connected, graph %v", o, o.Nodes[h], succs)
			}
		}
	}
}

// TestAllGraphs orders every graph of three nodes, and of four.
func TestAllGraphs(t *testing.T) {
	for _, n := range []int{3, 4} {
		for g := range 1 << (n * n) {
			succs := make([][]int32, n)
			for e := range n * n {
				if g>>e&1 != 0 {
					succs[e/n] = append(succs[e/n], int32(e%n))
				}
			}
			o := New(0, succs)
			check(t, o, 0, succs)
			checkTight(t, o, succs)
		}
	}
}

// TestRandomGraphs orders graphs of up to 40 nodes, most of them irreducible,
// with edges given twice and nodes that cannot be reached.
func TestRandomGraphs(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	runs := 50000
	if testing.Short() {
		runs = 5000
	}
	for range runs {
		n := 1 + r.Intn(40)
		succs := make([][]int32, n)
		for range r.Intn(3*n + 1) {
			v := r.Intn(n)
			succs[v] = append(succs[v], int32(r.Intn(n)))
		}
		entry := int32(r.Intn(n))
		o := New(entry, succs)
		check(t, o, entry, succs)
		checkTight(t, o, succs)
		if again := New(entry, succs); !reflect.DeepEqual(o, again) {
			t.Fatalf("%v, and then %v", o, again)
		}
	}
}

// TestNotation has orders that were worked out by hand, the first by
// Bourdoncle (his figure 1, from node 1; node 0 is not used).
func TestNotation(t *testing.T) {
	for _, tc := range []struct {
		name  string
		entry int32
		succs [][]int32
		want  string
	}{
		{"paper", 1, [][]int32{{}, {2}, {3, 8}, {4}, {5, 7}, {6}, {5, 7}, {3, 8}, {}}, "1 2 (3 4 (5 6) 7) 8"},
		{"straight", 0, [][]int32{{1}, {2}, {}}, "0 1 2"},
		{"branch, first successor first", 0, [][]int32{{1, 2}, {3}, {3}, {}}, "0 1 2 3"},
		{"self loop", 0, [][]int32{{1}, {1, 2}, {}}, "0 (1) 2"},
		{"the entry loops", 0, [][]int32{{1}, {0}}, "(0 1)"},
		{"a loop with two entries", 0, [][]int32{{1, 2}, {2}, {1, 3}, {}}, "0 (2 1) 3"},
		{"exit before body", 0, [][]int32{{1}, {3, 2}, {1}, {}}, "0 (1 2) 3"},
		{"one head, two back edges", 0, [][]int32{{1}, {2}, {1, 3}, {1, 4}, {}}, "0 (1 2 3) 4"},
	} {
		o := New(tc.entry, tc.succs)
		check(t, o, tc.entry, tc.succs)
		if got := o.String(); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestLarge orders graphs of a million nodes, each of which makes some simpler
// algorithm recurse too deep or take quadratic time.
func TestLarge(t *testing.T) {
	n := int32(1000000)
	if testing.Short() {
		n = 100000
	}
	graph := func(f func(v int32) []int32) [][]int32 {
		succs := make([][]int32, n)
		for v := range n {
			for _, w := range f(v) {
				if 0 <= w && w < n {
					succs[v] = append(succs[v], w)
				}
			}
		}
		return succs
	}
	r := rand.New(rand.NewSource(2))
	for _, tc := range []struct {
		name  string
		succs [][]int32
	}{
		{"straight", graph(func(v int32) []int32 { return []int32{v + 1} })},
		{"nest", graph(func(v int32) []int32 { // n/2 loops, each in the one before
			if v < n/2 {
				return []int32{v + 1}
			}
			return []int32{n - 1 - v, v + 1}
		})},
		{"all loop to the entry", graph(func(v int32) []int32 { return []int32{v + 1, 0} })},
		{"each loops to the one before", graph(func(v int32) []int32 { return []int32{v - 1, v + 1} })},
		{"jump table", graph(func(v int32) []int32 {
			if v != 0 {
				return []int32{n - 1}
			}
			all := make([]int32, n-1)
			for i := range all {
				all[i] = int32(i) + 1
			}
			return all
		})},
		{"ladder", graph(func(v int32) []int32 { return []int32{v + 1, v + 2} })},
		{"irreducible nest", graph(func(v int32) []int32 { return []int32{v + 1, v + 2, n - 1 - v} })},
		{"random", graph(func(v int32) []int32 { return []int32{v + 1, r.Int31n(n)} })},
	} {
		start := time.Now()
		o := New(0, tc.succs)
		t.Logf("%s: %v", tc.name, time.Since(start))
		check(t, o, 0, tc.succs)
	}
}

func BenchmarkNew(b *testing.B) {
	const n = 1000
	succs := make([][]int32, n)
	for v := range int32(n) {
		succs[v] = []int32{min(v+1, n-1), v / 2}
	}
	b.ReportAllocs()
	for b.Loop() {
		New(0, succs)
	}
}
