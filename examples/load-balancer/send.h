// SPDX-License-Identifier: Apache-2.0
//
// What leaves by the interface it came from: packets in an outer header, and
// the balancer's own answers.

#ifndef SEND_H
#define SEND_H

enum {
	TTL = 64,
	// How much of a packet that is too big the answer quotes: with ICMP's
	// header 512 bytes, and with IPv4's less than 576 (RFC 1812, section
	// 4.3.2.3).
	QUOTE = 504,
};

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void checksum4(struct iphdr *ip)
{
	const __u32 *word = (const void *)ip;
	__u64 sum = 0;
	ip->check = 0;
	for (unsigned i = 0; i < sizeof(*ip) / 4; i++)
		sum += word[i];
	ip->check = fold(sum);
}

static __always_inline void put_ipv4(struct iphdr *ip, __u8 proto, __u8 tos, bool df, __u16 len, __be32 src, __be32 dst)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos;
	ip->tot_len = bpf_htons(len);
	ip->id = 0;
	ip->frag_off = df ? bpf_htons(IP_DF) : 0;
	ip->ttl = TTL;
	ip->protocol = proto;
	ip->saddr = src;
	ip->daddr = dst;
	checksum4(ip);
}

static __always_inline void put_ipv6(struct ipv6hdr *ip, __u8 proto, __u8 tos, __u32 label, __u16 len)
{
	ip->version = 6;
	ip->priority = tos >> 4;
	ip->flow_lbl[0] = tos << 4 | (label >> 16 & 0xf);
	ip->flow_lbl[1] = label >> 8;
	ip->flow_lbl[2] = label;
	ip->payload_len = bpf_htons(len);
	ip->nexthdr = proto;
	ip->hop_limit = TTL;
}

static __always_inline void turn(struct ethhdr *to, const struct ethhdr *from)
{
	unsigned char mac[ETH_ALEN];
	__builtin_memcpy(mac, from->h_source, ETH_ALEN);
	__builtin_memcpy(to->h_source, from->h_dest, ETH_ALEN);
	__builtin_memcpy(to->h_dest, mac, ETH_ALEN);
}

// to_gateway makes the frame of an encapsulated packet from the one it came in.
static __always_inline void to_gateway(struct ethhdr *eth, const struct ethhdr *came, __u16 proto)
{
	__builtin_memcpy(eth->h_source, came->h_dest, ETH_ALEN);
	for (int i = 0; i < ETH_ALEN; i++)
		eth->h_dest[i] = gateway[i];
	eth->h_proto = bpf_htons(proto);
}

// IPv4 in IPv4 (RFC 2003). The outer header takes over what routers look at:
// the type of service with its ECN bits, and whether it may be fragmented.
static __always_inline enum outcome in_ipv4(struct xdp_md *ctx, const struct packet *p, const struct choice *c)
{
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
		return NO_ROOM;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ethhdr *came = (void *)eth + sizeof(*ip);
	if ((void *)(came + 1) > (void *)(long)ctx->data_end)
		return NO_ROOM;
	to_gateway(eth, came, ETH_P_IP);
	put_ipv4(ip, IPPROTO_IPIP, p->tos, p->df, p->len + sizeof(*ip), outer4 | bpf_htonl(c->hash & 0xffff), c->to->addr.word[3]);
	return FORWARDED;
}

// IPv4 or IPv6 in IPv6 (RFC 2473). The flow label is part of the flow's hash,
// for those who spread by it (RFC 6438).
static __always_inline enum outcome in_ipv6(struct xdp_md *ctx, const struct packet *p, const struct choice *c)
{
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct ipv6hdr)))
		return NO_ROOM;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ipv6hdr *ip = (void *)(eth + 1);
	struct ethhdr *came = (void *)eth + sizeof(*ip);
	if ((void *)(came + 1) > (void *)(long)ctx->data_end)
		return NO_ROOM;
	to_gateway(eth, came, ETH_P_IPV6);
	put_ipv6(ip, p->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP, p->tos, c->hash, p->len);
	struct addr src = {.word = {outer6.word[0], outer6.word[1], outer6.word[2], bpf_htonl(c->hash)}};
	__builtin_memcpy(&ip->saddr, &src, sizeof(src));
	__builtin_memcpy(&ip->daddr, &c->to->addr, sizeof(c->to->addr));
	return FORWARDED;
}

// cut makes room for an answer in front of the first QUOTE bytes of the IP
// packet, which end there.
static __always_inline bool cut(struct xdp_md *ctx, int head)
{
	int len = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	int rest = len - (int)sizeof(struct ethhdr) - QUOTE;
	return rest >= 0 && !bpf_xdp_adjust_tail(ctx, -rest) && !bpf_xdp_adjust_head(ctx, -head);
}

