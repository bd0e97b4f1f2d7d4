//! What only shows when types are followed: kinds that do not fit, sizes that are missing, cycles, depth, and chains of
//! modifiers.

use btf_core::kind::Kind;

use super::{Blob, Cases, NO, Verdict, YES, since};

/// A user's BTF is refused, while nobody looks into a kernel's.
const USER: [Verdict; 2] = [NO, YES];

pub(super) fn add(cases: &mut Cases) {
    kinds(cases);
    unsized_types(cases);
    arrays(cases);
    cycles(cases);
    depth(cases);
    chains(cases);
    order(cases);
}

/// Adds a type of each sort that is something special to refer to; returns its id.
fn target(b: &mut Blob, what: &str) -> u32 {
    match what {
        "var" => b.named(Kind::Var, "target", 1, &[0]),
        "datasec" => b.datasec(".data", 4, &[]),
        "decl-tag" => {
            let alias = b.named(Kind::Typedef, "tagged", 1, &[]);
            b.named(Kind::DeclTag, "tag", alias, &[u32::MAX])
        }
        "func" => {
            let proto = b.proto(0, &[]);
            b.named(Kind::Func, "target", proto, &[])
        }
        "func-proto" => b.proto(0, &[]),
        "fwd" => b.named(Kind::Fwd, "target", 0, &[]),
        "const-void" => b.constant(0),
        "const-fwd" => {
            let fwd = b.named(Kind::Fwd, "target", 0, &[]);
            b.constant(fwd)
        }
        _ => b.composite("target", 4, &[]),
    }
}

const TARGETS: [&str; 9] = [
    "struct",
    "var",
    "datasec",
    "decl-tag",
    "func",
    "func-proto",
    "fwd",
    "const-void",
    "const-fwd",
];

fn kinds(cases: &mut Cases) {
    for what in TARGETS {
        let is_declaration = matches!(what, "var" | "datasec" | "decl-tag");
        let reference = if is_declaration { USER } else { [YES; 2] };
        // A pointer to a function is fine if the function stands in front of it.
        for (kind, word) in [
            (Kind::Ptr, "ptr"),
            (Kind::Const, "const"),
            (Kind::Volatile, "volatile"),
            (Kind::Restrict, "restrict"),
        ] {
            cases.add(
                format!("{word}-to-{what}"),
                format!("a {kind} of a {what}"),
                reference,
                |b| {
                    let target = target(b, what);
                    b.raw(0, kind, 0, target, &[]);
                },
            );
        }
        for (kind, word) in [(Kind::Typedef, "typedef"), (Kind::TypeTag, "type-tag")] {
            // Type tags had to stand in front of the other modifiers, not behind; here they do.
            cases.add(
                format!("{word}-to-{what}"),
                format!("a {kind} of a {what}"),
                reference,
                |b| {
                    let target = target(b, what);
                    b.named(kind, "name", target, &[]);
                },
            );
        }
    }
}

fn unsized_types(cases: &mut Cases) {
    for what in TARGETS {
        let value = if what == "struct" { [YES; 2] } else { USER };
        cases.add(
            format!("member-of-{what}"),
            format!("a member that is a {what}"),
            value,
            |b| {
                let target = target(b, what);
                b.composite("s", 8, &[[0, target, 0]]);
            },
        );
        cases.add(
            format!("element-of-{what}"),
            format!("an array of a {what}"),
            value,
            |b| {
                let target = target(b, what);
                b.array(target, 1, 1);
            },
        );
        cases.add(
            format!("variable-of-{what}"),
            format!("a variable that is a {what}"),
            value,
            |b| {
                let target = target(b, what);
                b.named(Kind::Var, "v", target, &[0]);
            },
        );
        cases.add(
            format!("param-of-{what}"),
            format!("a parameter that is a {what}"),
            value,
            |b| {
                let target = target(b, what);
                b.proto(0, &[[0, target]]);
            },
        );
        cases.add(
            format!("result-of-{what}"),
            format!("a prototype that returns a {what}"),
            value,
            |b| {
                let target = target(b, what);
                b.proto(target, &[]);
            },
        );
    }
}

