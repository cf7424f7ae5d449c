package bpftest

import (
	"fmt"
	"strings"
)

// statement writes one of the things that programs do.
func (c *cWriter) statement() {
	c.big--
	kinds := []func(){
		c.packetFixed, c.packetFixed, c.packetVariable, c.packetVariable, c.packetLength,
		c.localArray, c.localArray, c.lookup, c.lookup, c.lookup, c.table, c.counters,
		c.ring, c.sized, c.fixedLoop, c.packetLoop, c.subprogram, c.arithmetic,
		c.either, c.moved, c.update, c.tail, c.callback, c.pressure, c.walk,
	}
	kinds[c.r.IntN(len(kinds))]()
}

// block writes statements inside braces, whose declarations end with it.
func (c *cWriter) block(head string, body func()) {
	vars, proven := len(c.vars), c.proven
	c.line("%s {", head)
	c.indent++
	body()
	c.indent--
	c.line("}")
	c.vars, c.proven = c.vars[:vars], proven
}

var cSizes = []struct {
	typ string
	n   int
}{{"u8", 1}, {"u16", 2}, {"u32", 4}, {"u64", 8}, {"s8", 1}, {"s16", 2}, {"s32", 4}}

// add mixes an expression into the result, or keeps it as a number.
func (c *cWriter) add(expr string) {
	if c.chance(3) && c.indent == 1 {
		c.vars = append(c.vars, c.let(c.one("u32", "u64", "s32", "u16"), expr))
		return
	}
	c.line("acc %s= %s;", c.one("+", "^", "+"), expr)
}

// ensure makes sure that n bytes of the packet are there.
func (c *cWriter) ensure(n int) {
	if c.proven >= n {
		return
	}
	m := c.off(n) // a slip may ask for more, which is no mistake
	if m > n && c.chance(2) {
		m = 2*n - m
	}
	c.line("if (%s) %s", c.one(
		fmt.Sprintf("p + %d > end", m), fmt.Sprintf("(void *)(p + %d) > (void *)end", m),
		fmt.Sprintf("end < p + %d", m), fmt.Sprintf("!(p + %d <= end)", m),
		fmt.Sprintf("p + %d >= end", max(m-1, 0)), fmt.Sprintf("end - p < %d", m),
	), c.out())
	c.proven = n
}

// packetFixed loads from, or stores to, a constant offset.
func (c *cWriter) packetFixed() {
	t := cSizes[c.r.IntN(len(cSizes))]
	off := []int{0, 12, 14, 23, 26, 30, 34, 36, c.r.IntN(60)}[c.r.IntN(9)]
	c.ensure(off + t.n)
	if c.slip() {
		off += t.n
	}
	if c.chance(4) {
		c.line("*(%s *)(p + %d) = %s;", t.typ, off, c.expr())
		return
	}
	c.add(fmt.Sprintf("*(%s *)(p + %d)", t.typ, off))
}

// packetVariable goes through a pointer that moved by a number.
func (c *cWriter) packetVariable() {
	t := cSizes[c.r.IntN(len(cSizes))]
	i := c.index([]int{16, 64, 60, 256, 1500}[c.r.IntN(5)])
	scale := []int{1, 1, 2, 4}[c.r.IntN(4)]
	start, at := c.r.IntN(40), c.r.IntN(4)*t.n
	need := c.off(at + t.n)
	if need > at+t.n && c.chance(2) {
		need = at + t.n - 1
	}
	c.block("", func() {
		q := c.name("q")
		c.line("u8 *%s = p + %d + %s * %d;", q, start, i, scale)
		if !c.slip() {
			c.line("if (%s) %s", c.one(
				fmt.Sprintf("%s + %d > end", q, need), fmt.Sprintf("end < %s + %d", q, need), fmt.Sprintf("%s + %d >= end", q, need),
				fmt.Sprintf("end - %s < %d", q, need), fmt.Sprintf("p + %d + %s * %d > end", start+need, i, scale),
			), c.out())
		}
		if c.chance(3) {
			c.line("%s += 0;\n\tKEEP(acc);", q)
		}
		if c.chance(3) {
			q = fmt.Sprintf("(p + %d + %s * %d)", start, i, scale) // computed again
		}
		if c.chance(4) {
			c.line("*(%s *)(%s + %d) = %s;", t.typ, q, at, c.num())
		} else {
			c.line("acc += *(%s *)(%s + %d);", t.typ, q, at)
		}
	})
}

