package vm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/spin"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestStops measures how long programs that never end hold up those who want
// something: a stop of the world, and whoever cancels the run. The distribution
// is logged. On an idle machine, which SKEP_IDLE=1 vouches for, none of
// SKEP_TRIALS may take more than a millisecond. Elsewhere others have the
// processors meanwhile, and all that is asked is that half of them end.
func TestStops(t *testing.T) {
	needCompiler(t)
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("with one processor nobody waits while a program runs")
	}
	entries, trials := uint32(1<<20), 10
	if testing.Short() {
		entries, trials = 1<<10, 3
	}
	lab, err := spin.NewLab(entries)
	if err != nil {
		t.Fatal(err)
	}
	defer lab.Close()
	trials = envInt(t, "SKEP_TRIALS", trials)
	for _, p := range spin.Programs {
		for _, e := range usable(t) {
			if e == vm.Checked {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", p.Name, e), func(t *testing.T) {
				c, err := lab.Load(p, e)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				var stops, cancels spin.Distribution
				for range trials {
					h, err := lab.Trial(c)
					if err != nil {
						t.Fatal(err)
					}
					stops, cancels = append(stops, h.Stop), append(cancels, h.Cancel)
				}
				report(t, "stop of the world", stops)
				report(t, "cancellation", cancels)
			})
		}
	}
}

