/* A trie of ENTRIES IPv4 prefixes, whose lengths are mixed as in a table of
 * Internet routes. */
#include "maps.h"

struct key {
	u32 bits;
	u32 addr; /* big-endian */
};
struct {
	__uint(type, LPM_TRIE);
	__uint(map_flags, NO_PREALLOC);
	__uint(max_entries, ENTRIES);
	__type(key, struct key);
	__type(value, u64);
} table MAP;

/* The length of the prefix with hash h: of 64, 38 have /24, 6 /23, 7 /22, 3 /21,
 * 3 /20, 2 /19, one each /18, /17, /16 and /32, and one /8 to /15. */
static const u8 lengths[64] = {
	24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
	24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 23, 23,
	23, 23, 23, 23, 22, 22, 22, 22, 22, 22, 22, 21, 21, 21, 20, 20, 20, 19, 19, 18,
	17, 16, 32, 8,
};

inline_ u32 length(u64 h)
{
	u32 n = lengths[h >> 20 & 63];

	return n == 8 ? 8 + (h >> 26 & 7) : n;
}

/* The prefix with number i, as the hash that it is made of. */
#define PREFIX(i) KEY(i)

/* An address in the prefix with hash h, host bits from r. */
inline_ u32 address(u64 h, u32 r)
{
	u32 host = (u32)(0xffffffffULL >> length(h));

	return ((u32)(h >> 32) & ~host) | (r & host);
}

inline_ u32 find(u32 addr)
{
	struct key key = {32, be32(addr)};
	u64 *v = map_lookup(&table, &key);

	return v ? (u32)*v : 0;
}

inline_ u32 store(u64 h)
{
	struct key key = {length(h), be32(address(h, 0))};

	return map_update(&table, &key, &h, 0) == 0;
}

/* Lookups of addresses in a prefix each. */
PROGRAM(lpm_lookup)
{
	EACH({ sum += find(address(PREFIX(BELOW(s, ENTRIES)), s)); })
}

/* One update in 64 operations; the others are lookups. */
PROGRAM(lpm_mostly)
{
	EACH({
		u64 h = PREFIX(BELOW(s, ENTRIES));

		if (s & 63)
			sum += find(address(h, s)) != 0;
		else
			sum += store(h);
	})
}

/* Updates of prefixes that are there. */
PROGRAM(lpm_update)
{
	EACH({ sum += store(PREFIX(BELOW(s, ENTRIES))); })
}
