//! Inputs that are too large for the corpus: what took the square or cube of their size, or very much memory, once.
//!
//! Each takes far longer than the test waits, or far more memory than it grants, as soon as something is no longer in
//! proportion to the input.

use super::dwarf::{
    AT_ABSTRACT_ORIGIN, AT_BYTE_SIZE, AT_LOW_PC, AT_MEMBER_LOCATION, AT_NAME, AT_TYPE, FIRST_DIE,
    FORM_ADDR, FORM_DATA1, FORM_DATA2, FORM_DATA4, FORM_REF_ADDR, FORM_REF4, FORM_STRING,
    FORM_STRP, TAG_LEXICAL_BLOCK, TAG_MEMBER, TAG_PARAMETER, TAG_POINTER, TAG_STRUCT,
    TAG_SUBPROGRAM, TAG_TYPEDEF, UNIT, abbreviations, file, file_with, join, one_unit, unit,
};
use super::image::section;
use super::{Bad, Row, make};
use crate::random::Random;

/// The bytes of an input of one-byte DIEs.
pub const DIES_LEN: usize = 1 << 19;

/// The tags of which there are files of [`DIES_LEN`] DIEs of one byte.
const TAGS: [u64; 24] = [
    0x01, 0x02, 0x04, 0x05, 0x0b, 0x0d, 0x0f, 0x10, 0x13, 0x15, 0x16, 0x17, 0x18, 0x1d, 0x21, 0x24,
    0x26, 0x28, 0x2e, 0x33, 0x34, 0x39, 0x3b, 0x47,
];

/// Inputs that take long if something is not in proportion to them.
#[must_use]
pub fn slow() -> Vec<Bad> {
    make(ROWS)
}

/// Inputs that take as much memory for their size as any: DIEs of one byte, of every tag that is read.
pub fn dense() -> impl Iterator<Item = (u64, Vec<u8>)> {
    TAGS.into_iter().map(|tag| {
        let dies = vec![2; DIES_LEN];
        (tag, one_unit(&[(tag, false, &[])], &dies))
    })
}

const ROWS: &[Row] = &[
    (
        "homonyms-in-a-chain",
        "reach is worked out once per component",
        || homonyms_in_a_chain(3000),
    ),
    (
        "homonyms-in-a-large-chain",
        "more homonyms than environments are made for",
        || homonyms_in_a_chain(9000),
    ),
    (
        "environments",
        "environments that hang together are found once",
        || environments(3000),
    ),
    (
        "environments-too-many",
        "environments are given up when they are too many",
        || environments(9000),
    ),
    (
        "overlapping-abbreviations",
        "abbreviation tables do not overlap",
        || {
            let table = [&[1, 0x11, 0, 0, 0].repeat(40_000)[..], &[0]].concat();
            let units = (0..40_000_u32).flat_map(|index| {
                let mut unit = unit(&[1]);
                unit[8..12].copy_from_slice(&(5 * index).to_le_bytes());
                unit
            });
            file(table, units.collect())
        },
    ),
    (
        "alternating-abbreviations",
        "a table that many units have is compiled once",
        || {
            let rows = [UNIT].repeat(2000);
            let table = abbreviations(&rows);
            let length = u32::try_from(table.len()).expect("small");
            let units = (0..40_000_u32).flat_map(|index| {
                let mut unit = unit(&[1, 0]);
                unit[8..12].copy_from_slice(&(index % 40 * length).to_le_bytes());
                unit
            });
            file(table.repeat(40), units.collect())
        },
    ),
    (
        "parameters-with-origins",
        "parameters find their origins at once",
        || parameters_with_origins(60_000),
    ),
    (
        "by-value-in-many-units",
        "a large type that others have by value is not read without end",
        || by_value_in_units(10_000, 3_000),
    ),
    (
        "overlapping-names",
        "names that overlap do not add up to the square of the input",
        || overlapping_names(10_000),
    ),
    (
        "nesting-too-deep",
        "DIEs are nested less than 65,536 deep",
        || one_unit(&[(TAG_LEXICAL_BLOCK, true, &[])], &vec![2; 1 << 20]),
    ),
];

/// Two units that define `count` structures differently, and in the first a chain of structures that lead to all.
fn homonyms_in_a_chain(count: u32) -> Vec<u8> {
    let rows = [
        UNIT,
        (
            TAG_STRUCT,
            false,
            &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA1)][..],
        ),
        (TAG_POINTER, false, &[(AT_TYPE, FORM_REF4)]),
        (
            TAG_STRUCT,
            true,
            &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA1)],
        ),
        (
            TAG_MEMBER,
            false,
            &[(AT_TYPE, FORM_REF4), (AT_MEMBER_LOCATION, FORM_DATA1)],
        ),
    ];
    let homonym_len = 10;
    let homonyms = |size| -> Vec<u8> {
        let one = |index| join(&[&[2], format!("h{index:06}\0").as_bytes(), &[size]]);
        (0..count).flat_map(one).collect()
    };
    let homonym = |index| FIRST_DIE + 1 + homonym_len * index;
    // Two pointers, and a structure with a member of each.
    let link_len = 5 + 5 + 10 + 6 + 6 + 1;
    let link = |index: u32| {
        let start = homonym(count) + link_len * index;
        let next = homonym(count) + link_len * (index + 1).min(count - 1) + 10;
        join(&[
            &[3],
            &next.to_le_bytes(),
            &[3],
            &homonym(index).to_le_bytes(),
            &[4],
            format!("c{index:06}\0").as_bytes(),
            &[16, 5],
            &start.to_le_bytes(),
            &[0, 5],
            &(start + 5).to_le_bytes(),
            &[8, 0],
        ])
    };
    let chain: Vec<u8> = (0..count).flat_map(link).collect();
    let first = unit(&join(&[&[1], &homonyms(1), &chain, &[0]]));
    let second = unit(&join(&[&[1], &homonyms(2), &[0]]));
    file(abbreviations(&rows), [first, second].concat())
}

