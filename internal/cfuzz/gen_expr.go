package main

import (
	"fmt"
	"strings"
)

// expr returns an expression of type t without side effects and without
// undefined behaviour.
func (g *gen) expr(t ctype, depth int) string {
	if depth <= 0 || g.one(6) {
		return g.leaf(t)
	}
	u := t.unsigned()
	a := func() string { return g.expr(t, depth-1) }
	w := func() string { return g.expr(u, depth-1) }
	s := func(format string, args ...any) string {
		return "(" + t.name + ")(" + fmt.Sprintf(format, args...) + ")"
	}
	wide := u.bits
	switch g.r.IntN(22) {
	case 0, 1, 2, 3:
		return s("%s %s %s", a(), g.pick("+", "-", "*", "&", "|", "^", "+", "-"), a())
	case 4, 5:
		return s("%s", g.expr(g.anyType(), depth-1))
	case 6:
		return s("%s%s", g.pick("-", "~", "!"), a())
	case 7, 8:
		return s("%s", g.shift(t, depth))
	case 9, 10:
		return s("%s", g.divide(t, depth))
	case 11:
		return s("%s ? %s : %s", g.cond(depth-1), a(), a())
	case 12:
		return s("%s", g.cond(depth-1))
	case 13:
		return s("%s", g.bits(depth))
	case 14:
		return s("rol%d(%s, %s)", wide, w(), g.count(wide, depth))
	case 15:
		n := 8 << g.r.IntN(2)
		return s("rol%d(%s, %s)", n, w(), g.count(n, depth))
	case 16:
		x, y := a(), a()
		return s("%s %s %s ? %s : %s", x, g.pick("<", ">", "<=", ">="), y, x, y)
	case 17:
		f := g.pick("satadd32", "satadd64", "satsub32", "satsub64", "carry", "mulhi")
		return s("%s(%s, %s)", f, g.expr(types[6], depth-1), g.expr(types[6], depth-1))
	case 18:
		return s("%s(%s)", g.pick("csum", "ssat16", "__builtin_abs", "__builtin_llabs"), a())
	case 19:
		return s("%s", g.nearly(depth))
	case 20: // a constant operand
		return s("%s %s %s", a(), g.pick("+", "-", "*", "&", "|", "^"), g.constant(t))
	default: // carries and conditions in sums
		return s("%s %s (%s)", a(), g.pick("+", "-", "|", "^"), g.cond(depth-1))
	}
}

// leaf returns a variable or a constant.
func (g *gen) leaf(t ctype) string {
	if g.one(6) {
		return g.constant(t)
	}
	return "((" + t.name + ")" + g.read() + ")"
}

// read returns something that can be read.
func (g *gen) read() string {
	for {
		switch g.r.IntN(14) {
		case 0, 1, 2, 3, 4, 5:
			if len(g.vars) > 0 {
				return g.vars[g.r.IntN(len(g.vars))].text
			}
		case 6:
			if len(g.ro) > 0 {
				return g.ro[g.r.IntN(len(g.ro))].text
			}
		case 7, 8:
			if g.packet {
				return g.packetByte()
			}
		case 9:
			if g.ctx && g.tc {
				return g.pick("ctx->len", "ctx->mark", "ctx->priority", "ctx->cb[0]", "ctx->cb[3]", "ctx->tc_index")
			}
		case 10:
			t := types[g.r.IntN(8)]
			if g.one(4) {
				return "conf_" + t.name
			}
			return fmt.Sprintf("tab_%s[%s]", t.name, g.index(16))
		default:
			return g.lvalue().text
		}
	}
}

// packetByte returns bytes of the packet, at a constant offset or a masked one.
func (g *gen) packetByte() string {
	t := types[g.r.IntN(8)]
	n := t.bits / 8
	off := g.r.IntN(room - n + 1)
	if !t.signed && n > 1 && g.one(3) { // any address
		return fmt.Sprintf("(*(%su *)(pkt + %d))", t.name, off)
	}
	if off = off / n * n; g.one(2) {
		return fmt.Sprintf("(*(%s *)(pkt + %d))", t.name, off)
	}
	if !t.signed && n > 1 && g.one(2) {
		return fmt.Sprintf("__builtin_bswap%d(*(%s *)(pkt + %d))", t.bits, t.name, off)
	}
	return fmt.Sprintf("((%s *)pkt)[%s]", t.name, g.packetIndex(room/n))
}

func (g *gen) packetIndex(n int) string {
	if g.masked {
		return g.index(n)
	}
	return fmt.Sprint(g.r.IntN(n))
}

