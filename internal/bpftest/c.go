package bpftest

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// C returns a translation unit of n random programs, all that seed stands for,
// in the style of people's: they parse packets, look up and change map values,
// index arrays with what they have bounded first, fill ring buffers, call
// subprograms and loop. About one in three gets a bound or a check wrong, by a
// little; the others are meant to be safe.
//
// The programs are for xdp and tc, need no headers, and share their maps.
func C(seed uint64, n int) string {
	c := &cWriter{r: rand.New(rand.NewPCG(seed, 0xc))}
	c.line("%s", cPrelude)
	for i := range n {
		c.program(i)
	}
	return c.b.String()
}

// cPrelude declares what the programs share.
const cPrelude = `
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#define SEC(name) __attribute__((section(name), used))
#define NOINLINE __attribute__((noinline))
#define INLINE inline __attribute__((always_inline))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define KEEP(x) asm volatile("" : "+r"(x))
#define BARRIER asm volatile("" ::: "memory")

struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority,
		ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
};

struct value { u64 count; u32 n; u16 port; u8 kind, flag; u8 bytes[16]; u32 words[8]; };
struct key { u32 addr; u16 port, proto; };
struct event { u64 when; u32 len; u32 tag; u8 bytes[48]; };

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static u64 (*ktime)(void) = (void *)5;
static u32 (*prandom)(void) = (void *)7;
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static long (*skb_load_bytes)(void *skb, u32 off, void *to, u32 len) = (void *)26;
static s64 (*csum_diff)(void *from, u32 from_size, void *to, u32 to_size, u32 seed) = (void *)28;
static long (*skb_pull_data)(void *skb, u32 len) = (void *)39;
static long (*xdp_adjust_head)(void *ctx, int delta) = (void *)44;
static long (*ringbuf_output)(void *map, void *data, u64 size, u64 flags) = (void *)130;
static void *(*ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*ringbuf_submit)(void *data, u64 flags) = (void *)132;
static void (*ringbuf_discard)(void *data, u64 flags) = (void *)133;
static long (*loop)(u32 n, void *fn, void *ctx, u64 flags) = (void *)181;
static long (*xdp_load_bytes)(void *ctx, u32 off, void *to, u32 len) = (void *)189;

struct { __uint(type, 2); __type(key, u32); __type(value, struct value); __uint(max_entries, 8); } slots SEC(".maps");
struct { __uint(type, 1); __type(key, struct key); __type(value, struct value); __uint(max_entries, 64); } flows SEC(".maps");
struct { __uint(type, 9); __type(key, u32); __type(value, u64); __uint(max_entries, 64); } recent SEC(".maps");
struct { __uint(type, 6); __type(key, u32); __type(value, struct value); __uint(max_entries, 4); } percpu SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 4096); } events SEC(".maps");
struct { __uint(type, 3); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 4); } progs SEC(".maps");

static const volatile u32 limit_of[16] = { 1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 64 };
static const volatile u8 class_of[64] = { 0, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 0 };
u64 counters[32];
u8 scratch[64] = { 1 };
char _license[] SEC("license") = "GPL";
`

// A cWriter writes the C text.
type cWriter struct {
	r      *rand.Rand
	b      strings.Builder
	body   *strings.Builder // of the function that is written; nil: at top level
	indent int

	skb    bool // the program is for tc
	slips  int  // mistakes left to make
	names  int
	vars   []string // numbers in scope
	proven int      // bytes of the packet that are surely there
	big    int      // statements left
	helper int      // subprograms of this program
}

func (c *cWriter) line(format string, args ...any) {
	b := &c.b
	if c.body != nil {
		b = c.body
	}
	b.WriteString(strings.Repeat("\t", c.indent))
	fmt.Fprintf(b, format, args...)
	b.WriteByte('\n')
}

func (c *cWriter) name(prefix string) string {
	c.names++
	return fmt.Sprintf("%s%d", prefix, c.names)
}

// one returns one of the choices.
func (c *cWriter) one(choices ...string) string { return choices[c.r.IntN(len(choices))] }

