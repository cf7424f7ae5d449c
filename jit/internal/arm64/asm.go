package arm64

import (
	"fmt"

	"github.com/skepvm/skep/jit/internal/emit"
)

// An Asm writes instructions into its buffer. Labels, marks and Finish are the
// buffer's.
type Asm struct {
	*emit.Buffer
}

// NewAsm returns an Asm with an empty buffer.
func NewAsm() *Asm { return &Asm{emit.NewBuffer(forms, pad)} }

// insn appends one instruction word.
func (a *Asm) insn(word uint32) { a.Put(uint64(word), 4) }

// sf returns the bit that makes an instruction 64 bits wide.
func (w Width) sf() uint32 { return uint32(w) << 31 }

// rrr appends an instruction with three registers in the usual places.
func (a *Asm) rrr(op uint32, d, n, m Reg) { a.insn(op | m.n()<<16 | n.n()<<5 | d.n()) }

// rr appends an instruction with two registers.
func (a *Asm) rr(op uint32, d, n Reg) { a.insn(op | n.n()<<5 | d.n()) }

// must panics unless ok: the caller asked for what no instruction can encode.
func must(ok bool, what string, v any) {
	if !ok {
		panic(fmt.Sprintf("BUG: %s cannot encode %v", what, v))
	}
}
