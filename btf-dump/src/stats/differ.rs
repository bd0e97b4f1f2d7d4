//! Tells where two types of one name differ: the nearest place at which something other than a type differs.
//!
//! Pairs of types are taken from a queue, the nearest first; pairs that are equal are left out, so that every way ends.

use std::collections::{HashSet, VecDeque};

use btf_core::dedup::Base;
use btf_core::kind::{Kind, Word};
use btf_core::types::word_roles;
use btf_core::{Btf, Info, StrOffset, Type, TypeId};

use crate::names::start_of_name;

/// How many words of records, and of names as long, are looked at for all names of a blob; the types of kernels differ after a few.
pub(super) const BUDGET: usize = 4 << 20;

/// A pair of types, and the way to it.
struct Step {
    one: TypeId,
    other: TypeId,
    /// The pair before it, by number, and the word that leads here.
    from: Option<(usize, usize)>,
}

/// The way to the first difference between two types, and what differs there.
pub(super) fn first_difference(
    btf: &Btf,
    equal: &Base,
    one: TypeId,
    other: TypeId,
    budget: &mut usize,
) -> (String, String) {
    let mut steps = vec![Step {
        one,
        other,
        from: None,
    }];
    let mut seen = HashSet::new();
    let mut queue = VecDeque::from([0]);
    while let Some(number) = queue.pop_front() {
        let (one, other) = (steps[number].one, steps[number].other);
        let (a, b) = (record(btf, one), record(btf, other));
        if let Some(difference) = own_difference(btf, a, b, budget) {
            return (path_to(btf, &steps, number), difference);
        }
        let Some(rest) = budget.checked_sub(a.len()) else {
            break;
        };
        *budget = rest;
        let info = Info(a.get(1).copied().unwrap_or(0));
        for (word, role) in word_roles(info).enumerate() {
            let (Some(&a), Some(&b)) = (a.get(word), b.get(word)) else {
                break;
            };
            let (a, b) = (TypeId(a), TypeId(b));
            let is_new = role == Word::Type
                && equal.first_equal(a) != equal.first_equal(b)
                && seen.insert((a, b));
            if is_new {
                queue.push_back(steps.len());
                steps.push(Step {
                    one: a,
                    other: b,
                    from: Some((number, word)),
                });
            }
        }
    }
    (String::new(), "the difference is far away".to_owned())
}

fn record(btf: &Btf, id: TypeId) -> &[u32] {
    btf.record(id).unwrap_or_default()
}

fn text(btf: &Btf, offset: u32) -> String {
    const SHOWN: usize = 80;
    let name = start_of_name(btf, StrOffset(offset), SHOWN);
    if name.is_empty() {
        "(anon)".to_owned()
    } else {
        String::from_utf8_lossy(name).into_owned()
    }
}

fn kind_text(record: &[u32]) -> String {
    let info = record.get(1).copied().map(Info);
    let kind = info.and_then(Info::kind);
    kind.map_or_else(|| "void".to_owned(), |kind| kind.name().to_lowercase())
}

/// Whether two names are the same. They are taken to be when the budget is used up, as names of hostile input overlap: each
/// word of a record may be one of megabytes.
fn is_same_name(btf: &Btf, a: u32, b: u32, budget: &mut usize) -> bool {
    if a == b || *budget == 0 {
        return true;
    }
    let [a, b] = [a, b].map(|offset| btf.string(StrOffset(offset)).ok());
    let bytes: usize = [a, b].into_iter().flatten().map(<[u8]>::len).sum();
    *budget = budget.saturating_sub(bytes / size_of::<u32>());
    a == b
}

