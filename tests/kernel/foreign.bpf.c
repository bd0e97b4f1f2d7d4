// Calls the kfunc of foreign/btf_foreign.c: loads only where the kernel has moved that module's BTF onto its own.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define EXPECTED 42

char LICENSE[] SEC("license") = "GPL";

struct task_struct {
	int tgid;
} __attribute__((preserve_access_index));

extern int btf_foreign_tgid(struct task_struct *task) __ksym;

SEC("tc")
int ask_foreign(struct __sk_buff *skb)
{
	struct task_struct *current = (void *)bpf_get_current_task_btf();

	return btf_foreign_tgid(current) == current->tgid ? EXPECTED : 1;
}
