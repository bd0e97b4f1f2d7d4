//! Each count in the smallest BTF that has something to count.

use std::sync::Arc;

use btf_core::builder::{Builder, MemberSpec};
use btf_core::kind::Kind;
use btf_core::wire::{ByteOrder, Header, int};
use btf_core::{Btf, Info, TypeId};

use super::{Amount, Stats};

fn member(name: &'static [u8], ty: TypeId, bit_offset: u32) -> MemberSpec<'static> {
    MemberSpec {
        name,
        ty,
        bit_offset,
        bitfield_size: 0,
    }
}

fn sample() -> Builder {
    let mut b = Builder::new();
    let int = b.int(b"int", 4, int::SIGNED).unwrap();
    let ptr = b.ptr(int).unwrap();
    b.composite(Kind::Struct, b"s", 8, &[member(b"a", ptr, 0)])
        .unwrap();
    b
}

fn amount(types: u64, words: u64) -> Amount {
    Amount {
        types,
        bytes: 4 * words,
    }
}

#[test]
fn types_and_strings_are_counted() {
    let mut b = sample();
    b.add_string(b"unused").unwrap();
    b.fwd(b"xyz", false).unwrap();
    let stats = Stats::of(&b.finish().unwrap(), None).unwrap();
    assert_eq!(stats.total, amount(4, 4 + 3 + 6 + 3));
    assert_eq!(stats.kinds[&Kind::Struct], amount(1, 6));
    assert_eq!(stats.strings.strings, 6);
    assert_eq!((stats.strings.unused, stats.strings.unused_bytes), (1, 7));
    assert_eq!(stats.strings.shareable, 0);
    assert_eq!(
        (stats.duplicates, stats.in_base),
        (Amount::default(), Amount::default())
    );
    let mut b = sample();
    b.fwd(b"uint", false).unwrap();
    let stats = Stats::of(&b.finish().unwrap(), None).unwrap();
    assert_eq!(
        (stats.strings.shareable, stats.strings.shareable_bytes),
        (1, 4)
    );
}

#[test]
fn equal_types_are_found_by_meaning() {
    let mut b = sample();
    // Two structures that hold pointers to themselves, one copied.
    for _ in 0..2 {
        let node = TypeId(b.next_id().0 + 1);
        let next = b.ptr(node).unwrap();
        b.composite(Kind::Struct, b"node", 8, &[member(b"next", next, 0)])
            .unwrap();
    }
    let stats = Stats::of(&b.finish().unwrap(), None).unwrap();
    assert_eq!(stats.duplicates, amount(2, 3 + 6));
    assert_eq!(stats.homonyms, []);
}

#[test]
fn what_the_base_has_is_counted_apart() {
    let base: Btf = sample().finish().unwrap();
    let mut b = Builder::with_base(Arc::new(base));
    b.ptr(TypeId(1)).unwrap();
    b.ptr(TypeId(3)).unwrap();
    let stats = Stats::of(&b.finish().unwrap(), None).unwrap();
    assert_eq!(stats.total.types, 2);
    assert_eq!(stats.in_base, amount(1, 3));
}

#[test]
fn homonyms_differ_somewhere() {
    let mut b = sample();
    let long = b.int(b"long", 8, int::SIGNED).unwrap();
    for target in [TypeId(1), long] {
        let name = [member(b"value", target, 0)];
        let inner = b.composite(Kind::Struct, b"inner", 8, &name).unwrap();
        let ptr = b.ptr(inner).unwrap();
        b.composite(Kind::Struct, b"outer", 8, &[member(b"in", ptr, 0)])
            .unwrap();
    }
    let stats = Stats::of(&b.finish().unwrap(), None).unwrap();
    let found: Vec<_> = stats
        .homonyms
        .iter()
        .map(|homonym| format!("{}: {}", homonym.path, homonym.difference))
        .collect();
    assert_eq!(found, [".value: int and long", ".in->value: int and long"]);
}

#[test]
fn what_the_base_defines_otherwise_is_told_with_the_nearest_difference_first() {
    let definitions = |b: &mut Builder, count| {
        let int = TypeId(1);
        let array = b.array(int, int, count).unwrap();
        let member = [member(b"values", array, 0)];
        let leaf = b.composite(Kind::Struct, b"leaf", 32, &member).unwrap();
        let ptr = b.ptr(leaf).unwrap();
        let member = [self::member(b"first", ptr, 0)];
        b.composite(Kind::Struct, b"holder", 8, &member).unwrap();
    };
    let mut base = sample();
    // Of two types of the base the one that is most alike is compared.
    base.composite(Kind::Struct, b"leaf", 0, &[]).unwrap();
    definitions(&mut base, 8);
    let mut b = Builder::with_base(Arc::new(base.finish().unwrap()));
    definitions(&mut b, 4);
    let stats = Stats::of(&b.finish().unwrap(), None).unwrap();
    let found = stats.redefined.iter();
    let found: Vec<_> = found
        .map(|redefined| {
            let ids = [redefined.ids[0].0, redefined.ids[1].0];
            (ids, &*redefined.path, &*redefined.difference)
        })
        .collect();
    let expected = [
        ([10, 6], ".values", "count 4 and 8"),
        ([12, 8], ".first->values", "count 4 and 8"),
    ];
    assert_eq!(found, expected);
    assert_eq!(stats.homonyms, []);
}

/// What `stats` says of the first name of which `make` makes two definitions.
#[track_caller]
fn difference(make: impl Fn(&mut Builder, bool)) -> String {
    let mut b = sample();
    make(&mut b, false);
    make(&mut b, true);
    let stats = Stats::of(&b.finish().unwrap(), None).unwrap();
    let [homonym] = &stats.homonyms[..] else {
        panic!("{:?}", stats.homonyms)
    };
    assert_eq!(homonym.path, "");
    homonym.difference.clone()
}

#[test]
fn values_are_told_as_they_are_meant() {
    let bitfield = |bit_offset, bits: u8| {
        move |b: &mut Builder, is_other: bool| {
            let member = MemberSpec {
                bitfield_size: bits + u8::from(is_other),
                ..member(b"a", TypeId(1), bit_offset)
            };
            b.composite(Kind::Struct, b"bits", 4, &[member]).unwrap();
        }
    };
    assert_eq!(difference(bitfield(8, 3)), "a: 3 bits and 4 bits");
    let moved = |b: &mut Builder, is_other: bool| {
        let member = MemberSpec {
            bitfield_size: 3,
            ..member(b"a", TypeId(1), 8 + u32::from(is_other))
        };
        b.composite(Kind::Struct, b"bits", 4, &[member]).unwrap();
    };
    assert_eq!(difference(moved), "a at bit 8 and 9");
    let signed = |b: &mut Builder, is_other: bool| {
        let value = u64::MAX - u64::from(is_other);
        b.enumeration(b"e", 4, true, &[(b"A", value)]).unwrap();
    };
    assert_eq!(difference(signed), "A = -1 and -2");
    let wide = |b: &mut Builder, is_other: bool| {
        b.enum64(b"e", 8, false, &[(b"A", 1 << (32 + u32::from(is_other)))])
            .unwrap();
    };
    assert_eq!(difference(wide), "A = 4294967296 and 8589934592");
    let sign = |b: &mut Builder, is_other: bool| {
        b.enumeration(b"e", 4, is_other, &[(b"A", 1)]).unwrap();
    };
    assert_eq!(difference(sign), "unsigned values and signed values");
}

#[test]
fn names_have_their_length_as_a_price() {
    const LEN: u32 = 1 << 18;
    const MEMBERS: u32 = 100;
    // Two structures of one name whose members are called alike, by ends of two long strings; the last ones have other types.
    let run = vec![b'a'; LEN as usize];
    let strings = [b"\0s\0t\0".as_slice(), &run, b"\0", &run, b"\0"].concat();
    let mut words = Vec::new();
    for copy in 0..2 {
        words.extend([1, Info::new(Kind::Struct, MEMBERS, false).0, 4 * MEMBERS]);
        for member in 0..MEMBERS {
            let name = 5 + copy * (LEN + 1) + member;
            let ty = if member == MEMBERS - 1 { 3 + copy } else { 0 };
            words.extend([name, ty, 32 * member]);
        }
    }
    for size in [4, 8] {
        words.extend([3, Info::new(Kind::Struct, 0, false).0, size]);
    }
    let order = ByteOrder::NATIVE;
    let types_len = 4 * u32::try_from(words.len()).unwrap();
    let header = Header {
        hdr_len: 24,
        type_len: types_len,
        str_off: types_len,
        str_len: u32::try_from(strings.len()).unwrap(),
        ..Header::default()
    };
    let mut bytes = Vec::new();
    header.put(order, &mut bytes);
    order.put_words(&words, &mut bytes);
    bytes.extend(strings);
    let btf = Btf::parse(&bytes, None).unwrap();
    let stats = Stats::of(&btf, None).unwrap();
    let found = stats.homonyms.iter().map(|homonym| &*homonym.difference);
    assert!(found.eq(["the difference is far away", "size 4 and 8"]));
}
