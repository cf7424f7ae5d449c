// Calls a function of another program type.
#include "bpf.h"

static long (*store_bytes)(void *skb, __u32 off, const void *from, __u32 len, __u64 flags) = (void *)9;

SEC("xdp")
int callee(struct xdp_md *ctx)
{
	__u32 zero = 0;

	store_bytes(ctx, 0, &zero, sizeof(zero), 0);
	return 2;
}
