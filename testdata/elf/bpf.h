/* Declarations that the test objects share. Written for them: they need no
 * kernel or libbpf headers, so that they build the same everywhere. */
#ifndef SKEP_TEST_BPF_H
#define SKEP_TEST_BPF_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef _Bool bool;

#define SEC(name) __attribute__((section(name), used))
#define __noinline __attribute__((noinline))
#define __always_inline inline __attribute__((always_inline))
#define __weak __attribute__((weak))
#define __kconfig __attribute__((section(".kconfig")))
#define __ksym __attribute__((section(".ksyms")))
#define core_access __attribute__((preserve_access_index))

/* Attributes of maps are types of struct members. */
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __ulong_2(name, val, n) enum { map_value_##n = val } name
#define __ulong_1(name, val, n) __ulong_2(name, val, n)
#define __ulong(name, val) __ulong_1(name, val, __COUNTER__)

enum {
	MAP_HASH = 1,
	MAP_ARRAY = 2,
	MAP_PROG_ARRAY = 3,
	MAP_PERCPU_ARRAY = 6,
	MAP_LRU_HASH = 9,
	MAP_ARRAY_OF_MAPS = 12,
	MAP_HASH_OF_MAPS = 13,
	MAP_RINGBUF = 27,
	MAP_BLOOM_FILTER = 30,
};

enum { PIN_BY_NAME = 1 };

/* Helpers, by number (include/uapi/linux/bpf.h, enum bpf_func_id). */
static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static __u64 (*ktime)(void) = (void *)5;
static long (*printk)(const char *fmt, __u32 size, ...) = (void *)6;
static long (*tail_call)(void *ctx, void *map, __u32 index) = (void *)12;
static long (*loop)(__u32 n, void *fn, void *ctx, __u64 flags) = (void *)181;

struct xdp_md {
	__u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex;
};

struct __sk_buff {
	__u32 len, pkt_type, mark;
};

#endif
