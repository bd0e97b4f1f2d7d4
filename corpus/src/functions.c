//# about: functions: static, weak, inlined, noreturn, many and large parameters, variadic, unused parameters, without prototype
//# link: image
//# variants: dwarf2 dwarf3 dwarf4
//# expect: FUNC:many FUNC:by_value FUNC:variadic FUNC:weak_one FUNC:keeps_unused FUNC:static_one FUNC:never_returns
//# expect-not: FUNC:only_declared
struct small {
	int a, b;
};
struct large {
	long words[8];
};
union either {
	int i;
	float f;
};

int only_declared(int x);

static inline __attribute__((always_inline)) int always_inlined(int x) { return x * 3; }
static int __attribute__((noinline)) static_one(int x) { return x ^ 0x55; }
int __attribute__((weak)) weak_one(const char *text) { return text[0]; }
void __attribute__((noreturn)) never_returns(int code)
{
	for (;;)
		__asm__ volatile("" ::"r"(code));
}

long many(int a, long b, char c, short d, void *e, long long f, int g, struct small *h, long i, _Bool j)
{
	return a + b + c + d + (e != 0) + f + g + h->a + i + j;
}

long by_value(struct small s, struct large l, union either u) { return s.a + l.words[3] + u.i; }
struct large returns_large(long seed)
{
	struct large l = { { seed } };
	return l;
}
struct small returns_small(int a)
{
	struct small s = { a, a };
	return s;
}
int variadic(const char *format, ...) { return format[0]; }
int keeps_unused(int unused, int used) { return used + 1; }
int no_prototype() { return 1; }
void nothing(void) {}
double floats(float a, double b) { return a + b; }
int uses(int x) { return always_inlined(x) + static_one(x) + only_declared(x); }
static int __attribute__((used)) never_called(struct small *s) { return s->b; }
