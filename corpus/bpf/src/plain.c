/* Compiled without debugging information, and so without BTF. */
#include "bpf.h"

__noinline int used(int value)
{
	return value - 1;
}
