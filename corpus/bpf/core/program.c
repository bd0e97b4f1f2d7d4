/* Asks of each kind, in places that are guarded and in places that are not. */
#include "types.h"

#define field(kind, access) __builtin_preserve_field_info(of_field(access), kind)
#define FIELD_OFFSET 0
#define FIELD_SIZE 1
#define FIELD_EXISTS 2
#define FIELD_SIGNED 3
#define FIELD_LSHIFT 4
#define FIELD_RSHIFT 5
#ifdef __clang__
#define of_type(type) *(typeof(type) *)0
#define of_value(type, value) *(type *)value
#define of_field(access) access
static int (*const read_kernel)(void *to, u32 size, const void *from) = (void *)113;
#else
#define pointer_to2(type, number) ({ extern typeof(type) *pointer_##number; pointer_##number; })
#define pointer_to1(type, number) pointer_to2(type, number)
#define pointer_to(type) pointer_to1(type, __COUNTER__)
#define of_type(type) *pointer_to(type)
#define of_value(type, value) pointer_to(type), value
#define of_field(access) access
int read_kernel(void *to, u32 size, const void *from) __attribute__((kernel_helper(113)));
#endif
#define type_id_local(type) __builtin_btf_type_id(of_type(type), 0)
#define type_id_target(type) __builtin_btf_type_id(of_type(type), 1)
#define type_exists(type) __builtin_preserve_type_info(of_type(type), 0)
#define type_size(type) __builtin_preserve_type_info(of_type(type), 1)
#define type_matches(type) __builtin_preserve_type_info(of_type(type), 2)
#define enumval_exists(type, value) __builtin_preserve_enum_value(of_value(type, value), 0)
#define enumval_value(type, value) __builtin_preserve_enum_value(of_value(type, value), 1)

struct task___new {
	u32 __state;
} RELOCATED;

struct absent {
	int x;
} RELOCATED;

u64 out[64];

#define READ(to, from) read_kernel(&(to), sizeof(to), __builtin_preserve_access_index(&(from)))

/* What every kernel has. */
SEC("raw_tp/common")
int common(struct task *ctx)
{
	struct task *task = ctx;
	struct memory *memory;

	READ(out[0], task->pid);
	READ(memory, task->memory);
	READ(out[1], memory->start);
	READ(out[2], task->children.next);
	READ(out[3], task->name[3]);
	READ(out[4], task->values[1].bytes[2]);
	READ(out[5], task->owners[0].gid);
	READ(out[6], task->tail[3]);
	out[7] = field(FIELD_SIZE, ((struct memory *)ctx)->count);
	out[8] = field(FIELD_SIGNED, task->sign);
	out[9] = field(FIELD_OFFSET, task->level);
	out[10] = field(FIELD_SIZE, task->level);
	out[11] = field(FIELD_LSHIFT, task->level);
	out[12] = field(FIELD_RSHIFT, task->level);
	out[13] = type_size(struct task);
	out[14] = type_exists(struct memory);
	out[15] = type_id_local(struct task);
	out[16] = type_id_target(struct memory);
	out[17] = enumval_value(enum state, STATE_RUNNING);
	out[18] = enumval_value(enum wide, WIDE_LARGE);
	out[19] = enumval_value(enum negative, NEGATIVE);
	out[20] = type_matches(struct list);
	out[21] = type_exists(callback_t);
	out[22] = type_matches(callback_t);
	out[24] = type_exists(task_ref);
	out[23] = field(FIELD_EXISTS, ((anonymous_t *)ctx)->b);
	return 0;
}

/* What some lack, behind questions. */
SEC("raw_tp/guarded")
int guarded(struct task *ctx)
{
	struct task *task = ctx;

	if (field(FIELD_EXISTS, task->gone))
		READ(out[0], task->gone);
	if (field(FIELD_EXISTS, task->state)) {
		READ(out[1], task->state);
	} else {
		struct task___new *new = (void *)task;

		READ(out[1], new->__state);
	}
	if (enumval_exists(enum state, STATE_DEAD))
		out[2] = enumval_value(enum state, STATE_DEAD);
	if (type_exists(struct absent))
		READ(out[3], ((struct absent *)ctx)->x);
	if (type_size(struct memory) == 24)
		READ(out[4], task->gone);
	out[5] = type_matches(struct memory);
	out[6] = type_size(struct absent);
	out[7] = type_exists(struct only_old);
	return 0;
}

/* What some lack, asked for all the same. */
SEC("raw_tp/unguarded")
int unguarded(struct task *ctx)
{
	READ(out[0], ctx->state);
	READ(out[1], ctx->owners[2].uid);
	READ(out[2], ((struct only_old *)ctx)->x);
	READ(out[3], ((anonymous_t *)ctx)->b);
	out[4] = enumval_value(enum state, STATE_DEAD);
	return 0;
}

/* Loads, whose size changes with the member's. */
SEC("?tp_btf/loads")
int loads(u64 *ctx)
{
	struct memory *memory = (void *)ctx[0];
	struct task *task = (void *)ctx[1];

	return memory->count + task->pid + task->short_count;
}

char _license[] SEC("license") = "GPL";
