/* Maps as plain structs, of the lengths in use: 20 bytes (libbpf), 28 with an
 * inner map by index (samples/bpf, PREVAIL). One section holds one length. */
#include "bpf.h"

struct map_def {
	__u32 type, key_size, value_size, max_entries, flags, inner_map_idx, numa_node;
};

struct map_def array SEC("maps") = {MAP_ARRAY, 4, 8, 7};
struct map_def nested SEC("maps") = {MAP_ARRAY_OF_MAPS, 4, 0, 2, .inner_map_idx = 2};
struct map_def hash SEC("maps") = {MAP_HASH, 16, 32, 64, 1};

struct {
	__u32 type, key_size, value_size, max_entries, flags;
} brief SEC("maps/brief") = {MAP_PERCPU_ARRAY, 4, 16, 3};

SEC("socket/legacy") int use(struct __sk_buff *skb)
{
	__u64 key[2] = {};

	return (map_lookup(&array, key) != 0) + (map_lookup(&nested, key) != 0) + (map_lookup(&hash, key) != 0) +
	       (map_lookup(&brief, key) != 0);
}
