//! Unifies what gcc and clang spell differently.
//!
//! | what | gcc | clang | here |
//! |---|---|---|---|
//! | integer names | `long unsigned int`, `bool` | `unsigned long`, `_Bool` | `long unsigned int`, `_Bool` |
//! | index of an array | `long unsigned int` of 8 bytes | `__ARRAY_SIZE_TYPE__` of 4 | the latter, as pahole writes it |
//! | qualified array | CONST of ARRAY of CONST | ARRAY of CONST | ARRAY of CONST |
//!
//! A fragment is changed in place: a record that is replaced gets the words of another one, so that the merge joins the two, and no
//! type has another number.

use btf_core::dedup::{Fragment, Name};
use btf_core::types::type_refs;
use btf_core::{Info, Kind, TypeId};

use super::kind_of;

/// How gcc spells the types of C, and `_Bool` as C does; all other spellings are sorted into these.
const INTEGERS: [&str; 14] = [
    "char",
    "signed char",
    "unsigned char",
    "short int",
    "short unsigned int",
    "int",
    "unsigned int",
    "long int",
    "long unsigned int",
    "long long int",
    "long long unsigned int",
    "__int128",
    "__int128 unsigned",
    "_Bool",
];

/// The name of the index of arrays.
pub(super) const INDEX: &str = "__ARRAY_SIZE_TYPE__";

/// As many dimensions of a qualified array are looked at; a compiler allows no more.
const MAX_DIMENSIONS: usize = 256;

/// The one spelling of an integer's name; `None` if it is not one of C's.
pub(super) fn spelling(name: &[u8]) -> Option<&'static str> {
    let name = std::str::from_utf8(name).ok()?;
    if name == "bool" {
        return Some("_Bool");
    }
    let mut counts = [0_u8; 7];
    let words = [
        "char", "short", "int", "long", "signed", "unsigned", "__int128",
    ];
    for word in name.split(' ') {
        let index = words.iter().position(|known| *known == word)?;
        counts[index] = counts[index].saturating_add(1);
    }
    let index = match counts {
        [1, 0, 0, 0, 0, 0, 0] => 0,
        [1, 0, 0, 0, 1, 0, 0] => 1,
        [1, 0, 0, 0, 0, 1, 0] => 2,
        [0, 1, 0 | 1, 0, 0 | 1, 0, 0] => 3,
        [0, 1, 0 | 1, 0, 0, 1, 0] => 4,
        [0, 0, 1, 0, 0 | 1, 0, 0] | [0, 0, 0, 0, 1, 0, 0] => 5,
        [0, 0, 0 | 1, 0, 0, 1, 0] => 6,
        [0, 0, 0 | 1, 1, 0 | 1, 0, 0] => 7,
        [0, 0, 0 | 1, 1, 0, 1, 0] => 8,
        [0, 0, 0 | 1, 2, 0 | 1, 0, 0] => 9,
        [0, 0, 0 | 1, 2, 0, 1, 0] => 10,
        [0, 0, 0, 0, 0 | 1, 0, 1] => 11,
        [0, 0, 0, 0, 0, 1, 1] => 12,
        _ => return None,
    };
    Some(INTEGERS[index])
}

/// Changes a whole fragment, in which integers have their one spelling already. `index` is the number of [`INDEX`].
pub(super) fn unify(fragment: &mut Fragment, index: Name) {
    unify_indices(fragment, index);
    for local in 1..=fragment.len() {
        let local = TypeId(u32::try_from(local).unwrap_or(u32::MAX));
        unify_qualified(fragment, local);
    }
}

/// The kind and the words of a type.
fn record(fragment: &Fragment, id: TypeId) -> Option<(Kind, &[u32])> {
    let record = fragment.record(id)?;
    Some((kind_of(record)?, record))
}

/// Gives all arrays the one index type.
fn unify_indices(fragment: &mut Fragment, name: Name) {
    // An index is the second type of an array, and its fifth word.
    const INDEX_WORD: usize = 4;
    let mut is_index = vec![false; fragment.len() + 1];
    let mut is_used = vec![false; fragment.len() + 1];
    for &start in &fragment.starts {
        let start = start as usize;
        let info = Info(fragment.words[start + 1]);
        let Some(kind) = info.kind() else { continue };
        let words = &fragment.words[start..start + kind.record_words(info.vlen())];
        for (at, target) in type_refs(words) {
            let is_of_array = kind == Kind::Array && at == INDEX_WORD;
            let slot = if is_of_array {
                &mut is_index
            } else {
                &mut is_used
            };
            slot[target.0 as usize] = true;
        }
    }
    is_index[0] = false;
    if !is_index.contains(&true) {
        return;
    }
    let made = [name.0, Info::new(Kind::Int, 0, false).0, 4, 32];
    // What is an index only becomes the one index; otherwise there would be a type that nobody asked for.
    let mut one = None;
    for (local, _) in is_index
        .iter()
        .enumerate()
        .filter(|(_, is_index)| **is_index)
    {
        let start = fragment.starts[local - 1] as usize;
        let is_int = Info(fragment.words[start + 1]).kind() == Some(Kind::Int);
        if is_int && !is_used[local] {
            fragment.words[start..start + made.len()].copy_from_slice(&made);
            one.get_or_insert(local);
        }
    }
    let one = match one {
        Some(local) => TypeId(u32::try_from(local).unwrap_or(u32::MAX)),
        None => fragment.push(&made),
    };
    for at in 0..fragment.starts.len() {
        let start = fragment.starts[at] as usize;
        let is_array = Info(fragment.words[start + 1]).kind() == Some(Kind::Array);
        if is_array && fragment.words[start + INDEX_WORD] != 0 {
            fragment.words[start + INDEX_WORD] = one.0;
        }
    }
}

