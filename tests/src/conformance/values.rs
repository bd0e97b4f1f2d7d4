//! Numbers: bits and sizes of integers, enumerations and floats, where members and variables lie.

use btf_core::kind::Kind;

use super::{Cases, NO, YES};

pub(super) fn add(cases: &mut Cases) {
    integers(cases);
    enumerations(cases);
    floats(cases);
    offsets(cases);
    places(cases);
    bitfields(cases);
    old_bitfields(cases);
    sections(cases);
}

fn integers(cases: &mut Cases) {
    for (size, bits, verdict) in [
        (1, 8, YES),
        (2, 16, YES),
        (4, 0, YES),
        (4, 5, YES),
        (4, 31, YES),
        (4, 32, YES),
        (4, 33, NO),
        (8, 64, YES),
        (8, 65, NO),
        (16, 128, YES),
        (16, 129, NO),
        (32, 128, YES),
        (32, 129, NO),
        (0, 0, YES),
        (0, 1, NO),
        (3, 24, YES),
        (u32::MAX, 32, YES),
    ] {
        let about = format!("an integer of {bits} bits in {size} bytes");
        cases.add(
            format!("int-size-{size}-bits-{bits}"),
            about,
            [verdict; 2],
            |b| {
                b.named(Kind::Int, "i", size, &[bits]);
            },
        );
    }
    for (offset, bits, verdict) in [
        (0, 32, YES),
        (1, 31, YES),
        (1, 32, NO),
        (31, 1, YES),
        (32, 0, YES),
        (33, 0, NO),
    ] {
        let about = format!("an integer of {bits} bits from bit {offset} on in 4 bytes");
        cases.add(
            format!("int-offset-{offset}-bits-{bits}"),
            about,
            [verdict; 2],
            |b| {
                b.named(Kind::Int, "i", 4, &[offset << 16 | bits]);
            },
        );
    }
    for (offset, bits, verdict) in [(120, 8, YES), (121, 8, NO), (255, 255, NO)] {
        let about = format!("an integer of {bits} bits from bit {offset} on in 64 bytes");
        cases.add(
            format!("int-sum-{offset}-{bits}"),
            about,
            [verdict; 2],
            |b| {
                b.named(Kind::Int, "i", 64, &[offset << 16 | bits]);
            },
        );
    }
    for encoding in 0..16 {
        let verdict = if matches!(encoding, 0 | 1 | 2 | 4) {
            YES
        } else {
            NO
        };
        let about = format!("an integer whose encoding is {encoding}");
        cases.add(
            format!("int-encoding-{encoding}"),
            about,
            [verdict; 2],
            |b| {
                b.named(Kind::Int, "i", 4, &[encoding << 24 | 32]);
            },
        );
    }
    for bit in [8, 15, 28, 31] {
        // The kernel looks at the upper ones only.
        let verdict = if bit < 16 { YES } else { NO };
        let about = format!("an integer with the unused bit {bit} set");
        cases.add(format!("int-unused-bit-{bit}"), about, [verdict; 2], |b| {
            b.named(Kind::Int, "i", 4, &[1 << bit | 32]);
        });
    }
}

fn enumerations(cases: &mut Cases) {
    for (kind, word) in [(Kind::Enum, "enum"), (Kind::Enum64, "enum64")] {
        for (size, verdict) in [
            (0, NO),
            (1, YES),
            (2, YES),
            (3, NO),
            (4, YES),
            (6, NO),
            (8, YES),
            (16, NO),
        ] {
            cases.add(
                format!("{word}-size-{size}"),
                format!("an {kind} of {size} bytes"),
                [verdict; 2],
                |b| {
                    b.named(kind, "e", size, &[]);
                },
            );
        }
        cases.add(
            format!("{word}-values"),
            format!("an {kind} with two values"),
            [YES; 2],
            |b| {
                let (name, one, two) = (b.name("e"), b.name("ONE"), b.name("TWO"));
                let words = kind.info().element.len();
                let mut rest = vec![0; 2 * words];
                rest[0] = one;
                rest[words] = two;
                rest[1] = u32::MAX;
                b.flagged(name, kind, 2, 8, &rest);
            },
        );
    }
}

