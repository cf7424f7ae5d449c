package vm_test

import (
	"encoding/binary"
	"fmt"
	"testing"
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

// bareStub returns what enters a program of two instructions through package
// rt alone, and returns.
func bareStub(b *testing.B) func() {
	p, err := prog.FromInsns("p", packetType, assemble(b, "r0 = 2\nexit"), nil)
	if err != nil {
		b.Fatal(err)
	}
	v, _, err := verifier.Verify(b.Context(), p, verifier.Options{})
	if err != nil {
		b.Fatal(err)
	}
	host, err := jit.Host()
	if err != nil {
		b.Skip(err)
	}
	code, err := jit.Compile(v, host)
	if err != nil {
		b.Fatal(err)
	}
	var batch execmem.Batch
	batch.Add(code.Link(nil))
	block, err := batch.Seal()
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { block.Free() })
	main, _ := code.Main()
	r := &rt.Run{Context: rt.NewContext(jit.Frames)}
	at := block.Addr() + uintptr(main)
	return func() { rt.Enter(r, at) }
}

// callOps are operations of a program, measured in a loop in which R6 counts,
// R7 begins with a random number, R8 is the context, and 8 bytes of the stack, at R10 − 8, hold a
// key below 1024.
var callOps = []struct{ name, text string }{
	{"helper", "r1 = r6\ncall 1000"},
	{"typed-helper", "r1 = r10\nr1 += -8\nr2 = 8\ncall 1001"},
	{"cpu", "call 8"},
	{"random", "call 7"},
	{"array-lookup", "r1 = map[0]\nr2 = r10\nr2 += -8\ncall 1\nif r0 == 0 goto out"},
	{"array-constant", "*(u32 *)(r10 -16) = 5\nr1 = map[0]\nr2 = r10\nr2 += -16\ncall 1\nif r0 == 0 goto out"},
	{"percpu-array-lookup", "r1 = map[1]\nr2 = r10\nr2 += -8\ncall 1\nif r0 == 0 goto out"},
	{"hash4-lookup", "r1 = map[2]\nr2 = r10\nr2 += -8\ncall 1\nif r0 == 0 goto out"},
	{"hash8-lookup", "r1 = map[3]\nr2 = r10\nr2 += -8\ncall 1\nif r0 == 0 goto out"},
	{"hash8-random", "r7 *= 1103515245\nr7 += 12345\nr1 = r7\nr1 >>= 20\nr1 &= 1023\n*(u64 *)(r10 -16) = r1\nr1 = map[3]\nr2 = r10\nr2 += -16\ncall 1\nif r0 == 0 goto out"},
	{"hash8-random-miss", "r7 *= 1103515245\nr7 += 12345\nr1 = r7\nr1 |= 1024\n*(u64 *)(r10 -16) = r1\nr1 = map[3]\nr2 = r10\nr2 += -16\ncall 1\nif r0 != 0 goto out"},
	{"hash16-lookup", "*(u64 *)(r10 -16) = 0\nr1 = map[4]\nr2 = r10\nr2 += -16\ncall 1\nif r0 == 0 goto out"},
	{"percpu-hash8-lookup", "r1 = map[5]\nr2 = r10\nr2 += -8\ncall 1\nif r0 == 0 goto out"},
	{"hash8-miss", "*(u64 *)(r10 -16) = 5000\nr1 = map[3]\nr2 = r10\nr2 += -16\ncall 1\nif r0 != 0 goto out"},
	{"hash8-update", "r1 = map[3]\nr2 = r10\nr2 += -8\nr3 = r2\nr4 = 0\ncall 2\nif r0 != 0 goto out"},
	{"hash8-insert-delete", "*(u64 *)(r10 -16) = 5000\nr1 = map[3]\nr2 = r10\nr2 += -16\nr3 = r2\nr4 = 0\ncall 2\nr1 = map[3]\nr2 = r10\nr2 += -16\ncall 3\nif r0 != 0 goto out"},
	{"percpu-array-given-cpu", "r1 = map[1]\nr2 = r10\nr2 += -8\nr3 = 0\ncall 195\nif r0 == 0 goto out"},
	{"load-bytes", "r1 = r8\nr2 = 14\nr3 = r10\nr3 += -32\nr4 = 20\ncall 1002\nif r0 != 0 goto out"},
	{"memcpy", "*(u64 *)(r10 -16) = 1\n*(u64 *)(r10 -24) = r6\nr1 = r10\nr1 += -40\nr2 = r10\nr2 += -24\nr3 = 16\ncall 1003"},
	{"array-update", "r1 = map[0]\nr2 = r10\nr2 += -8\nr3 = r2\nr4 = 0\ncall 2\nif r0 != 0 goto out"},
}

