/* What the shapes of programs share. */
#ifndef SKEP_TEST_SHAPES_H
#define SKEP_TEST_SHAPES_H

#include "../elf/bpf.h"

#define XDP(name) SEC("xdp") int name(struct xdp_md *ctx)
#define PACKET __u8 *p = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end
/* KEEP stops the compiler from following a value, as real code does by being
 * longer. */
#define KEEP(x) asm volatile("" : "+r"(x))
#define VALUE                                                                                      \
	__u32 zero = 0;                                                                            \
	__u8 *v = map_lookup(&bytes, &zero);                                                       \
	if (!v)                                                                                    \
	return 0

static __u32 (*prandom)(void) = (void *)7;
static long (*csum_diff)(void *from, __u32 from_size, void *to, __u32 to_size,
                         __u32 seed) = (void *)28;

struct {
	__uint(type, MAP_ARRAY);
	__type(key, __u32);
	__type(value, __u8[64]);
	__uint(max_entries, 16);
} bytes SEC(".maps");

struct {
	__uint(type, MAP_HASH);
	__type(key, __u64);
	__type(value, __u64);
	__uint(max_entries, 16);
} words SEC(".maps");

#endif
