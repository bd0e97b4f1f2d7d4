// SPDX-License-Identifier: GPL-2.0 OR MIT
// A module outside the kernel's tree: its BTF refers to the kernel's types in the ways that a distilled base tells
// apart (pointed to, embedded, in an array, through a typedef, an enumeration), and it has a kfunc.
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

struct btf_foreign_state {
	struct list_head list;
	struct work_struct work[2];
	enum pid_type type;
	struct net_device *device;
	netdev_features_t features;
	union {
		struct sk_buff *skb;
		atomic_t count;
	};
};

static struct btf_foreign_state state = { .list = LIST_HEAD_INIT(state.list), .type = PIDTYPE_TGID };

__bpf_kfunc_start_defs();

__bpf_kfunc int btf_foreign_tgid(struct task_struct *task)
{
	return task->tgid;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(btf_foreign_ids)
BTF_ID_FLAGS(func, btf_foreign_tgid)
BTF_KFUNCS_END(btf_foreign_ids)

static const struct btf_kfunc_id_set btf_foreign_set = {
	.owner = THIS_MODULE,
	.set = &btf_foreign_ids,
};

static int __init btf_foreign_init(void)
{
	pr_info("btf_foreign: %d\n", (int)state.type);
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SCHED_CLS, &btf_foreign_set);
}

static void __exit btf_foreign_exit(void)
{
}

module_init(btf_foreign_init);
module_exit(btf_foreign_exit);
MODULE_DESCRIPTION("Out-of-tree module whose BTF has a distilled base");
MODULE_LICENSE("Dual MIT/GPL");
