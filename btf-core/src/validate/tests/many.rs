//! Very many types, and very long names, take time in proportion to them.

use super::*;

/// How many types most of these have. Where each is compared with each, or read to the end of a string of [`LONG`]
/// bytes, the test does not end.
const MANY: u32 = 50_000;

/// The length of a very long string.
const LONG: usize = 4_000_000;

#[test]
fn very_many_typedefs_in_a_row() {
    let mut b = Builder::new();
    let len = 300_000;
    for id in 2..=len {
        b.typedef(b"t", TypeId(id)).unwrap();
    }
    b.typedef(b"t", TypeId(1)).unwrap();
    let btf = b.finish().unwrap();
    check_blob(&btf, Profile::Structural, &[Rule::Cycle]);
}

#[test]
fn many_ways_back_into_a_deep_nest() {
    // Each structure holds the next one and the first one.
    let mut b = Builder::new();
    let len = 100_000;
    for id in 1..=len {
        let next = TypeId(id % len + 1);
        let members = [at(b"a", next, 0), at(b"b", TypeId(1), 0)];
        b.composite(Kind::Struct, b"s", 0, &members).unwrap();
    }
    let btf = b.finish().unwrap();
    let found = validate(&btf, Profile::Structural);
    let cycles = found.iter().filter(|f| f.rule == Rule::Cycle).count();
    assert_eq!(cycles, 1);
    // The kernel nests 32 types, then starts anew.
    let found = validate(&btf, Profile::User);
    assert!(found.len() < len as usize / 10);
}

#[test]
fn many_functions_of_a_long_prototype() {
    let mut b = Builder::new();
    b.int(b"int", 4, 0).unwrap();
    let params: Vec<(&[u8], TypeId)> = vec![(b"p", INT); 100_000];
    let proto = b.func_proto(INT, &params).unwrap();
    for _ in 0..100_000 {
        b.func(b"f", proto, 0).unwrap();
    }
    let btf = b.finish().unwrap();
    check_blob(&btf, Profile::User, &[]);
}

#[test]
fn many_tags_whose_texts_lie_in_a_long_one() {
    let mut b = Builder::new();
    b.int(b"int", 4, int::SIGNED).unwrap();
    let lock = b.composite(Kind::Struct, b"bpf_spin_lock", 4, &[at(b"val", INT, 0)]);
    let members = [at(b"lock", lock.unwrap(), 0)];
    let holder = b.composite(Kind::Struct, b"s", 4, &members).unwrap();
    let text = b.add_string(&vec![b'a'; LONG]).unwrap();
    for number in 0..MANY {
        let info = Info::new(Kind::DeclTag, 0, false);
        let record = [text.0 + number % 1000, info.0, holder.0, u32::MAX];
        b.push_record(&record).unwrap();
    }
    check_blob(&b.finish().unwrap(), Profile::User, &[]);
}

#[test]
fn many_members_of_an_integer_with_a_long_name() {
    let mut b = Builder::new();
    b.int(&vec![b'a'; LONG], 4, int::SIGNED).unwrap();
    let lock = b.composite(Kind::Struct, b"bpf_spin_lock", 4, &[at(b"val", INT, 0)]);
    let mut members = vec![at(b"lock", lock.unwrap(), 0)];
    members.extend((1..MANY).map(|index| at(b"", INT, 32 * index)));
    b.composite(Kind::Struct, b"s", 4 * MANY, &members).unwrap();
    check_blob(&b.finish().unwrap(), Profile::User, &[]);
}

#[test]
fn many_pointers_to_a_long_row_of_modifiers() {
    let mut b = Builder::new();
    b.int(b"int", 4, int::SIGNED).unwrap();
    let lock = b.composite(Kind::Struct, b"bpf_spin_lock", 4, &[at(b"val", INT, 0)]);
    let mut last = b.type_tag(b"kptr", lock.unwrap(), false).unwrap();
    for _ in 0..MANY {
        last = b.qualifier(Kind::Const, last).unwrap();
    }
    let mut pointers = Vec::new();
    for _ in 0..MANY {
        pointers.push(b.ptr(last).unwrap());
    }
    // The row still makes kptrs of them, and of those a structure may have few.
    let few = |pointers: &[TypeId]| {
        let places = pointers.iter().zip(0..);
        let members = places.map(|(&ptr, index)| at(b"", ptr, 64 * index));
        members.collect::<Vec<_>>()
    };
    let members = few(&pointers[..11]);
    b.composite(Kind::Struct, b"s", 88, &members).unwrap();
    let members = few(&pointers[..12]);
    let many = b.composite(Kind::Struct, b"t", 96, &members).unwrap();
    let found = validate(&b.finish().unwrap(), Profile::User);
    let faults = found.iter().filter(|f| f.severity == Severity::Fault);
    let faults: Vec<_> = faults.map(|f| (f.rule, f.type_id)).collect();
    assert_eq!(faults, [(Rule::SpecialCount, Some(many))]);
}

#[test]
fn many_lists_of_a_structure_with_many_members() {
    let mut b = Builder::new();
    b.int(b"int", 4, int::SIGNED).unwrap();
    let mut special = |name: &'static [u8], size: u32| {
        let array = b.array(INT, INT, size / 4).unwrap();
        let members = [at(b"opaque", array, 0)];
        b.composite(Kind::Struct, name, size, &members).unwrap()
    };
    let lock = special(b"bpf_spin_lock", 4);
    let node = special(b"bpf_list_node", 24);
    let head = special(b"bpf_list_head", 16);
    let mut members = vec![at(b"node", node, 0)];
    members.extend((0..MANY).map(|index| at(b"", INT, 192 + 32 * index)));
    let size = 24 + 4 * MANY;
    b.composite(Kind::Struct, b"value", size, &members).unwrap();
    let mut last = TypeId::VOID;
    for number in 0..MANY {
        let members = [at(b"head", head, 0), at(b"lock", lock, 128)];
        last = b.composite(Kind::Struct, b"", 24, &members).unwrap();
        let text: &[u8] = match number + 1 {
            MANY => b"contains:value:opaque",
            _ => b"contains:value:node",
        };
        b.decl_tag(text, last, 0, false).unwrap();
    }
    let found = validate(&b.finish().unwrap(), Profile::User);
    let found: Vec<_> = found.iter().map(|f| (f.rule, f.type_id)).collect();
    assert_eq!(found, [(Rule::GraphNode, Some(last))]);
}

#[test]
fn many_nested_structures_beside_a_lock() {
    let mut b = Builder::new();
    b.int(b"int", 4, int::SIGNED).unwrap();
    let lock = b.composite(Kind::Struct, b"bpf_spin_lock", 4, &[at(b"val", INT, 0)]);
    let mut members = vec![at(b"lock", lock.unwrap(), 0)];
    // Each is looked into when it is met first, and then the rest of the members.
    let first = b.next_id().0 + 1;
    members.extend((1..MANY).map(|index| at(b"", TypeId(first + index - 1), 32 * index)));
    b.composite(Kind::Struct, b"s", 4 * MANY, &members).unwrap();
    for _ in 1..MANY {
        b.composite(Kind::Struct, b"", 4, &[at(b"val", INT, 0)])
            .unwrap();
    }
    check_blob(&b.finish().unwrap(), Profile::User, &[]);
}
