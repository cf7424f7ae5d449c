/* A chain of 32 tail calls through three programs, each of which hashes 64
 * bytes. Native: a call through a table. */
#include "bench.h"

static u32 left, sum;

#ifdef __bpf__
int tail_a(struct xdp_md *ctx), tail_b(struct xdp_md *ctx), tail_c(struct xdp_md *ctx);

struct {
	__uint(type, PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} next MAP = {
	.values = {[0] = (void *)&tail_a, [1] = (void *)&tail_b, [2] = (void *)&tail_c},
};

#define GO(i)                               \
	do {                                \
		tail_call(ctx, &next, i);   \
		return 0;                   \
	} while (0)
#else
u32 tail_a(struct xdp_md *ctx), tail_b(struct xdp_md *ctx), tail_c(struct xdp_md *ctx);
static u32 (*volatile next[4])(struct xdp_md *ctx) = {tail_a, tail_b, tail_c};
#define GO(i) __attribute__((musttail)) return next[i](ctx)
#endif

inline_ u32 hash(struct xdp_md *ctx, u32 h)
{
	const u8 *p = DATA(ctx), *end = END(ctx);

	NEED(p, 64);
	rolled for (int i = 0; i < 64; i += 8)
		h = (h ^ U32(p + i)) * 0x01000193 + U32(p + i + 4);
	return h;
}

PROGRAM(tailcall)
{
	left = 31;
	sum = 1;
	GO(0);
}

PROGRAM(tail_a)
{
	sum = hash(ctx, sum);
	if (--left == 0)
		return sum;
	GO(1);
}

PROGRAM(tail_b)
{
	sum = hash(ctx, sum ^ left << 7);
	if (--left == 0)
		return sum;
	GO(2);
}

PROGRAM(tail_c)
{
	sum = hash(ctx, sum + 5);
	if (--left == 0)
		return sum;
	GO(0);
}
