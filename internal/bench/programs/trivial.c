/* Does nothing: what entering a program costs. */
#include "bench.h"

PROGRAM(trivial) { return (u32)(unsigned long)ctx->data_end == 0; }