/// What differs between two records beside the types that they refer to.
fn own_difference(btf: &Btf, a: &[u32], b: &[u32], budget: &mut usize) -> Option<String> {
    let (&[_, info_a, third_a, ..], &[_, info_b, third_b, ..]) = (a, b) else {
        let differs = a.is_empty() != b.is_empty();
        return differs.then(|| format!("{} and {}", kind_text(a), kind_text(b)));
    };
    let (info_a, info_b) = (Info(info_a), Info(info_b));
    if info_a.kind_number() != info_b.kind_number() {
        return Some(format!("{} and {}", kind_text(a), kind_text(b)));
    }
    let kind = info_a.kind()?;
    let mut differ = |word: usize, role| match (a.get(word), b.get(word)) {
        (Some(&a), Some(&b)) if role == Word::Name => !is_same_name(btf, a, b, budget),
        (Some(a), Some(b)) => a != b,
        (None, None) => false,
        _ => true,
    };
    if differ(0, Word::Name) {
        let name = |record: &[u32]| text(btf, record.first().copied().unwrap_or(0));
        return Some(format!("{} {} and {}", kind_text(a), name(a), name(b)));
    }
    if info_a.vlen() != info_b.vlen() {
        let what = if kind == Kind::Func {
            "linkage"
        } else {
            "elements"
        };
        return Some(format!("{what} {} and {}", info_a.vlen(), info_b.vlen()));
    }
    if info_a.kind_flag() != info_b.kind_flag() {
        return Some("`kind_flag` 0 and 1".to_owned());
    }
    if !kind.third_is_type() && third_a != third_b {
        return Some(format!("size {third_a} and {third_b}"));
    }
    let word = word_roles(info_a)
        .enumerate()
        .skip(3)
        .find(|&(word, role)| role != Word::Type && differ(word, role));
    word.map(|(word, role)| {
        let value = |record: &[u32]| record.get(word).copied().unwrap_or(0);
        let element = element_name(btf, kind, a, word);
        if role == Word::Name {
            format!("names {} and {}", text(btf, value(a)), text(btf, value(b)))
        } else {
            format!("{element}{} and {}", value(a), value(b))
        }
    })
}

/// The name of the element that a word belongs to, and what the word is.
fn element_name(btf: &Btf, kind: Kind, record: &[u32], word: usize) -> String {
    let len = kind.info().element.len();
    let start = 3 + kind.info().trailer.len();
    let Some(place) = word.checked_sub(start).filter(|_| len > 0) else {
        return if kind == Kind::Array {
            "count "
        } else {
            "value "
        }
        .to_owned();
    };
    let first = start + place / len * len;
    let name = text(btf, record.get(first).copied().unwrap_or(0));
    if matches!(kind, Kind::Struct | Kind::Union) {
        format!("{name} at bit ")
    } else if matches!(kind, Kind::Enum | Kind::Enum64) {
        format!("{name} = ")
    } else {
        "value ".to_owned()
    }
}

/// The way to a pair, as C would write it.
fn path_to(btf: &Btf, steps: &[Step], number: usize) -> String {
    let mut parts = Vec::new();
    let mut current = number;
    while let Some((before, word)) = steps.get(current).and_then(|step| step.from) {
        let from = steps[before].one;
        parts.push(part_of(btf, from, word));
        current = before;
    }
    parts.reverse();
    let path = parts.concat().replace("->.", "->");
    if path.is_empty() {
        path
    } else {
        format!("{path}: ")
    }
}

fn part_of(btf: &Btf, from: TypeId, word: usize) -> String {
    match btf.ty(from) {
        Ok(Type::Ptr { .. }) => "->".to_owned(),
        Ok(Type::Array { .. }) => "[]".to_owned(),
        Ok(Type::Struct(_) | Type::Union(_)) => {
            let name = record(btf, from).get(word - 1).copied().unwrap_or(0);
            format!(".{}", text(btf, name))
        }
        Ok(Type::FuncProto(_)) if word == 2 => "()".to_owned(),
        Ok(Type::FuncProto(_)) => format!("(#{})", (word - 3) / 2 + 1),
        _ => String::new(),
    }
}
