//# about: C++: references, member pointers, inheritance, templates, namespaces, static members, methods
//# compilers: clang
//# flags: -fstandalone-debug
//# arches: x86_64
//# expect: STRUCT:derived STRUCT:base FUNC:by_reference
namespace outer {
struct in_namespace {
	int value;
};
}

struct base {
	virtual ~base();
	virtual int method(int) const;
	int base_member;
	static int counter;
};

struct derived : base {
	int &reference;
	int &&rvalue;
	int base::*member_pointer;
	int (base::*method_pointer)(int) const;
	derived(int &r, int &&v);
	int method(int) const override;
};

template <typename T, int N> struct templated {
	T items[N];
};

enum class scoped : unsigned char { a, b };

extern "C" int by_reference(derived &d, const outer::in_namespace &n, templated<long, 3> *t, scoped s,
			    decltype(nullptr) null)
{
	return d.base_member + n.value + static_cast<int>(t->items[0]) + static_cast<int>(s) + (null == nullptr);
}
int base::counter = 1;
int base::method(int x) const { return x + base_member; }
