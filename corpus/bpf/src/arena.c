/* A variable in an arena, which needs the map though nothing refers to that. For clang only. */
#include "bpf.h"

struct {
	__uint(type, 33);
	__uint(map_flags, 1 << 10);
	__uint(max_entries, 1);
} arena SEC(".maps");

int __attribute__((address_space(1))) counter = 1;

SEC("syscall") int in_arena(void *ctx)
{
	return counter;
}

char LICENSE[] SEC("license") = "GPL";
