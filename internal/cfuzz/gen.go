package main

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

//go:embed prelude.h
var prelude string

//go:embed native.h
var native string

// A unit is a C file of programs.
type unit struct {
	Context  string // struct that programs get: xdp_md or __sk_buff
	Programs int
	Source   string
	Stmts    int // statements generated, also those left out
}

// section returns the section of the unit's programs.
func (u *unit) section() string {
	if u.Context == "xdp_md" {
		return "xdp"
	}
	return "tc"
}

// generate returns the unit of n programs that seed stands for, without the
// statements whose numbers are in drop.
func generate(seed uint64, n int, drop map[int]bool) *unit {
	g := &gen{r: rand.New(rand.NewPCG(seed, 0xcf)), drop: drop}
	u := &unit{Context: []string{"xdp_md", "__sk_buff"}[seed%2], Programs: n}
	g.tc = u.Context == "__sk_buff"
	g.context, g.sec = u.Context, u.section()
	g.line("#ifdef __BPF__\nstruct state st;\n#endif")
	for _, t := range types {
		g.line("const %s tab_%s[16] = {%s};", t.name, t.name, g.constants(t, 16))
		g.line("const volatile %s conf_%s = %s;", t.name, t.name, g.constant(t))
	}
	g.line("#define TAILS %d", tails)
	for i := range tails {
		g.line("SEC(\"%s\") int tail%d(struct %s *ctx) { st.res = mix(st.res, st.q[%d] + %s); %s return %d; }",
			g.sec, i, g.context, i, g.constant(types[6]), g.pick("", "st.w[1]++;", "if (st.w[2]) st.b[3] = 9;"), i+40)
	}
	g.line("#ifdef __BPF__\nstruct { int (*type)[3]; int (*key_size)[4]; int (*max_entries)[%d]; int (*values[])(void *); } progs SEC(\".maps\") = {.values = {", tails+2)
	for i := range tails {
		g.line("[%d] = (void *)&tail%d,", i, i)
	}
	g.line("}};\n#else\nstatic int (*const tails[])(struct %s *) = {", g.context)
	for i := range tails {
		g.line("tail%d,", i)
	}
	g.line("};\n#endif")
	for i := range n {
		g.program(i)
	}
	var b strings.Builder
	b.WriteString(prelude)
	b.Write(g.out)
	fmt.Fprintf(&b, "#ifndef __BPF__\n#define CTX %s\n#define LENGTH %s\nstatic int (*const programs[])(struct %s *) = {", g.context,
		map[bool]string{true: "ctx.len = len", false: ""}[g.tc], g.context)
	for i := range n {
		fmt.Fprintf(&b, "p%d, ", i)
	}
	b.WriteString("};\n")
	b.WriteString(native)
	b.WriteString("#endif\n")
	u.Source, u.Stmts = b.String(), g.stmts
	return u
}

const (
	tails = 3
	room  = 64 // bytes that every packet has
)

// A ctype is an integer type of C.
type ctype struct {
	name   string
	bits   int
	signed bool
}

var types = []ctype{
	{"u8", 8, false}, {"s8", 8, true}, {"u16", 16, false}, {"s16", 16, true},
	{"u32", 32, false}, {"s32", 32, true}, {"u64", 64, false}, {"s64", 64, true},
}

// unsigned returns the unsigned type of t's width, at least 32 bits.
func (t ctype) unsigned() ctype { return types[map[int]int{8: 4, 16: 4, 32: 4, 64: 6}[t.bits]] }

// A lvalue is what an expression reads and a statement writes.
type lvalue struct {
	text string
	t    ctype
	bits int // of a bit-field
}

// A scope is what generated code can name at one place.
type scope struct {
	vars    []lvalue
	arrays  []array
	ro      []lvalue // read only: loop counters, parameters
	packet  bool     // pkt has room bytes
	masked  bool     // at any index below: the kernel cannot tell
	values  []string // pointers to struct value
	smalls  []string // pointers to struct small
	words   []string // unions, on the stack
	records []string // structs bits
	ctx     bool
}

// An array has a power of two of elements.
type array struct {
	text string
	t    ctype
	n    int
}

// A function can be called.
type function struct {
	name   string
	result ctype
	params []ctype
	array  bool // the first parameter is an array of eight u64
}

type gen struct {
	r       *rand.Rand
	out     []byte
	head    []byte // callbacks of the function that is being written
	drop    map[int]bool
	stmts   int
	names   int
	indent  int
	tc      bool
	context string
	sec     string
	funcs   []function
	scope
	loops int // around the statement
	brk   bool
	work  int // what remains of the function's statements
	flow  int // depth of blocks
}

func (g *gen) line(format string, args ...any) {
	g.out = append(g.out, strings.Repeat("\t", g.indent)...)
	g.out = append(fmt.Appendf(g.out, format, args...), '\n')
}

func (g *gen) pick(choices ...string) string { return choices[g.r.IntN(len(choices))] }
func (g *gen) one(n int) bool                { return g.r.IntN(n) == 0 }
func (g *gen) name(prefix string) string     { g.names++; return fmt.Sprintf("%s%d", prefix, g.names) }
func (g *gen) anyType() ctype {
	if g.one(3) {
		return types[g.r.IntN(len(types))]
	}
	return types[4+g.r.IntN(4)]
}

