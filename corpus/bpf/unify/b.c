#include "unify.h"
struct tail { struct event events[2]; unsigned short lengths[4]; struct value *values[3]; };
unsigned long long last;
char _license[] SEC("license") = "GPL";
__attribute__((noinline)) long sum(struct tail *tail, const struct key *key) { last = tail->events[1].value.total; return tail->events[0].value.delta + key->port; }
SEC("tc") int second(struct tail *tail) { return (int)sum(tail, tail->events[0].key) + tail->lengths[2]; }
