//# about: with lto_b.c: what LTO moves between units: parameters and variables by value, homonyms behind pointers, type tags
//# arches: x86_64
//# link: whole
//# expect: STRUCT:shared_by_value STRUCT:homonym FUNC:of_a FUNC:only_a ENUM:narrow
#include "lto.h"

struct homonym {
	int a;
	struct inner *inner;
};
struct inner {
	char only_in_a;
};
struct holder_a {
	struct homonym by_value;
	struct reaches *reaches;
};
struct hidden_a;

PERCPU volatile enum narrow narrow_a;
PERCPU struct shared_by_value value_a;
PERCPU struct holder_a holder_a;
PERCPU struct reaches reaches_a;

USED long of_a(struct shared_by_value value, enum narrow narrow, struct reaches *reaches)
{
	return value.first[1] + value.last.y + narrow + (reaches != 0);
}

USED long only_a(struct holder_a *holder, int TAG *user, struct hidden_a *hidden)
{
	return holder->by_value.a + *user + (hidden != 0);
}
