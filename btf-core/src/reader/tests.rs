//! Reading bytes written by hand in both byte orders, good and bad, and bytes damaged at random.

use super::*;
use crate::builder::{Builder, WriteOptions};
use crate::kind::Kind;
use crate::testing::{Blob, ORDERS, Random, random_record};
use crate::validate::{Profile, validate};

#[track_caller]
fn error(bytes: &[u8]) -> ErrorKind {
    Btf::parse(bytes, None).unwrap_err().kind().clone()
}

fn parse(blob: &Blob, base: Option<&Arc<Btf>>) -> Result<Btf> {
    Btf::parse(&blob.bytes(), base.cloned())
}

#[test]
fn both_orders_give_the_same_words() {
    for order in ORDERS {
        let mut blob = Blob::new(order);
        let name = blob.int().name("my_int");
        blob.record(name, Info::new(Kind::Typedef, 0, false), 1, &[]);
        let btf = parse(&blob, None).unwrap();
        assert_eq!(btf.byte_order(), order);
        assert_eq!(btf.words(), blob.words);
        assert_eq!(btf.starts(), [0, 4, 7]);
        assert_eq!((btf.first_id(), btf.end_id()), (1, 3));
        let (name, target) = (StrOffset(name), TypeId(1));
        assert_eq!(btf.ty(TypeId(2)).unwrap(), Type::Typedef { name, target });
        assert_eq!(btf.ty(TypeId(0)).unwrap(), Type::Void);
        assert_eq!(btf.name(TypeId(2)).unwrap(), b"my_int");
        assert_eq!(btf.string(StrOffset(name.0 + 3)).unwrap(), b"int");
        assert_eq!(btf.byte_offset(TypeId(2), 1), Some(24 + 20));
        let missing = btf.ty(TypeId(3)).unwrap_err();
        assert_eq!(
            *missing.kind(),
            ErrorKind::TypeIdOutOfRange(TypeId(3)),
            "{missing}"
        );
        assert!(btf.string(StrOffset(12)).is_err());
        assert!(btf.string(StrOffset(u32::MAX)).is_err());
    }
}

#[cfg(feature = "elf")]
#[test]
fn bytes_that_stay_are_borrowed_if_they_are_the_machines_words() {
    for order in ORDERS {
        let mut blob = Blob::new(order);
        let name = blob.int().name("my_int");
        blob.record(name, Info::new(Kind::Typedef, 0, false), 1, &[]);
        let bytes = blob.bytes();
        for shift in 0..8 {
            let moved: &'static [u8] = [vec![0; shift], bytes.clone()].concat().leak();
            let moved = &moved[shift..];
            let btf = Opened::of_static(moved, None)
                .and_then(Opened::read)
                .unwrap();
            let types = &moved[24..24 + 4 * blob.words.len()];
            let is_aligned = types.as_ptr().addr().is_multiple_of(4);
            let is_copied = btf.words().as_ptr().addr() != types.as_ptr().addr();
            assert_eq!(is_copied, order != ByteOrder::NATIVE || !is_aligned);
            assert_eq!(btf.words(), blob.words);
            assert_eq!(btf.name(TypeId(2)).unwrap(), b"my_int");
            assert!(btf.is_borrowed(), "the strings are");
            let copy = btf.copied().unwrap();
            assert!(!copy.is_borrowed());
            assert_eq!((copy.words(), copy.starts()), (btf.words(), btf.starts()));
            assert_eq!(copy.string_bytes(), btf.string_bytes());
        }
    }
}

#[test]
fn scanned_strings_are_those_of_the_index() {
    let names = ["of_first", "second_name", "ab"];
    let mut blob = Blob::new(ByteOrder::NATIVE);
    blob.int();
    let offsets = names.map(|name| StrOffset(blob.name(name)));
    let wanted: [&[u8]; 3] = [b"second_name", b"missing", b"ab"];
    let expect = [Some(offsets[1]), None, Some(offsets[2])];
    let scanned = parse(&blob, None).unwrap();
    for _ in 0..2 {
        assert_eq!(scanned.strings().scan(&wanted).unwrap(), expect);
    }
    assert_eq!(parse(&blob, None).unwrap().find_strings(&wanted), expect);
    assert_eq!(scanned.find_string(b"of_first"), Some(offsets[0]));
    assert_eq!(scanned.find_string(b"first"), None);
    // Other strings, of which one is wanted that was not before.
    let others: [&[u8]; 2] = [b"of_first", b"missing"];
    let of_others = [Some(offsets[0]), None];
    assert_eq!(scanned.strings().scan(&others).unwrap(), of_others);
    let base = Arc::new(scanned);
    let split = Builder::with_base(Arc::clone(&base)).finish().unwrap();
    assert_eq!(split.find_strings(&wanted), expect);
    blob.strings.extend(b"of_first\0");
    let twice = parse(&blob, None).unwrap();
    assert_eq!(twice.strings().scan(&wanted).unwrap(), expect);
    assert_eq!(twice.find_string(b"of_first"), Some(offsets[0]));
    blob.strings.extend(b"second_name\0");
    let twice = parse(&blob, None).unwrap();
    assert_eq!(twice.strings().scan(&others[1..]).unwrap(), [None]);
    assert_eq!(twice.strings().scan(&wanted), None, "a wanted string twice");
    assert_eq!(twice.find_string(b"second_name"), Some(offsets[1]));
}

