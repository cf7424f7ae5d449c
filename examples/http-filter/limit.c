//go:build ignore

// SPDX-License-Identifier: Apache-2.0
//
// Lets each client make a burst of requests, and so many a second after it.

#include "request.h"

#define BPF_MAP_TYPE_HASH 1
#define BPF_ANY 0

const volatile __u64 burst = 5;
const volatile __u64 per_second = 1;

struct client {
	__u64 hi, lo;
};

struct bucket {
	__u64 tokens; // in billionths
	__u64 seen;   // time of the last request
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct client);
	__type(value, struct bucket);
} buckets SEC(".maps");

static const __u64 one = 1000000000;

SEC("http_request")
int limit(struct http_request *r)
{
	struct client client = {r->client_hi, r->client_lo};
	__u64 now = bpf_ktime_get_ns();
	struct bucket *b = bpf_map_lookup_elem(&buckets, &client);
	if (!b) {
		struct bucket full = {.tokens = (burst - 1) * one, .seen = now};
		bpf_map_update_elem(&buckets, &client, &full, BPF_ANY);
		return HTTP_ALLOW;
	}
	__u64 tokens = b->tokens + (now - b->seen) * per_second;
	if (tokens > burst * one)
		tokens = burst * one;
	b->seen = now;
	if (tokens < one) {
		b->tokens = tokens;
		r->status = 429;
		return HTTP_DENY;
	}
	b->tokens = tokens - one;
	return HTTP_ALLOW;
}
