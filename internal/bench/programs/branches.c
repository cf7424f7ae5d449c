/* A tokeniser of text: nothing but branches. */
#include "bench.h"

PROGRAM(branches)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 state = 0, words = 0, numbers = 0, quotes = 0, lines = 0;

	NEED(p, 768);
	rolled for (int i = 0; i < 768; i++) {
		u8 c = p[i];

		if (c == '\n') {
			lines++;
			state = 0;
		} else if (state == 3) {
			if (c == '"') {
				quotes++;
				state = 0;
			}
		} else if (c == '"') {
			state = 3;
		} else if (c >= '0' && c <= '9') {
			if (state == 0) {
				numbers++;
				state = 2;
			}
		} else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_') {
			if (state != 1)
				words++;
			state = 1;
		} else {
			state = 0;
		}
	}
	return words | numbers << 8 | quotes << 16 | lines << 24;
}
