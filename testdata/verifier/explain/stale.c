// Keeps a packet pointer over a call that moves the packet.
#include "bpf.h"

static long (*adjust_head)(struct xdp_md *ctx, int delta) = (void *)44;

SEC("xdp")
int stale(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	__u8 *data_end = (void *)(long)ctx->data_end;

	if (data + 34 > data_end)
		return 1;
	if (adjust_head(ctx, 14) != 0)
		return 1;
	data[0] = 0x45;
	return 2;
}
