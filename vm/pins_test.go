package vm_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// countPinned adds 1 to the first value of map 0, an array.
const countPinned = `
r1 = map[0]
*(u32 *)(r10 -4) = 0
r2 = r10
r2 += -4
call 1
if r0 == 0 goto out
r1 = 1
lock *(u64 *)(r0 +0) += r1
r0 = *(u64 *)(r0 +0)
out:
exit`

// pinnedSpec describes a map that asks to be pinned.
func pinnedSpec() *maps.Spec {
	return &maps.Spec{Name: "counts", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 4, Pinning: "/sys/fs/bpf/counts"}
}

func run(t *testing.T, c *vm.Collection) uint64 {
	t.Helper()
	n, err := c.Program("p").Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestPins: objects that ask for a pinned map share it, in whatever order they
// come and go.
func TestPins(t *testing.T) {
	var pins maps.Registry
	o := vm.Options{Pins: &pins}
	a := load(t, packetType, countPinned, o, pinnedSpec())
	run(t, a)
	b := load(t, packetType, countPinned, o, pinnedSpec())
	if n := run(t, b); n != 2 {
		t.Errorf("the second collection counts to %d, want 2", n)
	}
	a.Close()
	if n := run(t, b); n != 3 {
		t.Errorf("after the first was closed: %d, want 3", n)
	}
	b.Close()
	c := load(t, packetType, countPinned, o, pinnedSpec())
	if n := run(t, c); n != 4 {
		t.Errorf("a collection that comes after both: %d, want 4", n)
	}
	old := pins.Map("counts")
	if err := pins.Unpin("counts"); err != nil || len(pins.Names()) != 0 {
		t.Errorf("unpin: %v, %v", err, pins.Names())
	}
	d := load(t, packetType, countPinned, o, pinnedSpec())
	if n := run(t, d); n != 1 || run(t, c) != 5 {
		t.Errorf("after the map was unpinned: %d, want 1 of a new map and 5 of the old", n)
	}
	if err := old.Lookup(make([]byte, 4), make([]byte, 8)); err != nil {
		t.Errorf("an unpinned map that is in use: %v", err)
	}
	c.Close()
	if err := old.Lookup(make([]byte, 4), make([]byte, 8)); !errors.Is(err, errno.EBADF) {
		t.Errorf("an unpinned map that nobody uses is not closed: %v", err)
	}
	if e := load(t, packetType, countPinned, vm.Options{}, pinnedSpec()); run(t, e) != 1 {
		t.Error("without a registry, the map is not the collection's own")
	}
}

// TestPinsIncompatible: an object that asks for another map than the pinned one
// is refused, as by libbpf, and says why.
func TestPinsIncompatible(t *testing.T) {
	var pins maps.Registry
	load(t, packetType, countPinned, vm.Options{Pins: &pins}, pinnedSpec())
	for want, change := range map[string]func(*maps.Spec){
		"its type is array, not hash":     func(s *maps.Spec) { s.Type = maps.Hash },
		"its value size is 8, not 16":     func(s *maps.Spec) { s.ValueSize = 16 },
		"its number of entries is 4, not": func(s *maps.Spec) { s.MaxEntries = 5 },
		"its flags are 0x0, not mmapable": func(s *maps.Spec) { s.Flags = maps.MMapable },
		"its map_extra is 0, not 3":       func(s *maps.Spec) { s.Extra = 3 },
	} {
		s := pinnedSpec()
		change(s)
		p, err := prog.FromInsns("p", packetType, assemble(t, countPinned), []*maps.Spec{s})
		if err != nil {
			t.Fatal(err)
		}
		_, err = vm.LoadProgram(p, vm.Options{Pins: &pins})
		if !errors.Is(err, errno.EINVAL) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestPinsFailedLoad: a load that fails leaves no pin of its own, and others'
// alone.
func TestPinsFailedLoad(t *testing.T) {
	var pins maps.Registry
	fail := func() {
		t.Helper()
		p, err := prog.FromInsns("p", packetType, assemble(t, "r0 = *(u8 *)(r1 +100)\nexit\nr1 = map[0]"), []*maps.Spec{pinnedSpec()})
		if err == nil {
			_, err = vm.LoadProgram(p, vm.Options{Pins: &pins})
		}
		if err == nil {
			t.Fatal("a bad program was loaded")
		}
	}
	fail()
	if names := pins.Names(); len(names) != 0 {
		t.Errorf("pinned: %v", names)
	}
	c := load(t, packetType, countPinned, vm.Options{Pins: &pins}, pinnedSpec())
	run(t, c)
	fail()
	if run(t, c) != 2 || pins.Map("counts") == nil {
		t.Error("a load that failed took the map away")
	}
	small := vm.Options{Pins: &pins, MaxBytes: 10}
	load(t, packetType, countPinned, small, pinnedSpec()) // found, so not its memory
	pins.Unpin("counts")
	p, _ := prog.FromInsns("p", packetType, assemble(t, countPinned), []*maps.Spec{pinnedSpec()})
	if _, err := vm.LoadProgram(p, small); !errors.Is(err, errno.ENOMEM) {
		t.Errorf("a pinned map larger than the collection's limit: %v", err)
	}
}

// TestPinsForeign: a host pins a map of its own making, frozen contents and
// all; programs are not proven with what their object says is in it.
func TestPinsForeign(t *testing.T) {
	var pins maps.Registry
	s := pinnedSpec()
	s.MaxEntries, s.Flags, s.Frozen = 1, maps.ReadOnlyProg, true
	s.Contents = []maps.Entry{{Key: make([]byte, 4), Value: []byte{7, 0, 0, 0, 0, 0, 0, 0}}}
	theirs := *s
	theirs.Contents = []maps.Entry{{Key: make([]byte, 4), Value: []byte{200, 0, 0, 0, 0, 0, 0, 0}}}
	m, err := maps.New(&theirs)
	if err != nil {
		t.Fatal(err)
	}
	if err := pins.Pin("counts", m); err != nil {
		t.Fatal(err)
	}
	if err := pins.Pin("counts", m); !errors.Is(err, errno.EEXIST) {
		t.Errorf("pinned twice: %v", err)
	}
	const text = `
r1 = map[0][0]+0
r0 = *(u64 *)(r1 +0)
exit`
	for _, e := range []vm.Engine{vm.Checked, vm.Auto} {
		c := load(t, packetType, text, vm.Options{Engine: e, Pins: &pins}, s)
		if n := run(t, c); n != 200 {
			t.Errorf("%s: %d, want the pinned map's 200", e, n)
		}
		c.Close()
	}
	pins.Unpin("counts")
	if err := m.Lookup(make([]byte, 4), make([]byte, 8)); err != nil {
		t.Errorf("the host's map was closed: %v", err)
	}
}

// TestCollectionSnapshot: a collection comes back to what it was.
func TestCollectionSnapshot(t *testing.T) {
	ring := &maps.Spec{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096}
	c := load(t, packetType, countPinned, vm.Options{}, pinnedSpec(), ring)
	run(t, c)
	s, err := c.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	run(t, c)
	if err := c.Restore(s); err != nil {
		t.Fatal(err)
	}
	if n := run(t, c); n != 2 {
		t.Errorf("%d after the snapshot of 1", n)
	}
	if s.Map("ring") != nil || s.Map("counts") == nil {
		t.Error("the snapshot has other maps")
	}
	if err := load(t, packetType, "r0 = 0\nexit", vm.Options{}).Restore(s); err == nil || !strings.Contains(err.Error(), "no map") {
		t.Errorf("restored to another object: %v", err)
	}
}

// useAll uses every kind of map that collections can share: an array, a hash, a
// ring buffer, a map of maps.
const useAll = `
r6 = 0
*(u32 *)(r10 -4) = 1
*(u64 *)(r10 -16) = 1
r1 = map[0]
r2 = r10
r2 += -4
call 1
if r0 == 0 goto hash
r1 = 1
lock *(u64 *)(r0 +0) += r1
hash:
r1 = map[1]
r2 = r10
r2 += -4
r3 = r10
r3 += -16
r4 = 0
call 2
r1 = map[1]
r2 = r10
r2 += -4
call 1
if r0 == 0 goto ring
r6 = *(u64 *)(r0 +0)
r1 = map[1]
r2 = r10
r2 += -4
call 3
ring:
r1 = map[2]
r2 = 16
r3 = 0
call 131
if r0 == 0 goto inner
r1 = 5
*(u64 *)(r0 +0) = r1
*(u64 *)(r0 +8) = r1
r1 = r0
r2 = 0
call 132
inner:
r1 = map[3]
r2 = r10
r2 += -4
call 1
if r0 == 0 goto out
r1 = r0
r2 = r10
r2 += -4
call 1
if r0 == 0 goto out
r1 = 1
lock *(u64 *)(r0 +0) += r1
out:
r0 = r6
exit`

// TestSharedCloseAnyOrder loads collections that share maps, through a registry
// or from hand to hand, runs them all at once and closes them in any order,
// maps too, while they run.
func TestSharedCloseAnyOrder(t *testing.T) {
	inner := maps.Spec{Name: "inner", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2}
	specs := func(pinned bool) []*maps.Spec {
		ms := []*maps.Spec{
			{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2},
			{Name: "hash", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 2},
			{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096},
			{Name: "outer", Type: maps.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 2, Inner: &inner},
		}
		for _, m := range ms {
			if pinned {
				m.Pinning = m.Name
			}
		}
		return ms
	}
	rounds := 30
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		r := rand.New(rand.NewPCG(uint64(round), 3))
		var pins maps.Registry
		o := vm.Options{Pins: &pins, Engine: []vm.Engine{vm.Auto, vm.Checked, vm.Interp}[round%3]}
		pinned := round%2 == 0
		var colls []*vm.Collection
		for i := range 4 {
			if i == 1 && !pinned {
				o.Maps = colls[0].Maps()
			}
			p, err := prog.FromInsns("p", packetType, assemble(t, useAll), specs(pinned))
			if err != nil {
				t.Fatal(err)
			}
			c, err := vm.LoadProgram(p, o)
			if err != nil {
				t.Fatal(err)
			}
			colls = append(colls, c)
		}
		in, err := maps.New(&inner)
		if err != nil {
			t.Fatal(err)
		}
		if err := colls[0].Map("outer").(maps.MapHolder).StoreMap(binary.NativeEndian.AppendUint32(nil, 1), in, maps.Any); err != nil {
			t.Fatal(err)
		}
		rd, err := maps.NewRingBufReader(colls[0].Map("ring"))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				rec, err := rd.Read(t.Context())
				if err != nil {
					return
				}
				if len(rec.Data) != 16 || rec.Data[0] != 5 || rec.Data[8] != 5 {
					t.Errorf("record %x", rec.Data)
				}
			}
		})
		for _, c := range colls {
			wg.Go(func() {
				for {
					n, err := c.Program("p").Run(nil)
					if errors.Is(err, vm.ErrClosed) {
						return
					}
					if err != nil || n > 1 {
						t.Errorf("run: %d, %v", n, err)
						return
					}
				}
			})
		}
		closers := []func(){func() { pins.Unpin("hash"); pins.Unpin("ring") }, func() { in.Close() }}
		for _, c := range colls {
			closers = append(closers, func() { c.Close() })
		}
		r.Shuffle(len(closers), func(i, j int) { closers[i], closers[j] = closers[j], closers[i] })
		for _, f := range closers {
			time.Sleep(time.Duration(r.IntN(500)) * time.Microsecond)
			f()
		}
		rd.Close()
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("round %d: somebody is left waiting", round)
		}
	}
}
