package verifier

import (
	"slices"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/verifier/internal/state"
)

// Dynptrs (kernel, struct bpf_dynptr_kern) are 16 opaque bytes on the stack
// that helpers fill in: over a map value ("local"), over the packet ("skb",
// "xdp"), or over a reservation in a ring buffer ("ringbuf"), which is a
// reference until it is submitted or discarded. Slices of one end with it, those
// of a packet also when the packet may move. Clones of a reservation are one
// reference, and end together; other clones are dynptrs of their own.

const dynptrSize = 16

// dynptr checks argument i of f, which must be a dynptr, or room for one. New
// ones are made by newDynptr, when all arguments are checked.
func (m *machine) dynptr(f *helpers.Func, i int, r state.Reg, c *call) error {
	arg := &f.Proto.Args[i]
	if r.Kind == state.Object && m.s.Objs[r.Obj].Type == "bpf_dynptr" && !arg.Write && !arg.Release {
		c.dynptr = r.Obj // a callback's: it may be read, sliced, cloned
		return nil
	}
	frame, off, err := m.slot(f, i, r, dynptrSize)
	if err != nil {
		return err
	}
	if arg.Uninit {
		if err := m.roomFor(i, frame, off, dynptrSize); err != nil {
			return err
		}
		c.place, c.made = iterPlace{frame, off}, arg.Object
		if arg.Object == "clone" {
			c.cloned = c.dynptr
		}
		return nil
	}
	o := m.s.PlacedAt(frame, off, dynptrSize/8, state.Dynptr)
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

// roomFor checks that argument i, size bytes of a frame, may become an iterator or
// a dynptr: other dynptrs that lie there end, unless they hold a reference.
func (m *machine) roomFor(i, frame, off, size int) error {
	for at := off; at < off+size; at += 8 {
		switch c, taken := m.s.Special(frame, at, at+8); {
		case taken && c.Reg.Kind != state.Dynptr:
			return m.badArgument(i, "the stack at fp%d holds part of an iterator", at)
		case taken && m.s.Objs[m.s.Root(c.Reg.Obj)].Ref:
			return m.badArgument(i, "the dynptr at fp%d holds the reference made at %d", at, m.s.Objs[m.s.Root(c.Reg.Obj)].Site)
		}
	}
	return nil
}

// newDynptr puts the dynptr that a call makes where its argument says.
func (m *machine) newDynptr(c *call) error {
	obj := state.Obj{Kind: state.Dynptr, Type: c.made}
	switch c.made {
	case "local":
		r := m.s.Reg(1)
		if r.Kind != state.MapValue {
			return m.badArgument(0, "a dynptr over %v memory", r.Kind)
		}
		if spec := m.sv.spec(m.s.Objs[r.Obj].Index); spec.ProgramFlags()&maps.WriteOnlyProg != 0 {
			return m.fail(ReadOnly, "argument 1: map %s does not allow programs to read, as a dynptr would let them", spec.Name)
		}
	case "ringbuf":
		obj.Ref = true
		obj.Site = m.site(true)
	case "skb", "xdp":
	case "clone":
		of := m.s.Objs[c.cloned]
		if obj.Type = of.Type; of.Kind == state.Object {
			obj.Type = state.Lent // a callback's
		}
		if m.s.Objs[m.s.Root(c.cloned)].Ref {
			obj = m.s.ChildOf(obj, c.cloned)
		}
	default:
		return m.fail(Unsupported, "dynptrs of kind %s", c.made)
	}
	m.overwrite(c.place.frame, c.place.off, c.place.off+dynptrSize)
	m.depth(c.place.frame, c.place.off)
	m.s.Place(c.place.frame, c.place.off, dynptrSize/8, state.Dynptr, m.s.NewObj(obj))
	return nil
}

// isPacketDynptr reports whether o is a dynptr of a packet.
func isPacketDynptr(o *state.Obj) bool {
	return o.Kind == state.Dynptr && (o.Type == "skb" || o.Type == "xdp")
}

// movesPacket reports whether a call of f may move the packet.
func (m *machine) movesPacket(f *helpers.Func, c *call) bool {
	return f.Proto.ChangesPacket || is(f, helpers.DynptrWrite) && c.dynptr != 0 && m.s.Objs[c.dynptr].Type == "skb"
}

// mayMovePacket is movesPacket for a call of which only the callee is known.
func mayMovePacket(f *helpers.Func) bool { return f.Proto.ChangesPacket || is(f, helpers.DynptrWrite) }

// isLent reports whether o is a dynptr that a callback got, or a clone of one.
func isLent(o *state.Obj) bool {
	return o.Kind == state.Object && o.Type == "bpf_dynptr" || o.Type == state.Lent
}

// endLent ends the dynptrs that callbacks of f get, with their clones and the
// slices of both, wherever the callback has left them.
func (m *machine) endLent(f *helpers.Func) {
	if f == nil || !slices.ContainsFunc(f.Proto.Body[:], func(a helpers.Arg) bool { return a.Kind == helpers.ArgDynptr }) {
		return
	}
	m.s.ForgetObjs(isLent)
}
