/* CRC-32 of 512 bytes by a table of 16, a nibble at a time. */
#include "bench.h"

static const u32 table[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

PROGRAM(crc32)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 c = ~0u;

	NEED(p, 512);
	rolled for (int i = 0; i < 512; i++) {
		c ^= p[i];
		c = c >> 4 ^ table[c & 15];
		c = c >> 4 ^ table[c & 15];
	}
	return ~c;
}
