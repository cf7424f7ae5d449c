/* Eight records of 24 bytes into a ring buffer. */
#include "bench.h"

#ifdef __bpf__
struct record {
	u64 a, b, c;
};
struct {
	__uint(type, RINGBUF);
	__uint(max_entries, 1 << 22);
} ring MAP;

PROGRAM(ringbuf)
{
	const u8 *p = DATA(ctx), *end = END(ctx);
	u32 n = 0;

	NEED(p, 192);
	rolled for (int i = 0; i < 192; i += 24) {
		struct record *r = ringbuf_reserve(&ring, sizeof(*r), 0);

		if (!r)
			break;
		r->a = U64(p + i);
		r->b = U64(p + i + 8);
		r->c = U64(p + i + 16);
		ringbuf_submit(r, 1 /* no wakeup */);
		n++;
	}
	return n;
}
#endif
