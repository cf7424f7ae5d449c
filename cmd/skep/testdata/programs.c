// SPDX-License-Identifier: Apache-2.0
//
// What the scripts beside this file need: programs that end well and programs
// that do not.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct pair {
	__u32 first;
	__u32 second;
};

enum colour { RED, GREEN, BLUE };

struct entry {
	enum colour colour;
	char name[8];
	struct pair pair;
	__u64 hits;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct entry);
} table SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, int(void *));
} jumps SEC(".maps");

const volatile int limit = 3;
int runs;

// Writes to its packet, to a map, to a variable and to the ring.
SEC("xdp")
int touch(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	if (data + 2 > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	data[0] ^= 0xff;
	__u32 key = data[1];
	struct entry *e = bpf_map_lookup_elem(&table, &key);
	if (e)
		e->hits++;
	if (runs < limit)
		runs++;
	bpf_ringbuf_output(&ring, &key, sizeof(key), 0);
	bpf_printk("key %d, run %d", key, runs);
	return ctx->ingress_ifindex == 7 ? XDP_TX : XDP_PASS;
}

// Sends its packet elsewhere.
SEC("xdp")
int elsewhere(struct xdp_md *ctx)
{
	(void)ctx;
	return bpf_redirect(3, 0);
}

// Uses a value without asking whether there is one.
SEC("xdp")
int no_check(struct xdp_md *ctx)
{
	__u32 key = ctx->rx_queue_index;
	struct entry *e = bpf_map_lookup_elem(&table, &key);
	return e->colour;
}

// Reads beyond its packet, if that is short.
SEC("tc")
int beyond(struct __sk_buff *skb)
{
	return *(__u32 *)((long)skb->data + 60);
}

// Does not end.
SEC("xdp")
int forever(struct xdp_md *ctx)
{
	volatile int n = ctx->rx_queue_index;
	while (n >= 0)
		n = n & 0xff;
	return n;
}

extern int missing_function(int) __ksym;

// Calls what no host has.
SEC("xdp")
int missing(struct xdp_md *ctx)
{
	return missing_function(ctx->rx_queue_index);
}

// In a section that means no type.
SEC("somewhere")
int untyped(void *ctx)
{
	(void)ctx;
	return 1;
}

char LICENSE[] SEC("license") = "Apache-2.0";