// packetLength works with the packet's length as a number.
func (c *cWriter) packetLength() {
	n := 1 + c.r.IntN(40)
	len := c.let(c.one("u64", "u32", "s64"), "end - p")
	c.line("if (%s %s %d) %s", len, c.one("<", "<", "<="), n, c.out())
	c.add(fmt.Sprintf("p[%d]", max(c.off(n)-1, 0)))
	if c.chance(2) {
		c.line("if (%s > %d) %s", len, c.off(63), c.out())
		buf := c.name("b")
		c.line("u8 %s[64] = {};", buf)
		c.line("%s[%s] = 1;\n\tBARRIER;\n\tacc += %s[%s & 63];", buf, len, buf, c.num())
	}
}

// localArray fills and reads an array in the frame.
func (c *cWriter) localArray() {
	t := cSizes[c.r.IntN(len(cSizes))]
	n := []int{4, 8, 10, 16, 24, 32}[c.r.IntN(6)]
	buf := c.name("b")
	c.line("%s %s[%d]%s;", t.typ, buf, n, c.one(" = {}", " = {}", ""))
	for range 1 + c.r.IntN(3) {
		i := c.index(n)
		c.line("%s[%s] = %s;", buf, i, c.num())
	}
	c.line("BARRIER;")
	c.add(fmt.Sprintf("%s[%s]", buf, c.index(n)))
}

// value returns how a map value is found; the result is a struct value *.
func (c *cWriter) find() (expr string) {
	k := c.name("k")
	switch c.r.IntN(4) {
	case 0, 1:
		c.line("u32 %s = %s;", k, c.expr())
		return fmt.Sprintf("map_lookup(&%s, &%s)", c.one("slots", "percpu"), k)
	case 2:
		c.line("u32 %s = %d;", k, c.r.IntN(10))
		return fmt.Sprintf("map_lookup(&slots, &%s)", k)
	}
	c.line("struct key %s = { .addr = %s, .port = %s };", k, c.num(), c.num())
	return fmt.Sprintf("map_lookup(&flows, &%s)", k)
}

// lookup works on a map value.
func (c *cWriter) lookup() {
	v := c.name("m")
	c.line("struct value *%s = %s;", v, c.find())
	use := func() {
		for range 1 + c.r.IntN(3) {
			c.useValue(v)
		}
	}
	switch {
	case c.slip():
		use()
	case c.chance(2):
		c.line("if (!%s) %s", v, c.out())
		use()
	case c.chance(3): // tested through something else
		f := c.let("u32", fmt.Sprintf("%s != 0", v))
		c.line("KEEP(%s);", f)
		c.block(fmt.Sprintf("if (%s && %s)", v, c.cond()), use)
	case c.chance(3): // another one if there is none
		c.line("if (!%s) { %s = %s; if (!%s) %s }", v, v, "map_lookup(&slots, &(u32){1})", v, c.out())
		use()
	default:
		c.block(fmt.Sprintf("if (%s)", v), use)
	}
}

func (c *cWriter) useValue(v string) {
	switch c.r.IntN(9) {
	case 0:
		c.line("%s->count++;", v)
	case 1:
		c.line("__sync_fetch_and_add(&%s->%s, %s);", v, c.one("count", "n"), c.num())
	case 2:
		c.add(fmt.Sprintf("%s->%s", v, c.one("n", "port", "kind", "count")))
	case 3:
		c.line("%s->bytes[%s] = %s;", v, c.index(16), c.num())
	case 4:
		c.add(fmt.Sprintf("%s->words[%s]", v, c.index(8)))
	case 5: // an index that the value holds
		i := c.let("u32", v+"->n")
		c.line("if (%s %s %d) %s->bytes[%s]++;", i, c.one("<", "<", "<="), c.off(15), v, i)
	case 6:
		c.line("acc += ((u8 *)%s)[%s];", v, c.index(64))
	case 7: // an index and the room after it
		i, n := c.index(32), c.index(32)
		b := c.name("i")
		c.line("for (u32 %s = 0; %s < %s && %s < 4; %s++) acc += ((u8 *)%s)[%s + %s];", b, b, n, b, b, v, i, b)
	case 8:
		c.line("*(u32 *)((u8 *)%s + %d) = %s;", v, c.off(15)*4, c.num())
	}
}

