//# about: a .BTF_ids section with a set of kfuncs, laid out as the kernel's BTF_KFUNCS_START does
//# link: image
//# arches: x86_64 aarch64 s390x
//# expect: FUNC:bpf_kfunc_plain FUNC:bpf_kfunc_fast FUNC:not_a_kfunc DECL_TAG:bpf_kfunc DECL_TAG:bpf_fastcall
struct task {
	int pid;
};

int bpf_kfunc_plain(struct task *task, int flags) { return task->pid + flags; }
void *bpf_kfunc_fast(void *p) { return p; }
int not_a_kfunc(struct task *task) { return task->pid; }

__asm__(".pushsection .BTF_ids,\"a\",%progbits\n"
	".balign 4, 0\n"
	".local __BTF_ID__set8__sample_kfuncs\n"
	"__BTF_ID__set8__sample_kfuncs:\n"
	".zero 4\n"
	".long 1\n"
	".local __BTF_ID__func__bpf_kfunc_plain__1\n"
	".type __BTF_ID__func__bpf_kfunc_plain__1, %object\n"
	".size __BTF_ID__func__bpf_kfunc_plain__1, 4\n"
	"__BTF_ID__func__bpf_kfunc_plain__1:\n"
	".zero 4\n"
	".long 0\n"
	".local __BTF_ID__func__bpf_kfunc_fast__2\n"
	".type __BTF_ID__func__bpf_kfunc_fast__2, %object\n"
	".size __BTF_ID__func__bpf_kfunc_fast__2, 4\n"
	"__BTF_ID__func__bpf_kfunc_fast__2:\n"
	".zero 4\n"
	".long 0x1000\n"
	".size __BTF_ID__set8__sample_kfuncs, .-__BTF_ID__set8__sample_kfuncs\n"
	".type __BTF_ID__set8__sample_kfuncs, %object\n"
	".local __BTF_ID__set8__not_kfuncs\n"
	"__BTF_ID__set8__not_kfuncs:\n"
	".zero 4\n"
	".long 0\n"
	".local __BTF_ID__func__not_a_kfunc__3\n"
	".type __BTF_ID__func__not_a_kfunc__3, %object\n"
	".size __BTF_ID__func__not_a_kfunc__3, 4\n"
	"__BTF_ID__func__not_a_kfunc__3:\n"
	".zero 4\n"
	".long 0\n"
	".size __BTF_ID__set8__not_kfuncs, .-__BTF_ID__set8__not_kfuncs\n"
	".type __BTF_ID__set8__not_kfuncs, %object\n"
	".popsection\n");
