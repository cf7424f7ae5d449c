/* The ChaCha20 block function: 16 words live at once, more than there are
 * registers. */
#include "bench.h"

#define QR(a, b, c, d)                                        \
	a += b, d = rol32(d ^ a, 16), c += d, b = rol32(b ^ c, 12), \
	a += b, d = rol32(d ^ a, 8), c += d, b = rol32(b ^ c, 7)

PROGRAM(chacha)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 h = 0;

	NEED(p, 96);
	rolled for (u32 n = 0; n < 4; n++) {
		u32 a = 0x61707865, b = 0x3320646e, c = 0x79622d32, d = 0x6b206574;
		u32 e = U32(p), f = U32(p + 4), g = U32(p + 8), i = U32(p + 12);
		u32 j = U32(p + 16), k = U32(p + 20), l = U32(p + 24), m = U32(p + 28);
		u32 q = n, r = U32(p + 36), s = U32(p + 40), t = U32(p + 44);

		rolled for (int round = 0; round < 10; round++) {
			QR(a, e, j, q);
			QR(b, f, k, r);
			QR(c, g, l, s);
			QR(d, i, m, t);
			QR(a, f, l, t);
			QR(b, g, m, q);
			QR(c, i, j, r);
			QR(d, e, k, s);
		}
		h = rol32(h, 1) ^ a ^ (b + c) ^ d ^ (e + f) ^ g ^ (i + j) ^ k ^ (l + m) ^ q ^ (r + s) ^ t;
	}
	return h;
}