// chance is true once in n times.
func (c *cWriter) chance(n int) bool { return c.r.IntN(n) == 0 }

// slip is true where the program is to make a mistake.
func (c *cWriter) slip() bool {
	if c.slips > 0 && c.chance(4) {
		c.slips--
		return true
	}
	return false
}

// off returns n, or if the program slips here a number near it.
func (c *cWriter) off(n int) int {
	if c.slip() {
		return max(0, n+[]int{1, 1, 1, 2, 4, 8, -1}[c.r.IntN(7)])
	}
	return n
}

// program writes one program, and its subprograms before it.
func (c *cWriter) program(i int) {
	c.skb = c.chance(2)
	c.slips = 0
	if c.chance(3) {
		c.slips = 1 + c.r.IntN(2)
	}
	c.vars, c.proven, c.helper = nil, 0, 0
	c.big = 3 + c.r.IntN(7)
	var body strings.Builder
	c.body, c.indent = &body, 1
	c.line("u8 *p = (u8 *)(long)ctx->data, *end = (u8 *)(long)ctx->data_end;")
	c.line("u64 acc = 0;")
	for _, t := range []string{"u32", "u64", c.one("s32", "u16", "s64", "u8")} {
		v := c.name("v")
		from := []string{"prandom()", "ktime()", "ctx->ingress_ifindex", "counters[3]"}
		if c.skb {
			from = append(from, "ctx->hash", "ctx->len", "ctx->protocol", "ctx->mark")
		}
		c.line("%s %s = %s;", t, v, c.one(from...))
		c.vars = append(c.vars, v)
	}
	for c.big > 0 {
		c.statement()
	}
	c.line("return (acc ^ %s) & 3;", c.num())
	c.body, c.indent = nil, 0
	section, ctx := "xdp", "xdp_md"
	if c.skb {
		section, ctx = "tc", "__sk_buff"
	}
	c.line("SEC(\"%s\") int prog_%d(struct %s *ctx)\n{\n%s}\n", section, i, ctx, body.String())
}

// num returns a number that is in scope.
func (c *cWriter) num() string { return c.vars[c.r.IntN(len(c.vars))] }

// expr returns an expression of numbers in scope.
func (c *cWriter) expr() string {
	switch c.r.IntN(12) {
	case 0:
		return fmt.Sprintf("(u32)(%s %s %s)", c.num(), c.one("+", "-", "*", "^", "|", "&"), c.num())
	case 1:
		return fmt.Sprintf("(%s >> %d)", c.num(), c.r.IntN(8))
	case 2:
		return fmt.Sprintf("(%s & 0x%x)", c.num(), c.r.IntN(1<<c.r.IntN(16)))
	case 3:
		return fmt.Sprintf("__builtin_bswap16(%s)", c.num())
	case 4:
		return fmt.Sprintf("__builtin_bswap32(%s)", c.num())
	case 5:
		return fmt.Sprintf("(%s)%s", c.one("s8", "s16", "s32", "u8", "u16", "u32"), c.num())
	case 6:
		return fmt.Sprintf("((%s)%s / %d)", c.one("u32", "u64"), c.num(), 1+c.r.IntN(60))
	case 7:
		return fmt.Sprintf("((%s)%s %% %d)", c.one("u32", "u64"), c.num(), 1+c.r.IntN(60))
	case 8:
		return fmt.Sprintf("(%s << %d)", c.num(), c.r.IntN(6))
	case 9:
		return fmt.Sprintf("(%s ? %s : %d)", c.cond(), c.num(), c.r.IntN(64))
	}
	return c.num()
}

// cond returns a condition on numbers in scope.
func (c *cWriter) cond() string {
	op := c.one("==", "!=", "<", ">", "<=", ">=", "&")
	if c.chance(2) {
		return fmt.Sprintf("(%s %s %d)", c.num(), op, c.r.IntN(1<<c.r.IntN(12)))
	}
	return fmt.Sprintf("(%s %s %s)", c.num(), op, c.num())
}

