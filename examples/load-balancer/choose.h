// SPDX-License-Identifier: Apache-2.0
//
// A flow to a backend: the table of connections first, then the VIP's ring.

#ifndef CHOOSE_H
#define CHOOSE_H

struct choice {
	__u32 vip;
	__u32 backend; // 0: there is none
	__u64 hash;
	const struct backend *to;
};

static __always_inline __u64 mix(__u64 h, __u64 word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ULL; // 2^64 by the golden ratio
	return h ^ h >> 32;
}

static __always_inline __u64 hash_flow(const struct packet *p)
{
	__u64 h = hash_seed;
	for (unsigned i = 0; i < sizeof(p->word) / 8; i++)
		h = mix(h, p->word[i]);
	return h;
}

static __always_inline void report(enum event_kind kind, const struct packet *p, const struct choice *c)
{
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		__u32 zero = 0;
		__u64 *lost = bpf_map_lookup_elem(&lost_events, &zero);
		if (lost)
			++*lost;
		return;
	}
	e->time = bpf_ktime_get_ns();
	e->flow = p->flow;
	e->kind = kind;
	e->vip = c->vip;
	e->backend = c->backend;
	e->len = p->len;
	bpf_ringbuf_submit(e, 0);
}

static __always_inline struct vip *find_vip(const struct packet *p)
{
	union {
		struct service service;
		__u64 word[3];
	} key = {.word = {p->word[DST], p->word[DST + 1], (__u64)p->flow.proto << 16 | p->flow.dport}};
	struct vip *vip = bpf_map_lookup_elem(&vips, &key);
	if (vip)
		return vip;
	key.word[2] = (__u64)p->flow.proto << 16;
	return bpf_map_lookup_elem(&vips, &key);
}

// Whether this CPU has seen more new connections in this window of time than the
// table should take: a flood would push out those that are real.
static __always_inline bool flooded(__u64 now)
{
	__u32 zero = 0;
	struct window *w = bpf_map_lookup_elem(&windows, &zero);
	if (!w)
		return true;
	if (now - w->start > flood_window) {
		w->start = now;
		w->count = 0;
	}
	return ++w->count > flood_limit;
}

static __always_inline bool use_backend(struct choice *c, __u32 number)
{
	struct backend *b = bpf_map_lookup_elem(&backends, &number);
	if (!b || !(b->flags & BACKEND_UP))
		return false;
	c->backend = number;
	c->to = b;
	return true;
}

// from_table continues a connection.
static __always_inline bool from_table(const struct packet *p, struct choice *c)
{
	struct connection *conn = bpf_map_lookup_elem(&connections, &p->flow);
	if (!conn)
		return false;
	if (p->flow.proto == IPPROTO_UDP && !p->error) {
		__u64 now = bpf_ktime_get_ns();
		if (now - conn->seen > udp_timeout)
			return false;
		conn->seen = now;
	}
	if (!use_backend(c, conn->backend))
		return false;
	if (p->rst) {
		report(EVENT_CLOSE, p, c);
		bpf_map_delete_elem(&connections, &p->flow);
	} else if (p->fin && !conn->closing) {
		conn->closing = 1;
		report(EVENT_CLOSE, p, c);
	}
	return true;
}

static __always_inline bool from_ring(struct choice *c)
{
	void *ring = bpf_map_lookup_elem(&rings, &c->vip);
	if (!ring)
		return false;
	__u32 place = ((c->hash >> 32) * RING_SIZE) >> 32;
	__u32 *number = bpf_map_lookup_elem(ring, &place);
	return number && *number && use_backend(c, *number);
}

// note writes down where a connection went, unless nothing follows (a RST) or
// there are too many.
static __always_inline bool note(const struct packet *p, struct choice *c, struct vip_counter *count)
{
	if (p->rst)
		return false;
	struct connection conn = {.seen = bpf_ktime_get_ns(), .backend = c->backend, .closing = p->fin};
	if (flooded(conn.seen)) {
		count->flooded++;
		return false;
	}
	return !bpf_map_update_elem(&connections, &p->flow, &conn, BPF_ANY);
}

static __always_inline enum outcome choose(struct packet *p, struct choice *c)
{
	struct vip *vip = find_vip(p);
	if (!vip)
		return PASSED;
	c->vip = vip->number;
	struct vip_counter *count = bpf_map_lookup_elem(&vip_counters, &c->vip);
	if (!count)
		return NO_BACKEND;
	count->packets++;
	count->bytes += p->len;

	bool table = !(vip->flags & VIP_NO_TABLE);
	if (vip->flags & VIP_NO_PORTS)
		p->word[PORTS] &= ~0xffffULL; // the source's
	c->hash = hash_flow(p);
	if (table && !p->syn && from_table(p, c))
		return FORWARDED;
	if (!from_ring(c)) {
		report(EVENT_NO_BACKEND, p, c);
		return NO_BACKEND;
	}
	if (p->error || !table)
		return FORWARDED;
	bool noted = note(p, c, count);
	if (p->flow.proto == IPPROTO_TCP && !p->syn) {
		count->missed++;
	} else {
		count->opened++;
		if (noted)
			report(EVENT_OPEN, p, c);
	}
	return FORWARDED;
}

#endif
