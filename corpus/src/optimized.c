//# about: what -O2 does to signatures: .constprop, .isra, .part and .cold symbols
//# link: image
//# expect: FUNC:calls_them
struct state {
	int limit;
	long values[4];
};

extern int consume(long);
extern void report(const char *) __attribute__((cold, noreturn));

static __attribute__((noinline)) int constant_argument(struct state *s, int always_seven)
{
	int sum = 0;
	for (int i = 0; i < always_seven; i++)
		sum += consume(s->values[i & 3] * always_seven);
	return sum;
}

static __attribute__((noinline)) int reads_one_member(struct state *s, int factor)
{
	return consume(s->limit) * factor;
}

static __attribute__((noinline)) int ignores_parameter(int used, int unused, int used_too)
{
	(void)unused;
	return consume(used) + used_too;
}

static __attribute__((noinline)) void unused_result(long x) { consume(x); }

int with_cold_part(struct state *s, int index)
{
	if (index > s->limit) {
		consume(index);
		report("index");
	}
	return consume(s->values[index & 3]);
}

static int splits(struct state *s, long x)
{
	if (!s)
		return 0;
	consume(x + 1);
	consume(x + 2);
	consume(x + 3);
	consume(x * 5);
	return consume(x) + s->limit;
}

int calls_them(struct state *s, int n)
{
	unused_result(n);
	return constant_argument(s, 7) + reads_one_member(s, n) + ignores_parameter(n, 1, n + 2) +
	       splits(s, n);
}
int calls_again(struct state *s, int n)
{
	return constant_argument(s, 7) + reads_one_member(s, n + 1) + ignores_parameter(n, 2, n) +
	       splits(s, n) + splits(s, n + 9);
}
