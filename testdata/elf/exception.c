// Programs whose exceptions a function of their own handles.
#include "bpf.h"

#define __exception_cb(name) __attribute__((btf_decl_tag("exception_callback:" #name)))
extern void bpf_throw(__u64 cookie) __ksym;

__attribute__((noinline)) int plus10(__u64 cookie) { return cookie + 10; }
__attribute__((noinline)) static int hidden(__u64 cookie) { return cookie; }

SEC("tc") __exception_cb(plus10) int handled(struct __sk_buff *skb)
{
	if (skb->len > 60)
		bpf_throw(skb->len);
	return 1;
}

SEC("tc") int plain(struct __sk_buff *skb)
{
	bpf_throw(hidden(skb->len));
	return 1;
}

SEC("tc") __exception_cb(nowhere) int missing(struct __sk_buff *skb)
{
	bpf_throw(1);
	return 1;
}

SEC("tc") __exception_cb(hidden) int local(struct __sk_buff *skb)
{
	bpf_throw(1);
	return 1;
}

SEC("tc") __exception_cb(plus10) __exception_cb(nowhere) int two(struct __sk_buff *skb)
{
	bpf_throw(1);
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
