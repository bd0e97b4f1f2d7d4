//# about: the other half of inconsistent_a.c
//# link: image
//# expect: FUNC:only_in_b
#include "shared.h"

int agreed(struct shared *s, int x);
static __attribute__((noinline, used)) int different_prototype(struct shared *a) { return a->member; }
static __attribute__((noinline, used)) long different_return(int a) { return a; }
static __attribute__((noinline, used)) int two_addresses(struct shared *s) { return s->member + 1; }
static __attribute__((noinline, used)) int differs_in_const(struct shared *s) { return s->member++; }
int weak_or_strong(struct shared *s) { return s->member + 5; }
int only_in_b(struct shared *s)
{
	return different_prototype(s) + different_return(3) + two_addresses(s) + agreed(s, 3) +
	       differs_in_const(s) + weak_or_strong(s);
}