fn arrays(cases: &mut Cases) {
    for (name, size, bits, verdict) in [
        ("regular-1", 1, 8, YES),
        ("regular-8", 8, 64, YES),
        ("regular-16", 16, 128, YES),
        ("bits-5", 4, 5, NO),
        ("bits-24", 3, 24, NO),
        ("bits-0", 4, 0, NO),
        ("wide", 8, 32, YES),
        ("offset", 4, 8 << 16 | 8, NO),
    ] {
        cases.add(
            format!("array-of-int-{name}"),
            format!("an array of an integer of {size} bytes with the word {bits:#x}"),
            [verdict, YES],
            |b| {
                let int = b.named(Kind::Int, "i", size, &[bits]);
                b.array(int, 1, 2);
            },
        );
        cases.add(
            format!("array-by-int-{name}"),
            format!("an array whose index is such an integer, {name}"),
            [verdict, YES],
            |b| {
                let int = b.named(Kind::Int, "i", size, &[bits]);
                b.array(1, int, 2);
            },
        );
    }
    cases.add(
        "array-by-float",
        "an array whose index is a floating-point number",
        USER,
        |b| {
            let float = b.named(Kind::Float, "f", 4, &[]);
            b.array(1, float, 2);
        },
    );
    cases.add(
        "array-by-enum",
        "an array whose index is an enumeration",
        USER,
        |b| {
            let e = b.named(Kind::Enum, "e", 4, &[]);
            b.array(1, e, 2);
        },
    );
    cases.add(
        "array-by-typedef",
        "an array whose index is a typedef of an integer",
        [YES; 2],
        |b| {
            let alias = b.named(Kind::Typedef, "t", 1, &[]);
            b.array(1, alias, 2);
        },
    );
    for (name, count, verdicts) in [
        ("0", 0, [YES; 2]),
        ("below-limit", 0x3fff_ffff, [YES; 2]),
        ("limit", 0x4000_0000, USER),
        ("huge", u32::MAX, USER),
    ] {
        cases.add(
            format!("array-count-{name}"),
            format!("an array of {count:#x} integers"),
            verdicts,
            |b| {
                b.array(1, 1, count);
            },
        );
    }
    cases.add(
        "array-of-arrays-limit",
        "an array of arrays of 2^32 bytes",
        USER,
        |b| {
            let inner = b.array(1, 1, 0x1_0000);
            b.array(inner, 1, 0x4000);
        },
    );
    cases.add(
        "array-of-empty-struct",
        "2^32 - 1 structures of no bytes",
        [YES; 2],
        |b| {
            let s = b.composite("s", 0, &[]);
            b.array(s, 1, u32::MAX);
        },
    );
}

