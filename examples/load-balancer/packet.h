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

// A flow is written in words, as the tables read it: a CPU that reads a word
// which was just written in pieces waits until all of them have left it.
enum { SRC = 0, DST = 2, PORTS = 4 };

struct packet {
	union {
		struct flow flow;
		__u64 word[5];
	};
	__u32 len;  // of the IP packet
	__u8 tos;   // IPv6: traffic class
	bool v6;
	bool df;
	bool syn;   // the first of a connection
	bool fin;
	bool rst;
	bool error; // an ICMP error about the flow, not a part of it
};

static __always_inline void put_addr4(struct packet *p, int at, __be32 addr)
{
	p->word[at] = 0;
	p->word[at + 1] = (__u64)addr << 32 | bpf_htonl(0xffff);
}

static __always_inline void put_addr6(struct packet *p, int at, const struct in6_addr *addr)
{
	const __u64 *half = (const void *)addr;
	p->word[at] = half[0];
	p->word[at + 1] = half[1];
}

// put_ports takes the ports that a header of TCP or UDP begins with.
static __always_inline void put_ports(struct packet *p, __u8 proto, __u32 ports)
{
	p->word[PORTS] = (__u64)proto << 32 | ports;
}

static __always_inline bool is_vip(struct addr *a)
{
	return bpf_map_lookup_elem(&addresses, a);
}

// FORWARDED means that p is ready to be forwarded.
static __always_inline enum outcome transport(struct packet *p, __u8 proto, void *l4, void *end)
{
	if (proto == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;
		if ((void *)(tcp + 1) > end || tcp->doff < 5)
			return MALFORMED;
		p->syn = tcp->syn && !tcp->ack;
		p->fin = tcp->fin;
		p->rst = tcp->rst;
	} else if (proto == IPPROTO_UDP) {
		struct udphdr *udp = l4;
		if ((void *)(udp + 1) > end)
			return MALFORMED;
	} else {
		return PASSED;
	}
	put_ports(p, proto, *(__u32 *)l4);
	return FORWARDED;
}

// An ICMP error quotes what a backend sent to the client, with the VIP as its
// source; it belongs to the flow that goes the other way. l4 is what follows
// the quoted IP header: eight bytes of it are there at least, ports first.
static __always_inline enum outcome quoted(struct packet *p, __u8 proto, void *l4, void *end)
{
	if (l4 + 8 > end)
		return MALFORMED;
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return PASSED;
	__u32 ports = *(__u32 *)l4;
	put_ports(p, proto, ports << 16 | ports >> 16);
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
	put_addr4(p, SRC, inner->daddr);
	return quoted(p, inner->protocol, inner + 1, end);
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
	put_addr6(p, SRC, &inner->daddr);
	return quoted(p, inner->nexthdr, inner + 1, end);
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
	put_addr4(p, SRC, ip->saddr);
	put_addr4(p, DST, ip->daddr);
	if (ip->ihl != 5)
		return is_vip(&p->flow.dst) ? OPTIONS : PASSED;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT))
		return is_vip(&p->flow.dst) ? FRAGMENT : PASSED;
	if (ip->protocol == IPPROTO_ICMP)
		return icmp4(p, ip, end);
	return transport(p, ip->protocol, ip + 1, end);
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
	put_addr6(p, SRC, &ip->saddr);
	put_addr6(p, DST, &ip->daddr);
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
	return transport(p, ip->nexthdr, ip + 1, end);
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
