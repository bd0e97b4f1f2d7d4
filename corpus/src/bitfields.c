//# about: bitfields of every base type, straddling, packed, in unions, after ordinary members
//# variants: dwarf2 dwarf3 dwarf4
//# expect: STRUCT:plain_bits STRUCT:mixed_bits STRUCT:packed_bits UNION:bits_union STRUCT:wide_bits
enum colour { RED, GREEN, BLUE = 5 };
typedef unsigned int u32;

struct plain_bits {
	unsigned int a : 1;
	unsigned int b : 2;
	unsigned int c : 29;
	int whole : 32;
};

struct mixed_bits {
	char lead;
	signed int s : 5;
	u32 through_typedef : 7;
	enum colour colour : 3;
	_Bool flag : 1;
	unsigned int : 4;
	unsigned char byte : 3;
	short tail;
	const volatile unsigned int qualified : 9;
};

struct zero_width {
	unsigned int before : 3;
	unsigned int : 0;
	unsigned int after : 3;
};

struct __attribute__((packed)) packed_bits {
	unsigned char lead;
	unsigned int straddles : 30;
	unsigned int follows : 10;
	unsigned short odd;
	unsigned long long far : 45;
};

struct wide_bits {
	unsigned long long low : 40;
	unsigned long long high : 24;
	signed long long all : 63;
};

union bits_union {
	unsigned int three : 3;
	unsigned int seventeen : 17;
	unsigned int word;
};

struct nested_bits {
	struct {
		unsigned int x : 3, y : 5;
	};
	union {
		unsigned int raw;
		struct {
			unsigned int lo : 16, hi : 16;
		} halves;
	} u;
};

struct plain_bits plain_bits;
struct mixed_bits mixed_bits;
struct zero_width zero_width;
struct packed_bits packed_bits;
struct wide_bits wide_bits;
union bits_union bits_union;
struct nested_bits nested_bits;

unsigned int read_bits(struct plain_bits *p, struct mixed_bits *m) { return p->b + m->s; }
