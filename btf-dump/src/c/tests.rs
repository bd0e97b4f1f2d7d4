//! The text of small headers, each with one thing in it that is easily got wrong.

use btf_core::builder::MemberSpec;
use btf_core::wire::{int, linkage};
use btf_core::{Builder, Kind};

use super::*;

mod modules;

/// What stands between the frame's two halves.
fn body(btf: &Btf, options: &Options<'_>) -> String {
    let mut out = Vec::new();
    header(btf, options, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let start = text.find("\n#endif\n#endif\n\n").unwrap() + "\n#endif\n#endif\n\n".len();
    let end = text.find("#ifndef BPF_NO_PRESERVE_ACCESS_INDEX\n#pragma clang attribute pop");
    text[start..end.unwrap()].trim().replace("\n\n", "\n")
}

/// What `build` is in C.
#[track_caller]
fn check(build: impl FnOnce(&mut Builder), expect: &str) {
    let mut builder = Builder::new();
    build(&mut builder);
    let btf = builder.finish().unwrap();
    let found = body(&btf, &Options::default());
    assert_eq!(found, expect.trim(), "found:\n{found}");
}

fn member(name: &str, ty: TypeId, bit_offset: u32) -> MemberSpec<'_> {
    MemberSpec {
        name: name.as_bytes(),
        ty,
        bit_offset,
        bitfield_size: 0,
    }
}

fn bits(name: &str, ty: TypeId, bit_offset: u32, bitfield_size: u8) -> MemberSpec<'_> {
    MemberSpec {
        bitfield_size,
        ..member(name, ty, bit_offset)
    }
}

fn int(b: &mut Builder) -> TypeId {
    b.int(b"int", 4, int::SIGNED).unwrap()
}

fn char(b: &mut Builder) -> TypeId {
    b.int(b"char", 1, 0).unwrap()
}

fn long(b: &mut Builder) -> TypeId {
    b.int(b"long int", 8, int::SIGNED).unwrap()
}