#[test]
fn headers_may_be_longer_if_the_rest_is_zero() {
    for order in ORDERS {
        for header_len in [24, 28, 30, 32, 33, 40, 4096] {
            let mut blob = Blob::new(order);
            blob.int().header_len = header_len;
            assert_eq!(parse(&blob, None).unwrap().end_id(), 2, "{header_len}");
        }
        let mut blob = Blob::new(order);
        blob.int().header_len = 40;
        let mut bytes = blob.bytes();
        bytes[39] = 1;
        assert!(matches!(error(&bytes), ErrorKind::Invalid { value: 1, .. }));
    }
}

#[test]
fn bad_headers() {
    let good = Blob::new(ByteOrder::Little).bytes();
    let patched = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        error(&bytes)
    };
    assert_eq!(patched(1, 0), ErrorKind::Magic(0x9f));
    for (at, byte) in [(2, 2), (3, 1), (4, 23)] {
        assert!(
            matches!(patched(at, byte), ErrorKind::Invalid { .. }),
            "{at}"
        );
    }
    // Header and sections that end behind the blob.
    for (at, byte) in [(4, 200), (16, 4), (20, 200)] {
        assert!(
            matches!(patched(at, byte), ErrorKind::Truncated { .. }),
            "{at}"
        );
    }
    for len in 0..good.len() {
        assert!(matches!(error(&good[..len]), ErrorKind::Truncated { .. }));
    }
    assert!(matches!(patched(12, 2), ErrorKind::Invalid { .. }));
}

#[test]
fn sections_may_not_overlap_but_leave_gaps() {
    let mut blob = Blob::new(ByteOrder::Little);
    blob.int().gap = 8;
    assert!(parse(&blob, None).is_ok());
    let mut bytes = blob.bytes();
    // The strings start inside the types.
    bytes[16] = 4;
    assert!(matches!(error(&bytes), ErrorKind::Invalid { .. }));
}

#[test]
fn strings_start_and_end_with_nul() {
    for strings in [&b""[..], b"a\0", b"\0a"] {
        let mut blob = Blob::new(ByteOrder::Little);
        blob.strings = strings.to_vec();
        assert!(matches!(error(&blob.bytes()), ErrorKind::Invalid { .. }));
    }
}

#[test]
fn records_fill_the_section() {
    let mut blob = Blob::new(ByteOrder::Big);
    blob.int();
    blob.words.push(0);
    let error = parse(&blob, None).unwrap_err();
    let (needed, available) = (12, 4);
    assert_eq!(*error.kind(), ErrorKind::Truncated { needed, available });
    assert_eq!(error.location().offset, Some(24 + 16));
    assert_eq!(error.location().type_id, Some(TypeId(2)));
    // More elements than there are, up to the largest count.
    let mut blob = Blob::new(ByteOrder::Big);
    blob.record(0, Info::new(Kind::Struct, 0xff_ffff, false), 0, &[0; 3]);
    let (needed, available) = (12 + 12 * 0xff_ffff, 24);
    let truncated = ErrorKind::Truncated { needed, available };
    assert_eq!(self::error(&blob.bytes()), truncated);
}

#[test]
fn vlen_has_24_bits() {
    let mut blob = Blob::new(ByteOrder::Little);
    let info = Info::new(Kind::Enum, 70_000, false);
    blob.record(0, info, 4, &vec![0; 140_000]);
    let btf = parse(&blob, None).unwrap();
    let Ok(Type::Enum(found)) = btf.ty(TypeId(1)) else {
        panic!("no ENUM")
    };
    assert_eq!(found.len(), 70_000);
    assert_eq!(found.enumerators().count(), 70_000);
}

/// A layout section up to kind 20, whose records have a trailer of 8 bytes and elements of 4.
fn layout_of_20() -> Vec<[u8; 4]> {
    let known = LayoutEntry::known().into_iter();
    let known = known.map(|entry| entry.bytes(ByteOrder::Little));
    known.chain([[8, 4, 0, 0]]).collect()
}

