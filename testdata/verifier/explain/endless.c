// Waits for what need not happen.
#include "bpf.h"

SEC("xdp")
int endless(struct xdp_md *ctx)
{
	__u64 start = ktime();

	while (ktime() - start < 1000)
		;
	return 2;
}