/// Makes a qualified array an array of what is qualified.
fn unify_qualified(fragment: &mut Fragment, id: TypeId) {
    let Some((qualifier @ (Kind::Const | Kind::Volatile), words)) = record(fragment, id) else {
        return;
    };
    let mut arrays = Vec::new();
    let mut element = TypeId(words[2]);
    while let Some((Kind::Array, words)) = record(fragment, element) {
        if arrays.len() == MAX_DIMENSIONS {
            return;
        }
        arrays.push(element);
        element = TypeId(words[3]);
    }
    let Some(&outermost) = arrays.first() else {
        return;
    };
    let mut made = fragment.record(outermost).unwrap_or_default().to_vec();
    if !has_qualifier(fragment, element, qualifier) {
        let info = Info::new(qualifier, 0, false).0;
        let mut inner = fragment.push(&[0, info, element.0]);
        for &array in arrays.iter().skip(1).rev() {
            let mut words = fragment.record(array).unwrap_or_default().to_vec();
            words[3] = inner.0;
            inner = fragment.push(&words);
        }
        made[3] = inner.0;
    }
    fragment.starts[id.0 as usize - 1] = u32::try_from(fragment.words.len()).unwrap_or(u32::MAX);
    fragment.words.extend_from_slice(&made);
}

/// Whether a type has a qualifier already, alone or among others.
fn has_qualifier(fragment: &Fragment, mut id: TypeId, qualifier: Kind) -> bool {
    // There are three of them.
    for _ in 0..3 {
        match record(fragment, id) {
            Some((kind, _)) if kind == qualifier => return true,
            Some((Kind::Const | Kind::Volatile | Kind::Restrict, words)) => id = TypeId(words[2]),
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_has_one() {
        for name in INTEGERS {
            let expect = (name != "_Bool").then_some(name);
            assert_eq!(spelling(name.as_bytes()), expect, "{name}");
        }
        for (name, expect) in [
            ("unsigned long", "long unsigned int"),
            ("unsigned long long", "long long unsigned int"),
            ("long", "long int"),
            ("unsigned short", "short unsigned int"),
            ("unsigned __int128", "__int128 unsigned"),
            ("bool", "_Bool"),
            ("unsigned", "unsigned int"),
        ] {
            assert_eq!(spelling(name.as_bytes()), Some(expect));
        }
        for name in [
            "",
            "u8",
            "long char",
            "long long long",
            "signed unsigned int",
            "int\u{e4}",
        ] {
            assert_eq!(spelling(name.as_bytes()), None, "{name}");
        }
    }

    fn array(element: u32, index: u32) -> [u32; 6] {
        [0, Info::new(Kind::Array, 0, false).0, 0, element, index, 3]
    }

    fn qualifier(kind: Kind, target: u32) -> [u32; 3] {
        [0, Info::new(kind, 0, false).0, target]
    }

    #[test]
    fn qualified_arrays_become_arrays_of_what_is_qualified() {
        let int = [1, Info::new(Kind::Int, 0, false).0, 4, 32];
        let mut fragment = Fragment::default();
        // CONST of ARRAY of ARRAY of CONST int.
        fragment.push(&int);
        fragment.push(&qualifier(Kind::Const, 1));
        fragment.push(&array(2, 1));
        fragment.push(&array(3, 1));
        fragment.push(&qualifier(Kind::Const, 4));
        // VOLATILE of the same, whose elements are not volatile.
        fragment.push(&qualifier(Kind::Volatile, 4));
        unify(&mut fragment, Name(9));
        let words = |id| fragment.record(TypeId(id)).unwrap();
        assert_eq!(words(5), words(4));
        // The index is new, as `int` is used otherwise.
        let index = 7;
        assert_eq!(words(index)[..3], [9, int[1], 4]);
        assert_eq!(words(4), array(3, index));
        // Two arrays and the qualifier behind it.
        assert_eq!(words(8), qualifier(Kind::Volatile, 2));
        assert_eq!(words(9), array(8, index));
        assert_eq!(words(6), array(9, index));
    }

    #[test]
    fn what_is_an_index_only_becomes_the_index() {
        let mut fragment = Fragment::default();
        fragment.push(&[1, Info::new(Kind::Int, 0, false).0, 4, 32]);
        fragment.push(&[2, Info::new(Kind::Int, 0, false).0, 8, 64]);
        fragment.push(&array(1, 2));
        unify(&mut fragment, Name(9));
        assert_eq!(fragment.len(), 3);
        assert_eq!(fragment.record(TypeId(2)).unwrap()[0], 9);
    }
}
