/* Functions in .text and no other section; calls of functions that the host
 * has built in (clang 19 needs -fno-builtin to let them pass). */
#include "bpf.h"

struct big {
	__u64 a[200];
};

extern void *memset(void *, int, unsigned long);
extern void *memcpy(void *, const void *, unsigned long);
extern int memcmp(const void *, const void *, unsigned long);
void use(struct big *b);

static __noinline __u64 helper(__u64 x)
{
	return x ^ ktime();
}

__u64 func(struct big *b, struct big *c)
{
	memset(b, 0x5a, sizeof(*b));
	memcpy(c, b, sizeof(*b));
	return helper(b->a[7]) + memcmp(b, c, sizeof(*b));
}

__u64 other(__u64 x)
{
	return helper(x) + 1;
}
