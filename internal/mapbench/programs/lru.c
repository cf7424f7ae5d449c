/* An LRU hash of ENTRIES keys and values of 8 bytes. */
#include "maps.h"

struct {
	__uint(type, LRU_HASH);
	__uint(max_entries, ENTRIES);
	__type(key, u64);
	__type(value, u64);
} table MAP;

inline_ u32 find(u64 key)
{
	u64 *v = map_lookup(&table, &key);

	return v ? (u32)*v : 0;
}

inline_ u32 store(u64 key, u64 value) { return map_update(&table, &key, &value, 0) == 0; }

/* Lookups of keys that were stored. */
PROGRAM(lru_lookup)
{
	EACH({ sum += find(KEY(BELOW(s, ENTRIES))) != 0; })
}

/* One update in 64 operations; the others are lookups. */
PROGRAM(lru_mostly)
{
	EACH({
		u64 key = KEY(BELOW(s, ENTRIES));

		if (s & 63)
			sum += find(key) != 0;
		else
			sum += store(key, key);
	})
}

/* Updates of twice as many keys as fit: half of them evict. */
PROGRAM(lru_update)
{
	EACH({ sum += store(KEY(BELOW(s, 2 * ENTRIES)), s); })
}

/* A table of connections: a lookup, and an update if there was none. */
PROGRAM(lru_mix)
{
	EACH({
		u64 key = KEY(BELOW(s, 2 * ENTRIES));

		if (find(key))
			sum++;
		else
			store(key, key);
	})
}
