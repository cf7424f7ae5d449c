package hook

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/mem"
)

// Bytes is a field of a typed context that programs see as a packet: two
// pointers, data and data_end, which they compare before they access what lies
// between.
type Bytes []byte

// A TypeOf is a program type whose context is the Go struct T.
type TypeOf[T any] struct {
	*Type
	plan   plan
	packet uintptr // offset of the Bytes field in T
	has    bool    // there is one
}

// Define makes a program type of a host's own from the Go struct T, whose
// fields become those of the C struct that programs get, in the same order and
// with C's layout:
//
//	Go field                          C member
//	uint8 … uint64, int8 … int64      the same integer
//	bool                              _Bool
//	[N]uint8 … [N]int64               array
//	struct                            struct; an embedded one lends its members
//	hook.Bytes (at most one)          void *data, *data_end
//
// A member is called like the field, in lower case with underscores. A tag
// changes that: `bpf:"name"`; `bpf:"rw"` or `bpf:"name,rw"` let programs write
// the member (of Bytes: what it holds), and the host sees what they wrote;
// `bpf:"-"` keeps a field from programs. Padding is not accessible.
//
// Any other type of field, and an unexported one without `bpf:"-"`, is an
// error that names the field.
func Define[T any](name string, opts ...Option) (*TypeOf[T], error) {
	t := &TypeOf[T]{Type: &Type{
		Name:    name,
		Input:   InputTyped,
		Return:  AnyReturn,
		Helpers: helpers.Base(),
	}}
	if !isIdentifier(name) {
		return nil, fmt.Errorf("hook %q: the name is not a C identifier", name)
	}
	root := member{name: name, kind: memberStruct}
	rt := reflect.TypeFor[T]()
	if rt.Kind() != reflect.Struct {
		return nil, fmt.Errorf("hook %s: %v is not a struct", name, rt)
	}
	if err := root.readStruct(rt, false); err != nil {
		return nil, fmt.Errorf("hook %s: %v: %w", name, rt, err)
	}
	if err := t.setLayout(&root); err != nil {
		return nil, fmt.Errorf("hook %s: %v: %w", name, rt, err)
	}
	t.plan = planOf(&root, 0)
	if m := root.packet(); m != nil {
		t.has, t.packet = true, m.goOff
		t.PacketWrite = m.rw
	}
	for _, opt := range opts {
		opt(t.Type)
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	return t, nil
}

// MustDefine is Define for package variables: it panics on an error.
func MustDefine[T any](name string, opts ...Option) *TypeOf[T] {
	t, err := Define[T](name, opts...)
	if err != nil {
		panic(err)
	}
	return t
}

// Encode writes v's fields to dst, the host's bytes of the context (at least
// Ctx.HostSize). Packet pointers are left alone.
func (t *TypeOf[T]) Encode(dst []byte, v *T) {
	t.plan.encode(dst, mem.View(v))
}

// Decode writes to v the fields that programs may write, from the host's bytes
// of the context.
func (t *TypeOf[T]) Decode(src []byte, v *T) {
	t.plan.decode(src, mem.View(v))
}

// Packet returns v's Bytes, aliased; nil if T has none.
func (t *TypeOf[T]) Packet(v *T) Bytes {
	if !t.has {
		return nil
	}
	return *mem.Field[Bytes](v, t.packet)
}

// An Option says what a type promises besides its context.
type Option func(*Type)

// Returns bounds what programs return. Without it they may return anything.
func Returns(min, max int64) Option {
	return func(t *Type) { t.Return = Range{min, max} }
}

// Helpers are the functions that programs may call. Without it they are
// helpers.Base.
func Helpers(s *helpers.Set) Option {
	return func(t *Type) { t.Helpers = s }
}

// Verdicts names return values.
func Verdicts(names map[int64]string) Option {
	names = maps.Clone(names)
	return func(t *Type) { t.Verdicts = names }
}

// Sections are the ELF section names that mean this type (see Extend): each by
// itself, and with "/" and an attach target. Without it the type's name is one.
func Sections(names ...string) Option {
	names = slices.Clone(names)
	return func(t *Type) { t.Sections = names }
}
