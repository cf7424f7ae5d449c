//go:build linux && amd64

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/execmem"
	"github.com/skepvm/skep/internal/rt"
	"github.com/skepvm/skep/jit"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// What it costs to enter and to leave machine code, in units of what the stub takes
// to enter two instructions and to come back; and how long programs that never end
// hold up others.

// calls is how many times a measured operation is done in a turn.
const calls = 1024

// An entryLane is something that takes a few nanoseconds.
type entryLane struct {
	name string
	// base is the lane whose time is that of the loop alone; -1: none.
	base int
	run  func() // calls times
	best time.Duration
}

// The lanes that others are compared with.
const (
	laneStub = iota
	laneLoop
)

func entryLanes() ([]entryLane, error) {
	pkt := make([]byte, 64)
	specs := []*maps.Spec{
		{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 8, MaxEntries: calls},
		{Name: "hash", Type: maps.Hash, KeySize: 8, ValueSize: 8, MaxEntries: calls},
	}
	o := vm.Options{Engine: vm.JIT, Helpers: map[helpers.ID]*helpers.Func{
		1000: {Name: "plain", Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgAnything}}},
			Impl: func(_ helpers.Env, a, _, _, _, _ uint64) uint64 { return a }},
		1001: helpers.New1("bytes", func(_ helpers.Env, b []byte) int { return len(b) }),
	}}
	load := func(text string) (*vm.Program, error) {
		insns, err := prog.Assemble(text)
		if err != nil {
			return nil, err
		}
		p, err := prog.FromInsns("p", linux.XDP, insns, specs)
		if err != nil {
			return nil, err
		}
		c, err := vm.LoadProgram(p, o)
		if err != nil {
			return nil, err
		}
		for k := range uint64(calls) {
			var key [8]byte
			binary.LittleEndian.PutUint64(key[:], k)
			if err := c.Map("hash").Update(key[:], key[:], maps.Any); err != nil {
				return nil, err
			}
		}
		return c.Program("p"), nil
	}
	stub, err := bareStub()
	if err != nil {
		return nil, err
	}
	lanes := []entryLane{{name: "stub", base: -1, run: func() {
		for range calls {
			stub()
		}
	}}}
	add := func(name string, base, runs int, text string) {
		var p *vm.Program
		if err == nil {
			if p, err = load(text); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
		}
		lanes = append(lanes, entryLane{name: name, base: base, run: func() {
			for range runs {
				p.Run(pkt)
			}
		}})
	}
	loop := func(body string) string {
		return "r1 = *(u32 *)(r1 +16)\nif r1 != 0 goto out\nr6 = 0\nloop:\nr1 = r6\nr1 &= 1023\n*(u64 *)(r10 -8) = r1\n" + body + "\nr6 += 1\nif r6 < 1024 goto loop\nr0 = 2\nexit\nout:\nr0 = 0\nexit"
	}
	const key = "r2 = r10\nr2 += -8\ncall 1\nif r0 == 0 goto out"
	add("", -1, 1, loop(""))
	add("`Program.Run` of a program that does nothing", -1, calls, "r0 = 2\nexit")
	add("`Program.Run` of one that reads the packet", -1, calls, "r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr0 = 1\nr3 = r1\nr3 += 14\nif r3 > r2 goto +1\nr0 = *(u8 *)(r1 +13)\nexit")
	add("`Program.Run` of one that calls one helper", -1, calls, "r1 = 1\ncall 1000\nr0 = 2\nexit")
	add("call of a helper, in a loop", laneLoop, 1, loop("r1 = r6\ncall 1000"))
	add("call of a helper with a memory argument", laneLoop, 1, loop("r1 = r10\nr1 += -8\nr2 = 8\ncall 1001"))
	add("lookup in an array", laneLoop, 1, loop("r1 = map[0]\n"+key))
	add("lookup in a hash, 8-byte keys, in cache", laneLoop, 1, loop("r1 = map[1]\n"+key))
	return lanes, err
}

// bareStub returns what enters a program of two instructions, and returns.
func bareStub() (func(), error) {
	insns, err := prog.Assemble("r0 = 2\nexit")
	if err != nil {
		return nil, err
	}
	p, err := prog.FromInsns("p", linux.XDP, insns, nil)
	if err != nil {
		return nil, err
	}
	v, _, err := verifier.Verify(context.Background(), p, verifier.Options{})
	if err != nil {
		return nil, err
	}
	host, err := jit.Host()
	if err != nil {
		return nil, err
	}
	code, err := jit.Compile(v, host)
	if err != nil {
		return nil, err
	}
	var batch execmem.Batch
	batch.Add(code.Link(nil))
	block, err := batch.Seal() // for as long as the process lives
	if err != nil {
		return nil, err
	}
	main, _ := code.Main()
	r := &rt.Run{Context: rt.NewContext(jit.Frames)}
	at := block.Addr() + uintptr(main)
	return func() { rt.Enter(r, at) }, nil
}

// entryCosts measures the lanes, turn by turn, and returns a table.
func entryCosts(rounds int) (string, error) {
	lanes, err := entryLanes()
	if err != nil {
		return "", err
	}
	for round := range rounds * 10 {
		for i := range lanes {
			l := &lanes[i]
			begun := time.Now()
			deeper(round%depths, l.run)
			if d := time.Since(begun); l.best == 0 || d < l.best {
				l.best = d
			}
		}
	}
	var b strings.Builder
	ns := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / calls }
	stub := ns(lanes[laneStub].best)
	fmt.Fprintf(&b, "| | ns | stubs |\n|---|--:|--:|\n| the stub, to enter two instructions and to return | %.1f | 1 |\n", stub)
	for _, l := range lanes[laneLoop+1:] {
		net := l.best
		if l.base >= 0 {
			net -= lanes[l.base].best
		}
		fmt.Fprintf(&b, "| %s | %.1f | %.2f |\n", l.name, ns(net), ns(net)/stub)
	}
	trivial := lanes[laneLoop+1].run
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	trivial()
	runtime.ReadMemStats(&after)
	fmt.Fprintf(&b, "\n%d runs of the first allocate %d times. ", calls, after.Mallocs-before.Mallocs)
	runs, spins := scale(rounds, trivial), scale(rounds, spinLoop)
	fmt.Fprintf(&b, "Two goroutines do %.2f times as many as one, where two loops that share\nnothing do %.2f times as much: %.2f of it.\n", runs, spins, runs/spins)
	return b.String(), nil
}

// depths is on how many depths of the stack lanes are measured: where it lies, what
// is on it shares some part of the cache with something else or does not, which is
// worth up to a nanosecond and says nothing of either.
const depths = 40

// deeper calls f from n calls deeper.
//
//go:noinline
func deeper(n int, f func()) {
	if n == 0 {
		f()
		return
	}
	deeper(n-1, f)
}

// spinLoop takes some microseconds and shares nothing.
func spinLoop() {
	x := uint64(time.Now().Nanosecond())
	for range 4 * calls {
		x = x*6364136223846793005 + 1442695040888963407
	}
	runtime.KeepAlive(x)
}

// scale returns how much more two goroutines do of f than one in the same time.
func scale(rounds int, f func()) float64 {
	const times = 40
	work := func() {
		for range times {
			f()
		}
	}
	var one, two time.Duration
	for range rounds * 3 {
		begun := time.Now()
		work()
		if d := time.Since(begun); one == 0 || d < one {
			one = d
		}
		begun = time.Now()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(work)
		}
		wg.Wait()
		if d := time.Since(begun); two == 0 || d < two {
			two = d
		}
	}
	return 2 * float64(one) / float64(two)
}