// table reads constants.
func (c *cWriter) table() {
	if c.chance(2) {
		c.add(fmt.Sprintf("class_of[%s]", c.index(64)))
		return
	}
	c.add(fmt.Sprintf("limit_of[%s]", c.index(16)))
}

// counters changes global variables.
func (c *cWriter) counters() {
	if c.chance(2) {
		c.line("counters[%s] += %s;", c.index(32), c.num())
		return
	}
	c.line("scratch[%s] = %s;", c.index(64), c.num())
	c.add(fmt.Sprintf("scratch[%s]", c.index(64)))
}

// ring reports an event.
func (c *cWriter) ring() {
	e := c.name("e")
	c.line("struct event *%s = ringbuf_reserve(&events, sizeof(*%s), 0);", e, e)
	if !c.slip() {
		c.line("if (!%s) %s", e, c.out())
	}
	give := func(f string) string { return fmt.Sprintf("ringbuf_%s(%s, 0);", f, e) }
	c.line("%s->when = ktime(), %s->len = %s;", e, e, c.num())
	// The index may leave the program: it is bounded before the reservation
	// unless the program slips.
	c.line("%s->bytes[%s & 31] = %s;", e, c.num(), c.num())
	switch c.r.IntN(4) {
	case 0:
		c.line("if (%s) { %s %s }", c.cond(), give("discard"), c.out())
	case 1:
		if c.slip() {
			c.line("if (%s) %s", c.cond(), c.out())
		}
	}
	c.line("%s", give(c.one("submit", "discard")))
	if c.slip() {
		c.line("%s->tag = 1;", e)
	}
}

// sized calls helpers that take memory and its size.
func (c *cWriter) sized() {
	n := []int{16, 32, 64}[c.r.IntN(3)]
	buf := c.name("b")
	c.line("u8 %s[%d] = {};", buf, n)
	size := c.index(n + 1)
	call := []string{
		fmt.Sprintf("ringbuf_output(&events, %s, %s, 0)", buf, size),
		fmt.Sprintf("csum_diff(0, 0, (void *)%s, (%s) & ~3, 0)", buf, size),
	}
	if c.skb {
		call = append(call, fmt.Sprintf("skb_load_bytes(ctx, %s, %s, %s)", c.num(), buf, size))
	} else {
		call = append(call, fmt.Sprintf("xdp_load_bytes(ctx, %s & 0xffff, %s, %s)", c.num(), buf, size))
	}
	s := c.one(call...)
	if !c.chance(3) && !c.slip() {
		c.block(fmt.Sprintf("if (%s > 0)", size), func() {
			c.line("if (%s < 0) %s", s, c.out())
		})
	} else {
		c.line("acc += %s;", s)
	}
	c.add(fmt.Sprintf("%s[%s]", buf, c.index(n)))
}

// fixedLoop counts to a constant, or to a bounded number.
func (c *cWriter) fixedLoop() {
	n := []int{3, 8, 16, 20}[c.r.IntN(4)]
	buf, i := c.name("b"), c.name("i")
	c.line("u8 %s[%d] = {};", buf, n)
	bound := fmt.Sprint(c.off(n))
	if c.chance(2) {
		bound = c.index(n + 1)
	}
	c.line("%s", c.one("#pragma clang loop unroll(disable)", "#pragma clang loop unroll(full)"))
	c.block(fmt.Sprintf("for (%s %s = 0; %s < %s; %s++)", c.one("u32", "s32", "u64"), i, i, bound, i), func() {
		c.line("%s[%s] = %s + %s;", buf, i, c.num(), i)
		if c.chance(3) {
			c.line("if (%s[%s] == %d) break;", buf, i, c.r.IntN(256))
		}
		c.line("acc = acc * 31 + %s;", i)
	})
	c.line("BARRIER;")
	c.add(fmt.Sprintf("%s[%s]", buf, c.index(n)))
}

