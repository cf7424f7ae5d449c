package main

import (
	"bytes"
	"fmt"
	"strings"
)

// stmt writes one statement, unless it is to be left out.
func (g *gen) stmt() {
	g.work--
	id := g.stmts
	g.stmts++
	if !g.drop[id] {
		g.statement()
		return
	}
	out, head := len(g.out), len(g.head)
	g.statement()
	g.out, g.head = g.out[:out], g.head[:head]
}

func (g *gen) statement() {
	switch k := g.r.IntN(40); {
	case k < 9:
		g.assign()
	case k < 13:
		g.either()
	case k < 17 && g.loops < 2 && g.flow < 4:
		g.loop()
	case k < 19 && g.flow < 4:
		g.choice()
	case k < 22 && len(g.funcs) > 0:
		g.call()
	case k < 25 && g.loops < 2 && g.flow < 4:
		g.lookup()
	case k < 26:
		g.update()
	case k < 28:
		g.atomic()
	case k < 30:
		g.memory()
	case k < 31 && g.loops == 0 && g.packet && g.flow < 2:
		g.callback()
	case k < 33 && g.packet:
		g.cursor()
	case k < 34:
		g.compare()
	case k < 36:
		g.several()
	case k < 37 && g.brk:
		g.line("if (%s)\n\t%s;", g.cond(1), g.pick("break", "continue"))
	case k < 38 && g.flow < 4:
		g.skip()
	case k < 39 && g.packet && g.ctx && g.one(3):
		g.line("if (%s) {\n\tst.res = %s;\n\treturn %d;\n}", g.cond(2), g.expr(types[6], 1), g.r.IntN(5))
	default:
		g.assign()
	}
}

func (g *gen) assign() {
	v := g.lvalue()
	op := "="
	if g.one(2) {
		op = g.pick("+=", "-=", "^=", "|=", "&=", "*=", "+=", "^=")
	}
	if g.one(8) {
		g.line("%s%s;", v.text, g.pick("++", "--"))
		return
	}
	g.line("%s %s %s;", v.text, op, g.expr(v.t, 1+g.r.IntN(3)))
}

// block writes a block of up to n statements whose declarations end with it.
func (g *gen) block(head string, n int, first func()) {
	saved := g.scope
	g.flow++
	g.line("%s {", head)
	g.indent++
	if first != nil {
		first()
	}
	for range 1 + g.r.IntN(n) {
		g.stmt()
	}
	g.indent--
	g.line("}")
	g.flow--
	g.scope = saved
}

func (g *gen) either() {
	if g.flow >= 4 {
		g.assign()
		return
	}
	g.block("if ("+g.cond(2)+")", 3, nil)
	if g.one(2) {
		g.block("else", 3, nil)
	}
}

// choice is a switch: on few values or many, dense or far apart.
func (g *gen) choice() {
	mask := []int{3, 7, 15, 255}[g.r.IntN(4)]
	g.line("switch (%s & %d) {", g.expr(types[4], 1), mask)
	brk := g.brk
	g.brk = false
	used := map[int]bool{}
	for range 2 + g.r.IntN(6) {
		k := g.r.IntN(mask + 1)
		if used[k] {
			continue
		}
		used[k] = true
		g.block(fmt.Sprintf("case %d:", k), 2, nil)
		if !g.one(4) {
			g.line("break;")
		}
	}
	if g.one(2) {
		g.block("default:", 2, nil)
	}
	g.line("}")
	g.brk = brk
}