// callMaps are the maps of callOps, all with 8-byte values and room for keys
// below 1024.
func callMaps() []*maps.Spec {
	spec := func(name string, t maps.Type, keySize uint32) *maps.Spec {
		return &maps.Spec{Name: name, Type: t, KeySize: keySize, ValueSize: 8, MaxEntries: 1025}
	}
	return []*maps.Spec{
		spec("array", maps.Array, 4), spec("percpu", maps.PerCPUArray, 4), spec("hash4", maps.Hash, 4),
		spec("hash8", maps.Hash, 8), spec("hash16", maps.Hash, 16), spec("percpuhash", maps.PerCPUHash, 8),
	}
}

// BenchmarkCalls measures single operations of a program against a bare entry
// of machine code, in one run, turn by turn. It reports the least of many
// rounds.
func BenchmarkCalls(b *testing.B) {
	needCompiler(b)
	stub := bareStub(b)
	const rounds = 1024
	o := vm.Options{Engine: vm.JIT, Helpers: map[helpers.ID]*helpers.Func{
		1000: {Name: "plain", Proto: helpers.Proto{Args: [5]helpers.Arg{{Kind: helpers.ArgAnything}}},
			Impl: func(_ helpers.Env, a, _, _, _, _ uint64) uint64 { return a }},
		1002: linux.SchedCls.Helpers.Helper(26),
		1003: helpers.Builtin("memcpy"),
		1001: helpers.New1("bytes", func(_ helpers.Env, b []byte) int { return len(b) }),
	}}
	program := func(op string) *vm.Program {
		c := load(b, packetType, "r8 = r1\nr1 = *(u32 *)(r1 +12)\nif r1 != 0 goto out\ncall 7\nr7 = r0\nr6 = 0\nloop:\nr1 = r6\nr1 &= 1023\n*(u64 *)(r10 -8) = r1\n"+op+
			fmt.Sprintf("\nr6 += 1\nif r6 < %d goto loop\nr0 = 1\nexit\nout:\nr0 = 0\nexit", rounds), o, callMaps()...)
		for _, s := range callMaps() {
			m := c.Map(s.Name)
			for k := range uint64(1024) {
				key := make([]byte, 16)
				binary.LittleEndian.PutUint64(key[s.KeySize/16*8:], k)
				if err := m.Update(key[:s.KeySize], make([]byte, m.Spec().HostValueSize()), maps.Any); err != nil {
					b.Fatal(err)
				}
			}
		}
		return c.Program("p")
	}
	least := func(best *time.Duration, n int, f func()) {
		start := time.Now()
		for range n {
			f()
		}
		if d := time.Since(start); *best == 0 || d < *best {
			*best = d
		}
	}
	pkt := make([]byte, 64)
	run := func(p *vm.Program) func() {
		return func() {
			if got, err := p.Run(pkt); got != 1 || err != nil {
				b.Fatalf("got %d, %v", got, err)
			}
		}
	}
	empty := program("")
	for _, op := range callOps {
		b.Run(op.name, func(b *testing.B) {
			p := program(op.text)
			var bare, without, with time.Duration
			for b.Loop() {
				least(&bare, rounds, stub)
				least(&without, 1, run(empty))
				least(&with, 1, run(p))
			}
			ns := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / rounds }
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ns(with-without), "ns/call")
			b.ReportMetric(ns(bare), "ns/stub")
			b.ReportMetric(ns(with-without)/ns(bare), "stubs/call")
		})
	}
}
