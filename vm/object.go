package vm

import (
	"encoding/binary"
	"fmt"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/internal/mem"
)

// Host objects that context fields point to. A field that may be null is null
// unless the run is given an object.

// An object is a host object that the context always leads to. A run that is not
// given one has one of zeros: a proven program uses the pointer without a look.
type object struct {
	off      uint32 // of the context's field in the host's bytes
	at       int    // of the zeros in a slot's space
	size     int
	writable bool
}

// zeros is what Env.Object says of an object of zeros.
type zeros struct{}

// findObjects finds the objects of p's context.
func (p *Program) findObjects() {
	for i := range p.typ.Ctx.Fields {
		f := &p.typ.Ctx.Fields[i]
		if f.Kind != hook.FieldObject || f.Nullable {
			continue
		}
		size, writable := objectForm(p.typ, f)
		p.objects = append(p.objects, object{f.HostOff, p.ctxRoom + p.objRoom, size, writable})
		p.objRoom += size
	}
}

// objectForm returns how many bytes programs may see through field f, a multiple
// of 8, and whether they may write to any.
func objectForm(t *hook.Type, f *hook.Field) (size int, writable bool) {
	c := t.Objects[f.Object]
	if c == nil {
		return 8, false // programs only pass it on
	}
	return int(c.Size+7) &^ 7, c.Writable()
}

// placeZeros makes a field of the context point to an object of zeros.
func (s *slot) placeZeros(o *object) {
	s.lend(o.off, s.space[o.at:o.at+o.size:o.at+o.size], o.writable, zeros{})
}

// lend makes the context's field at off point to b, the memory of o.
func (s *slot) lend(off uint32, b []byte, writable bool, o any) {
	addr := s.machine.Space.Add("a host object", mem.Plain, b, !writable)
	s.lent = append(s.lent, lent{addr, uint64(len(b)), o})
	binary.NativeEndian.PutUint64(s.ctx[off:], addr)
}

// point makes the context field called name point to o.
func (s *slot) point(name string, o hook.Object) error {
	t := s.prog.typ
	f := t.Ctx.Field(name)
	switch {
	case f == nil:
		return fmt.Errorf("program %s: %s has no field %q", s.prog.name, t.Ctx.Name, name)
	case f.Kind != hook.FieldObject:
		return fmt.Errorf("program %s: %s.%s points to no object", s.prog.name, t.Ctx.Name, name)
	case o == nil:
		return fmt.Errorf("program %s: %s.%s: no object", s.prog.name, t.Ctx.Name, name)
	}
	b := o.Memory(f.Object)
	if b == nil {
		return fmt.Errorf("program %s: %s.%s: the %T is no %s", s.prog.name, t.Ctx.Name, name, o, f.Object)
	}
	size, writable := objectForm(t, f)
	if c := t.Objects[f.Object]; c != nil && len(b) < int(c.Size) || len(b) == 0 {
		return fmt.Errorf("program %s: %s.%s: the memory of a %s has %d bytes, not %d", s.prog.name, t.Ctx.Name, name, f.Object, len(b), size)
	}
	s.lend(f.HostOff, b, writable, o)
	return nil
}
