// Uses the result of a lookup that may fail.
#include "bpf.h"

struct counter {
	__u64 packets, bytes;
};

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

SEC("xdp")
int null(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	struct counter *c = map_lookup(&counters, &key);

	c->packets++;
	if (!c)
		return 1;
	c->bytes += ctx->data_end - ctx->data;
	return 2;
}