func (g *gen) loop() {
	i := g.name("i")
	t := types[2+g.r.IntN(6)]
	n := 1 + g.r.IntN(9)
	brk, loops := g.brk, g.loops
	g.loops++
	g.brk = true
	counter := func() { g.ro = append(g.ro[:len(g.ro):len(g.ro)], lvalue{i, t, t.bits}) }
	kind := g.r.IntN(6)
	if kind < 3 && g.one(4) {
		g.line("#pragma clang loop unroll(%s)", g.pick("disable", "full"))
	}
	switch kind {
	case 0, 1:
		g.block(fmt.Sprintf("for (%s %s = 0; %s < %d; %s++)", t.name, i, i, n, i), 4, counter)
	case 2:
		g.block(fmt.Sprintf("for (%s %s = %d; %s > 0; %s -= %d)", t.name, i, n*3, i, i, []int{1, 3}[g.r.IntN(2)]), 3, counter)
	case 3: // a bound that is computed
		m := g.name("n")
		g.line("u32 %s = %s & %d;", m, g.expr(types[4], 1), []int{3, 7, 15}[g.r.IntN(3)])
		g.block(fmt.Sprintf("for (u32 %s = 0; %s < %s; %s++)", i, i, m, i), 3, counter)
	case 4: // until there is nothing left
		x := g.name("x")
		u := types[4+2*g.r.IntN(2)]
		g.line("%s %s = %s;", u.name, x, g.expr(u, 1))
		g.block(fmt.Sprintf("for (u32 %s = 0; %s && %s < %d; %s++, %s)", i, x, i, 4+n, i, g.pick(x+" >>= 3", x+" &= "+x+" - 1", x+" /= 10")), 3, func() {
			counter()
			g.ro = append(g.ro, lvalue{x, u, u.bits})
		})
	case 5:
		g.line("u32 %s = %d;", i, n)
		g.brk = false
		g.block("do", 3, counter)
		g.line("while (--%s%s);", i, g.pick("", fmt.Sprintf(" && %s", g.cond(1))))
	}
	g.brk, g.loops = brk, loops
}

func (g *gen) call() {
	f := g.funcs[g.r.IntN(len(g.funcs))]
	var args []string
	decl := ""
	if f.array {
		a := ""
		for _, x := range g.arrays {
			if x.t.name == "u64" && x.n == 8 && x.text == "pa" {
				a = "pa"
			}
		}
		if a == "" {
			a = g.name("c")
			decl = fmt.Sprintf("u64 %s[8] = {%s, %s, %s};", a, g.expr(types[6], 1), g.expr(types[6], 0), g.constants(types[6], 2))
		}
		args = append(args, a)
	}
	for _, t := range f.params {
		args = append(args, g.expr(t, 1))
	}
	v := g.lvalue()
	call := fmt.Sprintf("%s(%s)", f.name, strings.Join(args, ", "))
	g.line("{ %s %s r_ = %s; %s %s r_;%s }", decl, f.result.name, call, v.text, g.pick("=", "+=", "^="), map[bool]string{true: " st.q[3] += " + args[0] + "[5];", false: ""}[f.array])
}

func (g *gen) lookup() {
	k, p := g.name("k"), g.name("p")
	x := g.expr(types[4], 1)
	kind := g.r.IntN(6)
	g.line("{")
	var typ string
	switch kind {
	case 0:
		g.line("u32 %s = %s & %d; struct value *%s = bpf_map_lookup_elem(&array, &%s);", k, x, []int{3, 7}[g.r.IntN(2)], p, k)
		typ = "value"
	case 1:
		g.line("u64 %s = key8(%s); struct value *%s = bpf_map_lookup_elem(&hash, &%s);", k, x, p, k)
		typ = "value"
	case 2:
		g.line("u32 %s = key4(%s); struct small *%s = 0; u64 *%sq = bpf_map_lookup_elem(&hash4, &%s); if (%sq) *%sq += %s;", k, x, p, p, k, p, p, g.expr(types[6], 1))
		g.line("}")
		return
	case 3:
		i := g.name("k")
		g.line("u32 %s = %s & 7; struct key %s = {%s, %s * 3, 7, ~%s}; struct small *%s = bpf_map_lookup_elem(&hash12, &%s);", i, x, k, i, i, i, p, k)
		typ = "small"
	case 4:
		g.line("u32 %s = %s & 3; struct small *%s = bpf_map_lookup_elem(&percpu, &%s);", k, x, p, k)
		typ = "small"
	case 5:
		g.line("u32 %s = key4(%s); struct value *%s = bpf_map_lookup_elem(&percpuh, &%s);", k, x, p, k)
		typ = "value"
	}
	g.block("if ("+p+")", 3, func() {
		if typ == "value" {
			g.values = append(g.values[:len(g.values):len(g.values)], p)
			v := g.member(p)
			g.line("%s %s %s;", v.text, g.pick("+=", "=", "^="), g.expr(v.t, 1))
		} else {
			g.smalls = append(g.smalls[:len(g.smalls):len(g.smalls)], p)
			g.line("%s->q[%s] %s %s;", p, g.index(2), g.pick("+=", "=", "^="), g.expr(types[6], 1))
		}
	})
	g.line("}")
}

