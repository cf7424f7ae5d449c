/* FNV-1a, 64 bits, of 1400 bytes. */
#include "bench.h"

PROGRAM(fnv)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u64 h = 0xcbf29ce484222325;

	NEED(p, 1400);
	rolled for (int i = 0; i < 1400; i++)
		h = (h ^ p[i]) * 0x100000001b3;
	return fold64(h);
}