fn cycles(cases: &mut Cases) {
    cases.add(
        "cycle-struct-ptr",
        "a structure with a pointer to itself",
        [YES; 2],
        |b| {
            let s = b.next_id() + 1;
            b.ptr(s);
            b.composite("s", 8, &[[0, s - 1, 0]]);
        },
    );
    cases.add(
        "cycle-struct",
        "a structure that is its own member",
        USER,
        |b| {
            let s = b.next_id();
            b.composite("s", 8, &[[0, s, 0]]);
        },
    );
    cases.add(
        "cycle-struct-array",
        "a structure with an array of itself",
        USER,
        |b| {
            let s = b.next_id() + 1;
            b.array(s, 1, 1);
            b.composite("s", 8, &[[0, s - 1, 0]]);
        },
    );
    cases.add(
        "cycle-two-structs",
        "two structures, each a member of the other one",
        USER,
        |b| {
            let s = b.next_id();
            b.composite("s", 8, &[[0, s + 1, 0]]);
            b.composite("t", 8, &[[0, s, 0]]);
        },
    );
    cases.add("cycle-array", "an array of itself", USER, |b| {
        let array = b.next_id();
        b.array(array, 1, 1);
    });
    cases.add("cycle-ptr", "a pointer to itself", USER, |b| {
        let ptr = b.next_id();
        b.ptr(ptr);
    });
    cases.add(
        "cycle-two-ptrs",
        "two pointers, each to the other one",
        USER,
        |b| {
            let ptr = b.next_id();
            b.ptr(ptr + 1);
            b.ptr(ptr);
        },
    );
    cases.add(
        "cycle-ptr-typedef",
        "a pointer to a typedef of it",
        USER,
        |b| {
            let ptr = b.next_id();
            b.ptr(ptr + 1);
            b.named(Kind::Typedef, "t", ptr, &[]);
        },
    );
    cases.add("cycle-typedef", "a typedef of itself", [NO; 2], |b| {
        let alias = b.next_id();
        b.named(Kind::Typedef, "t", alias, &[]);
    });
    cases.add(
        "cycle-two-modifiers",
        "const of volatile of the same const",
        [NO; 2],
        |b| {
            let first = b.next_id();
            b.constant(first + 1);
            b.raw(0, Kind::Volatile, 0, first, &[]);
        },
    );
    cases.add(
        "cycle-proto",
        "a prototype that returns a pointer to itself",
        [YES; 2],
        |b| {
            let proto = b.next_id() + 1;
            b.ptr(proto);
            b.proto(proto - 1, &[]);
        },
    );
    cases.add(
        "cycle-proto-direct",
        "a prototype that returns itself",
        USER,
        |b| {
            let proto = b.next_id();
            b.proto(proto, &[]);
        },
    );
    cases.add(
        "cycle-proto-param",
        "a prototype with itself as a parameter",
        USER,
        |b| {
            let proto = b.next_id();
            b.proto(0, &[[0, proto]]);
        },
    );
    cases.add("cycle-var", "a variable that is itself", USER, |b| {
        let var = b.next_id();
        b.named(Kind::Var, "v", var, &[0]);
    });
    cases.add("cycle-decl-tag", "a tag on itself", USER, |b| {
        let tag = b.next_id();
        b.named(Kind::DeclTag, "tag", tag, &[u32::MAX]);
    });
    cases.add(
        "cycle-unseen",
        "a structure with itself in an array behind a modifier, which the kernel took for resolved when it came by with a pointer",
        [YES; 2],
        |b| {
            let ptr = b.next_id();
            b.ptr(ptr + 1);
            b.constant(ptr + 2);
            b.array(ptr + 3, 1, 1);
            b.composite("s", 8, &[[0, ptr + 1, 0]]);
        },
    );
}

/// Adds a type that needs another one.
type Add = fn(&mut Blob, u32);

/// As many types in a row, each the next one's user; the last is `int`.
fn row(b: &mut Blob, count: u32, ascending: bool, add: impl Fn(&mut Blob, u32)) {
    let first = b.next_id();
    for index in 0..count {
        let next = if ascending {
            if index + 1 == count {
                1
            } else {
                first + index + 1
            }
        } else if index == 0 {
            1
        } else {
            first + index - 1
        };
        add(b, next);
    }
}

fn depth(cases: &mut Cases) {
    let pointer = |b: &mut Blob, to| {
        b.ptr(to);
    };
    let array = |b: &mut Blob, of| {
        b.array(of, 1, 1);
    };
    let structure = |b: &mut Blob, of| {
        b.composite("", 4, &[[0, of, 0]]);
    };
    let rows: [(&str, Add); 3] = [("ptr", pointer), ("array", array), ("struct", structure)];
    for (word, add) in rows {
        for (count, verdicts) in [(32, [YES; 2]), (33, USER)] {
            let about =
                format!("{count} types of kind {word}, each in front of the one that it needs");
            cases.add(format!("depth-{word}-{count}"), about, verdicts, |b| {
                row(b, count, true, add)
            });
        }
        let about = format!("40 types of kind {word}, each behind the one that it needs");
        cases.add(format!("depth-{word}-known-40"), about, [YES; 2], |b| {
            row(b, 40, false, add)
        });
    }
}

