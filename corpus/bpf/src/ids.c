/* A type id of the program itself in an instruction, and an access that is relocated. */
#include "bpf.h"

struct own { long a; int b; };
struct task_struct { int pid; } __attribute__((preserve_access_index));

SEC("tc") int own_id(void *ctx)
{
	return __builtin_btf_type_id(*(struct own *)0, 0);
}

__noinline int pid_of(struct task_struct *task)
{
	return task ? task->pid : 0;
}
