package vm_test

import (
	"errors"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// TestQuick runs programs that call nothing, whose runs take a short cut: what
// they see and what is counted must be as in the checked interpreter.
func TestQuick(t *testing.T) {
	needCompiler(t)
	typ := *packetType
	prepared := 0
	typ.Prepare = func(ctx []byte, pkt *helpers.Packet) {
		prepared++
		f, _ := typ.Ctx.Get(ctx, "rw")
		if err := typ.Ctx.Set(ctx, "rw", f+uint64(len(pkt.Data()))); err != nil {
			t.Error(err)
		}
	}
	for _, tc := range []struct {
		name, text string
		prepared   int // times per run of machine code
	}{
		{"constant", "r0 = 2\nexit", 0},
		{"length", "r2 = *(u32 *)(r1 +4)\nr0 = *(u32 *)(r1 +0)\nr2 -= r0\nr0 = r2\nexit", 0},
		{"metadata", "r2 = *(u32 *)(r1 +8)\nr0 = *(u32 *)(r1 +0)\nr0 -= r2\nexit", 0},
		{"write", "r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr0 = 0\nr3 = r1\nr3 += 1\nif r3 > r2 goto +2\nr0 = *(u8 *)(r1 +0)\n*(u8 *)(r1 +0) = 7\nexit", 0},
		{"field", "r0 = *(u32 *)(r1 +16)\nr2 = *(u32 *)(r1 +12)\nr0 += r2\n*(u32 *)(r1 +16) = r0\nexit", 1},
		{"loop", "r0 = 0\nr0 += 1\nif r0 < 300000 goto -2\nexit", 0},
		{"subprogram", "call f\nr0 += 1\nexit\nf:\nr0 = 41\nexit", 0},
		{"cpu", "call 8\nr0 = 3\nexit", 0},
		{"helper", "call 5\nr0 = 3\nexit", 1},
		{"helper on some packets", "r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr2 -= r1\nr0 = 1\nif r2 > 10 goto +1\nexit\ncall 5\nr0 = 2\nexit", 1},
		{"helper and field", "r6 = *(u32 *)(r1 +16)\nr7 = r1\ncall 5\nr0 = *(u32 *)(r7 +16)\nr0 += r6\nexit", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fast := load(t, &typ, tc.text, vm.Options{Engine: vm.JIT}).Program("p")
			slow := load(t, &typ, tc.text, unproven).Program("p")
			const runs = 10
			for _, n := range []int{0, 1, 64, vm.MaxPacket} {
				for range runs {
					x, y := make([]byte, n), make([]byte, n)
					prepared = 0
					got, err := fast.Run(x)
					if prepared > 1 || prepared < tc.prepared {
						t.Fatalf("prepared %d times", prepared)
					}
					want, wantErr := slow.Run(y)
					if got != want || err != nil || wantErr != nil || string(x) != string(y) {
						t.Fatalf("%d bytes: got %d, %v, want %d, %v; packets equal: %v", n, got, err, want, wantErr, string(x) == string(y))
					}
				}
			}
			if _, err := fast.Run(make([]byte, vm.MaxPacket+1)); !errors.Is(err, vm.ErrPacketSize) {
				t.Errorf("a packet too large: %v", err)
			}
			s, w := fast.Stats(), slow.Stats()
			if s.Runs != 4*runs+1 || s.Errors != 1 || s.Insns < w.Insns {
				t.Errorf("%d runs, %d errors, %d instructions; want %d, 1, at least %d", s.Runs, s.Errors, s.Insns, 4*runs+1, w.Insns)
			}
		})
	}
}

// TestQuickPanics: what a host's Prepare does wrong costs nothing but the run.
func TestQuickPanics(t *testing.T) {
	needCompiler(t)
	typ := *packetType
	bad := false
	typ.Prepare = func([]byte, *helpers.Packet) {
		if bad {
			panic("prepare")
		}
	}
	p := load(t, &typ, "r0 = *(u32 *)(r1 +16)\nexit", vm.Options{Engine: vm.JIT}).Program("p")
	for i := range 200 {
		bad = i%2 == 1
		func() {
			defer func() {
				if got := recover(); (got != nil) != bad {
					t.Fatalf("run %d: recovered %v", i, got)
				}
			}()
			if got, err := p.Run([]byte{1}); got != 0 || err != nil {
				t.Fatalf("run %d: %d, %v", i, got, err)
			}
		}()
	}
}