#[test]
fn unknown_kinds_are_stepped_over_by_the_layout() {
    let unknown = Info(20 << 24 | 3);
    let mut blob = Blob::new(ByteOrder::Little);
    blob.record(0, unknown, 7, &[1, 2, 3, 4, 5]).int();
    assert_eq!(error(&blob.bytes()), ErrorKind::UnknownKind(20));

    blob.layout = layout_of_20();
    blob.header_len = 32;
    let btf = Arc::new(parse(&blob, None).unwrap());
    assert_eq!(btf.starts(), [0, 8, 12]);
    assert_eq!(btf.layout().map(<[_]>::len), Some(21));
    assert!(matches!(btf.ty(TypeId(1)), Ok(Type::Unknown { record }) if record.len() == 8));
    // Writing keeps what is not known, if it may be described.
    let builder = Builder::from_btf(&btf);
    assert!(
        builder
            .write(ByteOrder::Big, WriteOptions::default())
            .is_err()
    );
    let options = WriteOptions {
        layout: true,
        ..WriteOptions::default()
    };
    let bytes = builder.write(ByteOrder::Big, options).unwrap();
    let again = Btf::parse(&bytes, None).unwrap();
    assert_eq!((again.words(), again.layout()), (btf.words(), btf.layout()));

    // Split BTF goes by the base's layout, and kind 0 is never stored.
    let mut split = Blob::new(ByteOrder::Little);
    split.record(0, unknown, 7, &[1, 2, 3, 4, 5]);
    assert_eq!(parse(&split, Some(&btf)).unwrap().end_id(), 4);
    blob.record(0, Info(0), 0, &[]);
    assert_eq!(error(&blob.bytes()), ErrorKind::UnknownKind(0));
}

#[test]
fn a_layout_of_broken_words_is_no_help() {
    let mut blob = Blob::new(ByteOrder::Little);
    blob.record(0, Info(20 << 24), 0, &[]);
    blob.layout = layout_of_20();
    blob.layout[20] = [2, 0, 0, 0];
    blob.header_len = 32;
    assert!(matches!(
        error(&blob.bytes()),
        ErrorKind::Invalid { value: 20, .. }
    ));
}

#[test]
fn split_on_split_on_base() {
    for order in ORDERS {
        let mut blob = Blob::new(order);
        blob.int();
        let base = Arc::new(parse(&blob, None).unwrap());
        let link = |base: &Arc<Btf>, name: &str| {
            let mut blob = Blob::new(order);
            blob.strings.clear();
            let name = blob.name(name) + base.end_string();
            let target = base.end_id() - 1;
            blob.record(name, Info::new(Kind::Typedef, 0, false), target, &[]);
            Arc::new(parse(&blob, Some(base)).unwrap())
        };
        let middle = link(&base, "middle");
        let top = link(&middle, "top");
        assert_eq!((top.first_id(), top.end_id()), (3, 4));
        assert_eq!(top.first_string(), 5 + 7);
        let names = [&b""[..], b"int", b"middle", b"top"];
        for (id, name) in (0..).zip(names) {
            assert_eq!(top.name(TypeId(id)).unwrap(), name);
            if id > 0 {
                assert_eq!(top.find_by_name(name).collect::<Vec<_>>(), [TypeId(id)]);
            }
        }
        assert_eq!(crate::graph::strip_modifiers(&top, TypeId(3)).unwrap().0, 1);
        assert_eq!(top.find_string(b"middle"), Some(StrOffset(5)));
        assert_eq!(top.find_string(b"iddle"), None);
        assert_eq!(top.chain().count(), 3);
        // Without its base it is refused.
        let mut split = Blob::new(order);
        split.strings = b"top\0".to_vec();
        assert!(matches!(error(&split.bytes()), ErrorKind::Invalid { .. }));
        // A split BTF may have no strings at all.
        split.strings.clear();
        assert_eq!(parse(&split, Some(&top)).unwrap().end_string(), 16);
    }
}

#[track_caller]
fn check(btf: &Btf, name: &[u8], expect: &[u32]) {
    let found: Vec<_> = btf.find_by_name(name).map(|id| id.0).collect();
    assert_eq!(found, expect);
}

#[test]
fn names_are_found_whether_sorted_or_not() {
    let build = |names: &[&str]| {
        let mut builder = Builder::new();
        for name in names {
            builder.fwd(name.as_bytes(), false).unwrap();
        }
        builder.finish().unwrap()
    };
    let long = |tail: &str| "x".repeat(600) + tail;
    let sorted = build(&["", "", "a", "b", "b", "c", &long("1"), &long("2")]);
    assert!(sorted.is_sorted());
    check(&sorted, b"", &[1, 2]);
    check(&sorted, b"b", &[4, 5]);
    check(&sorted, b"d", &[]);
    check(&sorted, long("2").as_bytes(), &[8]);
    let unsorted = build(&["c", "b", "", "a", "b", &long("2"), &long("1")]);
    assert!(!unsorted.is_sorted());
    check(&unsorted, b"b", &[2, 5]);
    check(&unsorted, b"", &[3]);
    check(&unsorted, b"a\0", &[]);
    check(&unsorted, long("1").as_bytes(), &[7]);
    // The first 512 bytes are in order, the rest is not.
    assert!(!build(&[&long("2"), &long("1")]).is_sorted());
}

