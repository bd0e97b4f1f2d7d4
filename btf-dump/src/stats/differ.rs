//! Tells where two types of one name differ: the nearest place at which something other than a type differs.
//!
//! Pairs of types are taken from a queue, the nearest first; pairs that are equal are left out, so that every way ends.

use std::collections::{HashSet, VecDeque};

use btf_core::cli::plural;
use btf_core::dedup::Base;
use btf_core::kind::{Kind, Word};
use btf_core::types::word_roles;
use btf_core::{Btf, Info, StrOffset, Type, TypeId};

use crate::diff::encoding_word;
use crate::layout::spell::keyword;

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
    let name = btf.start_of_string(StrOffset(offset), SHOWN);
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
        let title = |record: &[u32]| {
            let ty = Type::from_record(record);
            keyword(ty).to_owned() + &text(btf, ty.name().0)
        };
        return Some(format!("{} and {}", title(a), title(b)));
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
        let flag = |info: Info| match (kind, info.kind_flag()) {
            (Kind::Enum | Kind::Enum64, false) => "unsigned values",
            (Kind::Enum | Kind::Enum64, true) => "signed values",
            (Kind::Fwd, false) => "struct",
            (Kind::Fwd, true) => "union",
            (_, false) => "no `kind_flag`",
            (_, true) => "`kind_flag`",
        };
        return Some(format!("{} and {}", flag(info_a), flag(info_b)));
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
        if role == Word::Name {
            format!("names {} and {}", text(btf, value(a)), text(btf, value(b)))
        } else {
            let element = element_of(kind, word);
            value_difference(btf, [a, b].map(Type::from_record), element)
                .unwrap_or_else(|| format!("value {} and {}", value(a), value(b)))
        }
    })
}

/// Which element of a record a word belongs to.
fn element_of(kind: Kind, word: usize) -> usize {
    let start = 3 + kind.info().trailer.len();
    let len = kind.info().element.len().max(1);
    word.saturating_sub(start) / len
}

/// What differs between two numbers, arrays, or elements with the same name of two types.
fn value_difference(btf: &Btf, types: [Type<'_>; 2], element: usize) -> Option<String> {
    let both = |what: &str, [a, b]: [String; 2]| Some(format!("{what}{a} and {b}"));
    match types {
        [Type::Int(a), Type::Int(b)] if a.encoding != b.encoding => {
            both("", types.map(|ty| encoding_word(ty).to_owned()))
        }
        [Type::Int(a), Type::Int(b)] => both("", [a, b].map(|int| format!("{} bits", int.bits))),
        [Type::Array { count: a, .. }, Type::Array { count: b, .. }] => {
            both("count ", [a, b].map(|count| count.to_string()))
        }
        [
            Type::Struct(a) | Type::Union(a),
            Type::Struct(b) | Type::Union(b),
        ] => {
            let members = [a.members().nth(element)?, b.members().nth(element)?];
            let name = text(btf, members[0].name.0);
            if members[0].bit_offset != members[1].bit_offset {
                let places = members.map(|member| member.bit_offset.to_string());
                return both(&format!("{name} at bit "), places);
            }
            let widths = members.map(|member| match member.bitfield_size {
                0 => "no bitfield".to_owned(),
                bits => plural(bits.into(), "bit"),
            });
            both(&format!("{name}: "), widths)
        }
        [
            Type::Enum(a) | Type::Enum64(a),
            Type::Enum(b) | Type::Enum64(b),
        ] => {
            let values = [a.enumerators().nth(element)?, b.enumerators().nth(element)?];
            let name = text(btf, values[0].name.0);
            let values = values.map(|value| {
                if a.is_signed {
                    value.value.cast_signed().to_string()
                } else {
                    value.value.to_string()
                }
            });
            both(&format!("{name} = "), values)
        }
        _ => None,
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
    parts.concat().replace("->.", "->")
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
