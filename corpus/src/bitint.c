//# about: _BitInt(N), also of sizes that no INT of BTF has
//# flags: -std=gnu2x
//# arches: x86_64 aarch64
//# expect: STRUCT:bitints FUNC:narrow
struct bitints {
	_BitInt(7) seven;
	unsigned _BitInt(24) twenty_four;
	_BitInt(63) sixty_three;
	unsigned _BitInt(128) full;
	unsigned _BitInt(192) large;
	_BitInt(17) field : 5;
};

struct bitints bitints;

unsigned _BitInt(24) narrow(unsigned _BitInt(24) x) { return x + 1; }
