//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// A firewall at the driver: drops what its rules name, answers pings itself,
// counts every decision and reports each drop to user space.

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// Fixed once the object is loaded. Closed ports need no map update, so the
// filter has a policy of its own; the maps below extend it while it runs.
const volatile __u16 closed_ports[4] = {23, 445, 3389, 0};
const volatile bool answer_ping = true;

enum reason {
	PASSED,
	ANSWERED,    // an ICMP echo request, sent back
	MALFORMED,   // a header is cut off or contradicts itself
	FRAGMENT,    // an IPv4 fragment: its ports cannot be known
	BAD_FLAGS,   // a TCP scan: no flags, or SYN and FIN
	BAD_PREFIX,  // the source is in blocked_prefixes
	BAD_PORT,    // the destination is closed
	NUM_REASONS,
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct prefix {
	__be32 addr;
	__u32 bits;
};

struct port {
	__u16 number;
	__u16 proto;
};

// <linux/icmp.h> needs a libc that has none for this target.
struct icmphdr {
	__u8 type;
	__u8 code;
	__u16 checksum;
};

enum { ICMP_ECHOREPLY = 0, ICMP_ECHO = 8 };

struct rule {
	__u64 hits;
};

struct event {
	__be32 src;
	__be32 dst;
	__u16 sport;
	__u16 dport;
	__u16 proto;
	__u16 len;
	enum reason reason;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NUM_REASONS);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct prefix);
	__type(value, struct rule);
} blocked_prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct port);
	__type(value, struct rule);
} blocked_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024); // holds struct event
} events SEC(".maps");

// The lengths of prefix that can be blocked, longest first.
static const __u32 prefix_lengths[] = {32, 24, 16, 8};

static __always_inline bool from_blocked_prefix(__be32 src)
{
	for (int i = 0; i < 4; i++) {
		__u32 bits = prefix_lengths[i];
		struct prefix key = {.addr = src & bpf_htonl(~0U << (32 - bits)), .bits = bits};
		struct rule *rule = bpf_map_lookup_elem(&blocked_prefixes, &key);
		if (rule) {
			__sync_fetch_and_add(&rule->hits, 1);
			return true;
		}
	}
	return false;
}

static __always_inline bool to_closed_port(__u16 number, __u16 proto)
{
	for (int i = 0; i < 4; i++)
		if (closed_ports[i] && closed_ports[i] == number)
			return true;
	struct port key = {.number = number, .proto = proto};
	struct rule *rule = bpf_map_lookup_elem(&blocked_ports, &key);
	if (!rule)
		return false;
	__sync_fetch_and_add(&rule->hits, 1);
	return true;
}

// Rules for TCP and UDP, whatever carries them.
static __always_inline enum reason transport(void *l4, void *end, struct event *e)
{
	if (e->proto == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;
		if ((void *)(tcp + 1) > end || tcp->doff < 5)
			return MALFORMED;
		e->sport = bpf_ntohs(tcp->source);
		e->dport = bpf_ntohs(tcp->dest);
		if ((tcp->syn && tcp->fin) || !(tcp->syn || tcp->ack || tcp->rst || tcp->fin))
			return BAD_FLAGS;
	} else if (e->proto == IPPROTO_UDP) {
		struct udphdr *udp = l4;
		if ((void *)(udp + 1) > end)
			return MALFORMED;
		e->sport = bpf_ntohs(udp->source);
		e->dport = bpf_ntohs(udp->dest);
	} else {
		return PASSED;
	}
	return to_closed_port(e->dport, e->proto) ? BAD_PORT : PASSED;
}

// Turns an echo request into its reply, in place. Only the type changes, so
// the checksum is adjusted by the difference (RFC 1624).
static __always_inline void answer(struct ethhdr *eth, struct iphdr *ip, struct icmphdr *icmp)
{
	unsigned char mac[ETH_ALEN];
	__builtin_memcpy(mac, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, mac, ETH_ALEN);
	__be32 addr = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = addr;
	__u32 sum = (__u16)~icmp->checksum + (__u16)~bpf_htons(ICMP_ECHO << 8);
	sum = (sum & 0xffff) + (sum >> 16);
	icmp->checksum = ~sum;
	icmp->type = ICMP_ECHOREPLY;
}

static __always_inline enum reason ipv4(struct ethhdr *eth, void *l3, void *end, struct event *e)
{
	struct iphdr *ip = l3;
	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return MALFORMED;
	void *l4 = l3 + ip->ihl * 4;
	if (l4 > end || l3 + bpf_ntohs(ip->tot_len) > end)
		return MALFORMED;
	e->src = ip->saddr;
	e->dst = ip->daddr;
	e->proto = ip->protocol;
	if (from_blocked_prefix(ip->saddr))
		return BAD_PREFIX;
	if (ip->frag_off & bpf_htons(0x3fff)) // offset, or more to come
		return FRAGMENT;
	if (ip->protocol == IPPROTO_ICMP && answer_ping) {
		struct icmphdr *icmp = l4;
		if ((void *)(icmp + 1) > end)
			return MALFORMED;
		if (icmp->type == ICMP_ECHO && icmp->code == 0) {
			answer(eth, ip, icmp);
			return ANSWERED;
		}
	}
	return transport(l4, end, e);
}

static __always_inline enum reason ipv6(void *l3, void *end, struct event *e)
{
	struct ipv6hdr *ip = l3;
	if ((void *)(ip + 1) > end || ip->version != 6)
		return MALFORMED;
	e->proto = ip->nexthdr;
	return transport(ip + 1, end, e);
}

struct vlan {
	__be16 tci;
	__be16 proto;
};

static __always_inline enum reason decide(struct ethhdr *eth, void *end, struct event *e)
{
	if ((void *)(eth + 1) > end)
		return MALFORMED;
	__be16 proto = eth->h_proto;
	void *l3 = eth + 1;
	if (proto == bpf_htons(ETH_P_8021Q)) {
		struct vlan *tag = l3;
		if ((void *)(tag + 1) > end)
			return MALFORMED;
		proto = tag->proto;
		l3 = tag + 1;
	}
	if (proto == bpf_htons(ETH_P_IP))
		return ipv4(eth, l3, end, e);
	if (proto == bpf_htons(ETH_P_IPV6))
		return ipv6(l3, end, e);
	return PASSED;
}

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct event e = {.len = end - data};

	e.reason = decide(data, end, &e);

	__u32 key = e.reason;
	struct counter *c = bpf_map_lookup_elem(&counters, &key);
	if (c) {
		// Atomic: when more runs are under way than there are virtual CPUs,
		// two of them can have one number.
		__sync_fetch_and_add(&c->packets, 1);
		__sync_fetch_and_add(&c->bytes, end - data);
	}
	if (e.reason == PASSED)
		return XDP_PASS;
	if (e.reason == ANSWERED)
		return XDP_TX;
	bpf_ringbuf_output(&events, &e, sizeof(e), 0);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
