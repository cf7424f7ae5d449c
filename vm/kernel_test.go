package vm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// TestKernel runs generated programs in the kernel and here, twice each on the
// same maps, and compares verdict, packet and maps. SKEP_DIFF_PROGS says how
// many programs of each type, SKEP_DIFF_SEED where to begin.
func TestKernel(t *testing.T) {
	oracle.Skip(t)
	n := envInt(t, "SKEP_DIFF_PROGS", 200)
	if testing.Short() && os.Getenv("SKEP_DIFF_PROGS") == "" {
		n = 40
	}
	first := envInt(t, "SKEP_DIFF_SEED", 1)
	for kind, number := range map[string]uint32{"xdp": oracle.XDP, "sched_cls": oracle.SchedCls} {
		t.Run(kind, func(t *testing.T) {
			var refused, runs int
			var insns uint64
			for i := range n {
				seed := uint64(first + i)
				o := bpftest.Everything(kind)
				if seed%3 == 0 && strconv.IntSize == 64 { // others cannot find the kernel's functions in its types
					o.Statements = 20 // which cost the kernel more
					o.Constructs, o.RingBuf, o.Iterators = true, seed%2 == 0, true
				}
				g := bpftest.Generate(kind, seed, o)
				tame(g)
				k, err := kernelSide(g, number)
				if err != nil {
					refused++
					continue
				}
				executed, diff := compare(g, k)
				k.close()
				insns += executed
				runs += 2
				if diff != "" {
					t.Errorf("seed %d: %s\n%s", seed, diff, text(g))
					if t.Failed() && i > 20 {
						break
					}
				}
			}
			t.Logf("%d programs, %d refused by the kernel, %d runs of %d instructions on average", n, refused, runs, insns/uint64(max(runs, 1)))
			if refused*10 > n {
				t.Errorf("the kernel refused %d of %d programs", refused, n)
			}
		})
	}
}

