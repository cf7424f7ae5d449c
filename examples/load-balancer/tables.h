// SPDX-License-Identifier: Apache-2.0
//
// What the balancer and its user-space side share: settings, which are fixed
// once the object is loaded, and maps. layout.go has the same structs in Go.

#ifndef TABLES_H
#define TABLES_H

enum {
	MAX_VIPS = 512,
	MAX_BACKENDS = 4096,
	RING_SIZE = 65537, // prime, and 16 places for each of MAX_BACKENDS
};

// Addresses have 16 bytes in all tables; those of IPv4 are mapped (RFC 4291,
// section 2.5.5.2: ::ffff:192.0.2.1).
struct addr {
	__be32 word[4];
} __attribute__((aligned(8)));

const volatile __u8 gateway[ETH_ALEN]; // the router: next hop of all that is sent to backends
const volatile __u16 mtu = 1500;       // of the way to the backends
const volatile __u64 hash_seed = 0x5eed;

// Outer sources: 16 bits of the flow's hash replace the end of the first, 32
// those of the second, so that NICs spread what comes from one balancer.
const volatile __be32 outer4 = bpf_htonl(0xac100000);                      // 172.16.0.0
const volatile struct addr outer6 = {.word = {bpf_htonl(0x01000000)}};     // 100::, RFC 6666

const volatile __u64 udp_timeout = 30000000000ULL; // ns; then a UDP flow is a new one
const volatile __u64 flood_limit = 125000;         // new connections per CPU and flood_window
const volatile __u64 flood_window = 1000000000ULL; // ns

// A flow is what the client sends: dst and dport are the VIP's.
struct flow {
	struct addr src;
	struct addr dst;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 zero[3];
};

struct service {
	struct addr addr;
	__be16 port; // 0: all that have no service of their own
	__u8 proto;
	__u8 zero[5];
};

enum {
	VIP_NO_TABLE = 1, // compute only: the ring alone decides
	VIP_NO_PORTS = 2, // all connections of a client go to one backend
};

struct vip {
	__u32 number; // below MAX_VIPS
	__u32 flags;
};

enum {
	BACKEND_UP = 1, // connections that it has stay with it
};

struct backend {
	struct addr addr;
	__u32 flags;
	__u32 zero;
};

struct connection {
	__u64 seen; // when it began; UDP: when its last packet came
	__u32 backend;
	__u32 closing; // a FIN came by
};

// What became of a packet.
enum outcome {
	PASSED,       // not for a VIP
	FORWARDED,    // encapsulated, to a backend
	ANSWERED,     // an echo request to a VIP
	TOO_BIG,      // does not fit the way to the backends: the client is told
	CANNOT_FIT,   // the same, but it may be fragmented, and nobody is told
	MALFORMED,    // a header is cut off or contradicts itself
	OPTIONS,      // IP options or extension headers, to a VIP
	FRAGMENT,     // to a VIP; the ports are not known
	NO_BACKEND,   // the VIP has none
	NO_ROOM,      // no headroom for the outer header
	NUM_OUTCOMES,
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

// What there is to know of a VIP besides its packets.
struct vip_counter {
	__u64 packets;
	__u64 bytes;
	// With a table only:
	__u64 opened;  // connections that began
	__u64 missed;  // TCP: connections under way that were not in the table
	__u64 flooded; // connections of both kinds that were not noted, there being too many
};

struct window {
	__u64 start;
	__u64 count;
};

enum event_kind {
	EVENT_OPEN = 1,   // a new connection, and where it went
	EVENT_CLOSE,      // its client sent the first FIN, or a RST
	EVENT_NO_BACKEND,
	EVENT_TOO_BIG,
};

struct event {
	__u64 time;
	struct flow flow;
	enum event_kind kind;
	__u32 vip;
	__u32 backend;
	__u32 len;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_VIPS);
	__type(key, struct service);
	__type(value, struct vip);
} vips SEC(".maps");

// How many services an address has. Only its keys count here.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_VIPS);
	__type(key, struct addr);
	__type(value, __u32);
} addresses SEC(".maps");

// A ring holds backends by number, each as often as its weight says; 0 is none.
struct ring {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RING_SIZE);
	__type(key, __u32);
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_VIPS);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64 * 1024);
	__type(key, struct flow);
	__type(value, struct connection);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NUM_OUTCOMES);
	__type(key, __u32);
	__type(value, struct counter);
} outcomes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_VIPS);
	__type(key, __u32);
	__type(value, struct vip_counter);
} vip_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct counter);
} backend_counters SEC(".maps");

// New connections of this window of time.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct window);
} windows SEC(".maps");

// Events that found no room, since the reader was too slow.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024); // holds struct event
} events SEC(".maps");

#endif
