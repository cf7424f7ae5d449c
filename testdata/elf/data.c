/* Data sections of every kind, and pointers in data. */
#include "bpf.h"

struct pair {
	int a;
	char b;
};

int zero;
int one = 1;
static volatile int hidden = 0x1234;
const volatile struct pair fixed = {5, 'x'};
struct pair pairs[3] SEC(".data.pairs") = {{1, 'a'}, {2, 'b'}, {3, 'c'}};
const volatile __u64 big SEC(".rodata.big") = 0x1122334455667788ull;
long counters[4] SEC(".bss.counters");

static __noinline int called(int x)
{
	return x + one;
}

int (*pointer)(int) = called;
const char *const words[] = {"north", "south"};

SEC("tc") int use(struct __sk_buff *skb)
{
	__u32 i = skb->mark & 1;

	zero += hidden;
	counters[2]++;
	pairs[2].b = fixed.b;
	printk("value %d", 9, called(zero));
	return (long)words[i] + (long)pointer + big + *((int *)&fixed + 1);
}
