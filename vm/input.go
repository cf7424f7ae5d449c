package vm

import (
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/checked"
)

// wrongInput returns the error for an input that is not what the type takes.
func (s *slot) wrongInput(got string) error {
	want := map[hook.Input]string{
		hook.InputContext: "the context's bytes",
		hook.InputPacket:  "a []byte or a *vm.Packet",
		hook.InputTyped:   "a pointer to the hook's struct",
	}[s.prog.typ.Input]
	return fmt.Errorf("program %s: programs of type %s take %s, not %s", s.prog.name, s.prog.typ.Name, want, got)
}

// give takes b as the packet or the context.
func (s *slot) give(b []byte) error {
	t := s.prog.typ
	switch t.Input {
	case hook.InputPacket:
		return s.setPacket(helpers.Packet{Buf: b[:len(b):len(b)], Tail: len(b)})
	case hook.InputContext:
		if len(b) > int(t.Ctx.Size) {
			return fmt.Errorf("program %s: %d bytes of context; %s has %d", s.prog.name, len(b), t.Ctx.Name, t.Ctx.Size)
		}
		if t.Prepare != nil {
			t.Prepare(s.Ctx(), &s.pkt)
		}
		if b != nil {
			s.machine.LimitCtx(uint32(len(b)))
			s.copyFields(b, true)
		}
		return nil
	}
	if b != nil {
		return s.wrongInput("a []byte")
	}
	return nil
}

// takeBack copies what the program may have stored in its context to b.
func (s *slot) takeBack(b []byte) { s.copyFields(b, false) }

// copyFields copies between b, in the program's layout, and the host's bytes:
// whole fields that b holds, pointers left out.
func (s *slot) copyFields(b []byte, in bool) {
	fields := s.prog.typ.Ctx.Fields
	for i := range fields {
		f := &fields[i]
		if f.IsPointer() || int(f.Off) >= len(b) || !in && f.Write == 0 {
			continue
		}
		n := min(int(f.Size), int(f.HostSize), len(b)-int(f.Off))
		host, user := s.ctx[f.HostOff:int(f.HostOff)+n], b[f.Off:int(f.Off)+n]
		if in {
			copy(host, user)
		} else {
			copy(user, host)
		}
	}
}

// apply does what the options of one run ask for.
func (s *slot) apply(o *RunOptions) error {
	for name, v := range o.Fields {
		if err := s.prog.typ.Ctx.Set(s.Ctx(), name, v); err != nil {
			return fmt.Errorf("program %s: %w", s.prog.name, err)
		}
	}
	if o.MaxInsns != 0 {
		s.machine.Limit(uint64(max(o.MaxInsns, 0)))
	}
	if o.Observe != nil {
		p := s.prog
		s.machine.Observe = func(c *checked.Code, pc int, regs *[16]uint64) { o.Observe(p, pc, regs) }
	}
	return nil
}

// report fills in what a run has to say besides R0.
func (s *slot) report(o *RunOptions, res *Result, err error) {
	res.Insns = s.machine.Insns()
	t := s.prog.typ
	if t.Input == hook.InputPacket {
		res.Packet = s.pkt.Data()
	}
	res.Fields = map[string]uint64{}
	for i := range t.Ctx.Fields {
		f := &t.Ctx.Fields[i]
		if v, ok := t.Ctx.Get(s.Ctx(), f.Name); ok {
			res.Fields[f.Name] = v
		}
	}
	if err == nil && o.Outcome != nil {
		o.Outcome(s.State())
	}
}