// TestQuickLimit ends runs that take too long, and later runs are not the worse
// for it.
func TestQuickLimit(t *testing.T) {
	needCompiler(t)
	o := compiled
	o.Rules.AllowUnbounded = true
	o.MaxInsns = 500_000
	const text = "r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr0 = 0\nr3 = r1\nr3 += 1\nif r3 > r2 goto +4\nr3 = *(u8 *)(r1 +0)\nif r3 != 0 goto -2\nr0 = 5\nexit\nr0 = 1\nexit"
	p := load(t, packetType, text, o).Program("p")
	for range 5 {
		var f *vm.Fault
		if _, err := p.Run([]byte{1}); !errors.Is(err, vm.ErrMaxInsns) || !errors.As(err, &f) || f.Program != "p" {
			t.Fatalf("spinning: %v", err)
		}
		if got, err := p.Run([]byte{0}); got != 5 || err != nil {
			t.Fatalf("not spinning: %d, %v", got, err)
		}
	}
	if s := p.Stats(); s.Runs != 10 || s.Errors != 5 || s.Insns < 5*400_000 || s.Insns > 5*600_000 {
		t.Errorf("%+v", s)
	}
}

// TestQuickTrivial allocates nothing, and neither does a run that calls.
func TestQuickTrivial(t *testing.T) {
	needCompiler(t)
	pkt := make([]byte, 64)
	for _, text := range []string{"r0 = 2\nexit", "call 5\nr0 = 2\nexit"} {
		p := load(t, packetType, text, vm.Options{Engine: vm.JIT}).Program("p")
		if n := testing.AllocsPerRun(1000, func() {
			if got, err := p.Run(pkt); got != 2 || err != nil {
				t.Fatal(got, err)
			}
		}); n != 0 {
			t.Errorf("%v allocations per run of\n%s", n, text)
		}
	}
}

// TestQuickCalls: a helper that a quick run leaves for finds what it finds in any
// run, may look for it twice, and may end the run as it likes.
func TestQuickCalls(t *testing.T) {
	needCompiler(t)
	typ := *packetType
	typ.Prepare = func(ctx []byte, _ *helpers.Packet) {
		if err := typ.Ctx.Set(ctx, "ro", 77); err != nil {
			t.Error(err)
		}
	}
	how, called, asks := 0, 0, false
	end := errors.New("end")
	o := vm.Options{Engine: vm.JIT, Deterministic: true, Helpers: map[helpers.ID]*helpers.Func{
		1000: {Name: "look", Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
			called++
			if env.CPU() != 0 || env.Host() == nil {
				t.Errorf("CPU %d, host %v", env.CPU(), env.Host())
			}
			if asks {
				ro, _ := typ.Ctx.Get(env.Ctx(), "ro")
				if p := env.Packet(); string(p.Data()) != "packet" || ro != 77 {
					t.Errorf("packet %q, ro %d", p.Data(), ro)
				}
			}
			switch how {
			case 1:
				env.Abort(end)
			case 2:
				panic(end)
			case 3:
				runtime.Goexit()
			}
			return 5
		}},
		1001: sumHelper,
	}}
	c := load(t, &typ, "r6 = *(u32 *)(r1 +0)\nr7 = *(u32 *)(r1 +4)\nr8 = r6\nr8 += 6\nif r8 > r7 goto none\n"+
		"call 1000\ncall 1000\nr9 = r0\n*(u64 *)(r10 -8) = 1\nr1 = r10\nr1 += -8\nr2 = 8\ncall 1001\nr9 += r0\nr0 = r9\nexit\nnone:\nr0 = 0\nexit", o)
	for i := range 100 {
		how, called, asks = i%4, 0, i%8 < 4
		done := make(chan any, 1)
		go func() {
			var got uint64
			var err error
			ended := true
			defer func() {
				v := recover()
				switch {
				case how == 0 && (got != 6 || err != nil || called != 2),
					how == 1 && !errors.Is(err, end),
					how == 2 && v != end,
					how == 3 && !ended:
					t.Errorf("run %d: got %d, %v, panic %v, %d calls", i, got, err, v, called)
				}
				close(done)
			}()
			got, err = c.Program("p").Run([]byte("packet"))
			ended = how != 3
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatal("a run did not end")
		}
		if got, err := c.Program("p").Run([]byte("p")); got != 0 || err != nil {
			t.Fatalf("the run after: %d, %v", got, err)
		}
	}
	if s := c.Program("p").Stats(); s.Runs != 200 || s.Errors != 75 {
		t.Errorf("%+v", s)
	}
}

