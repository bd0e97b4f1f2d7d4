/* Functions and data that nothing needs unless `used` is linked with it. */
#include "bpf.h"

extern int unresolved(int value);

int big[64] = { 1 };
static volatile int small = 4;

__noinline int used(int value)
{
	return value + small;
}

__noinline int unused(int value)
{
	return big[value & 63] + unresolved(value);
}
