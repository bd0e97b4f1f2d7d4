//! Finding the sections in small ELF files of both classes and byte orders.

mod write;

use std::sync::Arc;

use super::*;
use crate::builder::{Builder, WriteOptions};
use crate::error::ErrorKind;
use crate::ext::BtfExt;
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::testing::{ORDERS, Random};
use crate::wire::ByteOrder;

const PROGBITS: u32 = 1;
const NOBITS: u32 = 8;

/// An ELF file that holds sections of these names, types and contents.
struct Elf<'a> {
    is_64: bool,
    order: ByteOrder,
    sections: &'a [(&'a str, u32, &'a [u8])],
}

impl Elf<'_> {
    fn half(&self, out: &mut Vec<u8>, value: u16) {
        out.extend(self.order.u16_bytes(value));
    }

    fn word(&self, out: &mut Vec<u8>, value: usize) {
        out.extend(self.order.u32_bytes(u32::try_from(value).unwrap()));
    }

    /// An address, offset or size, as wide as the class.
    fn wide(&self, out: &mut Vec<u8>, value: usize) {
        if self.is_64 && self.order == ByteOrder::Big {
            self.word(out, 0);
        }
        self.word(out, value);
        if self.is_64 && self.order == ByteOrder::Little {
            self.word(out, 0);
        }
    }

    fn section(&self, out: &mut Vec<u8>, name: usize, kind: u32, offset: usize, size: usize) {
        self.word(out, name);
        self.word(out, kind as usize);
        for value in [0, 0, offset, size] {
            self.wide(out, value);
        }
        self.word(out, 0);
        self.word(out, 0);
        self.wide(out, 1);
        self.wide(out, 0);
    }

    fn bytes(&self) -> Vec<u8> {
        let header_len = if self.is_64 { 64 } else { 52 };
        let mut names = vec![0];
        let mut data = Vec::new();
        let mut headers = Vec::new();
        self.section(&mut headers, 0, 0, 0, 0);
        for (name, kind, bytes) in self.sections {
            self.section(
                &mut headers,
                names.len(),
                *kind,
                header_len + data.len(),
                bytes.len(),
            );
            names.extend(name.bytes().chain([0]));
            data.extend(*bytes);
        }
        let name = names.len();
        names.extend(b".shstrtab\0");
        self.section(&mut headers, name, 3, header_len + data.len(), names.len());
        data.extend(names);

        let mut out = b"\x7fELF".to_vec();
        let order = if self.order == ByteOrder::Little {
            1
        } else {
            2
        };
        out.extend([if self.is_64 { 2 } else { 1 }, order, 1]);
        out.resize(16, 0);
        self.half(&mut out, 1);
        self.half(&mut out, 247);
        self.word(&mut out, 1);
        for value in [0, 0, header_len + data.len()] {
            self.wide(&mut out, value);
        }
        self.word(&mut out, 0);
        let count = u16::try_from(self.sections.len() + 2).unwrap();
        let (own, entry) = if self.is_64 { (64, 64) } else { (52, 40) };
        for value in [own, 0, 0, entry, count, count - 1] {
            self.half(&mut out, value);
        }
        assert_eq!(out.len(), header_len);
        out.extend(data);
        out.extend(headers);
        out
    }
}

/// BTF with `count` pointers and one name.
fn blob(base: Option<&Arc<Btf>>, count: usize, order: ByteOrder) -> Vec<u8> {
    let mut builder = base.map_or_else(Builder::new, |base| Builder::with_base(Arc::clone(base)));
    builder.add_string(b"name").unwrap();
    for _ in 0..count {
        builder.ptr(TypeId::VOID).unwrap();
    }
    builder.write(order, WriteOptions::default()).unwrap()
}

