// Reads past the fields of the context.
#include "bpf.h"

SEC("xdp")
int context(struct xdp_md *ctx)
{
	__u64 *both = (void *)&ctx->ingress_ifindex;

	return *both ? 1 : 2;
}