fn composite(b: &mut Builder, name: &str, size: u32, members: &[MemberSpec<'_>]) -> TypeId {
    let name = name.as_bytes();
    b.composite(Kind::Struct, name, size, members).unwrap()
}

fn union(b: &mut Builder, name: &str, size: u32, members: &[MemberSpec<'_>]) -> TypeId {
    let name = name.as_bytes();
    b.composite(Kind::Union, name, size, members).unwrap()
}

fn array(b: &mut Builder, element: TypeId, count: u32) -> TypeId {
    b.array(element, TypeId::VOID, count).unwrap()
}

#[test]
fn declarators_of_any_depth() {
    check(
        |b| {
            let int = int(b);
            let char = char(b);
            let rows = array(b, int, 3);
            let matrix = array(b, rows, 2);
            let to_matrix = b.ptr(matrix).unwrap();
            b.typedef(b"matrix", to_matrix).unwrap();
            let inner = b.func_proto(TypeId::VOID, &[(b"c", char)]).unwrap();
            let callback = b.ptr(inner).unwrap();
            let outer = b.func_proto(callback, &[(b"cb", callback), (b"", TypeId::VOID)]);
            let outer = outer.unwrap();
            let pointer = b.ptr(outer).unwrap();
            let table = array(b, pointer, 4);
            b.typedef(b"signal", table).unwrap();
            let constant = b.qualifier(Kind::Const, char).unwrap();
            let pointer = b.ptr(constant).unwrap();
            let pointer = b.qualifier(Kind::Const, pointer).unwrap();
            let pointer = b.ptr(pointer).unwrap();
            b.typedef(b"words", pointer).unwrap();
            let nothing = b.func_proto(TypeId::VOID, &[]).unwrap();
            b.typedef(b"nothing", nothing).unwrap();
            let constants = array(b, constant, 2);
            let constants = b.qualifier(Kind::Const, constants).unwrap();
            b.typedef(b"constants", constants).unwrap();
        },
        "
typedef const char constants[2];
typedef const char * const *words;
typedef int (*matrix)[2][3];
typedef void nothing(void);
typedef void (*(*signal[4])(void (*cb)(char c), ...))(char c);
",
    );
}

#[test]
fn padding_is_explicit() {
    check(
        |b| {
            let (char, int, long) = (char(b), int(b), long(b));
            composite(
                b,
                "gap",
                24,
                &[member("a", char, 0), member("b", long, 128)],
            );
            composite(b, "tail", 64, &[member("a", long, 0)]);
            composite(
                b,
                "far",
                4096,
                &[member("a", char, 0), member("b", int, 32_000)],
            );
            composite(b, "nothing", 0, &[]);
            composite(b, "opaque", 12, &[]);
        },
        "
struct far {
	char a;
	unsigned char __btf_padding0[3999];
	int b;
	unsigned char __btf_padding1[92];
};
struct gap {
	char a;
	long: 56;
	long: 64;
	long int b;
};
struct nothing {};
struct opaque {
	int: 32;
	int: 32;
	int: 32;
};
struct tail {
	long int a;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
	long: 64;
};
",
    );
}

#[test]
fn bitfields_and_packing() {
    check(
        |b| {
            let (char, int) = (char(b), int(b));
            let fields = [
                bits("a", int, 0, 3),
                bits("b", int, 28, 4),
                bits("c", int, 32, 1),
                bits("d", char, 40, 8),
            ];
            composite(b, "fields", 8, &fields);
            // A bitfield that crosses a unit of its type, which only a packed structure has.
            composite(
                b,
                "crossing",
                8,
                &[bits("a", int, 0, 30), bits("b", int, 30, 4)],
            );
            let packed = composite(b, "packed", 5, &[member("a", char, 0), member("b", int, 8)]);
            composite(
                b,
                "holder",
                8,
                &[member("a", char, 0), member("p", packed, 8)],
            );
            union(b, "odd", 5, &[member("a", int, 0), member("p", packed, 0)]);
            union(b, "wide", 16, &[member("a", int, 0)]);
        },
        "
struct crossing {
	int a: 30;
	int b: 4;
	int: 30;
} __attribute__((packed));
struct fields {
	int a: 3;
	int: 25;
	int b: 4;
	int c: 1;
	char d: 8;
};
struct packed {
	char a;
	int b;
} __attribute__((packed));
struct holder {
	char a;
	struct packed p;
	short: 16;
};
union odd {
	int a;
	struct packed p;
} __attribute__((packed));
union wide {
	int a;
} __attribute__((aligned(16)));
",
    );
}

#[test]
fn numbers_of_16_bytes_have_their_alignment_spelled_out() {
    check(
        |b| {
            let (char, long) = (char(b), long(b));
            let wide = b.int(b"__int128", 16, int::SIGNED).unwrap();
            let wides = array(b, wide, 2);
            let members = [member("a", char, 0), member("b", wides, 128)];
            let inner = composite(b, "inner", 48, &members);
            let members = [member("a", char, 0), member("b", inner, 128)];
            composite(b, "outer", 64, &members);
            // As gcc for BPF has it.
            let members = [member("a", long, 0), member("b", wide, 64)];
            composite(b, "packed", 24, &members);
        },
        "
struct inner {
	char a;
	__int128 b[2] __attribute__((aligned(16)));
};
struct outer {
	char a;
	struct inner b;
};
struct packed {
	long int a;
	__int128 b;
} __attribute__((packed));
",
    );
}

#[test]
fn old_bitfields() {
    // An INT of 3 bits that starts at bit 2 of its unit.
    let mut builder = Builder::new();
    let name = builder.add_string(b"unsigned int").unwrap().0;
    let info = btf_core::Info::new(Kind::Int, 0, false).0;
    let partial = builder
        .push_record(&[name, info, 4, int::pack(0, 2, 3)])
        .unwrap();
    composite(&mut builder, "old", 4, &[member("a", partial, 8)]);
    let found = body(&builder.finish().unwrap(), &Options::default());
    let expect = "struct old {\n\tshort: 10;\n\tunsigned int a: 3;\n};";
    assert_eq!(found, expect);
}

#[test]
fn enumerations_have_their_size_and_none_is_lost() {
    check(
        |b| {
            b.enumeration(b"", 4, false, &[(b"AAA", 0)]).unwrap();
            b.enumeration(b"one", 1, false, &[(b"A", 255)]).unwrap();
            b.enumeration(b"two", 2, true, &[(b"B", u64::MAX)]).unwrap();
            b.enumeration(b"word", 8, false, &[(b"C", 1)]).unwrap();
            b.enum64(b"wide", 8, true, &[(b"D", 1 << 63)]).unwrap();
            b.enum64(b"big", 8, false, &[(b"E", u64::MAX)]).unwrap();
        },
        "
enum {
	AAA = 0,
};
enum big {
	E = 18446744073709551615ULL,
};
enum one {
	A = 255,
} __attribute__((mode(byte)));
enum two {
	B = -1,
} __attribute__((mode(HI)));
enum wide {
	D = -9223372036854775807LL - 1,
};
enum word {
	C = 1,
} __attribute__((mode(DI)));
",
    );
}

#[test]
fn enumerations_without_a_name_are_declared_once() {
    check(
        |b| {
            let inline = b.enumeration(b"", 4, false, &[(b"X", 1)]).unwrap();
            composite(b, "a", 4, &[member("x", inline, 0)]);
            composite(b, "b", 4, &[member("x", inline, 0)]);
            // Only a variable has this one, so that nobody writes it out.
            let lonely = b.enumeration(b"", 4, false, &[(b"Y", 1)]).unwrap();
            b.var(b"v", lonely, linkage::STATIC).unwrap();
        },
        "
enum {
	Y = 1,
};
struct a {
	enum {
		X = 1,
	} x;
};
struct b {
	unsigned int x;
};
",
    );
}

#[test]
fn an_enumeration_that_is_only_declared() {
    check(
        |b| {
            let declared = b.enumeration(b"known", 4, false, &[]).unwrap();
            let needed = b.enumeration(b"needed", 4, false, &[]).unwrap();
            b.enumeration(b"known", 4, false, &[(b"K", 1)]).unwrap();
            let behind = b.enumeration(b"behind", 4, false, &[]).unwrap();
            let pointer = b.ptr(behind).unwrap();
            let members = [
                member("a", declared, 0),
                member("b", needed, 32),
                member("c", pointer, 64),
            ];
            composite(b, "holder", 16, &members);
        },
        "
enum known {
	K = 1,
};
enum needed {
	needed___undefined = 0,
};
enum behind;
struct holder {
	enum known a;
	enum needed b;
	enum behind *c;
};
",
    );
}

#[test]
fn homonyms_get_numbers_that_are_free() {
    check(
        |b| {
            let (int, char) = (int(b), char(b));
            composite(b, "twin", 1, &[member("small", char, 0)]);
            let large = composite(b, "twin", 4, &[member("large", int, 0)]);
            composite(b, "twin___2", 4, &[member("taken", int, 0)]);
            b.enumeration(b"twin", 4, false, &[(b"X", 0)]).unwrap();
            b.enumeration(b"", 4, false, &[(b"X", 1)]).unwrap();
            b.typedef(b"X", large).unwrap();
        },
        "
enum {
	X = 1,
};
enum twin {
	X___2 = 0,
};
struct twin___3;
typedef struct twin___3 X___3;
struct twin___3 {
	int large;
};
struct twin___4 {
	char small;
};
struct twin___2 {
	int taken;
};
",
    );
}

#[test]
fn forward_declarations_are_of_their_kind() {
    check(
        |b| {
            let int = int(b);
            let union = b.fwd(b"x", true).unwrap();
            let full = b.fwd(b"y", false).unwrap();
            composite(b, "x", 4, &[member("a", int, 0)]);
            let (union, full) = (b.ptr(union).unwrap(), b.ptr(full).unwrap());
            composite(
                b,
                "holder",
                16,
                &[member("u", union, 0), member("f", full, 64)],
            );
            let back = b.ptr(TypeId(7)).unwrap();
            composite(b, "y", 8, &[member("back", back, 0)]);
            b.fwd(b"alone", false).unwrap();
        },
        "
union x___2;
struct y;
struct holder {
	union x___2 *u;
	struct y *f;
};
struct x {
	int a;
};
struct y {
	struct holder *back;
};
struct alone;
",
    );
}

#[test]
fn typedefs_come_before_their_use_and_values_before_holders() {
    check(
        |b| {
            let int = int(b);
            // a { b_t b; }, typedef struct b b_t, b { a_t *a; }
            let (a, tb, b_, ta) = (TypeId(2), TypeId(3), TypeId(4), TypeId(5));
            assert_eq!(composite(b, "a", 16, &[member("b", tb, 0)]), a);
            assert_eq!(b.typedef(b"b_t", b_).unwrap(), tb);
            let members = [member("a", TypeId(6), 0), member("n", int, 64)];
            assert_eq!(composite(b, "b", 16, &members), b_);
            assert_eq!(b.typedef(b"a_t", a).unwrap(), ta);
            b.ptr(ta).unwrap();
        },
        "
struct b;
typedef struct b b_t;
struct a;
typedef struct a a_t;
struct b {
	a_t *a;
	int n;
};
struct a {
	b_t b;
};
",
    );
}

#[test]
fn members_of_tagged_structures_without_a_name_are_merged() {
    check(
        |b| {
            let int = int(b);
            let tagged = composite(b, "tagged", 8, &[member("a", int, 0), member("b", int, 32)]);
            composite(
                b,
                "holder",
                12,
                &[member("", tagged, 0), member("c", int, 64)],
            );
        },
        "
struct holder {
	struct {
		int a;
		int b;
	};
	int c;
};
struct tagged {
	int a;
	int b;
};
",
    );
}

#[test]
fn names_that_c_does_not_allow() {
    check(
        |b| {
            let int = int(b);
            let word = b.int(b"u32", 4, 0).unwrap();
            let wide = b.int(b"usize", 8, 0).unwrap();
            let odd = b.int(b"i24", 3, int::SIGNED).unwrap();
            composite(
                b,
                "Option<u32>",
                16,
                &[member("__0", word, 0), member("1", wide, 64)],
            );
            composite(b, "Option[u32]", 3, &[member("o", odd, 0)]);
            composite(b, "for", 4, &[member("int", int, 0)]);
        },
        "
struct Option_u32_ {
	unsigned int __0;
	unsigned long long _1;
};
struct Option_u32____2 {
	struct { unsigned char bytes[3]; } o;
};
struct for___2 {
	int int___2;
};
",
    );
}

#[test]
fn keywords_that_are_new_in_c23() {
    check(
        |b| {
            let bool = b.int(b"_Bool", 1, int::BOOL).unwrap();
            b.typedef(b"bool", bool).unwrap();
            b.enumeration(b"", 4, false, &[(b"false", 0), (b"true", 1)])
                .unwrap();
            b.enumeration(b"", 4, false, &[(b"true", 0), (b"maybe", 1)])
                .unwrap();
        },
        "
#if !defined(__cplusplus) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 202311L)
enum {
	false = 0,
	true = 1,
};
#endif
enum {
	true___2 = 0,
	maybe = 1,
};
#if !defined(__cplusplus) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 202311L)
typedef _Bool bool;
#endif
",
    );
}

#[test]
fn members_out_of_order_and_on_each_other() {
    check(
        |b| {
            let int = int(b);
            composite(
                b,
                "rust",
                8,
                &[member("second", int, 32), member("first", int, 0)],
            );
            composite(b, "clash", 8, &[member("a", int, 0), member("b", int, 16)]);
        },
        "
struct clash {
	int a;
	/* b is at bit 16, where C cannot put it */
	int: 32;
};
struct rust {
	int first;
	int second;
};
",
    );
}

#[test]
fn tags() {
    let mut b = Builder::new();
    let int = int(&mut b);
    let user = b.type_tag(b"user", int, false).unwrap();
    let pointer = b.ptr(user).unwrap();
    let arena = b.type_tag(b"address_space(1)", int, true).unwrap();
    let arena = b.ptr(arena).unwrap();
    let members = [member("p", pointer, 0), member("q", arena, 64)];
    let tagged = composite(&mut b, "tagged", 16, &members);
    b.decl_tag(b"whole", tagged, -1, false).unwrap();
    b.decl_tag(b"part", tagged, 1, false).unwrap();
    let btf = b.finish().unwrap();
    let options = Options {
        decl_tags: true,
        ..Options::default()
    };
    let found = body(&btf, &options);
    let expect = "\
struct tagged {
	int __attribute__((btf_type_tag(\"user\"))) *p;
	int __attribute__((address_space(1))) *q __btf_decl_tag(\"part\");
} __btf_decl_tag(\"whole\");";
    assert!(found.ends_with(expect), "found:\n{found}");
}

#[test]
fn what_the_compiler_checks() {
    let mut b = Builder::new();
    let int = int(&mut b);
    let inner = composite(&mut b, "", 8, &[member("x", int, 0), bits("y", int, 32, 3)]);
    let outer = composite(
        &mut b,
        "outer",
        16,
        &[member("", inner, 0), member("in", inner, 64)],
    );
    b.typedef(b"outer_t", outer).unwrap();
    b.typedef(b"inner_t", inner).unwrap();
    b.enumeration(b"e", 1, false, &[(b"A", 0)]).unwrap();
    let options = Options {
        assertions: true,
        ..Options::default()
    };
    let btf = b.finish().unwrap();
    let found = body(&btf, &options);
    let mut found: Vec<_> = found
        .lines()
        .filter(|line| line.starts_with("__btf"))
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "__btf_assert_offset(inner_t, x, 0);",
            "__btf_assert_offset(struct outer, in, 8);",
            "__btf_assert_offset(struct outer, in.x, 8);",
            "__btf_assert_offset(struct outer, x, 0);",
            "__btf_assert_size(enum e, 1);",
            "__btf_assert_size(inner_t, 8);",
            "__btf_assert_size(struct outer, 16);",
        ]
    );
    let summary = header(&btf, &options, &mut std::io::sink()).unwrap();
    assert_eq!(summary.assertions, 7);
}

#[test]
fn kfuncs_are_declared_at_the_end() {
    let mut b = Builder::new();
    let task = b.fwd(b"task", false).unwrap();
    let pointer = b.ptr(task).unwrap();
    let proto = b.func_proto(pointer, &[(b"t", pointer)]).unwrap();
    let func = b.func(b"acquire", proto, linkage::STATIC).unwrap();
    b.decl_tag(b"bpf_kfunc", func, -1, false).unwrap();
    b.decl_tag(b"bpf_fastcall", func, -1, false).unwrap();
    // The function's name is the linker's, so the typedef's has to change.
    b.typedef(b"acquire", pointer).unwrap();
    let options = Options {
        kfuncs: true,
        ..Options::default()
    };
    let found = body(&b.finish().unwrap(), &options);
    let expect = "\
struct task;
typedef struct task *acquire___2;
/* BPF kfuncs */
#ifndef BPF_NO_KFUNC_PROTOTYPES
extern __bpf_fastcall struct task *acquire(struct task *t) __weak __ksym;
#endif";
    assert_eq!(found, expect);
}

#[test]
fn roots_bring_what_they_need() {
    let mut b = Builder::new();
    let int = int(&mut b);
    let value = composite(&mut b, "value", 4, &[member("a", int, 0)]);
    let other = composite(&mut b, "other", 4, &[member("a", int, 0)]);
    let pointer = b.ptr(other).unwrap();
    let members = [member("v", value, 0), member("o", pointer, 64)];
    let root = composite(&mut b, "root", 16, &members);
    composite(&mut b, "unwanted", 4, &[member("a", int, 0)]);
    let options = Options {
        scope: Scope::Roots(&[root]),
        ..Options::default()
    };
    let found = body(&b.finish().unwrap(), &options);
    let names: Vec<_> = found
        .lines()
        .filter(|line| line.starts_with("struct"))
        .collect();
    assert_eq!(names, ["struct value {", "struct other;", "struct root {"]);
}

/// Unions, or prototypes, each of which uses the one before twice and has no name.
fn doubling(levels: u32, is_proto: bool) -> Btf {
    let mut b = Builder::new();
    let mut last = int(&mut b);
    for _ in 0..levels {
        let pointer = b.ptr(last).unwrap();
        last = if is_proto {
            let params = [(&b"a"[..], pointer), (b"b", pointer)];
            b.func_proto(TypeId::VOID, &params).unwrap()
        } else {
            union(&mut b, "", 4, &[member("a", last, 0), member("b", last, 0)])
        };
    }
    b.typedef(b"top", last).unwrap();
    b.finish().unwrap()
}

#[test]
fn expansion_has_a_limit() {
    for is_proto in [false, true] {
        let error = header(
            &doubling(60, is_proto),
            &Options::default(),
            &mut Vec::new(),
        );
        let error = error.unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::TooLarge { .. }),
            "{error}"
        );
        // What people write has no limit.
        let mut out = Vec::new();
        header(&doubling(10, is_proto), &Options::default(), &mut out).unwrap();
    }
}

#[test]
fn hostile_references() {
    let error = |build: &dyn Fn(&mut Builder)| {
        let mut builder = Builder::new();
        build(&mut builder);
        let btf = builder.finish().unwrap();
        let mut out = Vec::new();
        let error = header(&btf, &Options::default(), &mut out).unwrap_err();
        assert!(out.is_empty());
        error.kind().clone()
    };
    let itself = error(&|b| {
        composite(b, "a", 4, &[member("a", TypeId(1), 0)]);
    });
    assert_eq!(itself, ErrorKind::Cycle);
    let qualifiers = error(&|b| {
        b.qualifier(Kind::Const, TypeId(2)).unwrap();
        b.qualifier(Kind::Volatile, TypeId(1)).unwrap();
    });
    assert_eq!(qualifiers, ErrorKind::Cycle);
    let typedefs = error(&|b| {
        b.typedef(b"a", TypeId(2)).unwrap();
        b.ptr(TypeId(1)).unwrap();
    });
    assert!(matches!(
        typedefs,
        ErrorKind::Cycle | ErrorKind::TooLarge { .. }
    ));
    let missing = error(&|b| {
        b.typedef(b"a", TypeId(9)).unwrap();
    });
    assert_eq!(missing, ErrorKind::TypeIdOutOfRange(TypeId(9)));
    let function = error(&|b| {
        b.func(b"f", TypeId(9), linkage::STATIC).unwrap();
        composite(b, "a", 8, &[member("f", TypeId(1), 0)]);
    });
    assert!(matches!(function, ErrorKind::Invalid { .. }));
    let pointers = error(&|b| {
        for id in 2..1000 {
            b.ptr(TypeId(id)).unwrap();
        }
        b.typedef(b"deep", TypeId(1)).unwrap();
    });
    assert!(matches!(pointers, ErrorKind::TooLarge { .. }));
}
