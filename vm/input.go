package vm

import (
	"fmt"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/checked"
	"github.com/skepvm/skep/internal/mem"
)

// give takes in as the run's input.
func (s *slot) give(in any) error {
	switch v := in.(type) {
	case nil:
		return s.giveBytes(nil)
	case []byte:
		return s.giveBytes(v)
	case *Packet:
		if v == nil || !s.prog.hasPacket {
			return s.wrongInput(in)
		}
		return s.setPacket(v)
	}
	return s.wrongInput(in)
}

// giveBytes takes b as the packet or, for types without one, as the context.
func (s *slot) giveBytes(b []byte) error {
	t := s.prog.typ
	switch {
	case s.prog.hasPacket:
		return s.setPacket(&helpers.Packet{Buf: b[:len(b):len(b)], Tail: len(b)})
	case t.Input == hook.InputTyped && b != nil:
		return s.wrongInput(b)
	case len(b) > int(t.Ctx.Size):
		return fmt.Errorf("program %s: %d bytes of context; %s has %d", s.prog.name, len(b), t.Ctx.Name, t.Ctx.Size)
	}
	t.Fill(s.Ctx(), &s.pkt)
	if b != nil {
		s.machine.LimitCtx(uint32(len(b)))
		if len(b) < int(t.Ctx.Size) {
			s.exec = &s.reference // the others trust the whole context to be there
		}
		s.copyFields(b, true)
	}
	return nil
}

// wrongInput returns the error for an input that is not what the type takes.
func (s *slot) wrongInput(in any) error {
	want := "the context's bytes"
	switch {
	case s.prog.typ.Input == hook.InputTyped:
		want = "the hook's struct (vm.RunTyped)"
	case s.prog.hasPacket:
		want = "a []byte or a *vm.Packet"
	}
	return fmt.Errorf("program %s: programs of type %s take %s, not a %T", s.prog.name, s.prog.typ.Name, want, mem.Borrow(in))
}

// takeBack hands what the program changed back to in.
func (s *slot) takeBack(in any) {
	switch v := in.(type) {
	case *Packet:
		v.Buf, v.Meta, v.Head, v.Tail = s.pkt.Buf, s.pkt.Meta, s.pkt.Head, s.pkt.Tail
	case []byte:
		if !s.prog.hasPacket {
			s.copyFields(v, false)
		}
	}
}

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
	for name, object := range o.Objects {
		if err := s.point(name, object); err != nil {
			return err
		}
	}
	if o.State != nil {
		o.State(s.State())
	}
	if o.MaxInsns != 0 {
		s.run.MaxInsns = uint64(max(o.MaxInsns, 0))
		s.machine.Limit(s.run.MaxInsns)
	}
	if o.Observe != nil {
		s.exec = &s.reference
		s.machine.Observe = func(c *checked.Code, pc int, regs *[16]uint64) { o.Observe(c.Owner().(*Program), pc, regs) }
	}
	return nil
}

// report fills in what a run has to say besides R0.
func (s *slot) report(o *RunOptions, res *Result, err error) {
	res.Insns = s.exec.insns()
	t := s.prog.typ
	if s.prog.hasPacket {
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
