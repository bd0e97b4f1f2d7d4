/* Compiled with -ffunction-sections. */
#include "bpf.h"

static __noinline int inner(int value)
{
	return value + 1;
}

__noinline int outer(int value)
{
	return 2 * inner(value);
}

__noinline int unused(int value)
{
	return 3 * inner(value);
}

/* 2 * (20 + 1) = 42. */
SEC("tc") int split(void *ctx)
{
	return outer(20);
}

char LICENSE[] SEC("license") = "GPL";
