package vm_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

// TestThrow ends programs by exceptions, from any depth, as the kernel does.
func TestThrow(t *testing.T) {
	checkConstructs(t, []construct{
		{name: "of packets", typ: "xdp", text: "r1 = 2\ncall bpf_throw\nexit"},
		{name: "main program", typ: "sched_cls", text: "r1 = 7\ncall bpf_throw\nexit"},
		{name: "subprogram", typ: "sched_cls", text: "call f\nr0 = 1\n*(u64 *)(r9 +0) = r0\nexit\nf:\nr1 = 5\ncall bpf_throw\nexit"},
		{name: "three deep", typ: "sched_cls", text: `
			r6 = 1
			r7 = 2
			call f
			*(u64 *)(r9 +0) = r6
			exit
		f:
			r6 = 3
			call g
			r0 = 0
			exit
		g:
			r6 = 4
			r9 = map[0][0]+0
			*(u64 *)(r9 +8) = r6
			r1 = 2147483647
			call bpf_throw
			exit`},
		{name: "on one path", typ: "sched_cls", packet: []byte("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"), text: `
			r1 = *(u32 *)(r1 +0)
			call f
			*(u64 *)(r9 +0) = r0
			r0 = 3
			exit
		f:
			if r1 > 15 goto throws
			r0 = r1
			exit
		throws:
			call bpf_throw
			exit`},
		{name: "not thrown", typ: "sched_cls", text: `
			r1 = 3
			call f
			*(u64 *)(r9 +0) = r0
			r0 = 3
			exit
		f:
			if r1 > 15 goto throws
			r0 = r1
			exit
		throws:
			call bpf_throw
			exit`},
	})
}

// TestThrowAcrossTailCall: a program that took a subprogram's place and throws
// returns to that subprogram's caller.
func TestThrowAcrossTailCall(t *testing.T) {
	progs := &maps.Spec{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	thrower := construct{typ: "sched_cls", text: "call f\nr0 = 1\nexit\nf:\nr1 = 40\ncall bpf_throw\nexit"}
	caller := construct{typ: "sched_cls", maps: []*maps.Spec{progs}, text: `
		call f
		r0 += 2
		exit
	f:
		r2 = map[1]
		r3 = 0
		call 12
		r0 = 0
		exit`}
	for _, inner := range usable(t) {
		for _, outer := range usable(t) {
			target, err := vm.LoadProgram(thrower.link(t), vm.Options{Engine: inner, Verify: vm.VerifyRequire})
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			c, err := vm.LoadProgram(caller.link(t), vm.Options{Engine: outer, Verify: vm.VerifyRequire})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Map("progs").(maps.ProgramArray).Store(0, target.Program("p")); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if r0, err := c.Program("p").Run(make([]byte, 64)); r0 != 42 || err != nil {
					t.Errorf("%s that goes on in %s: R0 %d, %v; want 42", outer, inner, r0, err)
				}
			}
		}
	}
}

// TestThrowUnproven: an exception in a callback ends the run with a fault.
func TestThrowUnproven(t *testing.T) {
	c := construct{typ: "sched_cls", text: "r1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\nr1 = 0\ncall bpf_throw\nr0 = 0\nexit"}
	coll, err := vm.LoadProgram(c.link(t), unproven)
	if err != nil {
		t.Fatal(err)
	}
	defer coll.Close()
	if r0, err := coll.Program("p").Run(make([]byte, 64)); err == nil {
		t.Errorf("R0 %d", r0)
	}
}

