/* Lookups in a per-CPU array, 512 of them. Native: an index into an array. */
#include "bench.h"

enum { N = 64 };
struct counters {
	u64 packets, bytes;
};

#ifdef __bpf__
struct {
	__uint(type, PERCPU_ARRAY);
	__uint(max_entries, N);
	__type(key, u32);
	__type(value, struct counters);
} stats MAP;
#define LOOKUP(k) map_lookup(&stats, &(k))
#else
static struct counters stats[N];
#define LOOKUP(k) ((k) < N ? &stats[k] : 0)
#endif

PROGRAM(map_percpu)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 sum = 0;

	NEED(p, 1024);
	rolled for (int i = 0; i < 1024; i += 2) {
		u32 key = p[i] & 63;
		struct counters *c = LOOKUP(key);

		if (c) {
			c->packets++;
			c->bytes += p[i + 1];
			sum += key;
		}
	}
	return sum;
}
