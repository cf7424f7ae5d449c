/* bpf_for_each_map_elem over an array of 256. Native: a for loop that calls a
 * function. */
#include "bench.h"

enum { N = 256 };

#ifdef __bpf__
struct {
	__uint(type, ARRAY);
	__uint(max_entries, N);
	__type(key, u32);
	__type(value, u64);
} table MAP;
#else
static u64 table[N];
#endif

noinline_ long visit(void *map, const u32 *key, u64 *value, u64 *sum)
{
	*sum += *key * (*value + 3);
	*value ^= *key;
	return 0;
}

PROGRAM(for_each_elem)
{
	u64 sum = 0;

#ifdef __bpf__
	for_each(&table, visit, &sum, 0);
#else
	rolled for (u32 i = 0; i < N; i++)
		if (visit(table, &i, &table[i], &sum))
			break;
#endif
	return fold64(sum);
}
