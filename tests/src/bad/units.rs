//! Broken units: headers, abbreviations, forms, strings, nesting, siblings.

use super::dwarf::{
    AT_BYTE_SIZE, AT_IMPORT, AT_LOCATION, AT_LOW_PC, AT_NAME, AT_SIBLING, Abbreviation, FIRST_DIE,
    FORM_ADDR, FORM_ADDRX1, FORM_BLOCK4, FORM_DATA1, FORM_INDIRECT, FORM_LOCLISTX, FORM_REF_ADDR,
    FORM_REF4, FORM_STRING, FORM_STRP, FORM_STRX1, TAG_BASE, TAG_IMPORTED_UNIT, TAG_LEXICAL_BLOCK,
    TAG_PARAMETER, TAG_STRUCT, TAG_SUBPROGRAM, TAG_TYPEDEF, TAG_VARIABLE, UNIT, abbreviations,
    file, file_with, join, one_unit, uleb, unit,
};
use super::image::section;
use super::{Bad, Row, make};

pub(super) fn all() -> Vec<Bad> {
    make(ROWS)
}

const ROWS: &[Row] = &[
    ("unit-length-too-long", "a unit ends in its section", || {
        with_info(|info| info[..4].copy_from_slice(&[0xff, 0xff, 0, 0]))
    }),
    (
        "unit-length-reserved",
        "lengths from 0xfffffff0 are reserved",
        || with_info(|info| info[..4].copy_from_slice(&[0xf0, 0xff, 0xff, 0xff])),
    ),
    (
        "unit-length-64-absurd",
        "a 64-bit unit ends in its section",
        || {
            let length = [[0xff; 4].as_slice(), &[0xff; 7], &[0x7f]].concat();
            file(
                table(&[]),
                [length, vec![5, 0, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]].concat(),
            )
        },
    ),
    (
        "unit-length-short",
        "a unit is as long as its header",
        || with_info(|info| info[..4].copy_from_slice(&[3, 0, 0, 0])),
    ),
    ("unit-length-zero", "a unit has a header", || {
        with_info(|info| info[..4].copy_from_slice(&[0; 4]))
    }),
    ("unit-header-cut", "a unit's header is whole", || {
        file(table(&[]), vec![7, 0, 0, 0, 5, 0, 1])
    }),
    ("unit-version-absurd", "versions are 2 to 5", || {
        with_info(|info| info[4] = 99)
    }),
    (
        "unit-type-unknown",
        "unit types are those of DWARF 5",
        || with_info(|info| info[6] = 0x77),
    ),
    (
        "unit-address-size-zero",
        "addresses have 4 or 8 bytes",
        || with_info(|info| info[7] = 0),
    ),
    (
        "unit-address-size-absurd",
        "addresses have 4 or 8 bytes",
        || with_info(|info| info[7] = 255),
    ),
    (
        "unit-abbreviations-outside",
        "debug_abbrev_offset lies in .debug_abbrev",
        || with_info(|info| info[8..12].fill(0xff)),
    ),
    ("unit-without-dies", "a unit has a DIE", || {
        file(table(&[]), unit(&[]))
    }),
    (
        "unit-is-null",
        "a unit's first DIE is no null entry",
        || file(table(&[]), unit(&[0, 0, 0])),
    ),
    ("unit-not-closed", "children end with a null entry", || {
        file(table(&[]), unit(&[1]))
    }),
    ("unit-many-nulls", "null entries close something", || {
        file(table(&[]), unit(&[&[1][..], &[0; 4000]].concat()))
    }),
    (
        "abbreviation-unknown-code",
        "a DIE's code is in the table",
        || one_unit(&[], &[0x55]),
    ),
    (
        "abbreviation-code-absurd",
        "a DIE's code is in the table",
        || one_unit(&[], &uleb(u64::MAX)),
    ),
    ("abbreviation-code-twice", "a code appears once", || {
        let mut twice = table(&[]);
        twice.pop();
        file([twice, table(&[])].concat(), unit(&[1, 0]))
    }),
    (
        "abbreviation-endless-uleb",
        "a LEB128 number fits 64 bits",
        || file(vec![0xff; 64], unit(&[1, 0])),
    ),
    ("abbreviation-cut", "a table ends with 0", || {
        file(vec![1, 0x11, 1, 3], unit(&[1, 0]))
    }),
    (
        "abbreviation-form-unknown",
        "forms are those of DWARF 5",
        || one_unit(&[(TAG_BASE, false, &[(AT_NAME, 0x7ff)])], &[2, 0]),
    ),
    ("abbreviation-tag-zero", "a tag is not 0", || {
        one_unit(&[(0, false, &[])], &[2])
    }),
    (
        "abbreviation-many-attributes",
        "a DIE has few attributes",
        || {
            let name = [uleb(AT_BYTE_SIZE), uleb(FORM_DATA1)].concat();
            let entry = [&[2, 0x24, 0][..], &name.repeat(8000), &[0, 0, 0]].concat();
            let mut all = table(&[]);
            all.pop();
            file(
                [all, entry].concat(),
                unit(&[&[1, 2][..], &[4; 8000], &[0]].concat()),
            )
        },
    ),
    (
        "abbreviation-many-entries",
        "a table is about as long as its unit",
        || {
            let rows = vec![UNIT; 9000];
            file(abbreviations(&rows), unit(&[1, 0]))
        },
    ),
    (
        "form-indirect-loop",
        "DW_FORM_indirect does not name itself",
        || {
            one_unit(
                &[(TAG_BASE, false, &[(AT_NAME, FORM_INDIRECT)])],
                &[&[2][..], &[0x16; 2000]].concat(),
            )
        },
    ),
    ("form-block-too-long", "a block ends in its unit", || {
        one_unit(
            &[(TAG_VARIABLE, false, &[(AT_LOCATION, FORM_BLOCK4)])],
            &[2, 0xff, 0xff, 0xff, 0xff, 3],
        )
    }),
    ("form-string-not-closed", "a string ends with NUL", || {
        file(named(FORM_STRING), unit(b"\x01\x02never closed"))
    }),
    ("form-strp-outside", "a string lies in .debug_str", || {
        named_unit(FORM_STRP, &[0xff, 0xff, 0xff, 0x7f], Vec::new())
    }),
    ("form-strp-not-closed", ".debug_str ends with NUL", || {
        named_unit(
            FORM_STRP,
            &[0; 4],
            vec![section(".debug_str", b"never closed".to_vec())],
        )
    }),
    (
        "form-strx-without-table",
        "DW_FORM_strx has .debug_str_offsets",
        || named_unit(FORM_STRX1, &[200], Vec::new()),
    ),
    (
        "form-addrx-without-table",
        "DW_FORM_addrx has .debug_addr",
        || {
            one_unit(
                &[(
                    TAG_SUBPROGRAM,
                    false,
                    &[(AT_NAME, FORM_STRING), (AT_LOW_PC, FORM_ADDRX1)],
                )],
                b"\x02function\0\xc8",
            )
        },
    ),
    (
        "form-loclistx-without-table",
        "DW_FORM_loclistx has .debug_loclists",
        || {
            let rows: &[Abbreviation<'_>] = &[
                (
                    TAG_SUBPROGRAM,
                    true,
                    &[(AT_NAME, FORM_STRING), (AT_LOW_PC, FORM_ADDR)],
                ),
                (
                    TAG_PARAMETER,
                    false,
                    &[(AT_NAME, FORM_STRING), (AT_LOCATION, FORM_LOCLISTX)],
                ),
            ];
            one_unit(
                rows,
                b"\x02function\0\0\x10\0\0\0\0\0\0\x03p\0\xff\xff\x03\0",
            )
        },
    ),
    ("name-terminal-escapes", "names are printable", || {
        named_unit(
            FORM_STRING,
            b"\x1b[2J\x1b]0;title\x07\r\n\t\"\\\0",
            Vec::new(),
        )
    }),
    ("name-not-utf8", "names are UTF-8", || {
        named_unit(FORM_STRING, b"\xff\xfe\xc0\x80name\0", Vec::new())
    }),
    (
        "abbreviation-tables-overlap",
        "abbreviation tables of two units do not overlap",
        || {
            let table = abbreviations(&[UNIT, (TAG_BASE, false, &[])]);
            let mut second = unit(&[2]);
            // Behind the first abbreviation, whose code, tag, children and end take five bytes.
            second[8] = 5;
            file(table, [unit(&[1, 2, 0]), second].concat())
        },
    ),
    (
        "abbreviation-sizes-differ",
        "units of one abbreviation table store addresses alike",
        || {
            let mut second = unit(&[1, 0]);
            second[7] = 4;
            file(table(&[]), [unit(&[1, 0]), second].concat())
        },
    ),
    ("name-too-long", "names have fewer than 128 bytes", || {
        named_unit(
            FORM_STRING,
            &[&[b'n'; 30_000][..], &[0]].concat(),
            Vec::new(),
        )
    }),
    ("sibling-backwards", "DW_AT_sibling points forwards", || {
        sibling(FIRST_DIE)
    }),
    ("sibling-itself", "DW_AT_sibling points forwards", || {
        sibling(FIRST_DIE + 1)
    }),
    ("sibling-outside", "DW_AT_sibling lies in its unit", || {
        sibling(0xffff_fff0)
    }),
    (
        "sibling-into-a-die",
        "DW_AT_sibling is the start of a DIE",
        || sibling(FIRST_DIE + 3),
    ),
    ("nesting-deep", "DIEs nest a few levels", || {
        one_unit(&[(TAG_LEXICAL_BLOCK, true, &[])], &[2; 50_000])
    }),
    (
        "nesting-deep-structures",
        "structures nest a few levels",
        || one_unit(&[(TAG_STRUCT, true, &[])], &[2; 50_000]),
    ),
    (
        "nesting-deep-functions",
        "functions nest a few levels",
        || one_unit(&[(TAG_SUBPROGRAM, true, &[])], &[2; 50_000]),
    ),
    ("import-itself", "a unit does not import itself", || {
        imported(FIRST_DIE)
    }),
    ("import-outside", "an imported unit exists", || {
        imported(0x7fff_ffff)
    }),
];

