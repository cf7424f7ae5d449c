/* Three products of 8×8 matrices of 32-bit numbers. The inner loop is
 * unrolled. */
#include "bench.h"

enum { N = 8 };
static u32 c[N * N];

/* Multiplies a by b into c. */
inline_ void multiply(const u8 *a, const u8 *b)
{
	rolled for (u32 i = 0; i < N; i++) {
		rolled for (u32 j = 0; j < N; j++) {
			u32 sum = 0;

#pragma clang loop unroll(full)
			for (u32 k = 0; k < N; k++)
				sum += U32(a + 4 * (N * i + k)) * U32(b + 4 * (N * k + j));
			c[N * i + j] = sum;
		}
	}
}

PROGRAM(matrix)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 h;

	NEED(p, 512);
	multiply(p, p + 256);
	h = c[5] ^ c[43];
	multiply(p + 256, p);
	h ^= c[5] ^ c[43];
	multiply(p + 256, p + 256);
	return h ^ c[3] ^ c[60];
}