// index returns an index below n, a power of two.
func (g *gen) index(n int) string {
	switch {
	case g.one(2):
		return fmt.Sprint(g.r.IntN(n))
	case len(g.vars) > 0:
		v := g.vars[g.r.IntN(len(g.vars))]
		if g.one(4) && v.bits == v.t.bits && v.t.bits >= 8 && n <= 64 {
			return fmt.Sprintf("(u%d)%s >> %d", v.t.bits, v.text, v.t.bits-log2(n))
		}
		return fmt.Sprintf("%s & %d", v.text, n-1)
	}
	return fmt.Sprintf("st.q[0] & %d", n-1)
}

func log2(n int) (k int) {
	for n > 1 {
		n, k = n/2, k+1
	}
	return k
}

// lvalue returns something that can be written.
func (g *gen) lvalue() lvalue {
	for {
		t := types[g.r.IntN(8)]
		switch g.r.IntN(12) {
		case 0, 1, 2, 3:
			if len(g.vars) > 0 {
				return g.vars[g.r.IntN(len(g.vars))]
			}
		case 4:
			if len(g.arrays) > 0 {
				a := g.arrays[g.r.IntN(len(g.arrays))]
				return lvalue{fmt.Sprintf("%s[%s]", a.text, g.index(a.n)), a.t, a.t.bits}
			}
		case 5:
			if len(g.words) > 0 {
				return g.part(g.words[g.r.IntN(len(g.words))], func(n int) string { return fmt.Sprint(g.r.IntN(n)) }) // clang indexes by |
			}
		case 6:
			if len(g.records) > 0 {
				return g.field(g.records[g.r.IntN(len(g.records))])
			}
		case 7:
			if g.packet {
				n := t.bits / 8
				return lvalue{fmt.Sprintf("((%s *)pkt)[%s]", t.name, g.packetIndex(room/n)), t, t.bits}
			}
		case 8:
			if len(g.values) > 0 {
				return g.member(g.values[g.r.IntN(len(g.values))])
			}
			if len(g.smalls) > 0 {
				return lvalue{fmt.Sprintf("%s->q[%s]", g.smalls[g.r.IntN(len(g.smalls))], g.index(2)), types[6], 64}
			}
		case 9:
			if g.ctx && g.tc {
				return lvalue{g.pick("ctx->mark", "ctx->priority", "ctx->cb[0]", "ctx->cb[3]", "ctx->cb[4]"), types[4], 32}
			}
		default:
			return g.global()
		}
	}
}

// part returns a part of a union.
func (g *gen) part(word string, index func(n int) string) lvalue {
	k := g.r.IntN(8)
	t := []ctype{types[6], types[7], types[4], types[5], types[2], types[3], types[0], types[1]}[k]
	m := []string{"q", "sq", "w", "sw", "h", "sh", "b", "sb"}[k]
	if t.bits == 64 {
		return lvalue{word + "." + m, t, 64}
	}
	return lvalue{fmt.Sprintf("%s.%s[%s]", word, m, index(64/t.bits)), t, t.bits}
}

func (g *gen) field(record string) lvalue {
	k := g.r.IntN(12)
	bits := []int{3, 7, 22, 5, 11, 16, 33, 31, 16, 8, 8, 32}[k]
	t := []ctype{types[4], types[4], types[4], types[5], types[5], types[5], types[6], types[6], types[2], types[1], types[0], types[4]}[k]
	return lvalue{record + "." + string("abcdefghijkl"[k]), t, bits}
}

func (g *gen) member(value string) lvalue {
	switch g.r.IntN(4) {
	case 0:
		return lvalue{fmt.Sprintf("%s->q[%s]", value, g.index(4)), types[6], 64}
	case 1:
		return lvalue{fmt.Sprintf("%s->w[%s]", value, g.index(4)), types[4], 32}
	case 2:
		return lvalue{fmt.Sprintf("%s->h[%s]", value, g.index(4)), types[2], 16}
	}
	return lvalue{fmt.Sprintf("%s->b[%s]", value, g.index(8)), types[0], 8}
}

func (g *gen) global() lvalue {
	switch g.r.IntN(9) {
	case 0:
		return g.field("st.bits[" + g.index(2) + "]")
	case 1:
		return g.part("st.u["+g.index(4)+"]", g.index)
	case 2:
		return g.member("(&st.v[" + g.index(2) + "])")
	}
	k := g.r.IntN(5)
	t := []ctype{types[6], types[4], types[5], types[2], types[0]}[k]
	text := fmt.Sprintf("st.%s[%s]", []string{"q", "w", "sw", "h", "b"}[k], g.index([]int{8, 16, 8, 16, 64}[k]))
	if g.one(8) {
		text = fmt.Sprintf("(*(volatile %s *)&%s)", t.name, text)
	}
	return lvalue{text, t, t.bits}
}

