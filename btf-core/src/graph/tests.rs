use super::*;
use crate::builder::{Builder, MemberSpec};
use crate::kind::Kind;

/// `typedef int t0; typedef t0 t1; …`; returns the id of the last.
fn chain(builder: &mut Builder, len: usize) -> TypeId {
    let mut id = builder.int(b"int", 4, 1).unwrap();
    for _ in 0..len {
        id = builder.typedef(b"t", id).unwrap();
    }
    id
}

#[test]
fn modifiers_are_taken_off_up_to_the_cap() {
    let mut builder = Builder::new();
    let last = chain(&mut builder, 256);
    let btf = builder.finish().unwrap();
    assert_eq!(strip_modifiers(&btf, last).unwrap(), TypeId(1));
    assert_eq!(size_of(&btf, last).unwrap(), Some(4));

    let mut builder = Builder::new();
    let last = chain(&mut builder, 257);
    let btf = builder.finish().unwrap();
    assert!(strip_modifiers(&btf, last).is_err());
    assert!(size_of(&btf, last).is_err());
    assert!(strip_modifiers(&btf, TypeId(1000)).is_err());
}

#[test]
fn sizes_multiply() {
    let mut builder = Builder::new();
    let int = builder.int(b"int", 4, 1).unwrap();
    let inner = builder.array(int, int, 3).unwrap();
    let outer = builder.array(inner, int, 5).unwrap();
    let huge = (0..3).fold(int, |id, _| builder.array(id, int, u32::MAX).unwrap());
    let ptr = builder.ptr(TypeId::VOID).unwrap();
    let fwd = builder.fwd(b"f", false).unwrap();
    let btf = builder.finish().unwrap();
    assert_eq!(size_of(&btf, outer).unwrap(), Some(60));
    assert!(size_of(&btf, huge).is_err());
    assert_eq!(size_of(&btf, ptr).unwrap(), Some(8));
    assert_eq!(size_of(&btf, fwd).unwrap(), None);
    assert_eq!(size_of(&btf, TypeId::VOID).unwrap(), None);
}

#[test]
fn bitfields_of_both_forms() {
    let mut builder = Builder::new();
    let int = builder.int(b"int", 4, 1).unwrap();
    let name = builder.add_string(b"old").unwrap();
    // Bits 3 to 7 of an integer of four bytes.
    let old = builder
        .push_record(&[name.0, 1 << 24, 4, 3 << 16 | 5])
        .unwrap();
    let btf = builder.finish().unwrap();
    let check = |ty, bit_offset, bitfield_size, expect: Option<(u32, u32)>| {
        let name = crate::StrOffset::EMPTY;
        let member = Member {
            name,
            ty,
            bit_offset,
            bitfield_size,
        };
        let found = bitfield(&btf, &member).unwrap();
        assert_eq!(found.map(|b| (b.bit_offset, b.bits)), expect);
    };
    check(int, 32, 0, None);
    check(int, 35, 2, Some((35, 2)));
    check(old, 32, 0, Some((35, 5)));
}

#[test]
fn reachable_follows_cycles_and_long_chains() {
    let mut builder = Builder::new();
    let last = chain(&mut builder, 100_000);
    let node = builder.next_id();
    let ptr = TypeId(node.0 + 1);
    let member = MemberSpec {
        name: b"next",
        ty: ptr,
        ..MemberSpec::default()
    };
    builder
        .composite(Kind::Struct, b"node", 8, &[member])
        .unwrap();
    builder.ptr(node).unwrap();
    let btf = builder.finish().unwrap();
    let marks = reachable(&btf, [last]);
    assert_eq!(marks.iter().filter(|&&mark| mark).count(), 100_001);
    let marks = reachable(&btf, [ptr, TypeId(u32::MAX)]);
    assert!(marks[node.0 as usize] && marks[ptr.0 as usize] && !marks[1]);
}
