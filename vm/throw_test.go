package vm_test

import (
	"strings"
	"testing"

	"github.com/skepvm/skep/btf"
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

// TestThrowHandled: a program that would handle its exceptions itself is refused
// by the handler's name, in every engine.
func TestThrowHandled(t *testing.T) {
	for _, e := range usable(t) {
		c := construct{typ: "sched_cls", text: "r1 = 7\ncall bpf_throw\nexit"}
		p := c.link(t)
		p.Funcs[0].Type = &btf.Type{Kind: btf.Func, Name: "p", Tags: []string{"exception_callback:handler"}}
		if _, err := vm.LoadProgram(p, vm.Options{Engine: e}); err == nil || !strings.Contains(err.Error(), "handler") {
			t.Errorf("%s: %v", e, err)
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
