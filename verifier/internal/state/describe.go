package state

import (
	"fmt"
	"strings"

	"github.com/skepvm/skep/verifier/internal/scalar"
)

// A Describer prints one state for people, in the notation of the kernel's
// verifier log (kernel, print_verifier_state). Values have a number only if
// several locations share them: "id=2+4" is value 2, plus 4. String prints what
// is behind it, for debugging.
type Describer struct {
	s       *State
	mapName func(index int32) string
	ids     map[ValID]int // of shared values, numbered by appearance
}

// Describe returns a Describer of s, which must not change while it is used.
func (s *State) Describe(mapName func(index int32) string) *Describer {
	d := &Describer{s: s, mapName: mapName, ids: map[ValID]int{}}
	seen := map[ValID]int{}
	d.locations(func(_ string, r Reg) {
		if r.V >= firstVal {
			seen[r.V]++
		}
	})
	d.locations(func(_ string, r Reg) {
		if seen[r.V] > 1 && d.ids[r.V] == 0 {
			d.ids[r.V] = len(d.ids) + 1
		}
	})
	return d
}

// locations calls f for what is readable, frame by frame.
func (d *Describer) locations(f func(name string, r Reg)) {
	for i := range d.s.Frames {
		d.frame(i, f)
	}
}

func (d *Describer) frame(i int, f func(name string, r Reg)) {
	fr := &d.s.Frames[i]
	for r, x := range fr.Regs {
		if x.Kind != Unreadable {
			f(fmt.Sprintf("R%d", r), x)
		}
	}
	for _, c := range fr.Stack.cells {
		name := fmt.Sprintf("fp%d", c.Off)
		if c.Size != 8 {
			name += fmt.Sprintf("/%d", c.Size)
		}
		f(name, c.Reg)
	}
}

// String returns the registers and the stack of every frame, a line each, and
// what is known of the differences between the values that locations share.
func (d *Describer) String() string {
	var b strings.Builder
	for i := range d.s.Frames {
		if len(d.s.Frames) > 1 {
			fmt.Fprintf(&b, "frame%d: ", i)
		}
		sep := ""
		d.frame(i, func(name string, r Reg) {
			b.WriteString(sep + name + "=" + d.Reg(r))
			sep = " "
		})
		b.WriteByte('\n')
	}
	for _, e := range d.s.Edges {
		if x, y := d.name(e.X), d.name(e.Y); x != "" && y != "" {
			fmt.Fprintf(&b, "  %s <= %s", x, y)
			if e.C != 0 {
				fmt.Fprintf(&b, "%+d", e.C)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// name returns what stands for v in a relation; "" if nothing does.
func (d *Describer) name(v ValID) string {
	switch {
	case v == PacketLen:
		return "packet length"
	case v == MetaLen:
		return "metadata length"
	case d.ids[v] != 0:
		return fmt.Sprintf("id=%d", d.ids[v])
	}
	return ""
}

// Reg returns what is known of r.
func (d *Describer) Reg(r Reg) string {
	switch {
	case r.Kind == Unreadable:
		return "unreadable"
	case r.Kind == Scalar && r.V == Zero:
		return fmt.Sprint(r.C)
	case r.Kind == Scalar:
		return with("scalar", d.numbers(r))
	}
	o := &d.s.Objs[r.Obj]
	kind := r.Kind.String()
	if o.Nullable {
		kind += "_or_null"
	}
	var items []string
	item := func(format string, args ...any) { items = append(items, fmt.Sprintf(format, args...)) }
	switch r.Kind {
	case Stack:
		if int(o.Index) != len(d.s.Frames)-1 {
			kind += fmt.Sprintf("[%d]", o.Index)
		}
		if r.V == Zero && r.C == 0 {
			return kind + "0"
		}
		if r.V == Zero {
			return fmt.Sprintf("%s%+d", kind, r.C)
		}
	case Packet:
		if r.V == PacketLen {
			kind, r.V = "pkt_end", Zero
			break
		}
		item("r=%d", d.proven(r.V))
	case PacketMeta:
	case MapValue, MapKey, MapPtr:
		item("map=%s", d.mapName(o.Index))
		if r.Kind != MapPtr {
			item("size=%d", o.Size)
		}
	case Mem, RingBufMem:
		item("size=%d", o.Size)
	case Func:
		return fmt.Sprintf("func(pc=%d)", o.Index)
	case Object:
		item("type=%s", o.Type)
	}
	if o.Ref {
		item("ref=%d", o.Site)
	}
	switch {
	case r.V != Zero:
		items = append(items, d.numbers(r)...)
	case r.C != 0:
		item("off=%d", r.C)
	}
	return with(kind, items)
}

func with(kind string, items []string) string {
	if len(items) == 0 && kind != "scalar" {
		return kind
	}
	return kind + "(" + strings.Join(items, ",") + ")"
}

// numbers returns what is known of a number, or of a pointer's offset, and its
// id.
func (d *Describer) numbers(r Reg) []string {
	var items []string
	if id := d.ids[r.V]; id != 0 {
		t := fmt.Sprintf("id=%d", id)
		if r.C != 0 {
			t += fmt.Sprintf("%+d", r.C)
		}
		items = append(items, t)
	}
	if n := Ranges(d.s.Num(r)); n != "" {
		items = append(items, n)
	}
	return items
}

// Ranges returns what is known of n without the word for it; "" if nothing is.
func Ranges(n scalar.Scalar) string {
	return strings.TrimSuffix(strings.TrimPrefix(n.String(), "scalar("), ")")
}

// proven returns how many bytes from offset v on are known to be packet.
func (d *Describer) proven(v ValID) int64 {
	if v == Zero {
		return d.s.Vals[PacketLen].Num.SMin()
	}
	if diff, ok := d.s.Diff(v, PacketLen); ok && diff < 0 {
		return -diff
	}
	return 0
}
