// Package hook says what a hook point promises its programs: the Type of a
// program (its context, the values it may return, the helpers it may call, the
// ELF sections that name it) and the Platform that a set of types belongs to.
//
// Package hook/linux is the bundled platform. Define makes a Type from a Go
// struct, for hook points of a host's own. Types never change after they are
// built and may be shared by any number of goroutines. The package runs no
// code.
package hook

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/helpers"
)

// A Type is a program type.
type Type struct {
	// Name is the kernel's BPF_PROG_TYPE_* in lower case ("xdp",
	// "sched_cls"), or a host's own name.
	Name string
	// Attach is the attach type for which this Type differs from others of
	// the same Name, without "BPF_" and in lower case ("xdp_devmap"); empty
	// for the usual one.
	Attach string
	// Ctx describes the object that R1 points to.
	Ctx Ctx
	// BTF is the context's C struct; nil if only Ctx describes it.
	BTF *btf.Type
	// Objects are the layouts of host objects that programs may read through
	// pointers to them, by the name that Field.Object and helpers.Ret.Object
	// give; an object that is not here can only be passed to helpers.
	Objects map[string]*Ctx
	// Input says what a run of such a program takes.
	Input Input
	// Return bounds the program's R0, as a signed 64-bit value. The verifier
	// enforces it.
	Return Range
	// Helpers are the functions that programs may call.
	Helpers *helpers.Set
	// Verdicts names return values for people ("XDP_PASS"); may be nil.
	Verdicts map[int64]string
	// PacketWrite: programs may store to the packet.
	PacketWrite bool
	// LegacyPacket: programs may use the legacy packet loads LD_ABS and LD_IND.
	LegacyPacket bool
	// Initial is how the host's bytes of the context begin, whatever the packet;
	// zeros follow. It has no pointers.
	Initial []byte
	// Prepare fills the host's bytes of the context (Initial before) with what
	// follows from the packet, such as its length and protocol; nil: nothing
	// does. It runs before each run; a value that the user sets by name is
	// stored after it. It must leave packet pointers alone, and allocate
	// nothing.
	Prepare func(ctx []byte, pkt *helpers.Packet)
	// Sections are the ELF section names that mean this type on a Platform
	// that Extend made; nil: its Name.
	Sections []string
	// NewState makes the helpers' state of one run (Env.State); nil: none. A
	// run slot calls it once and Reset before each run after that.
	NewState func() State
}

// Check reports why t cannot be used: its context contradicts itself, its
// return range is empty, or it promises a packet that its context lacks. The
// error names the type.
func (t *Type) Check() error {
	err := t.Ctx.Check()
	switch {
	case err != nil:
	case t.Name == "":
		err = errors.New("no name")
	case t.Return.Min > t.Return.Max:
		err = fmt.Errorf("no value lies in the return range [%d, %d]", t.Return.Min, t.Return.Max)
	case t.Input > InputTyped:
		err = fmt.Errorf("unknown input %d", t.Input)
	case t.Ctx.hasKind(FieldPacket) != t.Ctx.hasKind(FieldPacketEnd):
		err = errors.New("the context has one end of the packet and not the other")
	case len(t.Initial) > int(t.Ctx.HostSize):
		err = fmt.Errorf("%d bytes to begin with, and the context has %d", len(t.Initial), t.Ctx.HostSize)
	case t.initialPointer() != "":
		err = fmt.Errorf("the context begins with a pointer in %s", t.initialPointer())
	case t.PacketWrite && !t.Ctx.hasKind(FieldPacket):
		err = errors.New("programs may write the packet, yet the context has none")
	}
	if err != nil {
		return fmt.Errorf("program type %s: %w", t.Name, err)
	}
	return nil
}

// initialPointer returns the name of a pointer that Initial sets; empty: of none.
func (t *Type) initialPointer() string {
	for _, f := range t.Ctx.Fields {
		if f.Kind == FieldScalar || f.Kind == FieldBytes {
			continue
		}
		for at := int(f.HostOff); at < int(f.HostOff+f.HostSize) && at < len(t.Initial); at++ {
			if t.Initial[at] != 0 {
				return f.Name
			}
		}
	}
	return ""
}

// Fill makes ctx, the host's bytes of a context, all zero, what it is for pkt before
// a run: Initial, then what Prepare makes of it.
func (t *Type) Fill(ctx []byte, pkt *helpers.Packet) {
	copy(ctx, t.Initial)
	if t.Prepare != nil {
		t.Prepare(ctx, pkt)
	}
}

// Verdict returns the name of the return value r0, such as "XDP_PASS", or r0
// in decimal. Programs return an int, so the low 32 bits name it too.
func (t *Type) Verdict(r0 uint64) string {
	if s, ok := t.Verdicts[int64(r0)]; ok {
		return s
	}
	if s, ok := t.Verdicts[int64(int32(r0))]; ok {
		return s
	}
	return strconv.FormatInt(int64(r0), 10)
}

// State is what helpers of one program type keep during a run.
type State interface{ Reset() }

// An Input says what a run is given besides the program.
type Input uint8

const (
	InputContext Input = iota // the context's bytes
	InputPacket               // a packet; the context is filled from it
	InputTyped                // a Go struct (see Define)
)

// A Range is the set of values x with Min ≤ x ≤ Max.
type Range struct{ Min, Max int64 }

// AnyReturn is the range of types whose R0 is not restricted.
var AnyReturn = Range{-1 << 63, 1<<63 - 1}

// A Platform is a family of program types that share helper numbers, section
// names and map numbers.
type Platform interface {
	Name() string
	// Types returns every type, in a stable order.
	Types() []*Type
	// Type returns the type called name, or nil.
	Type(name string) *Type
	// Section returns the type that an ELF section's name means. ok is false
	// if it names none: the caller must then be told the type.
	Section(name string) (s Section, ok bool)
}

// A Section is what an ELF section's name says of the programs in it.
type Section struct {
	Type      *Type
	Attach    string // attach target in the name ("kprobe/NAME": NAME); recorded, not acted on
	Sleepable bool
}
