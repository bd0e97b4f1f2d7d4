//! Layouts of types built by hand; the texts are those of pahole 1.32 where nothing else is said.

use btf_core::builder::MemberSpec;
use btf_core::wire::int;
use btf_core::{Btf, Builder, Kind, TypeId};

use super::reorganize::{Reason, reorganize};
use super::search::{Relation, search};
use super::select::by_name;
use super::{Layouts, Machine, text};
use btf_core::cli::pattern::Pattern;

/// The types below.
fn base() -> Builder {
    let mut builder = Builder::new();
    builder.int(b"char", 1, int::SIGNED).unwrap();
    builder.int(b"int", 4, int::SIGNED).unwrap();
    builder.int(b"long int", 8, int::SIGNED).unwrap();
    builder
}

const CHAR: TypeId = TypeId(1);
const INT: TypeId = TypeId(2);
const LONG: TypeId = TypeId(3);

/// A member at a byte.
fn at(name: &str, ty: TypeId, offset: u32) -> MemberSpec<'_> {
    bits(name, ty, offset * 8, 0)
}

/// A bitfield at a bit.
fn bits(name: &str, ty: TypeId, bit_offset: u32, bitfield_size: u8) -> MemberSpec<'_> {
    MemberSpec {
        name: name.as_bytes(),
        ty,
        bit_offset,
        bitfield_size,
    }
}

fn structure(builder: &mut Builder, name: &str, size: u32, members: &[MemberSpec<'_>]) -> TypeId {
    let id = builder.composite(Kind::Struct, name.as_bytes(), size, members);
    id.unwrap()
}

fn text_of(btf: &Btf, id: TypeId, options: text::Options) -> String {
    let layouts = Layouts::new(btf, Machine::default());
    let mut out = Vec::new();
    text::Writer::new(&layouts, options).put(&mut out, id);
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check(builder: Builder, id: TypeId, expect: &str) {
    let btf = builder.finish().unwrap();
    assert_eq!(text_of(&btf, id, text::Options::default()), expect);
}

#[test]
fn holes_padding_and_cache_lines_are_told() {
    let mut builder = base();
    let array = builder.array(LONG, INT, 7).unwrap();
    let members = [at("a", CHAR, 0), at("b", array, 8), at("c", CHAR, 64)];
    let id = structure(&mut builder, "s", 72, &members);
    let expect = "\
struct s {
\tchar                       a;                    /*     0     1 */

\t/* XXX 7 bytes hole, try to pack */

\tlong int                   b[7];                 /*     8    56 */
\t/* --- cacheline 1 boundary (64 bytes) --- */
\tchar                       c;                    /*    64     1 */

\t/* size: 72, cachelines: 2, members: 3 */
\t/* sum members: 58, holes: 1, sum holes: 7 */
\t/* padding: 7 */
\t/* last cacheline: 8 bytes */
};
";
    check(builder, id, expect);
}

#[test]
fn bits_that_are_lost_are_told_in_bits() {
    let mut builder = base();
    let members = [
        bits("a", INT, 0, 3),
        bits("b", INT, 32, 5),
        at("c", CHAR, 5),
        bits("d", CHAR, 48, 7),
    ];
    let id = structure(&mut builder, "s", 8, &members);
    let expect = "\
struct s {
\tint                        a:3;                  /*     0: 0  4 */

\t/* XXX 29 bits hole, try to pack */

\t/* Force alignment to the next boundary: */
\tint                        :0;

\tint                        b:5;                  /*     4: 0  4 */

\t/* XXX 3 bits hole, try to pack */
\t/* Bitfield combined with next fields */

\tchar                       c;                    /*     5     1 */
\tchar                       d:7;                  /*     6: 0  1 */

\t/* size: 8, cachelines: 1, members: 4 */
\t/* sum members: 1 */
\t/* sum bitfield members: 15 bits, bit holes: 2, sum bit holes: 32 bits */
\t/* padding: 1 */
\t/* bit_padding: 1 bits */
\t/* last cacheline: 8 bytes */
};
";
    check(builder, id, expect);
}