// TestQuickInitial: what a context begins with is there in each run, and nothing of
// what other runs in the slot were given.
func TestQuickInitial(t *testing.T) {
	needCompiler(t)
	const sum = "r6 = r1\nr7 = *(u32 *)(r6 +12)\nr8 = *(u32 *)(r6 +16)\nr8 <<= 8\nr7 |= r8\n"
	for name, text := range map[string]string{
		"leaf":   sum + "r0 = r7\nexit",
		"helper": sum + "call 5\nr0 = *(u32 *)(r6 +12)\nr0 <<= 32\nr0 |= r7\nexit",
		"late":   sum + "r1 = r6\nr2 = -1\ncall 65\nr0 = *(u32 *)(r6 +12)\nr0 <<= 32\nr0 |= r7\nexit",
		"tail":   sum + "r1 = r6\nr2 = map[0]\nr3 = 1\ncall 12\nr0 = r7\nexit",
	} {
		t.Run(name, func(t *testing.T) {
			progs := &maps.Spec{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 2}
			fast := load(t, linux.XDP, text, vm.Options{Engine: vm.JIT}, progs).Program("p")
			slow := load(t, linux.XDP, text, unproven, progs).Program("p")
			other := load(t, packetType, "r0 = *(u32 *)(r1 +16)\nr0 += 5\n*(u32 *)(r1 +16) = r0\nexit", vm.Options{Engine: vm.JIT}).Program("p")
			want, err := slow.Run(make([]byte, 64))
			if err != nil || want&0xff != 1 { // the loopback interface (linux.XDP)
				t.Fatalf("got %#x, %v", want, err)
			}
			set := vm.RunOptions{Fields: map[string]uint64{"ingress_ifindex": 7, "rx_queue_index": 3}}
			for i := range 40 {
				switch i % 4 {
				case 1:
					if _, err := other.Run([]byte{1}); err != nil {
						t.Fatal(err)
					}
				case 2, 3:
					p := fast
					if i%4 == 3 {
						p = slow
					}
					if r, err := p.Do(t.Context(), make([]byte, 64), set); err != nil || r.R0&0xfff != 0x307 {
						t.Fatalf("with fields set: %#x, %v", r.R0, err)
					}
				}
				for range 2 {
					if got, err := fast.Run(make([]byte, 64)); got != want || err != nil {
						t.Fatalf("run %d: got %#x, %v, want %#x", i, got, err, want)
					}
				}
			}
		})
	}
}

// TestQuickKeepsNothing: a collection that nobody holds goes, though a slot is still
// ready for a program of it.
func TestQuickKeepsNothing(t *testing.T) {
	needCompiler(t)
	for name, text := range map[string]string{
		"leaf":   "r0 = 2\nexit",
		"helper": "call 5\nr0 = 2\nexit",
		"tail":   "r2 = map[0]\nr3 = 1\ncall 12\nr0 = 2\nexit",
		"loop":   "r0 = 0\nr0 += 1\nif r0 < 300000 goto -2\nexit",
	} {
		insns := assemble(t, text)
		linked, err := prog.FromInsns("p", linux.XDP, insns, []*maps.Spec{{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 2}})
		if err != nil {
			t.Fatal(err)
		}
		run := func() weak.Pointer[vm.Collection] {
			c, err := vm.LoadProgram(linked, vm.Options{Engine: vm.JIT})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := c.Program("p").Run(make([]byte, 64)); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Program("p").Run(vm.NewPacket(make([]byte, 64), 16, 16)); err != nil {
					t.Fatal(err)
				}
			}
			return weak.Make(c)
		}
		kept := run()
		for end := time.Now().Add(time.Minute); kept.Value() != nil; runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("%s: the collection is still there", name)
			}
		}
	}
}
