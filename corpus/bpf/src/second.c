/* Defines what first.c refers to. Its `pick` is weak and not the first, so it loses. */
#include "bpf.h"

extern int twice(int value);

struct point origin = { 7, 9 };
struct counts counts SEC(".maps");

static volatile int bias = 500;
static volatile const int fixed = 30;

static __noinline int helper(int value)
{
	return value + bias + fixed;
}

__weak __noinline int pick(void)
{
	return helper(999);
}

__noinline int scale(int value)
{
	return value * 10;
}

/* (1 + 500 + 30) + 2 * (2 + 5 + 3) + (999 + 500 + 30) + 9 = 2089, or 660 if first.c comes first and its `pick` counts. */
SEC("tc") int second(void *ctx)
{
	return helper(1) + twice(2) + pick() + origin.y;
}

char LICENSE[] SEC("license") = "GPL";
