/* Records from a program to a reader, in a ring buffer of 1 MiB. The map state says
 * how many are left to send and the number of the next, which is the first word of
 * each record. A run sends up to OPS, and ends early when the ring is full. It
 * returns how many are left. */
#include "maps.h"

enum { NO_WAKEUP = 1 };

static long (*ringbuf_output)(void *map, const void *data, u64 size, u64 flags) = (void *)130;

struct {
	__uint(type, RINGBUF);
	__uint(max_entries, 1 << 20);
} ring MAP;

struct state {
	u64 left, number;
};
struct {
	__uint(type, ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct state);
} state MAP;

#define SEND(body)                                        \
	u32 key = 0;                                      \
	struct state *s = map_lookup(&state, &key);       \
	u64 left, number;                                 \
                                                          \
	if (!s)                                           \
		return 0;                                 \
	left = s->left;                                   \
	number = s->number;                               \
	rolled for (int i = 0; i < OPS && left; i++) {    \
		body                                      \
		number++;                                 \
		left--;                                   \
	}                                                 \
	s->left = left;                                   \
	s->number = number;                               \
	return left;

/* reserve and submit, of words of 8 bytes, of which up to eight are written */
#define SUBMIT(name, words)                               \
	PROGRAM(name)                                     \
	{                                                 \
		SEND({                                    \
			u64 *r = ringbuf_reserve(&ring, 8 * (words), 0); \
                                                          \
			if (!r)                           \
				break;                    \
			for (int k = 0; k < (words) && k < 8; k++) \
				r[k] = number + k;        \
			ringbuf_submit(r, NO_WAKEUP);     \
		})                                        \
	}

/* output of what lies on the stack */
#define OUTPUT(name, words)                               \
	PROGRAM(name)                                     \
	{                                                 \
		u64 r[words];                             \
                                                          \
		for (int k = 0; k < (words); k++)         \
			r[k] = k;                         \
		SEND({                                    \
			r[0] = number;                    \
			if (ringbuf_output(&ring, r, sizeof(r), NO_WAKEUP)) \
				break;                    \
		})                                        \
	}

SUBMIT(ring_submit_8, 1)
SUBMIT(ring_submit_64, 8)
SUBMIT(ring_submit_512, 64)
OUTPUT(ring_output_8, 1)
OUTPUT(ring_output_64, 8)
OUTPUT(ring_output_384, 48)
