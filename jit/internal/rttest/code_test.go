//go:build (linux || darwin || windows) && (amd64 || arm64)

package rttest

import (
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/execmem"
	"github.com/skepvm/skep/internal/rt"
)

// A coder writes the test programs for one architecture. Each method appends
// one whole piece of code.
type coder interface {
	// constant ends with R0 = v.
	constant(v uint64)
	// arguments ends with R0 = the sum of i * Arg[i-1].
	arguments()
	// custom leaves with exit e and R0 = v.
	custom(e rt.Exit, v uint64)
	// calls n times calls helper h with R1 = how many calls there have been,
	// R2 = seed; R0 is the sum of the results. What it needs after a call it
	// keeps in its frame, at the register Frame. Before leaving, it destroys
	// every register that it may.
	calls(h uint32, n int, seed uint64)
	// plainCalls is calls without the destruction: as a compiler would write
	// it, with R1 and R2 constant and R0 ignored.
	plainCalls(h uint32, n int)
	// yields fills every register that a yield must keep, yields once, and
	// ends with R0 = fold of them all.
	yields(seed uint64)
	// spins counts n down, spending one of the meter each time, and ends with
	// R0 = n.
	spins(n uint64)
	// busy counts n down without ever leaving.
	busy(n uint64)

	// finish returns the code written since the last call.
	finish(tb testing.TB) []byte
}

// fold is how yields combines values; kept counts the registers.
func fold(values []uint64) (sum uint64) {
	for _, v := range values {
		sum = sum*31 + v
	}
	return sum
}

// load returns the address of what write wrote, which is unmapped when the test
// ends.
func load(tb testing.TB, write func(c coder)) uintptr {
	tb.Helper()
	c := newCoder()
	write(c)
	var batch execmem.Batch
	batch.Add(c.finish(tb))
	block, err := batch.Seal()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := block.Free(); err != nil {
			tb.Error(err)
		}
	})
	return block.Addr()
}

const frameSize = 4096

func newRun(hs ...helpers.Impl) *rt.Run {
	at := &rt.Target{Helpers: hs}
	r := &rt.Run{Context: rt.NewContext(frameSize), Yield: func(c *rt.Context) { c.Meter = 1 << 40 }}
	r.Moved = func(*rt.Target) { panic(at) } // never, but it keeps the target
	r.Go(at)
	return r
}

// checkFeature runs what write wrote and checks R0.
func checkFeature(t *testing.T, write func(c coder), want uint64) {
	t.Helper()
	r := newRun()
	if e := rt.Enter(r, load(t, write)); e != rt.Done || r.Context.R0 != want {
		t.Errorf("exit %v, R0 %#x; want %#x", e, r.Context.R0, want)
	}
}
