package vm_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// fuzzMaps are what a fuzzed program can name.
func fuzzMaps() []*maps.Spec {
	return []*maps.Spec{
		{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 32, MaxEntries: 6},
		{Name: "hash", Type: maps.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 5},
		{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096},
		{Name: "one", Type: maps.Array, KeySize: 4, ValueSize: 12, MaxEntries: 1},
	}
}

// FuzzRun runs whatever slots link, unverified. Nothing may panic, and nothing
// but the packet itself may change of the buffer that the packet lies in.
func FuzzRun(f *testing.F) {
	for seed := range uint64(6) {
		for _, kind := range []string{"xdp", "sched_cls"} {
			g := bpftest.Generate(kind, seed, bpftest.Everything(kind))
			f.Add(prog.Encode(g.Insns), []byte("a packet of some bytes"), kind == "xdp")
		}
	}
	cases, err := bpftest.Load("../testdata/conformance")
	if err != nil {
		f.Fatal(err)
	}
	for i := range cases {
		f.Add(prog.Encode(cases[i].Insns), cases[i].Mem, false)
	}
	f.Fuzz(func(t *testing.T, raw, pkt []byte, xdp bool) {
		insns, err := prog.Decode(raw)
		if err != nil || len(pkt) > 4096 {
			return
		}
		typ := linux.Platform.Type("sched_cls")
		if xdp {
			typ = linux.XDP
		}
		p, err := prog.FromInsns("fuzzed", typ, insns, fuzzMaps())
		if err != nil {
			return
		}
		c, err := vm.LoadProgram(p, vm.Options{Engine: vm.Checked, Deterministic: true, MaxInsns: 20_000, Helpers: map[helpers.ID]*helpers.Func{}})
		if err != nil {
			return
		}
		defer c.Close()
		const guard = 64
		for _, lax := range []bool{false, true} {
			if lax {
				c2, err := vm.LoadProgram(p, vm.Options{Engine: vm.Checked, Deterministic: true, MaxInsns: 20_000, AllowUninitStack: true})
				if err != nil {
					t.Fatal(err)
				}
				defer c2.Close()
				c = c2
			}
			buf := bytes.Repeat([]byte{0x5a}, guard+len(pkt)+guard)
			copy(buf[guard:], pkt)
			_, err := c.Program("fuzzed").Run(buf[guard : guard+len(pkt) : guard+len(pkt)])
			var fault *vm.Fault
			if err != nil && (!errors.As(err, &fault) || fault.Error() == "") {
				t.Fatalf("an error that is no fault: %v", err)
			}
			want := bytes.Repeat([]byte{0x5a}, guard)
			if !bytes.Equal(buf[:guard], want) || !bytes.Equal(buf[guard+len(pkt):], want) {
				t.Fatalf("the packet's neighbours changed: %x", buf)
			}
		}
	})
}