#[test]
fn overlapping_long_names_do_not_take_the_square_of_the_time() {
    let mut builder = Builder::new();
    let len = 20_000;
    let name = builder.add_string("x".repeat(len).as_bytes()).unwrap();
    for index in 0..u32::try_from(len).unwrap() {
        let info = Info::new(Kind::Fwd, 0, false);
        builder.push_record(&[name.0 + index, info.0, 0]).unwrap();
    }
    let btf = builder.finish().unwrap();
    assert!(!btf.is_sorted());
    assert_eq!(btf.find_by_name(b"xx").count(), 1);
    assert_eq!(validate(&btf, Profile::User).len(), len - 512);
}

/// Reads `bytes` and, if that works, looks at everything in it.
fn exercise(bytes: &[u8]) -> bool {
    let Ok(btf) = Btf::parse(bytes, None) else {
        return false;
    };
    for (id, ty) in btf.types() {
        let _ = crate::graph::size_of(&btf, id);
        if let Type::Struct(composite) = ty {
            for member in composite.members() {
                let _ = crate::graph::bitfield(&btf, &member);
            }
        }
    }
    let _ = btf.find_by_name(b"int").count();
    for profile in [Profile::Structural, Profile::Vmlinux, Profile::User] {
        for finding in validate(&btf, profile) {
            assert!(!finding.message().is_empty());
        }
    }
    // What was read can be written, and is read again as the same.
    let options = WriteOptions {
        layout: btf.layout().is_some(),
        wide_vlen: true,
    };
    if let Ok(bytes) = Builder::from_btf(&btf).write(btf.byte_order(), options) {
        let again = Btf::parse(&bytes, None).unwrap();
        assert_eq!(again.words(), btf.words());
    }
    true
}

#[test]
fn damaged_blobs_neither_panic_nor_hang() {
    let mut random = Random(42);
    let mut read = 0;
    for round in 0..5000 {
        let mut builder = Builder::new();
        let names = ["", "int", "a", "next", "x y"].map(str::as_bytes);
        let names = names.map(|name| builder.add_string(name).unwrap());
        for _ in 0..random.below(30) {
            let record = random_record(&mut random, 34, &names);
            builder.push_record(&record).unwrap();
        }
        let options = WriteOptions {
            layout: round % 3 == 0,
            wide_vlen: false,
        };
        let mut bytes = builder.write(ORDERS[round % 2], options).unwrap();
        let len = u32::try_from(bytes.len()).unwrap();
        if round % 5 == 0 {
            bytes.truncate(random.below(len) as usize);
        } else {
            for _ in 0..random.below(4) {
                let at = random.below(len) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
        }
        read += usize::from(exercise(&bytes));
    }
    // Enough of them get past the reader to try the rest.
    assert!(read > 2000, "{read}");
}

#[test]
fn noise_behind_a_good_header_is_harmless() {
    let mut random = Random(7);
    for _ in 0..3000 {
        let mut blob = Blob::new(ORDERS[random.below(2) as usize]);
        blob.words = (0..random.below(200))
            .map(|_| random.below(u32::MAX) & 0x9f00_000f)
            .collect();
        exercise(&blob.bytes());
    }
}

#[test]
fn of_a_blob_that_is_cut_off_types_and_strings_are_missed_first() {
    let mut blob = Blob::new(ByteOrder::Little);
    blob.header_len = 32;
    blob.int();
    blob.layout = layout_of_20();
    let bytes = blob.bytes();
    let put = |bytes: &mut [u8], at: usize, value: u32| {
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    };
    // Where the layout is said to be, and where types and strings are.
    let (layout_off, type_off, str_off) = (24, 8, 16);
    let offset_of_error = |bytes: &[u8]| {
        let error = Btf::parse(bytes, None).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Truncated { .. }));
        error.location().offset.unwrap()
    };
    for (at, far) in [(type_off, 1 << 20), (str_off, 1 << 21)] {
        let mut cut = bytes.clone();
        put(&mut cut, at, far);
        put(&mut cut, layout_off, 1 << 24);
        assert_eq!(offset_of_error(&cut), 32 + u64::from(far));
    }
    let mut cut = bytes;
    put(&mut cut, layout_off, 1 << 24);
    assert_eq!(offset_of_error(&cut), 32 + (1 << 24));
}
