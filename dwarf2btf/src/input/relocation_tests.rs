//! Relocations of hand-made sections: one entry or a few, one symbol table, the value that a linker would write.

use super::super::machines::*;
use super::*;

const LITTLE_64: ElfForm = ElfForm {
    is_64: true,
    order: ByteOrder::Little,
    machine: EM_X86_64,
};

fn form(machine: u16) -> ElfForm {
    ElfForm {
        machine,
        ..LITTLE_64
    }
}

/// A symbol table of 64-bit little-endian symbols, each a value and a section number.
fn symbols(entries: &[(u64, u16)]) -> Vec<u8> {
    let mut data = Vec::new();
    for &(value, section) in entries {
        data.extend([0; 6]);
        data.extend(section.to_le_bytes());
        data.extend(value.to_le_bytes());
        data.extend([0; 8]);
    }
    data
}

/// `SHT_RELA` of 64-bit little-endian entries: offset, symbol, type, addend.
fn rela(entries: &[(u64, u32, u32, i64)]) -> Vec<u8> {
    let mut data = Vec::new();
    for &(offset, symbol, kind, addend) in entries {
        data.extend(offset.to_le_bytes());
        data.extend(kind.to_le_bytes());
        data.extend(symbol.to_le_bytes());
        data.extend(addend.to_le_bytes());
    }
    data
}

#[track_caller]
fn check(
    machine: u16,
    entries: &[(u64, u32, u32, i64)],
    in_place: u64,
    expect: (u64, Option<u32>),
) {
    let symtab = symbols(&[(0, 0), (0x100, 5), (0x140, 5), (0x9, 0xfff1)]);
    let raw = RawSymbols {
        data: &symtab,
        extended: &[],
    };
    let data = rela(entries);
    let table = Relocations::new(&data, true, form(machine), raw, ".debug_info");
    let got = table.value(8, in_place).unwrap();
    assert_eq!((got.value, got.section), expect);
}

#[test]
fn absolute_values_are_symbol_plus_addend() {
    check(EM_X86_64, &[(8, 1, 10, 0x20)], 7, (0x120, Some(5)));
    check(EM_X86_64, &[(8, 1, 1, -0x20)], 7, (0xe0, Some(5)));
    check(EM_X86_64, &[(8, 3, 1, 1)], 7, (10, None));
    check(EM_X86_64, &[(8, 0, 0, 1)], 7, (7, None));
    check(EM_X86_64, &[(16, 1, 10, 0x20)], 7, (7, None));
    check(EM_AARCH64, &[(8, 1, 258, 4)], 0, (0x104, Some(5)));
    check(EM_S390, &[(8, 1, 22, 4)], 0, (0x104, Some(5)));
    check(EM_PPC64, &[(8, 1, 38, 4)], 0, (0x104, Some(5)));
}

#[test]
fn a_narrow_relocation_changes_its_own_bits_only() {
    check(EM_X86_64, &[(8, 1, 14, -1)], 0x1234, (0x12ff, Some(5)));
    check(EM_X86_64, &[(8, 0, 10, -1)], 0, (0xffff_ffff, None));
}

#[test]
fn pairs_on_one_offset_give_a_difference() {
    check(EM_RISCV, &[(8, 2, 35, 0), (8, 1, 39, 0)], 0, (0x40, None));
    check(EM_RISCV, &[(8, 2, 60, 2), (8, 1, 61, 0)], 99, (0x42, None));
    check(
        EM_LOONGARCH,
        &[(8, 2, 51, 0), (8, 1, 56, 0)],
        1,
        (0x41, None),
    );
    check(EM_LOONGARCH, &[(8, 1, 53, 0)], 0x200, (0x100, None));
}

