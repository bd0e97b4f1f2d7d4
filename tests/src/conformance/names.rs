//! Names: which kinds have them, and of what bytes.

use btf_core::kind::Kind;

use super::{Blob, Cases, NO, Verdict, YES, since};

pub(super) fn add(cases: &mut Cases) {
    offsets(cases);
    presence(cases);
    identifiers(cases);
    members(cases);
    sections(cases);
    tags(cases);
}

fn offsets(cases: &mut Cases) {
    for (name, about, offset) in [
        ("behind", "a name behind the strings", 100),
        ("huge", "a name at offset 0x1000000", 0x100_0000),
        ("negative", "a name at offset 0xffffffff", u32::MAX),
    ] {
        cases.add(format!("name-{name}"), about, [NO; 2], |b| {
            b.raw(offset, Kind::Int, 0, 4, &[32]);
        });
    }
    cases.add(
        "name-last",
        "a name that is the last byte of the strings",
        [YES; 2],
        |b| {
            b.raw(4, Kind::Int, 0, 4, &[32]);
        },
    );
    cases.add(
        "name-next",
        "a name one byte behind the strings",
        [NO; 2],
        |b| {
            b.raw(5, Kind::Int, 0, 4, &[32]);
        },
    );
}

/// A type of the kind with that name.
fn named(b: &mut Blob, kind: Kind, name: u32) {
    let third = match kind {
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
    b.raw(name, kind, 0, third, rest);
}

fn presence(cases: &mut Cases) {
    for kind in Kind::ALL {
        let word = kind.name().to_lowercase().replace('_', "-");
        let is_nameless = matches!(
            kind,
            Kind::Ptr
                | Kind::Array
                | Kind::Volatile
                | Kind::Const
                | Kind::Restrict
                | Kind::FuncProto
        );
        let must = matches!(
            kind,
            Kind::Typedef
                | Kind::Fwd
                | Kind::Func
                | Kind::Var
                | Kind::Datasec
                | Kind::DeclTag
                | Kind::TypeTag
        );
        let verdict = if must { NO } else { YES };
        cases.add(
            format!("name-{word}-none"),
            format!("a {kind} without a name"),
            [verdict; 2],
            |b| {
                named(b, kind, 0);
            },
        );
        let verdict = if is_nameless { NO } else { YES };
        cases.add(
            format!("name-{word}-some"),
            format!("a {kind} with a name"),
            [verdict; 2],
            |b| {
                let name = b.name("name");
                named(b, kind, name);
            },
        );
        // An offset that is not 0 claims a name.
        let is_free = matches!(kind, Kind::Int | Kind::Float);
        let verdict = if is_free { YES } else { NO };
        cases.add(
            format!("name-{word}-empty"),
            format!("a {kind} whose name is an empty string, not at 0"),
            [verdict; 2],
            |b| {
                named(b, kind, 4);
            },
        );
    }
}

/// Names, and whether they are identifiers.
fn spellings() -> Vec<(&'static str, Vec<u8>, bool)> {
    vec![
        ("underscore", b"_a1".to_vec(), true),
        ("dots", b".a.b.1".to_vec(), true),
        ("latin-1", b"na\xefve".to_vec(), true),
        ("digit-first", b"1a".to_vec(), false),
        ("space", b"a b".to_vec(), false),
        ("dollar", b"a$b".to_vec(), false),
        ("colons", b"a::b".to_vec(), false),
        ("template", b"Vec<u8>".to_vec(), false),
        ("control", b"a\x01".to_vec(), false),
        ("times", b"a\xd7".to_vec(), false),
        ("length-512", vec![b'x'; 512], true),
        ("length-513", vec![b'x'; 513], false),
    ]
}

fn identifiers(cases: &mut Cases) {
    for (spelling, name, is_identifier) in spellings() {
        for kind in [Kind::Typedef, Kind::Struct, Kind::Func, Kind::Int] {
            let word = kind.name().to_lowercase();
            let verdict = if is_identifier || kind == Kind::Int {
                YES
            } else {
                NO
            };
            let about = format!("a {kind} whose name has this spelling: {spelling}");
            cases.add(
                format!("spelling-{word}-{spelling}"),
                about,
                [verdict; 2],
                |b| {
                    let name = b.name(&name);
                    named(b, kind, name);
                },
            );
        }
    }
    for (kind, word) in [
        (Kind::Fwd, "fwd"),
        (Kind::Var, "var"),
        (Kind::Union, "union"),
        (Kind::Enum, "enum"),
        (Kind::Enum64, "enum64"),
    ] {
        cases.add(
            format!("spelling-{word}-space"),
            format!("a {kind} whose name has a space"),
            [NO; 2],
            |b| {
                let name = b.name("a b");
                named(b, kind, name);
            },
        );
    }
    cases.add(
        "spelling-float-space",
        "a FLOAT whose name has a space",
        [YES; 2],
        |b| {
            let name = b.name("long double");
            named(b, Kind::Float, name);
        },
    );
}

/// A type of the kind with one element of that name.
fn element(b: &mut Blob, kind: Kind, name: u32) {
    let own = if kind == Kind::FuncProto {
        0
    } else {
        b.name("own")
    };
    let rest: &[u32] = match kind {
        Kind::Enum => &[name, 0],
        Kind::FuncProto => &[name, 1],
        Kind::Enum64 => &[name, 0, 0],
        _ => &[name, 1, 0],
    };
    let third = if kind == Kind::FuncProto { 0 } else { 4 };
    b.raw(own, kind, 1, third, rest);
}

fn members(cases: &mut Cases) {
    for (kind, word) in [
        (Kind::Struct, "member"),
        (Kind::Union, "union-member"),
        (Kind::Enum, "enumerator"),
        (Kind::Enum64, "enumerator64"),
        (Kind::FuncProto, "param"),
    ] {
        // The kernel looks at parameters when it resolves prototypes, which it does for users.
        let no = if kind == Kind::FuncProto {
            [NO, YES]
        } else {
            [NO; 2]
        };
        let none = if matches!(kind, Kind::Enum | Kind::Enum64) {
            [NO; 2]
        } else {
            [YES; 2]
        };
        cases.add(
            format!("name-{word}-none"),
            format!("the element of a {kind} without a name"),
            none,
            |b| {
                element(b, kind, 0);
            },
        );
        cases.add(
            format!("name-{word}-some"),
            format!("the element of a {kind} with a name"),
            [YES; 2],
            |b| {
                let name = b.name("element");
                element(b, kind, name);
            },
        );
        cases.add(
            format!("name-{word}-space"),
            format!("the element of a {kind} whose name has a space"),
            no,
            |b| {
                let name = b.name("an element");
                element(b, kind, name);
            },
        );
        cases.add(
            format!("name-{word}-behind"),
            format!("the element of a {kind} whose name is behind the strings"),
            no,
            |b| {
                element(b, kind, 1000);
            },
        );
        cases.add(
            format!("name-{word}-empty"),
            format!("the element of a {kind} whose name is an empty string, not at 0"),
            no,
            |b| {
                element(b, kind, 4);
            },
        );
    }
    cases.add(
        "param-of-func-none",
        "a function with a parameter without a name",
        [NO, YES],
        |b| {
            let proto = b.proto(0, &[[0, 1]]);
            b.named(Kind::Func, "f", proto, &[]);
        },
    );
    cases.add(
        "param-variadic",
        "a function with a parameter and `...`",
        [YES; 2],
        |b| {
            let name = b.name("p");
            let proto = b.proto(0, &[[name, 1], [0, 0]]);
            b.named(Kind::Func, "f", proto, &[]);
        },
    );
    cases.add(
        "param-variadic-first",
        "`...` in front of a parameter",
        [NO, YES],
        |b| {
            let name = b.name("p");
            b.proto(0, &[[0, 0], [name, 1]]);
        },
    );
    cases.add(
        "param-variadic-named",
        "`...` with a name",
        [NO, YES],
        |b| {
            let name = b.name("p");
            b.proto(0, &[[name, 0]]);
        },
    );
}

fn sections(cases: &mut Cases) {
    let printable: Verdict = since(6, 11);
    for (spelling, name, verdict) in [
        ("dots", b".data..percpu".to_vec(), YES),
        ("question", b"?.struct_ops".to_vec(), since(6, 9)),
        ("question-inside", b"a?b".to_vec(), printable),
        ("digit-first", b"1a".to_vec(), printable),
        ("space", b"a b".to_vec(), printable),
        ("slashes", b"tp/syscalls/sys_enter".to_vec(), printable),
        ("latin-1", b"\xa0".to_vec(), printable),
        ("control", b"a\x01".to_vec(), NO),
        ("delete", b"a\x7f".to_vec(), NO),
        ("c1", b"a\x80".to_vec(), NO),
        ("length-512", vec![b'x'; 512], YES),
        ("length-513", vec![b'x'; 513], NO),
    ] {
        let about = format!("a section whose name has this spelling: {spelling}");
        cases.add(
            format!("section-name-{spelling}"),
            about,
            [verdict; 2],
            |b| {
                b.datasec(&name, 4, &[]);
            },
        );
    }
}

fn tags(cases: &mut Cases) {
    for (kind, word) in [(Kind::TypeTag, "type-tag"), (Kind::DeclTag, "decl-tag")] {
        cases.add(
            format!("text-{word}-any"),
            format!("a {kind} whose text is no name"),
            [YES; 2],
            |b| {
                let name = b.name("any text: \x01, \u{e9}");
                named(b, kind, name);
            },
        );
        cases.add(
            format!("text-{word}-long"),
            format!("a {kind} with 600 bytes of text"),
            [YES; 2],
            |b| {
                let name = b.name(vec![b't'; 600]);
                named(b, kind, name);
            },
        );
    }
}
