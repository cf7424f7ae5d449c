// SPDX-License-Identifier: Apache-2.0
//
// The balancer on one packet again and again, for measurements: the kernel runs
// a program repeatedly on what the last run left. So what the balancer put
// around the packet is taken away.

#include "../balancer.c"

static __always_inline long length(struct xdp_md *ctx)
{
	long len = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	asm volatile("" : "+r"(len)); // or clang adds lengths up before it subtracts pointers
	return len;
}

static __always_inline int undo(struct xdp_md *ctx, const struct ethhdr *came, long len, int verdict)
{
	long outer = length(ctx) - len;
	if (verdict != XDP_TX || bpf_xdp_adjust_head(ctx, outer))
		return verdict;
	struct ethhdr *eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) <= (void *)(long)ctx->data_end)
		*eth = *came;
	return verdict;
}

SEC("xdp")
int repeat(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	struct ethhdr came = *eth;
	long len = length(ctx);
	return undo(ctx, &came, len, run(ctx));
}

static __u32 clients;

// fresh makes each packet, TCP or UDP in IPv4, the first of a new client.
SEC("xdp")
int fresh(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	if ((void *)(udp + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__u32 n = ++clients;
	ip->saddr = bpf_htonl(0x0b000000 | n >> 16);
	udp->source = n;
	struct ethhdr came = *eth;
	long len = length(ctx);
	return undo(ctx, &came, len, run(ctx));
}
