//! What is built is read back as it was, from bytes of both orders.

use super::*;
use crate::testing::{ORDERS, Random, random_record};
use crate::types::{Enumerator, Int, Member, Param, Type, VarSecinfo};
use crate::wire::{int, linkage};

#[test]
fn read_after_build_is_the_identity() {
    let mut random = Random(1);
    for round in 0..400 {
        let base = (round % 3 == 0).then(|| {
            let mut builder = Builder::new();
            builder.int(b"int", 4, int::SIGNED).unwrap();
            Arc::new(builder.finish().unwrap())
        });
        let mut builder = base.map_or_else(Builder::new, Builder::with_base);
        let base = builder.base.clone();
        let names = ["", "int", "a", "b"].map(|name| builder.add_string(name.as_bytes()).unwrap());
        let mut words = Vec::new();
        for _ in 0..random.below(50) {
            let record = random_record(&mut random, 50, &names);
            let id = builder.next_id();
            assert_eq!(builder.push_record(&record).unwrap(), id);
            words.extend(record);
        }
        let options = WriteOptions {
            layout: round % 2 == 0,
            wide_vlen: false,
        };
        let bytes = ORDERS.map(|order| {
            let blob = builder.blob(order, options).unwrap();
            let mut written = Vec::new();
            blob.write_to(&mut written).unwrap();
            assert_eq!(written.len() as u64, blob.len());
            assert_eq!(written, blob.to_vec());
            written
        });
        let finished = builder.finish().unwrap();
        for (order, bytes) in ORDERS.into_iter().zip(bytes) {
            let btf = Btf::parse(&bytes, base.clone()).unwrap();
            assert_eq!(btf.words(), words);
            assert_eq!(btf.string_bytes(), finished.string_bytes());
            assert_eq!(btf.starts(), finished.starts());
            assert_eq!(btf.layout().is_some(), options.layout);
            let again = Builder::from_btf(&btf).write(order, options).unwrap();
            assert_eq!(again, bytes);
        }
    }
}

#[test]
fn many_records_are_as_one_by_one() {
    let mut random = Random(2);
    for _ in 0..100 {
        let (mut one_by_one, mut at_once) = (Builder::new(), Builder::new());
        for _ in 0..random.below(4) {
            let (mut sizes, mut parts) = (Vec::new(), Vec::new());
            for _ in 0..random.below(4) {
                let (types, mut words) = (random.below(20) as usize, Vec::new());
                for _ in 0..types {
                    let record = random_record(&mut random, 50, &[StrOffset::EMPTY]);
                    one_by_one.push_record(&record).unwrap();
                    words.extend(record);
                }
                sizes.push(PartSize {
                    types,
                    words: words.len(),
                });
                parts.push(words);
            }
            let fill = |part: usize, to: &mut [u32]| {
                to.copy_from_slice(&parts[part]);
                Ok(())
            };
            at_once.push_parts(&sizes, fill).unwrap();
            let refuse = |_: usize, _: &mut [u32]| Err(ErrorKind::UnknownKind(0).into());
            assert_eq!(
                at_once.push_parts(&sizes, refuse).is_err(),
                !sizes.is_empty()
            );
            let Some(last) = parts.iter().rposition(|words| !words.is_empty()) else {
                continue;
            };
            for (types, words) in [(0, -1), (1, 0), (-1, 0), (0, 3)] {
                let mut sizes = sizes.clone();
                let size = &mut sizes[last];
                size.types = size.types.strict_add_signed(types);
                size.words = size.words.strict_add_signed(words);
                let fill = |part: usize, to: &mut [u32]| {
                    let len = to.len().min(parts[part].len());
                    to[..len].copy_from_slice(&parts[part][..len]);
                    Ok(())
                };
                let error = at_once.push_parts(&sizes, fill);
                assert!(error.is_err(), "{types} types and {words} words more");
            }
        }
        assert_eq!(at_once.words, one_by_one.words);
        assert_eq!(at_once.starts, one_by_one.starts);
    }
}

#[test]
fn what_is_wrong_with_many_records_is_told_of_the_right_one() {
    let record = [0, Info::new(Kind::Ptr, 0, false).0, 0];
    let size = |types| PartSize { types, words: 6 };
    let error = |sizes: &[PartSize], bad: usize| {
        let mut builder = Builder::new();
        builder.push_record(&record).unwrap();
        let fill = |part: usize, to: &mut [u32]| {
            for to in to.chunks_mut(3).rev().skip(usize::from(part == bad)) {
                to.copy_from_slice(&record);
            }
            Ok(())
        };
        let error = builder.push_parts(sizes, fill).unwrap_err();
        assert_eq!(builder.next_id(), TypeId(2));
        error.to_string()
    };
    assert_eq!(
        error(&[size(2), size(2), size(2)], 1),
        "type [5]: unknown kind: 0, and no layout section describes it"
    );
    // What is behind the last one, and a record that is none.
    assert_eq!(
        error(&[size(2), size(1)], 9),
        "type [5]: invalid record length in words: 0x3"
    );
    assert_eq!(
        error(&[size(2), size(3)], 9),
        "type [2]: invalid record length in words: 0x6"
    );
    let endless = PartSize {
        types: 1,
        words: usize::MAX,
    };
    assert!(error(&[endless, endless], 9).contains("too large"));
}

