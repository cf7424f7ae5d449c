package vcpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"
)

func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(CPU{}); n != 128 {
		t.Errorf("a CPU has %d bytes, not two cache lines of 64", n)
	}
}

// leaseFrom leases from one place on the stack, which is what hints go by.
//
//go:noinline
func leaseFrom() *CPU { return Lease() }

func TestSticky(t *testing.T) {
	leaseFrom().Release() // the first may need a larger stack, which is elsewhere
	a := leaseFrom()
	a.Release()
	for range 10 {
		b := leaseFrom()
		if a != b {
			t.Errorf("leases in a row got CPUs %d and %d", a.ID(), b.ID())
		}
		b.Release()
	}
}

// TestOverflow holds more leases than there are CPUs, as blocked helpers do.
func TestOverflow(t *testing.T) {
	n := Count()
	var held []*CPU
	seen := map[*CPU]bool{}
	numbers := map[int]int{}
	for i := range n*standing + 200 {
		c := Lease()
		if seen[c] {
			t.Fatalf("lease %d: CPU leased twice", i)
		}
		if c.ID() < 0 || c.ID() >= n {
			t.Fatalf("lease %d: ID %d, Count %d", i, c.ID(), n)
		}
		if i < n && numbers[c.ID()] > 0 {
			t.Errorf("lease %d of %d shares number %d", i, n, c.ID())
		}
		numbers[c.ID()]++
		seen[c] = true
		held = append(held, c)
	}
	tag := Retired()
	if Passed(tag) {
		t.Error("passed while leases from before are held")
	}
	for i, c := range held {
		if Passed(tag) {
			t.Fatalf("passed with %d leases held", len(held)-i)
		}
		c.Release()
	}
	if !Passed(tag) {
		t.Error("not passed after every lease has ended")
	}
	left := 0
	for c := runs.extra.Load(); c != nil; c = c.next.Load() {
		left++
	}
	if left > 32 {
		t.Errorf("%d overflow CPUs are still listed after release", left)
	}
}

func TestEpochs(t *testing.T) {
	old := Lease()
	tag := Retired()
	if Passed(tag) {
		t.Error("passed while a run from before goes on")
	}
	later := Lease() // began after the asking, hence after the unlinking
	old.Release()
	if !Passed(tag) {
		t.Error("a run that began later holds up what was retired before")
	}
	tag = Retired()
	if Passed(tag) {
		t.Error("passed while a run from before goes on")
	}
	later.Release()
	if !Passed(tag) || !Passed(tag-1) || !Passed(tag) {
		t.Error("not passed with no run going on")
	}
	p := NewPin()
	tag = Retired()
	if Passed(tag) {
		t.Error("passed while pinned")
	}
	p.Unpin()
	if !Passed(tag) {
		t.Error("not passed after the pin ended")
	}
	if Passed(Retired() + 1) {
		t.Error("a tag from the future has passed")
	}
}

// TestReclaim has readers follow a link to an object and writers replace and
// recycle it. A reader that finds a recycled object has broken the rule. Under
// the race detector the accesses to the objects' plain fields check, too, that
// Passed orders the last reader's before the recycler's.
func TestReclaim(t *testing.T) {
	type object struct{ alive, payload int }
	type retired struct {
		o   *object
		tag uint64
	}
	rounds := 20000
	if testing.Short() {
		rounds = 4000
	}
	var link atomic.Pointer[object]
	link.Store(&object{alive: 1})
	var stop atomic.Bool
	var readers, writers sync.WaitGroup
	var reads, recycled atomic.Int64
	for i := range 3*Count() + 2 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for n := 0; !stop.Load(); n++ {
				var release func()
				if i%2 == 0 {
					release = Lease().Release
				} else {
					release = NewPin().Unpin
				}
				o := link.Load()
				for range n % 40 {
					if o.alive != 1 {
						t.Error("found a recycled object")
						stop.Store(true)
						break
					}
				}
				if n%16 == 0 {
					runtime.Gosched()
				}
				if o.alive != 1 {
					t.Error("an object was recycled in its reader's hands")
					stop.Store(true)
				}
				release()
				reads.Add(1)
			}
		}()
	}
	for range 2 {
		writers.Add(1)
		go func() {
			defer writers.Done()
			var queue []retired
			next := &object{alive: 1}
			for i := 0; (i < rounds || recycled.Load() < 100) && !stop.Load(); i++ {
				old := link.Swap(next)
				queue = append(queue, retired{old, Retired()})
				next = nil
				if Passed(queue[0].tag) {
					next = queue[0].o
					queue = queue[1:]
					next.alive = 0
					next.payload++
					next.alive = 1
					recycled.Add(1)
				} else {
					next = &object{alive: 1}
				}
				if i%8 == 0 {
					runtime.Gosched()
				}
			}
		}()
	}
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	t.Logf("%d reads, %d recycled", reads.Load(), recycled.Load())
}

// TestExclusive checks that a CPU has one holder: Data is a plain field, so
// the race detector sees two.
func TestExclusive(t *testing.T) {
	var wg sync.WaitGroup
	for range 8 * Count() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 2000 {
				c := Lease()
				n, _ := c.Data.(*int)
				if n == nil {
					n = new(int)
					c.Data = n
				}
				*n++
				if i%64 == 0 {
					runtime.Gosched()
				}
				c.Release()
			}
		}()
	}
	wg.Wait()
}

func BenchmarkLease(b *testing.B) {
	for b.Loop() {
		Lease().Release()
	}
}

func BenchmarkLeaseParallel(b *testing.B) {
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			Lease().Release()
		}
	})
}

func BenchmarkPassed(b *testing.B) {
	for b.Loop() {
		if !Passed(Retired()) {
			b.Fatal("held up")
		}
	}
}
