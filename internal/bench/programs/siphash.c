/* SipHash-2-4 of 1024 bytes. */
#include "bench.h"

inline_ void round(u64 v[4])
{
	v[0] += v[1], v[1] = rol64(v[1], 13), v[1] ^= v[0], v[0] = rol64(v[0], 32);
	v[2] += v[3], v[3] = rol64(v[3], 16), v[3] ^= v[2];
	v[0] += v[3], v[3] = rol64(v[3], 21), v[3] ^= v[0];
	v[2] += v[1], v[1] = rol64(v[1], 17), v[1] ^= v[2], v[2] = rol64(v[2], 32);
}

PROGRAM(siphash)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u64 k0 = 0x0706050403020100, k1 = 0x0f0e0d0c0b0a0908;
	u64 v[4] = {
		k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573,
	};

	NEED(p, 1024);
	rolled for (int i = 0; i < 1024; i += 8) {
		u64 m = U64(p + i);

		v[3] ^= m;
		round(v), round(v);
		v[0] ^= m;
	}
	v[3] ^= 1024ull << 56;
	round(v), round(v);
	v[0] ^= 1024ull << 56;
	v[2] ^= 0xff;
	round(v), round(v), round(v), round(v);
	return fold64(v[0] ^ v[1] ^ v[2] ^ v[3]);
}
