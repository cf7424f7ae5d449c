/* Numbers in network order, of every size, read, combined and written back, four
 * times over. */
#include "bench.h"

static u64 out[64];

PROGRAM(bswap)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u64 h = 0;
	u32 n = 0;

	NEED(p, 1024);
	rolled for (int k = 0; k < 256; k++) {
		int i = k & 63;
		u64 x = be64(U64(p + 16 * i));
		u32 y = be32(U32(p + 16 * i + 8));
		u16 z = be16(U16(p + 16 * i + 12));

		h += x ^ (u64)y << 8;
		n += z + be16(U16(p + 16 * i + 14));
		out[i] = be64(h);
	}
	return fold64(h) + n + (u32)out[63] + be32(n);
}
