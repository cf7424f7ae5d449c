/* Entries of a hash that come and go: 16 updates, 16 deletions. */
#include "bench.h"

#ifdef __bpf__
struct {
	__uint(type, HASH);
	__uint(max_entries, 256);
	__type(key, u32);
	__type(value, u64);
} table MAP;

PROGRAM(map_update_delete)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 failed = 0;

	NEED(p, 64);
	rolled for (int i = 0; i < 64; i += 4) {
		u32 key = U32(p + i);
		u64 value = i;

		failed += map_update(&table, &key, &value, 0) != 0;
	}
	rolled for (int i = 0; i < 64; i += 4) {
		u32 key = U32(p + i);

		failed += map_delete(&table, &key) != 0;
	}
	return failed + 100;
}
#endif
