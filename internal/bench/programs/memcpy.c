/* Copies of 1408 bytes into a global array, by bytes, then by words. */
#include "bench.h"

static u8 bytes[704];
static u64 words[88];

PROGRAM(memcpy)
{
	const u8 *p = DATA(ctx), *end = END(ctx);

	NEED(p, 1408);
	rolled for (int i = 0; i < 704; i++)
		bytes[i] = p[i];
	rolled for (int i = 0; i < 88; i++)
		words[i] = U64(p + 704 + 8 * i);
	return bytes[17] + bytes[703] + fold64(words[3] ^ words[87]);
}
