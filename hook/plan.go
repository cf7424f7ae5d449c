package hook

// A plan says which bytes of a Go struct are which bytes of the context, so
// that a run copies without looking at types.
type plan struct {
	in  []span // host to program
	out []span // what programs may write, back
}

// A span is n bytes at goOff of the Go struct and off of the context.
type span struct {
	goOff, off, n int
	isBool        bool
}

// planOf makes the plan of m's members, m being at goOff of the Go struct.
func planOf(m *member, goOff uintptr) plan {
	var p plan
	for i := range m.members {
		c := &m.members[i]
		at := goOff + c.goOff
		switch c.kind {
		case memberPacket:
		case memberStruct:
			q := planOf(c, at)
			for _, s := range q.in {
				p.in = addSpan(p.in, s)
			}
			for _, s := range q.out {
				p.out = addSpan(p.out, s)
			}
		default:
			s := span{int(at), int(c.off), int(c.bytes()), c.kind == memberBool}
			p.in = addSpan(p.in, span{s.goOff, s.off, s.n, false})
			if c.rw {
				p.out = addSpan(p.out, s)
			}
		}
	}
	return p
}

// addSpan appends s, joined with the last span if both go on there.
func addSpan(spans []span, s span) []span {
	if n := len(spans); n > 0 {
		if l := &spans[n-1]; !l.isBool && !s.isBool && l.goOff+l.n == s.goOff && l.off+l.n == s.off {
			l.n += s.n
			return spans
		}
	}
	return append(spans, s)
}

func (p *plan) encode(ctx, v []byte) {
	for i := range p.in {
		s := &p.in[i]
		copy(ctx[s.off:s.off+s.n], v[s.goOff:s.goOff+s.n])
	}
}

// decode makes a bool of any byte: Go's must be 0 or 1.
func (p *plan) decode(ctx, v []byte) {
	for i := range p.out {
		s := &p.out[i]
		if s.isBool {
			v[s.goOff] = 0
			if ctx[s.off] != 0 {
				v[s.goOff] = 1
			}
			continue
		}
		copy(v[s.goOff:s.goOff+s.n], ctx[s.off:s.off+s.n])
	}
}
