package verifier

import (
	"context"
	"errors"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/internal/bpftest"
	"github.com/skepvm/skep/internal/oracle"
	"github.com/skepvm/skep/prog"
)

// TestExceptionHandler: what a function that handles exceptions may be and do, in
// the kernel's words and ours.
func TestExceptionHandler(t *testing.T) {
	const throws = "r1 = 7\ncall bpf_throw\nr0 = 0\nexit\n"
	any := bpftest.Handler(4, bpftest.Cookie)
	static := bpftest.Handler(4, bpftest.Cookie)
	static.Global = false
	pointer := &btf.Type{Kind: btf.Ptr, Size: 8, Elem: &btf.Type{Kind: btf.Struct, Name: "__sk_buff", Size: 192}}
	void := bpftest.Handler(4, bpftest.Cookie)
	void.Elem = &btf.Type{Kind: btf.FuncProto, Elem: &btf.Type{Kind: btf.Void}, Members: void.Elem.Members}
	deep := "*(u8 *)(r10 -500) = 1\n"
	for _, tc := range []struct {
		name, typ string
		main      string
		handler   string
		proto     *btf.Type
		code      Code   // "": accepted
		kernel    string // why the kernel's verdict is the other one
	}{
		{"returns a number", "sched_cls", throws, "r0 = r1\nexit", any, "", ""},
		{"of an int", "sched_cls", throws, "r0 = r1\nexit", bpftest.Handler(4, &btf.Type{Kind: btf.Int, Name: "int", Size: 4, Signed: true}), "", ""},
		{"returns what the type does not", "cgroup_skb", throws, "r0 = r1\nexit", any, BadReturn, ""},
		{"returns what the type does", "cgroup_skb", throws, "r0 = r1\nr0 &= 1\nexit", any, "", ""},
		{"of what the type does not return", "cgroup_skb", "r1 = *(u32 *)(r1 +0)\ncall bpf_throw\nr0 = 0\nexit\n", "r0 = 1\nexit", any, "", ""},
		{"of nothing thrown", "sched_cls", "r0 = 0\nexit\n", "r0 = *(u32 *)(r1 +0)\nexit", any, NotPointer, ""},
		{"reads the cookie", "sched_cls", throws, "r0 = *(u32 *)(r1 +0)\nexit", any, NotPointer, ""},
		{"leaves r0 alone", "sched_cls", throws, "exit", any, Unreadable, ""},
		{"reads r2", "sched_cls", throws, "r0 = r2\nexit", any, Unreadable, ""},
		{"reads r6", "sched_cls", "r6 = r1\n" + throws, "r0 = r6\nexit", any, Unreadable, ""},
		{"reads the program's stack", "sched_cls", "*(u64 *)(r10 -8) = r1\n" + throws, "r0 = *(u64 *)(r10 -8)\nr0 = *(u32 *)(r0 +0)\nexit", any, NotPointer, ""},
		{"returns its stack", "sched_cls", throws, "r0 = r10\nexit", any, "", ""},
		{"throws", "sched_cls", throws, "call bpf_throw\nr0 = 0\nexit", any, BadArgument, ""},
		{"calls what throws", "sched_cls", throws, "call f\nexit\nf:\ncall bpf_throw\nr0 = 0\nexit", any, BadArgument, ""},
		{"loops", "sched_cls", throws, "r0 = 100\nagain:\nr0 += -1\nif r0 s> 0 goto again\nexit", any, "", ""},
		{"never ends", "sched_cls", throws, "again:\nr0 = 1\nif r1 != 0 goto again\nexit", any, Unbounded, ""},
		{"stays locked", "sched_cls", throws, "r1 = map[3][0]+0\ncall 93\nr0 = 0\nexit", any, Locked, ""},
		{"keeps a record", "sched_cls", throws, aRb + "r0 = 0\nexit", any, Unreleased, ""},
		{"of no arguments", "sched_cls", throws, "r0 = 0\nexit", bpftest.Handler(4), BadArgument, ""},
		{"of two", "sched_cls", throws, "r0 = 0\nexit", bpftest.Handler(4, bpftest.Cookie, bpftest.Cookie), BadArgument, ""},
		{"of the context", "sched_cls", throws, "r0 = *(u32 *)(r1 +0)\nexit", bpftest.Handler(4, pointer), BadArgument, ""},
		{"returns nothing", "sched_cls", throws, "r0 = 0\nexit", void, BadArgument, ""},
		{"static", "sched_cls", throws, "r0 = 0\nexit", static, BadArgument, ""},
		{"called", "sched_cls", "r1 = 3\ncall handler\n" + throws, "r0 = 0\nexit", any, BadArgument, ""},
		{"called back", "sched_cls", "r1 = 3\nr2 = subprog[handler]\nr3 = 0\nr4 = 0\ncall 181\n" + throws, "r0 = 0\nexit", any, BadArgument, ""},
		{"calls itself", "sched_cls", throws, "call handler\nexit", any, BadArgument, ""},
		{"has a stack of its own", "sched_cls", deep + throws, deep + "r0 = 0\nexit", any, "", ""},
		{"takes too much stack", "sched_cls", throws, deep + "call f\nexit\nf:\n" + deep + "r0 = 0\nexit", any, StackDepth, ""},
		{"of what is thrown in a callback", "sched_cls", "r1 = 4\nr2 = subprog[body]\nr3 = 0\nr4 = 0\ncall 181\nr0 = 0\nexit\nbody:\ncall bpf_throw\nr0 = 0\nexit\n", "r0 = 0\nexit", any, BadArgument, ""},
		{"of what holds a record", "sched_cls", aRb + "if r0 == 0 goto l\nr1 = 1\ncall bpf_throw\nl:\nr0 = 0\nexit\n", "r0 = 0\nexit", any, Unreleased, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text := tc.main + "handler:\n" + tc.handler
			p, raw, names := construct(t, tc.typ, text)
			_, first, _ := construct(t, tc.typ, tc.main+"handler:\nr0 = 0\nexit")
			globals := bpftest.Handle(p, prog.PC(len(first)-2), tc.proto)
			_, _, err := Verify(context.Background(), p, Options{})
			var e *Error
			if tc.code == "" && err != nil || tc.code != "" && (!errors.As(err, &e) || e.Code != tc.code) {
				t.Errorf("got %v, want %q", err, tc.code)
			}
			if oracle.Available() != nil {
				return // the kernel's verdict is in the table already
			}
			ok, log := kernelAccepts(t, tc.typ, raw, names, globals)
			if want := (tc.code == "") == (tc.kernel == ""); ok != want {
				t.Errorf("the kernel says %v, the table %v:\n%s", ok, want, log)
			}
		})
	}
}

