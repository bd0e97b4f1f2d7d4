typedef unsigned char __u8;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef unsigned short __u16;
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
enum state { STATE_OPEN = 1, STATE_CLOSED };
struct key { __u32 addr; __u16 port; char name[16]; };
struct value { __u64 packets, bytes; long delta; unsigned long total; short s; signed char sc; const __u8 magic[4]; enum state state; struct value *next; _Bool seen; };
struct event { const struct key *key; struct value value; volatile int flags[2][3]; int (*callback)(struct event *event, const char *text); };
struct map_def_int { __uint(type, 1); __uint(max_entries, 64); __type(key, struct key); __type(value, struct value); };
