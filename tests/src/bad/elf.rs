//! Broken ELF: headers, section tables, compressed sections, symbols, relocations.

use super::dwarf::{AT_BYTE_SIZE, AT_ENCODING, AT_NAME, FORM_DATA1};
use super::dwarf::{FORM_STRING, TAG_BASE, UNIT, abbreviations, one_unit, sections, unit};
use super::image::{RELOCATABLE, SECTION_HEADER_LEN, SHF_COMPRESSED, SHT_RELA, Section};
use super::image::{elf, patch, section, section_headers};
use super::{Bad, Row, make};

pub(super) fn all() -> Vec<Bad> {
    make(ROWS)
}

const ROWS: &[Row] = &[
    ("elf-empty", "a file has bytes", Vec::new),
    ("elf-not-elf", "ELF starts with its magic", || {
        b"#!/bin/sh\nexit 0\n".to_vec()
    }),
    ("elf-header-only", "an ELF header has 64 bytes", || {
        good()[..40].to_vec()
    }),
    ("elf-no-sections", "there are sections", || {
        patch(good(), 40, &[0; 8])
    }),
    (
        "elf-section-table-outside",
        "the section table lies in the file",
        || patch(good(), 40, &[0xff; 6]),
    ),
    (
        "elf-section-table-cut",
        "the section table ends in the file",
        || {
            let file = good();
            file[..file.len() - 70].to_vec()
        },
    ),
    (
        "elf-section-count-absurd",
        "the section table has e_shnum entries",
        || patch(good(), 60, &[0xff, 0xff]),
    ),
    (
        "elf-section-names-absurd",
        "e_shstrndx is a section",
        || patch(good(), 62, &[0xf0, 0x7f]),
    ),
    ("elf-class-unknown", "the class is 32 or 64 bits", || {
        patch(good(), 4, &[9])
    }),
    (
        "elf-order-unknown",
        "the byte order is little or big",
        || patch(good(), 5, &[9]),
    ),
    (
        "elf-machine-unknown",
        "the machine is one that is known",
        || patch(good(), 18, &[0xee, 0xee]),
    ),
    (
        "elf-section-outside",
        "a section's bytes lie in the file",
        || patch_section(2, 24, &[0xff; 7]),
    ),
    ("elf-section-too-long", "a section ends in the file", || {
        patch_section(2, 32, &[0xff; 8])
    }),
    (
        "elf-section-name-outside",
        "a section's name lies in .shstrtab",
        || patch_section(2, 0, &[0xff; 4]),
    ),
    (
        "elf-symbols-link-absurd",
        "the symbol table is linked to its strings",
        || patch_section(4, 40, &[0xfe; 4]),
    ),
    (
        "elf-symbols-cut",
        "the symbol table is a whole number of symbols",
        || patch_section(4, 32, &[47]),
    ),
    ("elf-no-debug-info", "there is DWARF", || {
        elf(RELOCATABLE, &[section(".text", vec![0x90; 4])])
    }),
    ("elf-no-abbreviations", "there is .debug_abbrev", || {
        let mut all = sections(Vec::new(), unit(&[1, 0]), Vec::new());
        all[0].name = ".debug_other";
        elf(RELOCATABLE, &all)
    }),
    (
        "zlib-size-absurd",
        "ch_size is about the size of what comes out",
        || compressed(1, 1 << 60, &ZLIB_EMPTY),
    ),
    (
        "zlib-size-short",
        "ch_size is the size of what comes out",
        || compressed(1, 3, &ZLIB_EMPTY),
    ),
    ("zlib-garbage", "compressed bytes are zlib's", || {
        compressed(1, 64, b"this is not a zlib stream")
    }),
    ("zlib-cut", "a zlib stream has an end", || {
        compressed(1, 64, &ZLIB_EMPTY[..3])
    }),
    ("zstd-garbage", "compressed bytes are zstd's", || {
        compressed(2, 64, b"this is not a zstd frame")
    }),
    (
        "zstd-window-absurd",
        "a zstd frame's window is about its size",
        || {
            compressed(
                2,
                64,
                &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0x01, 0x00, 0x00],
            )
        },
    ),
    ("compression-unknown", "ch_type is zlib or zstd", || {
        compressed(77, 64, b"?")
    }),
    (
        "compression-header-cut",
        "a compressed section has a header",
        || {
            elf(
                RELOCATABLE,
                &[Section {
                    flags: SHF_COMPRESSED,
                    ..section(".debug_info", vec![1, 0, 0])
                }],
            )
        },
    ),
    (
        "zdebug-header-cut",
        "a .zdebug section has a header",
        || {
            elf(
                RELOCATABLE,
                &[
                    section(".zdebug_info", b"ZLIB\0\0".to_vec()),
                    section(".debug_abbrev", vec![0]),
                ],
            )
        },
    ),
    (
        "relocation-offset-outside",
        "a relocation is in its section",
        || relocated(u64::MAX - 3, 1),
    ),
    (
        "relocation-symbol-outside",
        "a relocation's symbol exists",
        || relocated(8, 0xffff_ff00),
    ),
    (
        "relocation-table-cut",
        "a relocation table is a whole number of relocations",
        || {
            let file = relocated(8, 1);
            let at = section_headers(&file) + 6 * SECTION_HEADER_LEN + 32;
            patch(file, at, &[23])
        },
    ),
];

/// An empty zlib stream.
const ZLIB_EMPTY: [u8; 8] = [0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01];

/// A file in which nothing is wrong: one unit with one integer.
pub(super) fn good() -> Vec<u8> {
    let integer: &[(u64, u64)] = &[
        (AT_NAME, FORM_STRING),
        (AT_BYTE_SIZE, FORM_DATA1),
        (AT_ENCODING, FORM_DATA1),
    ];
    one_unit(&[(TAG_BASE, false, integer)], b"\x02int\0\x04\x05")
}

/// The good file with a changed section header.
fn patch_section(index: usize, field: usize, new: &[u8]) -> Vec<u8> {
    let file = good();
    let at = section_headers(&file) + index * SECTION_HEADER_LEN + field;
    patch(file, at, new)
}

/// A file whose `.debug_info` is compressed.
fn compressed(kind: u32, size: u64, data: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    bytes.extend(size.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(data);
    let mut all = sections(abbreviations(&[UNIT]), bytes, Vec::new());
    all[1].flags = SHF_COMPRESSED;
    elf(RELOCATABLE, &all)
}

/// A relocatable file with one `R_X86_64_32` for `.debug_info`.
fn relocated(offset: u64, symbol: u64) -> Vec<u8> {
    let relocation = [offset, symbol << 32 | 0xa, 0]
        .map(u64::to_le_bytes)
        .concat();
    let rela = Section {
        name: ".rela.debug_info",
        kind: SHT_RELA,
        link: 4,
        info: 2,
        entry_size: 24,
        data: relocation,
        ..Section::default()
    };
    let all = sections(abbreviations(&[UNIT]), unit(&[1, 0]), vec![rela]);
    elf(RELOCATABLE, &all)
}
