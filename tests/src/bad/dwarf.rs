//! Writes small pieces of DWARF 5, right or wrong. Numbers are those of DWARF 5, chapter 7.

use super::image::{EXECUTABLE, SHT_STRTAB, SHT_SYMTAB, Section, elf, section, symbol};

pub(super) const TAG_ARRAY: u64 = 0x01;
pub(super) const TAG_ENUMERATION: u64 = 0x04;
pub(super) const TAG_MEMBER: u64 = 0x0d;
pub(super) const TAG_POINTER: u64 = 0x0f;
pub(super) const TAG_COMPILE_UNIT: u64 = 0x11;
pub(super) const TAG_STRUCT: u64 = 0x13;
pub(super) const TAG_SUBROUTINE: u64 = 0x15;
pub(super) const TAG_TYPEDEF: u64 = 0x16;
pub(super) const TAG_SUBRANGE: u64 = 0x21;
pub(super) const TAG_BASE: u64 = 0x24;
pub(super) const TAG_CONST: u64 = 0x26;
pub(super) const TAG_ENUMERATOR: u64 = 0x28;
pub(super) const TAG_SUBPROGRAM: u64 = 0x2e;
pub(super) const TAG_VARIABLE: u64 = 0x34;
pub(super) const TAG_IMPORTED_UNIT: u64 = 0x3d;
pub(super) const TAG_LEXICAL_BLOCK: u64 = 0x0b;
pub(super) const TAG_PARAMETER: u64 = 0x05;
pub(super) const TAG_LLVM_ANNOTATION: u64 = 0x6000;

pub(super) const AT_SIBLING: u64 = 0x01;
pub(super) const AT_LOCATION: u64 = 0x02;
pub(super) const AT_NAME: u64 = 0x03;
pub(super) const AT_BYTE_SIZE: u64 = 0x0b;
pub(super) const AT_IMPORT: u64 = 0x18;
pub(super) const AT_CONST_VALUE: u64 = 0x1c;
pub(super) const AT_UPPER_BOUND: u64 = 0x2f;
pub(super) const AT_ABSTRACT_ORIGIN: u64 = 0x31;
pub(super) const AT_MEMBER_LOCATION: u64 = 0x38;
pub(super) const AT_ENCODING: u64 = 0x3e;
pub(super) const AT_SPECIFICATION: u64 = 0x47;
pub(super) const AT_TYPE: u64 = 0x49;
pub(super) const AT_BIT_SIZE: u64 = 0x0d;
pub(super) const AT_BIT_OFFSET: u64 = 0x6b;
pub(super) const AT_LOW_PC: u64 = 0x11;

pub(super) const FORM_ADDR: u64 = 0x01;
pub(super) const FORM_BLOCK4: u64 = 0x04;
pub(super) const FORM_DATA2: u64 = 0x05;
pub(super) const FORM_DATA4: u64 = 0x06;
pub(super) const FORM_DATA8: u64 = 0x07;
pub(super) const FORM_STRING: u64 = 0x08;
pub(super) const FORM_DATA1: u64 = 0x0b;
pub(super) const FORM_STRP: u64 = 0x0e;
pub(super) const FORM_REF4: u64 = 0x13;
pub(super) const FORM_REF_ADDR: u64 = 0x10;
pub(super) const FORM_INDIRECT: u64 = 0x16;
pub(super) const FORM_EXPRLOC: u64 = 0x18;
pub(super) const FORM_STRX1: u64 = 0x25;
pub(super) const FORM_LOCLISTX: u64 = 0x22;
pub(super) const FORM_ADDRX1: u64 = 0x29;
pub(super) const FORM_REF_SIG8: u64 = 0x20;
pub(super) const FORM_DATA16: u64 = 0x1e;

/// The tag, whether there are children, and the attributes' names and forms.
pub(super) type Abbreviation<'a> = (u64, bool, &'a [(u64, u64)]);

/// The offset of the first DIE in a 32-bit unit of DWARF 5.
pub(super) const FIRST_DIE: u32 = 12;

/// The abbreviation 1, which every unit here uses for its first DIE: a compile unit with children and no attribute.
pub(super) const UNIT: Abbreviation<'_> = (TAG_COMPILE_UNIT, true, &[]);

/// An unsigned LEB128 number.
pub(super) fn uleb(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// An abbreviation table; codes count from 1.
pub(super) fn abbreviations(rows: &[Abbreviation<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for (code, &(tag, has_children, attributes)) in (1..).zip(rows) {
        out.extend(uleb(code));
        out.extend(uleb(tag));
        out.push(u8::from(has_children));
        for &(name, form) in attributes {
            out.extend(uleb(name));
            out.extend(uleb(form));
        }
        out.extend([0, 0]);
    }
    out.push(0);
    out
}

/// A compile unit of DWARF 5 whose DIEs are `dies`; its length is right.
pub(super) fn unit(dies: &[u8]) -> Vec<u8> {
    let mut rest = vec![5, 0, 1, 8, 0, 0, 0, 0];
    rest.extend(dies);
    let length = u32::try_from(rest.len()).expect("units are small");
    [length.to_le_bytes().to_vec(), rest].concat()
}

/// Joins pieces.
pub(super) fn join(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

/// A file of a unit and its abbreviations, with the symbol table that functions need.
pub(super) fn file(abbreviations: Vec<u8>, info: Vec<u8>) -> Vec<u8> {
    file_with(abbreviations, info, Vec::new())
}

/// A file with further sections behind `.debug_abbrev`, `.debug_info`, `.text`, `.symtab` and `.strtab`.
pub(super) fn file_with(abbreviations: Vec<u8>, info: Vec<u8>, more: Vec<Section>) -> Vec<u8> {
    elf(EXECUTABLE, &sections(abbreviations, info, more))
}

/// The sections of a file.
pub(super) fn sections(abbreviations: Vec<u8>, info: Vec<u8>, more: Vec<Section>) -> Vec<Section> {
    let symbols = [symbol(0, 0, 0, 0, 0), symbol(1, 0x12, 3, 0x1000, 16)].concat();
    let mut sections = vec![
        section(".debug_abbrev", abbreviations),
        section(".debug_info", info),
        section(".text", vec![0x90; 16]),
        Section {
            name: ".symtab",
            kind: SHT_SYMTAB,
            link: 5,
            info: 1,
            entry_size: 24,
            data: symbols,
            ..Section::default()
        },
        Section {
            name: ".strtab",
            kind: SHT_STRTAB,
            data: b"\0function\0".to_vec(),
            ..Section::default()
        },
    ];
    sections.extend(more);
    sections
}

/// A file of one unit: its rows follow [`UNIT`], hence count from 2; `dies` follow the unit's DIE, which is closed.
pub(super) fn one_unit(rows: &[Abbreviation<'_>], dies: &[u8]) -> Vec<u8> {
    let rows = [&[UNIT], rows].concat();
    file(abbreviations(&rows), unit(&join(&[&[1], dies, &[0]])))
}
