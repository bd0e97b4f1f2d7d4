//# about: with lto_a.c: the other definitions of its homonyms, and the functions that call its own
//# arches: x86_64
//# link: whole
//# expect: STRUCT:shared_by_value STRUCT:homonym FUNC:of_b FUNC:only_b ENUM:narrow
#include "lto.h"

struct inner {
	long only_in_b[3];
};
struct homonym {
	struct inner *inner;
	struct homonym *next;
	long b;
};
struct holder_b {
	char tag;
	struct homonym by_value[2];
	struct reaches *reaches;
};

PERCPU volatile enum narrow narrow_b;
PERCPU struct holder_b holder_b;
PERCPU volatile struct shared_by_value values_b[2];

long of_a(struct shared_by_value value, enum narrow narrow, struct reaches *reaches);

USED struct pair of_b(struct holder_b *holder, struct pair pair, int TAG *user)
{
	struct shared_by_value value = values_b[1];

	pair.x += of_a(value, narrow_b, holder->reaches) + *user;
	return pair;
}

USED long only_b(struct homonym *homonym)
{
	return homonym->b + (homonym->inner != 0);
}
