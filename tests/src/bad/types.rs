//! Broken or absurd types: cycles, sizes, offsets, references.

use super::dwarf::{
    AT_ABSTRACT_ORIGIN, AT_BIT_OFFSET, AT_BIT_SIZE, AT_BYTE_SIZE, AT_CONST_VALUE, AT_ENCODING,
    AT_LOCATION, AT_LOW_PC, AT_MEMBER_LOCATION, AT_NAME, AT_SPECIFICATION, AT_TYPE, AT_UPPER_BOUND,
    Abbreviation, FIRST_DIE, FORM_ADDR, FORM_DATA1, FORM_DATA2, FORM_DATA8, FORM_DATA16,
    FORM_EXPRLOC, FORM_REF_ADDR, FORM_REF_SIG8, FORM_REF4, FORM_STRING, TAG_ARRAY, TAG_BASE,
    TAG_CONST, TAG_ENUMERATION, TAG_ENUMERATOR, TAG_LLVM_ANNOTATION, TAG_MEMBER, TAG_POINTER,
    TAG_STRUCT, TAG_SUBPROGRAM, TAG_SUBRANGE, TAG_SUBROUTINE, TAG_TYPEDEF, TAG_VARIABLE, UNIT,
    abbreviations, file, join, one_unit, unit,
};
use super::{Bad, Row, make};

pub(super) fn all() -> Vec<Bad> {
    make(ROWS)
}

/// The first DIE below the unit's.
const FIRST: u32 = FIRST_DIE + 1;

