/* bpf_loop with a callback of a few instructions, 256 times. Native: a for
 * loop that calls a function. */
#include "bench.h"

struct state {
	u64 h;
	u32 n;
};

noinline_ long step(u32 i, struct state *s)
{
	s->h = rol64(s->h, 5) ^ i * 0x9e3779b97f4a7c15;
	s->n += s->h & 1;
	return 0;
}

PROGRAM(loop_callback)
{
	struct state s = {(u32)(unsigned long)(END(ctx) - DATA(ctx)), 0};

#ifdef __bpf__
	loop(256, step, &s, 0);
#else
	rolled for (u32 i = 0; i < 256; i++)
		if (step(i, &s))
			break;
#endif
	return fold64(s.h) + s.n;
}
