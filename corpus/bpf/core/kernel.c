/* The BTF of a kernel: types only, each used by a variable. */
#include "types.h"

struct task task;
enum wide wide;
enum negative negative;
anonymous_t anonymous;
callback_t callback;
task_ref ref;
#if KERNEL != 3
struct only_old only_old;
#endif
