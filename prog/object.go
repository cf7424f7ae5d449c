package prog

import (
	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
)

// An Object is what one ELF file (or CollectionSpec) holds, before linking.
// Its owner may change map specs, variables and program types until it is
// loaded. It is not safe for concurrent change.
type Object struct {
	File      string // name for messages
	License   string
	Programs  []*Spec
	Maps      []*maps.Spec // data sections included
	Variables []*Variable
	StructOps []*StructOps
	Notes     []string // for people: what the object asks for that nobody acts on
}

// A Spec is a program before linking.
type Spec struct {
	Name      string
	Section   string
	Type      *hook.Type // nil: the section names none; the user must choose
	Attach    string     // attach target in the section name
	Sleepable bool
	Func      *Func
	// Handler is the function that Func's tags name for exceptions, if it is
	// there: a global one.
	Handler *Func
	// Err says why the program cannot be linked, though its object is fine;
	// Link returns it.
	Err error
}

// A Func is a function before linking: raw slots, and what they refer to.
type Func struct {
	Name    string
	Section string
	Global  bool      // non-static linkage
	Type    *btf.Type // of kind btf.Func; nil without BTF
	Insns   []Insn    // every reserved field as in the file
	Refs    []Ref     // sorted by PC
	Lines   []Line    // sorted by PC
	Err     error     // why a program that calls it cannot be linked
}

// A Ref is a place in a Func that names something outside it. The linker
// overwrites the slot's Src and Imm (of a wide instruction, both Imms).
type Ref struct {
	PC    PC
	Kind  RefKind
	Func  *Func      // RefCall, RefFunc
	Map   *maps.Spec // RefMap, RefMapValue
	Off   uint32     // RefMapValue: byte offset in the map's only value
	Name  string     // RefExtern: function called; RefConst: symbol, for people
	Const uint64     // RefConst: the value of a wide instruction
	Type  *btf.Type  // RefExtern: prototype, if BTF has it
	Weak  bool       // RefExtern: may be missing; calling it is then refused, its address is 0
}

// A RefKind is what a Ref means.
type RefKind uint8

const (
	RefCall     RefKind = iota // call of a subprogram
	RefFunc                    // address of a subprogram (wide)
	RefMap                     // handle of a map (wide)
	RefMapValue                // address inside the value of a one-element map (wide)
	RefExtern                  // call of a function of the host by name: kfunc or built-in
	RefConst                   // a constant known at link time (wide): ksym address, kconfig…
)

// A Variable is a global C variable: bytes of the value of a data-section map.
type Variable struct {
	Name     string
	Map      *maps.Spec
	Off      uint32
	Size     uint32
	Type     *btf.Type // nil without BTF
	ReadOnly bool      // const: fixed once loaded
}

// A StructOps is a variable in .struct_ops: a table of programs that the
// kernel would install. It is reported, not run.
type StructOps struct {
	Name, TypeName string
	Programs       map[string]string // member to program
}
