//# about: btf_type_tag and btf_decl_tag on pointers, structures, members, typedefs, functions, parameters, variables
//# flags: -std=gnu2x
//# expect: TYPE_TAG:user TYPE_TAG:rcu DECL_TAG:on_member DECL_TAG:on_union_member DECL_TAG:on_function DECL_TAG:on_variable
//# expect-clang: DECL_TAG:on_struct DECL_TAG:on_union DECL_TAG:on_typedef
#define TYPE_TAG(x) __attribute__((btf_type_tag(x)))
#define DECL_TAG(x) __attribute__((btf_decl_tag(x)))
#define __user TYPE_TAG("user")
#define __rcu TYPE_TAG("rcu")

struct DECL_TAG("on_struct") tagged {
	int __user *user_pointer;
	int __user __rcu *two_tags;
	int __user *__rcu *nested_tags;
	int plain DECL_TAG("on_member") DECL_TAG("second");
	const char __user *const_user;
	unsigned int field : 3 DECL_TAG("on_bitfield");
};

union DECL_TAG("on_union") tagged_union {
	int a DECL_TAG("on_union_member");
	long b;
};

typedef int tagged_typedef DECL_TAG("on_typedef");
typedef struct tagged __user *tagged_pointer;

struct tagged tagged;
union tagged_union tagged_union;
int tagged_variable DECL_TAG("on_variable") __attribute__((section(".data..percpu")));

int DECL_TAG("on_function") tagged_function(struct tagged __user *p, int x DECL_TAG("on_parameter"), tagged_typedef t,
					    tagged_pointer q)
{
	return x + t + (p != q);
}
