/* Variable-length numbers, as in Protocol Buffers, from 384 bytes. */
#include "bench.h"

PROGRAM(varint)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u64 h = 0, x = 0;
	u32 shift = 0, n = 0;

	NEED(p, 384);
	rolled for (int i = 0; i < 384; i++) {
		u8 c = p[i];

		x |= (u64)(c & 127) << shift;
		if (c & 128) {
			shift = shift + 7 & 63;
			continue;
		}
		h = h * 31 + (s64)(x >> 1 ^ -(x & 1));
		n++;
		x = 0;
		shift = 0;
	}
	return fold64(h) + n;
}
