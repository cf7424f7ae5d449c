/* Widths mixed: 8, 16, 32 and 64 bits, signed and unsigned. */
#include "bench.h"

PROGRAM(mix)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u64 a = 1;
	s64 b = -1;
	u32 c = 7;
	s32 d = -7;

	NEED(p, 1024);
	rolled for (int i = 0; i < 1024; i += 8) {
		d += *(const s16 *)(p + i);
		c = c * 1664525 + U16(p + i + 2);
		a += (u64)c * p[i + 4];
		b += d >> 3;
		d ^= (s8)p[i + 5];
		a ^= (u64)(u32)b << 7;
		b -= (s32)(a >> 16);
		c += (u32)(a >> 33) + (u16)b;
		if (d < 0)
			a += (u32)d;
	}
	return fold64(a) ^ fold64(b) ^ c ^ d;
}
