/* Bob Jenkins' lookup3 over 1404 bytes. */
#include "bench.h"

PROGRAM(jhash)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 a = 0xdeadbeef + 1404, b = a, c = a;

	NEED(p, 1404);
	rolled for (int i = 0; i < 1404; i += 12) {
		a += U32(p + i);
		b += U32(p + i + 4);
		c += U32(p + i + 8);
		a -= c, a ^= rol32(c, 4), c += b;
		b -= a, b ^= rol32(a, 6), a += c;
		c -= b, c ^= rol32(b, 8), b += a;
		a -= c, a ^= rol32(c, 16), c += b;
		b -= a, b ^= rol32(a, 19), a += c;
		c -= b, c ^= rol32(b, 4), b += a;
	}
	c ^= b, c -= rol32(b, 14);
	a ^= c, a -= rol32(c, 11);
	b ^= a, b -= rol32(a, 25);
	c ^= b, c -= rol32(b, 16);
	a ^= c, a -= rol32(c, 4);
	b ^= a, b -= rol32(a, 14);
	c ^= b, c -= rol32(b, 24);
	return c;
}