func envInt(t *testing.T, name string, otherwise int) int {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// tame takes from g's atomic operations on its frame the fetching: the verifier
// of Linux 6.18 gives the fetched register the value that was spilled in the
// slot, loses its precision when it backtracks over the instruction
// (backtrack_insn in kernel/bpf/verifier.c knows fetches as stores only),
// prunes a path on which the value is another, and removes branches that this
// path takes. Fetches of map values stay, and the conformance vectors have the
// others.
func tame(g *bpftest.Generated) {
	for i := range g.Insns {
		in := &g.Insns[i]
		if in.Op.Class() == isa.STX && in.Op.Mode() == isa.ATOMIC && in.Dst == prog.R10 {
			switch in.Imm {
			case isa.AtomicXchg, isa.AtomicCmpXchg:
				in.Imm = isa.AtomicAdd
			case isa.AtomicAdd | isa.AtomicFetch, isa.AtomicOr | isa.AtomicFetch, isa.AtomicAnd | isa.AtomicFetch, isa.AtomicXor | isa.AtomicFetch:
				in.Imm &^= isa.AtomicFetch
			}
		}
	}
}

// A kernelProgram is a generated program in the kernel, with its maps.
type kernelProgram struct {
	prog *oracle.Program
	maps []*oracle.Map
}

func kernelSide(g *bpftest.Generated, number uint32) (*kernelProgram, error) {
	k := &kernelProgram{}
	for _, s := range g.Maps {
		m, err := newKernelMap(s)
		if err != nil {
			k.close()
			return nil, err
		}
		k.maps = append(k.maps, m)
		for _, e := range s.Contents {
			if err := m.Update(e.Key, e.Value, 0); err != nil {
				k.close()
				return nil, err
			}
		}
	}
	var err error
	insns := slices.Clone(g.Insns)
	if err = oracle.Kfuncs(insns, bpftest.GenKfuncs); err == nil {
		k.prog, _, err = oracle.Load(oracle.LoadOptions{Type: number, Insns: insns, Maps: k.maps, NoLog: true})
	}
	if err != nil {
		k.close()
		return nil, err
	}
	return k, nil
}

// generatedInner is how many inner maps a generated program finds.
const generatedInner = 2

// newKernelMap makes the map that s describes, with inner maps if it holds some.
func newKernelMap(s *maps.Spec) (*oracle.Map, error) {
	if s.Inner == nil {
		return oracle.NewMap(s, nil)
	}
	var m *oracle.Map
	for i := range uint32(generatedInner) {
		inner, err := oracle.NewMap(s.Inner, nil)
		if err != nil {
			return nil, err
		}
		defer inner.Close() // the map holds it
		if m == nil {
			if m, err = oracle.NewMap(s, inner); err != nil {
				return nil, err
			}
		}
		if err := m.Update(binary.NativeEndian.AppendUint32(nil, i), binary.NativeEndian.AppendUint32(nil, uint32(inner.FD())), 0); err != nil {
			m.Close()
			return nil, err
		}
	}
	return m, nil
}

func (k *kernelProgram) close() {
	if k.prog != nil {
		k.prog.Close()
	}
	for _, m := range k.maps {
		m.Close()
	}
}

// compare runs g here and in the kernel and says what differs; "" if nothing.
func compare(g *bpftest.Generated, k *kernelProgram) (insns uint64, diff string) {
	p, err := g.Program(linux.Platform)
	if err != nil {
		return 0, err.Error()
	}
	none := func(helpers.Env, linux.SocketQuery) *linux.Socket { return nil }
	c, err := vm.LoadProgram(p, vm.Options{Verify: vm.VerifyOptional, Host: helpers.Host{Platform: &linux.Host{Sockets: linux.Sockets{Lookup: none}}}})
	if err != nil {
		return 0, err.Error()
	}
	defer c.Close()
	if holder, ok := c.Map("outer").(maps.MapHolder); ok {
		for i := range uint32(generatedInner) {
			inner, err := maps.New(c.Map("outer").Spec().Inner)
			if err != nil {
				return 0, err.Error()
			}
			holder.StoreMap(binary.NativeEndian.AppendUint32(nil, i), inner, maps.Any)
		}
	}
	r := rand.New(rand.NewPCG(g.Seed, 99))
	for range 2 {
		pkt := make([]byte, 14+r.IntN(120))
		for i := range pkt {
			pkt[i] = byte(r.Uint32())
		}
		theirs, err := k.prog.Run(oracle.RunInput{Data: pkt})
		if err != nil {
			return insns, "kernel: " + err.Error()
		}
		ours, err := c.Program(p.Name).Do(context.Background(), vm.NewPacket(pkt, 256, 256), vm.RunOptions{})
		insns += ours.Insns
		switch {
		case err != nil:
			return insns, err.Error()
		case uint32(ours.R0) != theirs.Retval:
			return insns, fmt.Sprintf("packet %x: verdict %#x, the kernel's %#x", pkt, uint32(ours.R0), theirs.Retval)
		case !bytes.Equal(ours.Packet, theirs.Data):
			return insns, fmt.Sprintf("packet %x: becomes\n%x, in the kernel\n%x", pkt, ours.Packet, theirs.Data)
		}
	}
	for i, s := range g.Maps {
		if s.KeySize != 4 || s.Type != maps.Array && s.Type != maps.Hash {
			continue
		}
		m := c.Map(s.Name)
		for key := range uint32(bpftest.GenKeys) {
			kb := binary.NativeEndian.AppendUint32(nil, key)
			our, their := make([]byte, s.ValueSize), make([]byte, s.ValueSize)
			ourErr, theirErr := m.Lookup(kb, our), k.maps[i].Lookup(kb, their, 0)
			if (ourErr == nil) != (theirErr == nil) || !bytes.Equal(our, their) {
				return insns, fmt.Sprintf("map %s, key %d: %x, %v; in the kernel %x, %v", s.Name, key, our, ourErr, their, theirErr)
			}
		}
	}
	return insns, ""
}

func text(g *bpftest.Generated) string {
	var b bytes.Buffer
	if p, err := g.Program(linux.Platform); err == nil {
		p.Disasm(&b, prog.DisasmOptions{})
	}
	return b.String()
}
