/* What lto_a.c and lto_b.c share. */
#define USED __attribute__((used, noinline, noipa))
#define PERCPU __attribute__((used, section(".data..percpu")))
#define TAG __attribute__((btf_type_tag("user")))

struct homonym;
struct pair {
	long x, y;
};
enum __attribute__((packed)) narrow { NARROW_A, NARROW_B };
struct shared_by_value {
	int first[6];
	enum narrow narrow;
	struct pair last;
};
/* The same in both files but for what its pointer means. */
struct reaches {
	struct homonym *homonym;
	struct reaches *next;
};