// constant returns an interesting constant of type t.
func (g *gen) constant(t ctype) string {
	var v uint64
	switch g.r.IntN(9) {
	case 0:
		v = uint64(g.r.IntN(4))
	case 1:
		v = 1 << g.r.IntN(t.bits)
	case 2:
		v = 1<<g.r.IntN(t.bits) - 1
	case 3:
		v = -(uint64(1) << g.r.IntN(t.bits))
	case 4:
		v = uint64(g.r.IntN(300))
	case 5:
		v = -uint64(g.r.IntN(200))
	case 6:
		v = []uint64{0x5555555555555555, 0x3333333333333333, 0x0f0f0f0f0f0f0f0f, 0x00ff00ff00ff00ff, 0x0101010101010101, 0xcccccccc, 0xffff0000, 0xff00ff00}[g.r.IntN(8)]
	case 7:
		v = uint64(int64(int32(g.r.Uint32())))
	default:
		v = g.r.Uint64()
	}
	if t.bits < 64 {
		v &= 1<<t.bits - 1
	}
	return fmt.Sprintf("(%s)%#xull", t.name, v)
}

func (g *gen) constants(t ctype, n int) string {
	var all []string
	for range n {
		all = append(all, g.constant(t))
	}
	return strings.Join(all, ", ")
}

// program writes program i with its functions.
func (g *gen) program(i int) {
	g.funcs = nil
	for range g.r.IntN(3) {
		g.function(fmt.Sprintf("f%d_", i))
	}
	g.scope = scope{ctx: true}
	g.body(4+g.r.IntN(22), func() {
		g.line("SEC(\"%s\") int p%d(struct %s *ctx)", g.sec, i, g.context)
		g.line("{")
		g.indent++
		g.line("u8 *pkt = DATA(ctx), *end = END(ctx);")
		g.line("if (pkt + %d > end)\n\t\treturn 1;", room)
		g.packet, g.masked = true, g.one(4)
	}, func() {
		g.line("st.res = mix(st.res, h_);")
		if g.one(5) {
			g.line("TAIL(%s & 3);", g.expr(types[4], 1))
		}
		g.line("return %s;", g.pick("h_", "h_ & 7", "2", "h_ >> 32"))
	})
}

// function writes a static function.
func (g *gen) function(prefix string) {
	f := function{name: g.name(prefix), result: g.anyType(), array: g.one(3)}
	g.scope = scope{}
	var params []string
	if f.array {
		params = append(params, "u64 *pa")
		g.arrays = append(g.arrays, array{"pa", types[6], 8})
	}
	for range 1 + g.r.IntN(5-len(params)) {
		t := g.anyType()
		f.params = append(f.params, t)
		name := g.name("a")
		params = append(params, t.name+" "+name)
		g.vars = append(g.vars, lvalue{name, t, t.bits})
	}
	how := g.pick("noinline", "noinline", "__attribute__((always_inline)) inline", "")
	g.body(2+g.r.IntN(6), func() {
		g.line("static %s %s %s(%s)", how, f.result.name, f.name, strings.Join(params, ", "))
		g.line("{")
		g.indent++
	}, func() { g.line("return h_;") })
	g.funcs = append(g.funcs, f)
}

// body writes a function: head, locals, n statements, what folds all locals
// into h_, and tail. Callbacks that the statements need come before it.
func (g *gen) body(n int, head, tail func()) {
	before := g.out
	g.out, g.head = nil, nil
	head()
	g.locals(n)
	g.work, g.flow, g.loops, g.brk = n, 0, 0, false
	for g.work > 0 {
		g.stmt()
	}
	g.line("u64 h_ = %s;", g.constant(types[6]))
	for _, v := range g.vars {
		g.line("h_ = %s;", g.pick("mix(h_, "+v.text+")", "h_ * 31 + "+v.text, "rol64(h_, 7) ^ "+v.text))
	}
	for _, a := range g.arrays {
		i := g.name("i")
		g.line("for (u32 %s = 0; %s < %d; %s++)\n\t\th_ = h_ * 33 ^ %s[%s];", i, i, a.n, i, a.text, i)
	}
	for _, w := range g.words {
		g.line("h_ = mix(h_, %s.q);", w)
	}
	for _, b := range g.records {
		g.line("h_ += %s.a + %s.c * 3ull + (u64)%s.e * 5 + %s.g + %s.h * 7ull + %s.i + %s.j + %s.d;", b, b, b, b, b, b, b, b)
	}
	tail()
	g.indent--
	g.line("}")
	g.out = slices.Concat(before, g.head, g.out)
}

// locals declares variables: few, or more than there are registers.
func (g *gen) locals(n int) {
	vars := 2 + g.r.IntN(5)
	if g.packet && g.one(4) {
		vars = 12 + g.r.IntN(14)
	}
	for range vars {
		t := g.anyType()
		name := g.name("v")
		qualifier := ""
		if g.one(12) {
			qualifier = "volatile "
		}
		g.line("%s%s %s = %s;", qualifier, t.name, name, g.expr(t, 1))
		g.vars = append(g.vars, lvalue{name, t, t.bits})
	}
	if g.one(3) {
		t := types[g.r.IntN(8)]
		a := array{g.name("ar"), t, max(2, 256/t.bits) >> g.r.IntN(2)} // of 16 bytes at least: smaller ones clang indexes by |
		g.line("%s%s %s[%d] = {%s};", g.pick("", "", "volatile "), t.name, a.text, a.n, g.constants(t, 1+g.r.IntN(a.n)))
		g.arrays = append(g.arrays, a)
	}
	if g.one(3) {
		w := g.name("un")
		g.line("%sunion word %s = {%s};", g.pick("", "volatile "), w, g.expr(types[6], 1))
		g.words = append(g.words, w)
	}
	if g.one(5) {
		b := g.name("st")
		g.line("struct bits %s = {%s, %s, %s};", b, g.expr(types[4], 0), g.constant(types[4]), g.expr(types[4], 0))
		g.records = append(g.records, b)
	}
}