fn chains(cases: &mut Cases) {
    for (count, verdict) in [(31, YES), (32, YES), (33, NO), (40, NO)] {
        let about = format!("{count} modifiers, each in front of the one that it modifies");
        cases.add(format!("chain-{count}"), about, [verdict; 2], |b| {
            row(b, count, true, |b, next| {
                b.constant(next);
            });
        });
    }
    cases.add(
        "chain-known-60",
        "60 modifiers, each behind the one that it modifies",
        [YES; 2],
        |b| {
            row(b, 60, false, |b, next| {
                b.constant(next);
            });
        },
    );
    cases.add(
        "chain-tags-first",
        "type tags in front of qualifiers",
        [YES; 2],
        |b| {
            let constant = b.constant(1);
            let tag = b.named(Kind::TypeTag, "a", constant, &[]);
            let tag = b.named(Kind::TypeTag, "b", tag, &[]);
            b.ptr(tag);
        },
    );
    for (kind, word) in [
        (Kind::Const, "const"),
        (Kind::Volatile, "volatile"),
        (Kind::Restrict, "restrict"),
    ] {
        cases.add(
            format!("chain-{word}-tag"),
            format!("a type tag behind a {kind}"),
            [since(7, 2); 2],
            |b| {
                let tag = b.named(Kind::TypeTag, "tag", 1, &[]);
                b.raw(0, kind, 0, tag, &[]);
            },
        );
    }
    cases.add(
        "chain-typedef-tag",
        "a typedef of a tagged type",
        [since(7, 2); 2],
        |b| {
            let tag = b.named(Kind::TypeTag, "tag", 1, &[]);
            b.named(Kind::Typedef, "t", tag, &[]);
        },
    );
    cases.add(
        "chain-tag-const-tag",
        "a qualifier between type tags",
        [since(7, 2); 2],
        |b| {
            let tag = b.named(Kind::TypeTag, "tag", 1, &[]);
            let constant = b.constant(tag);
            b.named(Kind::TypeTag, "tag", constant, &[]);
        },
    );
    cases.add(
        "chain-ptr-tag-ptr-tag",
        "type tags of two pointers",
        [YES; 2],
        |b| {
            let tag = b.named(Kind::TypeTag, "tag", 1, &[]);
            let ptr = b.ptr(tag);
            let tag = b.named(Kind::TypeTag, "tag", ptr, &[]);
            b.ptr(tag);
        },
    );
}

/// Where it depends on the order of the types what the kernel says.
fn order(cases: &mut Cases) {
    cases.add(
        "order-ptr-func-behind",
        "a pointer to a function that stands behind it",
        USER,
        |b| {
            let func = b.next_id() + 2;
            b.ptr(func);
            let proto = b.proto(0, &[]);
            b.named(Kind::Func, "f", proto, &[]);
        },
    );
    cases.add(
        "order-typedef-func-behind",
        "a typedef of a function that stands behind it",
        [YES; 2],
        |b| {
            let func = b.next_id() + 2;
            b.named(Kind::Typedef, "t", func, &[]);
            let proto = b.proto(0, &[]);
            b.named(Kind::Func, "f", proto, &[]);
        },
    );
    cases.add(
        "order-array-unseen",
        "an array too large for its structure, behind a modifier, before the kernel knows its size",
        [YES; 2],
        |b| {
            let ptr = b.next_id();
            b.ptr(ptr + 1);
            b.constant(ptr + 3);
            b.composite("s", 4, &[[0, ptr + 1, 0]]);
            b.array(1, 1, 100);
        },
    );
    cases.add(
        "order-array-seen",
        "the same, the array in front of the structure",
        USER,
        |b| {
            let ptr = b.next_id();
            b.ptr(ptr + 1);
            b.constant(ptr + 2);
            b.array(1, 1, 100);
            b.composite("s", 4, &[[0, ptr + 1, 0]]);
        },
    );
    cases.add(
        "order-var-behind",
        "a section in front of its variable, and that in front of its type",
        [YES; 2],
        |b| {
            let next = b.next_id();
            b.datasec(".data", 8, &[[next + 1, 0, 8]]);
            b.named(Kind::Var, "v", next + 2, &[0]);
            b.constant(next + 3);
            b.ptr(1);
        },
    );
}
