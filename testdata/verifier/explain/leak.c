// Forgets a reservation on one path.
#include "bpf.h"

static void *(*reserve)(void *ring, __u64 size, __u64 flags) = (void *)131;
static void (*submit)(void *record, __u64 flags) = (void *)132;

struct event {
	__u32 from, to;
};

struct {
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

SEC("xdp")
int leak(struct xdp_md *ctx)
{
	struct event *e = reserve(&events, sizeof(*e), 0);

	if (!e)
		return 1;
	e->from = ctx->ingress_ifindex;
	e->to = ctx->rx_queue_index;
	if (e->from == e->to)
		return 2;
	submit(e, 0);
	return 2;
}
