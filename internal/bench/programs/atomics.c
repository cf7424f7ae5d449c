/* Atomic operations of every kind on global counters. */
#include "bench.h"

static u64 count[8];
static u32 small[8];

PROGRAM(atomics)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u64 h = 0;

	NEED(p, 64);
	count[1] = count[2] = count[3] = count[4] = 0;
	small[0] = small[1] = 0;
	rolled for (int i = 0; i < 64; i += 4) {
		u8 k = p[i];

		__sync_fetch_and_add(&count[k & 7], 1);
		h += __sync_fetch_and_add(&count[1], k);
		h ^= __sync_fetch_and_or(&count[2], 1ull << (k & 31));
		h += __sync_fetch_and_xor(&small[0], k);
		h ^= __sync_lock_test_and_set(&count[3], h);
		h += __sync_val_compare_and_swap(&count[4], h & 1, k);
		__sync_fetch_and_and(&small[1], 0xff);
	}
	return fold64(h & 0xffffffff);
}
