package bpftest

import (
	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/prog"
)

// Handle makes the function of p that begins at entry the one that handles its
// exceptions: one of type t, in BTF. It returns the types of both functions as
// the kernel is told of them, by where they begin.
func Handle(p *prog.Program, entry prog.PC, t *btf.Type) map[prog.PC]*btf.Type {
	i := p.FuncAt(entry)
	if p.Funcs[i].Entry != entry { // nobody calls it, so nothing said where it begins
		f := prog.FuncInfo{Name: t.Name, Entry: entry, End: p.Funcs[i].End}
		p.Funcs[i].End = entry
		i++
		p.Funcs = append(p.Funcs[:i:i], append([]prog.FuncInfo{f}, p.Funcs[i:]...)...)
	}
	p.Handler = i
	p.Funcs[i].Global, p.Funcs[i].Type = t.Global, t
	number := &btf.Type{Kind: btf.Int, Name: "int", Size: 4, Signed: true}
	context := &btf.Type{Kind: btf.Ptr, Size: 8, Elem: &btf.Type{Kind: btf.Struct, Name: p.Type.Ctx.Name, Size: p.Type.Ctx.Size}}
	p.Funcs[0].Type = &btf.Type{
		Kind: btf.Func, Name: p.Name, Global: true, Tags: []string{"exception_callback:" + t.Name},
		Elem: &btf.Type{Kind: btf.FuncProto, Elem: number, Members: []btf.Member{{Name: "ctx", Type: context}}},
	}
	types := map[prog.PC]*btf.Type{0: p.Funcs[0].Type}
	if t.Global {
		types[entry] = t
	}
	return types
}

// Handler returns the type of a function for exceptions that takes what params
// are and returns an integer of size bytes.
func Handler(size uint32, params ...*btf.Type) *btf.Type {
	proto := &btf.Type{Kind: btf.FuncProto, Elem: &btf.Type{Kind: btf.Int, Name: "long", Size: size, Signed: true}}
	for _, t := range params {
		proto.Members = append(proto.Members, btf.Member{Name: "cookie", Type: t})
	}
	return &btf.Type{Kind: btf.Func, Name: "handler", Global: true, Elem: proto}
}

// Cookie is the type of what is thrown.
var Cookie = &btf.Type{Kind: btf.Int, Name: "unsigned long long", Size: 8}
