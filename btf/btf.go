// Package btf is skep's model of C types as BTF records them: what maps need
// to print a value, the verifier to check a function's contract, and a host to
// describe its own context. Package elf builds it from an object's BTF
// section; hook.Define builds it from a Go struct.
//
// A graph of types never changes after it is built, so it may be shared by any
// number of goroutines. It can be cyclic through pointers. The package knows
// neither the encoding of BTF nor any program.
package btf

// A Kind is a BTF type kind (kernel, Documentation/bpf/btf.rst, section 2.2).
// Numbers are the kernel's.
type Kind uint8

const (
	Void      Kind = 0
	Int       Kind = 1
	Ptr       Kind = 2
	Array     Kind = 3
	Struct    Kind = 4
	Union     Kind = 5
	Enum      Kind = 6
	Fwd       Kind = 7
	Typedef   Kind = 8
	Volatile  Kind = 9
	Const     Kind = 10
	Restrict  Kind = 11
	Func      Kind = 12
	FuncProto Kind = 13
	Var       Kind = 14
	Datasec   Kind = 15
	Float     Kind = 16
	TypeTag   Kind = 18
	Enum64    Kind = 19
)

// A Type is one C type. Which fields have a meaning depends on Kind.
type Type struct {
	Kind Kind
	Name string // empty if anonymous; TypeTag: the tag's text
	Size uint32 // bytes; 0 for Void, Fwd, Func and FuncProto

	// Elem is the pointee, element, aliased, qualified or variable's type, the
	// prototype of a Func, and the result of a FuncProto.
	Elem *Type
	Len  uint32 // Array: number of elements

	Members []Member // Struct and Union: fields; FuncProto: parameters; Datasec: variables
	Values  []EnumValue

	Signed, Bool, Char bool // Int and Enum: how the value reads

	Global bool     // Func and Var: has external linkage
	Extern bool     // Func and Var: declared, not defined
	Tags   []string // declaration tags on the type itself
}

// A Member is a field, a parameter, or a variable in a section.
type Member struct {
	Name   string
	Type   *Type
	Offset uint32 // bits from the start of the parent; 0 for parameters
	Bits   uint32 // width of a bit-field; 0 if it is none
	Tags   []string
}

// An EnumValue is one named constant. Value is sign-extended if the enum is
// signed.
type EnumValue struct {
	Name  string
	Value uint64
}

// Underlying strips typedefs, qualifiers and type tags.
func (t *Type) Underlying() *Type {
	for t != nil {
		switch t.Kind {
		case Typedef, Volatile, Const, Restrict, TypeTag:
			t = t.Elem
		default:
			return t
		}
	}
	return nil
}
