/* Loops inside loops whose places depend on all their counters: what a product
 * of two counters is worth only shows when the loops are followed. */
#include "shapes.h"

/* A loop that stays one. */
#define FOR _Pragma("clang loop unroll(disable)") for

enum { N = 8 };
static __u32 a[N * N], b[N * N], c[N * N];
static __u8 seen[256];

/* The product of two matrices. */
XDP(matrix)
{
	PACKET;
	if (p + 2 * N * N > end)
		return 0;
	FOR (int i = 0; i < N * N; i++) {
		a[i] = p[i];
		b[i] = p[N * N + i];
	}
	FOR (int i = 0; i < N; i++) {
		FOR (int j = 0; j < N; j++) {
			__u32 sum = 0;

			FOR (int k = 0; k < N; k++)
				sum += a[i * N + k] * b[k * N + j];
			c[i * N + j] = sum;
		}
	}
	return c[9] & 3;
}

/* Means over neighbours. */
XDP(blur)
{
	PACKET;
	if (p + 256 > end)
		return 0;
	FOR (int y = 1; y < 15; y++) {
		FOR (int x = 1; x < 15; x++) {
			__u32 sum = 0;

			FOR (int dy = -1; dy <= 1; dy++)
				FOR (int dx = -1; dx <= 1; dx++)
					sum += p[(y + dy) * 16 + x + dx];
			seen[y * 16 + x] = sum / 9;
		}
	}
	return seen[17] & 3;
}

/* The distance of two strings (Levenshtein 1966), by dynamic programming. */
XDP(edit)
{
	PACKET;
	if (p + 32 > end)
		return 0;
	FOR (int j = 0; j <= 16; j++)
		a[j] = j;
	FOR (int i = 1; i <= 16; i++) {
		__u32 diagonal = a[0];

		a[0] = i;
		FOR (int j = 1; j <= 16; j++) {
			__u32 up = a[j], least = diagonal + (p[i - 1] != p[15 + j]);

			if (up + 1 < least)
				least = up + 1;
			if (a[j - 1] + 1 < least)
				least = a[j - 1] + 1;
			a[j] = least;
			diagonal = up;
		}
	}
	return a[16] & 3;
}

/* A bit that goes up and is gone in the end, beside a count that depends on
 * data. */
XDP(doubling)
{
	__u32 n = 0;

	FOR (__u32 bit = 1; bit; bit <<= 1)
		if (bit & ctx->rx_queue_index)
			n++;
	return n & 3;
}

/* Steps that meet their end exactly. */
XDP(thirds)
{
	__u32 h = ctx->rx_queue_index;

	FOR (__u32 i = 0; i != 3000; i += 3)
		h = h * 31 ^ h >> 7;
	return h & 3;
}
