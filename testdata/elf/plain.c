/* Nothing that needs a symbol or a type: it still runs when both are gone. */
#include "bpf.h"

SEC("socket") int only(struct __sk_buff *skb)
{
	int sum = 0;

	for (int i = 0; i < 4; i++)
		sum += skb->len >> i;
	return sum;
}
