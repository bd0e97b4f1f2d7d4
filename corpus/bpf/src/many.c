/* One of many objects of a large program, the NUMBER-th: types that all of them know, and functions and data of its own. It calls
 * the one before. many.sh makes them. */
#include "bpf.h"

#define PASTE(a, b) a##b
#define JOIN(a, b) PASTE(a, b)
#define OWN(name) JOIN(name, NUMBER)

#define RECORD(n, before)                                        \
	enum kind_##n { first_##n, second_##n, third_##n };      \
	struct record_##n {                                      \
		struct record_##before inner;                    \
		enum kind_##n kind;                              \
		union { long number; const char *text; } value;  \
		int (*call)(struct record_##n *, void *, long);  \
		unsigned char bytes_##n[n];                      \
	};
#define TEN(n, before)                                                                                    \
	RECORD(n##0, before) RECORD(n##1, n##0) RECORD(n##2, n##1) RECORD(n##3, n##2) RECORD(n##4, n##3)  \
	RECORD(n##5, n##4) RECORD(n##6, n##5) RECORD(n##7, n##6) RECORD(n##8, n##7) RECORD(n##9, n##8)
struct record_1 { struct point point; };
TEN(1, 1) TEN(2, 19) TEN(3, 29) TEN(4, 39) TEN(5, 49) TEN(6, 59) TEN(7, 69) TEN(8, 79) TEN(9, 89)

struct counts OWN(counts_) SEC(".maps");
struct record_99 OWN(state_);
static volatile int bias = NUMBER;

static __noinline int helper(struct record_99 *record, int value)
{
	return record->kind + record->bytes_99[value & 63] + bias;
}

#if NUMBER > 0
extern int JOIN(function_, BEFORE)(int value);
#else
static int function_none(int value) { return value; }
#define BEFORE none
#endif

__noinline int OWN(function_)(int value)
{
	int key = value & 3;
	long *count = lookup(&OWN(counts_), &key);

	if (count)
		*count += value;
	return helper(&OWN(state_), value) + JOIN(function_, BEFORE)(value + 1);
}

/* What a program of this size has beside: variables and functions that others may use. */
#define ITEM(n)                                                                       \
	int JOIN(OWN(variable_), _##n) = n;                                           \
	__noinline int JOIN(OWN(item_), _##n)(struct record_##n *record, int value)   \
	{                                                                             \
		return record ? record->kind + JOIN(OWN(variable_), _##n) : value;    \
	}
#define TEN_ITEMS(n)                                                                              \
	ITEM(n##0) ITEM(n##1) ITEM(n##2) ITEM(n##3) ITEM(n##4) ITEM(n##5) ITEM(n##6) ITEM(n##7)   \
	ITEM(n##8) ITEM(n##9)
TEN_ITEMS(1) TEN_ITEMS(2) TEN_ITEMS(3)

SEC("tc") int OWN(program_)(void *ctx)
{
	return OWN(function_)(NUMBER);
}

char LICENSE[] SEC("license") = "GPL";
