/* Lookups in a per-CPU hash with 4-byte keys, 16 of them. */
#include "bench.h"

#ifdef __bpf__
struct {
	__uint(type, PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, u64);
} table MAP;

PROGRAM(map_percpu_hash)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 sum = 0;

	NEED(p, 64);
	rolled for (int i = 0; i < 64; i += 4) {
		u32 key = U32(p + i);
		u64 one = 1, *n = map_lookup(&table, &key);

		if (n)
			*n += 1;
		else
			map_update(&table, &key, &one, 0);
		sum += key;
	}
	return sum;
}
#endif
