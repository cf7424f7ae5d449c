/* Primes below 1024, in a global array. */
#include "bench.h"

enum { N = 1024 };
static u8 composite[N];

PROGRAM(sieve)
{
	u32 count = 0;

	rolled for (u32 i = 0; i < N; i++)
		composite[i] = 0;
	rolled for (u32 i = 2; i < 32; i++) {
		if (composite[i])
			continue;
		rolled for (u32 j = i * i; j < N; j += i)
			composite[j] = 1;
	}
	rolled for (u32 i = 2; i < N; i++)
		count += !composite[i];
	return count;
}