// let declares a number and gives it the value of an expression.
func (c *cWriter) let(typ, expr string) string {
	v := c.name("v")
	c.line("%s %s = %s;", typ, v, expr)
	return v
}

// out is what a check that fails does.
func (c *cWriter) out() string { return c.one("return 0;", "return 2;", "return acc & 1;") }

// index declares a number from 0 to n−1, in one of the ways that people bound
// numbers, and returns its name. Numbers in scope stay usable.
func (c *cWriter) index(n int) string {
	e := c.expr()
	typ := c.one("u32", "u32", "u64", "u16", "u8", "s32", "s64")
	low := n
	for low&(low-1) != 0 {
		low &= low - 1 // the largest power of two that is not above n
	}
	m := c.off(n)
	switch c.r.IntN(14) {
	case 0, 1:
		mask := c.off(low) - 1
		return c.let(typ, fmt.Sprintf("%s & %d", e, max(mask, 0)))
	case 2:
		return c.let(c.one("u32", "u64"), fmt.Sprintf("(u32)%s %% %d", e, max(m, 1)))
	case 3:
		v := c.let(c.one("u32", "u64", "u16"), e)
		c.line("if (%s >= %d) %s", v, m, c.out())
		return v
	case 4:
		v := c.let(c.one("u32", "u64", "u16"), e)
		c.line("if (%s > %d) %s", v, m-1, c.one(c.out(), fmt.Sprintf("%s = %d;", v, n-1)))
		return v
	case 5:
		v := c.let(c.one("s32", "s64", "s16"), e)
		if c.slip() {
			c.line("if (%s >= %d) %s", v, n, c.out())
		} else {
			c.line("if (%s < 0 || %s >= %d) %s", v, v, m, c.out())
		}
		return v
	case 6:
		v := c.let("s32", e)
		c.line("if (%s %s 0) %s", v, c.one("<", "<", "<="), c.out())
		c.line("if (%s > %d) %s", v, m-1, c.out())
		return v
	case 7: // bounded through a copy, or by equality
		v := c.let("u32", e)
		w := c.let("u32", v)
		c.line("KEEP(%s);", w)
		c.line("if (%s >= %d) %s", w, m, c.out())
		return c.one(w, w, w, v)
	case 8: // a sum of two
		a, b := c.let("u32", fmt.Sprintf("%s & %d", e, max(low/2-1, 0))), c.let("u32", fmt.Sprintf("%s & %d", c.expr(), max(c.off(low/2)-1, 0)))
		return c.let("u32", a+" + "+b)
	case 9: // out of a shift
		bits := 0
		for 1<<(bits+1) <= low {
			bits++
		}
		if bits == 0 {
			return c.let("u32", "0")
		}
		return c.let("u32", fmt.Sprintf("(u32)%s >> %d", e, 32-bits-min(1, c.off(0))))
	case 10: // scaled down
		return c.let("u32", fmt.Sprintf("(u8)%s * %d >> 8", e, m))
	case 11: // a switch
		v := c.let("u32", "0")
		c.line("switch (%s & 7) {", e)
		for i := range 3 + c.r.IntN(3) {
			c.line("case %d: %s = %d; break;", i, v, c.r.IntN(max(n, 1)))
		}
		if c.chance(2) {
			c.line("default: %s", c.out())
		}
		c.line("}")
		if c.slip() {
			c.line("%s += %d;", v, 1+c.r.IntN(n))
		}
		c.line("KEEP(%s);", v)
		c.line("if (%s >= %d) %s", v, n, c.out())
		return v
	case 12: // a status beside it
		v, st := c.let("u32", e), c.let("s32", "0")
		c.line("if (%s >= %d) %s = -22;", v, m, st)
		c.line("KEEP(%s);", st)
		c.line("if (%s%s) %s", st, c.one("", " < 0"), c.out())
		return v
	}
	// min
	v := c.let("u64", e)
	return c.let("u64", fmt.Sprintf("%s < %d ? %s : %d", v, m, v, n-1))
}
