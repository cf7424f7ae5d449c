/* Subprograms that call subprograms, 128 times. */
#include "bench.h"

noinline_ u32 scale(u32 x, u32 n)
{
	if (x & 1)
		return x * 3 + n;
	return x >> 1 ^ n;
}

noinline_ u32 step(const u8 *p, u32 h)
{
	u32 a = scale(h ^ p[0], 7), b = scale(h + p[1], 13);

	return a + rol32(b, 9);
}

PROGRAM(subprog)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 h = 1;

	NEED(p, 256);
	rolled for (int i = 0; i < 128; i++)
		h = step(p + 2 * i, h);
	return h;
}
