//! The table of what matches, row by row, and that distilling is undone, on random BTF.

use super::*;
use crate::builder::MemberSpec;
use crate::distill::distill;
use crate::ids::StrOffset;
use crate::kind::Kind;
use crate::kind::Word;
use crate::refs::word_roles;
use crate::testing::{Random, random_record};
use crate::wire::Info;

/// A type as the tests write it: kind word, name, size.
fn add(builder: &mut Builder, text: &str) -> TypeId {
    let words: Vec<_> = text.split(' ').collect();
    let (name, size) = (
        words[1].as_bytes(),
        words.get(2).map_or(4, |size| size.parse().unwrap()),
    );
    let values: [(&[u8], u64); 1] = [(b"VALUE", 1)];
    let bits = [MemberSpec {
        name: b"m",
        ty: TypeId(1),
        bit_offset: 0,
        bitfield_size: 3,
    }];
    match words[0] {
        "int" => builder.int(name, size, 1),
        "unsigned" => builder.int(name, size, 0),
        "float" => builder.float(name, size),
        "enum" => builder.enumeration(name, size, false, &values),
        "enum64" => builder.enum64(name, size, false, &values),
        "struct" => builder.composite(Kind::Struct, name, size, &[]),
        "union" => builder.composite(Kind::Union, name, size, &[]),
        "bitfields" => builder.composite(Kind::Struct, name, size, &bits),
        "fwd" => builder.fwd(name, false),
        "ufwd" => builder.fwd(name, true),
        "typedef" => builder.typedef(name, TypeId(1)),
        _ => panic!("{text}"),
    }
    .unwrap()
}

/// A base with an INT at 1, and these types from 2.
fn base_of(types: &[&str]) -> Arc<Btf> {
    let mut base = Builder::new();
    add(&mut base, "int first");
    for text in types {
        add(&mut base, text);
    }
    Arc::new(base.finish().unwrap())
}

/// Split BTF that holds the one type of its distilled base in a structure, or points to it.
fn split_of(distilled: &str, is_embedded: bool) -> Btf {
    let mut base = Builder::new();
    let id = add(&mut base, distilled);
    let mut split = Builder::with_base(Arc::new(base.finish().unwrap()));
    let mut ty = id;
    if is_embedded {
        ty = split.qualifier(Kind::Const, ty).unwrap();
        ty = split.array(ty, TypeId::VOID, 2).unwrap();
        ty = split.typedef(b"alias", ty).unwrap();
    } else {
        ty = split.ptr(ty).unwrap();
    }
    let members = [MemberSpec {
        name: b"m",
        ty,
        ..MemberSpec::default()
    }];
    split
        .composite(Kind::Struct, b"holder", 64, &members)
        .unwrap();
    split.finish().unwrap()
}

/// Relocates one type; `expect` is its new id or the error.
#[track_caller]
fn check(distilled: &str, is_embedded: bool, base: &[&str], expect: Result<u32, &str>) {
    let split = split_of(distilled, is_embedded);
    let relocated = relocate(&split, base_of(base));
    match (relocated, expect) {
        (Ok(relocated), Ok(id)) => {
            assert_eq!(relocated.new_id(TypeId(1)), Some(TypeId(id)));
            assert_eq!(relocated.new_id(TypeId::VOID), Some(TypeId::VOID));
            let first = relocated.btf.first_id();
            assert_eq!(relocated.new_id(TypeId(2)), Some(TypeId(first)));
            assert_eq!(relocated.new_id(TypeId(99)), None);
            assert!(mismatches(&split, &base_of(base)).unwrap().is_empty());
        }
        (Err(error), Err(expect)) => {
            assert_eq!(error.to_string(), format!("type [1]: {expect}"));
        }
        (got, expect) => panic!("{got:?}, expected {expect:?}"),
    }
}

#[test]
fn numbers() {
    check("int i", false, &["int i"], Ok(2));
    check("int i", false, &["typedef i", "int i", "int i"], Ok(3));
    check(
        "int i",
        false,
        &["unsigned i"],
        Err(
            "integer `i` of 4 bytes: that of the base has another encoding or number of bits, type [2]",
        ),
    );
    check(
        "int i",
        false,
        &["unsigned i 8"],
        Err("integer `i` of 4 bytes: that of the base has 8 bytes, type [2]"),
    );
    check(
        "int i",
        false,
        &["struct i"],
        Err("integer `i` of 4 bytes: the base has none"),
    );
    check("float f 8", false, &["float f 8"], Ok(2));
    let expect = "floating-point number `f` of 8 bytes: that of the base has 4 bytes, type [2]";
    check("float f 8", false, &["float f 4"], Err(expect));
}

#[test]
fn enumerations() {
    check("enum e 4", false, &["enum e 4"], Ok(2));
    check("enum e 8", false, &["enum e 4", "enum64 e 8"], Ok(3));
    check(
        "enum e 4",
        false,
        &["enum e 8"],
        Err("enum `e` of 4 bytes: that of the base has 8 bytes, type [2]"),
    );
    let expect = "enum `e` of 4 bytes: the base has more than one, types [2] and [3]";
    check("enum e 4", false, &["enum e 4", "enum e 4"], Err(expect));
}

