// Compares with the length of the Ethernet header, reads the IP header.
#include "bpf.h"

struct ethernet {
	__u8 to[6], from[6];
	__u16 type;
};

struct ip {
	__u8 version, tos;
	__u16 len, id, frag;
	__u8 ttl, protocol;
	__u16 sum;
	__u32 from, to;
};

SEC("xdp")
int packet(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethernet *eth = data;

	if (data + sizeof(*eth) > data_end)
		return 1;
	if (eth->type != 0x0008)
		return 2;
	struct ip *ip = data + sizeof(*eth);
	return ip->protocol == 17 ? 1 : 2;
}
