//# about: a program of ordinary size: lists, a hash table, a tree, callbacks, strings, a scheduler
//# link: image
//# variants: dwarf2 dwarf3 dwarf4 dwarf5 strict4 dwarf64-4 dwarf64-5 types4 types5 gz-zlib gz-zstd gz-zlib-gnu lto O0 Og
//# expect: STRUCT:table STRUCT:node STRUCT:task STRUCT:scheduler TYPEDEF:u64 FUNC:table_insert FUNC:table_find
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
typedef __SIZE_TYPE__ size_t;
typedef _Bool bool_t;
typedef u64 hash_t;

struct list_head {
	struct list_head *next, *prev;
};
struct hlist_node {
	struct hlist_node *next, **pprev;
};
struct hlist_head {
	struct hlist_node *first;
};
struct rb_node {
	unsigned long parent_and_colour;
	struct rb_node *right, *left;
} __attribute__((aligned(sizeof(long))));
struct rb_root {
	struct rb_node *node;
};

enum task_state { TASK_NEW, TASK_READY, TASK_RUNNING, TASK_BLOCKED, TASK_DONE = 100 };
enum priority { PRIORITY_LOW = -10, PRIORITY_NORMAL = 0, PRIORITY_HIGH = 10 };

struct string {
	union {
		struct {
			u32 hash;
			u32 length;
		};
		u64 hash_and_length;
	};
	const char *text;
};

struct node {
	struct hlist_node link;
	struct rb_node tree;
	struct string name;
	void *value;
	u16 flags : 4;
	u16 kind : 12;
};

struct table;
typedef hash_t (*hash_function)(const struct string *key, u32 seed);
typedef int (*compare_function)(const struct string *a, const struct string *b);
struct table_operations {
	hash_function hash;
	compare_function compare;
	void (*release)(struct table *table, struct node *node);
	int (*visit)(struct table *table, int (*callback)(struct node *, void *), void *context);
};

struct table {
	const struct table_operations *operations;
	struct hlist_head buckets[64];
	struct rb_root sorted;
	size_t count;
	u32 seed;
};

struct registers {
	u64 r[16];
	u64 pc, flags;
	union {
		float f32[8];
		double f64[4];
		u8 bytes[32];
	} vector[4];
};

struct task {
	struct list_head link;
	volatile enum task_state state;
	enum priority priority;
	int id;
	struct task *parent;
	struct list_head children;
	struct registers registers;
	void (*entry)(void *argument);
	void *argument;
	char name[16];
	bool_t kernel : 1;
	bool_t traced : 1;
	unsigned int cpu : 6;
	struct {
		u64 user, system;
	} time;
};

struct scheduler {
	struct list_head queues[3];
	struct task *current;
	struct table tasks;
	s64 ticks;
	int (*pick)(struct scheduler *, struct task **);
	u8 map[4][8];
	struct task *idle[];
};

extern void panic(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
extern void switch_to(struct registers *from, const struct registers *to);

static inline void list_add(struct list_head *entry, struct list_head *head)
{
	entry->next = head->next;
	entry->prev = head;
	head->next->prev = entry;
	head->next = entry;
}

static inline void list_delete(struct list_head *entry)
{
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->next = entry->prev = (void *)0;
}

static hash_t hash_string(const struct string *key, u32 seed)
{
	hash_t hash = seed;

	for (u32 i = 0; i < key->length; i++)
		hash = hash * 31 + (u8)key->text[i];
	return hash;
}

static int compare_strings(const struct string *a, const struct string *b)
{
	for (u32 i = 0; i < a->length && i < b->length; i++)
		if (a->text[i] != b->text[i])
			return a->text[i] < b->text[i] ? -1 : 1;
	return a->length == b->length ? 0 : a->length < b->length ? -1 : 1;
}

const struct table_operations default_operations = { .hash = hash_string, .compare = compare_strings };

struct node *table_find(struct table *table, const struct string *name)
{
	hash_t hash = table->operations->hash(name, table->seed);
	struct hlist_node *link = table->buckets[hash & 63].first;

	for (; link; link = link->next) {
		struct node *node = (struct node *)link;

		if (!table->operations->compare(&node->name, name))
			return node;
	}
	return (void *)0;
}

static int tree_insert(struct rb_root *root, struct node *node, compare_function compare)
{
	struct rb_node **at = &root->node;
	unsigned long parent = 0;

	while (*at) {
		struct node *here = (struct node *)((char *)*at - __builtin_offsetof(struct node, tree));
		int order = compare(&node->name, &here->name);

		parent = (unsigned long)*at;
		if (!order)
			return -17;
		at = order < 0 ? &(*at)->left : &(*at)->right;
	}
	node->tree.parent_and_colour = parent;
	node->tree.left = node->tree.right = (void *)0;
	*at = &node->tree;
	return 0;
}

int table_insert(struct table *table, struct node *node)
{
	struct hlist_head *head = &table->buckets[table->operations->hash(&node->name, table->seed) & 63];
	int error = tree_insert(&table->sorted, node, table->operations->compare);

	if (error)
		return error;
	node->link.next = head->first;
	node->link.pprev = &head->first;
	head->first = &node->link;
	table->count++;
	return 0;
}

static struct task *next_task(struct scheduler *scheduler)
{
	for (int i = 2; i >= 0; i--) {
		struct list_head *queue = &scheduler->queues[i];

		if (queue->next != queue)
			return (struct task *)queue->next;
	}
	return scheduler->idle[0];
}

int scheduler_run(struct scheduler *scheduler, s64 ticks)
{
	while (scheduler->ticks < ticks) {
		struct task *next = next_task(scheduler), *previous = scheduler->current;

		if (next->state != TASK_READY)
			panic("task %d is %d", next->id, next->state);
		list_delete(&next->link);
		next->state = TASK_RUNNING;
		scheduler->current = next;
		switch_to(&previous->registers, &next->registers);
		if (previous->state == TASK_RUNNING)
			list_add(&previous->link, &scheduler->queues[previous->priority > PRIORITY_NORMAL]);
		scheduler->ticks++;
	}
	return 0;
}