/// Units that each define one structure in their own way, and one that points to it in the same way.
fn environments(count: u16) -> Vec<u8> {
    let named: &[(u64, u64)] = &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA2)];
    let rows = [
        UNIT,
        (TAG_STRUCT, false, named),
        (TAG_POINTER, false, &[(AT_TYPE, FORM_REF4)]),
        (TAG_STRUCT, true, named),
        (
            TAG_MEMBER,
            false,
            &[(AT_TYPE, FORM_REF4), (AT_MEMBER_LOCATION, FORM_DATA1)],
        ),
    ];
    let one = |size: u16| {
        let (slot, pointer) = (FIRST_DIE + 1, FIRST_DIE + 1 + 8);
        unit(&join(&[
            b"\x01\x02slot\0",
            &size.to_le_bytes(),
            &[3],
            &slot.to_le_bytes(),
            b"\x04bus\0\x08\0\x05",
            &pointer.to_le_bytes(),
            &[0, 0, 0],
        ]))
    };
    file(abbreviations(&rows), (1..=count).flat_map(one).collect())
}

/// A structure of `members` members, and `units` units with a structure each that has it as a member.
fn by_value_in_units(members: u32, units: usize) -> Vec<u8> {
    let sized: &[(u64, u64)] = &[(AT_NAME, FORM_STRING), (AT_BYTE_SIZE, FORM_DATA4)];
    let rows = [
        UNIT,
        (TAG_STRUCT, true, sized),
        (TAG_MEMBER, false, &[(AT_TYPE, FORM_REF4)]),
        (TAG_MEMBER, false, &[(AT_TYPE, FORM_REF_ADDR)]),
    ];
    let structure = FIRST_DIE + 1;
    // Of type void, so that each is a finding.
    let member = join(&[&[3], &0_u32.to_le_bytes()]);
    let size = members.to_le_bytes();
    let large = join(&[
        b"\x01\x02l\0",
        &size,
        &member.repeat(members as usize),
        b"\0\0",
    ]);
    let user = join(&[
        b"\x01\x02u\0",
        &size,
        b"\x04",
        &structure.to_le_bytes(),
        b"\0\0",
    ]);
    let info = join(&[&unit(&large), &unit(&user).repeat(units)]);
    file(abbreviations(&rows), info)
}

/// Typedefs whose names are one string from each of its bytes on.
fn overlapping_names(count: u32) -> Vec<u8> {
    let mut random = Random::new(7);
    let letters = b"abcdefghijklmnopqrst";
    let text = (0..count).map(|_| letters[random.below(letters.len())]);
    let strings: Vec<u8> = text.chain([0]).collect();
    let rows = [UNIT, (TAG_TYPEDEF, false, &[(AT_NAME, FORM_STRP)][..])];
    let typedefs = (0..count).flat_map(|offset| join(&[&[2], &offset.to_le_bytes()]));
    let dies = join(&[&[1], &typedefs.collect::<Vec<u8>>(), &[0]]);
    let more = vec![section(".debug_str", strings)];
    file_with(abbreviations(&rows), unit(&dies), more)
}

/// A function of many parameters, and an instance of it.
fn parameters_with_origins(count: u32) -> Vec<u8> {
    let rows = [
        (TAG_SUBPROGRAM, true, &[(AT_NAME, FORM_STRING)][..]),
        (
            TAG_SUBPROGRAM,
            true,
            &[(AT_ABSTRACT_ORIGIN, FORM_REF4), (AT_LOW_PC, FORM_ADDR)],
        ),
        (TAG_PARAMETER, false, &[(AT_NAME, FORM_STRING)]),
        (TAG_PARAMETER, false, &[(AT_ABSTRACT_ORIGIN, FORM_REF4)]),
    ];
    let function = FIRST_DIE + 1;
    let first = function + 10;
    let origins = (0..count).flat_map(|index| join(&[&[5], &(first + 3 * index).to_le_bytes()]));
    one_unit(
        &rows,
        &join(&[
            b"\x02function\0",
            &b"\x04p\0".repeat(count as usize),
            &[0, 3],
            &function.to_le_bytes(),
            &0x1000_u64.to_le_bytes(),
            &origins.collect::<Vec<u8>>(),
            &[0],
        ]),
    )
}
