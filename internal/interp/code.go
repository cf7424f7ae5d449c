package interp

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/internal/opt"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// ErrUnsupported means that a program is safe and yet cannot be compiled, or
// that the host cannot run the loop.
var ErrUnsupported = opt.ErrUnsupported

// Supported returns why programs cannot run on this host; nil if they can. The loop
// loads what is little-endian in memory, as programs are, without a detour.
func Supported() error {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return fmt.Errorf("the host is big-endian: %w", ErrUnsupported)
	}
	return nil
}

// A Call is a function of the host that a program calls.
type Call = opt.Call

// A Binding is what a program is bound to.
type Binding struct {
	// Maps says where the program's maps keep their values, by index; nil where
	// only the map knows.
	Maps []*maps.Layout
	// Value returns the address of the first value of a map, by its index.
	Value func(m int) uint64
	// Impl returns what a call runs; that of a CallPacket gets the offset, in
	// 32 bits, and the size, and returns the value or a negative number. It is
	// not asked about a CallTail.
	Impl func(c Call) helpers.Impl
	// Owner is whatever the caller wants to find again.
	Owner any
}

// A Code is a program that is ready to run. It never changes and may be run by
// any number of machines at once.
type Code struct {
	program *prog.Program
	owner   any
	ops     []op
	pcs     []prog.PC // by op: the last instruction that it stands for
	funcs   []opt.Func
	entry   []int32 // by function: its first op
	impls   []helpers.Impl
	tails   bool
}

// Compile makes the program that v proves safe ready to run. The error wraps
// ErrUnsupported.
func Compile(v *verifier.Verified, b Binding) (*Code, error) {
	if err := Supported(); err != nil {
		return nil, err
	}
	p, err := opt.Prepare(v, b.Maps)
	if err != nil {
		return nil, err
	}
	defer p.Free()
	t := &translator{p: p, b: b, Code: &Code{program: p.Program, owner: b.Owner, funcs: p.Funcs}}
	if err := t.translate(); err != nil {
		return nil, err
	}
	for _, c := range p.Calls {
		var impl helpers.Impl
		if c.Kind == opt.CallTail {
			t.tails = true
		} else {
			impl = b.Impl(c)
		}
		t.impls = append(t.impls, impl)
	}
	return t.Code, nil
}

// Owner returns what Binding.Owner was.
func (c *Code) Owner() any { return c.owner }

// Program returns the program that c was made of.
func (c *Code) Program() *prog.Program { return c.program }

// TailCalls reports whether the program may go on in another.
func (c *Code) TailCalls() bool { return c.tails }

// Weight returns how many instructions the main program has: what a run
// executes beyond what its meter counts.
func (c *Code) Weight() int { return int(c.funcs[0].Weight) }

// Size returns how many bytes of ops there are.
func (c *Code) Size() int { return len(c.ops) * int(unsafe.Sizeof(op{})) }

// function returns the index of the function that handle means, or -1.
func (c *Code) function(handle uint64) int {
	pc := handle ^ funcHandle
	if pc >= uint64(len(c.program.Insns)) {
		return -1
	}
	f := c.program.FuncAt(prog.PC(pc))
	if f < 0 || c.program.Funcs[f].Entry != prog.PC(pc) {
		return -1
	}
	return f
}