// TestThrowHandled: a function of the program turns what is thrown into the
// program's result, wherever it was thrown, as in the kernel.
func TestThrowHandled(t *testing.T) {
	const plus10 = "r0 = r1\nr0 += 10\nexit"
	checkConstructs(t, []construct{
		{name: "main program", typ: "sched_cls", text: "r1 = 7\ncall bpf_throw\nexit", handler: plus10},
		{name: "of packets", typ: "xdp", text: "r1 = 2\ncall bpf_throw\nexit", handler: "r0 = 1\nif r1 != 2 goto out\nr0 = 3\nout:\nexit"},
		{name: "not thrown", typ: "sched_cls", text: "r0 = 5\nexit", handler: plus10},
		{name: "three deep, with registers and stack", typ: "sched_cls", text: `
			r6 = 1
			*(u64 *)(r10 -8) = r6
			call f
			r0 = 1
			exit
		f:
			r6 = 3
			*(u64 *)(r10 -8) = r6
			call g
			r0 = 2
			exit
		g:
			r6 = 4
			*(u64 *)(r10 -400) = r6
			r1 = 40
			call bpf_throw
			r0 = 3
			exit`, handler: `
			r6 = r1
			r1 = 2
			*(u64 *)(r10 -8) = r1
			call h
			r6 += r0
			r1 = *(u64 *)(r10 -8)
			r6 += r1
			r9 = map[0][0]+0
			*(u64 *)(r9 +16) = r6
			r0 = r6
			exit
		h:
			*(u64 *)(r10 -8) = r1
			call 8
			r9 = map[0][0]+0
			r6 = 77
			*(u64 *)(r9 +8) = r6
			r0 = *(u64 *)(r10 -8)
			r0 += 100
			exit`},
		{name: "loops and helpers", typ: "sched_cls", text: "r1 = 9\ncall bpf_throw\nexit", runs: 3, handler: `
			r6 = r1
			r7 = 0
		again:
			r7 += r6
			r6 += -1
			if r6 s< 0 goto done
			if r6 s> 20 goto done
			goto again
		done:
			*(u32 *)(r10 -4) = 0
			r2 = r10
			r2 += -4
			r1 = map[0]
			call 1
			if r0 == 0 goto out
			r1 = *(u64 *)(r0 +24)
			r1 += r7
			*(u64 *)(r0 +24) = r1
		out:
			r0 = r7
			exit`},
		{name: "calls back", typ: "sched_cls", text: "r1 = 9\ncall bpf_throw\nexit", handler: `
			r6 = r1
			r1 = 5
			r2 = subprog[body]
			r3 = 0
			r4 = 0
			call 181
			r0 += r6
			exit
		body:
			r9 = map[0][0]+0
			r2 = *(u64 *)(r9 +8)
			r2 += r1
			*(u64 *)(r9 +8) = r2
			r0 = 0
			exit`},
	})
}

// TestThrowHandledTail: the handler is that of the program which throws, not of the
// one that it took the place of; and the other way round.
func TestThrowHandledTail(t *testing.T) {
	progs := &maps.Spec{Name: "progs", Type: maps.ProgArray, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	thrower := construct{typ: "sched_cls", text: "call f\nr0 = 1\nexit\nf:\nr1 = 40\ncall bpf_throw\nexit", handler: "r0 = r1\nr0 += 100\nexit"}
	for _, tc := range []struct {
		name string
		text string
		want uint64
	}{
		{"subprogram", "call f\nr0 += 2\nexit\nf:\nr2 = map[1]\nr3 = 0\ncall 12\nr0 = 0\nexit", 142},
		{"main program", "r2 = map[1]\nr3 = 0\ncall 12\nr1 = 4\ncall bpf_throw\nexit", 140},
		{"nothing there", "r2 = map[1]\nr3 = 1\ncall 12\nr1 = 4\ncall bpf_throw\nexit", 5},
	} {
		caller := construct{typ: "sched_cls", maps: []*maps.Spec{progs}, text: tc.text, handler: "r0 = r1\nr0 += 1\nexit"}
		for _, inner := range usable(t) {
			for _, outer := range usable(t) {
				target, err := vm.LoadProgram(thrower.link(t), vm.Options{Engine: inner, Verify: vm.VerifyRequire})
				if err != nil {
					t.Fatal(err)
				}
				defer target.Close()
				c, err := vm.LoadProgram(caller.link(t), vm.Options{Engine: outer, Verify: vm.VerifyRequire})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := c.Map("progs").(maps.ProgramArray).Store(0, target.Program("p")); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if r0, err := c.Program("p").Run(make([]byte, 64)); r0 != tc.want || err != nil {
						t.Errorf("%s: %s that goes on in %s: R0 %d, %v; want %d", tc.name, outer, inner, r0, err, tc.want)
					}
				}
			}
		}
	}
}

