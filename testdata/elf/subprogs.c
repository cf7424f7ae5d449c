/* Several programs in one section, static and global subprograms in .text and
 * in the programs' own section, a callback, a static program that only a
 * program array names. */
#include "bpf.h"

static __noinline int twice(int x)
{
	return x * 2 + (int)ktime();
}

__noinline int thrice(int x)
{
	return twice(x) + x;
}

static int count(__u32 i, void *ctx)
{
	*(int *)ctx += i;
	return 0;
}

SEC("xdp") int first(struct xdp_md *ctx)
{
	return thrice(ctx->rx_queue_index);
}

SEC("xdp") int second(struct xdp_md *ctx)
{
	int sum = 0;

	loop(ctx->rx_queue_index, count, &sum, 0);
	return sum;
}

static __noinline SEC("xdp") int local(struct xdp_md *ctx)
{
	return twice(ctx->ingress_ifindex) & 3;
}

SEC("xdp") int third(struct xdp_md *ctx)
{
	return local(ctx) + 1;
}

static SEC("xdp") int tail(struct xdp_md *ctx)
{
	return 2;
}

SEC("2/1") int untyped(struct __sk_buff *skb)
{
	return skb->mark;
}

SEC("?tc") int optional(struct __sk_buff *skb)
{
	return skb->len;
}

struct {
	__uint(type, MAP_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} progs SEC(".maps") = {
	.values = {[1] = (void *)&first, [3] = (void *)&tail},
};

SEC("xdp") int caller(struct xdp_md *ctx)
{
	tail_call(ctx, &progs, 3);
	return 1;
}
