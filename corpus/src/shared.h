/* What inconsistent_a.c and inconsistent_b.c share, so that dwz moves it to a partial unit. */
enum shared_mode { SHARED_ONE, SHARED_TWO, SHARED_MANY = 1000 };
struct shared {
	int member;
	struct shared *next, *previous;
	enum shared_mode mode;
	union {
		long number;
		const char *text;
		struct shared_parts {
			short low, middle, high;
			unsigned char bytes[2];
		} parts;
	};
	int (*compare)(const struct shared *left, const struct shared *right);
};
