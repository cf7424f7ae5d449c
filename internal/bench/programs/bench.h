/* What the programs share. Each is compiled twice: for eBPF, as an XDP program,
 * and for the host, as a function of a context that holds whole pointers. No
 * headers are needed.
 *
 * A program computes something from the packet and returns it, so that the
 * engines can be compared before they are timed. Those that use maps or helpers
 * call them through macros whose native form is what a C programmer would write
 * instead; where there is nothing comparable, NATIVE_NONE leaves the function
 * out. */
#ifndef SKEP_BENCH_H
#define SKEP_BENCH_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char s8;
typedef short s16;
typedef int s32;
typedef long long s64;

#define inline_ static inline __attribute__((always_inline))
#define noinline_ static __attribute__((noinline))
#define rolled _Pragma("clang loop unroll(disable)")

#ifdef __bpf__

struct xdp_md {
	u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

#define PROGRAM(name) __attribute__((section("xdp"), used)) int name(struct xdp_md *ctx)
#define MAP __attribute__((section(".maps"), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) __typeof__(val) *name
#define __array(name, val) __typeof__(val) *name[]

enum { HASH = 1, ARRAY = 2, PROG_ARRAY = 3, PERCPU_HASH = 5, PERCPU_ARRAY = 6, RINGBUF = 27 };

static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static u32 (*smp_processor_id)(void) = (void *)8;
static long (*tail_call)(void *ctx, void *map, u32 index) = (void *)12;
static void *(*ringbuf_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*ringbuf_submit)(void *data, u64 flags) = (void *)132;
static long (*for_each)(void *map, void *fn, void *ctx, u64 flags) = (void *)164;
static long (*loop)(u32 n, void *fn, void *ctx, u64 flags) = (void *)181;

#else

struct xdp_md {
	const void *data, *data_end;
};

#define PROGRAM(name) __attribute__((visibility("default"))) u32 name(struct xdp_md *ctx)

#endif

#define DATA(ctx) ((const u8 *)(unsigned long)(ctx)->data)
#define END(ctx) ((const u8 *)(unsigned long)(ctx)->data_end)

/* At least n bytes of packet at p, or the program returns 0. */
#define NEED(p, n)                       \
	do {                             \
		if ((p) + (n) > end)     \
			return 0;        \
	} while (0)

#define U16(p) (*(const u16 *)(p))
#define U32(p) (*(const u32 *)(p))
#define U64(p) (*(const u64 *)(p))

#define be16(x) __builtin_bswap16(x)
#define be32(x) __builtin_bswap32(x)
#define be64(x) __builtin_bswap64(x)

inline_ u32 rol32(u32 x, u32 n) { return x << n | x >> (32 - n); }
inline_ u64 rol64(u64 x, u32 n) { return x << n | x >> (64 - n); }
inline_ u32 fold64(u64 x) { return (u32)(x ^ x >> 32); }

#endif