const ROWS: &[Row] = &[
    ("cycle-typedef", "a typedef does not name itself", || {
        refers_to(TAG_TYPEDEF, FIRST)
    }),
    ("cycle-const", "const does not qualify itself", || {
        refers_to(TAG_CONST, FIRST)
    }),
    (
        "cycle-pointer",
        "a pointer does not point to itself",
        || refers_to(TAG_POINTER, FIRST),
    ),
    ("cycle-array", "an array is no element of itself", || {
        refers_to(TAG_ARRAY, FIRST)
    }),
    (
        "cycle-prototype",
        "a prototype does not return itself",
        || refers_to(TAG_SUBROUTINE, FIRST),
    ),
    (
        "cycle-typedef-const",
        "typedef and const do not alternate for ever",
        || {
            let rows: &[Abbreviation<'_>] = &[
                (TAG_TYPEDEF, false, NAMED),
                (TAG_CONST, false, &[(AT_TYPE, FORM_REF4)]),
            ];
            one_unit(
                rows,
                &join(&[
                    b"\x02t\0",
                    &(FIRST + 7).to_le_bytes(),
                    &[3],
                    &FIRST.to_le_bytes(),
                ]),
            )
        },
    ),
    (
        "cycle-structure",
        "a structure is no member of itself",
        || {
            structure(
                &[(AT_TYPE, FORM_REF4), (AT_MEMBER_LOCATION, FORM_DATA1)],
                &join(&[&FIRST.to_le_bytes(), &[0]]),
            )
        },
    ),
    (
        "member-behind-the-end",
        "a member begins in its structure or at its end",
        || {
            structure(
                &[(AT_TYPE, FORM_REF4), (AT_MEMBER_LOCATION, FORM_DATA1)],
                &join(&[&FIRST.to_le_bytes(), &[200]]),
            )
        },
    ),
    (
        "members-out-of-order",
        "members are in the order of their offsets",
        members_out_of_order,
    ),
    ("cycle-specification", "DW_AT_specification ends", || {
        origin(AT_SPECIFICATION)
    }),
    (
        "cycle-abstract-origin",
        "DW_AT_abstract_origin ends",
        || origin(AT_ABSTRACT_ORIGIN),
    ),
    (
        "chain-of-pointers",
        "pointers to pointers end after a few levels",
        || chain(TAG_POINTER),
    ),
    (
        "chain-of-typedefs",
        "typedefs of typedefs end after a few levels",
        || chain(TAG_CONST),
    ),
    ("reference-outside", "a reference lies in its unit", || {
        refers_to(TAG_TYPEDEF, 0xffff_fff0)
    }),
    (
        "reference-to-header",
        "a reference is to a DIE, not to the unit's header",
        || refers_to(TAG_TYPEDEF, 2),
    ),
    (
        "reference-into-a-die",
        "a reference is to the start of a DIE",
        || refers_to(TAG_TYPEDEF, FIRST + 1),
    ),
    ("reference-to-no-type", "a type is a type", || {
        refers_to(TAG_TYPEDEF, FIRST_DIE)
    }),
    (
        "reference-other-unit-outside",
        "DW_FORM_ref_addr lies in .debug_info",
        || {
            one_unit(
                &[(
                    TAG_TYPEDEF,
                    false,
                    &[(AT_NAME, FORM_STRING), (AT_TYPE, FORM_REF_ADDR)],
                )],
                b"\x02t\0\xf0\xff\xff\xff",
            )
        },
    ),
    (
        "reference-other-unit-no-type",
        "what DW_FORM_ref_addr leads to is a type",
        references_to_no_types,
    ),
    (
        "reference-unknown-signature",
        "a type unit has the signature",
        || {
            one_unit(
                &[(
                    TAG_TYPEDEF,
                    false,
                    &[(AT_NAME, FORM_STRING), (AT_TYPE, FORM_REF_SIG8)],
                )],
                b"\x02t\0signatur",
            )
        },
    ),
    (
        "integer-size-absurd",
        "an integer has at most 16 bytes",
        || integer(FORM_DATA8, &[0xff; 8]),
    ),
    ("integer-size-zero", "an integer has a size", || {
        integer(FORM_DATA1, &[0])
    }),
    ("integer-without-name", "an integer has a name", || {
        one_unit(&[(TAG_BASE, false, &[(AT_BYTE_SIZE, FORM_DATA1)])], &[2, 4])
    }),
    (
        "structure-size-absurd",
        "a structure's size fits 32 bits",
        || {
            one_unit(
                &[(
                    TAG_STRUCT,
                    false,
                    &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA8)],
                )],
                b"\x02s\0\xff\xff\xff\xff\xff\xff\xff\xff",
            )
        },
    ),
    (
        "member-offset-absurd",
        "a member lies in its structure",
        || structure(&[(AT_MEMBER_LOCATION, FORM_DATA8)], &[0xff; 8]),
    ),
    (
        "member-location-expression",
        "a member's location is a constant",
        || {
            structure(
                &[(AT_MEMBER_LOCATION, FORM_EXPRLOC)],
                &[5, 0x06, 0x12, 0x22, 0x06, 0x22],
            )
        },
    ),
    ("bitfield-size-absurd", "a bitfield fits its type", || {
        structure(
            &[(AT_BIT_SIZE, FORM_DATA2), (AT_BIT_OFFSET, FORM_DATA2)],
            &[0xff; 4],
        )
    }),
    (
        "structure-many-members",
        "a structure has at most 65,535 members",
        || {
            let rows: &[Abbreviation<'_>] = &[
                (
                    TAG_STRUCT,
                    true,
                    &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA1)],
                ),
                (TAG_MEMBER, false, &[]),
            ];
            // In a compressed section of a few hundred bytes, this would be millions.
            one_unit(rows, &join(&[b"\x02s\0\x01", &[3; 60_000], &[0]]))
        },
    ),
    ("array-count-absurd", "an array fits 32 bits", || {
        array(&[(AT_UPPER_BOUND, FORM_DATA8)], &[0xff; 8], 1)
    }),
    (
        "array-many-dimensions",
        "an array has a few dimensions",
        || array(&[(AT_UPPER_BOUND, FORM_DATA1)], &[9], 5000),
    ),
    (
        "array-bound-expression",
        "an upper bound is a constant or a reference",
        || array(&[(AT_UPPER_BOUND, FORM_EXPRLOC)], &[3, 0x2f, 0xfd, 0xff], 1),
    ),
    (
        "enumerator-of-16-bytes",
        "an enumerator fits 64 bits",
        || enumeration(FORM_DATA16, &[0xff; 16]),
    ),
    (
        "enumerator-without-value",
        "an enumerator has a value",
        || enumeration(FORM_STRING, b"text\0"),
    ),
    (
        "enumeration-size-absurd",
        "an enumeration has at most 8 bytes",
        || {
            one_unit(
                &[(
                    TAG_ENUMERATION,
                    false,
                    &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA1)],
                )],
                b"\x02e\0\x63",
            )
        },
    ),
    (
        "variable-address-absurd",
        "a variable lies in a section",
        || {
            let location = join(&[&[9, 0x03], &[0xff; 8]]);
            one_unit(
                &[(
                    TAG_VARIABLE,
                    false,
                    &[(AT_NAME, FORM_STRING), (AT_LOCATION, FORM_EXPRLOC)],
                )],
                &join(&[b"\x02v\0", &location]),
            )
        },
    ),
    ("location-endless", "a location expression ends", || {
        let location = join(&[&[4, 0x2f, 0xfd, 0xff, 0x96]]);
        one_unit(
            &[(
                TAG_VARIABLE,
                false,
                &[(AT_NAME, FORM_STRING), (AT_LOCATION, FORM_EXPRLOC)],
            )],
            &join(&[b"\x02v\0", &location]),
        )
    }),
];

