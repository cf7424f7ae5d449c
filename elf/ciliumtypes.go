package elf

import (
	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/btf"
)

// A typeConverter turns cilium's types into ours, each once, so that cycles
// stay cycles. It uses no recursion: graphs of kernel types are deep.
type typeConverter struct {
	done map[ciliumbtf.Type]*btf.Type
	todo []ciliumbtf.Type
}

// convert returns t as our type; nil for nil.
func (c *typeConverter) convert(t ciliumbtf.Type) *btf.Type {
	if t == nil {
		return nil
	}
	out := c.ref(t)
	for len(c.todo) > 0 {
		next := c.todo[len(c.todo)-1]
		c.todo = c.todo[:len(c.todo)-1]
		c.fill(c.done[next], next)
	}
	return out
}

// ref returns the type that t becomes, and sees to it that it is filled.
func (c *typeConverter) ref(t ciliumbtf.Type) *btf.Type {
	if _, ok := t.(*ciliumbtf.Void); ok || t == nil {
		return &btf.Type{Kind: btf.Void, Name: "void"}
	}
	if c.done == nil {
		c.done = map[ciliumbtf.Type]*btf.Type{}
	}
	out := c.done[t]
	if out == nil {
		out = &btf.Type{}
		c.done[t] = out
		c.todo = append(c.todo, t)
	}
	return out
}

func (c *typeConverter) fill(out *btf.Type, t ciliumbtf.Type) {
	switch t := t.(type) {
	case *ciliumbtf.Int:
		*out = btf.Type{
			Kind: btf.Int, Name: t.Name, Size: t.Size, Signed: t.Encoding&ciliumbtf.Signed != 0,
			Char: t.Encoding&ciliumbtf.Char != 0 || t.Name == "char" && t.Size == 1,
			Bool: t.Encoding&ciliumbtf.Bool != 0,
		}
	case *ciliumbtf.Pointer:
		*out = btf.Type{Kind: btf.Ptr, Size: 8, Elem: c.ref(t.Target)}
	case *ciliumbtf.Array:
		*out = btf.Type{Kind: btf.Array, Len: t.Nelems, Elem: c.ref(t.Type)}
		if n, err := ciliumbtf.Sizeof(t); err == nil && int64(uint32(n)) == int64(n) {
			out.Size = uint32(n)
		}
	case *ciliumbtf.Struct:
		*out = btf.Type{Kind: btf.Struct, Name: t.Name, Size: t.Size, Members: c.members(t.Members), Tags: t.Tags}
	case *ciliumbtf.Union:
		*out = btf.Type{Kind: btf.Union, Name: t.Name, Size: t.Size, Members: c.members(t.Members), Tags: t.Tags}
	case *ciliumbtf.Enum:
		*out = btf.Type{Kind: btf.Enum, Name: t.Name, Size: t.Size, Signed: t.Signed}
		if t.Size == 8 {
			out.Kind = btf.Enum64
		}
		for _, v := range t.Values {
			out.Values = append(out.Values, btf.EnumValue{Name: v.Name, Value: v.Value})
		}
	case *ciliumbtf.Fwd:
		*out = btf.Type{Kind: btf.Fwd, Name: t.Name}
	case *ciliumbtf.Typedef:
		c.alias(out, btf.Typedef, t.Type)
		out.Name, out.Tags = t.Name, t.Tags
	case *ciliumbtf.Volatile:
		c.alias(out, btf.Volatile, t.Type)
	case *ciliumbtf.Const:
		c.alias(out, btf.Const, t.Type)
	case *ciliumbtf.Restrict:
		c.alias(out, btf.Restrict, t.Type)
	case *ciliumbtf.TypeTag:
		c.alias(out, btf.TypeTag, t.Type)
		out.Name = t.Value
	case *ciliumbtf.Func:
		*out = btf.Type{
			Kind: btf.Func, Name: t.Name, Elem: c.ref(t.Type), Tags: t.Tags,
			Global: t.Linkage == ciliumbtf.GlobalFunc, Extern: t.Linkage == ciliumbtf.ExternFunc,
		}
		if proto, ok := t.Type.(*ciliumbtf.FuncProto); ok && len(t.ParamTags) > 0 {
			out.Elem = &btf.Type{}
			c.fill(out.Elem, proto)
			for i := range min(len(t.ParamTags), len(out.Elem.Members)) {
				out.Elem.Members[i].Tags = t.ParamTags[i]
			}
		}
	case *ciliumbtf.FuncProto:
		*out = btf.Type{Kind: btf.FuncProto, Elem: c.ref(t.Return)}
		for _, p := range t.Params {
			out.Members = append(out.Members, btf.Member{Name: p.Name, Type: c.ref(p.Type)})
		}
	case *ciliumbtf.Var:
		c.alias(out, btf.Var, t.Type)
		out.Name, out.Tags = t.Name, t.Tags
		out.Global, out.Extern = t.Linkage == ciliumbtf.GlobalVar, t.Linkage == ciliumbtf.ExternVar
	case *ciliumbtf.Datasec:
		*out = btf.Type{Kind: btf.Datasec, Name: t.Name, Size: t.Size}
		for _, v := range t.Vars {
			out.Members = append(out.Members, btf.Member{Name: v.Type.TypeName(), Type: c.ref(v.Type), Offset: v.Offset * 8})
		}
	case *ciliumbtf.Float:
		*out = btf.Type{Kind: btf.Float, Name: t.Name, Size: t.Size}
	default:
		*out = btf.Type{Kind: btf.Void, Name: "void"}
	}
}

// alias fills a type that only names or qualifies another.
func (c *typeConverter) alias(out *btf.Type, kind btf.Kind, elem ciliumbtf.Type) {
	*out = btf.Type{Kind: kind, Elem: c.ref(elem)}
	if n, err := ciliumbtf.Sizeof(elem); err == nil && int64(uint32(n)) == int64(n) {
		out.Size = uint32(n)
	}
}

func (c *typeConverter) members(ms []ciliumbtf.Member) []btf.Member {
	out := make([]btf.Member, len(ms))
	for i, m := range ms {
		out[i] = btf.Member{
			Name: m.Name, Type: c.ref(m.Type), Offset: uint32(m.Offset), Bits: uint32(m.BitfieldSize), Tags: m.Tags,
		}
	}
	return out
}
