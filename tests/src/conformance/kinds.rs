//! What each kind's record may hold besides names: unused fields, type ids, linkages.

use btf_core::kind::Kind;
use btf_core::wire::Info;

use super::{Blob, Cases, NO, YES, since};

pub(super) fn add(cases: &mut Cases) {
    unused(cases);
    unknown(cases);
    wide(cases);
    ids(cases);
    functions(cases);
    variables(cases);
    tags(cases);
    split(cases);
}

/// Adds a valid type of the kind behind `int`, its second word changed by `change`.
fn sample(b: &mut Blob, kind: Kind, vlen: u32, flag: bool, third: Option<u32>) {
    let name = match kind {
        Kind::Ptr
        | Kind::Array
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::FuncProto => 0,
        Kind::Datasec => b.name(".data"),
        _ => b.name("name"),
    };
    let default = match kind {
        Kind::Int | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Float => 4,
        Kind::Datasec => 16,
        Kind::Array | Kind::Fwd => 0,
        Kind::Func => b.proto(0, &[]),
        Kind::DeclTag => b.composite("tagged", 4, &[]),
        _ => 1,
    };
    let rest: &[u32] = match kind {
        Kind::Int => &[32],
        Kind::Array => &[1, 1, 2],
        Kind::Var => &[0],
        Kind::DeclTag => &[u32::MAX],
        _ => &[],
    };
    let info = Info::new(kind, vlen, flag);
    b.record([name, info.0, third.unwrap_or(default)], rest);
}

fn unused(cases: &mut Cases) {
    for kind in Kind::ALL {
        let word = kind.name().to_lowercase().replace('_', "-");
        cases.add(
            format!("{word}-plain"),
            format!("a {kind} as it should be"),
            [YES; 2],
            |b| {
                sample(b, kind, 0, false, None);
            },
        );
        let flag = match kind {
            Kind::DeclTag | Kind::TypeTag => since(6, 15),
            _ if kind.info().has_kind_flag => YES,
            _ => NO,
        };
        cases.add(
            format!("{word}-kind-flag"),
            format!("a {kind} with `kind_flag`"),
            [flag; 2],
            |b| {
                sample(b, kind, 0, true, None);
            },
        );
        if kind.info().element.is_empty() && kind != Kind::Func {
            cases.add(
                format!("{word}-vlen"),
                format!("a {kind} whose `vlen` is 1"),
                [NO; 2],
                |b| {
                    sample(b, kind, 1, false, None);
                },
            );
        } else if kind != Kind::Func {
            cases.add(
                format!("{word}-elements-missing"),
                format!("a {kind} whose element is not there"),
                [NO; 2],
                |b| {
                    sample(b, kind, 1, false, None);
                },
            );
        }
        if matches!(kind, Kind::Array | Kind::Fwd) {
            cases.add(
                format!("{word}-third-word"),
                format!("a {kind} whose third word is 1"),
                [NO; 2],
                |b| {
                    sample(b, kind, 0, false, Some(1));
                },
            );
        }
        if !kind.info().trailer.is_empty() {
            cases.add(
                format!("{word}-trailer-missing"),
                format!("a {kind} cut off behind its first three words"),
                [NO; 2],
                |b| {
                    sample(b, kind, 0, false, None);
                    b.words.truncate(b.words.len() - kind.info().trailer.len());
                },
            );
        }
    }
}

fn unknown(cases: &mut Cases) {
    for number in [0, 20, 31, 32, 127] {
        cases.add(
            format!("kind-{number}"),
            format!("a record of kind {number}"),
            [NO; 2],
            |b| {
                b.record([0, number << 24, 0], &[]);
            },
        );
    }
}

fn wide(cases: &mut Cases) {
    cases.add(
        "vlen-reserved-bit",
        "a function whose `vlen` has bit 16 set",
        [NO; 2],
        |b| {
            let proto = b.proto(0, &[]);
            let name = b.name("f");
            b.record([name, Info::new(Kind::Func, 1 << 16, false).0, proto], &[]);
        },
    );
    // 65,536 enumerators take half a megabyte, for which there is a test of its own.
    cases.add(
        "kind-reserved-bit-5",
        "an integer whose kind has bit 5 set",
        [NO; 2],
        |b| {
            b.words[1] |= 1 << 29;
        },
    );
    cases.add(
        "kind-reserved-bit-6",
        "an integer whose kind has bit 6 set",
        [NO; 2],
        |b| {
            b.words[1] |= 1 << 30;
        },
    );
}

