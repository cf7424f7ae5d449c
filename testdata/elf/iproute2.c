/* Maps as iproute2 defines them: struct bpf_elf_map of 36 bytes, inner maps by
 * identifier; programs in sections that are places in a program array. */
#include "bpf.h"

struct elf_map {
	__u32 type, size_key, size_value, max_elem, flags, id, pinning, inner_id, inner_idx;
};

struct elf_map inner SEC("maps") = {MAP_HASH, 4, 8, 10, 1, .id = 7};
struct elf_map outer SEC("maps") = {MAP_ARRAY_OF_MAPS, 4, 4, 2, .inner_id = 7, .pinning = 2};
struct elf_map jumps SEC("maps") = {MAP_PROG_ARRAY, 4, 4, 8, .id = 2, .pinning = 1};

SEC("2/1") int one(struct __sk_buff *skb)
{
	__u32 key = 0;

	return map_lookup(&outer, &key) != 0;
}

SEC("from-netdev") int entry(struct __sk_buff *skb)
{
	__u32 key = 0;

	tail_call(skb, &jumps, 1);
	return map_lookup(&inner, &key) != 0;
}
