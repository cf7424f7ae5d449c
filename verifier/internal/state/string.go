package state

import (
	"fmt"
	"strings"
)

// String returns what s says of every location, close to the notation of the
// kernel's verifier log: registers, then the stack by offset from R10, then
// the bounds between values.
func (s *State) String() string {
	var b strings.Builder
	for i := range s.Frames {
		f := &s.Frames[i]
		if len(s.Frames) > 1 {
			fmt.Fprintf(&b, "frame%d:", i)
		}
		for r, x := range f.Regs {
			if x.Kind != Unreadable && !(r == 10 && x.Kind == Stack) {
				fmt.Fprintf(&b, " R%d=%s", r, s.Text(x))
			}
		}
		for _, c := range f.Stack.cells {
			fmt.Fprintf(&b, " fp%d/%d=%s", c.Off, c.Size, s.Text(c.Reg))
		}
		b.WriteByte('\n')
	}
	if n := s.Vals[PacketLen].Num; n.UMin() > 0 {
		fmt.Fprintf(&b, "  packet=%v\n", n)
	}
	for _, g := range s.Ghosts {
		fmt.Fprintf(&b, "  loop%d %d=%s\n", g.Loop, g.Place.Off, s.Text(g.Reg))
	}
	for _, e := range s.Edges {
		fmt.Fprintf(&b, "  %s - %s <= %d\n", name(e.X), name(e.Y), e.C)
	}
	for v, x := range s.Vals {
		if d := x.Def; d.Op != NoDef {
			fmt.Fprintf(&b, "  %s = %d/%#x(%s%+d, %s%+d)\n", name(ValID(v)), d.Op, uint8(d.ALU), name(d.A), d.AC, name(d.B), d.BC)
		}
	}
	return b.String()
}

func name(v ValID) string {
	switch v {
	case Zero:
		return "0"
	case PacketLen:
		return "packet"
	case MetaLen:
		return "meta"
	}
	return fmt.Sprintf("v%d", v)
}

// Text returns what is known of r.
func (s *State) Text(r Reg) string {
	if r.Kind == Scalar {
		if r.V == Zero {
			return fmt.Sprint(r.C)
		}
		t := name(r.V)
		if r.C != 0 {
			t += fmt.Sprintf("%+d", r.C)
		}
		return t + ":" + s.Num(r).String()
	}
	o := s.Objs[r.Obj]
	t := r.Kind.String()
	if o.Nullable {
		t += "_or_null"
	}
	t += fmt.Sprintf("#%d", r.Obj)
	if r.V != Zero || r.C != 0 {
		t += fmt.Sprintf("(%+d", r.C)
		if r.V != Zero {
			t += "," + name(r.V) + ":" + s.Vals[r.V].Num.String()
		}
		t += ")"
	}
	return t
}
