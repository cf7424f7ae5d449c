/* Every attribute of a BTF map. */
#include "bpf.h"

struct inner {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, __u64);
};

struct inner one SEC(".maps"), two SEC(".maps");

struct {
	__uint(type, MAP_ARRAY_OF_MAPS);
	__uint(max_entries, 5);
	__uint(key_size, 4);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = {[0] = &two, [4] = &one},
};

struct {
	__uint(type, MAP_HASH_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__uint(value_size, 4);
	__array(values, struct {
		__uint(type, MAP_HASH);
		__uint(max_entries, 9);
		__uint(map_flags, 1);
		__uint(key_size, 12);
		__uint(value_size, 20);
	});
} anonymous SEC(".maps");

struct {
	__uint(type, MAP_LRU_HASH);
	__uint(max_entries, 16);
	__uint(key_size, 4);
	__uint(value_size, 8);
	__uint(pinning, PIN_BY_NAME);
	__uint(numa_node, 1);
} pinned SEC(".maps");

struct {
	__uint(type, MAP_BLOOM_FILTER);
	__uint(max_entries, 100);
	__uint(value_size, 4);
	__ulong(map_extra, 0x500000003ull);
} bloom SEC(".maps");

struct {
	__uint(type, MAP_RINGBUF);
	__uint(max_entries, 1 << 16);
} events SEC(".maps");

SEC("socket") int use(struct __sk_buff *skb)
{
	__u32 key = 4;
	void *in = map_lookup(&outer, &key);

	if (in && map_lookup(in, &key))
		return 1;
	in = map_lookup(&anonymous, &key);
	return (in != 0) + (map_lookup(&pinned, &key) != 0) + (map_lookup(&two, &key) != 0);
}