fn ids(cases: &mut Cases) {
    // Nobody but the resolver, which users' types only go through, asks whether these exist.
    let refer = [
        (Kind::Ptr, [NO, YES]),
        (Kind::Volatile, [NO; 2]),
        (Kind::Const, [NO; 2]),
        (Kind::Restrict, [NO; 2]),
        (Kind::Typedef, [NO; 2]),
        (Kind::TypeTag, [NO; 2]),
        (Kind::Var, [NO, YES]),
        (Kind::Func, [NO, YES]),
        (Kind::FuncProto, [NO, YES]),
        (Kind::DeclTag, [NO, YES]),
    ];
    for (kind, missing) in refer {
        let word = kind.name().to_lowercase().replace('_', "-");
        cases.add(
            format!("{word}-of-missing"),
            format!("a {kind} of a type that does not exist"),
            missing,
            |b| {
                sample(b, kind, 0, false, Some(99));
            },
        );
        let is_checked = !matches!(kind, Kind::Func | Kind::FuncProto | Kind::DeclTag);
        let huge = if is_checked { NO } else { YES };
        cases.add(
            format!("{word}-of-id-limit"),
            format!("a {kind} of type 0x100000, which no kernel can have"),
            [NO, huge],
            |b| {
                sample(b, kind, 0, false, Some(0x10_0000));
            },
        );
        let void = match kind {
            Kind::Var => [NO; 2],
            Kind::Func | Kind::DeclTag => [NO, YES],
            _ => [YES; 2],
        };
        cases.add(
            format!("{word}-of-void"),
            format!("a {kind} of `void`"),
            void,
            |b| {
                sample(b, kind, 0, false, Some(0));
            },
        );
    }
    for (name, element, index, verdicts) in [
        ("array-of-void", 0, 1, [NO; 2]),
        ("array-by-void", 1, 0, [NO; 2]),
        ("array-of-missing", 99, 1, [NO, YES]),
        ("array-by-missing", 1, 99, [NO, YES]),
        ("array-of-id-limit", 0x10_0000, 1, [NO; 2]),
        ("array-by-id-limit", 1, 0x10_0000, [NO; 2]),
    ] {
        let about = format!("an array of type {element:#x}, its index of type {index:#x}");
        cases.add(name, about, verdicts, |b| {
            b.array(element, index, 2);
        });
    }
    for (name, ty, verdicts) in [
        ("void", 0, [NO; 2]),
        ("missing", 99, [NO, YES]),
        ("id-limit", 0x10_0000, [NO; 2]),
    ] {
        cases.add(
            format!("struct-of-{name}"),
            format!("a member of type {ty:#x}"),
            verdicts,
            |b| {
                b.composite("", 4, &[[0, ty, 0]]);
            },
        );
        cases.add(
            format!("datasec-of-{name}"),
            format!("a section with type {ty:#x}"),
            verdicts,
            |b| {
                b.datasec(".data", 4, &[[ty, 0, 4]]);
            },
        );
        let param = if ty == 0 { [YES; 2] } else { [NO, YES] };
        cases.add(
            format!("func-proto-with-{name}"),
            format!("a last parameter without a name of type {ty:#x}"),
            param,
            |b| {
                b.proto(0, &[[0, ty]]);
            },
        );
    }
}

fn functions(cases: &mut Cases) {
    for (linkage, verdict) in [(0, YES), (1, YES), (2, NO), (3, NO), (0xffff, NO)] {
        cases.add(
            format!("func-linkage-{linkage}"),
            format!("a function of linkage {linkage}"),
            [verdict; 2],
            |b| {
                let proto = b.proto(0, &[]);
                let name = b.name("f");
                b.raw(name, Kind::Func, linkage, proto, &[]);
            },
        );
    }
    cases.add(
        "func-of-int",
        "a function whose prototype is an integer",
        [NO, YES],
        |b| {
            b.named(Kind::Func, "f", 1, &[]);
        },
    );
    cases.add(
        "func-of-typedef",
        "a function whose prototype is a typedef of one",
        [NO, YES],
        |b| {
            let proto = b.proto(0, &[]);
            let alias = b.named(Kind::Typedef, "t", proto, &[]);
            b.named(Kind::Func, "f", alias, &[]);
        },
    );
}

fn variables(cases: &mut Cases) {
    for (linkage, verdict) in [(0, YES), (1, YES), (2, NO), (3, NO)] {
        cases.add(
            format!("var-linkage-{linkage}"),
            format!("a variable of linkage {linkage}"),
            [verdict; 2],
            |b| {
                b.named(Kind::Var, "v", 1, &[linkage]);
            },
        );
    }
}

