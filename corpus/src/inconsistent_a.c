//# about: with inconsistent_b.c: one function name, two prototypes; static functions of one name; weak and strong
//# link: image
//# expect: FUNC:only_in_a FUNC:agreed
#include "shared.h"

static __attribute__((noinline, used)) int different_prototype(int a, long b) { return a + b; }
static __attribute__((noinline, used)) int different_return(int a) { return a; }
static __attribute__((noinline, used)) int two_addresses(struct shared *s) { return s->member; }
static __attribute__((noinline, used)) int differs_in_const(const struct shared *s) { return s->member + 3; }
int agreed(struct shared *s, int x);
int __attribute__((weak)) weak_or_strong(struct shared *s) { return s->member + 4; }
int only_in_a(struct shared *s)
{
	return different_prototype(1, 2) + different_return(3) + two_addresses(s) + agreed(s, 2) +
	       differs_in_const(s) + weak_or_strong(s);
}
int agreed(struct shared *s, int x) { return s->member + x; }
