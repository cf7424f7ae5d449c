package vm_test

import (
	"testing"

	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// BenchmarkConstructs runs loops of a thousand steps of each construct in every
// engine and in the kernel: ns/op is for all of them.
func BenchmarkConstructs(b *testing.B) {
	loop := func(body string) string {
		return "r1 = r10\nr1 += -40\nr2 = 0\nr3 = 1000\ncall bpf_iter_num_new\nagain:\nr1 = r10\nr1 += -40\ncall bpf_iter_num_next\nif r0 == 0 goto done\n" +
			body + "goto again\ndone:\nr1 = r10\nr1 += -40\ncall bpf_iter_num_destroy\n" + exit0
	}
	one := *lockedSpec(maps.Array)
	one.MaxEntries = 1
	for _, c := range []construct{
		{name: "iter", text: loop("")},
		{name: "call", text: loop("call 7\n")},
		{name: "lock", maps: []*maps.Spec{&one}, text: "r6 = map[1][0]+0\n" + loop(takeLock+giveLock)},
		{name: "dynptr", text: loop(readDynptrOf)},
	} {
		if c.name == "dynptr" {
			c.text = "r1 = r9\nr1 += 128\nr2 = 64\nr3 = 0\nr4 = r10\nr4 += -16\ncall 197\n" + c.text
		}
		p := c.link(b)
		for _, e := range []vm.Engine{vm.JIT, vm.Interp} {
			b.Run(c.name+"/"+string(e), func(b *testing.B) {
				coll, err := vm.LoadProgram(p, vm.Options{Engine: e})
				if err != nil {
					b.Skip(err)
				}
				defer coll.Close()
				packet := make([]byte, 64)
				for b.Loop() {
					if _, err := coll.Program("p").Run(packet); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		b.Run(c.name+"/kernel", func(b *testing.B) {
			oracle.Skip(b)
			k := c.kernel(b, p)
			defer k.close()
			const repeat = 100
			var nanos, runs float64
			for b.Loop() {
				r, err := k.prog.Run(oracle.RunInput{Data: make([]byte, 64), Repeat: repeat})
				if err != nil {
					b.Fatal(err)
				}
				nanos += float64(r.Duration)
				runs++
			}
			b.ReportMetric(nanos/runs, "ns/op")
		})
	}
}

// readDynptrOf reads 8 bytes of the dynptr at fp-16.
const readDynptrOf = "r1 = r9\nr2 = 8\nr3 = r10\nr3 += -16\nr4 = 8\nr5 = 0\ncall 201\n"
