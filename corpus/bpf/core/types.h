/*
 * The types of three kernels that never were, and of programs that were written for them. KERNEL is 1, 2 or 3; programs see
 * those of kernel 1, with what they need of the others as flavours.
 */
#define SEC(name) __attribute__((section(name), used))
#define RELOCATED __attribute__((preserve_access_index))

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;

#ifdef KERNEL
#undef RELOCATED
#define RELOCATED
#define TAG(text) __attribute__((btf_type_tag(text)))
#else
#define KERNEL 1
#define TAG(text)
#endif

struct list {
	struct list *next, *prev;
} RELOCATED;

enum state {
#if KERNEL != 3
	STATE_DEAD,
#endif
	STATE_NEW = 7 + KERNEL,
	STATE_RUNNING,
};

enum wide {
	WIDE_SMALL = 1,
	WIDE_LARGE = KERNEL * 0x100000000ull,
};

enum negative {
	NEGATIVE = -KERNEL,
};

union value {
	u32 word;
	u8 bytes[4];
} RELOCATED;

struct memory {
#if KERNEL > 1
	u64 added;
#endif
	u64 start;
	u64 end;
#if KERNEL == 3
	u32 count;
#else
	u64 count;
#endif
} RELOCATED;

struct owner {
	int uid;
	int gid;
} RELOCATED;

struct task {
#if KERNEL == 2
	struct {
		int cpu;
		union {
			int pid;
			int tid;
		};
	};
#else
	int pid;
	int cpu;
#endif
#if KERNEL < 3
	long state;
#else
	u32 flags;
	u32 __state;
#endif
	struct memory TAG("rcu") * memory;
	struct list children;
	enum state kind;
	u32 is_new : 1;
	u32 level : 4 + KERNEL;
	int sign : 6;
	u16 short_count;
	char name[12 + 4 * KERNEL];
	union value values[2 + KERNEL];
	struct owner owners[KERNEL == 3 ? 1 : 3];
#if KERNEL == 1
	u64 gone;
#endif
	u32 tail[];
} RELOCATED;

typedef struct {
	int a;
#if KERNEL == 3
	int *b;
#else
	int b;
#endif
} RELOCATED anonymous_t;

typedef int (*callback_t)(struct task *task, enum state state);

typedef struct task TAG("rcu") * task_ref;

#if KERNEL != 3
struct only_old {
	int x;
} RELOCATED;
#endif
