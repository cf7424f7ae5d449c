/* Names of labels, as in DNS, lowered and hashed: 12 names of 32 bytes. */
#include "bench.h"

PROGRAM(dns)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 all = 0;

	NEED(p, 384);
	rolled for (int k = 0; k < 12; k++) {
		u32 h = 5381, left = 0, labels = 0;

		rolled for (int i = 0; i < 32; i++) {
			u8 c = p[32 * k + i];

			if (left == 0) {
				if (c == 0)
					break;
				left = c & 15;
				labels++;
				continue;
			}
			if (c >= 'A' && c <= 'Z')
				c += 'a' - 'A';
			h = h * 33 ^ c;
			left--;
		}
		all = rol32(all, 7) + h + labels;
	}
	return all;
}
