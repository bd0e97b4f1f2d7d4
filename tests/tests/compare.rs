//! Goal: the judge of all differential tests is right itself.
//! Method: small BTF built by hand, where what is equal, different or a duplicate is known; the program's exit status.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use btf_core::builder::{Builder, MemberSpec, WriteOptions};
use btf_core::reader::Btf;
use btf_core::wire::int;
use btf_core::{ByteOrder, Kind, TypeId};
use btf_tests::compare::split::{Base, Difference};
use btf_tests::compare::{Cause, Comparison, Counts, Scope};
use btf_tests::program::{TestDir, run};

fn member(name: &[u8], ty: TypeId) -> MemberSpec<'_> {
    MemberSpec {
        name,
        ty,
        ..MemberSpec::default()
    }
}

/// Adds one type.
type Step<'a> = Box<dyn Fn(&mut Builder) -> btf_core::Result<TypeId> + 'a>;

/// `struct list { struct list *next; }`, `struct user { struct list *head; }` and `int get(struct user *)`, where the
/// first member's name is given; the other way round if `reversed`.
fn lists(next: &[u8], reversed: bool) -> Btf {
    let mut builder = Builder::new();
    let (integer, list, to_list, user, to_user, proto) = if reversed {
        (
            TypeId(7),
            TypeId(6),
            TypeId(5),
            TypeId(4),
            TypeId(3),
            TypeId(2),
        )
    } else {
        (
            TypeId(1),
            TypeId(2),
            TypeId(3),
            TypeId(4),
            TypeId(5),
            TypeId(6),
        )
    };
    let mut steps: Vec<Step<'_>> = vec![
        Box::new(|b| b.int(b"int", 4, int::SIGNED)),
        Box::new(|b| b.composite(Kind::Struct, b"list", 8, &[member(next, to_list)])),
        Box::new(|b| b.ptr(list)),
        Box::new(|b| b.composite(Kind::Struct, b"user", 8, &[member(b"head", to_list)])),
        Box::new(|b| b.ptr(user)),
        Box::new(|b| b.func_proto(integer, &[(b"user", to_user)])),
        Box::new(|b| b.func(b"get", proto, 0)),
    ];
    if reversed {
        steps.reverse();
    }
    for step in steps {
        step(&mut builder).unwrap();
    }
    builder.finish().unwrap()
}

fn count(comparison: &Comparison<'_>, kind: Kind) -> Counts {
    let mut counts = comparison.counts.iter();
    counts
        .find(|row| row.0 == kind)
        .map(|row| row.1)
        .unwrap_or_default()
}

#[test]
fn ids_and_order_do_not_count() {
    let (a, b) = (lists(b"next", false), lists(b"next", true));
    let comparison = Comparison::new(&a, &b, Scope::All).unwrap();
    assert!(comparison.is_equal(false), "{:?}", comparison.findings);
    assert_eq!(
        comparison
            .counts
            .iter()
            .map(|row| row.1.common)
            .sum::<u32>(),
        7
    );
}

#[test]
fn what_differs_itself_is_told_from_what_reaches_it() {
    let (a, b) = (lists(b"next", false), lists(b"link", false));
    let comparison = Comparison::new(&a, &b, Scope::All).unwrap();
    assert!(!comparison.is_equal(true));
    let cause = |name: &[u8]| {
        let mut findings = comparison.findings.iter();
        let finding = findings.find(|finding| comparison.graph.name(finding.node) == name);
        finding.map(|finding| finding.cause.clone())
    };
    assert_eq!(
        cause(b"list"),
        Some(Cause::Itself("#0 `next` ↔ `link`".to_owned()))
    );
    // `struct list` is node 2: type 2 of A.
    assert_eq!(cause(b"user"), Some(Cause::Reaches(Some(2))));
    assert_eq!(cause(b"get"), Some(Cause::Reaches(Some(2))));
    assert_eq!(cause(b"int"), None);
}

#[test]
fn a_type_of_one_file_is_missing_in_the_other() {
    let (a, b) = (lists(b"next", false), Builder::new().finish().unwrap());
    let comparison = Comparison::new(&a, &b, Scope::Functions).unwrap();
    assert_eq!(comparison.findings.len(), 1);
    assert_eq!(comparison.findings[0].cause, Cause::Missing);
}

#[test]
fn duplicates_are_counted_within_a_file() {
    let mut builder = Builder::new();
    for _ in 0..3 {
        let integer = builder.int(b"int", 4, int::SIGNED).unwrap();
        builder.ptr(integer).unwrap();
    }
    let a = builder.finish().unwrap();
    let mut builder = Builder::new();
    let integer = builder.int(b"int", 4, int::SIGNED).unwrap();
    builder.ptr(integer).unwrap();
    let b = builder.finish().unwrap();
    let comparison = Comparison::new(&a, &b, Scope::All).unwrap();
    let expected = Counts {
        common: 1,
        duplicates_a: 2,
        ..Counts::default()
    };
    assert_eq!(count(&comparison, Kind::Ptr), expected);
    assert!(!comparison.is_equal(false));
    assert!(comparison.is_equal(true));
    assert_eq!(comparison.duplicates, [(1, 3), (2, 3)]);
}