#[test]
fn what_cannot_be_written_is_told() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(bytes.len())
                .ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut builder = Builder::new();
    for _ in 0..100 {
        builder.int(b"int", 4, 0).unwrap();
    }
    let blob = builder.blob(ByteOrder::Big, WriteOptions::default());
    let blob = blob.unwrap();
    let len = usize::try_from(blob.len()).unwrap();
    for room in 0..len {
        let error = blob.write_to(&mut Full(room)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{room}");
    }
    blob.write_to(&mut Full(len)).unwrap();
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let mut builder = Builder::new();
    builder.int(b"int", 4, int::SIGNED).unwrap();
    let bytes = builder
        .write(ByteOrder::Little, WriteOptions::default())
        .unwrap();
    let expect = [
        &[0x9f, 0xeb, 1, 0, 24, 0, 0, 0][..],
        &[0, 0, 0, 0, 16, 0, 0, 0],
        &[16, 0, 0, 0, 5, 0, 0, 0],
        &[1, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 32, 0, 0, 1],
        b"\0int\0",
    ];
    assert_eq!(bytes, expect.concat());
    let options = WriteOptions {
        layout: true,
        ..WriteOptions::default()
    };
    let bytes = builder.write(ByteOrder::Big, options).unwrap();
    assert_eq!(bytes[4..8], [0, 0, 0, 32]);
    assert_eq!(bytes.len(), 32 + 16 + 20 * 4 + 5);
    // INT has a trailer of 4 bytes, STRUCT elements of 12.
    assert_eq!(bytes[48 + 4..][..4], [4, 0, 0, 0]);
    assert_eq!(bytes[48 + 16..][..4], [0, 12, 0, 0]);
}

const INT: TypeId = TypeId(1);
const VALUES: [(&[u8], u64); 2] = [(b"M", u64::MAX), (b"P", 5)];
const ENTRY: VarSecinfo = VarSecinfo {
    ty: TypeId(14),
    offset: 8,
    size: 4,
};

/// A type of every kind, whose id is the kind's number.
fn every_kind() -> Btf {
    let mut b = Builder::new();
    b.int(b"int", 4, int::SIGNED).unwrap();
    let ptr = b.ptr(INT).unwrap();
    let array = b.array(ptr, INT, 7).unwrap();
    let member = |name, ty, bit_offset, bitfield_size| MemberSpec {
        name,
        ty,
        bit_offset,
        bitfield_size,
    };
    let members = [member(b"a", array, 0, 0), member(b"b", INT, 451, 3)];
    b.composite(Kind::Struct, b"s", 64, &members).unwrap();
    b.composite(Kind::Union, b"u", 56, &members[..1]).unwrap();
    b.enumeration(b"e", 4, true, &VALUES).unwrap();
    let fwd = b.fwd(b"f", true).unwrap();
    let typedef = b.typedef(b"t", fwd).unwrap();
    for kind in [Kind::Volatile, Kind::Const, Kind::Restrict] {
        b.qualifier(kind, typedef).unwrap();
    }
    let proto = TypeId(b.next_id().0 + 1);
    let func = b.func(b"fn", proto, linkage::GLOBAL).unwrap();
    let params: [(&[u8], TypeId); 2] = [(b"p", INT), (b"", TypeId::VOID)];
    b.func_proto(INT, &params).unwrap();
    b.var(b"v", INT, linkage::EXTERN).unwrap();
    b.datasec(b".data", 12, &[ENTRY]).unwrap();
    b.float(b"double", 8).unwrap();
    b.decl_tag(b"tag", func, -1, false).unwrap();
    b.type_tag(b"user", INT, true).unwrap();
    b.enum64(b"e64", 8, false, &VALUES).unwrap();
    b.finish().unwrap()
}

