// SPDX-License-Identifier: Apache-2.0
//
// How often each line of this file runs is known without running it.

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

static __noinline int step(int x)
{
	if (x & 1)
		return x + 3;
	return x + 5;
}

// Goes round ten times: step sees 0, 5, 8, 13, 16, …
SEC("xdp")
int around(struct xdp_md *ctx)
{
	(void)ctx;
	int sum = 0;
#pragma clang loop unroll(disable)
	for (int i = 0; i < 10; i++)
		sum = step(sum);
	return sum;
}

char LICENSE[] SEC("license") = "Apache-2.0";
