//# about: structures and unions: anonymous members, self and mutual references, forward declarations, packed, aligned, empty
//# flags: -fms-extensions
//# variants: dwarf2 dwarf4 gz-zlib gz-zstd gz-zlib-gnu
//# expect: STRUCT:list STRUCT:left STRUCT:right FWD:unknown_struct FWD:unknown_union STRUCT:packed UNION:choice TYPEDEF:unnamed_t
struct unknown_struct;
union unknown_union;

struct list {
	struct list *next, *prev;
};

struct right;
struct left {
	struct right *right;
	int only_left;
};
struct right {
	struct left *left;
	union unknown_union *unknown;
};

union choice {
	int i;
	float f;
	struct list list;
	char bytes[24];
};

struct anonymous {
	int lead;
	union {
		int a;
		struct {
			short low, high;
		};
		struct {
			char deep;
			union {
				long deeper;
				void *deepest;
			};
		} named;
	};
	struct list;
	struct unknown_struct *unknown;
};

typedef struct {
	int x, y;
} unnamed_t;

typedef struct {
	int x, y;
} unnamed_twin_t;

typedef struct both {
	struct both *self;
	unnamed_t point;
} both;

struct __attribute__((packed)) packed {
	char c;
	long l;
	short s;
	struct list list;
};

struct aligned {
	char c;
	int __attribute__((aligned(64))) i;
} __attribute__((aligned(128)));

struct empty {};

struct holds_empty {
	struct empty empty;
	int after;
};

struct left left;
struct anonymous anonymous;
unnamed_t unnamed;
unnamed_twin_t unnamed_twin;
both *both_pointer;
struct packed packed;
struct aligned aligned;
struct holds_empty holds_empty;
union choice choice;