fn floats(cases: &mut Cases) {
    for size in [0, 1, 2, 3, 4, 8, 10, 12, 16, 32] {
        let verdict = if matches!(size, 2 | 4 | 8 | 12 | 16) {
            YES
        } else {
            NO
        };
        cases.add(
            format!("float-size-{size}"),
            format!("a floating-point number of {size} bytes"),
            [verdict; 2],
            |b| {
                b.named(Kind::Float, "f", size, &[]);
            },
        );
    }
}

/// What the record of a structure tells by itself.
fn offsets(cases: &mut Cases) {
    cases.add(
        "struct-empty",
        "a structure of no members and 0 bytes",
        [YES; 2],
        |b| {
            b.composite("s", 0, &[]);
        },
    );
    cases.add(
        "struct-order",
        "members that follow each other",
        [YES; 2],
        |b| {
            b.composite("s", 8, &[[0, 1, 0], [0, 1, 32]]);
        },
    );
    cases.add(
        "struct-order-same",
        "two members at the same place",
        [YES; 2],
        |b| {
            b.composite("s", 4, &[[0, 1, 0], [0, 1, 0]]);
        },
    );
    cases.add(
        "struct-order-back",
        "a member in front of the former one",
        [NO; 2],
        |b| {
            b.composite("s", 8, &[[0, 1, 32], [0, 1, 0]]);
        },
    );
    cases.add(
        "struct-start-behind",
        "a member that starts behind the end",
        [NO; 2],
        |b| {
            b.composite("s", 4, &[[0, 1, 33]]);
        },
    );
    cases.add(
        "struct-start-far",
        "a member that starts at bit 0xffffffff",
        [NO; 2],
        |b| {
            b.composite("s", 4, &[[0, 1, u32::MAX]]);
        },
    );
    cases.add(
        "struct-flexible",
        "an array without elements at the end",
        [YES; 2],
        |b| {
            let array = b.array(1, 1, 0);
            b.composite("s", 4, &[[0, 1, 0], [0, array, 32]]);
        },
    );
    cases.add(
        "union-places",
        "members of a union at its start",
        [YES; 2],
        |b| {
            let name = b.name("u");
            b.raw(name, Kind::Union, 2, 4, &[0, 1, 0, 0, 1, 0]);
        },
    );
    cases.add(
        "union-place-8",
        "a member of a union at bit 8",
        [NO; 2],
        |b| {
            let name = b.name("u");
            b.raw(name, Kind::Union, 1, 8, &[0, 1, 8]);
        },
    );
}

