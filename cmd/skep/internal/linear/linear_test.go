package linear

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// budget is how long each kind of map is tested in each engine: SKEP_LINEAR, in
// seconds, or a moment.
func budget(t *testing.T) time.Duration {
	if s := os.Getenv("SKEP_LINEAR"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("SKEP_LINEAR: %v", err)
		}
		return time.Duration(n) * time.Second
	}
	if testing.Short() {
		return 30 * time.Millisecond
	}
	return 300 * time.Millisecond
}

// A crowd is who uses a map at the same time: so many goroutines of Go code and
// of programs, with so many operations each.
type crowd struct{ goCode, programs, each int }

// crowds take turns: two who run side by side on two processors, and a few who
// interrupt each other.
var crowds = []crowd{{1, 1, 60}, {0, 2, 60}, {2, 0, 60}, {2, 3, 16}}

// TestLinearizable has Go code and programs use a few keys of a map at the same
// time, round after round, and looks for an order that explains each round.
func TestLinearizable(t *testing.T) {
	together := 0
	for _, tc := range []struct {
		typ   maps.Type
		model porcupine.Model
		keys  uint32
		goOps []opKind // what Go code does
		ops   []opKind // what programs do
	}{
		{maps.Hash, hashModel, 3, []opKind{opLookup, opUpdate, opUpdate, opDelete, opTake}, []opKind{opLookup, opLookup, opUpdate, opDelete}},
		{maps.LRUHash, hashModel, 3, []opKind{opLookup, opUpdate, opUpdate, opDelete, opTake}, []opKind{opLookup, opLookup, opUpdate, opDelete}},
		{maps.Array, arrayModel, 2, []opKind{opLookup, opLookup, opUpdate}, []opKind{opLookup, opUpdate, opAdd, opAdd}},
		{maps.Queue, queueModel(false), 1, []opKind{opLookup, opUpdate, opTake}, []opKind{opLookup, opUpdate, opUpdate, opTake}},
		{maps.Stack, queueModel(true), 1, []opKind{opLookup, opUpdate, opTake}, []opKind{opLookup, opUpdate, opUpdate, opTake}},
		{maps.RingBuf, ringModel, 1, []opKind{opTake}, []opKind{opUpdate}},
		{maps.LPMTrie, trieModel, uint32(len(prefixes)), []opKind{opLookup, opUpdate, opDelete}, []opKind{opLookup, opLookup, opUpdate, opDelete}},
	} {
		for _, e := range []vm.Engine{vm.Auto, vm.Checked} {
			name := fmt.Sprintf("%v/%s", tc.typ, e)
			if e == vm.Auto {
				name = fmt.Sprintf("%v/auto", tc.typ)
			}
			t.Run(name, func(t *testing.T) {
				rounds, operations, overlaps, refused := 0, 0, 0, 0
				for end := time.Now().Add(budget(t)); time.Now().Before(end); rounds++ {
					s := newSubject(t, tc.typ, e)
					history := s.round(crowds[rounds%len(crowds)], uint64(rounds), tc.keys, tc.goOps, tc.ops)
					s.close()
					operations += len(history)
					if tc.typ == maps.RingBuf {
						refused += s.checkRecords(history)
					}
					overlaps += overlapping(history)
					switch res := porcupine.CheckOperationsTimeout(tc.model, history, time.Second); res {
					case porcupine.Illegal:
						t.Fatalf("round %d: no order explains\n%s", rounds, describe(tc.model, history))
					case porcupine.Unknown:
						t.Logf("round %d: no answer in a second", rounds)
					}
					if t.Failed() {
						t.FailNow()
					}
				}
				together += overlaps
				t.Logf("%d rounds, %d operations, %d of them while another went on", rounds, operations, overlaps)
				if tc.typ == maps.RingBuf {
					t.Logf("%d records found no room", refused)
					if refused == 0 && rounds > len(crowds) {
						t.Error("no record found a full ring")
					}
				}
			})
		}
	}
	if together == 0 && runtime.GOMAXPROCS(0) > 1 && !testing.Short() {
		t.Error("no two operations ever took place at the same time")
	}
}

