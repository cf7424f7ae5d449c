/* The Internet checksum of 1400 bytes, 16 bits at a time (RFC 1071). */
#include "bench.h"

PROGRAM(ipcsum)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 sum = 0;

	NEED(p, 1400);
	rolled for (int i = 0; i < 1400; i += 2)
		sum += U16(p + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}
