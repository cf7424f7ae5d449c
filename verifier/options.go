package verifier

import (
	"fmt"
	"time"

	"github.com/skepvm/skep/prog"
)

// Options says which rules hold and how much work a proof may take. The zero
// value has the kernel's rules for a privileged loader (CAP_BPF and
// CAP_PERFMON) and requires that every loop provably ends.
type Options struct {
	// AllowUnbounded accepts loops whose end is not proven. The engine must
	// then bound a run by a budget.
	AllowUnbounded bool
	// MaxWorstCase is the largest worst case, in instructions, that still
	// counts as terminating. Zero means DefaultMaxWorstCase.
	MaxWorstCase int64

	// Strict has the rules for programs of strangers: no pointer may leak to
	// where it can be read, no uninitialised stack byte may be read.
	Strict bool

	// Invariants keeps every state of the exploration, so that Verified.Watch
	// can compare runs with them. It takes memory.
	Invariants bool

	// Observe, if it is not nil, is told what is known before each instruction
	// that is visited, as often as it is: the registers and the stack, in the
	// notation of the kernel's verifier log. invariant is valid during the call
	// only.
	Observe func(pc prog.PC, invariant fmt.Stringer)

	// CheckLicense refuses helpers and kfuncs that are for GPL programs to
	// programs whose license is not compatible with it, as the kernel does.
	CheckLicense bool

	// MaxPacket is the longest packet, in bytes, that the host will run the
	// program on. Zero means DefaultMaxPacket.
	MaxPacket uint64

	// Limits on the work of one proof. Reaching one gives an *Error whose Code
	// is Limit. Zero means the default.
	MaxVisits int64 // instructions visited
	MaxStates int   // states stored
	MaxBytes  int64 // memory of what the proof keeps: Stats.Bytes
	MaxTime   time.Duration
}

// Defaults of Options.
const (
	DefaultMaxWorstCase = 1 << 40
	DefaultMaxPacket    = 1 << 24
	DefaultMaxVisits    = 4_000_000
	DefaultMaxStates    = 200_000
	DefaultMaxBytes     = 128 << 20
	DefaultMaxTime      = 30 * time.Second
)

func (o Options) filled() Options {
	if o.MaxWorstCase == 0 {
		o.MaxWorstCase = DefaultMaxWorstCase
	}
	if o.MaxPacket == 0 {
		o.MaxPacket = DefaultMaxPacket
	}
	if o.MaxVisits == 0 {
		o.MaxVisits = DefaultMaxVisits
	}
	if o.MaxStates == 0 {
		o.MaxStates = DefaultMaxStates
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxTime == 0 {
		o.MaxTime = DefaultMaxTime
	}
	return o
}
