// Programs that load only where the BTF of the running kernel and of its modules is right. The structures here are
// the kernel's cut down to a member or two, at other offsets: CO-RE relocations find the real ones by name. A
// program that is run (with a packet that it does not look at) returns EXPECTED.
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define EXPECTED 42
#define NOT_FOUND -2 /* -ENOENT */

char LICENSE[] SEC("license") = "GPL";

struct task_struct {
	int tgid;
	int pid;
	struct task_struct *group_leader;
	int no_kernel_has_this_member;
} __attribute__((preserve_access_index));

enum pid_type___of_no_kernel { PIDTYPE_TGID___of_no_kernel };

extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;

// The kernel's own BTF: members by name, sizes, values of enumerators, a kfunc that gives a reference.
SEC("tc")
int ask_kernel(struct __sk_buff *skb)
{
	struct task_struct *current = (void *)bpf_get_current_task_btf();
	struct task_struct *found;
	int same;

	if (bpf_core_type_size(struct task_struct) <= sizeof(struct task_struct))
		return 1;
	if (bpf_core_field_exists(current->no_kernel_has_this_member))
		return 2;
	if (bpf_core_enum_value_exists(enum pid_type___of_no_kernel, PIDTYPE_TGID___of_no_kernel) == 0)
		return 3;
	if (bpf_core_enum_value(enum pid_type___of_no_kernel, PIDTYPE_TGID___of_no_kernel) != 1)
		return 4;
	if (current->pid != (int)bpf_get_current_pid_tgid())
		return 5;
	found = bpf_task_from_pid(current->pid);
	if (!found)
		return 6;
	same = found->tgid == current->tgid && current->group_leader->pid == found->tgid;
	bpf_task_release(found);
	return same ? EXPECTED : 7;
}

struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));

struct bpf_ct_opts {
	int netns_id;
	int error;
	unsigned char l4proto;
	unsigned char dir;
	unsigned char reserved[2];
};

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, unsigned int tuple_size,
					 struct bpf_ct_opts *options, unsigned int options_size) __ksym;
extern void bpf_ct_release(struct nf_conn *connection) __ksym;

// A module's BTF: kfuncs of nf_conntrack. The packet of a test run belongs to no connection.
SEC("tc")
int ask_nf_conntrack(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts options = { .netns_id = -1, .l4proto = 6 };
	struct nf_conn *connection;

	connection = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), &options, sizeof(options));
	if (connection) {
		unsigned long status = connection->status;

		bpf_ct_release(connection);
		return status ? 1 : 2;
	}
	return options.error == NOT_FOUND ? EXPECTED : 3;
}

struct sk_buff {
	unsigned int len;
} __attribute__((preserve_access_index));

// A module's function, whose prototype the verifier takes from the module's BTF.
SEC("fentry/dummy_xmit")
int watch_dummy(unsigned long long *context)
{
	struct sk_buff *skb = (void *)context[0];

	bpf_printk("dummy_xmit: %u bytes", skb->len);
	return 0;
}
