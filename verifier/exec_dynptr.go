package verifier

import (
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/verifier/internal/state"
)

// Dynptrs (kernel, struct bpf_dynptr_kern) are 16 opaque bytes on the stack
// that helpers fill in: over a map value ("local"), or over a reservation in a
// ring buffer ("ringbuf"), which is a reference until it is submitted or
// discarded. Slices of one end with it.

const dynptrSize = 16

// dynptr checks argument i of f, which must be a dynptr, or room for one. New
// ones are made by newDynptr, when all arguments are checked.
func (m *machine) dynptr(f *helpers.Func, i int, r state.Reg, c *call) error {
	arg := &f.Proto.Args[i]
	if r.Kind == state.Object && m.s.Objs[r.Obj].Type == "bpf_dynptr" && !arg.Write && !arg.Release {
		c.dynptr = r.Obj // a callback's: it may be read and sliced
		return nil
	}
	frame, off, err := m.slot(f, i, r, dynptrSize)
	if err != nil {
		return err
	}
	o := m.s.PlacedAt(frame, off, dynptrSize/8, state.Dynptr)
	if arg.Uninit {
		switch _, taken := m.s.Special(frame, off, off+dynptrSize); {
		case o != 0 && m.s.Objs[o].Ref:
			return m.badArgument(i, "the dynptr at fp%d holds the reference made at %d", off, m.s.Objs[o].Site)
		case o == 0 && taken:
			return m.badArgument(i, "the stack at fp%d holds part of an iterator or a dynptr", off)
		}
		c.place, c.made = iterPlace{frame, off}, arg.Object
		return nil
	}
	if o == 0 {
		return m.badArgument(i, "there is no dynptr at fp%d", off)
	}
	if have := m.s.Objs[o].Type; arg.Object != "any" && arg.Object != have {
		return m.badArgument(i, "%s wants a dynptr of kind %s, not %s", f.Name, arg.Object, have)
	}
	c.dynptr = o
	if arg.Release {
		c.release = o
		c.place = iterPlace{frame, off}
	}
	return nil
}

// newDynptr puts the dynptr that a call makes where its argument says.
func (m *machine) newDynptr(c *call) error {
	var ref bool
	switch c.made {
	case "local":
		if r := m.s.Reg(1); r.Kind != state.MapValue {
			return m.badArgument(0, "a dynptr over %v memory", r.Kind)
		}
	case "ringbuf":
		ref = true
	default:
		return m.fail(Unsupported, "dynptrs of kind %s", c.made)
	}
	if old := m.s.PlacedAt(c.place.frame, c.place.off, dynptrSize/8, state.Dynptr); old != 0 {
		m.s.ReleaseObj(old) // not a reference: slices of it end
	}
	m.depth(c.place.frame, c.place.off)
	o := m.s.NewObj(state.Obj{Kind: state.Dynptr, Type: c.made, Ref: ref, Site: m.site(ref)})
	m.s.Place(c.place.frame, c.place.off, dynptrSize/8, state.Dynptr, o)
	return nil
}
