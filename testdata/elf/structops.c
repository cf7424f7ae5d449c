/* A table of programs that a kernel would install. */
#include "bpf.h"

struct ops {
	int (*init)(void *);
	void (*exit)(void *);
	int flags;
	int (*unused)(void);
	char name[8];
};

SEC("struct_ops/init") int my_init(void *ctx)
{
	return 1;
}

SEC("struct_ops/exit") int my_exit(void *ctx)
{
	return 0;
}

SEC(".struct_ops") struct ops table = {
	.init = (void *)my_init,
	.exit = (void *)my_exit,
	.flags = 3,
	.name = "table",
};

SEC(".struct_ops.link") struct ops linked = {.exit = (void *)my_exit};
