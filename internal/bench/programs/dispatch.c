/* A small machine whose instructions are the bytes of the packet. */
#include "bench.h"

PROGRAM(dispatch)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 a, b, c;

	NEED(p, 268);
	a = U32(p + 256);
	b = U32(p + 260);
	c = U32(p + 264);
	rolled for (int i = 0; i < 256; i++) {
		switch (p[i] & 15) {
		case 0: a += b; break;
		case 1: b ^= a; break;
		case 2: c = a * b; break;
		case 3: a = c - b; break;
		case 4: b = c >> 3; break;
		case 5: c <<= 1; break;
		case 6: a &= 0xffffff; break;
		case 7: b |= 0x10; break;
		case 8: c += 12345; break;
		case 9: a = b, b = c; break;
		case 10: c ^= b + a; break;
		case 11: if (a > b) a -= b; break;
		case 12: b = -b; break;
		case 13: c = ~c; break;
		case 14: a += i; break;
		case 15: b *= 3; break;
		}
	}
	return a ^ b ^ c;
}
