/* What the programs share. A run does OPS operations on the entry of a random
 * number below ENTRIES each; the state of its generator is in the packet, where
 * the next run goes on. A program returns what it found, so that engines can be
 * compared before they are timed. internal/mapbench/workload.go computes keys
 * as they are computed here. */
#ifndef SKEP_MAPBENCH_H
#define SKEP_MAPBENCH_H

#include "../../bench/programs/bench.h"

enum { LRU_HASH = 9, LPM_TRIE = 11 };
enum { NO_PREALLOC = 1 };
enum { ENTRIES = 1000000, OPS = 1024 };

/* The generator (xorshift64). */
#define NEXT(s)                 \
	do {                    \
		s ^= s << 13;   \
		s ^= s >> 7;    \
		s ^= s << 17;   \
	} while (0)

/* A number below n, from the upper half of the state. */
#define BELOW(s, n) (((s) >> 32) * (n) >> 32)

/* The key with number i of a hash. */
#define KEY(i) (((i) + 1) * 0x9e3779b97f4a7c15ULL)

/* The body of a program: state s, result sum. */
#define EACH(body)                                       \
	const u8 *end = END(ctx);                        \
	u8 *p = (u8 *)DATA(ctx);                         \
	u64 s;                                           \
	u32 sum = 0;                                     \
                                                         \
	NEED(p, 8);                                      \
	s = U64(p);                                      \
	rolled for (int i = 0; i < OPS; i++) {           \
		NEXT(s);                                 \
		body                                     \
	}                                                \
	*(u64 *)p = s;                                   \
	return sum;

#endif
