/* Built for each version of the instruction set: signed division, byte swaps,
 * sign extension and atomics where the version has them. */
#include "bpf.h"

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cells SEC(".maps");

SEC("socket") long use(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 *cell = map_lookup(&cells, &key);

	if (!cell)
		return 0;
	__sync_fetch_and_add(cell, skb->len);
#if __BPF_CPU_VERSION__ >= 4
	return (__s64)*cell / (__s32)skb->mark + (__s8)skb->len + __builtin_bswap64(*cell);
#else
	return *cell / (skb->mark | 1) + (skb->len > 5);
#endif
}
