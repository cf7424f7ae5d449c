/* Binary search for 32 numbers among 256 sorted ones in the packet, twice. */
#include "bench.h"

PROGRAM(bsearch)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 h = 0;

	NEED(p, 1024 + 128);
	rolled for (int i = 0; i < 64; i++) {
		u32 want = U32(p + 1024 + 4 * (i & 31)), at = 0;

		rolled for (u32 step = 128; step > 0; step >>= 1) {
			u32 try = at + step & 255;

			if (U32(p + 4 * try) <= want)
				at = try;
		}
		h = h * 33 + at;
	}
	return h;
}
