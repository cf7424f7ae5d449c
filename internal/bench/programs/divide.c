/* Division and remainder by constants and by variables: numbers to decimal, a
 * hash ring, averages. */
#include "bench.h"

PROGRAM(divide)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 h = 0;

	NEED(p, 512);
	rolled for (int i = 0; i < 512; i += 16) {
		u32 x = U32(p + i), n = p[i + 4] + 1;
		u64 y = U64(p + i + 8);

		rolled for (int d = 0; d < 10; d++) {
			h = h * 31 + x % 10;
			x /= 10;
		}
		h += U32(p + i + 8) / n + U32(p + i + 12) % n;
		h ^= y % 65521 + y / 1000000007 + (y >> 8) / 3;
	}
	return h;
}