#[test]
fn structures() {
    for is_embedded in [false, true] {
        check("struct s 8", is_embedded, &["struct s 8"], Ok(2));
        check("struct s 8", is_embedded, &["fwd s", "struct s 8"], Ok(3));
        check(
            "struct s 8",
            is_embedded,
            &["struct s 4", "struct s 8"],
            Ok(3),
        );
        check("struct s 8", is_embedded, &["int s 8", "struct s 8"], Ok(3));
        let none = "struct `s` of 8 bytes: the base has none";
        check("struct s 8", is_embedded, &["union s 8"], Err(none));
        check("struct s 8", is_embedded, &["int s 8"], Err(none));
        check("struct s 8", is_embedded, &["ufwd s"], Err(none));
        let two = "struct `s` of 8 bytes: the base has more than one, types [2] and [3]";
        check(
            "struct s 8",
            is_embedded,
            &["struct s 8", "struct s 8"],
            Err(two),
        );
    }
    check("struct s 8", false, &["struct s 16"], Ok(2));
    check("struct s 8", false, &["fwd s"], Ok(2));
    check(
        "struct s 8",
        true,
        &["fwd s"],
        Err("struct `s` of 8 bytes: the base has none"),
    );
    let size = "struct `s` of 8 bytes: that of the base has 16 bytes, type [2]";
    check("struct s 8", true, &["struct s 16"], Err(size));
    let two = "struct `s` of 8 bytes: the base has more than one, types [2] and [3]";
    check(
        "struct s 8",
        false,
        &["struct s 4", "struct s 16"],
        Err(two),
    );
    check("union s 8", true, &["struct s 8", "union s 8"], Ok(3));
}

#[test]
fn declarations() {
    check("fwd s", false, &["fwd s"], Ok(2));
    check("fwd s", false, &["struct s 8"], Ok(2));
    check("fwd s", false, &["bitfields s 8"], Ok(2));
    check("fwd s", false, &["struct s 8", "fwd s"], Ok(3));
    check("ufwd s", false, &["union s 8"], Ok(2));
    check(
        "ufwd s",
        false,
        &["struct s 8"],
        Err("declared union `s`: the base has none"),
    );
    let two = "declared struct `s`: the base has more than one, types [2] and [3]";
    check("fwd s", false, &["struct s 8", "struct s 16"], Err(two));
}

#[test]
fn all_mismatches_are_told() {
    let mut base = Builder::new();
    for text in ["struct a", "int i", "struct b"] {
        add(&mut base, text);
    }
    let mut split = Builder::with_base(Arc::new(base.finish().unwrap()));
    split.ptr(TypeId(1)).unwrap();
    let split = split.finish().unwrap();
    let base = base_of(&["int i"]);
    let all = mismatches(&split, &base).unwrap();
    assert_eq!(
        all.iter().map(|m| m.distilled.0).collect::<Vec<_>>(),
        [1, 3]
    );
    let expect =
        "type [1]: struct `a` of 4 bytes: the base has none, and 1 other types have no match";
    assert_eq!(relocate(&split, base).unwrap_err().to_string(), expect);
}

#[test]
fn a_base_that_is_not_distilled_is_refused() {
    let alone = Builder::new().finish().unwrap();
    assert!(relocate(&alone, base_of(&[])).is_err());
    let split = Builder::with_base(base_of(&["typedef t"]))
        .finish()
        .unwrap();
    let error = relocate(&split, base_of(&[])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "type [2]: invalid kind of a type in a distilled base: 0x8"
    );
}

#[test]
fn circles_of_modifiers_end() {
    let mut base = Builder::new();
    add(&mut base, "struct s 8");
    let mut split = Builder::with_base(Arc::new(base.finish().unwrap()));
    split.qualifier(Kind::Const, TypeId(3)).unwrap();
    split.qualifier(Kind::Volatile, TypeId(2)).unwrap();
    let member = |ty| MemberSpec {
        name: b"m",
        ty: TypeId(ty),
        ..MemberSpec::default()
    };
    let members = [member(2), member(3), member(4), member(1)];
    split
        .composite(Kind::Struct, b"holder", 64, &members)
        .unwrap();
    let split = split.finish().unwrap();
    assert!(relocate(&split, base_of(&["struct s 8"])).is_ok());
    assert!(relocate(&split, base_of(&["struct s 16"])).is_err());
}

