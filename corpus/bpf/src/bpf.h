/* What programs for BPF need, without the kernel's or libbpf's headers. */
#define SEC(name) __attribute__((section(name), used))
#define __noinline __attribute__((noinline))
#define __weak __attribute__((weak))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name

static void *(*const lookup)(void *map, const void *key) = (void *)1;

struct point { int x, y; };

struct counts {
	__uint(type, 2);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, long);
};
