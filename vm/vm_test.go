package vm_test

import (
	"errors"
	"testing"

	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// object returns an object whose only program, of type XDP, is insns.
func object(insns ...prog.Insn) *prog.Object {
	return &prog.Object{Programs: []*prog.Spec{{
		Name: "main", Section: "xdp", Type: linux.XDP,
		Func: &prog.Func{Name: "main", Section: "xdp", Insns: insns},
	}}}
}

func TestFirstRun(t *testing.T) {
	obj := object(
		prog.Insn{Op: 0x61, Dst: 2, Src: 1, Off: 4},  // w2 = data_end
		prog.Insn{Op: 0x61, Dst: 1, Src: 1},          // w1 = data
		prog.Insn{Op: 0xbf, Dst: 3, Src: 1},          // r3 = r1
		prog.Insn{Op: 0x07, Dst: 3, Imm: 14},         // r3 += 14
		prog.Insn{Op: 0xb7, Dst: 0, Imm: 1},          // r0 = XDP_DROP
		prog.Insn{Op: 0x2d, Dst: 3, Src: 2, Off: 1},  // if r3 > r2 goto +1
		prog.Insn{Op: 0x69, Dst: 0, Src: 1, Off: 12}, // r0 = ethertype
		prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.Exit)},
	)
	coll, err := vm.Load(obj, vm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	p := coll.Program("main")
	pkt := make([]byte, 14)
	pkt[12], pkt[13] = 0x08, 0x06
	for _, tc := range []struct {
		pkt  []byte
		want uint64
	}{{pkt, 0x0608}, {pkt[:13], 1}, {nil, 1}} {
		if got, err := p.Run(tc.pkt); err != nil || got != tc.want {
			t.Errorf("%d bytes: got %#x, %v, want %#x", len(tc.pkt), got, err, tc.want)
		}
	}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Run(pkt); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per run", n)
	}
	if _, err := coll.Program("other").Run(pkt); !errors.Is(err, vm.ErrNoProgram) {
		t.Errorf("unknown program: %v", err)
	}
	coll.Close()
	if _, err := p.Run(pkt); !errors.Is(err, vm.ErrClosed) {
		t.Errorf("closed collection: %v", err)
	}
}

func BenchmarkRunShort(b *testing.B) {
	coll, err := vm.Load(object(
		prog.Insn{Op: 0xb7, Dst: 0, Imm: 2},
		prog.Insn{Op: isa.Op(isa.JMP) | isa.Op(isa.Exit)},
	), vm.Options{})
	if err != nil {
		b.Fatal(err)
	}
	p, pkt := coll.Program("main"), make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Run(pkt); err != nil {
			b.Fatal(err)
		}
	}
}
