/* Kernel variables and functions. */
#include "bpf.h"

struct rq {
	int cpu;
};

extern const void untyped __ksym;
extern const struct rq typed __ksym;
extern const void maybe __ksym __weak;
extern const struct rq maybe_typed __ksym __weak;
extern const void missing __ksym;
extern int kfunc(int a, struct rq *rq) __ksym;
extern int maybe_kfunc(int a) __ksym __weak;

SEC("raw_tp/x") int addresses(void *ctx)
{
	return (long)&untyped + (long)&typed + (long)&maybe + (long)&maybe_typed;
}

SEC("raw_tp/x") int strong(void *ctx)
{
	return (long)&missing;
}

SEC("raw_tp/x") int calls(void *ctx)
{
	struct rq rq = {};

	if (maybe_kfunc)
		maybe_kfunc(1);
	return kfunc(2, &rq);
}