func (g *gen) update() {
	k := g.name("k")
	x := g.expr(types[4], 1)
	v := g.lvalue()
	flags := g.r.IntN(3)
	switch g.r.IntN(4) {
	case 0:
		g.line("{ u64 %s = key8(%s); %s = bpf_map_delete_elem(&hash, &%s); }", k, x, v.text, k)
	case 1:
		g.line("{ u32 %s = key4(%s); u64 y_ = %s; %s += bpf_map_update_elem(&hash4, &%s, &y_, %d); }", k, x, g.expr(types[6], 1), v.text, k, flags)
	case 2:
		g.line("{ u32 %s = %s & 7; struct small y_ = {{%s, %s}}; %s ^= bpf_map_update_elem(&percpu, &%s, &y_, 0); }", k, x, g.expr(types[6], 1), g.expr(types[6], 1), v.text, k)
	case 3:
		g.line("{ u32 i_ = %s & 7; struct key %s = {i_, i_ * 3, 7, ~i_}; struct small y_ = {{%s, %s}}; %s -= bpf_map_update_elem(&hash12, &%s, &y_, %d); }", x, k, g.expr(types[6], 1), g.expr(types[6], 1), v.text, k, flags)
	}
}

func (g *gen) atomic() {
	t := types[6]
	p := fmt.Sprintf("&st.q[%s]", g.index(8))
	switch {
	case len(g.values) > 0 && g.one(2):
		p = fmt.Sprintf("&%s->q[%s]", g.values[g.r.IntN(len(g.values))], g.index(4))
	case g.one(2):
		t, p = types[4], fmt.Sprintf("&st.w[%s]", g.index(16))
	}
	x := g.expr(t, 1)
	v := g.lvalue()
	switch g.r.IntN(4) {
	case 0:
		g.line("__sync_fetch_and_add(%s, %s | 1);", p, x) // clang has no code for adding 0
	case 1:
		g.line("{ %s o_ = FETCH(%s, %s, %s); %s += o_; }", t.name, g.pick("add", "and", "or", "xor"), p, x, v.text)
	case 2:
		g.line("{ %s o_ = XCHG(%s, %s); %s ^= o_; }", t.name, p, x, v.text)
	case 3:
		g.line("{ %s e_ = %s, n_ = %s; %s o_ = CAS(%s, e_, n_); %s = o_; }", t.name, g.pick("*("+p+")", g.expr(t, 1)), x, t.name, p, v.text)
	}
}

// memory copies, sets and moves bytes.
func (g *gen) memory() {
	n := 1 + g.r.IntN(24)
	if g.one(2) {
		n = 8 << g.r.IntN(2)
	}
	place := func() string {
		switch {
		case g.packet && g.one(2):
			return fmt.Sprintf("pkt + %d", g.r.IntN(room-n))
		case len(g.values) > 0 && g.one(2):
			return "(u8 *)" + g.values[0]
		}
		return fmt.Sprintf("st.b + %d", g.r.IntN(64-n))
	}
	switch g.r.IntN(3) {
	case 0:
		g.line("{ u8 t_[%d]; __builtin_memcpy(t_, %s, %d); __builtin_memcpy(%s, t_, %d); }", n, place(), n, place(), n)
	case 1:
		g.line("__builtin_memset(%s, %d, %d);", place(), []int{0, 255, 1 + g.r.IntN(200)}[g.r.IntN(3)], n)
	case 2:
		g.line("__builtin_memmove(st.b + %d, st.b + %d, %d);", g.r.IntN(64-n), g.r.IntN(64-n), n)
	}
}

