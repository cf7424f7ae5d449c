package vm_test

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// usable returns the engines that this host has.
func usable(t *testing.T) []vm.Engine {
	t.Helper()
	p, err := prog.FromInsns("p", packetType, assemble(t, "r0 = 0\nexit"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []vm.Engine
	for _, e := range engines {
		if c, err := vm.LoadProgram(p, vm.Options{Engine: e}); err == nil {
			c.Close()
			all = append(all, e)
		}
	}
	return all
}

// TestFreshObjects: what one run stores in an object of zeros, the next does not
// find.
func TestFreshObjects(t *testing.T) {
	for _, e := range usable(t) {
		p := load(t, linux.FlowDissector, `
r6 = *(u64 *)(r1 +144)
r0 = *(u64 *)(r6 +48)
*(u64 *)(r6 +48) = 7
if r0 == 0 goto +1
r0 = 1
exit`, vm.Options{Engine: e}).Program("p")
		for range 2 {
			if got, err := p.Run(make([]byte, 64)); err != nil || got != 0 {
				t.Errorf("%s: %d, %v", e, got, err)
			}
		}
	}
}

// TestContextObject: a run is given a socket, and the program reads it.
func TestContextObject(t *testing.T) {
	s := linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: linux.SockStream, Protocol: 6, State: linux.TCPListen,
		Local: netip.MustParseAddrPort("10.1.2.3:8080"), Remote: netip.MustParseAddrPort("192.0.2.1:443")})
	for _, tc := range []struct {
		field string
		want  uint64
	}{
		{"*(u32 *)(r6 +4)", linux.AFInet}, {"*(u32 *)(r6 +8)", linux.SockStream}, {"*(u32 *)(r6 +72)", linux.TCPListen},
		{"*(u32 *)(r6 +44)", 8080}, {"*(u16 *)(r6 +48)", 443>>8 | 443&0xff<<8}, {"*(u32 *)(r6 +24)", 0x0302010a}, {"*(u8 *)(r6 +55)", 1},
	} {
		for _, e := range usable(t) {
			c := load(t, linux.SkLookup, "r0 = 0\nr6 = *(u64 *)(r1 +0)\nif r6 == 0 goto +1\nr0 = "+tc.field+"\nr1 = r0\nr0 = 0\nif r1 != "+strconv.FormatUint(tc.want, 10)+" goto +1\nr0 = 1\nexit", vm.Options{Engine: e})
			r, err := c.Program("p").Do(context.Background(), nil, vm.RunOptions{Objects: map[string]hook.Object{"sk": s}})
			if err != nil || r.R0 != 1 {
				t.Errorf("%s, %s: %v, %v", tc.field, e, r.R0, err)
			}
			if got, err := c.Program("p").Run(nil); err != nil || got != 0 {
				t.Errorf("%s without a socket: %d, %v", e, got, err)
			}
		}
	}
	for name, o := range map[string]hook.Object{"family": s, "none": s, "sk": nil, "cookie": s} {
		p := load(t, linux.SkLookup, "r0 = 0\nexit", vm.Options{}).Program("p")
		if _, err := p.Do(context.Background(), nil, vm.RunOptions{Objects: map[string]hook.Object{name: o}}); err == nil {
			t.Errorf("field %s took %v", name, o)
		}
	}
	mini := linux.NewSocket(linux.SocketInfo{Mini: true})
	p := load(t, linux.SkReuseport, "r0 = 0\nexit", vm.Options{}).Program("p")
	if _, err := p.Do(context.Background(), nil, vm.RunOptions{Objects: map[string]hook.Object{"sk": mini}}); err == nil {
		t.Error("a socket that is no full one passed for one")
	}
}

// TestSocketReferences: references to one socket are counted, in the order that
// a program likes, and come back however the run ends.
func TestSocketReferences(t *testing.T) {
	s := linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Type: linux.SockStream, Protocol: 6})
	typ := *linux.SchedCls
	typ.Helpers = typ.Helpers.With(map[helpers.ID]*helpers.Func{
		84: {Name: "find", Proto: helpers.Proto{Ret: helpers.Ret{Kind: helpers.RetObject, Object: "sock", Nullable: true}, AcquiresObject: true},
			Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 { return s.Acquire(env) }},
		200: {Name: "held", Impl: func(helpers.Env, uint64, uint64, uint64, uint64, uint64) uint64 { return uint64(s.Refs()) }},
		5: {Name: "aborts", Impl: func(env helpers.Env, _, _, _, _, _ uint64) uint64 {
			env.Abort(errAborted)
			return 0
		}},
	}, nil)
	const twice = `
call 84
if r0 == 0 goto out
r6 = r0
call 84
if r0 == 0 goto one
r7 = r0
call 200
r9 = r0
r1 = r6
call 86
r0 = *(u32 *)(r7 +4)
r9 *= 10
r9 += r0
call 200
r9 *= 10
r9 += r0
%s
r1 = r7
call 86
call 200
r9 *= 10
r9 += r0
r0 = r9
exit
one:
r1 = r6
call 86
out:
r0 = 0
exit`
	for _, e := range usable(t) {
		for abort, want := range map[string]uint64{"": 2210, "call 5": 0} {
			c := load(t, &typ, strings.Replace(twice, "%s", abort, 1), vm.Options{Engine: e})
			got, err := c.Program("p").Run(make([]byte, 64))
			if got != want || (abort == "") != (err == nil) || err != nil && !errors.Is(err, errAborted) {
				t.Errorf("%s: %d, %v; want %d", e, got, err, want)
			}
			if s.Refs() != 0 {
				t.Fatalf("%s: %d references are left", e, s.Refs())
			}
		}
	}
	// What a proof would refuse: a store, a use after the release, a second release,
	// a release of what is no reference.
	for name, text := range map[string]string{
		"store":          "call 84\n*(u32 *)(r0 +4) = 1\nr0 = 0\nexit",
		"use":            "call 84\nr6 = r0\nr1 = r0\ncall 86\nr0 = *(u32 *)(r6 +4)\nexit",
		"second release": "call 84\nr6 = r0\nr1 = r0\ncall 86\nr1 = r6\ncall 86\nexit",
		"no reference":   "r1 = 17\ncall 86\nexit",
	} {
		c := load(t, &typ, text, unproven)
		var fault *vm.Fault
		if _, err := c.Program("p").Run(make([]byte, 64)); !errors.As(err, &fault) {
			t.Errorf("%s: %v", name, err)
		}
		if s.Refs() != 0 {
			t.Fatalf("%s: %d references are left", name, s.Refs())
		}
	}
}