/// What the resolver says about members, which only users' types meet.
fn places(cases: &mut Cases) {
    cases.add(
        "member-int-inside",
        "an integer at the end of its structure",
        [YES; 2],
        |b| {
            b.composite("s", 8, &[[0, 1, 32]]);
        },
    );
    cases.add(
        "member-int-behind",
        "an integer that ends behind its structure",
        [NO, YES],
        |b| {
            b.composite("s", 8, &[[0, 1, 33]]);
        },
    );
    cases.add(
        "member-int-unaligned",
        "an integer that starts at bit 1, as a bitfield of the old form",
        [YES; 2],
        |b| {
            b.composite("s", 8, &[[0, 1, 1]]);
        },
    );
    cases.add(
        "member-int128-shifted",
        "an integer of 128 bits at bit 1, more than the kernel copies",
        [NO, YES],
        |b| {
            let int = b.named(Kind::Int, "__int128", 16, &[128]);
            b.composite("s", 32, &[[0, int, 1]]);
        },
    );
    cases.add("member-int128", "an integer of 128 bits", [YES; 2], |b| {
        let int = b.named(Kind::Int, "__int128", 16, &[128]);
        b.composite("s", 32, &[[0, int, 64]]);
    });
    for (name, offset, size, verdicts) in [
        ("inside", 64, 16, [YES; 2]),
        ("behind", 72, 16, [NO, YES]),
        ("unaligned", 4, 16, [NO, YES]),
        ("small", 0, 4, [NO, YES]),
    ] {
        let about = |what| format!("{what} at bit {offset} of a structure of {size} bytes");
        cases.add(
            format!("member-ptr-{name}"),
            about("a pointer"),
            verdicts,
            |b| {
                let ptr = b.ptr(0);
                b.composite("s", size, &[[0, ptr, offset]]);
            },
        );
        cases.add(
            format!("member-array-{name}"),
            about("an array of 8 bytes"),
            verdicts,
            |b| {
                let array = b.array(1, 1, 2);
                b.composite("s", size, &[[0, array, offset]]);
            },
        );
        cases.add(
            format!("member-struct-{name}"),
            about("a structure of 8 bytes"),
            verdicts,
            |b| {
                let inner = b.composite("inner", 8, &[]);
                b.composite("s", size, &[[0, inner, offset]]);
            },
        );
        cases.add(
            format!("member-enum-{name}"),
            about("an enumeration of 8 bytes"),
            verdicts,
            |b| {
                let inner = b.named(Kind::Enum64, "e", 8, &[]);
                b.composite("s", size, &[[0, inner, offset]]);
            },
        );
        cases.add(
            format!("member-float-{name}"),
            about("a double"),
            verdicts,
            |b| {
                let inner = b.named(Kind::Float, "double", 8, &[]);
                b.composite("s", size, &[[0, inner, offset]]);
            },
        );
        cases.add(
            format!("member-typedef-{name}"),
            about("a typedef of a pointer"),
            verdicts,
            |b| {
                let ptr = b.ptr(0);
                let alias = b.named(Kind::Typedef, "t", ptr, &[]);
                b.composite("s", size, &[[0, alias, offset]]);
            },
        );
    }
    for (size, offset, verdict) in [
        (8, 32, NO),
        (16, 64, YES),
        (16, 32, NO),
        (4, 32, YES),
        (4, 16, NO),
        (2, 16, YES),
    ] {
        let about = format!("a floating-point number of {size} bytes at bit {offset}");
        cases.add(
            format!("member-float-{size}-at-{offset}"),
            about,
            [verdict, YES],
            |b| {
                let float = b.named(Kind::Float, "f", size, &[]);
                b.composite("s", 32, &[[0, float, offset]]);
            },
        );
    }
}

