/* Set bits of 64 words in three ways: by folding, one at a time, by bytes. */
#include "bench.h"

PROGRAM(bitcount)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 n = 0, m = 0;

	NEED(p, 512);
	rolled for (int i = 0; i < 512; i += 8) {
		u64 x = U64(p + i);

		x = x - (x >> 1 & 0x5555555555555555);
		x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
		x = x + (x >> 4) & 0x0f0f0f0f0f0f0f0f;
		n += x * 0x0101010101010101 >> 56;
	}
	rolled for (int i = 0; i < 64; i++) {
		u32 x = p[i];

		rolled for (int k = 0; k < 8; k++) {
			if (x & 1)
				m++;
			x >>= 1;
		}
	}
	return n << 16 | m;
}