// too_big4 sends "fragmentation needed" in the VIP's name (RFC 1191, section 4).
static __always_inline enum outcome too_big4(struct xdp_md *ctx, __u16 fits)
{
	if (!cut(ctx, sizeof(struct iphdr) + sizeof(struct icmp)))
		return NO_ROOM;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct icmp *icmp = (void *)(ip + 1);
	struct ethhdr *came = (void *)eth + sizeof(*ip) + sizeof(*icmp);
	struct iphdr *quote = (void *)(came + 1);
	if ((void *)quote + QUOTE > (void *)(long)ctx->data_end)
		return NO_ROOM;
	turn(eth, came);
	eth->h_proto = bpf_htons(ETH_P_IP);
	put_ipv4(ip, IPPROTO_ICMP, 0, false, sizeof(*ip) + sizeof(*icmp) + QUOTE, quote->daddr, quote->saddr);
	*icmp = (struct icmp){.type = ICMP_UNREACHABLE, .code = ICMP_NEEDS_FRAGMENT, .rest = bpf_htonl(fits)};
	icmp->checksum = fold(bpf_csum_diff(0, 0, (void *)icmp, sizeof(*icmp) + QUOTE, 0));
	return TOO_BIG;
}

// too_big6 sends "packet too big" in the VIP's name (RFC 4443, section 3.2).
static __always_inline enum outcome too_big6(struct xdp_md *ctx, __u16 fits)
{
	if (!cut(ctx, sizeof(struct ipv6hdr) + sizeof(struct icmp)))
		return NO_ROOM;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ipv6hdr *ip = (void *)(eth + 1);
	struct icmp *icmp = (void *)(ip + 1);
	struct ethhdr *came = (void *)eth + sizeof(*ip) + sizeof(*icmp);
	struct ipv6hdr *quote = (void *)(came + 1);
	if ((void *)quote + QUOTE > (void *)(long)ctx->data_end)
		return NO_ROOM;
	const __u16 len = sizeof(*icmp) + QUOTE;
	turn(eth, came);
	eth->h_proto = bpf_htons(ETH_P_IPV6);
	put_ipv6(ip, IPPROTO_ICMPV6, 0, 0, len);
	__builtin_memcpy(&ip->saddr, &quote->daddr, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &quote->saddr, sizeof(ip->daddr));
	*icmp = (struct icmp){.type = ICMP6_TOO_BIG, .rest = bpf_htonl(fits)};
	// The pseudo-header (RFC 8200, section 8.1): addresses, length, protocol.
	__u64 sum = bpf_htonl(len) + (__u64)bpf_htonl(IPPROTO_ICMPV6);
	sum += (__u32)bpf_csum_diff(0, 0, (void *)&ip->saddr, 2 * sizeof(ip->saddr), 0);
	sum += (__u32)bpf_csum_diff(0, 0, (void *)icmp, len, 0);
	icmp->checksum = fold(sum);
	return TOO_BIG;
}

// answer turns an echo request into its reply, in place. Of what ICMP's
// checksum covers only the type changes (RFC 1624): the addresses in ICMPv6's
// change places.
static __always_inline enum outcome answer(const struct packet *p, struct ethhdr *eth, void *end)
{
	struct icmp *icmp;
	__u8 reply;
	if (p->v6) {
		struct ipv6hdr *ip = (void *)(eth + 1);
		icmp = (void *)(ip + 1);
		if ((void *)(icmp + 1) > end)
			return MALFORMED;
		struct in6_addr addr = ip->saddr;
		ip->saddr = ip->daddr;
		ip->daddr = addr;
		ip->hop_limit = TTL;
		reply = ICMP6_ECHOREPLY;
	} else {
		struct iphdr *ip = (void *)(eth + 1);
		icmp = (void *)(ip + 1);
		if ((void *)(icmp + 1) > end)
			return MALFORMED;
		__be32 addr = ip->saddr;
		ip->saddr = ip->daddr;
		ip->daddr = addr;
		ip->ttl = TTL;
		checksum4(ip);
		reply = ICMP_ECHOREPLY;
	}
	turn(eth, eth);
	__u64 sum = (__u16)~icmp->checksum;
	sum += (__u16)~bpf_htons(icmp->type << 8) + bpf_htons(reply << 8);
	icmp->checksum = fold(sum);
	icmp->type = reply;
	return ANSWERED;
}

static __always_inline enum outcome forward(struct xdp_md *ctx, const struct packet *p, const struct choice *c)
{
	const __be32 *word = c->to->addr.word;
	bool v4 = !word[0] && !word[1] && word[2] == bpf_htonl(0xffff);
	__u16 overhead = v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	if (v4 && p->v6) // a backend that the VIP should not have
		return NO_BACKEND;
	if (p->len + overhead > mtu) {
		report(EVENT_TOO_BIG, p, c);
		if (!p->df)
			return CANNOT_FIT;
		return p->v6 ? too_big6(ctx, mtu - overhead) : too_big4(ctx, mtu - overhead);
	}
	return v4 ? in_ipv4(ctx, p, c) : in_ipv6(ctx, p, c);
}

#endif
