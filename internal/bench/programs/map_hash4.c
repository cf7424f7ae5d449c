/* A hash with 4-byte keys: 16 keys are stored, found, and looked for in vain. */
#include "bench.h"

#ifdef __bpf__
struct {
	__uint(type, HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u64);
} table MAP;
static u32 filled;

PROGRAM(map_hash4)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 sum = 0;

	NEED(p, 256);
	if (!filled) {
		rolled for (int i = 0; i < 128; i += 4) {
			u32 key = U32(p + i);
			u64 value = i;

			map_update(&table, &key, &value, 0);
		}
		filled = 1;
	}
	rolled for (int i = 0; i < 4 * 32; i += 4) {
		u32 key = U32(p + i);
		u64 *v = map_lookup(&table, &key);

		sum = sum * 3 + (v ? (u32)*v : 7);
	}
	return sum;
}
#endif
