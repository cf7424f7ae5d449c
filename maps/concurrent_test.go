package maps

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/vcpu"
)

func u64(n uint64) []byte { return binary.NativeEndian.AppendUint64(nil, n) }

func newHash8(t testing.TB, entries uint32, valueSize uint32) *hash {
	t.Helper()
	m, err := New(&Spec{Name: "h", Type: Hash, KeySize: 8, ValueSize: valueSize, MaxEntries: entries})
	if err != nil {
		t.Fatal(err)
	}
	return m.(*hash)
}

// newHomed8 returns a map of keys and values of 8 bytes that has a home. In it are
// keys from 1<<40 on.
func newHomed8(t testing.TB) *hash {
	t.Helper()
	m := newHash8(t, homeMin, 8)
	for i := range uint64(homeMin/homeShare + 1) {
		if err := m.Update(u64(1<<40+i), u64(i), Any); err != nil {
			t.Fatal(err)
		}
	}
	if m.home.Load() == nil {
		t.Fatal("the map has no home")
	}
	return m
}

// An event is one operation on one key: what was asked, what came back, and
// the times between which it took place.
type event struct {
	op         byte // 'u' update, 'd' delete, 'l' lookup, 'x' lookup and delete
	flags      UpdateFlags
	value      uint64 // stored, or found
	err        errno.Errno
	begin, end int64
}

// apply returns the state of a key after e, 0 for absent, and whether e's
// outcome is what the state before allows.
func (e *event) apply(state uint64) (uint64, bool) {
	var err errno.Errno
	switch {
	case e.op == 'u' && e.flags == NoExist && state != 0:
		err = errno.EEXIST
	case e.op != 'u' && state == 0, e.op == 'u' && e.flags == Exist && state == 0:
		err = errno.ENOENT
	}
	switch {
	case err != e.err:
		return state, false
	case err != 0:
		return state, true
	case e.op == 'u':
		return e.value, true
	case e.op == 'l':
		return state, state == e.value
	case e.op == 'x':
		return 0, state == e.value
	}
	return 0, true
}

// linearizable reports whether the events of one key, at most 64, could have
// happened one at a time, each at a moment between its begin and its end (Wing
// and Gong, Testing and verifying concurrent objects, 1993).
func linearizable(events []event) bool {
	type node struct {
		done  uint64
		state uint64
	}
	seen := map[node]bool{}
	all := uint64(1)<<len(events) - 1
	var try func(n node) bool
	try = func(n node) bool {
		if n.done == all {
			return true
		}
		if seen[n] {
			return false
		}
		seen[n] = true
		first := int64(1<<63 - 1) // nothing that began later can be next
		for i := range events {
			if n.done&(1<<i) == 0 {
				first = min(first, events[i].end)
			}
		}
		for i := range events {
			if n.done&(1<<i) == 0 && events[i].begin < first {
				if state, ok := events[i].apply(n.state); ok && try(node{n.done | 1<<i, state}) {
					return true
				}
			}
		}
		return false
	}
	return try(node{})
}

func TestLinearizableChecker(t *testing.T) {
	put := event{op: 'u', value: 5, begin: 1, end: 2}
	miss := event{op: 'l', err: errno.ENOENT, begin: 3, end: 4}
	if linearizable([]event{put, miss}) {
		t.Error("a lookup may miss what was stored before it began")
	}
	miss.begin = 1
	if !linearizable([]event{put, miss}) {
		t.Error("a lookup may not miss what is stored meanwhile")
	}
}

