/* Hashes of ENTRIES keys and values of 8 bytes: one that stays full, and one
 * whose entries come and go. */
#include "maps.h"

struct hash {
	__uint(type, HASH);
	__uint(max_entries, ENTRIES);
	__type(key, u64);
	__type(value, u64);
};
struct hash table MAP, churn MAP;

inline_ u32 find(struct hash *m, u64 key)
{
	u64 *v = map_lookup(m, &key);

	return v ? (u32)*v : 0;
}

inline_ u32 store(struct hash *m, u64 key, u64 value) { return map_update(m, &key, &value, 0) == 0; }

inline_ u32 drop(struct hash *m, u64 key) { return map_delete(m, &key) == 0; }

/* Lookups. Every key is there. */
PROGRAM(hash_lookup)
{
	EACH({ sum += find(&table, KEY(BELOW(s, ENTRIES))); })
}

/* One update in 64 operations; the others are lookups. */
PROGRAM(hash_mostly)
{
	EACH({
		u64 key = KEY(BELOW(s, ENTRIES));

		if (s & 63)
			sum += find(&table, key);
		else
			sum += store(&table, key, key);
	})
}

/* Half updates, a quarter deletions, a quarter lookups. */
PROGRAM(hash_mix)
{
	EACH({
		u64 key = KEY(BELOW(s, ENTRIES));

		if (s & 1)
			sum += store(&churn, key, s);
		else if (s & 2)
			sum += drop(&churn, key);
		else
			sum += find(&churn, key);
	})
}
