/* One XDP program, a BTF map with a struct as value, globals of every section,
 * a static and a global subprogram. */
#include "bpf.h"

struct key {
	__u32 src;
	__u16 port;
	__u16 pad;
};

enum action { PASS_IT = 2, DROP_IT = 1 };

struct flow {
	__u64 packets, bytes;
	enum action last;
	__u8 proto : 4, seen : 1;
	char name[8];
};

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, 1);
	__type(key, struct key);
	__type(value, struct flow);
} flows SEC(".maps");

const volatile __u32 limit = 10;
__u64 drops = 7;
__u64 total;
static volatile const char text[] = "hello";

static __noinline int account(struct flow *f, __u32 len)
{
	f->packets++;
	f->bytes += len;
	return f->packets > limit;
}

__noinline int verdict(__u32 over)
{
	if (over)
		drops++;
	return over ? DROP_IT : PASS_IT;
}

SEC("xdp") int filter(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct key k = {};
	struct flow *f;

	total++;
	if (data + 14 > end)
		return verdict(text[ctx->ingress_ifindex & 3] == 'x');
	k.src = data[0];
	f = map_lookup(&flows, &k);
	if (!f) {
		struct flow fresh = {.last = PASS_IT};
		map_update(&flows, &k, &fresh, 0);
		return PASS_IT;
	}
	return verdict(account(f, end - data));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