/// Bitfields as they are written today.
fn bitfields(cases: &mut Cases) {
    let at = |bits: u32, offset: u32| bits << 24 | offset;
    cases.add("bitfield-int", "three bits of an integer", [YES; 2], |b| {
        b.bitfields(4, &[[0, 1, at(3, 0)], [0, 1, at(29, 3)]]);
    });
    cases.add(
        "bitfield-int-33",
        "33 bits of an integer of 32",
        [NO, YES],
        |b| {
            b.bitfields(8, &[[0, 1, at(33, 0)]]);
        },
    );
    cases.add(
        "bitfield-int-behind",
        "a bitfield that ends behind its structure",
        [NO, YES],
        |b| {
            b.bitfields(4, &[[0, 1, at(3, 30)]]);
        },
    );
    cases.add(
        "bitfield-int-whole",
        "a member that is no bitfield beside one",
        [YES; 2],
        |b| {
            b.bitfields(8, &[[0, 1, at(3, 0)], [0, 1, at(0, 32)]]);
        },
    );
    cases.add(
        "bitfield-int-whole-unaligned",
        "a member that is no bitfield at bit 4",
        [NO, YES],
        |b| {
            b.bitfields(8, &[[0, 1, at(0, 4)]]);
        },
    );
    cases.add(
        "bitfield-old-int",
        "a bitfield of an integer that is one itself",
        [NO, YES],
        |b| {
            let old = b.named(Kind::Int, "old", 4, &[5]);
            b.bitfields(4, &[[0, old, at(3, 0)]]);
        },
    );
    cases.add(
        "bitfield-int-of-24-bits",
        "a bitfield of an integer of 24 bits",
        [NO, YES],
        |b| {
            let odd = b.named(Kind::Int, "odd", 3, &[24]);
            b.bitfields(4, &[[0, odd, at(3, 0)]]);
        },
    );
    cases.add(
        "bitfield-enum",
        "32 bits of an enumeration",
        [YES; 2],
        |b| {
            let e = b.named(Kind::Enum, "e", 4, &[]);
            b.bitfields(4, &[[0, e, at(32, 0)]]);
        },
    );
    cases.add(
        "bitfield-enum-33",
        "33 bits of an enumeration",
        [NO, YES],
        |b| {
            let e = b.named(Kind::Enum64, "e", 8, &[]);
            b.bitfields(8, &[[0, e, at(33, 0)]]);
        },
    );
    cases.add(
        "bitfield-enum64-whole",
        "an enumeration of 8 bytes in 4, of which the kernel sees 4 only",
        [YES; 2],
        |b| {
            let e = b.named(Kind::Enum64, "e", 8, &[]);
            b.bitfields(4, &[[0, e, at(0, 0)]]);
        },
    );
    cases.add(
        "bitfield-enum-small",
        "an enumeration of one byte in one, of which the kernel wants 4",
        [NO, YES],
        |b| {
            let e = b.named(Kind::Enum, "e", 1, &[]);
            b.bitfields(1, &[[0, e, at(0, 0)]]);
        },
    );
    cases.add(
        "bitfield-enum-unaligned",
        "an enumeration that is no bitfield at bit 4",
        [NO, YES],
        |b| {
            let e = b.named(Kind::Enum, "e", 4, &[]);
            b.bitfields(8, &[[0, e, at(0, 4)]]);
        },
    );
    cases.add("bitfield-ptr", "three bits of a pointer", [NO, YES], |b| {
        let ptr = b.ptr(0);
        b.bitfields(8, &[[0, ptr, at(3, 0)]]);
    });
    cases.add(
        "bitfield-beside-ptr",
        "a pointer beside a bitfield",
        [YES; 2],
        |b| {
            let ptr = b.ptr(0);
            b.bitfields(16, &[[0, 1, at(3, 0)], [0, ptr, at(0, 64)]]);
        },
    );
    cases.add(
        "bitfield-typedef",
        "three bits of a typedef of an integer",
        [YES; 2],
        |b| {
            let alias = b.named(Kind::Typedef, "t", 1, &[]);
            b.bitfields(4, &[[0, alias, at(3, 0)]]);
        },
    );
    cases.add(
        "bitfield-struct",
        "three bits of a structure",
        [NO, YES],
        |b| {
            let s = b.composite("s", 4, &[]);
            b.bitfields(4, &[[0, s, at(3, 0)]]);
        },
    );
    cases.add(
        "bitfield-union-offset",
        "a bitfield of a union at bit 3",
        [NO; 2],
        |b| {
            b.flagged(0, Kind::Union, 1, 4, &[0, 1, at(3, 3)]);
        },
    );
    cases.add("bitfield-order", "bitfields that go back", [NO; 2], |b| {
        b.bitfields(4, &[[0, 1, at(3, 3)], [0, 1, at(3, 0)]]);
    });
}

