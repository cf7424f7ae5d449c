/* The types that a target has; no programs. */
#define TARGET
#include "bpf.h"
#include "core.h"

struct point *point;
enum colour colour;
number_t number;
struct present present;
