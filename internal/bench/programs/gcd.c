/* Greatest common divisors by shifts and by remainders: data decides how long
 * the loops are. */
#include "bench.h"

PROGRAM(gcd)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 h = 0;

	NEED(p, 64);
	rolled for (int i = 0; i < 32; i += 4) {
		u32 a = U16(p + i) | 1, b = U16(p + i + 2) | 1;

		rolled for (int k = 0; k < 40 && a != b; k++) {
			if (a < b) {
				u32 t = a;

				a = b;
				b = t;
			}
			a -= b;
			rolled for (int j = 0; j < 4 && !(a & 1); j++)
				a >>= 1;
		}
		h = h * 17 + a;
		a = U32(p + i);
		b = U32(p + i + 32);
		rolled for (int k = 0; k < 24 && b != 0; k++) {
			u32 t = a % b;

			a = b;
			b = t;
		}
		h = h * 19 + a;
	}
	return h;
}