const NAMED: &[(u64, u64)] = &[(AT_NAME, FORM_STRING), (AT_TYPE, FORM_REF4)];

/// One DIE with a name and a reference.
fn refers_to(tag: u64, target: u32) -> Vec<u8> {
    one_unit(
        &[(tag, false, NAMED)],
        &join(&[b"\x02t\0", &target.to_le_bytes()]),
    )
}

/// A typedef, a member and a pointer of the second unit that refer to the first one's root and to an enumerator of it.
fn references_to_no_types() -> Vec<u8> {
    let named: &[(u64, u64)] = &[(AT_NAME, FORM_STRING), (AT_TYPE, FORM_REF_ADDR)];
    let sized: &[(u64, u64)] = &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA1)];
    let rows = [
        UNIT,
        (TAG_ENUMERATION, true, sized),
        (
            TAG_ENUMERATOR,
            false,
            &[(AT_NAME, FORM_STRING), (AT_CONST_VALUE, FORM_DATA1)],
        ),
        (TAG_TYPEDEF, false, named),
        (TAG_STRUCT, true, sized),
        (TAG_MEMBER, false, named),
        (TAG_POINTER, false, &[(AT_TYPE, FORM_REF_ADDR)]),
    ];
    let (root, enumerator) = (FIRST_DIE.to_le_bytes(), (FIRST + 4).to_le_bytes());
    let first = unit(b"\x01\x02e\0\x04\x03v\0\x01\0\0");
    let typedef = join(&[b"\x04t\0", &root]);
    let structure = join(&[b"\x05s\0\x08\x06m\0", &enumerator, b"\0"]);
    let pointer = join(&[b"\x07", &enumerator, b"\0"]);
    let second = unit(&join(&[b"\x01", &typedef, &structure, &pointer]));
    file(abbreviations(&rows), join(&[&first, &second]))
}

/// A structure with one member of these attributes.
fn structure(attributes: &[(u64, u64)], values: &[u8]) -> Vec<u8> {
    let of_structure: &[(u64, u64)] = &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA1)];
    let rows = [
        (TAG_STRUCT, true, of_structure),
        (TAG_MEMBER, false, attributes),
    ];
    one_unit(&rows, &join(&[b"\x02s\0\x08\x03", values, &[0]]))
}

