//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// A layer 4 load balancer at the driver. A packet to a virtual address goes, in
// an outer header, to one of its backends, which answer the client themselves
// (direct server return). Written after the published description of Katran.

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tables.h"
#include "packet.h"
#include "choose.h"
#include "send.h"

static __always_inline void count(void *map, __u32 key, __u64 bytes)
{
	struct counter *c = bpf_map_lookup_elem(map, &key);
	if (c) {
		c->packets++;
		c->bytes += bytes;
	}
}

static __always_inline enum outcome decide(struct xdp_md *ctx, struct packet *p)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	enum outcome o = parse(p, eth, end);
	if (o == ANSWERED)
		return answer(p, eth, end);
	if (o != FORWARDED)
		return o;
	struct choice c = {};
	o = choose(p, &c);
	if (o != FORWARDED)
		return o;
	o = forward(ctx, p, &c);
	if (o == FORWARDED)
		count(&backend_counters, c.backend, p->len);
	return o;
}

static __always_inline int run(struct xdp_md *ctx)
{
	struct packet p = {};
	__u64 bytes = ctx->data_end - ctx->data;

	enum outcome o = decide(ctx, &p);

	count(&outcomes, o, bytes);
	if (o == PASSED)
		return XDP_PASS;
	if (o == FORWARDED || o == ANSWERED || o == TOO_BIG)
		return XDP_TX;
	return XDP_DROP;
}

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	return run(ctx);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