#[test]
fn attributes_are_inferred_from_offsets() {
    let mut builder = base();
    let packed = structure(&mut builder, "p", 5, &[at("a", CHAR, 0), at("b", INT, 1)]);
    let aligned = structure(
        &mut builder,
        "a",
        128,
        &[at("a", CHAR, 0), at("b", INT, 64)],
    );
    let tail = structure(&mut builder, "t", 64, &[at("a", CHAR, 0)]);
    let btf = builder.finish().unwrap();
    let layouts = Layouts::new(&btf, Machine::default());
    assert!(layouts.get(packed).unwrap().is_packed);
    let aligned = layouts.get(aligned).unwrap();
    assert_eq!(layouts.members(aligned)[1].forced_alignment, 64);
    assert!(!aligned.is_packed);
    assert_eq!(layouts.get(tail).unwrap().forced_alignment, 64);
}

#[test]
fn what_has_no_name_is_printed_where_it_is() {
    let mut builder = base();
    let inner = structure(&mut builder, "", 16, &[at("x", INT, 0), at("y", LONG, 8)]);
    let overlay = [at("in", inner, 0), at("raw", LONG, 0)];
    let union = builder.composite(Kind::Union, b"", 16, &overlay).unwrap();
    let id = structure(&mut builder, "s", 16, &[at("", union, 0)]);
    let expect = "\
struct s {
\tunion {
\t\tstruct {
\t\t\tint        x;                    /*     0     4 */

\t\t\t/* XXX 4 bytes hole, try to pack */

\t\t\tlong int   y;                    /*     8     8 */
\t\t} in;                                    /*     0    16 */
\t\tlong int           raw;                  /*     0     8 */
\t};                                               /*     0    16 */

\t/* size: 16, cachelines: 1, members: 1 */
\t/* last cacheline: 16 bytes */
};
";
    check(builder, id, expect);
}

#[test]
fn declarators_are_those_of_c() {
    let mut builder = base();
    let params: [(&[u8], TypeId); 1] = [(b"", INT)];
    let proto = builder.func_proto(TypeId::VOID, &params).unwrap();
    let function = builder.ptr(proto).unwrap();
    let constant = builder.qualifier(Kind::Const, function).unwrap();
    let array = builder.array(function, INT, 2).unwrap();
    let row = builder.array(CHAR, INT, 4).unwrap();
    let to_row = builder.ptr(row).unwrap();
    let text = builder.qualifier(Kind::Const, CHAR).unwrap();
    let text = builder.ptr(text).unwrap();
    let fixed = builder.qualifier(Kind::Const, text).unwrap();
    let members = [
        at("f", function, 0),
        at("c", constant, 8),
        at("a", array, 16),
        at("p", to_row, 32),
        at("t", text, 40),
        at("x", fixed, 48),
    ];
    let id = structure(&mut builder, "s", 56, &members);
    let btf = builder.finish().unwrap();
    let text = text_of(&btf, id, text::Options::default());
    let declarations: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(';'))
        .collect();
    // pahole has other text for `c`, `a`, `p` and `x`, which declares something else.
    let expect = [
        "\tvoid                       (*f)(int)",
        "\tvoid                       (*const c)(int)",
        "\tvoid                       (*a[2])(int)",
        "\tchar                       (*p)[4]",
        "\tconst char  *              t",
        "\tconst char  * const        x",
    ];
    for (declaration, expect) in declarations.iter().zip(expect) {
        assert_eq!(declaration.0, expect);
    }
}

#[test]
fn members_of_members_and_hexadecimal_on_request() {
    let mut builder = base();
    let inner = structure(&mut builder, "inner", 8, &[at("x", LONG, 0)]);
    let alias = builder.typedef(b"inner_t", inner).unwrap();
    let id = structure(
        &mut builder,
        "s",
        16,
        &[at("a", LONG, 0), at("b", alias, 8)],
    );
    let btf = builder.finish().unwrap();
    let expand = text::Options {
        expand: true,
        ..text::Options::default()
    };
    let text = text_of(&btf, id, expand);
    let pad = " ".repeat(45);
    let start = format!("\t/* typedef inner_t */ struct inner {{\n\t\tlong int           x;{pad}");
    assert!(text.contains(&start), "{text}");
    assert!(text.contains("\n\t} b; /*     8     8 */\n"), "{text}");
    let hex = text::Options {
        hex: true,
        ..text::Options::default()
    };
    assert!(text_of(&btf, id, hex).contains("b;                    /*   0x8   0x8 */"));
}

