/* Fields of the context and of the packet, read again in each iteration, as a
 * compiler does after a call: 80 times. */
#include "bench.h"

noinline_ u32 checked_sum(struct xdp_md *ctx, u32 off)
{
	const u8 *p = DATA(ctx), *end = END(ctx);

	p += off & 255;
	NEED(p, 16);
	return U32(p) + U32(p + 4) * 3 + U32(p + 8) * 5 + p[15];
}

PROGRAM(context)
{
	u32 h = 0;

	rolled for (u32 i = 0; i < 80; i++)
		h = rol32(h, 3) + checked_sum(ctx, h + i);
	return h;
}
