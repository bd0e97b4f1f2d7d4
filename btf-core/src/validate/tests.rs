//! Every rule is broken once, in the smallest BTF that does, and found at its place and in its profiles only.

mod many;

use std::sync::Arc;

use super::*;
use crate::builder::{Builder, MemberSpec, WriteOptions};
use crate::kind::Kind;
use crate::testing::Blob;
use crate::types::VarSecinfo;
use crate::wire::{ByteOrder, Info, int, linkage};

const ALL: [Profile; 4] = [
    Profile::Structural,
    Profile::Vmlinux,
    Profile::Module,
    Profile::User,
];

/// The `int` that every case starts with, as type 1.
const INT: TypeId = TypeId(1);

/// A member that starts at a bit.
fn at(name: &'static [u8], ty: TypeId, bit_offset: u32) -> MemberSpec<'static> {
    MemberSpec {
        name,
        ty,
        bit_offset,
        bitfield_size: 0,
    }
}

/// The rules that `build` breaks for some target, each with the word of its type that is to blame; each target must find
/// those of them that it enforces.
#[track_caller]
fn check(build: impl FnOnce(&mut Builder), expect: &[(Rule, u32, usize)]) {
    let mut builder = Builder::new();
    assert_eq!(builder.int(b"int", 4, int::SIGNED).unwrap(), INT);
    build(&mut builder);
    let btf = builder.finish().unwrap();
    for profile in ALL {
        let target = profile.into();
        let found: Vec<_> = validate(&btf, target)
            .iter()
            .filter(|f| f.severity == Severity::Fault)
            .map(|f| (f.rule, f.type_id, f.offset))
            .collect();
        let expect: Vec<_> = expect
            .iter()
            .filter(|(rule, ..)| rule.severity(target) == Some(Severity::Fault))
            .map(|&(rule, id, word)| {
                let id = TypeId(id);
                (rule, Some(id), btf.byte_offset(id, word))
            })
            .collect();
        assert_eq!(found, expect, "{profile:?}");
    }
}

/// A record, with names by their text.
fn raw(b: &mut Builder, name: &[u8], kind: Kind, vlen: u32, third: u32, rest: &[u32]) {
    let name = b.add_string(name).unwrap().0;
    let mut record = vec![name, Info::new(kind, vlen, false).0, third];
    record.extend(rest);
    b.push_record(&record).unwrap();
}

#[test]
fn good_types_pass() {
    check(
        |b| {
            let ptr = b.ptr(TypeId::VOID).unwrap();
            let array = b.array(ptr, INT, 4).unwrap();
            let node = TypeId(b.next_id().0 + 1);
            let next = b.ptr(node).unwrap();
            let members = [at(b"next", next, 0), at(b"all", array, 64)];
            b.composite(Kind::Struct, b"node", 40, &members).unwrap();
            b.composite(Kind::Union, b"", 8, &[at(b"", ptr, 0)])
                .unwrap();
            b.enumeration(b"e", 4, false, &[(b"A", 1)]).unwrap();
            let fwd = b.fwd(b"f", true).unwrap();
            let constant = b.qualifier(Kind::Const, fwd).unwrap();
            b.ptr(constant).unwrap();
            let params: [(&[u8], _); 2] = [(b"a", INT), (b"", TypeId::VOID)];
            let proto = b.func_proto(TypeId::VOID, &params).unwrap();
            b.ptr(proto).unwrap();
            let func = b.func(b"fn.part.0", proto, linkage::STATIC).unwrap();
            b.decl_tag(b"tag", func, 0, false).unwrap();
            b.decl_tag(b"tag", func, -1, true).unwrap();
            let ty = b.var(b"v", node, linkage::GLOBAL).unwrap();
            let (offset, size) = (0, 40);
            let entry = VarSecinfo { ty, offset, size };
            b.datasec(b".data..percpu", 40, &[entry]).unwrap();
            b.float(b"long double", 16).unwrap();
            b.type_tag(b"rcu", INT, false).unwrap();
        },
        &[],
    );
}

#[test]
fn ids_and_names() {
    check(
        |b| {
            b.ptr(TypeId(99)).unwrap();
            b.push_record(&[99_999, Info::new(Kind::Float, 0, false).0, 4])
                .unwrap();
            raw(b, b"p", Kind::Ptr, 0, 0, &[]);
            b.typedef(b"", INT).unwrap();
            b.typedef(b"a b", INT).unwrap();
            b.composite(Kind::Struct, b"9", 0, &[]).unwrap();
            b.type_tag(b"", INT, false).unwrap();
            b.enumeration(b"", 4, false, &[(b"", 0), (b"a-b", 0)])
                .unwrap();
            b.fwd("ok_\u{e9}".as_bytes(), false).unwrap();
            b.fwd(&[b'x'; 512], false).unwrap();
            b.fwd(&[b'x'; 513], false).unwrap();
        },
        &[
            (Rule::TypeIdRange, 2, 2),
            (Rule::NameRange, 3, 0),
            (Rule::NameForbidden, 4, 0),
            (Rule::NameMissing, 5, 0),
            (Rule::NameInvalid, 6, 0),
            (Rule::NameInvalid, 7, 0),
            (Rule::NameMissing, 8, 0),
            (Rule::NameMissing, 9, 3),
            (Rule::NameInvalid, 9, 5),
            // The second byte of é is a sign in Latin-1.
            (Rule::NameInvalid, 10, 0),
            (Rule::NameInvalid, 12, 0),
        ],
    );
}

#[test]
fn unused_fields() {
    check(
        |b| {
            raw(b, b"", Kind::Ptr, 1, 0, &[]);
            b.push_record(&[0, Info::new(Kind::Ptr, 0, true).0, 0])
                .unwrap();
            raw(b, b"f", Kind::Fwd, 0, 5, &[]);
            raw(b, b"i", Kind::Int, 0, 4, &[0x9100_0020]);
        },
        &[
            (Rule::VlenUnused, 2, 1),
            (Rule::KindFlagUnused, 3, 1),
            (Rule::WordUnused, 4, 2),
            (Rule::WordUnused, 5, 3),
        ],
    );
}

#[test]
fn numbers() {
    check(
        |b| {
            raw(b, b"i", Kind::Int, 0, 4, &[33]);
            raw(b, b"i", Kind::Int, 0, 17, &[1 << 16 | 128]);
            b.int(b"i", 4, int::SIGNED | int::CHAR).unwrap();
            b.enumeration(b"", 3, false, &[]).unwrap();
            b.enum64(b"", 0, false, &[]).unwrap();
            b.float(b"f", 10).unwrap();
        },
        &[
            (Rule::IntBits, 2, 3),
            (Rule::IntBits, 3, 3),
            (Rule::IntEncoding, 4, 3),
            (Rule::EnumSize, 5, 2),
            (Rule::EnumSize, 6, 2),
            (Rule::FloatSize, 7, 2),
        ],
    );
}

#[test]
fn members_start_in_order_and_inside() {
    check(
        |b| {
            let members = [at(b"a", INT, 32), at(b"b", INT, 0), at(b"c", INT, 65)];
            b.composite(Kind::Struct, b"", 8, &members).unwrap();
            let members = [at(b"a", INT, 0), at(b"b", INT, 32)];
            b.composite(Kind::Union, b"", 8, &members).unwrap();
            b.composite(Kind::Struct, b"", 8, &[at(b"", TypeId::VOID, 0)])
                .unwrap();
        },
        &[
            (Rule::MemberOrder, 2, 8),
            (Rule::MemberOffset, 2, 11),
            (Rule::MemberPlace, 2, 11),
            (Rule::MemberUnion, 3, 8),
            (Rule::VoidTarget, 4, 4),
        ],
    );
}

#[test]
fn targets_have_fitting_kinds() {
    check(
        |b| {
            let proto = b.func_proto(TypeId::VOID, &[]).unwrap();
            let func = b.func(b"f", proto, 0).unwrap();
            b.func(b"g", INT, 3).unwrap();
            // The kernel takes it if the function comes first.
            b.ptr(TypeId(14)).unwrap();
            let var = b.var(b"v", INT, 3).unwrap();
            b.typedef(b"t", var).unwrap();
            b.decl_tag(b"tag", INT, -1, false).unwrap();
            b.decl_tag(b"tag", var, 0, false).unwrap();
            b.decl_tag(b"tag", func, 0, false).unwrap();
            b.decl_tag(b"tag", func, -2, false).unwrap();
            b.func(b"h", proto, linkage::EXTERN).unwrap();
            b.var(b"v", INT, linkage::EXTERN).unwrap();
            b.func(b"i", proto, 0).unwrap();
        },
        &[
            (Rule::FuncLinkage, 4, 1),
            (Rule::TargetKind, 4, 2),
            (Rule::TargetKind, 5, 2),
            (Rule::VarLinkage, 6, 3),
            (Rule::TargetKind, 7, 2),
            (Rule::TargetKind, 8, 2),
            (Rule::TagComponent, 9, 3),
            (Rule::TagComponent, 10, 3),
            (Rule::TagIndex, 11, 3),
            (Rule::ExternLinkage, 12, 1),
            (Rule::ExternLinkage, 13, 3),
        ],
    );
}

#[test]
fn sections_hold_their_variables() {
    check(
        |b| {
            let ty = b.var(b"v", INT, 0).unwrap();
            let entry = |offset, size| VarSecinfo { ty, offset, size };
            b.datasec(b".data", 8, &[entry(4, 4), entry(0, 4)]).unwrap();
            b.datasec(b"a\x01", 8, &[entry(0, 3), entry(3, 8)]).unwrap();
            b.datasec(b"", 0, &[]).unwrap();
        },
        &[
            (Rule::DatasecEntry, 3, 7),
            (Rule::SectionName, 4, 0),
            (Rule::DatasecSize, 4, 2),
            (Rule::DatasecVariable, 4, 3),
            (Rule::DatasecEntry, 4, 7),
            (Rule::NameMissing, 5, 0),
            (Rule::DatasecSize, 5, 2),
        ],
    );
}

#[test]
fn what_libbpf_completes_is_no_fault_of_objects() {
    let mut b = Builder::new();
    b.int(b"int", 4, int::SIGNED).unwrap();
    let proto = b.func_proto(INT, &[(b"", INT)]).unwrap();
    b.func(b"kfunc", proto, linkage::EXTERN).unwrap();
    let ty = b.var(b"v", INT, linkage::GLOBAL).unwrap();
    let (offset, size) = (0, 4);
    let entry = VarSecinfo { ty, offset, size };
    b.datasec(b".data", 0, &[entry]).unwrap();
    let btf = b.finish().unwrap();
    let mut target = Target::from(Profile::User);
    assert_eq!(validate(&btf, target).len(), 4);
    target.is_object = true;
    assert_eq!(validate(&btf, target), []);
}

#[test]
fn libbpf_writes_section_names_for_old_kernels() {
    let rules = |name: &[u8], minor, is_object| {
        let mut b = Builder::new();
        b.int(b"int", 4, int::SIGNED).unwrap();
        let ty = b.var(b"v", INT, linkage::GLOBAL).unwrap();
        let (offset, size) = (0, 4);
        let entry = VarSecinfo { ty, offset, size };
        b.datasec(name, 4, &[entry]).unwrap();
        let mut target = Target::new(Profile::User, KernelVersion::new(6, minor));
        target.is_object = is_object;
        let found = validate(&b.finish().unwrap(), target);
        found.iter().map(|f| f.rule).collect::<Vec<_>>()
    };
    let refused = [Rule::SectionName];
    assert_eq!(rules(b"?struct_ops", 6, true), []);
    assert_eq!(rules(b"?struct_ops", 6, false), refused);
    assert_eq!(rules(b"?struct_ops", 9, false), []);
    assert_eq!(rules(b"struct?ops", 6, true), refused);
    assert_eq!(rules(b".data/a b", 6, true), refused);
}

#[test]
fn nothing_contains_itself() {
    check(
        |b| {
            b.array(TypeId(2), INT, 1).unwrap();
            b.typedef(b"a", TypeId(4)).unwrap();
            b.typedef(b"b", TypeId(3)).unwrap();
            b.composite(Kind::Struct, b"s", 4, &[at(b"", TypeId(6), 0)])
                .unwrap();
            b.array(TypeId(5), INT, 1).unwrap();
            b.ptr(TypeId(8)).unwrap();
            b.ptr(TypeId(7)).unwrap();
        },
        &[
            (Rule::Cycle, 2, 0),
            (Rule::Cycle, 3, 0),
            (Rule::ModifierDepth, 3, 2),
            (Rule::Cycle, 5, 0),
            (Rule::PointerCycle, 8, 2),
        ],
    );
}

#[test]
fn kernels_follow_32_modifiers() {
    check(
        |b| {
            // However many there are, each stands behind its target, which the kernel has seen.
            let mut id = INT;
            for _ in 0..35 {
                id = b.typedef(b"t", id).unwrap();
            }
            // Here the kernel meets 33 new ones in a row, and none too many behind the first.
            let first = b.next_id().0;
            for id in first..first + 32 {
                b.typedef(b"t", TypeId(id + 1)).unwrap();
            }
            b.typedef(b"t", INT).unwrap();
        },
        &[(Rule::ModifierDepth, 37, 2), (Rule::ResolveDepth, 68, 2)],
    );
}

#[test]
fn kernels_nest_32_types() {
    check(
        |b| {
            // Each pointer points to the next one.
            for id in 3..=34 {
                b.ptr(TypeId(id)).unwrap();
            }
            b.ptr(INT).unwrap();
        },
        &[(Rule::ResolveDepth, 33, 2)],
    );
}

#[test]
fn users_need_sizes() {
    check(
        |b| {
            let fwd = b.fwd(b"f", false).unwrap();
            b.array(fwd, INT, 1).unwrap();
            b.composite(Kind::Struct, b"", 4, &[at(b"", fwd, 0)])
                .unwrap();
            b.var(b"v", fwd, 0).unwrap();
            b.func_proto(fwd, &[(b"", fwd)]).unwrap();
            let void = b.qualifier(Kind::Const, TypeId::VOID).unwrap();
            b.func_proto(void, &[(b"", TypeId::VOID), (b"", INT)])
                .unwrap();
            b.func_proto(INT, &[(b"a", TypeId::VOID)]).unwrap();
            let proto = b.func_proto(INT, &[(b"a", INT), (b"", INT)]).unwrap();
            b.func(b"f", proto, 0).unwrap();
            b.func(b"g", proto, 0).unwrap();
        },
        &[
            (Rule::Unsized, 3, 3),
            (Rule::Unsized, 4, 4),
            (Rule::Unsized, 5, 2),
            (Rule::Unsized, 6, 2),
            (Rule::Unsized, 6, 4),
            (Rule::Unsized, 8, 2),
            (Rule::ParamVariadic, 8, 3),
            (Rule::ParamVariadic, 9, 3),
            (Rule::ParamName, 11, 2),
            (Rule::ParamName, 12, 2),
        ],
    );
}

#[test]
fn users_need_regular_arrays() {
    check(
        |b| {
            raw(b, b"bits", Kind::Int, 0, 4, &[5]);
            b.array(TypeId(2), INT, 1).unwrap();
            b.array(INT, TypeId(2), 1).unwrap();
            let double = b.float(b"double", 8).unwrap();
            b.array(INT, double, 1).unwrap();
            b.array(INT, INT, 1 << 30).unwrap();
            b.array(INT, INT, (1 << 30) - 1).unwrap();
        },
        &[
            (Rule::ArrayElement, 3, 3),
            (Rule::ArrayIndex, 4, 4),
            (Rule::ArrayIndex, 6, 4),
            (Rule::ArraySize, 7, 5),
        ],
    );
}

#[test]
fn users_need_members_in_place() {
    let bits = |ty, bit_offset, bitfield_size| MemberSpec {
        name: b"b",
        ty,
        bit_offset,
        bitfield_size,
    };
    check(
        |b| {
            raw(b, b"old", Kind::Int, 0, 4, &[3 << 16 | 5]);
            let ptr = b.ptr(INT).unwrap();
            let e = b.enumeration(b"e", 4, false, &[]).unwrap();
            let double = b.float(b"double", 8).unwrap();
            let mut add = |size, members: &[MemberSpec<'_>]| {
                b.composite(Kind::Struct, b"", size, members).unwrap();
            };
            // 6: fine. 7, 8: old bitfields. 9 on: new ones.
            add(4, &[bits(INT, 0, 3), bits(e, 3, 29)]);
            add(1, &[at(b"", TypeId(2), 0)]);
            add(1, &[at(b"", TypeId(2), 1)]);
            add(8, &[bits(INT, 0, 33)]);
            add(8, &[bits(ptr, 0, 3)]);
            add(8, &[bits(TypeId(2), 0, 3)]);
            add(4, &[bits(INT, 31, 2)]);
            add(16, &[at(b"", double, 32)]);
            add(7, &[at(b"", ptr, 0)]);
            add(9, &[at(b"", ptr, 4)]);
        },
        &[
            (Rule::MemberPlace, 8, 5),
            (Rule::MemberBitfield, 9, 5),
            (Rule::MemberBitfield, 10, 5),
            (Rule::MemberBitfield, 11, 5),
            (Rule::MemberPlace, 12, 5),
            (Rule::MemberPlace, 13, 5),
            (Rule::MemberPlace, 14, 5),
            (Rule::MemberPlace, 15, 5),
        ],
    );
}

#[track_caller]
fn check_blob(btf: &Btf, profile: Profile, expect: &[Rule]) {
    let found: Vec<_> = validate(btf, profile).iter().map(|f| f.rule).collect();
    assert_eq!(found, expect);
}

#[test]
fn blobs_as_a_whole() {
    let mut blob = Blob::new(ByteOrder::Little);
    let empty = Btf::parse(&blob.bytes(), None).unwrap();
    check_blob(&empty, Profile::Vmlinux, &[]);
    check_blob(&empty, Profile::User, &[Rule::NoTypes]);
    let split = Builder::with_base(Arc::new(empty)).finish().unwrap();
    let expect = [Rule::BaseNotAllowed, Rule::NoTypes];
    check_blob(&split, Profile::User, &expect);

    blob.int().gap = 4;
    let gap = Btf::parse(&blob.bytes(), None).unwrap();
    check_blob(&gap, Profile::Structural, &[]);
    check_blob(&gap, Profile::Module, &[Rule::SectionGap]);
    blob.gap = 0;
    let mut bytes = blob.bytes();
    bytes.push(0);
    let trailing = Btf::parse(&bytes, None).unwrap();
    check_blob(&trailing, Profile::Vmlinux, &[Rule::SectionGap]);

    blob.header_len = 32;
    blob.layout = vec![[0; 4], [4, 4, 0, 0]];
    let layout = Btf::parse(&blob.bytes(), None).unwrap();
    check_blob(&layout, Profile::Structural, &[Rule::LayoutMismatch]);
    blob.layout = (0..21).map(|_| [0; 4]).collect();
    blob.words = vec![0, 20 << 24, 0];
    let unknown = Btf::parse(&blob.bytes(), None).unwrap();
    let found = validate(&unknown, Profile::Vmlinux);
    assert!(found.iter().any(|f| f.rule == Rule::UnknownKind));
}

#[test]
fn limits_of_kernels() {
    let mut b = Builder::new();
    b.add_string(&vec![b'x'; 16 << 20]).unwrap();
    let long = b.write(ByteOrder::Little, WriteOptions::default());
    let long = Btf::parse(&long.unwrap(), None).unwrap();
    check_blob(&long, Profile::Vmlinux, &[Rule::StringsLimit]);
    let expect = [Rule::StringsLimit, Rule::BlobSize, Rule::NoTypes];
    check_blob(&long, Profile::User, &expect);

    for _ in 0..=crate::wire::MAX_TYPE_ID {
        b.ptr(TypeId::VOID).unwrap();
    }
    let mut b = Builder::with_base(Arc::new(b.finish().unwrap()));
    let last = b.fwd(b"f", false).unwrap();
    b.ptr(last).unwrap();
    let btf = b.finish().unwrap();
    check_blob(&btf, Profile::Structural, &[]);
    let expect = [
        Rule::TypeCount,
        Rule::NameLimit,
        Rule::Unsorted,
        Rule::TypeIdLimit,
    ];
    check_blob(&btf, Profile::Module, &expect);
}

#[test]
fn the_first_type_out_of_order_is_told() {
    let mut b = Builder::new();
    b.ptr(TypeId::VOID).unwrap();
    for name in [b"a", b"c", b"b", b"a"] {
        b.int(name, 4, 0).unwrap();
    }
    let btf = b.finish().unwrap();
    let found = validate(&btf, Profile::Vmlinux);
    let [finding] = found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(finding.rule, Rule::Unsorted);
    assert_eq!((finding.type_id, finding.value), (Some(TypeId(4)), 3));
    assert_eq!(finding.offset, btf.byte_offset(TypeId(4), 0));
    assert_eq!(btf.first_unsorted(), finding.type_id);
}

#[test]
fn an_ext_section_without_a_body_is_ignored_by_libbpf() {
    let mut b = Builder::new();
    b.int(b"int", 4, int::SIGNED).unwrap();
    let btf = b.finish().unwrap();
    let mut bytes = crate::ext::BtfExt::default()
        .write(ByteOrder::Little)
        .unwrap();
    let findings = |bytes: &[u8]| check_ext(bytes, &btf, Profile::User.into());
    let found = findings(&bytes);
    let [finding] = found[..] else {
        panic!("{found:?}");
    };
    let expect = (Rule::ExtEmpty, Severity::Warning);
    assert_eq!((finding.rule, finding.severity), expect);
    bytes.extend([0; 4]);
    assert_eq!(findings(&bytes), []);
}

#[test]
fn findings_say_what_and_where() {
    let mut b = Builder::new();
    b.ptr(TypeId(9)).unwrap();
    let btf = b.finish().unwrap();
    let found = validate(&btf, Profile::Structural);
    let expect = ".BTF+0x20: type [1]: the type id does not exist: 0x9 [type-id-range]";
    assert_eq!(found[0].message(), expect);
    let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Rule::ALL.len());
}

#[test]
fn special_fields_are_found_where_they_are() {
    let lock = |b: &mut Builder| {
        b.composite(Kind::Struct, b"bpf_spin_lock", 4, &[at(b"val", INT, 0)])
            .unwrap()
    };
    check(
        |b| {
            let lock = lock(b);
            let members = [at(b"a", lock, 0), at(b"b", lock, 32)];
            b.composite(Kind::Struct, b"s", 8, &members).unwrap();
        },
        &[(Rule::SpecialTwice, 3, 7)],
    );
    check(
        |b| {
            let lock = lock(b);
            let members = [at(b"a", lock, 0), at(b"b", INT, 32)];
            let inner = b.composite(Kind::Struct, b"s", 8, &members).unwrap();
            let many = b.array(inner, INT, 2).unwrap();
            let members = [at(b"c", lock, 0), at(b"d", many, 32)];
            b.composite(Kind::Struct, b"t", 20, &members).unwrap();
        },
        &[(Rule::SpecialTwice, 5, 7)],
    );
}
