/* A table without programs: only data that a kernel would install. */
#include "bpf.h"

struct ops {
	char name[8];
};

SEC(".struct_ops.link") struct ops minimal = {.name = "minimal"};