// round has all clients do their operations, and returns what they did, and what
// is in the map when they are through.
func (s *subject) round(w crowd, seed uint64, keys uint32, goOps, ops []opKind) []porcupine.Operation {
	var values, ready atomic.Uint64
	var wg sync.WaitGroup
	clients := w.goCode + w.programs
	histories := make([][]porcupine.Operation, clients)
	begin := time.Now()
	for c := range clients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(c)))
			kinds := ops
			if c < w.goCode {
				kinds = goOps
			}
			ready.Add(1)
			for ready.Load() < uint64(clients) {
				runtime.Gosched()
			}
			// Between the two looks at the clock is all that the operation does:
			// the processor may read memory ahead of the first one, but not of
			// an atomic operation after it. An array is plain memory, as in the
			// kernel: a store may wait in the processor's buffer after the
			// operation, until an atomic one.
			var fence atomic.Uint64
			for range w.each {
				in := input{kind: kinds[r.IntN(len(kinds))], key: r.Uint32N(keys), value: values.Add(1)}
				in.flags = s.flags(r, in.kind)
				if clients > 2 && r.IntN(8) == 0 {
					runtime.Gosched()
				}
				op := porcupine.Operation{ClientId: c, Input: in, Call: int64(time.Since(begin))}
				fence.Add(1)
				ok := true
				var out output
				if c < w.goCode {
					out, ok = s.byGo(in)
				} else {
					out = s.byProgram(in)
				}
				if s.typ == maps.Array {
					fence.Add(1)
				}
				op.Return, op.Output = int64(time.Since(begin)), out
				if ok {
					histories[c] = append(histories[c], op)
				}
			}
		})
	}
	wg.Wait()
	var all []porcupine.Operation
	for _, h := range histories {
		all = append(all, h...)
	}
	return append(all, s.rest(begin, clients, keys)...)
}

// rest returns what one client finds when the others are through: every key, or
// every record.
func (s *subject) rest(begin time.Time, client int, keys uint32) (history []porcupine.Operation) {
	kind := opLookup
	if s.ring != nil {
		kind, keys = opTake, 1<<16
	}
	for k := range keys {
		in := input{kind: kind}
		if s.ring == nil {
			in.key = k
		}
		op := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(begin))}
		out, ok := s.byGo(in)
		if !ok {
			break
		}
		op.Return, op.Output = int64(time.Since(begin)), out
		history = append(history, op)
	}
	return history
}

// flags returns flags that mean something to the operation.
func (s *subject) flags(r *rand.Rand, kind opKind) maps.UpdateFlags {
	if kind != opUpdate {
		return 0
	}
	switch s.typ {
	case maps.Array:
		return 0
	case maps.Queue, maps.Stack:
		return []maps.UpdateFlags{maps.Any, maps.Any, maps.Exist}[r.IntN(3)]
	case maps.RingBuf: // how the program writes the record
		return maps.UpdateFlags(r.IntN(2))
	}
	return []maps.UpdateFlags{maps.Any, maps.Any, maps.NoExist, maps.Exist}[r.IntN(4)]
}

// checkRecords checks that every record that was written was read, and returns how
// many found no room.
func (s *subject) checkRecords(history []porcupine.Operation) (refused int) {
	written := 0
	for _, op := range history {
		switch {
		case op.Input.(input).kind != opUpdate:
			written--
		case op.Output.(output).err == 0:
			written++
		default:
			refused++
		}
	}
	if written != 0 {
		s.t.Errorf("%d records were lost", written)
	}
	return refused
}

// overlapping returns how many operations began while one of another client went
// on.
func overlapping(history []porcupine.Operation) (n int) {
	for _, a := range history {
		for _, b := range history {
			if b.ClientId != a.ClientId && b.Call <= a.Call && a.Call < b.Return {
				n++
				break
			}
		}
	}
	return n
}

func describe(m porcupine.Model, history []porcupine.Operation) string {
	var text string
	for _, op := range history {
		text += fmt.Sprintf("%6d to %6d, client %d: %s\n", op.Call, op.Return, op.ClientId, m.DescribeOperation(op.Input, op.Output))
	}
	return text
}
