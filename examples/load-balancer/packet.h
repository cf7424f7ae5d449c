// SPDX-License-Identifier: Apache-2.0
//
// Headers to a flow.

#ifndef PACKET_H
#define PACKET_H

// <linux/icmp.h> needs a libc that has none for this target. ICMPv6 has the
// same form (RFC 792; RFC 4443, section 2.1).
struct icmp {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 rest; // its meaning depends on type
};

enum {
	ICMP_ECHOREPLY = 0,
	ICMP_UNREACHABLE = 3,
	ICMP_NEEDS_FRAGMENT = 4, // a code of ICMP_UNREACHABLE
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETER = 12,

	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_PARAMETER = 4, // the last of the errors
	ICMP6_ECHO = 128,
	ICMP6_ECHOREPLY = 129,

	IP_DF = 0x4000,
	IP_FRAGMENT = 0x3fff, // offset, or more to come
};

struct packet {
	struct flow flow;
	__u32 len;  // of the IP packet
	__u8 tos;   // IPv6: traffic class
	bool v6;
	bool df;
	bool syn;   // the first of a connection
	bool fin;
	bool rst;
	bool error; // an ICMP error about the flow, not a part of it
};

static __always_inline void map_addr(struct addr *a, __be32 v4)
{
	a->word[0] = 0;
	a->word[1] = 0;
	a->word[2] = bpf_htonl(0xffff);
	a->word[3] = v4;
}

static __always_inline void copy_addr(struct addr *a, const struct in6_addr *v6)
{
	__builtin_memcpy(a, v6, sizeof(*a));
}

static __always_inline bool is_vip(struct addr *a)
{
	return bpf_map_lookup_elem(&addresses, a);
}

// FORWARDED means that p is ready to be forwarded.
static __always_inline enum outcome transport(struct packet *p, void *l4, void *end)
{
	if (p->flow.proto == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;
		if ((void *)(tcp + 1) > end || tcp->doff < 5)
			return MALFORMED;
		p->flow.sport = tcp->source;
		p->flow.dport = tcp->dest;
		p->syn = tcp->syn && !tcp->ack;
		p->fin = tcp->fin;
		p->rst = tcp->rst;
		return FORWARDED;
	}
	if (p->flow.proto == IPPROTO_UDP) {
		struct udphdr *udp = l4;
		if ((void *)(udp + 1) > end)
			return MALFORMED;
		p->flow.sport = udp->source;
		p->flow.dport = udp->dest;
		return FORWARDED;
	}
	return PASSED;
}

// An ICMP error quotes what a backend sent to the client, with the VIP as its
// source; it belongs to the flow that goes the other way. l4 is what follows
// the quoted IP header: eight bytes of it are there at least, ports first.
static __always_inline enum outcome quoted(struct packet *p, void *l4, void *end)
{
	__be16 *ports = l4;
	if (l4 + 8 > end)
		return MALFORMED;
	if (p->flow.proto != IPPROTO_TCP && p->flow.proto != IPPROTO_UDP)
		return PASSED;
	p->flow.dport = ports[0];
	p->flow.sport = ports[1];
	p->error = true;
	return FORWARDED;
}

static __always_inline enum outcome icmp4(struct packet *p, struct iphdr *ip, void *end)
{
	struct icmp *icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) > end)
		return MALFORMED;
	if (icmp->type == ICMP_ECHO && icmp->code == 0)
		return is_vip(&p->flow.dst) ? ANSWERED : PASSED;
	if (icmp->type != ICMP_UNREACHABLE && icmp->type != ICMP_TIME_EXCEEDED && icmp->type != ICMP_PARAMETER)
		return PASSED;
	struct iphdr *inner = (void *)(icmp + 1);
	if ((void *)(inner + 1) > end)
		return MALFORMED;
	if (inner->version != 4 || inner->ihl != 5 || inner->frag_off & bpf_htons(0x1fff) || inner->saddr != ip->daddr)
		return PASSED;
	p->flow.proto = inner->protocol;
	map_addr(&p->flow.src, inner->daddr);
	return quoted(p, inner + 1, end);
}

static __always_inline enum outcome icmp6(struct packet *p, struct ipv6hdr *ip, void *end)
{
	struct icmp *icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) > end)
		return MALFORMED;
	if (icmp->type == ICMP6_ECHO && icmp->code == 0)
		return is_vip(&p->flow.dst) ? ANSWERED : PASSED;
	if (icmp->type < ICMP6_UNREACHABLE || icmp->type > ICMP6_PARAMETER)
		return PASSED;
	struct ipv6hdr *inner = (void *)(icmp + 1);
	if ((void *)(inner + 1) > end)
		return MALFORMED;
	if (inner->version != 6 || __builtin_memcmp(&inner->saddr, &ip->daddr, sizeof(inner->saddr)))
		return PASSED;
	p->flow.proto = inner->nexthdr;
	copy_addr(&p->flow.src, &inner->daddr);
	return quoted(p, inner + 1, end);
}

static __always_inline enum outcome ipv4(struct packet *p, struct iphdr *ip, void *end)
{
	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return MALFORMED;
	p->len = bpf_ntohs(ip->tot_len);
	if (p->len < ip->ihl * 4 || (void *)ip + p->len > end)
		return MALFORMED;
	p->tos = ip->tos;
	p->df = ip->frag_off & bpf_htons(IP_DF);
	p->flow.proto = ip->protocol;
	map_addr(&p->flow.src, ip->saddr);
	map_addr(&p->flow.dst, ip->daddr);
	if (ip->ihl != 5)
		return is_vip(&p->flow.dst) ? OPTIONS : PASSED;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT))
		return is_vip(&p->flow.dst) ? FRAGMENT : PASSED;
	if (ip->protocol == IPPROTO_ICMP)
		return icmp4(p, ip, end);
	return transport(p, ip + 1, end);
}

static __always_inline enum outcome ipv6(struct packet *p, struct ipv6hdr *ip, void *end)
{
	if ((void *)(ip + 1) > end || ip->version != 6)
		return MALFORMED;
	p->len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if ((void *)ip + p->len > end)
		return MALFORMED;
	p->v6 = true;
	p->df = true;
	p->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	p->flow.proto = ip->nexthdr;
	copy_addr(&p->flow.src, &ip->saddr);
	copy_addr(&p->flow.dst, &ip->daddr);
	switch (ip->nexthdr) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return is_vip(&p->flow.dst) ? OPTIONS : PASSED;
	case IPPROTO_FRAGMENT:
		return is_vip(&p->flow.dst) ? FRAGMENT : PASSED;
	case IPPROTO_ICMPV6:
		return icmp6(p, ip, end);
	}
	return transport(p, ip + 1, end);
}

static __always_inline enum outcome parse(struct packet *p, struct ethhdr *eth, void *end)
{
	if ((void *)(eth + 1) > end)
		return MALFORMED;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return ipv4(p, (void *)(eth + 1), end);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return ipv6(p, (void *)(eth + 1), end);
	return PASSED;
}

#endif