/// A structure with an integer each at the offsets 4, 0 and 200, which is behind its end; the second has a tag.
fn members_out_of_order() -> Vec<u8> {
    let of_member: &[(u64, u64)] = &[
        (AT_NAME, FORM_STRING),
        (AT_TYPE, FORM_REF4),
        (AT_MEMBER_LOCATION, FORM_DATA1),
    ];
    let rows: [Abbreviation<'_>; 5] = [
        (
            TAG_BASE,
            false,
            &[(AT_BYTE_SIZE, FORM_DATA1), (AT_ENCODING, FORM_DATA1)],
        ),
        (
            TAG_STRUCT,
            true,
            &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA1)],
        ),
        (TAG_MEMBER, false, of_member),
        (TAG_MEMBER, true, of_member),
        (
            TAG_LLVM_ANNOTATION,
            false,
            &[(AT_NAME, FORM_STRING), (AT_CONST_VALUE, FORM_STRING)],
        ),
    ];
    let int = FIRST.to_le_bytes();
    one_unit(
        &rows,
        &join(&[
            &[2, 4, 5],
            b"\x03s\0\x08",
            &join(&[b"\x04last\0", &int, &[4]]),
            &join(&[b"\x05first\0", &int, &[0]]),
            b"\x06btf_decl_tag\0tag\0\0",
            &join(&[b"\x04away\0", &int, &[200, 0]]),
        ]),
    )
}

/// A subprogram that refers to itself for what it lacks.
fn origin(attribute: u64) -> Vec<u8> {
    let attributes = [(attribute, FORM_REF4), (AT_LOW_PC, FORM_ADDR)];
    one_unit(
        &[(TAG_SUBPROGRAM, false, &attributes)],
        &join(&[&[2], &FIRST.to_le_bytes(), &0x1000_u64.to_le_bytes()]),
    )
}

/// Thousands of types, each referring to the next.
fn chain(tag: u64) -> Vec<u8> {
    let attributes = [(AT_TYPE, FORM_REF4)];
    let dies = (1..10_000).map(|index| join(&[&[2], &(FIRST + 5 * index).to_le_bytes()]));
    let dies: Vec<u8> = dies.flatten().collect();
    // The last one refers to a typedef of void.
    let end: &[(u64, u64)] = &[(AT_NAME, FORM_STRING)];
    one_unit(
        &[(tag, false, &attributes), (TAG_TYPEDEF, false, end)],
        &join(&[&dies, b"\x03t\0"]),
    )
}

fn integer(form: u64, size: &[u8]) -> Vec<u8> {
    let attributes = [
        (AT_NAME, FORM_STRING),
        (AT_BYTE_SIZE, form),
        (AT_ENCODING, FORM_DATA1),
    ];
    one_unit(
        &[(TAG_BASE, false, &attributes)],
        &join(&[b"\x02int\0", size, &[5]]),
    )
}

/// An array of itself's unit's first integer with so many equal dimensions.
fn array(attributes: &[(u64, u64)], values: &[u8], dimensions: usize) -> Vec<u8> {
    let integer: &[(u64, u64)] = &[
        (AT_NAME, FORM_STRING),
        (AT_BYTE_SIZE, FORM_DATA1),
        (AT_ENCODING, FORM_DATA1),
    ];
    let of_array: &[(u64, u64)] = &[(AT_TYPE, FORM_REF4)];
    let rows = [
        (TAG_BASE, false, integer),
        (TAG_ARRAY, true, of_array),
        (TAG_SUBRANGE, false, attributes),
    ];
    let dimension = join(&[&[4], values]);
    let dies = join(&[
        b"\x02int\0\x04\x05\x03",
        &FIRST.to_le_bytes(),
        &dimension.repeat(dimensions),
        &[0],
    ]);
    one_unit(&rows, &dies)
}

fn enumeration(form: u64, value: &[u8]) -> Vec<u8> {
    let of_enumeration: &[(u64, u64)] = &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA1)];
    let attributes = [(AT_NAME, FORM_STRING), (AT_CONST_VALUE, form)];
    let rows = [
        (TAG_ENUMERATION, true, of_enumeration),
        (TAG_ENUMERATOR, false, &attributes),
    ];
    one_unit(&rows, &join(&[b"\x02e\0\x04\x03E\0", value, &[0]]))
}
