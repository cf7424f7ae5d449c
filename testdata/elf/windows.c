/* Maps of eBPF for Windows (ebpf_map_definition_in_file): numbers of types are
 * that platform's, 7 an array of maps and 8 an LRU hash. */
#include "bpf.h"

struct map_def {
	__u32 type, key_size, value_size, max_entries, inner_map_idx, pinning, id, inner_id;
};

struct map_def inner SEC("maps") = {8, 4, 8, 10, .id = 10};
struct map_def outer SEC("maps") = {7, 4, 4, 2, .pinning = 1, .id = 11, .inner_id = 10};

SEC("bind") int use(void *ctx)
{
	__u32 key = 0;

	return map_lookup(&outer, &key) != 0;
}