// cond returns a condition.
func (g *gen) cond(depth int) string {
	t := g.anyType()
	a := g.expr(t, depth)
	switch g.r.IntN(9) {
	case 0:
		return fmt.Sprintf("(%s & %s) %s 0", a, g.constant(t), g.pick("==", "!="))
	case 1:
		return fmt.Sprintf("(%s && %s)", g.cond(depth-1), g.cond(depth-1))
	case 2:
		return fmt.Sprintf("(%s || %s)", g.cond(depth-1), g.cond(depth-1))
	case 3: // a bit
		return fmt.Sprintf("(%s >> %s & 1)", g.expr(t.unsigned(), depth), g.count(t.unsigned().bits, depth))
	case 4: // a range
		return fmt.Sprintf("(%s - %s %s %s)", a, g.constant(t), g.pick("<", "<="), g.constant(t.unsigned()))
	case 5:
		return fmt.Sprintf("(%s %s %s)", a, g.pick("==", "!="), g.constant(t))
	case 6:
		return fmt.Sprintf("(%s %s %s)", a, g.pick("<", ">", "<=", ">="), g.constant(t))
	}
	return fmt.Sprintf("(%s %s %s)", a, g.pick("==", "!=", "<", ">", "<=", ">="), g.expr(t, depth))
}

// count returns a count of bits below n.
func (g *gen) count(n, depth int) string {
	switch g.r.IntN(3) {
	case 0:
		return fmt.Sprintf("(%s & %d)", g.expr(types[4], depth-1), n-1)
	}
	return fmt.Sprint(g.r.IntN(n))
}

func (g *gen) shift(t ctype, depth int) string {
	u := t.unsigned()
	n := g.count(u.bits, depth)
	switch g.r.IntN(4) {
	case 0:
		return fmt.Sprintf("%s << %s", g.expr(u, depth-1), n)
	case 1:
		return fmt.Sprintf("%s >> %s", g.expr(u, depth-1), n)
	case 2: // extension by shifts
		k := 1 + g.r.IntN(u.bits-1)
		return fmt.Sprintf("(s%d)(%s << %d) >> %d", u.bits, g.expr(u, depth-1), k, []int{k, k, g.r.IntN(u.bits)}[g.r.IntN(3)])
	}
	return fmt.Sprintf("(s%d)%s >> %s", u.bits, g.expr(u, depth-1), n)
}

// divide returns a quotient or a remainder.
func (g *gen) divide(t ctype, depth int) string {
	u := t.unsigned()
	op := g.pick("/", "%")
	a := g.expr(u, depth-1)
	if g.one(3) {
		return fmt.Sprintf("%s_s%d(%s, %s)", map[string]string{"/": "div", "%": "mod"}[op], u.bits, a, g.pick(g.expr(u, depth-1), g.constant(u)))
	}
	if g.one(2) { // every class of divisor
		d := []uint64{3, 5, 7, 10, 11, 60, 641, 1000, 65535, 1e6, 1e9, 1<<31 + 1, 1<<32 - 1, 1 << 31, 0xfffffff1, 1, 2, 64}[g.r.IntN(18)]
		if g.one(3) {
			d = 1 + g.r.Uint64N(1<<g.r.IntN(32))
		}
		if u.bits == 64 && g.one(3) {
			d = g.r.Uint64()>>g.r.IntN(60) | 1
		}
		return fmt.Sprintf("%s %s (u%d)%#xull", a, op, u.bits, d)
	}
	return fmt.Sprintf("%s %s (%s | %d)", a, op, g.expr(u, depth-1), 1<<g.r.IntN(8))
}

