/* Bytewise comparison of pieces of the packet: equal, and different late. */
#include "bench.h"

inline_ s32 compare(const u8 *a, const u8 *b, u32 n)
{
	rolled for (u32 i = 0; i < n; i++)
		if (a[i] != b[i])
			return a[i] - b[i];
	return 0;
}

PROGRAM(memcmp)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 h = 0;

	NEED(p, 1024);
	rolled for (int k = 0; k < 4; k++)
		h = h * 257 + compare(p + 128 * k, p + 512 + 128 * k, 128);
	return h;
}