#[test]
fn an_order_that_saves_bytes_is_found() {
    let mut builder = base();
    let members = [
        at("a", CHAR, 0),
        at("b", LONG, 8),
        at("c", CHAR, 16),
        at("d", INT, 20),
        at("e", CHAR, 24),
    ];
    let id = structure(&mut builder, "s", 32, &members);
    let union = builder
        .composite(Kind::Union, b"u", 8, &[at("a", LONG, 0)])
        .unwrap();
    let odd = structure(
        &mut builder,
        "odd",
        24,
        &[at("a", CHAR, 3), at("b", LONG, 16)],
    );
    let btf = builder.finish().unwrap();
    let layouts = Layouts::new(&btf, Machine::default());
    let new = reorganize(&layouts, layouts.get(id).unwrap()).unwrap();
    assert_eq!((new.layout.size, new.saved()), (16, 16));
    assert_eq!(new.layout.gaps.holes, 1);
    let names = new
        .members
        .iter()
        .map(|member| btf.string(member.name).unwrap());
    let places = names.zip(new.members.iter().map(|member| member.offset));
    let expect: [(&[u8], u32); 5] = [(b"a", 0), (b"c", 1), (b"e", 2), (b"d", 4), (b"b", 8)];
    assert_eq!(places.collect::<Vec<_>>(), expect);
    let reason = |id| reorganize(&layouts, layouts.get(id).unwrap()).unwrap_err();
    assert_eq!(reason(union), Reason::Union);
    assert_eq!(reason(odd), Reason::Unexplained);
}

#[test]
fn members_of_a_type_and_pointers_to_it_are_found() {
    let mut builder = base();
    let lock = structure(&mut builder, "lock", 4, &[at("x", INT, 0)]);
    let alias = builder.typedef(b"lock_t", lock).unwrap();
    let array = builder.array(alias, INT, 2).unwrap();
    let pointer = builder.ptr(lock).unwrap();
    let hidden = structure(
        &mut builder,
        "",
        16,
        &[at("l", lock, 4), at("p", pointer, 8)],
    );
    let holder = structure(
        &mut builder,
        "h",
        32,
        &[at("in", hidden, 8), at("many", array, 24)],
    );
    let btf = builder.finish().unwrap();
    let layouts = Layouts::new(&btf, Machine::default());
    let mut targets = vec![false; btf.end_id() as usize];
    let question = [Pattern::parse("lock").unwrap()];
    let selected = by_name(&layouts, &question);
    assert_eq!((selected.ids, selected.missing), (vec![lock], vec![]));
    targets[lock.0 as usize] = true;
    let found = |relation| -> Vec<_> {
        let found = search(&layouts, &targets, relation).into_iter();
        found
            .map(|found| {
                (
                    found.holder,
                    String::from_utf8(found.path).unwrap(),
                    found.offset,
                )
            })
            .collect()
    };
    let expect = vec![
        (holder, "in.l".to_owned(), 12),
        (holder, "many".to_owned(), 24),
    ];
    assert_eq!(found(Relation::Contains), expect);
    assert_eq!(found(Relation::PointsTo), [(holder, "in.p".to_owned(), 16)]);
}

#[test]
fn structures_within_themselves_and_each_other_end() {
    let mut builder = base();
    // Each of these holds the next one twice; the last one holds itself.
    let first = builder.next_id().0;
    for index in 0..40 {
        let next = TypeId(first + index.min(38) + 1);
        structure(&mut builder, "", 16, &[at("", next, 0), at("", next, 8)]);
    }
    let id = structure(&mut builder, "s", 16, &[at("a", TypeId(first), 0)]);
    let btf = builder.finish().unwrap();
    let layouts = Layouts::new(&btf, Machine::default());
    let mut writer = text::Writer::new(&layouts, text::Options::default());
    let mut out = Vec::new();
    writer.put(&mut out, id);
    assert!(writer.is_cut() && out.len() < 16 << 20, "{}", out.len());
    let targets = vec![false; btf.end_id() as usize];
    assert!(search(&layouts, &targets, Relation::Contains).is_empty());
}

#[test]
fn prototypes_within_themselves_end() {
    let mut builder = base();
    let proto = TypeId(builder.next_id().0 + 1);
    let pointer = builder.ptr(proto).unwrap();
    let params: [(&[u8], TypeId); 2] = [(b"", pointer), (b"", pointer)];
    builder.func_proto(pointer, &params).unwrap();
    let id = structure(&mut builder, "s", 8, &[at("f", pointer, 0)]);
    let btf = builder.finish().unwrap();
    let text = text_of(&btf, id, text::Options::default());
    assert!(text.contains('…') && text.len() < 1 << 20, "{}", text.len());
}