// TestHashLinearizable has goroutines use the same few keys, while others make
// the table grow, and looks for an order that explains what they saw.
func TestHashLinearizable(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 60
	}
	const workers, keys, each = 4, 3, 24
	for round := range rounds {
		m := newHash8(t, 4000, 8)
		if round%4 == 0 {
			m = newHomed8(t)
		}
		var clock, value atomic.Int64
		var mu sync.Mutex
		histories := map[uint64][]event{}
		var wg sync.WaitGroup
		start := make(chan struct{})
		for w := range workers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				r := rand.New(rand.NewPCG(uint64(round), uint64(w)))
				mine := map[uint64][]event{}
				<-start
				for i := range each {
					k := uint64(r.IntN(keys))
					e := event{op: "uuldlx"[r.IntN(6)], flags: UpdateFlags(r.IntN(3)), value: uint64(value.Add(1))}
					key, out := u64(k), make([]byte, 8)
					c := vcpu.Lease()
					var err error
					e.begin = clock.Add(1)
					switch e.op {
					case 'u':
						err = m.Update(key, u64(e.value), e.flags)
					case 'd':
						err = m.DeleteElem(c.ID(), key)
					case 'x':
						err = m.LookupAndDelete(key, out)
					case 'l':
						if i%2 == 0 {
							err = m.Lookup(key, out)
						} else if p := m.LookupElem(c.ID(), key); p == nil {
							err = errno.ENOENT
						} else {
							out = p
						}
					}
					e.end = clock.Add(1)
					errors.As(err, &e.err)
					if e.op == 'x' || e.op == 'l' {
						e.value = binary.NativeEndian.Uint64(out)
					}
					c.Release()
					mine[k] = append(mine[k], e)
					if i%4 == 0 {
						m.Update(u64(uint64(1000+w*1000+i*7+round)), u64(1), Any)
					}
				}
				mu.Lock()
				for k, es := range mine {
					histories[k] = append(histories[k], es...)
				}
				mu.Unlock()
			}()
		}
		close(start)
		wg.Wait()
		for k, es := range histories {
			if len(es) <= 63 && !linearizable(es) {
				t.Fatalf("round %d, key %d: no order explains\n%+v", round, k, es)
			}
		}
	}
}

// crowded returns n keys that have the same line in m, which is that far from the last
// of its segment, and whose hashes have no bit in common with not.
func crowded(m *hash, n int, line, not uint64) (keys []uint64) {
	o := m.home.Load()
	for k := uint64(0); len(keys) < n; k++ {
		if h := m.seeds.word(k); o.at(h)/lineSize == o.last-line && h&not == 0 {
			keys = append(keys, k)
		}
	}
	return keys
}

