//! What goes where, type by type; that it can be undone is tested with `relocate`.

use super::*;
use crate::builder::MemberSpec;
use crate::types::Type;
use crate::wire::{int, linkage};

/// The types of `btf` as text: kind, name, third word, number of elements, ids.
fn listing(btf: &Btf) -> Vec<String> {
    btf.records()
        .map(|(id, record)| {
            let info = Info(record[1]);
            let name = String::from_utf8_lossy(btf.name(id).unwrap()).into_owned();
            let refs: Vec<_> = type_refs(record).map(|(_, id)| id.0).collect();
            let size = btf.ty(id).unwrap().own_size();
            let size = size.map_or(String::new(), |size| format!(" {size}"));
            let (kind, vlen) = (info.kind().unwrap(), info.vlen());
            format!("{} {kind} {name}{size} x{vlen} {refs:?}", id.0)
        })
        .collect()
}

fn member(ty: TypeId) -> [MemberSpec<'static>; 1] {
    [MemberSpec {
        name: b"member",
        ty,
        ..MemberSpec::default()
    }]
}

/// Distills split BTF with a pointer to each type that `make` returns.
fn distilled(make: impl FnOnce(&mut Builder) -> Vec<TypeId>) -> Result<Btf> {
    let mut base = Builder::new();
    base.int(b"unused", 8, 0).unwrap();
    let roots = make(&mut base);
    let mut split = Builder::with_base(Arc::new(base.finish().unwrap()));
    for root in roots {
        split.ptr(root).unwrap();
    }
    distill(&split.finish().unwrap())
}

#[track_caller]
fn check(make: impl FnOnce(&mut Builder) -> Vec<TypeId>, base: &[&str], split: &[&str]) {
    let btf = distilled(make).unwrap();
    assert_eq!(listing(btf.base().unwrap()), base);
    assert_eq!(listing(&btf), split);
}

#[test]
fn the_border_is_what_has_a_name() {
    check(
        |base| {
            let int = base.int(b"int", 4, int::SIGNED).unwrap();
            let inner = base.composite(Kind::Struct, b"inner", 4, &member(int));
            let outer = base.composite(Kind::Struct, b"outer", 4, &member(inner.unwrap()));
            let values: [(&[u8], u64); 1] = [(b"VALUE", 1)];
            vec![
                base.enum64(b"wide", 8, false, &values).unwrap(),
                base.enumeration(b"e", 4, true, &values).unwrap(),
                base.fwd(b"declared", true).unwrap(),
                base.float(b"double", 8).unwrap(),
                base.composite(Kind::Union, b"u", 4, &member(int)).unwrap(),
                outer.unwrap(),
            ]
        },
        &[
            "1 STRUCT outer 4 x0 []",
            "2 ENUM wide 8 x0 []",
            "3 ENUM e 4 x0 []",
            "4 FWD declared x0 []",
            "5 FLOAT double 8 x0 []",
            "6 UNION u 4 x0 []",
        ],
        &[
            "7 PTR  x0 [2]",
            "8 PTR  x0 [3]",
            "9 PTR  x0 [4]",
            "10 PTR  x0 [5]",
            "11 PTR  x0 [6]",
            "12 PTR  x0 [1]",
        ],
    );
}

#[test]
fn what_has_no_name_or_is_a_way_moves() {
    check(
        |base| {
            let int = base.int(b"int", 4, int::SIGNED).unwrap();
            let anonymous = base.composite(Kind::Struct, b"", 4, &member(int)).unwrap();
            let array = base.array(anonymous, int, 2).unwrap();
            let constant = base.qualifier(Kind::Const, array).unwrap();
            let typedef = base.typedef(b"alias", constant).unwrap();
            let tag = base.type_tag(b"user", typedef, false).unwrap();
            let proto = base.func_proto(tag, &[(b"p", int)]).unwrap();
            let values: [(&[u8], u64); 1] = [(b"VALUE", 1)];
            vec![base.enumeration(b"", 4, false, &values).unwrap(), proto]
        },
        &["1 INT int 4 x0 []"],
        &[
            "2 PTR  x0 [10]",
            "3 PTR  x0 [9]",
            "4 STRUCT  4 x1 [1]",
            "5 ARRAY  x0 [4, 1]",
            "6 CONST  x0 [5]",
            "7 TYPEDEF alias x0 [6]",
            "8 TYPE_TAG user x0 [7]",
            "9 FUNC_PROTO  x1 [8, 1]",
            "10 ENUM  4 x1 []",
        ],
    );
}

#[test]
fn functions_and_variables_move_with_their_types() {
    check(
        |base| {
            let int = base.int(b"int", 4, int::SIGNED).unwrap();
            let proto = base.func_proto(int, &[]).unwrap();
            vec![
                base.func(b"f", proto, linkage::STATIC).unwrap(),
                base.var(b"v", int, linkage::STATIC).unwrap(),
            ]
        },
        &["1 INT int 4 x0 []"],
        &[
            "2 PTR  x0 [5]",
            "3 PTR  x0 [6]",
            "4 FUNC_PROTO  x0 [1]",
            "5 FUNC f x0 [4]",
            "6 VAR v x0 [1]",
        ],
    );
}

#[test]
fn types_that_lead_to_themselves_end() {
    check(
        |base| {
            let next = TypeId(base.next_id().0 + 1);
            let anonymous = base.composite(Kind::Struct, b"", 8, &member(next)).unwrap();
            let pointer = base.ptr(anonymous).unwrap();
            vec![pointer]
        },
        &[],
        &["1 PTR  x0 [3]", "2 STRUCT  8 x1 [3]", "3 PTR  x0 [2]"],
    );
}

#[test]
fn strings_are_where_their_types_are() {
    let btf = distilled(|base| {
        let page = base.composite(Kind::Struct, b"page", 64, &[]).unwrap();
        vec![
            base.typedef(b"page", page).unwrap(),
            base.typedef(b"page_t", page).unwrap(),
        ]
    });
    let btf = btf.unwrap();
    assert_eq!(btf.base().unwrap().string_bytes(), b"\0page\0");
    assert_eq!(btf.string_bytes(), b"page_t\0");
}

#[test]
fn what_cannot_be_distilled_is_told() {
    let error = distill(&Builder::new().finish().unwrap()).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error}");
    let error = distilled(|base| vec![base.datasec(b".data", 0, &[]).unwrap()]).unwrap_err();
    let expect = "type [2]: not supported: distilling a base of which a DATASEC is referred to";
    assert_eq!(error.to_string(), expect);
    let error = distilled(|_| vec![TypeId(99)]).unwrap_err();
    assert_eq!(error.to_string(), "type [2]: no such type id: 99");
}

#[test]
fn both_are_read_again_in_any_order() {
    use crate::builder::WriteOptions;
    use crate::testing::ORDERS;
    let btf = distilled(|base| vec![base.int(b"int", 4, int::SIGNED).unwrap()]).unwrap();
    for order in ORDERS {
        let write = |btf: &Btf| {
            let builder = Builder::from_btf(btf);
            builder.write(order, WriteOptions::default()).unwrap()
        };
        let base = Btf::parse(&write(btf.base().unwrap()), None).unwrap();
        let again = Btf::parse(&write(&btf), Some(Arc::new(base))).unwrap();
        assert_eq!(listing(&again), listing(&btf));
        assert!(matches!(
            again.ty(TypeId(2)),
            Ok(Type::Ptr { target: TypeId(1) })
        ));
    }
}
