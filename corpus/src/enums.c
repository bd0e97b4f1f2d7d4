//# about: enumerations: unsigned, signed, of 64 bits, packed, anonymous, forward, one value, extreme values
//# variants: dwarf2 dwarf4
//# expect: ENUM:plain ENUM:negative ENUM:tiny ENUM64:big_unsigned ENUM64:big_signed ENUM:forward ENUM:extremes
enum plain { PLAIN_ZERO, PLAIN_ONE, PLAIN_TEN = 10 };
enum negative { NEGATIVE_MINUS = -1, NEGATIVE_ZERO, NEGATIVE_LOW = -2147483647 - 1 };
enum __attribute__((packed)) tiny { TINY_A, TINY_B = 200 };
enum __attribute__((packed)) tiny_signed { TINY_SIGNED_A = -100, TINY_SIGNED_B = 100 };
enum __attribute__((packed)) two_bytes { TWO_BYTES = 40000 };
enum extremes { EXTREME_TOP = 0xffffffff, EXTREME_HIGH_BIT = 0x80000000 };
enum big_unsigned { BIG_SMALL = 1, BIG_TOP = 0xffffffffffffffffULL };
enum big_signed { BIG_SIGNED_LOW = -0x7fffffffffffffffLL - 1, BIG_SIGNED_HIGH = 0x7fffffffffffffffLL };
enum single { SINGLE };
enum { ANONYMOUS_A = 3, ANONYMOUS_B = 4 } anonymous_enum;
typedef enum { TYPEDEF_A, TYPEDEF_B } typedef_enum;
enum forward;

struct uses_enums {
	enum plain plain;
	enum negative negative;
	enum tiny tiny;
	enum tiny_signed tiny_signed;
	enum two_bytes two_bytes;
	enum extremes extremes;
	enum big_unsigned big_unsigned;
	enum big_signed big_signed;
	enum single single;
	typedef_enum typedef_enum;
	enum forward *forward;
	enum { MEMBER_A, MEMBER_B = 77 } member;
};

struct uses_enums uses_enums;

enum negative choose_enum(enum plain p, enum big_signed s) { return p == PLAIN_ONE && s ? NEGATIVE_ZERO : NEGATIVE_MINUS; }
