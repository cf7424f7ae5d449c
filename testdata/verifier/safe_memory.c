/* Functions of the C library with sizes that are not constant. */
#include "shapes.h"

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
