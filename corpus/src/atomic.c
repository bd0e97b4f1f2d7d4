//# about: _Atomic, whose DW_TAG_atomic_type BTF cannot say
//# expect: STRUCT:atomics FUNC:load_it
typedef _Atomic int atomic_int_type;

struct atomics {
	_Atomic int counter;
	atomic_int_type through_typedef;
	_Atomic(long) *pointer;
	int *_Atomic atomic_pointer;
	const _Atomic int qualified;
};

struct atomics atomics;

int load_it(_Atomic int *p) { return *p; }