/// Whether the own types of `a` and `b`, one by one, say the same; both have the same base.
#[track_caller]
fn assert_same(a: &Btf, b: &Btf) {
    let mut other: Vec<Option<TypeId>> = vec![None; a.end_id() as usize];
    let mut open = Vec::new();
    let pair = |x: TypeId, y: TypeId, other: &mut [Option<TypeId>], open: &mut Vec<_>| match other
        [x.0 as usize]
        .replace(y)
    {
        Some(before) => assert_eq!(before, y),
        None => open.push((x, y)),
    };
    let own = a.first_id()..a.end_id();
    for (x, y) in own.zip(b.first_id()..) {
        pair(TypeId(x), TypeId(y), &mut other, &mut open);
    }
    while let Some((x, y)) = open.pop() {
        // A type of the base is the same one, or was moved as a whole.
        if x == y && x.0 < a.first_id() {
            continue;
        }
        let (left, right) = (a.record(x).unwrap(), b.record(y).unwrap());
        assert_eq!(left.len(), right.len());
        for ((&l, &r), role) in left.iter().zip(right).zip(word_roles(Info(left[1]))) {
            match role {
                Word::Name => assert_eq!(
                    a.string(StrOffset(l)).unwrap(),
                    b.string(StrOffset(r)).unwrap()
                ),
                Word::Type => pair(TypeId(l), TypeId(r), &mut other, &mut open),
                Word::Value => assert_eq!(l, r),
            }
        }
    }
}

/// BTF with `count` random types on top of `base`; no two types of the base have one name.
fn random_btf(random: &mut Random, base: Option<Arc<Btf>>, count: u32) -> Arc<Btf> {
    let is_base = base.is_none();
    let mut builder = base.map_or_else(Builder::new, Builder::with_base);
    let end = builder.next_id().0 + count;
    while builder.next_id().0 < end {
        let name = builder
            .add_string(format!("n{}", builder.next_id().0).as_bytes())
            .unwrap();
        let has_name = random.below(3) > 0;
        let record = random_record(
            random,
            end,
            &[if has_name { name } else { StrOffset::EMPTY }],
        );
        let kind = Info(record[1]).kind().unwrap();
        if is_base && matches!(kind, Kind::Datasec | Kind::DeclTag) {
            continue;
        }
        builder.push_record(&record).unwrap();
    }
    Arc::new(builder.finish().unwrap())
}

#[test]
fn relocating_undoes_distilling() {
    let mut random = Random(3);
    for round in 0..1000 {
        let base = random_btf(&mut random, None, 40);
        let split = random_btf(&mut random, Some(Arc::clone(&base)), 1 + round % 20);
        let distilled = distill(&split).unwrap();
        assert!(distilled.first_id() <= split.first_id());
        let relocated = relocate(&distilled, base).unwrap();
        assert_same(&split, &relocated.btf);
        // Nothing is left to move, so doing it again changes nothing.
        let again = distill(&relocated.btf).unwrap();
        assert_eq!(again.words(), distilled.words());
        assert_eq!(again.string_bytes(), distilled.string_bytes());
    }
}

/// What the kernel says of one distilled type: what matches it, or why nothing does.
#[track_caller]
fn check_kernel(distilled: &str, is_embedded: bool, base: &[&str], expect: &[Refusal]) {
    let split = split_of(distilled, is_embedded);
    let found = kernel_refusals(&split, &base_of(base)).unwrap();
    assert_eq!(found, expect, "{distilled} in {base:?}");
}

#[test]
fn the_kernel_matches_with_its_mistakes() {
    let distilled = TypeId(1);
    let several = |first, second| Refusal::Candidates {
        distilled,
        first: TypeId(first),
        second: TypeId(second),
    };
    let none = |namesake: u32| Refusal::Unmapped {
        distilled,
        namesake: (namesake != 0).then_some(TypeId(namesake)),
    };
    // A declaration beside the definition; if the size counts, it is none.
    check_kernel(
        "struct a 8",
        false,
        &["fwd a", "struct a 8"],
        &[several(2, 3)],
    );
    check_kernel("struct a 8", true, &["fwd a", "struct a 8"], &[]);
    check_kernel(
        "struct a 8",
        true,
        &["struct a 8", "fwd a"],
        &[several(2, 3)],
    );
    // Bitfields are taken for a union.
    check_kernel("fwd a", false, &["bitfields a 8"], &[none(2)]);
    check_kernel("fwd a", false, &["struct a 8"], &[]);
    check_kernel("ufwd a", false, &["union a 8"], &[none(2)]);
    check_kernel("ufwd a", false, &["ufwd a"], &[]);
    check_kernel("ufwd a", false, &["bitfields a 8"], &[none(2)]);
    // Whatever has the name matches a structure.
    check_kernel("struct a 8", false, &["union a 8"], &[]);
    check_kernel("struct a 4", false, &["int a 4"], &[]);
    check_kernel("struct a 8", false, &["int a 4"], &[none(2)]);
    // Sizes: of several, or if embedded.
    check_kernel("struct a 8", false, &["struct a 16"], &[]);
    check_kernel("struct a 8", true, &["struct a 16"], &[none(2)]);
    check_kernel(
        "struct a 8",
        false,
        &["struct a 8", "struct a 8"],
        &[several(2, 3)],
    );
    check_kernel("struct a 8", false, &["struct a 8", "struct a 16"], &[]);
    check_kernel("enum a 8", false, &["enum64 a 8"], &[]);
    check_kernel("int a 4", false, &["unsigned a 4"], &[none(2)]);
    check_kernel("int a 4", false, &[], &[none(0)]);
    check_kernel(
        "typedef a",
        false,
        &["typedef a"],
        &[Refusal::Kind { distilled }],
    );
}
