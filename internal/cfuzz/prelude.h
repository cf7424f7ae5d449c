// What generated programs are written in: for a BPF target it is the kernel's
// interface, for the host a model of it, and a main that runs every program on
// every input and prints what is left. Compiled with -fwrapv and
// -fno-strict-aliasing, so that generated expressions have one meaning.
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;
typedef u16 __attribute__((aligned(1))) u16u;
typedef u32 __attribute__((aligned(1))) u32u;
typedef u64 __attribute__((aligned(1))) u64u;

#define noinline __attribute__((noinline))
#define inlined static inline __attribute__((always_inline))

struct bits {
	u32 a : 3, b : 7, c : 22;
	s32 d : 5, e : 11, f : 16;
	u64 g : 33, h : 31;
	u16 i;
	s8 j;
	u8 k;
	u32 l;
};
union word {
	u64 q;
	s64 sq;
	u32 w[2];
	s32 sw[2];
	u16 h[4];
	s16 sh[4];
	u8 b[8];
	s8 sb[8];
};
struct value {
	u64 q[4];
	u32 w[4];
	u16 h[4];
	u8 b[8];
};
struct small {
	u64 q[2];
};
// What functions called by bpf_loop share with their caller.
struct loop {
	u64 a[4];
	u32 n[2];
	s16 h[4];
};
struct state {
	u64 res;
	u64 q[8];
	u32 w[16];
	s32 sw[8];
	u16 h[16];
	u8 b[64];
	struct bits bits[2];
	union word u[4];
	struct value v[2];
};
extern struct state st;

#ifdef __BPF__
#define SEC(name) __attribute__((section(name), used))
#define DATA(ctx) ((u8 *)(long)(ctx)->data)
#define END(ctx) ((u8 *)(long)(ctx)->data_end)
struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};
struct __sk_buff {
	u32 len, pkt_type, mark, queue_mapping, protocol, vlan_present, vlan_tci, vlan_proto, priority,
		ingress_ifindex, ifindex, tc_index, cb[5], hash, tc_classid, data, data_end;
};
#define MAP(name, kind, key_type, value_type, n)                                                     \
	struct {                                                                                     \
		int (*type)[kind];                                                                   \
		key_type *key;                                                                       \
		value_type *value;                                                                   \
		int (*max_entries)[n];                                                               \
	} name SEC(".maps")
