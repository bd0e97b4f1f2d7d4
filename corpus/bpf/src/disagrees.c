/* Disagrees with second.c about everything. */
#include "bpf.h"

struct origin { int x, y, z; };

extern struct origin origin;
extern int scale(int value, int other);
struct {
	__uint(type, 1);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, long);
} counts SEC(".maps");

int twice(int value)
{
	return scale(value, origin.x);
}

__noinline int first(void *ctx)
{
	return twice(1);
}

char LICENSE[] SEC("license") = "MIT";
