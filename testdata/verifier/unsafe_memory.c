/* Twins of safe_memory.c that are wrong by a little. */
#include "shapes.h"

void *memset(void *dst, int c, __u64 n);
void *memcpy(void *dst, const void *src, __u64 n);
int memcmp(const void *a, const void *b, __u64 n);

XDP(memset_too_far)
{
	VALUE;
	memset(v + 60, 0, (prandom() & 7) + 1);
	return 0;
}

XDP(memcpy_too_far)
{
	PACKET;
	VALUE;
	if (p + 64 > end)
		return 0;
	memcpy(v, p + 1, (prandom() & 63) + 1);
	return 0;
}

XDP(memcmp_too_far)
{
	PACKET;
	VALUE;
	if (p + 15 > end)
		return 0;
	return memcmp(v, p, (prandom() & 15) + 1);
}

XDP(memcpy_over_index)
{
	VALUE;
	__u64 i[2] = {1, 2};
	KEEP(ctx);
	memcpy(i, v, (prandom() & 7) + 8);
	return v[i[0]];
}

char _license[] SEC("license") = "GPL";