// TestThrowHandledLimit: what the handler does counts, and one that spins ends with
// the run.
func TestThrowHandledLimit(t *testing.T) {
	c := construct{typ: "sched_cls", text: "r1 = 9\ncall bpf_throw\nexit", handler: "r0 = 1000000\nagain:\nr0 += -1\nif r0 s> 0 goto again\nexit"}
	for _, e := range usable(t) {
		coll, err := vm.LoadProgram(c.link(t), vm.Options{Engine: e, Verify: vm.VerifyRequire, MaxInsns: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		defer coll.Close()
		if r, err := coll.Program("p").Do(context.Background(), make([]byte, 64), vm.RunOptions{}); !errors.Is(err, vm.ErrMaxInsns) {
			t.Errorf("%s: %+v, %v", e, r, err)
		}
		if r, err := coll.Program("p").Do(context.Background(), make([]byte, 64), vm.RunOptions{MaxInsns: -1}); err != nil || r.Insns < 2_000_000 || r.Insns > 2_000_100 {
			t.Errorf("%s: without a limit: %+v, %v", e, r, err)
		}
	}
}

// TestThrowHandledUnproven: the checked interpreter needs no proof, and stops a
// handler that throws again, by the run's limit.
func TestThrowHandledUnproven(t *testing.T) {
	for handler, want := range map[string]string{
		"r0 = r1\nexit":                        "",
		"r0 = r2\nexit":                        "before anything was written to it",
		"r0 = *(u64 *)(r10 -8)\nexit":          "the program has not written all of it",
		"r1 = 3\ncall bpf_throw\nr0 = 0\nexit": "instruction limit reached: 1000",
	} {
		c := construct{typ: "sched_cls", text: "r2 = 5\n*(u64 *)(r10 -8) = r2\nr1 = 4\ncall bpf_throw\nexit", handler: handler}
		o := unproven
		o.MaxInsns = 1000
		coll, err := vm.LoadProgram(c.link(t), o)
		if err != nil {
			t.Fatal(err)
		}
		defer coll.Close()
		r0, err := coll.Program("p").Run(make([]byte, 64))
		if want == "" && (err != nil || r0 != 4) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: R0 %d, %v; want %q", handler, r0, err, want)
		}
	}
}

// TestThrowHandlerMissing: a program whose handler is not there does not load.
func TestThrowHandlerMissing(t *testing.T) {
	for _, e := range usable(t) {
		c := construct{typ: "sched_cls", text: "r1 = 7\ncall bpf_throw\nexit"}
		for _, h := range []int{0, 1, -1} {
			p := c.link(t)
			p.Funcs[0].Type = &btf.Type{Kind: btf.Func, Name: "p", Tags: []string{"exception_callback:handler"}}
			p.Handler = h
			if _, err := vm.LoadProgram(p, vm.Options{Engine: e}); err == nil || !strings.Contains(err.Error(), "handle") {
				t.Errorf("%s: %v", e, err)
			}
		}
	}
}

// TestThrowQuick: a run of a packet that throws, by Run, ends with the cookie, time
// and again, and one that does not is none the wiser.
func TestThrowQuick(t *testing.T) {
	c := construct{typ: "xdp", text: "r2 = *(u32 *)(r1 +4)\nr1 = *(u32 *)(r1 +0)\nr3 = r1\nr3 += 20\nr0 = 1\nif r3 > r2 goto +2\nr1 = 2\ncall bpf_throw\nexit"}
	for _, e := range usable(t) {
		coll, err := vm.LoadProgram(c.link(t), vm.Options{Engine: e, Verify: vm.VerifyRequire})
		if err != nil {
			t.Fatal(err)
		}
		defer coll.Close()
		for range 3 {
			for size, want := range map[int]uint64{64: 2, 14: 1} {
				if r0, err := coll.Program("p").Run(make([]byte, size)); r0 != want || err != nil {
					t.Errorf("%s, %d bytes: R0 %d, %v; want %d", e, size, r0, err, want)
				}
			}
		}
		if s := coll.Program("p").Stats(); s.Runs != 6 || s.Errors != 0 {
			t.Errorf("%s: %+v", e, s)
		}
	}
}

// TestThrowObject: objects name the function by a tag, and nothing else leads to it.
func TestThrowObject(t *testing.T) {
	for _, e := range usable(t) {
		obj, err := elf.Open("../testdata/elf/exception.o")
		if err != nil {
			t.Fatal(err)
		}
		coll, err := vm.Load(obj, vm.Options{Engine: e, Verify: vm.VerifyRequire})
		if err != nil {
			t.Fatal(err)
		}
		defer coll.Close()
		for _, tc := range []struct {
			name string
			size int
			want uint64
			err  string
		}{
			{"handled", 64, 74, ""}, {"handled", 60, 1, ""}, {"plain", 70, 70, ""},
			{"missing", 64, 0, "handle exceptions, nowhere, is not there"},
			{"local", 64, 0, "handle exceptions, hidden, is not there, or not global"},
			{"two", 64, 0, "several functions are to handle exceptions"},
		} {
			r0, err := coll.Program(tc.name).Run(make([]byte, tc.size))
			if tc.err == "" && (err != nil || r0 != tc.want) || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%s: %s: R0 %d, %v; want %d, %q", e, tc.name, r0, err, tc.want, tc.err)
			}
		}
		c := construct{typ: "sched_cls"}
		for _, s := range obj.Programs {
			if s.Name != "handled" || oracle.Available() != nil {
				continue
			}
			p, err := obj.Link(s)
			if err != nil {
				t.Fatal(err)
			}
			k := c.kernel(t, p)
			defer k.close()
			if r, err := k.prog.Run(oracle.RunInput{Data: make([]byte, 64)}); err != nil || r.Retval != 74 {
				t.Errorf("the kernel: %d, %v", r.Retval, err)
			}
		}
	}
}