// packetLoop walks over headers.
func (c *cWriter) packetLoop() {
	q, i := c.name("q"), c.name("i")
	step := []int{1, 2, 4, 8}[c.r.IntN(4)]
	c.line("u8 *%s = p + %d;", q, c.r.IntN(40))
	c.line("%s", c.one("#pragma clang loop unroll(disable)", "#pragma clang loop unroll(full)"))
	c.block(fmt.Sprintf("for (u32 %s = 0; %s < %d; %s++)", i, i, 2+c.r.IntN(6), i), func() {
		if !c.slip() {
			c.line("if (%s + %d > end) break;", q, max(1, c.off(step)))
		}
		if c.chance(3) {
			c.line("if (%s[0] == %d) break;", q, c.r.IntN(3))
		}
		c.line("acc += %s[%d];", q, c.r.IntN(step))
		if c.chance(3) {
			c.line("%s += (%s[0] & %d) + %d;", q, q, 7, step)
		} else {
			c.line("%s += %d;", q, step)
		}
	})
	if c.chance(3) {
		c.line("if (%s + %d <= end) acc += %s[%d];", q, c.off(2), q, 1)
	}
}

// subprogram writes a function and calls it.
func (c *cWriter) subprogram() {
	if c.helper > 2 {
		c.arithmetic()
		return
	}
	c.helper++
	f := c.name("f")
	body, indent, vars, proven := c.body, c.indent, c.vars, c.proven
	var text strings.Builder
	c.body, c.indent, c.vars, c.proven = &text, 1, []string{"a", "b"}, 0
	var head, call string
	switch c.r.IntN(4) {
	case 0: // the packet
		head, call = "u8 *p, u8 *end, u32 a, u64 b", "p, end, %s, %s"
		c.line("u64 acc = 0;")
		c.packetVariable()
		c.packetFixed()
		c.line("return acc;")
	case 1: // memory of the caller, of a size that both know
		head, call = "u8 *mem, u32 a, u64 b", "scratch, %s, %s"
		const n = 64
		c.line("u64 acc = 0;")
		c.line("mem[%s] = a;", c.index(n))
		c.line("return mem[%s] + acc;", c.index(n))
	case 2: // a number, in or out of bounds
		head, call = "u32 a, u64 b", "%s, %s"
		c.line("u64 acc = b;")
		c.line("if (%s) return %d;", c.cond(), c.r.IntN(8))
		c.line("return %s;", c.one("a & 7", "(u32)b % 8", "acc & 3", "(u8)a >> 5"))
	case 3:
		head, call = "struct value *v, u32 a, u64 b", ""
		c.line("u64 acc = a;")
		if !c.slip() {
			c.line("if (!v) return 0;")
		}
		c.useValue("v")
		c.line("return acc + v->kind;")
	}
	c.body, c.indent, c.vars, c.proven = nil, 0, vars, proven
	c.line("static NOINLINE %s %s(%s)\n{\n%s}\n", c.one("u64", "u32", "int"), f, head, text.String())
	c.body, c.indent = body, indent
	if call == "" {
		v := c.name("m")
		c.line("struct value *%s = %s;", v, c.find())
		c.add(fmt.Sprintf("%s(%s, %s, %s)", f, v, c.num(), c.num()))
		return
	}
	r := c.let("u32", fmt.Sprintf("%s("+call+")", f, c.num(), c.num()))
	if head == "u32 a, u64 b" {
		if !c.slip() {
			c.line("if (%s > 7) %s", r, c.out())
		}
		c.line("counters[%s]++;", r)
	}
	c.add(r)
}

// arithmetic makes new numbers.
func (c *cWriter) arithmetic() {
	v := c.let(c.one("u32", "u64", "s32", "s64", "u16", "u8"), c.expr())
	if c.chance(3) {
		c.line("KEEP(%s);", v)
	}
	if c.indent == 1 {
		c.vars = append(c.vars, v)
	}
}