// TestExceptionHandlerMissing: a tag that names no function of the program, and a
// number that is none of its functions.
func TestExceptionHandlerMissing(t *testing.T) {
	p, _, _ := construct(t, "sched_cls", "r1 = 0\ncall bpf_throw\nr0 = 0\nexit")
	p.Funcs[0].Type = &btf.Type{Kind: btf.Func, Name: "test", Tags: []string{"exception_callback:handler"}}
	for h, code := range map[int]Code{0: Unsupported, 1: BadArgument, -1: BadArgument, 1 << 30: BadArgument} {
		p.Handler = h
		_, _, err := Verify(context.Background(), p, Options{})
		var e *Error
		if !errors.As(err, &e) || e.Code != code {
			t.Errorf("handler %d: %v, want %s", h, err, code)
		}
	}
}

// TestExceptionHandlerWorst: the worst case of a run counts the handler's.
func TestExceptionHandlerWorst(t *testing.T) {
	const handler = "r0 = 100\nagain:\nr0 += -1\nif r0 s> 0 goto again\nexit" // 202 instructions
	p, raw, _ := construct(t, "sched_cls", "r1 = 7\ncall bpf_throw\nr0 = 0\nexit\n"+handler)
	bpftest.Handle(p, prog.PC(len(raw)-4), bpftest.Handler(4, bpftest.Cookie))
	v, _, err := Verify(context.Background(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Stats().WorstCase; got != 2+202 {
		t.Errorf("worst case of %d instructions, want 204", got)
	}
}
