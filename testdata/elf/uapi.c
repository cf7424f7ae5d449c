// Types of the kernel that have one layout, as vmlinux.h declares them: every access
// is recorded. Some are parts of the whole, at other offsets.
#include "bpf.h"

#pragma clang attribute push(core_access, apply_to = record)

struct xdp_md___mine {
	__u32 rx_queue_index;
	__u32 data_end;
	__u32 data;
};
struct ethhdr {
	__u8 h_dest[6], h_source[6];
	unsigned short h_proto;
};
struct iphdr {
	__u8 protocol; // at 9
};
struct task_struct {
	int pid;
};

#pragma clang attribute pop

enum xdp_action { XDP_DROP = 77, XDP_PASS = 78 };

SEC("xdp") int parts(struct xdp_md *ctx)
{
	struct xdp_md___mine *c = (void *)ctx;
	struct ethhdr *eth = (void *)(long)c->data;
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)ip + 20 > (void *)(long)c->data_end)
		return __builtin_preserve_enum_value(*(typeof(enum xdp_action) *)XDP_DROP, 1);
	return ip->protocol + (eth->h_proto == 8 ? 1000 : 0) +
		100 * __builtin_preserve_field_info(((struct ethhdr *)0)->h_proto, 2);
}

SEC("kprobe/x") int task(void *ctx)
{
	return __builtin_preserve_field_info(((struct task_struct *)0)->pid, 0);
}

char LICENSE[] SEC("license") = "GPL";