// TestHomesLinearizable is TestHashLinearizable with keys that share their lines,
// which are too small for them: so entries go from one line to the other, and to the
// table and back, all the time. Two keys are looked at, and much of the time
// all do is look. No lookup may see what was before what an earlier one saw.
func TestHomesLinearizable(t *testing.T) {
	d := 3 * time.Second
	if testing.Short() {
		d = 300 * time.Millisecond
	}
	m := newHomed8(t)
	keys := crowded(m, 9, 1, 0) // there are two lines for them
	o := m.home.Load()
	var places [3]atomic.Int64 // how often an update put a key into its line, into the next, and elsewhere
	var stop atomic.Bool
	var writers, readers sync.WaitGroup
	var begun, done, gone [2]atomic.Uint64 // versions of a key: the newest that is being stored, that is, and that is its deletion
	for i := range 2 {
		// Versions are odd while the key is there, and even while it is not. Some of
		// the even ones never are.
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			key := keys[i]
			h := m.hashOf(u64(key))
			for v := uint64(1); !stop.Load(); {
				there := v%2 == 0 // v-1 was stored
				if there && r.IntN(3) == 0 {
					gone[i].Store(v)
					begun[i].Store(v)
					if err := m.Delete(u64(key)); err != nil {
						t.Errorf("delete: %v", err)
						return
					}
					done[i].Store(v)
					v++
					continue
				}
				if there {
					v++
				}
				begun[i].Store(v)
				if err := m.Update(u64(key), u64(v), Any); err != nil {
					t.Errorf("update: %v", err)
					return
				}
				done[i].Store(v)
				v++
				entry, ok := o.find(key, h)
				switch line, _ := o.place(entry); {
				case !ok:
					places[2].Add(1)
				case line == o.at(h)/lineSize:
					places[0].Add(1)
				default:
					places[1].Add(1)
				}
			}
		})
	}
	for i, key := range keys[2:] { // the others take the places
		writers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 2))
			for !stop.Load() {
				if r.IntN(3) == 0 {
					m.Delete(u64(key))
				} else if err := m.Update(u64(key), u64(0), Any); err != nil {
					t.Errorf("update: %v", err)
					return
				}
				for range r.IntN(4) {
					runtime.Gosched()
				}
			}
		})
	}
	// A lookup finds no version that was not begun, and none older than what was done
	// or seen before. If it finds nothing, there was a deletion of that age.
	var seen [2]atomic.Uint64
	var lookups atomic.Int64
	for g := range 4 {
		readers.Go(func() {
			out := make([]byte, 8)
			for n := 0; !stop.Load(); n++ {
				i := n % 2
				least := max(done[i].Load(), seen[i].Load())
				var err error
				if c := vcpu.Lease(); g%2 == 0 {
					p := m.LookupElem(c.ID(), u64(keys[i]))
					if p == nil {
						err = errno.ENOENT
					} else {
						copy(out, p)
					}
					c.Release()
				} else {
					c.Release()
					err = m.Lookup(u64(keys[i]), out)
				}
				most := begun[i].Load()
				v := binary.NativeEndian.Uint64(out)
				if err != nil {
					v = least + least%2 // or newer
				}
				if v < least || v > most || err != nil && gone[i].Load() < least {
					t.Errorf("a lookup found version %d (%v) of key %d, when %d was seen or done before, and %d begun", v, err, i, least, most)
					stop.Store(true)
					return
				}
				for was := seen[i].Load(); v > was && !seen[i].CompareAndSwap(was, v); was = seen[i].Load() {
				}
				lookups.Add(1)
			}
		})
	}
	for end := time.Now().Add(d); time.Now().Before(end) && !stop.Load(); {
		time.Sleep(10 * time.Millisecond)
	}
	stop.Store(true)
	writers.Wait()
	readers.Wait()
	for i := range places {
		if places[i].Load() == 0 && !t.Failed() {
			t.Errorf("no update went to place %d of: the line, the next one, the table", i)
		}
	}
	t.Logf("%d lookups, %d, %d, %d updates in the line, the next one, elsewhere", lookups.Load(), places[0].Load(), places[1].Load(), places[2].Load())
}

// TestHashFull has goroutines insert more keys than fit: exactly as many as fit
// must get in.
func TestHashFull(t *testing.T) {
	for _, entries := range []uint32{1, 100, 3000} {
		m := newHash8(t, entries, 8)
		var ok atomic.Int64
		var wg sync.WaitGroup
		for w := range uint64(4) {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range uint64(entries) {
					switch err := m.Update(u64(w<<32|i), u64(i), NoExist); err {
					case nil:
						ok.Add(1)
					case errno.E2BIG:
					default:
						t.Errorf("update: %v", err)
					}
				}
			}()
		}
		wg.Wait()
		if ok.Load() != int64(entries) {
			t.Errorf("%d keys fit into %d entries", ok.Load(), entries)
		}
	}
}

