/* Functions of the C library with sizes that are not constant. */
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

void *memset(void *dst, int c, __u64 n);
void *memcpy(void *dst, const void *src, __u64 n);
int memcmp(const void *a, const void *b, __u64 n);

XDP(memset_inside)
{
	VALUE;
	memset(v + 56, 0, (prandom() & 7) + 1);
	return 0;
}

XDP(memcpy_inside)
{
	PACKET;
	VALUE;
	if (p + 65 > end)
		return 0;
	memcpy(v, p + 1, (prandom() & 63) + 1);
	return v[3];
}

XDP(memcmp_inside)
{
	PACKET;
	VALUE;
	if (p + 16 > end)
		return 0;
	return memcmp(v, p, (prandom() & 15) + 1);
}

char _license[] SEC("license") = "GPL";
