//# about: C23: enumerations with an underlying type, nullptr_t (DW_TAG_unspecified_type), typeof, bool
//# flags: -std=gnu2x
//# expect: ENUM:fixed_byte ENUM64:fixed_long STRUCT:modern FUNC:is_null
typedef typeof(nullptr) nullptr_type;
typedef unsigned char byte_type;
enum fixed_byte : unsigned char { FIXED_A, FIXED_B = 255 };
enum fixed_typedef : byte_type { FIXED_TYPEDEF = 200 };
enum fixed_short : short { FIXED_SHORT_LOW = -32768, FIXED_SHORT_HIGH = 32767 };
enum fixed_long : unsigned long long { FIXED_LONG = 1 };
enum fixed_signed_long : long long { FIXED_SIGNED_LONG = 1 };

struct modern {
	nullptr_type null;
	enum fixed_byte byte;
	enum fixed_typedef through_typedef;
	enum fixed_short narrow;
	enum fixed_long wide;
	enum fixed_signed_long wide_signed;
	bool flag;
};

struct modern modern;

bool is_null(nullptr_type n, struct modern *m) { return m->null == n; }
