package vm_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	gomaps "maps"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// needCompiler skips a test where programs cannot be compiled, and says why.
func needCompiler(t testing.TB) {
	t.Helper()
	insns := assemble(t, "r0 = 0\nexit")
	p, err := prog.FromInsns("p", packetType, insns, nil)
	if err != nil {
		t.Fatal(err)
	}
	j, err := vm.LoadProgram(p, vm.Options{Engine: vm.JIT})
	if err != nil {
		t.Skipf("no machine code here: %v", err)
	}
	j.Close()
}

// TestEngines runs generated programs in each engine that needs a proof and in
// the checked interpreter, several times each on maps of their own, and compares
// verdict, packet, maps, and what helpers asked the host for. SKEP_DIFF_PROGS
// says how many programs of each type, SKEP_DIFF_SEED where to begin,
// SKEP_DIFF_ENGINE which engine alone.
func TestEngines(t *testing.T) {
	n := envInt(t, "SKEP_DIFF_PROGS", 500)
	if testing.Short() && os.Getenv("SKEP_DIFF_PROGS") == "" {
		n = 100
	}
	only := os.Getenv("SKEP_DIFF_ENGINE")
	first := envInt(t, "SKEP_DIFF_SEED", 1)
	for _, e := range engines {
		if e == vm.Checked || only != "" && only != string(e) {
			continue
		}
		for _, kind := range []string{"xdp", "sched_cls"} {
			t.Run(string(e)+"/"+kind, func(t *testing.T) {
				if e == vm.JIT {
					needCompiler(t)
				}
				t.Parallel()
				refused := map[verifier.Code]int{}
				compiled, runs := 0, 0
				for i := range n {
					seed := uint64(first + i)
					g := generateFor(kind, seed)
					k, err := engineRuns(g, e)
					var bad *verifier.Error
					switch {
					case errors.As(err, &bad):
						refused[bad.Code]++
						continue
					case err != nil:
						t.Errorf("seed %d: %v\n%s", seed, err, text(g))
						if i > 20 {
							t.FailNow()
						}
					}
					compiled++
					runs += k
				}
				t.Logf("%d programs, %d compiled, %d runs; refused: %v", n, compiled, runs, refused)
				if compiled < n/2 {
					t.Errorf("the verifier refused %d of %d programs", n-compiled, n)
				}
			})
		}
	}
}

// generateFor returns the program that seed stands for: some have every
// feature, some a few, and their lengths differ.
func generateFor(kind string, seed uint64) *bpftest.Generated {
	o := bpftest.Everything(kind)
	r := rand.New(rand.NewPCG(seed, 7))
	if seed%3 == 0 {
		for _, b := range []*bool{&o.V4, &o.Atomics, &o.AcquireLoad, &o.Loops, &o.MayGoto, &o.Subprograms, &o.Callbacks, &o.Maps, &o.Packet, &o.LegacyLoads} {
			*b = *b && r.IntN(2) == 0
		}
	}
	o.Lookups = o.Maps && seed%2 == 0
	o.Bytes = seed%4 < 2
	if seed%5 == 0 {
		o.Constructs, o.Maps, o.Iterators, o.RingBuf = true, true, seed%2 == 0, seed%3 == 0
	}
	o.Statements = 5 + r.IntN(60)
	return bpftest.Generate(kind, seed, o)
}

// asked counts what programs ask their host for.
type asked struct{ now, random, sockets int }

func (a *asked) host() helpers.Host {
	return helpers.Host{
		Now:    func(helpers.Clock) uint64 { a.now++; return uint64(a.now) * 1000 },
		Random: func() uint32 { a.random++; return uint32(a.random) * 2654435761 },
		Platform: &linux.Host{Sockets: linux.Sockets{Lookup: func(helpers.Env, linux.SocketQuery) *linux.Socket {
			if a.sockets++; a.sockets%3 == 0 {
				return nil
			}
			return linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Mark: uint32(a.sockets)})
		}}},
	}
}

// engineRuns compares engine e with the checked interpreter on g. An error of
// the verifier means that e cannot run it.
func engineRuns(g *bpftest.Generated, e vm.Engine) (runs int, err error) {
	p, err := g.Program(linux.Platform)
	if err != nil {
		return 0, err
	}
	var fromE, fromC asked
	j, err := vm.LoadProgram(p, vm.Options{Engine: e, Deterministic: true, Host: fromE.host()})
	if err != nil {
		return 0, err
	}
	defer j.Close()
	c, err := vm.LoadProgram(p, vm.Options{Engine: vm.Checked, Deterministic: true, AllowUninitStack: true, Host: fromC.host()})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(g.Seed, 99))
	for range 3 {
		pkt := make([]byte, 14+r.IntN(120))
		for i := range pkt {
			pkt[i] = byte(r.Uint32())
		}
		got, gotErr := j.Program(p.Name).Do(context.Background(), vm.NewPacket(pkt, 256, 256), vm.RunOptions{})
		want, wantErr := c.Program(p.Name).Do(context.Background(), vm.NewPacket(pkt, 256, 256), vm.RunOptions{})
		runs++
		switch {
		case gotErr != nil || wantErr != nil:
			return runs, fmt.Errorf("packet %x: %s: %v; checked: %v", pkt, e, gotErr, wantErr)
		case got.R0 != want.R0:
			return runs, fmt.Errorf("packet %x: R0 %#x, checked %#x", pkt, got.R0, want.R0)
		case !bytes.Equal(got.Packet, want.Packet):
			return runs, fmt.Errorf("packet %x: becomes\n%x, checked\n%x", pkt, got.Packet, want.Packet)
		case fromE != fromC:
			return runs, fmt.Errorf("packet %x: helpers called %v, checked %v", pkt, fromE, fromC)
		case got.Insns < want.Insns:
			return runs, fmt.Errorf("packet %x: %d instructions, of which the meter saw %d", pkt, want.Insns, got.Insns)
		}
	}
	for _, s := range g.Maps {
		if got, want := contents(j.Map(s.Name)), contents(c.Map(s.Name)); !gomaps.Equal(got, want) {
			return runs, fmt.Errorf("map %s holds\n%x, checked\n%x", s.Name, got, want)
		}
	}
	return runs, nil
}

// contents returns the entries of m; none if it is of a type without keys.
func contents(m maps.Map) map[string]string {
	all := map[string]string{}
	key, value := make([]byte, m.Spec().KeySize), make([]byte, m.Spec().HostValueSize())
	for err := m.NextKey(nil, key); err == nil; err = m.NextKey(bytes.Clone(key), key) {
		if m.Lookup(key, value) == nil {
			all[string(key)] = string(value)
		}
	}
	return all
}
