//# about: variables in section .data..percpu and elsewhere, static and global, hidden in functions, with names that BTF leaves out
//# link: image
//# variants: dwarf4
//# expect: VAR:percpu_first VAR:percpu_global VAR:percpu_static VAR:percpu_array DATASEC:.data..percpu
//# expect-not: VAR:ordinary VAR:percpu_hidden
#define PERCPU __attribute__((section(".data..percpu"), used))
struct counters {
	unsigned long hits, misses;
};

PERCPU int percpu_first = 1;
PERCPU struct counters percpu_global;
PERCPU static struct counters percpu_static;
PERCPU char percpu_array[3];
PERCPU const volatile struct counters *percpu_pointer;
PERCPU int __UNIQUE_ID_percpu_left_out;
extern int percpu_declared_only;
extern struct counters percpu_declared;
PERCPU struct counters percpu_declared = { 1, 2 };

int ordinary = 5;
static int ordinary_static = 7;
int in_bss;
const int in_rodata = 9;

int *count_hit(void)
{
	PERCPU static int percpu_hidden = 3;

	percpu_static.hits++;
	percpu_hidden++;
	return &ordinary_static + (&percpu_declared_only - &in_bss) + percpu_hidden;
}
int percpu_declared_only;
