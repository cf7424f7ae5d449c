/* A hash with the 5-tuple of a flow as key: 16 lookups that count. */
#include "bench.h"

#ifdef __bpf__
struct tuple {
	u32 src, dst;
	u16 sport, dport;
	u8 proto, pad[3];
};
struct {
	__uint(type, HASH);
	__uint(max_entries, 1024);
	__type(key, struct tuple);
	__type(value, u64);
} flows MAP;

PROGRAM(map_tuple)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 sum = 0;

	NEED(p, 256);
	rolled for (int i = 0; i < 256; i += 16) {
		struct tuple t = {
			.src = U32(p + i), .dst = U32(p + i + 4), .sport = U16(p + i + 8),
			.dport = U16(p + i + 10), .proto = p[i + 12],
		};
		u64 one = 1, *n = map_lookup(&flows, &t);

		if (n)
			__sync_fetch_and_add(n, 1);
		else
			map_update(&flows, &t, &one, 0);
		sum = sum * 5 + t.src + t.proto;
	}
	return sum;
}
#endif
