//# about: every arithmetic type: characters, integers up to 128 bits, bool, floating point, UTF
//# variants: dwarf2 dwarf3
//# expect: STRUCT:integers STRUCT:floats FUNC:widen
typedef __CHAR16_TYPE__ char16_type;
typedef __CHAR32_TYPE__ char32_type;
typedef __WCHAR_TYPE__ wchar_type;
typedef __SIZE_TYPE__ size_type;

struct integers {
	char c;
	signed char sc;
	unsigned char uc;
	short s;
	unsigned short us;
	int i;
	unsigned int ui;
	long l;
	unsigned long ul;
	long long ll;
	unsigned long long ull;
	_Bool b;
#ifdef __SIZEOF_INT128__
	__int128 i128;
	unsigned __int128 u128;
#endif
	char16_type c16;
	char32_type c32;
	wchar_type wc;
	size_type size;
};

struct floats {
	float f;
	double d;
	long double ld;
};

struct integers integers;
struct floats floats;

long long widen(char a, short b, _Bool c, unsigned char d) { return a + b + c + d; }