static void *(*const bpf_map_lookup_elem)(void *, const void *) = (void *)1;
static long (*const bpf_map_update_elem)(void *, const void *, const void *, u64) = (void *)2;
static long (*const bpf_map_delete_elem)(void *, const void *) = (void *)3;
static long (*const bpf_tail_call)(void *, void *, u32) = (void *)12;
static long (*const bpf_loop)(u32, void *, void *, u64) = (void *)181;
#define TAIL(i) bpf_tail_call(ctx, &progs, i)
#else
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define SEC(name) __attribute__((used))
#define DATA(ctx) ((ctx)->data)
#define END(ctx) ((ctx)->data_end)
#define BPFV 9
struct xdp_md {
	u8 *data, *data_end;
};
struct __sk_buff {
	u8 *data, *data_end;
	u32 len, mark, priority, tc_index, cb[5];
};
struct map {
	int hash;
	u32 key, value, n;
	u8 *present, *keys, *values;
};
#define MAP(name, kind, key_type, value_type, n)                                                     \
	static u8 name##_p[n], name##_k[n * sizeof(key_type)] __attribute__((aligned(8))),           \
		name##_v[n * sizeof(value_type)] __attribute__((aligned(8)));                        \
	static struct map name = {(kind) == 1 || (kind) == 5, sizeof(key_type), sizeof(value_type), n, name##_p, name##_k, name##_v}
static void *bpf_map_lookup_elem(struct map *m, const void *key) {
	if (!m->hash)
		return *(u32 *)key < m->n ? m->values + (u64)*(u32 *)key * m->value : 0;
	for (u32 i = 0; i < m->n; i++)
		if (m->present[i] && !memcmp(m->keys + i * m->key, key, m->key))
			return m->values + i * m->value;
	return 0;
}
static long bpf_map_update_elem(struct map *m, const void *key, const void *value, u64 flags) {
	u8 *v = bpf_map_lookup_elem(m, key);
	if (!m->hash && !v)
		return -7;
	if (v && flags == 1)
		return -17;
	if (v)
		return memcpy(v, value, m->value), 0;
	if (flags == 2)
		return -2;
	for (u32 i = 0; i < m->n; i++)
		if (!m->present[i]) {
			m->present[i] = 1;
			memcpy(m->keys + i * m->key, key, m->key);
			memcpy(m->values + i * m->value, value, m->value);
			return 0;
		}
	abort(); // there are fewer keys than entries
}
static long bpf_map_delete_elem(struct map *m, const void *key) {
	u8 *v = bpf_map_lookup_elem(m, key);
	if (!m->hash)
		return -22;
	if (!v)
		return -2;
	m->present[(v - m->values) / m->value] = 0;
	return 0;
}
static long bpf_loop(u32 n, long (*f)(u32, void *), void *c, u64 flags) {
	u32 i = 0;
	while (i < n)
		if (f(i++, c))
			break;
	return i;
}
#define TAIL(i)                                                                                      \
	do {                                                                                         \
		u32 t_ = (i);                                                                        \
		if (t_ < TAILS)                                                                      \
			return tails[t_](ctx);                                                       \
	} while (0)
#endif

MAP(array, 2, u32, struct value, 4);
MAP(hash, 1, u64, struct value, 16);
MAP(hash4, 1, u32, u64, 16);
struct key { u32 a; u16 b, c; u32 d; };
MAP(hash12, 1, struct key, struct small, 16);
MAP(percpu, 6, u32, struct small, 2);
MAP(percpuh, 5, u32, struct value, 16);

// Keys come from eight of each kind.
inlined u32 key4(u32 x) { return (x & 7) * 0x01010101u; }
inlined u64 key8(u64 x) { return (x & 7) * 0x1000000000000103ull; }

// Operations that a processor older than v4, v3 does not have.
#if BPFV >= 4
inlined s64 div_s64(s64 a, s64 b) { return b == 0 ? 0 : b == -1 ? -a : a / b; }
inlined s64 mod_s64(s64 a, s64 b) { return b == 0 ? a : b == -1 ? 0 : a % b; }
inlined s32 div_s32(s32 a, s32 b) { return b == 0 ? 0 : b == -1 ? -a : a / b; }
inlined s32 mod_s32(s32 a, s32 b) { return b == 0 ? a : b == -1 ? 0 : a % b; }
#else
inlined s64 div_s64(s64 a, s64 b) {
	u64 x = a < 0 ? -(u64)a : a, y = b < 0 ? -(u64)b : b, q = y ? x / y : 0;
	return (a < 0) != (b < 0) ? -q : q;
}
inlined s64 mod_s64(s64 a, s64 b) { return (u64)a - (b ? (u64)div_s64(a, b) * (u64)b : 0); }
inlined s32 div_s32(s32 a, s32 b) { return div_s64(a, b); }
inlined s32 mod_s32(s32 a, s32 b) { return mod_s64(a, b); }
#endif
#if BPFV >= 3
#define FETCH(op, p, x) __sync_fetch_and_##op(p, x)
#define XCHG(p, x) __sync_lock_test_and_set(p, x)
#define CAS(p, x, y) __sync_val_compare_and_swap(p, x, y)
#else
#define OP_add +
#define OP_and &
#define OP_or |
#define OP_xor ^
#define FETCH(op, p, x) ({ __typeof__(p) p_ = (p); __typeof__(*p_) o_ = *p_; *p_ = o_ OP_##op (x); o_; })
#define XCHG(p, x) ({ __typeof__(p) p_ = (p); __typeof__(*p_) o_ = *p_; *p_ = (x); o_; })
#define CAS(p, x, y) ({ __typeof__(p) p_ = (p); __typeof__(*p_) o_ = *p_; if (o_ == (x)) *p_ = (y); o_; })
#endif

inlined u32 rol32(u32 x, u32 n) { return x << (n & 31) | x >> (-n & 31); }
inlined u64 rol64(u64 x, u32 n) { return x << (n & 63) | x >> (-n & 63); }
inlined u16 rol16(u16 x, u32 n) { return x << (n & 15) | x >> (-n & 15); }
inlined u8 rol8(u8 x, u32 n) { return x << (n & 7) | x >> (-n & 7); }
inlined u32 satadd32(u32 a, u32 b) { u32 c = a + b; return c < a ? -1u : c; }
inlined u64 satadd64(u64 a, u64 b) { u64 c = a + b; return c < a ? -1ull : c; }
inlined u32 satsub32(u32 a, u32 b) { return a > b ? a - b : 0; }
inlined u64 satsub64(u64 a, u64 b) { return a > b ? a - b : 0; }
inlined s32 ssat16(s32 x) { return x > 32767 ? 32767 : x < -32768 ? -32768 : x; }
inlined u64 carry(u64 a, u64 b) { u64 c = a + b; return c + (c < a); }
inlined u32 csum(u64 x) { x = (x & 0xffffffff) + (x >> 32); x = (x & 0xffff) + (x >> 16); x = (x & 0xffff) + (x >> 16); return (u16)~x; }
inlined u64 mulhi(u64 a, u64 b) {
	u64 al = (u32)a, ah = a >> 32, bl = (u32)b, bh = b >> 32, m = ah * bl + (al * bl >> 32), n = al * bh + (u32)m;
	return ah * bh + (m >> 32) + (n >> 32);
}
inlined u64 mix(u64 h, u64 x) { h = (h ^ x) * 0x9e3779b97f4a7c15ull; return h ^ h >> 29; }