/// Two structures that refer to each other are equivalent to one that refers to itself: no finite path tells them apart.
#[test]
fn cycles_of_different_length_can_be_equivalent() {
    let mut builder = Builder::new();
    for other in [4, 2] {
        builder
            .composite(Kind::Struct, b"s", 8, &[member(b"p", TypeId(other))])
            .unwrap();
        builder.ptr(TypeId(if other == 4 { 1 } else { 3 })).unwrap();
    }
    let two = builder.finish().unwrap();
    let mut builder = Builder::new();
    builder
        .composite(Kind::Struct, b"s", 8, &[member(b"p", TypeId(2))])
        .unwrap();
    builder.ptr(TypeId(1)).unwrap();
    let one = builder.finish().unwrap();
    let comparison = Comparison::new(&two, &one, Scope::All).unwrap();
    assert!(comparison.is_equal(true), "{:?}", comparison.findings);
}

/// `struct port; struct device { struct port *p; }`, which modules continue.
fn device() -> Arc<Btf> {
    let mut builder = Builder::new();
    let port = builder.fwd(b"port", false).unwrap();
    let to_port = builder.ptr(port).unwrap();
    let members = [member(b"p", to_port)];
    builder
        .composite(Kind::Struct, b"device", 8, &members)
        .unwrap();
    Arc::new(builder.finish().unwrap())
}

/// A module with `struct port { struct port *next; }` and a pointer to `struct device`: the base's, or, `again`, one of its own that
/// leads to the definition.
fn port(base: &Arc<Btf>, again: bool) -> Btf {
    let mut builder = Builder::with_base(Arc::clone(base));
    // The base ends at 3.
    let members = [member(b"next", TypeId(5))];
    let port = builder
        .composite(Kind::Struct, b"port", 8, &members)
        .unwrap();
    let to_port = builder.ptr(port).unwrap();
    let mut device = TypeId(3);
    if again {
        let members = [member(b"p", to_port)];
        device = builder
            .composite(Kind::Struct, b"device", 8, &members)
            .unwrap();
    }
    builder.ptr(device).unwrap();
    builder.finish().unwrap()
}

#[test]
fn split_btf_differs_in_what_one_file_has_alone() {
    let btf = device();
    let base = Base::new(Arc::clone(&btf)).unwrap();
    let (as_it_is, again) = (port(&btf, false), port(&btf, true));
    assert_eq!(
        base.compare(&as_it_is, &as_it_is).unwrap(),
        Difference::default()
    );
    let expected = Difference {
        only_a: vec![TypeId(6)],
        only_b: vec![TypeId(6), TypeId(7)],
    };
    assert_eq!(base.compare(&as_it_is, &again).unwrap(), expected);
    // The other judge says the same.
    let comparison = Comparison::new(&as_it_is, &again, Scope::All).unwrap();
    let found = comparison.findings.iter();
    let ids: Vec<_> = found
        .map(|finding| comparison.graph.id(finding.node))
        .collect();
    assert_eq!(ids, [TypeId(6), TypeId(6), TypeId(7)]);
    assert!(base.compare(&as_it_is, &lists(b"next", false)).is_err());
}

#[test]
fn what_is_announced_can_count_by_name() {
    let btf = device();
    let (as_it_is, again) = (port(&btf, false), port(&btf, true));
    let tags = BTreeSet::from([b"port".to_vec()]);
    let base = Base::with_tags(Arc::clone(&btf), tags).unwrap();
    assert_eq!(
        base.compare(&as_it_is, &again).unwrap(),
        Difference::default()
    );
    let by_id = Base::new(Arc::clone(&btf)).unwrap();
    assert_eq!(by_id.repeated(&again).unwrap(), []);
    // The pointer to the definition is the base's then, and the second device, too.
    assert_eq!(base.repeated(&again).unwrap(), [TypeId(5), TypeId(6)]);
}

#[test]
fn the_exit_status_is_the_answer() {
    let program = Path::new(env!("CARGO_BIN_EXE_btf-compare"));
    let dir = TestDir::new();
    let bytes = |btf: &Btf, order| {
        Builder::from_btf(btf)
            .write(order, WriteOptions::default())
            .unwrap()
    };
    let (next, link) = (lists(b"next", false), lists(b"link", false));
    let a = dir.write("a", &bytes(&next, ByteOrder::Little));
    let other_order = dir.write("b", &bytes(&next, ByteOrder::Big));
    let different = dir.write("c", &bytes(&link, ByteOrder::Little));
    let bad = dir.write("d", b"no BTF");
    assert_eq!(run(program, [&a, &other_order]).status, Some(0));
    assert_eq!(run(program, [&a, &different]).status, Some(1));
    assert_eq!(run(program, [&a, &bad]).status, Some(2));
    let json = run(
        program,
        ["--json".as_ref(), a.as_os_str(), different.as_os_str()],
    );
    assert!(
        json.stdout
            .ends_with("{\"type\":\"result\",\"equal\":false}\n"),
        "{json}"
    );
}
