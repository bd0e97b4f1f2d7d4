/* Data that points to static data, which relocations by a section's symbol express. */
#include "bpf.h"

static int one = 1, two = 2, three = 3;
int *const table[] SEC(".data.table") = { &two, &three, &one };