// bits returns what a processor may have an instruction for.
func (g *gen) bits(depth int) string {
	a, b := g.expr(types[4], depth-1), g.expr(types[6], depth-1)
	switch g.r.IntN(13) {
	case 0:
		return fmt.Sprintf("__builtin_bswap16(%s)", a)
	case 1:
		return fmt.Sprintf("__builtin_bswap32(%s)", a)
	case 2:
		return fmt.Sprintf("__builtin_bswap64(%s)", b)
	case 3:
		return fmt.Sprintf("__builtin_popcount(%s)", a)
	case 4:
		return fmt.Sprintf("__builtin_popcountll(%s)", b)
	case 5:
		return fmt.Sprintf("__builtin_clz(%s | 1)", a)
	case 6:
		return fmt.Sprintf("__builtin_clzll(%s | 1)", b)
	case 7:
		return fmt.Sprintf("__builtin_ctz(%s | 1u << 31)", a)
	case 8:
		return fmt.Sprintf("__builtin_ctzll(%s | 1ull << %d)", b, g.r.IntN(64))
	case 9:
		return fmt.Sprintf("(%s ? __builtin_clzll(%s) : 64)", b, b)
	case 10:
		return fmt.Sprintf("__builtin_bitreverse%s", g.pick("8("+a+")", "16("+a+")", "32("+a+")", "64("+b+")"))
	case 11:
		return fmt.Sprintf("__builtin_parity%s", g.pick("("+a+")", "ll("+b+")"))
	}
	return fmt.Sprintf("(%s & -%s)", b, b)
}

// nearly returns an idiom written out, often with one constant that is not the
// idiom's.
func (g *gen) nearly(depth int) string {
	x := g.name("x")
	n, t := 32, "u32"
	if g.one(2) {
		n, t = 64, "u64"
	}
	off := func(v int) int { // a constant, rarely another one
		if g.one(8) {
			v += []int{-1, 1, -v, v, 8}[g.r.IntN(5)]
		}
		return max(0, min(v, n-1))
	}
	mask := func(v uint64) string {
		if g.one(8) {
			v = []uint64{v << 1, v >> 1, v ^ 1, v | 1<<31, ^v, v & 0xffffffff}[g.r.IntN(6)]
		}
		if n == 32 {
			v &= 1<<32 - 1
		}
		return fmt.Sprintf("%#xull", v)
	}
	in := g.expr(types[map[int]int{32: 4, 64: 6}[n]], depth-1)
	var b strings.Builder
	fmt.Fprintf(&b, "({ %s %s = %s; ", t, x, in)
	p := func(format string, args ...any) { fmt.Fprintf(&b, strings.ReplaceAll(format, "$", x), args...) }
	switch g.r.IntN(7) {
	case 0: // population count
		p("$ -= ($ >> %d) & (%s)%s; ", off(1), t, mask(0x5555555555555555))
		p("$ = ($ & (%s)%s) + (($ >> %d) & (%s)%s); ", t, mask(0x3333333333333333), off(2), t, mask(0x3333333333333333))
		p("$ = ($ + ($ >> %d)) & (%s)%s; ", off(4), t, mask(0x0f0f0f0f0f0f0f0f))
		p("$ = ($ * (%s)%s) >> %d; ", t, mask(0x0101010101010101), off(n-8))
	case 1: // leading zeros
		for k := 1; k < n; k *= 2 {
			p("$ |= $ >> %d; ", off(k))
		}
		if g.one(2) {
			p("$ = __builtin_popcountll((%s)~$); ", t)
		}
	case 2: // bytes turned by shifts
		if n == 64 {
			p("$ = $ << %d | $ >> %d; ", off(32), off(32))
			p("$ = ($ & %s) << %d | ($ >> %d & %s); ", mask(0x0000ffff0000ffff), off(16), off(16), mask(0x0000ffff0000ffff))
		} else {
			p("$ = $ << %d | $ >> %d; ", off(16), off(16))
		}
		p("$ = ($ & (%s)%s) << %d | ($ >> %d & (%s)%s); ", t, mask(0x00ff00ff00ff00ff), off(8), off(8), t, mask(0x00ff00ff00ff00ff))
	case 3: // rotations by constants
		k := 1 + g.r.IntN(n-1)
		p("$ = ($ << %d) %s ($ >> %d); ", k, g.pick("|", "^", "+"), off(n-k))
	case 4: // least and greatest without branches
		p("%s y_ = %s; $ = y_ ^ (($ ^ y_) & -($ %s y_)); ", t, g.constant(types[map[int]int{32: 4, 64: 6}[n]]), g.pick("<", ">", "<="))
	case 5: // sign, absolute value
		p("%s m_ = (s%d)$ >> %d; $ = ($ ^ m_) - m_; ", t, n, off(n-1))
	case 6: // bytes put together
		for k := 0; k < n; k += 8 {
			p("%s b%d_ = (u8)($ >> %d); ", t, k, off(k))
		}
		p("$ = 0")
		for k := 0; k < n; k += 8 {
			p(" | b%d_ << %d", k, off(n-8-k))
		}
		p("; ")
	}
	p("$; })")
	return b.String()
}