// TestStopAlone: the timer of a run's context ends the run in each engine, also where
// there is one thread, which the run has, and Go does not preempt it (wasm).
func TestStopAlone(t *testing.T) {
	for _, e := range usable(t) {
		t.Run(fmt.Sprint(e), func(t *testing.T) {
			o := vm.Options{Engine: e, MaxInsns: 1 << 33}
			o.Rules.AllowUnbounded = true
			p := load(t, packetType, "r0 = 0\nr0 += 1\ngoto -2", o).Program("p")
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := p.RunContext(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// report logs how ds are distributed, and fails if they are too long.
func report(t *testing.T, what string, ds spin.Distribution) {
	text := fmt.Sprintf("%s: %d trials, p50 %v, p90 %v, p99 %v, p99.9 %v, max %v", what, len(ds), ds.At(.5), ds.At(.9), ds.At(.99), ds.At(.999), ds.Max())
	t.Log(text)
	limit, worst := time.Millisecond, ds.At(.5)
	if os.Getenv("SKEP_IDLE") != "" {
		worst = ds.Max()
	} else {
		limit = time.Second
	}
	if worst > limit {
		t.Error(text)
	}
}

// TestUnmetered measures programs that are not metered, since they are proven to
// end soon, in what takes a CPU the longest: the least of several runs, on an idle
// machine, which SKEP_IDLE=1 vouches for, is below a millisecond, so that nobody
// has to wait longer for them. Elsewhere, an emulator included, it is below a
// second.
func TestUnmetered(t *testing.T) {
	needCompiler(t)
	random := make([]byte, 1<<15)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	for _, tc := range []struct{ name, text string }{
		// Whether a branch is taken depends on bytes that no predictor knows.
		{"branches", "r6 = map[0][0]+0\nr0 = 0\nr1 = 0\nr2 = r1\nr2 &= 0x7fff\nr3 = r6\nr3 += r2\nr2 = *(u8 *)(r3 +0)\n" +
			"if r2 & 1 goto +1\nr0 += 1\nif r2 & 2 goto +1\nr0 += 1\nif r2 & 4 goto +1\nr0 += 1\nif r2 & 8 goto +1\nr0 += 1\n" +
			"if r2 & 16 goto +1\nr0 += 1\nif r2 & 32 goto +1\nr0 += 1\nif r2 & 64 goto +1\nr0 += 1\nr1 += 1\nif r1 != 10000 goto -21\nexit"},
		// The next address depends on the value.
		{"loads", "r6 = map[0][0]+0\nr0 = 0\nr1 = 0\nr1 += 1\nr0 &= 0x7fff\nr0 += r6\nr0 = *(u8 *)(r0 +0)\nr0 *= 251\nif r1 != 40000 goto -6\nexit"},
		{"divisions", "*(u64 *)(r10 -8) = 3\nr2 = *(u64 *)(r10 -8)\nr1 = 0\nr0 = -1\nr0 /= r2\nr0 |= 7\nr0 s/= r2\nr1 += 1\nif r1 != 10000 goto -6\nexit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := load(t, packetType, tc.text, compiled,
				&maps.Spec{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: 1 << 15, MaxEntries: 1})
			if err := c.Map("m").Update(make([]byte, 4), random, maps.Any); err != nil {
				t.Fatal(err)
			}
			p := c.Program("p")
			best := time.Hour
			for range 20 {
				begun := time.Now()
				if _, err := p.Run(nil); err != nil {
					t.Fatal(err)
				}
				best = min(best, time.Since(begun))
			}
			limit := time.Second
			if os.Getenv("SKEP_IDLE") != "" {
				limit = time.Millisecond
			}
			insns := p.Stats().Insns / 20
			t.Logf("%d instructions at most take %v", insns, best)
			if best > limit {
				t.Errorf("%d instructions at most take %v", insns, best)
			}
		})
	}
}

// TestStopWithin: a run that is cancelled while a helper works on much memory ends
// there, with what the context says, and what comes after does not run.
func TestStopWithin(t *testing.T) {
	const size = 8 << 20
	specs := []*maps.Spec{
		{Name: "m", Type: maps.Array, KeySize: 4, ValueSize: size, MaxEntries: 1},
		{Name: "after", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1},
		{Name: "ring", Type: maps.RingBuf, MaxEntries: 1 << 24},
	}
	ms := map[string]maps.Map{}
	for _, s := range specs {
		m, err := maps.New(s)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ms[s.Name] = m
	}
	for _, e := range usable(t) {
		if e == vm.Checked {
			continue // it looks when the helper has returned
		}
		for name, call := range map[string]string{
			"memset":  "r1 = map[0][0]+0\nr2 = 7\nr3 = 8388608\ncall 1000",
			"memmove": "r1 = map[0][0]+8\nr2 = map[0][0]+0\nr3 = 8388600\ncall 1001",
			"memcmp":  "r1 = map[0][0]+0\nr2 = map[0][0]+4194304\nr3 = 4194304\ncall 1002",
			"csum":    "r1 = 0\nr2 = 0\nr3 = map[0][0]+0\nr4 = 8388608\nr5 = 0\ncall 28",
			"output":  "r1 = map[2]\nr2 = map[0][0]+0\nr3 = 7000000\nr4 = 0\ncall 130",
		} {
			t.Run(fmt.Sprintf("%s/%s", name, e), func(t *testing.T) {
				o := vm.Options{Engine: e, Maps: ms, Helpers: map[helpers.ID]*helpers.Func{
					1000: helpers.Builtin("memset"), 1001: helpers.Builtin("memmove"), 1002: helpers.Builtin("memcmp"),
				}}
				ctx, cancel := context.WithCancelCause(t.Context())
				why := errors.New("why")
				// The helper that comes before has it cancelled, so all work is after that.
				o.Helpers[1003] = &helpers.Func{Name: "cancel", Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 {
					cancel(why)
					return 0
				}}
				clear(ms["m"].LookupElem(0, make([]byte, 4)))
				clear(ms["after"].LookupElem(0, make([]byte, 4)))
				p := load(t, packetType, "call 1003\n"+call+"\nr1 = map[1][0]+0\n*(u64 *)(r1 +0) = 1\nr0 = 0\nexit", o, specs...).Program("p")
				if _, err := p.RunContext(ctx, nil); err != why {
					t.Fatalf("got %v", err)
				}
				if v := ms["after"].LookupElem(0, make([]byte, 4)); v[0] != 0 {
					t.Error("the program went on")
				}
				if v := ms["m"].LookupElem(0, make([]byte, 4)); name == "memset" && v[size-1] != 0 {
					t.Error("the helper did all its work")
				}
				rd, err := maps.NewRingBufReader(ms["ring"])
				if err != nil {
					t.Fatal(err)
				}
				defer rd.Close()
				if r, err := rd.Read(ctx); err == nil {
					t.Errorf("there is a record, of %d bytes", len(r.Data))
				}
				if got, err := p.Run(nil); got != 0 || err != nil {
					t.Errorf("the run after: %d, %v", got, err)
				}
				if v := ms["after"].LookupElem(0, make([]byte, 4)); v[0] != 1 {
					t.Error("the run after did not get that far")
				}
				if name == "output" {
					if r, err := rd.Read(t.Context()); err != nil || len(r.Data) != 7000000 {
						t.Errorf("a record of %d bytes, %v", len(r.Data), err)
					}
				}
			})
		}
	}
}