// TestHashHeld checks that a value which a run found stays as it was until the
// run ends, whatever becomes of the entry, and that its key is its own.
func TestHashHeld(t *testing.T) {
	rounds := 30000
	if testing.Short() {
		rounds = 5000
	}
	m := newHash8(t, 64, 32)
	fillValue := func(k, n uint64) []byte {
		v := make([]byte, 32)
		for i := range 4 {
			binary.NativeEndian.PutUint64(v[i*8:], k<<48|n)
		}
		return v
	}
	var stop atomic.Bool
	var held atomic.Int64
	var writers, readers sync.WaitGroup
	for w := range uint64(3) {
		writers.Add(1)
		go func() {
			defer writers.Done()
			r := rand.New(rand.NewPCG(w, 3))
			for n := uint64(0); n < uint64(rounds) || held.Load() < 100; n++ {
				k := r.Uint64N(40)
				if r.IntN(3) == 0 {
					m.Delete(u64(k))
				} else if err := m.Update(u64(k), fillValue(k, n), Any); err != nil && err != errno.ENOMEM {
					t.Errorf("update: %v", err)
				}
			}
		}()
	}
	for w := range uint64(3) {
		readers.Add(1)
		go func() {
			defer readers.Done()
			r := rand.New(rand.NewPCG(w, 4))
			for !stop.Load() {
				c := vcpu.Lease()
				k := r.Uint64N(40)
				if p := m.LookupElem(c.ID(), u64(k)); p != nil {
					was := string(p)
					if binary.NativeEndian.Uint64(p)>>48 != k {
						t.Errorf("key %d has the value of key %d", k, binary.NativeEndian.Uint64(p)>>48)
					}
					for range r.IntN(4) {
						runtime.Gosched()
					}
					if string(p) != was || string(p[:8]) != string(p[24:]) {
						t.Errorf("key %d: a held value changed from %x to %x", k, was, p)
					}
					held.Add(1)
				}
				c.Release()
			}
		}()
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
}

// TestHashWalk checks that walks see every key that stays exactly once, while
// other keys come and go and the tables grow.
func TestHashWalk(t *testing.T) {
	walks := map[string]func(m *hash, see func(key []byte)){
		"NextKey": func(m *hash, see func([]byte)) {
			var at []byte
			key := make([]byte, 8)
			for m.NextKey(at, key) == nil {
				see(key)
				at = append(at[:0], key...)
			}
		},
		"Range": func(m *hash, see func([]byte)) {
			c := vcpu.Lease()
			defer c.Release()
			m.Range(c.ID(), func(key, _ []byte) bool { see(key); return true })
		},
		"Walk": func(m *hash, see func([]byte)) {
			Walk(m, func(key, _ []byte) bool { see(key); return true })
		},
		"LookupBatch": func(m *hash, see func([]byte)) {
			var c Cursor
			keys, values := make([]byte, 8*7), make([]byte, 8*7)
			for {
				n, err := LookupBatch(m, &c, keys, values)
				for i := range n {
					see(keys[i*8:][:8])
				}
				if err != nil {
					return
				}
			}
		},
	}
	for name, walk := range walks {
		t.Run(name, func(t *testing.T) {
			rounds := 60
			if testing.Short() {
				rounds = 15
			}
			for round := range rounds {
				m := newHash8(t, 20000, 8)
				const stay = 200
				for k := range uint64(stay) {
					m.Update(u64(k), u64(k), Any)
				}
				var stop atomic.Bool
				var wg sync.WaitGroup
				wg.Add(1)
				go func() {
					defer wg.Done()
					for k := uint64(stay); k < 6000 && !stop.Load(); k++ {
						m.Update(u64(k), u64(k), Any)
						m.Update(u64(k%stay), u64(k), Exist)
						// What NextKey stands on must stay, or it starts
						// anew, as the kernel's does.
						if name != "NextKey" && k%3 == 0 {
							m.Delete(u64(k - 50))
							m.Update(u64(k%stay), u64(k), Any)
						}
					}
				}()
				seen := map[string]int{}
				walk(m, func(key []byte) { seen[string(key)]++ })
				stop.Store(true)
				wg.Wait()
				for k := range uint64(stay) {
					if n := seen[string(u64(k))]; n != 1 && !(name != "NextKey" && k >= stay-50) {
						t.Fatalf("round %d: key %d, which stays, is seen %d times", round, k, n)
					}
				}
			}
		})
	}
}

// TestHashLimits checks what happens when nothing can be reclaimed: the map
// refuses, and recovers.
func TestHashLimits(t *testing.T) {
	m := newHash8(t, 4, 1<<20)
	c := vcpu.Lease()
	value := make([]byte, 1<<20)
	var err error
	n := 0
	for ; n < 1000 && err == nil; n++ {
		err = m.Update(u64(1), value, Any)
	}
	if !errors.Is(err, errno.ENOMEM) {
		t.Errorf("%d updates of a megabyte while a run goes on: %v, want ENOMEM", n, err)
	}
	if got := m.Bytes(); got > 200<<20 {
		t.Errorf("the map takes %d bytes", got)
	}
	c.Release()
	if err := m.Update(u64(1), value, Any); err != nil {
		t.Errorf("after the run: %v", err)
	}
}

func TestMemoryBounds(t *testing.T) {
	for _, s := range []Spec{
		{Type: Array, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 1<<32 - 1},
		{Type: Array, KeySize: 4, ValueSize: 1<<31 - 1, MaxEntries: 1<<32 - 1},
		{Type: PerCPUArray, KeySize: 4, ValueSize: 32768, MaxEntries: 1<<32 - 1},
		{Type: Hash, KeySize: 8, ValueSize: 8, MaxEntries: 1<<32 - 1},
		{Type: ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 1<<32 - 1},
		{Type: RingBuf, MaxEntries: 1 << 31},
	} {
		if _, err := New(&s); !errors.Is(err, errno.ENOMEM) {
			t.Errorf("%v of %d entries: %v, want ENOMEM", s.Type, s.MaxEntries, err)
		}
	}
	old := debug.SetMemoryLimit(64 << 20)
	_, err := New(&Spec{Type: Array, KeySize: 4, ValueSize: 1 << 20, MaxEntries: 65})
	debug.SetMemoryLimit(old)
	if !errors.Is(err, errno.ENOMEM) {
		t.Errorf("an array larger than the process's memory limit: %v, want ENOMEM", err)
	}
	// Memory comes with use.
	for _, s := range []Spec{
		{Type: Hash, KeySize: 8, ValueSize: 8, MaxEntries: 1 << 20},
		{Type: Hash, KeySize: 8, ValueSize: 8, MaxEntries: 1<<32 - 1, Flags: NoPrealloc},
		{Type: PerCPUHash, KeySize: 8, ValueSize: 8, MaxEntries: 1 << 20},
	} {
		m, err := New(&s)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.(Sizer).Bytes(); got > 1<<17 {
			t.Errorf("an empty %v of %d entries takes %d bytes", s.Type, s.MaxEntries, got)
		}
		v := make([]byte, m.Spec().HostValueSize())
		for k := range uint64(10000) {
			if err := m.Update(u64(k), v, Any); err != nil {
				t.Fatal(err)
			}
		}
		if got, most := m.(Sizer).Bytes(), int64(10000*(16+len(v))*4); got > most {
			t.Errorf("a %v of %d entries with 10000 in use takes %d bytes, more than %d", s.Type, s.MaxEntries, got, most)
		}
	}
}

// TestSlabs checks that every value a program gets lies in a slab, at the
// start of an object.
func TestSlabs(t *testing.T) {
	for _, s := range []Spec{
		{Type: Array, KeySize: 4, ValueSize: 12, MaxEntries: 100},
		{Type: PerCPUArray, KeySize: 4, ValueSize: 12, MaxEntries: 100},
		{Type: Hash, KeySize: 4, ValueSize: 12, MaxEntries: 3000},
		{Type: PerCPUHash, KeySize: 4, ValueSize: 12, MaxEntries: 3000},
	} {
		t.Run(fmt.Sprint(s.Type), func(t *testing.T) {
			m, err := New(&s)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[*byte]bool{}
			for k := range s.MaxEntries {
				m.Update(u32(k), make([]byte, s.HostValueSize()), Any)
				for cpu := range NumCPU() {
					p := m.LookupElem(cpu, u32(k))
					if len(p) != 12 {
						t.Fatalf("key %d: %d bytes", k, len(p))
					}
					if s.Type != Array && s.Type != Hash || cpu == 0 {
						if seen[&p[0]] {
							t.Fatalf("key %d, CPU %d: shares its value", k, cpu)
						}
						seen[&p[0]] = true
					}
					if !inSlab(m.(Slabber), p) {
						t.Fatalf("key %d, CPU %d: its value is in no slab", k, cpu)
					}
				}
			}
		})
	}
}
