package helpers_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/skepvm/skep/helpers"
)

// TestProtoCheck has a contract that contradicts itself for each reason there
// is, and the nearest one that does not.
func TestProtoCheck(t *testing.T) {
	type arg = helpers.Arg
	mem, size := arg{Kind: helpers.ArgMem}, arg{Kind: helpers.ArgSize}
	out := arg{Kind: helpers.ArgMem, Write: true, Uninit: true}
	any := arg{Kind: helpers.ArgAnything}
	mapPtr, key := arg{Kind: helpers.ArgMapPtr}, arg{Kind: helpers.ArgMapKey}
	args := func(a ...arg) (p helpers.Proto) { copy(p.Args[:], a); return p }
	with := func(p helpers.Proto, f func(*helpers.Proto)) helpers.Proto { f(&p); return p }
	ret := func(r helpers.Ret, a ...arg) helpers.Proto {
		return with(args(a...), func(p *helpers.Proto) { p.Ret = r })
	}
	for _, tc := range []struct {
		name string
		p    helpers.Proto
		want string // "": fine
	}{
		{"nothing", args(), ""},
		{"memory and size", args(mem, size), ""},
		{"fixed memory", args(arg{Kind: helpers.ArgMem, Size: 8, Aligned: true}), ""},
		{"two memories, one size", args(out, mem, size), ""},
		{"size after a number", args(mem, any, size), ""},
		{"gap", with(args(any), func(p *helpers.Proto) { p.Args[2] = any }), "follows the end"},
		{"memory without size", args(mem, any), "memory of no size"},
		{"size first", args(size, mem), "a size without memory"},
		{"size after fixed memory", args(arg{Kind: helpers.ArgMem, Size: 8}, size), "a size without memory"},
		{"two sizes", args(mem, size, size), "a size without memory"},
		{"huge memory", args(arg{Kind: helpers.ArgMem, Size: 1 << 29}), "is the most"},
		{"two outputs", args(out, size, out, size), "two memory arguments may be uninitialised"},
		{"an output and an input that is written", args(out, size, arg{Kind: helpers.ArgMem, Write: true}, size), ""},
		{"uninit, not written", args(arg{Kind: helpers.ArgMem, Uninit: true}, size), "Write is not set"},
		{"part of an input", args(arg{Kind: helpers.ArgMem, Write: true, Partial: true}, size), "Partial is for memory that is Uninit"},
		{"part of a value", args(mapPtr, arg{Kind: helpers.ArgMapValue, Write: true, Uninit: true, Partial: true}), "Partial is for memory"},
		{"part of an output", args(arg{Kind: helpers.ArgMem, Write: true, Uninit: true, Partial: true}, size), ""},
		{"written number", args(arg{Kind: helpers.ArgAnything, Write: true}), "Write is for memory"},
		{"nullable number", args(arg{Kind: helpers.ArgAnything, Nullable: true}), "Nullable is for pointers"},
		{"odd alignment", args(arg{Kind: helpers.ArgMem, Size: 12, Aligned: true}), "power of two"},
		{"key without map", args(key, mapPtr), "no map before it"},
		{"key after map", args(mapPtr, any, key), ""},
		{"object without type", args(arg{Kind: helpers.ArgObject}), "give Object"},
		{"two releases", args(arg{Kind: helpers.ArgObject, Object: "a", Release: true}, arg{Kind: helpers.ArgRingBufMem, Release: true}), "two arguments end a reference"},
		{"released number", args(arg{Kind: helpers.ArgAnything, Release: true}), "Release is for"},
		{"unknown kind", args(arg{Kind: 200}), "unknown kind 200"},
		{"callback without function", with(args(any), func(p *helpers.Proto) { p.Control = helpers.Callback }), "one function argument, not 0"},
		{"callback's map", with(args(mapPtr, arg{Kind: helpers.ArgFunc}), func(p *helpers.Proto) { p.Control = helpers.Callback; p.Body[0] = mapPtr }), ""},
		{"callback's map from nowhere", with(args(arg{Kind: helpers.ArgFunc}), func(p *helpers.Proto) { p.Control = helpers.Callback; p.Body[0] = mapPtr }), "no argument of the helper is a map"},
		{"callback's memory", with(args(arg{Kind: helpers.ArgFunc}), func(p *helpers.Proto) { p.Control = helpers.Callback; p.Body[0] = mem }), "a callback cannot get a mem"},
		{"callback's gap", with(args(arg{Kind: helpers.ArgFunc}), func(p *helpers.Proto) { p.Control = helpers.Callback; p.Body[1] = any }), "follows the end"},
		{"arguments of no callback", with(args(any), func(p *helpers.Proto) { p.Body[0] = any }), "takes no function"},
		{"tail call", with(args(arg{Kind: helpers.ArgCtx}, mapPtr, any), func(p *helpers.Proto) { p.Control = helpers.TailCall }), ""},
		{"tail call of one argument", with(args(any), func(p *helpers.Proto) { p.Control = helpers.TailCall }), "a tail call takes"},
		{"empty range", ret(helpers.Ret{Min: 1, Max: -1}), "no value lies in [1, -1]"},
		{"value without map", ret(helpers.Ret{Kind: helpers.RetMapValue}), "no argument is a map"},
		{"value of a map", ret(helpers.Ret{Kind: helpers.RetMapValue, Nullable: true}, mapPtr), ""},
		{"memory result without size", ret(helpers.Ret{Kind: helpers.RetMem}), "memory needs one size"},
		{"memory result of two sizes", ret(helpers.Ret{Kind: helpers.RetMem, Size: 8}, arg{Kind: helpers.ArgConstAllocSize}), "memory needs one size"},
		{"size of no memory", ret(helpers.Ret{}, arg{Kind: helpers.ArgConstAllocSize}), "the result is not memory"},
		{"object result without type", ret(helpers.Ret{Kind: helpers.RetObject}), "give Object"},
		{"bound by the size", ret(helpers.Ret{AtMost: 2}, arg{Kind: helpers.ArgMem}, arg{Kind: helpers.ArgSize}), ""},
		{"bound by the memory", ret(helpers.Ret{AtMost: 1}, arg{Kind: helpers.ArgMem}, arg{Kind: helpers.ArgSize}), "names an argument that is no size"},
		{"bound by nothing", ret(helpers.Ret{AtMost: 6}), "names an argument that is no size"},
		{"two bounds", ret(helpers.Ret{AtMost: 2, Max: 1}, arg{Kind: helpers.ArgMem}, arg{Kind: helpers.ArgSize}), "no other bounds"},
		{"nullable number result", ret(helpers.Ret{Nullable: true}), "Nullable is for pointers"},
		{"reference that is a number", with(args(), func(p *helpers.Proto) { p.AcquiresObject = true }), "no pointer"},
	} {
		err := tc.p.Check()
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

// FuzzProtoCheck checks that a contract that passes means what engines assume,
// and survives JSON.
func FuzzProtoCheck(f *testing.F) {
	for _, id := range helpers.Base().IDs() {
		b, err := json.Marshal(helpers.Base().Helper(id).Proto)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p helpers.Proto
		if json.Unmarshal(b, &p) != nil || p.Check() != nil {
			return
		}
		n := p.NumArgs()
		for i, a := range p.Args[:n] {
			size := p.SizeArg(i)
			if a.Kind == helpers.ArgMem && (a.Size == 0) != (size > i && size < n) {
				t.Fatalf("argument %d has size %d and size argument %d", i, a.Size, size)
			}
			if a.Kind != helpers.ArgMem && size != -1 {
				t.Fatalf("argument %d is no memory and has size argument %d", i, size)
			}
		}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var q helpers.Proto
		if err := json.Unmarshal(text, &q); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(p, q); d != "" {
			t.Fatalf("through JSON (-before +after):\n%s", d)
		}
	})
}