fn tags(cases: &mut Cases) {
    for (component, verdicts) in [
        (-2, [NO; 2]),
        (i32::MIN, [NO; 2]),
        (-1, [YES; 2]),
        (0, [YES; 2]),
        (1, [NO, YES]),
        (i32::MAX, [NO, YES]),
    ] {
        let component = component.cast_unsigned();
        let about = |what| format!("a tag on component {component:#x} of {what}");
        cases.add(
            format!("decl-tag-struct-{component:x}"),
            about("a structure with one member"),
            verdicts,
            |b| {
                let ty = b.composite("s", 4, &[[0, 1, 0]]);
                b.named(Kind::DeclTag, "tag", ty, &[component]);
            },
        );
        cases.add(
            format!("decl-tag-func-{component:x}"),
            about("a function with one parameter"),
            verdicts,
            |b| {
                let param = b.name("p");
                let proto = b.proto(0, &[[param, 1]]);
                let func = b.named(Kind::Func, "f", proto, &[]);
                b.named(Kind::DeclTag, "tag", func, &[component]);
            },
        );
    }
    for (name, component, verdicts) in [("whole", u32::MAX, [YES; 2]), ("component", 0, [NO, YES])]
    {
        cases.add(
            format!("decl-tag-var-{name}"),
            format!("a tag on component {component:#x} of a variable"),
            verdicts,
            |b| {
                let var = b.named(Kind::Var, "v", 1, &[0]);
                b.named(Kind::DeclTag, "tag", var, &[component]);
            },
        );
        cases.add(
            format!("decl-tag-typedef-{name}"),
            format!("a tag on component {component:#x} of a typedef"),
            verdicts,
            |b| {
                let alias = b.named(Kind::Typedef, "t", 1, &[]);
                b.named(Kind::DeclTag, "tag", alias, &[component]);
            },
        );
    }
    cases.add(
        "decl-tag-union",
        "a tag on the member of a union",
        [YES; 2],
        |b| {
            let name = b.name("u");
            let ty = b.raw(name, Kind::Union, 1, 4, &[0, 1, 0]);
            b.named(Kind::DeclTag, "tag", ty, &[0]);
        },
    );
    for kind in [
        Kind::Ptr,
        Kind::Enum,
        Kind::Fwd,
        Kind::FuncProto,
        Kind::Datasec,
        Kind::Const,
        Kind::Float,
    ] {
        let word = kind.name().to_lowercase().replace('_', "-");
        cases.add(
            format!("decl-tag-{word}"),
            format!("a tag on a {kind}"),
            [NO, YES],
            |b| {
                sample(b, kind, 0, false, None);
                let target = b.next_id() - 1;
                b.named(Kind::DeclTag, "tag", target, &[u32::MAX]);
            },
        );
    }
    cases.add("decl-tag-int", "a tag on an integer", [NO, YES], |b| {
        b.named(Kind::DeclTag, "tag", 1, &[u32::MAX]);
    });
}

fn split(cases: &mut Cases) {
    cases.add_split(
        "module-plain",
        "a module's type that refers to the kernel's",
        YES,
        |b| {
            b.named(Kind::Typedef, "of_the_module", 2, &[]);
        },
    );
    cases.add_split(
        "module-no-strings",
        "a module without strings of its own",
        YES,
        |b| {
            b.ptr(2);
        },
    );
    cases.add_split(
        "module-kernel-name",
        "a name that is the kernel's",
        YES,
        |b| {
            b.raw(1, Kind::Fwd, 0, 0, &[]);
        },
    );
    cases.add_split("module-no-types", "a module with strings only", YES, |b| {
        b.name("unused");
    });
    cases.add_split(
        "module-name-outside",
        "a name behind the module's strings",
        NO,
        |b| {
            let end = b.end_string() + 1;
            b.raw(end, Kind::Fwd, 0, 0, &[]);
        },
    );
    cases.add_split(
        "module-missing",
        "a pointer to a type that neither has",
        YES,
        |b| {
            b.ptr(99);
        },
    );
    cases.add_split(
        "module-modifier-of-missing",
        "a modifier of a type that neither has",
        NO,
        |b| {
            b.constant(99);
        },
    );
    cases.add_split(
        "module-strings-not-ended",
        "the module's last string does not end",
        NO,
        |b| {
            b.named(Kind::Typedef, "of_the_module", 2, &[]);
            b.strings.pop();
        },
    );
    cases.add_split("module-member-order", "members that go back", NO, |b| {
        b.composite("s", 8, &[[0, 1, 32], [0, 1, 0]]);
    });
    cases.add_split(
        "module-member-place",
        "a member that ends behind its structure, which nobody sees",
        YES,
        |b| {
            b.composite("s", 4, &[[0, 1, 8]]);
        },
    );
}
