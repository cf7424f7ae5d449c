// Runs one iteration too many.
#include "bpf.h"

struct names {
	char name[16][4];
	__u32 last;
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct names);
} names SEC(".maps");

static __noinline __u32 first(struct names *n, __u32 i)
{
	return n ? n->name[i][0] : 0;
}

SEC("xdp")
int too_far(struct xdp_md *ctx)
{
	__u32 zero = 0, sum = 0;
	struct names *n = map_lookup(&names, &zero);

	if (!n)
		return 1;
#pragma clang loop unroll(disable) vectorize(disable)
	for (int i = 0; i <= 17; i++)
		sum += first(n, i);
	return sum ? 1 : 2;
}
