/* Least, greatest, clamped and absolute values of 256 numbers. */
#include "bench.h"

PROGRAM(minmax)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	s32 lo = 0x7fffffff, hi = -0x7fffffff, prev = 0;
	u32 moved = 0, sum = 0;

	NEED(p, 1024);
	rolled for (int i = 0; i < 1024; i += 4) {
		s32 x = *(const s32 *)(p + i) >> 4, d = x - prev;
		s32 y = x < -1000000 ? -1000000 : x > 50000000 ? 50000000 : x;

		lo = x < lo ? x : lo;
		hi = x > hi ? x : hi;
		moved += d < 0 ? -d : d;
		sum += y;
		prev = x;
	}
	return (u32)lo ^ (u32)hi * 3 ^ moved ^ sum;
}
