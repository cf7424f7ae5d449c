// Indexes an array with a number that only the sender bounds.
#include "bpf.h"

struct table {
	__u64 seen[64];
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct table);
} tables SEC(".maps");

SEC("xdp")
int indexed(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;
	__u32 zero = 0;
	struct table *t = map_lookup(&tables, &zero);

	if (!t || data + 1 > (__u8 *)(long)ctx->data_end)
		return 1;
	t->seen[data[0]]++;
	return 2;
}
