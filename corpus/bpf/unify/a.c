#include "unify.h"
struct map_def_int flows SEC(".maps");
long long counter;
const int limits[3] = {1, 2, 3};
char _license[] SEC("license") = "GPL";
__attribute__((noinline)) int count(struct event *event, unsigned long by) { counter += by; event->value.packets += by; return event->flags[1][2]; }
SEC("tc") int first(struct event *event) { return count(event, 2) + limits[event->value.sc & 1]; }
