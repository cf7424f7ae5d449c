//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// Limits how many IPv4 packets a second each source may send.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SECOND 1000000000ULL

const volatile __u32 per_second = 100;

__u64 dropped;

struct source {
	__u64 since; // start of the second, by bpf_ktime_get_ns
	__u32 packets;
	_Bool reported;
};

// report says that a source is over its limit, once a second.
struct report {
	__be32 addr;
	__u32 packets;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __be32);
	__type(value, struct source);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
	__type(value, struct report);
} reports SEC(".maps");

SEC("xdp")
int limit(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = data + sizeof(*eth);

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;

	__be32 addr = ip->saddr;
	__u64 now = bpf_ktime_get_ns();
	struct source *s = bpf_map_lookup_elem(&sources, &addr);

	if (!s) {
		struct source first = {.since = now, .packets = 1};

		bpf_map_update_elem(&sources, &addr, &first, BPF_ANY);
		return XDP_PASS;
	}
	if (now - s->since >= SECOND) {
		s->since = now;
		s->packets = 0;
		s->reported = 0;
	}
	if (__sync_fetch_and_add(&s->packets, 1) < per_second)
		return XDP_PASS;
	__sync_fetch_and_add(&dropped, 1);
	if (!s->reported) {
		struct report *r = bpf_ringbuf_reserve(&reports, sizeof(*r), 0);

		if (r) {
			s->reported = 1;
			r->addr = addr;
			r->packets = s->packets;
			bpf_ringbuf_submit(r, 0);
		}
	}
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual MIT/GPL";
