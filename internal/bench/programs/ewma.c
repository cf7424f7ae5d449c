/* Token buckets and moving averages of 16 flows in global memory: loads,
 * stores, multiplications, conditions. */
#include "bench.h"

struct bucket {
	u64 tokens, last, average;
	u32 passed, dropped;
};
static struct bucket buckets[16];

PROGRAM(ewma)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u64 now = 0;
	u32 h = 0;

	NEED(p, 512);
	rolled for (int i = 0; i < 16; i++)
		buckets[i] = (struct bucket){.tokens = 1500};
	rolled for (int i = 0; i < 512; i += 4) {
		struct bucket *b = &buckets[p[i] & 15];
		u32 len = U16(p + i + 2) & 2047;

		now += p[i + 1] + 1;
		b->tokens += (now - b->last) * 40;
		if (b->tokens > 3000)
			b->tokens = 3000;
		b->last = now;
		b->average += ((u64)len << 8) - (b->average >> 3);
		if (b->tokens >= len) {
			b->tokens -= len;
			b->passed++;
		} else {
			b->dropped++;
			h += b->average >> 8;
		}
	}
	return h + buckets[3].passed + (buckets[5].dropped << 16);
}