#[test]
fn an_addend_in_place_is_added() {
    let order = ByteOrder::Big;
    let form = ElfForm {
        is_64: false,
        order,
        machine: EM_ARM,
    };
    // The symbol 1 of a 32-bit table: name, value, size, info, other, section.
    let mut symtab = vec![0; 16];
    symtab.extend([0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
    let data = [0, 0, 0, 4, 0, 0, 1, 2];
    let raw = RawSymbols {
        data: &symtab,
        extended: &[],
    };
    let table = Relocations::new(&data, false, form, raw, ".debug_info");
    let expect = Relocated {
        value: 0x123,
        section: Some(3),
    };
    assert_eq!(table.value(4, 0x23).unwrap(), expect);
    assert_eq!(table.len(), 1);
}

#[test]
fn section_numbers_above_the_reserved_ones_come_from_the_extension() {
    let symtab = symbols(&[(0, 0), (0x10, SHN_XINDEX)]);
    let extended = [0, 0, 0, 0, 0x70, 0x11, 1, 0];
    let raw = RawSymbols {
        data: &symtab,
        extended: &extended,
    };
    let data = rela(&[(0, 1, 1, 0)]);
    let table = Relocations::new(&data, true, LITTLE_64, raw, ".debug_info");
    assert_eq!(table.value(0, 0).unwrap().section, Some(70_000));
}

#[test]
fn mips64_in_little_endian_splits_its_info_otherwise() {
    let mips = form(EM_MIPS);
    // The symbol 1, then ssym, type3, type2 of 0, then R_MIPS_64.
    let info = u64::from_le_bytes([1, 0, 0, 0, 0, 0, 0, 18]);
    assert_eq!(split_info(info, mips), (1, 18));
    assert_eq!(split_info(0x0000_0007_0000_0001, LITTLE_64), (7, 1));
}

#[test]
fn a_cursor_finds_every_entry_in_any_order() {
    // Out of order in the file, with gaps, and two at one offset.
    let entries: Vec<_> = (0..1000u64)
        .rev()
        .map(|i| (i * 8, 1, 35, i.cast_signed()))
        .collect();
    let data = rela(&entries);
    let symtab = symbols(&[(0, 0), (0, 5)]);
    let raw = RawSymbols {
        data: &symtab,
        extended: &[],
    };
    let table = Relocations::new(&data, true, form(EM_RISCV), raw, ".debug_info");
    let mut cursor = table.cursor(0);
    for offset in (0..8000)
        .chain((0..9000).rev())
        .chain((0..8000).step_by(1234))
    {
        let got = cursor.value(offset, 0).unwrap();
        let hit = offset % 8 == 0 && offset < 8000;
        let expect = if hit { offset / 8 } else { 0 };
        assert_eq!(
            (got.value, got.section.is_some()),
            (expect, hit),
            "{offset}"
        );
    }
}

#[test]
fn what_a_cursor_remembers_is_of_the_same_symbol_and_type() {
    // Symbols and types in turn, some of them at one offset, and one that does nothing.
    let kinds = [10, 10, 0, 1, 12, 10];
    let entries: Vec<_> = (0..200_u32)
        .map(|i| {
            (
                u64::from(i - i % 7 / 6),
                i / 3 % 4,
                kinds[i as usize % 6],
                3 * i64::from(i),
            )
        })
        .collect();
    let data = rela(&entries);
    let symtab = symbols(&[(0, 0), (0x100, 5), (0x140, 6), (9, 0xfff1)]);
    let raw = RawSymbols {
        data: &symtab,
        extended: &[],
    };
    let table = Relocations::new(&data, true, LITTLE_64, raw, ".debug_info");
    let mut cursor = table.cursor(0);
    for offset in 0..201 {
        let alone = table.value(offset, 0x7777_7777).unwrap();
        assert_eq!(
            cursor.value(offset, 0x7777_7777).unwrap(),
            alone,
            "{offset}"
        );
        let mut expect = (0x7777_7777, None);
        for &(_, symbol, kind, addend) in entries.iter().filter(|entry| entry.0 == offset) {
            let (value, section) =
                [(0, None), (0x100, Some(5)), (0x140, Some(6)), (9, None)][symbol as usize];
            let target = value + addend.cast_unsigned();
            expect = match kind {
                0 => expect,
                12 => (expect.0 & !0xffff | target & 0xffff, section),
                _ => (target, section),
            };
        }
        assert_eq!((alone.value, alone.section), expect, "{offset}");
    }
}

#[test]
fn what_cannot_be_applied_is_an_error_with_its_place() {
    let symtab = symbols(&[(0, 0)]);
    let raw = RawSymbols {
        data: &symtab,
        extended: &[],
    };
    let data = rela(&[(8, 0, 4242, 0), (16, 9, 1, 0)]);
    let table = Relocations::new(&data, true, LITTLE_64, raw, ".debug_info");
    assert!(table.value(0, 0).is_ok());
    let unknown = table.value(8, 0).unwrap_err().to_string();
    assert_eq!(
        unknown,
        ".debug_info+0x8: unknown relocation type: 4242 of ELF machine 62"
    );
    let symbol = table.value(16, 0).unwrap_err().to_string();
    assert_eq!(
        symbol,
        ".debug_info+0x10: invalid symbol index of a relocation: 0x9"
    );
}