#[test]
fn every_kind_has_its_method() {
    let btf = every_kind();
    let kinds: Vec<_> = btf.types().filter_map(|(_, ty)| ty.kind()).collect();
    assert_eq!(kinds, Kind::ALL);
    let ty = |kind: Kind| btf.ty(TypeId(kind as u32)).unwrap();
    assert!(matches!(ty(Kind::Ptr), Type::Ptr { target: INT }));
    assert!(matches!(ty(Kind::Array), Type::Array { count: 7, .. }));
    assert!(matches!(ty(Kind::Fwd), Type::Fwd { is_union: true, .. }));
    assert!(matches!(ty(Kind::Func), Type::Func { linkage: 1, .. }));
    assert!(matches!(ty(Kind::Var), Type::Var { linkage: 2, .. }));
    assert!(matches!(ty(Kind::Float), Type::Float { size: 8, .. }));
    for kind in [Kind::Volatile, Kind::Const, Kind::Restrict] {
        assert_eq!(ty(kind).modified(), Some(TypeId(8)));
    }
    let Type::DeclTag {
        component,
        is_attribute,
        ..
    } = ty(Kind::DeclTag)
    else {
        panic!("no DECL_TAG")
    };
    assert_eq!((component, is_attribute), (-1, false));
    let Type::TypeTag { is_attribute, .. } = ty(Kind::TypeTag) else {
        panic!("no TYPE_TAG")
    };
    assert!(is_attribute);
}

#[test]
fn elements_are_read_as_they_were_built() {
    let btf = every_kind();
    let name = |name: &[u8]| btf.find_string(name).unwrap();
    let ty = |kind: Kind| btf.ty(TypeId(kind as u32)).unwrap();
    let expect = Int {
        name: name(b"int"),
        size: 4,
        encoding: int::SIGNED,
        offset_bits: 0,
        bits: 32,
        reserved: 0,
    };
    assert_eq!(ty(Kind::Int), Type::Int(expect));
    assert!(expect.is_whole() && expect.is_signed());
    let first = Member {
        name: name(b"a"),
        ty: TypeId(3),
        bit_offset: 0,
        bitfield_size: 0,
    };
    let second = Member {
        name: name(b"b"),
        ty: INT,
        bit_offset: 451,
        bitfield_size: 3,
    };
    let (Type::Struct(packed), Type::Union(plain)) = (ty(Kind::Struct), ty(Kind::Union)) else {
        panic!("no STRUCT and UNION")
    };
    assert!(packed.kind_flag && packed.members().eq([first, second]));
    assert!(!plain.kind_flag && plain.members().eq([first]));
    for kind in [Kind::Enum, Kind::Enum64] {
        let (Type::Enum(found) | Type::Enum64(found)) = ty(kind) else {
            panic!("no enumeration")
        };
        let expect = VALUES.map(|(text, value)| Enumerator {
            name: name(text),
            value,
        });
        assert!(found.enumerators().eq(expect), "{kind}");
    }
    let Type::FuncProto(found) = ty(Kind::FuncProto) else {
        panic!("no FUNC_PROTO")
    };
    let params: Vec<Param> = found.params().collect();
    assert_eq!((params[0].name, params[0].ty), (name(b"p"), INT));
    assert!(params[1].is_variadic() && !params[0].is_variadic());
    let Type::Datasec(found) = ty(Kind::Datasec) else {
        panic!("no DATASEC")
    };
    assert!(found.entries().eq([ENTRY]));
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut b = Builder::new();
    assert!(b.int(b"big", 32, 0).is_err());
    assert!(b.enumeration(b"e", 4, false, &[(b"M", u64::MAX)]).is_err());
    assert!(b.enumeration(b"e", 4, true, &[(b"P", 1 << 31)]).is_err());
    assert!(b.enumeration(b"e", 4, false, &[(b"P", 1 << 31)]).is_ok());
    assert!(b.qualifier(Kind::Ptr, TypeId(1)).is_err());
    assert!(b.composite(Kind::Enum, b"", 0, &[]).is_err());
    let bitfield = MemberSpec {
        bit_offset: 1 << 24,
        bitfield_size: 1,
        ..MemberSpec::default()
    };
    assert!(b.composite(Kind::Struct, b"", 0, &[bitfield]).is_err());
    assert!(b.push_record(&[]).is_err());
    assert!(b.push_record(&[0, 20 << 24, 0]).is_err());
    assert!(
        b.push_record(&[0, Info::new(Kind::Int, 0, false).0, 4])
            .is_err()
    );
    assert_eq!(b.next_id(), TypeId(2));
}

#[test]
fn many_elements_need_a_new_kernel() {
    let mut b = Builder::new();
    b.int(b"int", 4, 0).unwrap();
    let values: Vec<(&[u8], u64)> = vec![(b"A", 0); 0x1_0000];
    b.enumeration(b"e", 4, false, &values).unwrap();
    let refused = b.write(ByteOrder::Little, WriteOptions::default());
    let error = refused.unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::TooLarge {
            value: 0x1_0000,
            ..
        }
    ));
    assert_eq!(error.location().type_id, Some(TypeId(2)));
    let options = WriteOptions {
        wide_vlen: true,
        ..WriteOptions::default()
    };
    assert!(b.write(ByteOrder::Little, options).is_ok());
}
