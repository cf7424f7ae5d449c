package vm_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/vm"
)

// TestQuickPacket runs programs on packets with room around them, whose runs take
// a short cut if there is no metadata: they see what they see in the checked
// interpreter, and what they leave is the same, in room and packet.
func TestQuickPacket(t *testing.T) {
	needCompiler(t)
	const bounds = "r6 = r1\nr7 = *(u32 *)(r6 +0)\nr8 = *(u32 *)(r6 +4)\nr0 = r8\nr0 -= r7\nr9 = r7\nr9 += 14\nif r9 > r8 goto end\n"
	const end = "end:\nexit"
	for _, tc := range []struct{ name, text string }{
		{"length", bounds + end},
		{"write", bounds + "*(u16 *)(r7 +12) = 7\nr0 = *(u8 *)(r7 +0)\n" + end},
		{"metadata", "r0 = *(u32 *)(r1 +0)\nr2 = *(u32 *)(r1 +8)\nr0 -= r2\nexit"},
		{"queue", bounds + "r0 = *(u32 *)(r6 +12)\n" + end},
		{"grow at the head", bounds + "r1 = r6\nr2 = -20\ncall 44\nif r0 != 0 goto end\n" +
			"r7 = *(u32 *)(r6 +0)\nr8 = *(u32 *)(r6 +4)\nr9 = r7\nr9 += 34\nif r9 > r8 goto end\n*(u32 *)(r7 +0) = 77\nr0 = *(u8 *)(r7 +20)\n" + end},
		{"shrink at the head", bounds + "r1 = r6\nr2 = 3\ncall 44\n" + end},
		{"change the tail", bounds + "r1 = r6\nr2 = 5\ncall 65\nr9 = r0\nr1 = r6\nr2 = -2\ncall 65\nr0 += r9\n" + end},
		{"metadata of its own", bounds + "r1 = r6\nr2 = -8\ncall 54\n" + end},
		{"other helpers", bounds + "call 5\nr0 = 9\n" + end},
	} {
		t.Run(tc.name, func(t *testing.T) {
			typ := linux.Platform.Type("xdp")
			fast := load(t, typ, tc.text, compiled).Program("p")
			slow := load(t, typ, tc.text, unproven).Program("p")
			for _, p := range []vm.Packet{
				{Meta: 32, Head: 32, Tail: 92},
				{Meta: 0, Head: 0, Tail: 128},
				{Meta: 24, Head: 32, Tail: 92},
				{Meta: 10, Head: 10, Tail: 11},
				{Meta: 64, Head: 64, Tail: 64},
				{Meta: 128, Head: 128, Tail: 128},
				{Meta: 5, Head: 4, Tail: 100},
				{Meta: 4, Head: 4, Tail: 129},
				{Meta: -1, Head: -1, Tail: 4},
			} {
				for run := range 3 {
					x, y := p, p
					x.Buf, y.Buf = make([]byte, 128), make([]byte, 128)
					for i := range x.Buf {
						x.Buf[i], y.Buf[i] = byte(i), byte(i)
					}
					got, err := fast.Run(&x)
					want, wantErr := slow.Run(&y)
					if got != want || fmt.Sprint(err) != fmt.Sprint(wantErr) {
						t.Fatalf("%+v, run %d: got %d, %v; want %d, %v", p, run, got, err, want, wantErr)
					}
					if x.Meta != y.Meta || x.Head != y.Head || x.Tail != y.Tail || !bytes.Equal(x.Buf, y.Buf) {
						t.Fatalf("%+v, run %d: left\n%+v, want\n%+v", p, run, x, y)
					}
				}
			}
			if s, w := fast.Stats(), slow.Stats(); s.Runs != w.Runs || s.Errors != w.Errors || s.Insns < w.Insns {
				t.Errorf("%+v, want %+v", s, w)
			}
			p := vm.NewPacket(make([]byte, 60), 4096, 64)
			if n := testing.AllocsPerRun(100, func() {
				if _, err := fast.Run(p); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations per run", n)
			}
			var none *vm.Packet
			if _, err := fast.Run(none); err == nil {
				t.Error("no packet was taken")
			}
		})
	}
}

// TestQuickPacketEnds: a helper that panics or aborts after the packet has changed
// ends the run, and the next one is as if nothing had been.
func TestQuickPacketEnds(t *testing.T) {
	needCompiler(t)
	how, end := 0, errors.New("end")
	o := compiled
	o.Helpers = map[helpers.ID]*helpers.Func{1000: {Name: "stop", Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
		switch p := env.Packet(); {
		case p.Head != 12 || p.Tail != 40:
			t.Errorf("the helper sees %d to %d", p.Head, p.Tail)
		case how == 1:
			env.Abort(end)
		case how == 2:
			panic(end)
		}
		return 5
	}}}
	p := load(t, linux.Platform.Type("xdp"), "r2 = -4\ncall 44\ncall 1000\nexit", o).Program("p")
	for i := range 30 {
		how = i % 3
		pkt := &vm.Packet{Buf: make([]byte, 64), Meta: 16, Head: 16, Tail: 40}
		func() {
			defer func() {
				if v := recover(); (v == end) != (how == 2) {
					t.Errorf("run %d: panic %v", i, v)
				}
			}()
			got, err := p.Run(pkt)
			if how == 0 && (got != 5 || err != nil) || how == 1 && !errors.Is(err, end) {
				t.Errorf("run %d: got %d, %v", i, got, err)
			}
			if pkt.Head != 12 { // also if the run was cut short
				t.Errorf("run %d: the packet begins at %d", i, pkt.Head)
			}
		}()
	}
	if s := p.Stats(); s.Runs != 30 || s.Errors != 20 {
		t.Errorf("%+v", s)
	}
}
