//# about: complex numbers, which BTF cannot say
//# expect: STRUCT:complex_numbers FUNC:real_part
struct complex_numbers {
	float _Complex f;
	double _Complex d;
	long double _Complex ld;
	int after;
};

struct complex_numbers complex_numbers;

double real_part(struct complex_numbers *c) { return __real__ c->d; }
double _Complex double_it(double _Complex c) { return c + c; }
