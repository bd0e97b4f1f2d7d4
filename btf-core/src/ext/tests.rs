//! Reading and writing the section in both byte orders, and refusing bad ones.

use super::*;
use crate::builder::Builder;
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::testing::{ORDERS, Random};
use crate::validate::{Profile, Rule, check_ext};

fn sample() -> BtfExt {
    let block = StrOffset(1);
    BtfExt {
        func_info: vec![Block {
            section: block,
            records: vec![FuncInfo {
                insn_off: 0,
                type_id: TypeId(3),
            }],
        }],
        line_info: vec![Block {
            section: block,
            records: vec![
                LineInfo {
                    insn_off: 0,
                    file_name: StrOffset(2),
                    line_text: StrOffset(3),
                    line_col: 5 << 10 | 1,
                },
                LineInfo {
                    insn_off: 16,
                    ..LineInfo::default()
                },
            ],
        }],
        core_relo: vec![Block {
            section: block,
            records: vec![CoreRelo {
                insn_off: 8,
                type_id: TypeId(1),
                access: StrOffset(7),
                kind: 12,
            }],
        }],
    }
}

/// BTF with an INT, a `FUNC_PROTO` and a FUNC.
fn btf() -> Btf {
    let mut b = Builder::new();
    b.int(b"int", 4, 0).unwrap();
    let proto = b.func_proto(TypeId(1), &[]).unwrap();
    b.func(b"f", proto, 0).unwrap();
    assert_eq!(b.add_string(b"0").unwrap(), StrOffset(7));
    b.finish().unwrap()
}

#[test]
fn reading_undoes_writing() {
    for order in ORDERS {
        for ext in [sample(), BtfExt::default()] {
            let bytes = ext.write(order).unwrap();
            assert_eq!(BtfExt::parse(&bytes).unwrap(), (order, ext));
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let mut ext = sample();
    ext.line_info.clear();
    ext.core_relo.clear();
    let bytes = ext.write(ByteOrder::Big).unwrap();
    let words = [32, 0, 20, 20, 0, 0, 0, 8, 1, 1, 0, 3];
    let mut expect = vec![0xeb, 0x9f, 1, 0];
    ByteOrder::Big.put_words(&words, &mut expect);
    assert_eq!(bytes, expect);
    // The older header has no field for relocations.
    expect.drain(24..32);
    expect[7] = 24;
    assert_eq!(BtfExt::parse(&expect).unwrap().1, ext);
}

#[test]
fn records_may_be_longer_if_the_rest_is_zero() {
    let mut bytes = vec![0x9f, 0xeb, 1, 0];
    let words = [24, 0, 24, 24, 0, 12, 1, 1, 0, 3, 0];
    ByteOrder::Little.put_words(&words, &mut bytes);
    let (_, ext) = BtfExt::parse(&bytes).unwrap();
    assert_eq!(ext.func_info, sample().func_info);
    *bytes.last_mut().unwrap() = 1;
    assert!(BtfExt::parse(&bytes).is_err());
}

#[test]
fn bad_lists() {
    #[track_caller]
    fn check(list: &[u32], offset: u64) {
        let len = u32::try_from(list.len() * 4).unwrap();
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        ByteOrder::Little.put_words(&[24, 0, len, len, 0], &mut bytes);
        ByteOrder::Little.put_words(list, &mut bytes);
        let error = BtfExt::parse(&bytes).unwrap_err();
        let location = error.location();
        assert_eq!(location.section, Some(".BTF.ext"));
        assert_eq!(location.offset, Some(offset), "{error}");
    }
    check(&[4, 1, 1, 0], 24);
    check(&[10, 1, 1, 0, 0], 24);
    check(&[8], 28);
    check(&[8, 1], 28);
    check(&[8, 1, 0], 28);
    check(&[8, 1, 2, 0, 0, 0], 28);
    check(&[8, 1, u32::MAX, 0, 0, 0], 28);
    let empty = BtfExt {
        func_info: vec![Block::default()],
        ..BtfExt::default()
    };
    assert!(empty.write(ByteOrder::Little).is_err());
}

#[test]
fn checked_against_types() {
    let btf = btf();
    let check = |ext: &BtfExt| {
        let bytes = ext.write(ByteOrder::Little).unwrap();
        let findings = check_ext(&bytes, &btf, Profile::User.into());
        findings
            .iter()
            .map(|f| (f.rule, f.offset.unwrap(), f.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(check(&sample()), []);
    let mut ext = sample();
    ext.func_info[0].section = StrOffset(99);
    ext.func_info[0].records[0].insn_off = 8;
    ext.func_info[0].records[0].type_id = TypeId(1);
    ext.line_info[0].records[0].insn_off = 16;
    ext.line_info[0].records[1].line_text = StrOffset(98);
    let relo = |type_id, access, kind| CoreRelo {
        insn_off: 8 * kind,
        type_id: TypeId(type_id),
        access: StrOffset(access),
        kind,
    };
    ext.core_relo[0].records = vec![
        relo(1, 7, 0),
        relo(1, 5, 1),
        relo(9, 7, 2),
        relo(1, 7, 11),
        relo(1, 99, 12),
        relo(1, 7, 13),
    ];
    ext.core_relo[0].records[1].insn_off = 4;
    let expect = [
        (Rule::ExtString, 36, 99),
        (Rule::ExtStart, 44, 8),
        (Rule::ExtFunction, 48, 1),
        (Rule::ExtInstruction, 80, 16),
        (Rule::ExtString, 88, 98),
        (Rule::ExtInstruction, 124, 4),
        (Rule::ExtAccess, 132, 5),
        (Rule::ExtType, 144, 9),
        (Rule::ExtAccess, 164, 7),
        (Rule::ExtString, 180, 99),
        (Rule::ExtKind, 200, 13),
    ];
    assert_eq!(check(&ext), expect);
    let cut = sample().write(ByteOrder::Little).unwrap();
    let found = check_ext(&cut[..70], &btf, Profile::User.into());
    assert_eq!(found[0].rule, Rule::ExtFormat);
}

#[test]
fn rewriting_reaches_everything() {
    let mut ext = sample();
    let (mut names, mut types) = (0, 0);
    let done: std::result::Result<(), ()> = ext.rewrite_refs(
        |name| {
            names += 1;
            Ok(StrOffset(name.0 + 10))
        },
        |id| {
            types += 1;
            Ok(TypeId(id.0 + 10))
        },
    );
    done.unwrap();
    assert_eq!((names, types), (8, 2));
    assert_eq!(ext.core_relo[0].records[0].access, StrOffset(17));
    assert_eq!(ext.func_info[0].records[0].type_id, TypeId(13));
}

#[test]
fn damaged_sections_do_not_panic() {
    let (btf, good) = (btf(), sample().write(ByteOrder::Little).unwrap());
    let mut random = Random(3);
    let len = u32::try_from(good.len()).unwrap();
    for round in 0..4000 {
        let mut bytes = good.clone();
        if round % 4 == 0 {
            bytes.truncate(random.below(len) as usize);
        }
        for _ in 0..random.below(4) {
            let at = random.below(len) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        let _ = check_ext(&bytes, &btf, Profile::User.into());
        if let Ok((order, ext)) = BtfExt::parse(&bytes) {
            assert_eq!(
                BtfExt::parse(&ext.write(order).unwrap()).unwrap(),
                (order, ext)
            );
        }
    }
}
