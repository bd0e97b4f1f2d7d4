//# about: types defined inside functions, blocks and parameter lists; static variables of functions
//# variants: dwarf2 dwarf4
//# expect: STRUCT:in_function STRUCT:in_block UNION:in_parameter ENUM:in_second FUNC:first FUNC:second
extern void use(void *);

int first(int n)
{
	struct in_function {
		int a;
		struct in_function *next;
	} value = { n, 0 };

	use(&value);
	if (n > 3) {
		struct in_block {
			struct in_function inner[2];
			long b;
		} block = { .b = n };
		typedef struct in_block local_typedef;
		local_typedef *p = &block;

		use(p);
	}
	return value.a;
}

int second(int n)
{
	struct in_function {
		long different;
	} value = { n };
	enum in_second { IN_SECOND_A, IN_SECOND_B } e = n ? IN_SECOND_A : IN_SECOND_B;
	static struct in_static {
		int calls;
	} counter;

	counter.calls++;
	use(&value);
	use(&e);
	use(&counter);
	return e;
}

int third(union in_parameter { int i; char c[4]; } *p) { return p->i; }
