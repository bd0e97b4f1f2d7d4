/* Needs one function of unused.c. */
#include "bpf.h"

extern int used(int value);

SEC("tc") int user(void *ctx)
{
	return used(38);
}

char LICENSE[] SEC("license") = "GPL";
