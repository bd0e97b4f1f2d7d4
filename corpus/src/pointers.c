//# about: pointers: to functions, variadic, returning function pointers; qualifiers in every place; chains of typedefs
//# variants: dwarf2 dwarf4
//# expect: TYPEDEF:handler_t TYPEDEF:chain4 STRUCT:operations FUNC:pick FUNC:log_message FUNC:copy
typedef int (*handler_t)(void *context, const char *name);
typedef void (*logger_t)(const char *format, ...);
typedef int plain_function(long, char);

struct operations {
	int (*open)(struct operations *self, int flags);
	void (*close)(struct operations *);
	int (*no_prototype)();
	void (*logger)(const char *format, ...);
	int (*(*nested)(int))(long);
	plain_function *through_typedef;
	handler_t handlers[4];
	int (*takes_function)(int callback(int), void (*done)(void));
};

typedef unsigned long chain1;
typedef chain1 chain2;
typedef const chain2 chain3;
typedef volatile chain3 *chain4;

struct qualified {
	const int a;
	volatile int b;
	const volatile int c;
	const int *d;
	int *const e;
	const int *const volatile f;
	int *restrict g;
	const char *const *restrict h;
	const void *i;
	void *j;
	void **k;
	chain4 l;
};

struct operations operations;
struct qualified *qualified;

handler_t pick(struct operations *o, int index) { return o->handlers[index & 3]; }
int (*pick_raw(struct operations *o))(void *, const char *) { return o->handlers[0]; }

void log_message(logger_t logger, const char *format, ...) { logger(format); }

void copy(char *restrict to, const char *restrict from, unsigned long n)
{
	while (n--)
		*to++ = *from++;
}

const volatile void *qualified_void(const volatile void *p) { return p; }