// either branches.
func (c *cWriter) either() {
	if c.indent > 2 {
		c.arithmetic()
		return
	}
	c.block("if "+c.cond(), c.statement)
	if c.chance(2) {
		c.block("else", c.statement)
	}
}

// moved calls a helper after which the packet must be loaded anew.
func (c *cWriter) moved() {
	if c.skb {
		c.line("if (skb_pull_data(ctx, %d)) %s", c.r.IntN(64), c.out())
	} else {
		c.line("if (xdp_adjust_head(ctx, %d)) %s", c.r.IntN(32)-16, c.out())
	}
	if c.slip() {
		return
	}
	c.line("p = (u8 *)(long)ctx->data, end = (u8 *)(long)ctx->data_end;")
	c.proven = 0
}

// update stores an entry, or removes one.
func (c *cWriter) update() {
	k := c.name("k")
	if c.chance(2) {
		c.line("u32 %s = %s; u64 %sv = %s;", k, c.num(), k, c.num())
		c.line("acc += %s;", c.one("map_update(&recent, &"+k+", &"+k+"v, 0)", "map_delete(&recent, &"+k+")"))
		return
	}
	c.line("struct key %s = { .addr = %s, .port = 1 };", k, c.num())
	c.line("struct value %sv = { .count = 1, .n = %s };", k, c.num())
	c.line("%sv.bytes[%s] = 1;", k, c.index(16))
	c.line("acc += map_update(&flows, &%s, &%sv, %d);", k, k, c.r.IntN(3))
}

func (c *cWriter) tail() { c.line("tail_call(ctx, &progs, %s);", c.expr()) }

// callback counts with the loop helper.
func (c *cWriter) callback() {
	if c.helper > 2 {
		c.arithmetic()
		return
	}
	c.helper++
	f, s := c.name("f"), c.name("sum")
	body, indent := c.body, c.indent
	c.body, c.indent = nil, 0
	c.line("struct %s { u64 sum; u32 n; u8 bytes[16]; };", s)
	at := c.one(fmt.Sprintf("i & %d", max(c.off(16)-1, 0)), fmt.Sprintf("s->n & %d", max(c.off(16)-1, 0)), "i % 16")
	stop := c.one("0", fmt.Sprintf("s->sum > %d", c.r.IntN(1000)), "i == 5")
	c.line("static long %s(u32 i, struct %s *s)\n{\n\ts->bytes[%s] = s->sum;\n\ts->sum += i;\n\treturn %s;\n}\n", f, s, at, stop)
	c.body, c.indent = body, indent
	v := c.name("sum")
	c.line("struct %s %s = { .n = %s };", s, v, c.num())
	c.line("loop(%s, %s, &%s, 0);", c.one(fmt.Sprint(1+c.r.IntN(30)), c.index(32)), f, v)
	c.add(fmt.Sprintf("%s.sum + %s.bytes[%s]", v, v, c.index(16)))
}

// pressure keeps more numbers over a call than there are registers for them.
func (c *cWriter) pressure() {
	var names []string
	for range 6 {
		names = append(names, c.let(c.one("u32", "u64", "u16"), c.expr()))
	}
	i := c.index(16)
	c.line("u64 %s = ktime();", c.name("t"))
	for _, n := range names {
		c.line("acc = acc * 7 + %s;", n)
	}
	c.line("acc += class_of[%s] + counters[%s];", i, i)
}

// walk goes over an array with a pointer.
func (c *cWriter) walk() {
	buf, q := c.name("b"), c.name("q")
	n := []int{8, 12, 16}[c.r.IntN(3)]
	c.line("u32 %s[%d] = { %s, %s };\n\tBARRIER;", buf, n, c.num(), c.num())
	c.line("#pragma clang loop unroll(disable)")
	c.block(fmt.Sprintf("for (u32 *%s = %s; %s %s %s + %d; %s++)", q, buf, q, c.one("<", "!="), buf, c.off(n), q), func() {
		c.line("acc += *%s;", q)
		if c.chance(3) {
			c.line("if (acc & 1) break;")
		}
	})
}
