/* Refers to what second.c defines; both have a static function and variable of the same names. */
#include "bpf.h"

extern struct point origin;
extern int scale(int value);
extern struct counts counts SEC(".maps");

static volatile int bias = 5;
static volatile const int fixed = 3;

static __noinline int helper(int value)
{
	return value + bias + fixed;
}

__weak __noinline int pick(void)
{
	return 100;
}

__noinline int twice(int value)
{
	return 2 * helper(value);
}

/* (1 + 5 + 3) * 10 + 7 + 100 = 197, and 1000 if the map is there. */
SEC("tc") int first(void *ctx)
{
	int key = 0;
	long *count = lookup(&counts, &key);

	return scale(helper(1)) + origin.x + pick() + (count ? 1000 : 0);
}

char LICENSE[] SEC("license") = "GPL";
