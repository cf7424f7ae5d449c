package opt

import (
	"encoding/binary"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// An Inline is a call of the host's that code can do without.
type Inline struct {
	Form InlineForm

	// Lookups and reservations: the map, and how it keeps its values.
	Map    int32
	Layout *maps.Layout
	// Entry is the entry that the call always gets the value of (InlineEntry).
	Entry uint32
	// GivenCPU: the value is that of the CPU in R3, if there is one, and not
	// that of the run's.
	GivenCPU bool

	// Key, if not 0, is one more than the register that holds the key, which is at
	// most Most. R2 is not set then (InlineArray).
	Key  prog.Reg
	Most uint64
	// Test is the instruction after the call, 0 if it is none such, that goes
	// elsewhere if R0 is 0, or if it is not: the call does that, too.
	Test prog.PC
	// Base, if not 0, says that Base-1 of the function's Bases is the address of
	// the map's first value of the run's CPU.
	Base int

	// Size is how many bytes are copied, reserved, or put into a checksum, and
	// From how many are taken out of it.
	Size, From uint32
	// Near: only bytes of the packet up to Near are reached.
	Near bool
	// Drop: the record is not for readers.
	Drop bool
}

// An InlineForm is what code does in place of a call.
type InlineForm uint8

const (
	// InlineCPU: R0 = the run's CPU.
	InlineCPU InlineForm = iota
	// InlineNull: R0 = 0.
	InlineNull
	// InlineEntry: R0 = the address of the run's CPU's value of Entry.
	InlineEntry
	// InlineArray: R0 = the address of the run's CPU's value of the entry
	// whose number is at R2, or 0 if there is none.
	InlineArray
	// InlineIterNew, InlineIterNext and InlineIterDestroy: what the functions
	// on number iterators do with the 8 bytes at R1 (helpers.IterNumNew).
	InlineIterNew
	InlineIterNext
	InlineIterDestroy
	// InlineHash: R0 = the address of the run's CPU's value for the key at R2,
	// or 0 if there is none.
	InlineHash
	// InlineInner: R0 = the handle of the map at R2's key in an array of maps, or 0
	// if there is none.
	InlineInner
	// InlineInnerArray: R0 = the address of the value for the key at R2 of the array
	// whose handle is R1, or 0 if there is none. If R1 is another handle, code calls.
	InlineInnerArray
	// InlineLoadBytes: Size bytes of the packet, the first at offset R2, are
	// copied to R3, and R0 = 0. If they are not all there, code calls.
	InlineLoadBytes
	// InlineStoreBytes: Size bytes at R3 are copied to the packet, the first to
	// offset R2, and R0 = 0. If they do not all fit, code calls.
	InlineStoreBytes
	// InlineCsumDiff: R0 = what helpers.CsumDiff returns for From bytes at R1,
	// Size bytes at R3, and R5.
	InlineCsumDiff
	// InlineRandom: R0 = a random number of 32 bits, from where the host says.
	InlineRandom
	// InlineReserve: R0 = the address of a new record of Size bytes, unless R3
	// is not 0. If there is no room, code calls.
	InlineReserve
	// InlineCommit: the record at R1 becomes whole. If it is not the one that
	// was reserved last, or a reader waits, code calls.
	InlineCommit
	// InlineOutput: a record of the Size bytes at R2 is made, and R0 = 0. If there
	// is no room, or a reader waits, code calls.
	InlineOutput
	// InlineTail: goes on in the program at place R3 of the prog array. If that
	// takes more than a jump, code calls.
	InlineTail
	// InlineCopy: Size bytes at R2 are copied to R1 as if through a buffer, and
	// R0 = R1.
	InlineCopy
)

// Limits of what code does without a loop: bytes that it copies, and that it
// copies through registers.
const (
	maxInlineLoad = 64 // from and to packets, and to ring buffers
	maxInlineCopy = 32
	maxInlineCsum = 64 // in all
)

// Near is the last byte of a packet that some helpers reach.
const Near = 0xffff

// Pieces returns the words that n bytes consist of, the last of which may
// overlap the one before: there are at most four for n up to 32.
func Pieces(n uint32) (pieces []Piece) {
	log := uint8(3)
	for n < 1<<log {
		log--
	}
	at := uint32(0)
	for ; at+1<<log <= n; at += 1 << log {
		pieces = append(pieces, Piece{int32(at), log})
	}
	if at < n {
		pieces = append(pieces, Piece{int32(n - 1<<log), log})
	}
	return pieces
}

// A Piece is a word of a stretch of memory.
type Piece struct {
	At  int32 // from its start
	Log uint8 // it has 1<<Log bytes
}

// reads returns the registers that code reads in place of the call.
func (x *Inline) reads() Regs {
	switch {
	case x.Form == InlineRandom:
		return 0
	case x.Form == InlineReserve:
		return bit(prog.R2) | bit(prog.R3)
	case x.Form == InlineOutput:
		return bit(prog.R2) | bit(prog.R3) | bit(prog.R4)
	case x.Form == InlineTail:
		return bit(prog.R1) | bit(prog.R3)
	case x.Form == InlineCommit:
		return bit(prog.R1) | bit(prog.R2)
	case x.Form == InlineInner:
		return bit(prog.R2)
	case x.Form == InlineInnerArray:
		return bit(prog.R1) | bit(prog.R2)
	case x.Calls():
		return argRegs
	case x.Form == InlineArray:
		return bit(prog.R2)
	case x.Form == InlineIterNew:
		return bit(prog.R1) | bit(prog.R2) | bit(prog.R3)
	case x.Form == InlineIterNext, x.Form == InlineIterDestroy:
		return bit(prog.R1)
	}
	return 0
}

// Misses reports whether code finds out only as it runs that R0 = 0.
func (x *Inline) Misses() bool {
	return x.Form == InlineArray && (x.Key == 0 || x.Most >= uint64(x.Layout.Entries)) ||
		x.Form >= InlineHash && x.Form <= InlineInnerArray || x.GivenCPU
}

// Calls reports whether the call is there for those who want it: code may call all
// the same, or an engine always does.
func (x *Inline) Calls() bool { return x.Form >= InlineHash || x.GivenCPU }

// inline returns what code can do in place of a call of a helper that promises
// form; nil if it calls. f holds at the call.
func (p *Program) inline(form helpers.Inline, f *verifier.Fact) *Inline {
	switch form {
	case helpers.InlineCPU:
		return &Inline{Form: InlineCPU}
	case helpers.InlineIterNew:
		return &Inline{Form: InlineIterNew}
	case helpers.InlineIterNext:
		return &Inline{Form: InlineIterNext}
	case helpers.InlineIterDestroy:
		return &Inline{Form: InlineIterDestroy}
	case helpers.InlineLoadBytes, helpers.InlineLoadNear:
		if n := f.Size; n > 0 && n <= maxInlineLoad {
			return &Inline{Form: InlineLoadBytes, Size: n, Near: form == helpers.InlineLoadNear}
		}
	case helpers.InlineStoreNear:
		if n := f.Size; n > 0 && n <= maxInlineLoad {
			return &Inline{Form: InlineStoreBytes, Size: n, Near: true}
		}
	case helpers.InlineRandom:
		return &Inline{Form: InlineRandom}
	case helpers.InlineMemcpy, helpers.InlineMemmove:
		if n := f.Size; n > 0 && n <= maxInlineCopy {
			return &Inline{Form: InlineCopy, Size: n}
		}
	case helpers.InlineMapLookup:
		return p.lookup(f)
	case helpers.InlinePerCPULookup:
		x := p.lookup(f)
		if x == nil || x.Form != InlineNull && x.Layout.CPUs == 1 {
			return nil // a map of one value per entry, or a host of one CPU
		}
		x.GivenCPU = x.Form != InlineNull
		return x
	}
	return nil
}

// maxInlineKey is the size of the largest key that code hashes and compares.
const maxInlineKey = 64

// lookup returns how code looks a key up, given what is known of the call; nil
// if it calls.
func (p *Program) lookup(f *verifier.Fact) *Inline {
	if f.Inner >= 0 {
		return p.innerLookup(f)
	}
	if f.Map < 0 || f.Map >= len(p.layouts) || p.layouts[f.Map] == nil {
		return nil
	}
	l := p.layouts[f.Map]
	x := &Inline{Map: int32(f.Map), Layout: l}
	switch {
	case l.ValueStride >= 1<<31 || l.CPUStep >= 1<<31 || l.KeyStride >= 1<<31:
		return nil
	case l.Kind == maps.LayoutHash:
		if l.KeySize > maxInlineKey {
			return nil
		}
		x.Form = InlineHash
	case l.Kind == maps.LayoutMaps:
		x.Form = InlineInner
	case f.Key == nil:
		x.Form = InlineArray
	case binary.LittleEndian.Uint32(f.Key) < l.Entries:
		x.Form, x.Entry = InlineEntry, binary.LittleEndian.Uint32(f.Key)
	default:
		x.Form = InlineNull
	}
	return x
}

// innerLookup is lookup for a map that comes from a map of maps.
func (p *Program) innerLookup(f *verifier.Fact) *Inline {
	l := maps.InnerLayout(p.Program.Maps[f.Inner].Inner)
	if l == nil || l.ValueStride >= 1<<31 {
		return nil
	}
	return &Inline{Form: InlineInnerArray, Map: int32(f.Inner), Layout: l}
}
