package vm

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// TestWatchNotices changes one register or stack byte of a run behind the
// proof's back, at one instruction: what was proven is then wrong about the
// run, and the watcher must say so there, or within a few instructions.
func TestWatchNotices(t *testing.T) {
	insns, err := prog.Assemble(`
		r2 = *(u32 *)(r1 +0)
		r3 = *(u32 *)(r1 +4)
		r4 = r2
		r4 += 14
		if r4 > r3 goto out
		r6 = *(u8 *)(r2 +0)
		r6 &= 7
		r7 = r6
		r7 += 2
		*(u64 *)(r10 -8) = r6
		*(u64 *)(r10 -16) = r2
		w8 = w6
		r9 = 0
		again: r9 += 1
		r5 = r9
		if r9 < 20 goto again
		r0 = 1
		exit
		out: r0 = 2
		exit`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prog.FromInsns("notices", linux.Platform.Type("xdp"), insns, nil)
	if err != nil {
		t.Fatal(err)
	}
	v, _, err := verifier.Verify(context.Background(), p, verifier.Options{Invariants: true})
	if err != nil {
		t.Fatal(err)
	}
	coll, err := LoadProgram(p, Options{Engine: Checked})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	for _, tc := range []struct {
		name string
		pc   int
		harm func(w *watcher, regs *[16]uint64)
		sees bool
	}{
		{"nothing", 12, func(*watcher, *[16]uint64) {}, false},
		{"a register that nothing is known of", 12, func(_ *watcher, regs *[16]uint64) { regs[0] = 77 }, false},
		{"a register out of its range", 7, func(_ *watcher, regs *[16]uint64) { regs[6] = 8 }, true},
		{"the result of an operation", 7, func(_ *watcher, regs *[16]uint64) { regs[6] ^= 1 }, true},
		{"a register in its range", 6, func(_ *watcher, regs *[16]uint64) { regs[6] ^= 1 }, false},
		{"one of two copies", 9, func(_ *watcher, regs *[16]uint64) { regs[6] ^= 1 }, true},
		{"a low half", 12, func(_ *watcher, regs *[16]uint64) { regs[8] ^= 1 }, true},
		{"a constant", 13, func(_ *watcher, regs *[16]uint64) { regs[9] = 1 }, true},
		{"a packet pointer", 5, func(_ *watcher, regs *[16]uint64) { regs[2]++ }, true},
		{"the context pointer", 1, func(_ *watcher, regs *[16]uint64) { regs[1] += 8 }, true},
		{"a packet pointer on the stack", 12, func(w *watcher, regs *[16]uint64) { w.slot.machine.Bytes(regs[10]-16, 8)[0] ^= 1 }, true},
		{"a number on the stack", 12, func(w *watcher, regs *[16]uint64) { w.slot.machine.Bytes(regs[10]-8, 8)[0] ^= 1 }, true},
		{"a counter beyond its bound", 14, func(_ *watcher, regs *[16]uint64) { regs[9] = 21 }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWatcher(rand.New(rand.NewPCG(1, 1)), &watched{v: v, p: coll.programs[p.Name]})
			done := false
			w.before = func(_ *checked.Code, pc int, regs *[16]uint64) {
				if pc == tc.pc && !done {
					done = true
					tc.harm(w, regs)
				}
			}
			err := w.run(make([]byte, 20))
			if !done {
				t.Fatalf("the run did not come to instruction %d: %v", tc.pc, err)
			}
			if (err != nil) != tc.sees {
				t.Errorf("got %v, want an error: %v", err, tc.sees)
			}
		})
	}
}