fn table(rows: &[Abbreviation<'_>]) -> Vec<u8> {
    abbreviations(&[&[UNIT], rows].concat())
}

/// The smallest good unit, changed.
fn with_info(change: fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut info = unit(&[1, 0]);
    change(&mut info);
    file(table(&[]), info)
}

/// Abbreviations for a typedef whose name has this form.
fn named(form: u64) -> Vec<u8> {
    let attributes = [(AT_NAME, form)];
    abbreviations(&[UNIT, (TAG_TYPEDEF, false, &attributes)])
}

/// A unit with a typedef whose name has this form and these bytes.
fn named_unit(form: u64, name: &[u8], more: Vec<super::image::Section>) -> Vec<u8> {
    file_with(named(form), unit(&join(&[&[1, 2], name, &[0]])), more)
}

/// A structure whose sibling is at this offset, and one behind it.
fn sibling(offset: u32) -> Vec<u8> {
    let die = [&[2][..], &offset.to_le_bytes(), &[0]].concat();
    one_unit(
        &[(TAG_STRUCT, true, &[(AT_SIBLING, FORM_REF4)])],
        &die.repeat(2),
    )
}

/// A unit that imports what is at this offset.
fn imported(offset: u32) -> Vec<u8> {
    let die = [&[2][..], &offset.to_le_bytes()].concat();
    one_unit(
        &[(TAG_IMPORTED_UNIT, false, &[(AT_IMPORT, FORM_REF_ADDR)])],
        &die,
    )
}