// callback calls a function of its own with bpf_loop.
func (g *gen) callback() {
	name, c := g.name("cb"), g.name("c")
	out, saved, loops, flow, brk, indent := g.out, g.scope, g.loops, g.flow, g.brk, g.indent
	g.out = nil
	g.indent, g.brk, g.loops, g.flow = 0, false, 1, 1
	g.scope = scope{ro: []lvalue{{"i", types[4], 32}}, arrays: []array{{"c->a", types[6], 4}, {"c->h", types[3], 4}}}
	g.vars = []lvalue{{"c->n[0]", types[4], 32}, {"c->a[1]", types[6], 64}, {"c->h[2]", types[3], 16}}
	g.line("static long %s(u32 i, void *p)", name)
	g.block("", 3, func() { g.line("struct loop *c = p;") })
	text := bytes.TrimSuffix(g.out, []byte("}\n"))
	g.head = append(g.head, text...)
	g.head = fmt.Appendf(g.head, "\treturn %s;\n}\n", g.pick("0", g.cond(1)+" ? 1 : 0"))
	g.out, g.scope, g.loops, g.flow, g.brk, g.indent = out, saved, loops, flow, brk, indent
	v := g.lvalue()
	g.line("{ struct loop %s = {{%s, %s}, {%s}}; u32 m_ = %s; %s ^= bpf_loop(m_, %s, &%s, 0);", c, g.expr(types[6], 1), g.expr(types[6], 1), g.expr(types[4], 1),
		g.pick("5", "1", g.expr(types[4], 1)+" & 15"), v.text, name, c)
	g.line("for (u32 i_ = 0; i_ < 4; i_++) st.q[i_ + 2] += %s.a[i_] + %s.h[i_]; st.w[7] ^= %s.n[0]; }", c, c, c)
}

// cursor walks over the packet by steps that the packet says.
func (g *gen) cursor() {
	c, i := g.name("cur"), g.name("i")
	v := g.lvalue()
	t := types[g.r.IntN(8)]
	n := t.bits / 8
	access := fmt.Sprintf("*(%s *)%s", t.name, c)
	if g.one(3) && n > 1 && !t.signed {
		access = fmt.Sprintf("__builtin_bswap%d(%s)", t.bits, access)
	}
	g.line("{ u8 *%s = pkt + (%s & %d);", c, g.expr(types[4], 1), []int{15, 31, 63}[g.r.IntN(3)])
	g.line("for (u32 %s = 0; %s < %d; %s++) {", i, i, 1+g.r.IntN(6), i)
	g.line("\tif (%s + %d > end)\n\t\tbreak;", c, n+g.r.IntN(3))
	if g.one(4) {
		g.line("\t*(%s *)%s = %s;", t.name, c, g.expr(t, 1))
	}
	g.line("\t%s %s %s;", v.text, g.pick("+=", "^=", "="), access)
	g.line("\t%s += %s;", c, g.pick(fmt.Sprint(n), fmt.Sprintf("(*%s & 7) + 1", c), "1", fmt.Sprintf("%s & 3", g.expr(types[4], 1))))
	g.line("} st.h[3] += %s - pkt; }", c)
}

// compare looks for the first byte that differs.
func (g *gen) compare() {
	i := g.name("i")
	v := g.lvalue()
	other := fmt.Sprintf("st.b[%s + %d]", i, g.r.IntN(32))
	if g.masked {
		other = fmt.Sprintf("pkt[%s + %d]", i, g.r.IntN(32))
	}
	g.line("{ u32 %s = 0; for (; %s < %d; %s++) if (st.b[%s + 8] != %s) break; %s = %s; }", i, i, 2+g.r.IntN(14), i, i, other, v.text, i)
}

// several updates many variables, one by the other.
func (g *gen) several() {
	if len(g.vars) < 3 {
		g.assign()
		return
	}
	for range 3 + g.r.IntN(6) {
		v := g.vars[g.r.IntN(len(g.vars))]
		w := g.vars[g.r.IntN(len(g.vars))]
		x := g.vars[g.r.IntN(len(g.vars))]
		g.line("%s = %s %s %s;", v.text, w.text, g.pick("+", "-", "^", "*", "&", "|"), x.text)
	}
}

// skip jumps forward.
func (g *gen) skip() {
	l := g.name("out")
	g.line("if (%s) goto %s;", g.cond(2), l)
	g.block("", 3, nil)
	g.line("%s:;", l)
}
