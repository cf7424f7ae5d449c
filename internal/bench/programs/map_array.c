/* Lookups in an array, 512 of them. Native: an index into an array. */
#include "bench.h"

enum { N = 256 };

#ifdef __bpf__
struct {
	__uint(type, ARRAY);
	__uint(max_entries, N);
	__type(key, u32);
	__type(value, u64);
} table MAP;
#define LOOKUP(k) map_lookup(&table, &(k))
#else
static u64 table[N];
#define LOOKUP(k) ((k) < N ? &table[k] : 0)
#endif

PROGRAM(map_array)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 found = 0;

	NEED(p, 1024);
	rolled for (int i = 0; i < 1024; i += 2) {
		u32 key = U16(p + i) & 511;
		u64 *v = LOOKUP(key);

		if (v) {
			*v += 1;
			found += key;
		}
	}
	return found;
}
