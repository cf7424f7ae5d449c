// Returns what the hook does not know.
#include "bpf.h"

SEC("cgroup_skb/ingress")
int verdict(struct __sk_buff *skb)
{
	if (skb->mark == 1)
		return 1;
	return skb->len & 3;
}
