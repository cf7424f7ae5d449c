/* xxHash64 of 1408 bytes, four times over: multiplications and rotations. */
#include "bench.h"

#define P1 0x9e3779b185ebca87ull
#define P2 0xc2b2ae3d27d4eb4full
#define P3 0x165667b19e3779f9ull
#define P4 0x85ebca77c2b2ae63ull

inline_ u64 round(u64 acc, u64 lane) { return rol64(acc + lane * P2, 31) * P1; }
inline_ u64 merge(u64 acc, u64 v) { return (acc ^ round(0, v)) * P1 + P4; }

PROGRAM(xxh64)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u64 a = P1 + P2, b = P2, c = 0, d = -P1, h;

	NEED(p, 1408);
	rolled for (int k = 0; k < 4; k++) {
		rolled for (int i = 0; i < 1408; i += 32) {
			a = round(a, U64(p + i));
			b = round(b, U64(p + i + 8));
			c = round(c, U64(p + i + 16));
			d = round(d, U64(p + i + 24));
		}
	}
	h = rol64(a, 1) + rol64(b, 7) + rol64(c, 12) + rol64(d, 18);
	h = merge(merge(merge(merge(h, a), b), c), d) + 1408;
	h ^= h >> 33;
	h *= P2;
	h ^= h >> 29;
	h *= P3;
	h ^= h >> 32;
	return fold64(h);
}