#[test]
fn any_class_and_order() {
    for (is_64, pointer_size) in [(false, 4), (true, 8)] {
        for order in ORDERS {
            let btf = blob(None, 2, order);
            let ext = BtfExt::default().write(order).unwrap();
            let sections = [(".text", PROGBITS, &[0; 8][..]), (".BTF", PROGBITS, &btf)];
            let elf = Elf {
                is_64,
                order,
                sections: &sections,
            };
            let loaded = load(&elf.bytes(), None).unwrap();
            assert_eq!((loaded.btf.end_id(), loaded.btf.byte_order()), (3, order));
            assert_eq!(loaded.pointer_size, Some(pointer_size));
            assert!(loaded.ext.is_none() && !loaded.has_own_base);

            let sections = [(".BTF.ext", PROGBITS, &ext[..]), (".BTF", PROGBITS, &btf)];
            let elf = Elf {
                is_64,
                order,
                sections: &sections,
            };
            assert_eq!(
                load(&elf.bytes(), None).unwrap().ext,
                Some(BtfExt::default())
            );
        }
    }
}

#[test]
fn raw_blobs_need_no_elf() {
    for order in ORDERS {
        let loaded = load(&blob(None, 3, order), None).unwrap();
        assert_eq!((loaded.btf.end_id(), loaded.pointer_size), (4, None));
    }
    let error = load(b"#!/bin/sh", None).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Magic(_)));
}

#[test]
fn a_base_of_its_own_comes_first() {
    let order = ByteOrder::Little;
    let kernel = Arc::new(Btf::parse(&blob(None, 50, order), None).unwrap());
    let small = blob(None, 2, order);
    let base = Arc::new(Btf::parse(&small, None).unwrap());
    let split = blob(Some(&base), 1, order);
    let sections = [
        (".BTF", PROGBITS, &split[..]),
        (".BTF.base", PROGBITS, &small),
    ];
    let elf = Elf {
        is_64: true,
        order,
        sections: &sections,
    };
    let loaded = load(&elf.bytes(), Some(kernel.clone())).unwrap();
    assert!(loaded.has_own_base);
    assert_eq!((loaded.btf.first_id(), loaded.btf.end_id()), (3, 4));
    let elf = Elf {
        sections: &sections[..1],
        ..elf
    };
    assert_eq!(load(&elf.bytes(), Some(kernel)).unwrap().btf.first_id(), 51);
}

#[test]
fn unusable_files() {
    #[track_caller]
    fn check(bytes: &[u8], expect: &str) {
        let text = load(bytes, None).unwrap_err().to_string();
        assert!(text.contains(expect), "{text}");
    }
    let order = ByteOrder::Big;
    let elf = |sections| {
        Elf {
            is_64: true,
            order,
            sections,
        }
        .bytes()
    };
    check(&elf(&[]), "no section `.BTF`");
    check(&elf(&[(".BTF", NOBITS, b"")]), "no section `.BTF`");
    check(b"\x7fELF\x03", "unknown ELF class");
    check(
        b"\x7fELF\x02",
        "damaged ELF file of 5 bytes: expected an ELF header at 0x0",
    );
    let btf = blob(None, 2, order);
    let whole = elf(&[(".BTF", PROGBITS, &btf[..])]);
    check(
        &whole[..whole.len() - 1],
        &format!(
            "damaged ELF file of {} bytes: expected section headers and their names at 0x",
            whole.len() - 1
        ),
    );
}

#[test]
fn damaged_files_do_not_panic() {
    let btf = blob(None, 2, ByteOrder::Little);
    let sections = [(".BTF", PROGBITS, &btf[..])];
    let (is_64, order) = (true, ByteOrder::Little);
    let good = Elf {
        is_64,
        order,
        sections: &sections,
    }
    .bytes();
    let mut random = Random(5);
    let len = u32::try_from(good.len()).unwrap();
    for _ in 0..4000 {
        let mut bytes = good.clone();
        for _ in 0..=random.below(3) {
            bytes[random.below(len) as usize] ^= 1 << random.below(8);
        }
        bytes.truncate(random.below(2 * len) as usize);
        let _ = load(&bytes, None);
    }
}
