/* Insertion sort of 64 numbers, and a check that they are in order. */
#include "bench.h"

enum { N = 64 };
static u32 a[N];

PROGRAM(sort)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 h = 0;

	NEED(p, 4 * N);
	rolled for (u32 i = 0; i < N; i++) {
		u32 x = U32(p + 4 * i), j = i;

		rolled while (j > 0 && a[(j - 1) & (N - 1)] > x) {
			a[j & (N - 1)] = a[(j - 1) & (N - 1)];
			j--;
		}
		a[j & (N - 1)] = x;
	}
	rolled for (u32 i = 1; i < N; i++) {
		if (a[i - 1] > a[i])
			return 0;
		h = h * 31 + a[i];
	}
	return h;
}