/// Bitfields whose integer says how many bits there are.
fn old_bitfields(cases: &mut Cases) {
    cases.add(
        "old-bitfield",
        "an integer of five bits in a byte",
        [YES; 2],
        |b| {
            let bits = b.named(Kind::Int, "bits", 4, &[5]);
            b.composite("s", 1, &[[0, bits, 3]]);
        },
    );
    cases.add(
        "old-bitfield-behind",
        "an integer of five bits that ends behind its structure",
        [NO, YES],
        |b| {
            let bits = b.named(Kind::Int, "bits", 4, &[5]);
            b.composite("s", 1, &[[0, bits, 4]]);
        },
    );
    cases.add(
        "old-bitfield-offset",
        "an integer of five bits from its bit 3 on",
        [YES; 2],
        |b| {
            let bits = b.named(Kind::Int, "bits", 4, &[3 << 16 | 5]);
            b.composite("s", 1, &[[0, bits, 0]]);
        },
    );
    cases.add(
        "old-bitfield-offset-behind",
        "the same at bit 1, beyond the byte",
        [NO, YES],
        |b| {
            let bits = b.named(Kind::Int, "bits", 4, &[3 << 16 | 5]);
            b.composite("s", 1, &[[0, bits, 1]]);
        },
    );
}

fn sections(cases: &mut Cases) {
    for (name, about, size, entries, verdict) in [
        ("one", "a section with one variable", 4, vec![(0, 4)], YES),
        (
            "holes",
            "a section with room between variables",
            64,
            vec![(4, 4), (32, 4)],
            YES,
        ),
        ("size-0", "a section of 0 bytes", 0, vec![], NO),
        ("entry-size-0", "a variable of 0 bytes", 4, vec![(0, 0)], NO),
        (
            "entry-behind",
            "a variable that ends behind the section",
            4,
            vec![(1, 4)],
            NO,
        ),
        (
            "entry-at-end",
            "a variable that starts at the end",
            4,
            vec![(4, 4)],
            NO,
        ),
        (
            "entry-large",
            "a variable larger than the section",
            4,
            vec![(0, 5)],
            NO,
        ),
        (
            "entry-overlap",
            "variables that overlap",
            8,
            vec![(0, 4), (3, 4)],
            NO,
        ),
        (
            "entry-order",
            "variables that go back",
            8,
            vec![(4, 4), (0, 4)],
            NO,
        ),
        (
            "entry-wraps",
            "an offset and a size that come to more than 32 bits",
            8,
            vec![(0xffff_fffc, 8)],
            NO,
        ),
    ] {
        cases.add(format!("datasec-{name}"), about, [verdict; 2], |b| {
            let var = b.named(Kind::Var, "v", 1, &[0]);
            let entries: Vec<_> = entries
                .iter()
                .map(|&(offset, size)| [var, offset, size])
                .collect();
            b.datasec(".data", size, &entries);
        });
    }
    cases.add(
        "datasec-entry-small",
        "an entry smaller than its variable",
        [NO, YES],
        |b| {
            let var = b.named(Kind::Var, "v", 1, &[0]);
            b.datasec(".data", 8, &[[var, 0, 3]]);
        },
    );
    cases.add(
        "datasec-entry-small-unseen",
        "an entry smaller than its variable, which stands behind it: the kernel resolves it and forgets the check",
        [YES; 2],
        |b| {
            let next = b.next_id() + 1;
            b.datasec(".data", 8, &[[next, 0, 3]]);
            b.named(Kind::Var, "v", 1, &[0]);
        },
    );
    cases.add(
        "datasec-of-func",
        "a section with a function, as `.ksyms` before it is loaded",
        [NO, YES],
        |b| {
            let proto = b.proto(0, &[]);
            let func = b.named(Kind::Func, "f", proto, &[]);
            b.datasec(".ksyms", 8, &[[func, 0, 8]]);
        },
    );
    cases.add(
        "datasec-of-int",
        "a section with an integer",
        [NO, YES],
        |b| {
            b.datasec(".data", 8, &[[1, 0, 4]]);
        },
    );
}
