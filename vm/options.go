package vm

import (
	"errors"
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/verifier"
)

// An Engine is a way to run programs.
type Engine string

const (
	// Auto is the fastest engine that this host has and the program can run
	// in: JIT, on linux with amd64 or arm64, else Interp. Program.Engine says
	// which it is, and why none that is faster.
	Auto Engine = ""
	// Checked is the reference interpreter, which checks every access.
	Checked Engine = "checked"
	// JIT is machine code. Loading a program of which there can be none fails.
	// Machine code does not check accesses, which the proof has done; stack
	// bytes that a program reads without having written them are 0. It counts
	// instructions at the heads of loops and on entry to subprograms, for the
	// longest way from there, and the main program's all at once: what Stats
	// counts is at least what was executed. A run never executes more than
	// MaxInsns, or, if that is more, than the main program's length. A program
	// that makes no tail calls and is proven to end within 32768 instructions, or
	// 262144 if it calls no helper and needs little memory, is not counted on its
	// way: its length is its worst case.
	JIT Engine = "jit"
	// Interp is the fast interpreter, for every little-endian host. It trusts
	// the proof and counts instructions as machine code does.
	Interp Engine = "interp"
)

// ParseEngine returns the engine called name: "auto", "jit", "interp" or "checked".
func ParseEngine(name string) (Engine, error) {
	switch name {
	case "auto", "":
		return Auto, nil
	case string(Checked), string(JIT), string(Interp):
		return Engine(name), nil
	}
	return Auto, fmt.Errorf("unknown engine %q: there are auto, jit, interp and checked", name)
}

// A Verify says which programs Load makes ready to run without a proof that
// they are safe: that they never end with a *Fault for what they do to memory,
// and that their loops end. Options.Rules has the details.
type Verify uint8

const (
	// VerifyAuto needs a proof unless Engine is Checked, which checks each
	// access as it happens. Of a program that the verifier refuses,
	// Collection.Err wraps the *verifier.Error.
	VerifyAuto Verify = iota
	// VerifyOptional is VerifyAuto, except that Auto runs a program without a
	// proof in the checked interpreter. Program.Engine gives the verifier's
	// reason.
	VerifyOptional
	// VerifyRequire needs a proof whatever the engine.
	VerifyRequire
)

// Limits that Options may change, and one that they may not.
const (
	// DefaultMaxInsns bounds a run when Options.MaxInsns is 0: about a second
	// in the checked interpreter.
	DefaultMaxInsns = 1 << 28
	// DefaultMaxBytes bounds the maps of a collection when Options.MaxBytes
	// is 0.
	DefaultMaxBytes = 1 << 30
	// MaxPacket is the largest packet, headroom and tailroom included: what
	// offsets of 16 bits can reach, as in the kernel, and some room.
	MaxPacket = 128 << 10
)

// Options says how an object is loaded. With the zero value programs must be
// proven safe and run as fast as the host can. For programs of unknown origin
// choose Engine Checked, which trusts no proof (see SECURITY.md).
type Options struct {
	// Engine runs the programs.
	Engine Engine

	// Verify says whether programs must be proven safe, and Rules by which
	// rules. Rules.MaxPacket is MaxPacket, whatever is set. Unless Rules.Strict
	// is set, proven programs may read bytes of their stack that they have not
	// written, as with AllowUninitStack. Rules.CheckLicense counts without a proof too.
	Verify Verify
	Rules  verifier.Options

	// Maps replaces maps of the object, by name: the collection uses the map
	// given here, which must have the same type and sizes, and does not close
	// it. This is how collections share maps, how a map outlives a
	// collection, and how a host's own map comes in. A name that the object
	// does not have is an error.
	Maps map[string]maps.Map

	// Pins is where maps are that an object asks to be pinned (LIBBPF_PIN_BY_NAME):
	// collections loaded with the same registry share them. One that is there
	// must be what the object describes; it is left as it is, but for programs
	// that the object puts into a program array. Without a registry each
	// collection has maps of its own.
	Pins *maps.Registry

	// Helpers and Kfuncs are added to what each program type offers, or
	// replace it. What replaces loop, for_each_map_elem or map_lookup_elem
	// under the same name and contract must also do what they do: proofs rely
	// on indices below the count, and on arrays that have all their elements.
	Helpers map[helpers.ID]*helpers.Func
	Kfuncs  map[string]*helpers.Func

	// Host is what programs learn of the world outside. Fields that are nil
	// get the real thing, or with Deterministic a fake.
	Host helpers.Host
	// Deterministic makes runs repeatable: each collection has a clock that
	// starts at one second and advances by 1000 ns whenever it is read, the
	// random numbers of a generator with a fixed seed, and one CPU, number 0.
	// Runs that are to repeat must not be concurrent. Timers of map values do not
	// fire; see ManualClock for a clock of the host's. A field that Host gives
	// stays as it is.
	Deterministic bool

	// CallbackError is called with the error of a timer's callback, which runs on
	// its own: nobody else gets it. It must not wait. Without it such errors
	// count in Stats alone, and a helper that panics ends the process.
	CallbackError func(p *Program, err error)

	// MaxInsns is how many instructions one run may execute. 0 means
	// DefaultMaxInsns; a negative value means no limit.
	MaxInsns int64
	// MaxBytes is how much memory the maps of the collection may take when
	// full, those in Maps left out. 0 means DefaultMaxBytes; a negative value
	// means no limit but the process's.
	MaxBytes int64
	// AllowUninitStack lets programs read bytes of their stack that they have
	// not written, as the kernel does for privileged users; they read 0.
	// Without it such a read is a fault. Registers are checked always.
	AllowUninitStack bool

	// RequireAll makes Load fail if one program cannot be loaded. Without it
	// the others can be used, and Collection.Err says what is wrong with it.
	RequireAll bool
	// PerfMap names machine code for Linux perf: its functions are appended to
	// /tmp/perf-PID.map as bpf:program:function when they are loaded, and stay
	// there. Load fails if they cannot be. Elsewhere it does nothing.
	PerfMap bool
	// Timing makes Stats count time, which costs two readings of the clock
	// per run.
	Timing bool
}

// Errors that callers branch on.
var (
	ErrClosed     = errors.New("the collection is closed")
	ErrNoProgram  = errors.New("no such program")
	ErrMaxInsns   = errors.New("instruction limit reached") // a run was ended by MaxInsns
	ErrPacketSize = errors.New("packet too large")
)

func (o *Options) maxInsns() uint64 {
	switch {
	case o.MaxInsns == 0:
		return DefaultMaxInsns
	case o.MaxInsns < 0:
		return 0
	}
	return uint64(o.MaxInsns)
}

func (o *Options) maxBytes() uint64 {
	switch {
	case o.MaxBytes == 0:
		return DefaultMaxBytes
	case o.MaxBytes < 0:
		return 1<<64 - 1
	}
	return uint64(o.MaxBytes)
}
