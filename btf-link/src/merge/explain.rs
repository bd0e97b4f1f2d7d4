//! Why a name kept several definitions: where two of them differ first.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;

use btf_core::cli::escape_name;
use btf_core::overlap::BoundedStrings;
use btf_core::types::{Type, name_refs, type_refs};
use btf_core::{Btf, Info, Kind, StrOffset, TypeId};

/// Two types that are compared.
type Pair = (TypeId, TypeId);

/// For each pair the pair that led to it, and the word that did.
type Origins = HashMap<Pair, (Pair, usize)>;

/// How many pairs of types are compared at most.
const MAX_PAIRS: usize = 1 << 20;

/// A definition of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its id in the result.
    pub id: TypeId,
    /// The inputs that have it, by index.
    pub inputs: Vec<usize>,
}

/// Where two definitions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The way from the definitions to what differs, such as ``member `next` ``.
    pub path: Vec<String>,
    /// What stands there in each of the two; none if they do not differ.
    pub sides: Option<[String; 2]>,
}

/// The names in the result that are wanted and that several types of one kind have, in their order.
#[must_use]
pub fn ambiguous(btf: &Btf, is_wanted: impl Fn(&[u8]) -> bool) -> Vec<&[u8]> {
    let mut strings = BoundedStrings::new(btf);
    let mut counts: BTreeMap<(&[u8], Kind), u32> = BTreeMap::new();
    for (id, _) in btf.records() {
        let Some(info) = btf.info(id) else { continue };
        let Some(kind) = info.kind() else { continue };
        // Functions and variables of one name are several things, and not several definitions of one.
        let is_type = matches!(
            kind,
            Kind::Struct
                | Kind::Union
                | Kind::Enum
                | Kind::Enum64
                | Kind::Typedef
                | Kind::Int
                | Kind::Float
        );
        let name = btf.record(id).and_then(|record| record.first().copied());
        if let Some(name) = name.filter(|&name| is_type && name != 0)
            && let Ok(name) = strings.get(StrOffset(name))
        {
            *counts.entry((name, kind)).or_default() += 1;
        }
    }
    let names = counts
        .into_iter()
        .filter(|&((name, _), count)| count > 1 && is_wanted(name));
    let mut names: Vec<_> = names.map(|((name, _), _)| name).collect();
    names.dedup();
    names
}

/// The definitions in the result of each of some names that differ, `ids` being [`super::MergedBtf::ids`]. The inputs are looked
/// through once for all of them.
#[must_use]
pub fn definitions(btf: &Btf, ids: &[Vec<TypeId>], names: &[&[u8]]) -> Vec<Vec<Definition>> {
    let mut all: Vec<Vec<Definition>> = names.iter().map(|name| of_name(btf, name)).collect();
    let index = |id: TypeId| id.0.checked_sub(btf.first_id()).map(|index| index as usize);
    // For each type of the result its place in `all`.
    let mut places = vec![None; btf.records().len()];
    for (name, found) in all.iter().enumerate() {
        for (at, definition) in found.iter().enumerate() {
            if let Some(place) = index(definition.id).and_then(|index| places.get_mut(index)) {
                *place = Some((name, at));
            }
        }
    }
    for (input, ids) in ids.iter().enumerate() {
        for &id in ids {
            let place = index(id).and_then(|index| *places.get(index)?);
            if let Some((name, at)) = place
                && all[name][at].inputs.last() != Some(&input)
            {
                all[name][at].inputs.push(input);
            }
        }
    }
    all
}

/// The definitions of a name in the result, in the order of their ids; of no inputs yet.
fn of_name(btf: &Btf, name: &[u8]) -> Vec<Definition> {
    let mut found: Vec<_> = btf
        .find_by_name(name)
        .filter(|&id| id.0 >= btf.first_id())
        .filter(|&id| {
            let kind = btf.info(id).and_then(Info::kind);
            !matches!(kind, None | Some(Kind::DeclTag | Kind::TypeTag))
        })
        .map(|id| Definition {
            id,
            inputs: Vec::new(),
        })
        .collect();
    found.sort_by_key(|definition| definition.id);
    found
}

/// The nearest place at which two types differ.
#[must_use]
pub fn difference(btf: &Btf, a: TypeId, b: TypeId) -> Difference {
    let mut from = Origins::new();
    let mut open = VecDeque::from([(a, b)]);
    from.insert((a, b), ((a, b), 0));
    while let Some(pair) = open.pop_front() {
        let [left, right] = [pair.0, pair.1].map(|id| btf.record(id).unwrap_or_default());
        if !same_words(left, right) {
            let sides = sides(btf, pair);
            return Difference {
                path: path(btf, &from, pair, (a, b)),
                sides: Some(sides),
            };
        }
        for ((at, left), (_, right)) in type_refs(left).zip(type_refs(right)) {
            let next = (left, right);
            if left != right && from.len() < MAX_PAIRS && !from.contains_key(&next) {
                from.insert(next, (pair, at));
                open.push_back(next);
            }
        }
    }
    Difference {
        path: Vec::new(),
        sides: None,
    }
}

/// Whether two records are equal but for what they refer to.
fn same_words(left: &[u32], right: &[u32]) -> bool {
    if left.get(1) != right.get(1) || left.len() != right.len() {
        return false;
    }
    let mut refs = type_refs(left).map(|(at, _)| at).peekable();
    left.iter()
        .zip(right)
        .enumerate()
        .all(|(at, (left, right))| refs.next_if_eq(&at).is_some() || left == right)
}

/// The steps from the roots to a pair.
fn path(btf: &Btf, from: &Origins, mut pair: Pair, root: Pair) -> Vec<String> {
    let mut steps = Vec::new();
    while pair != root {
        let Some(&(before, at)) = from.get(&pair) else {
            break;
        };
        steps.push(step(btf, before.0, at));
        pair = before;
    }
    steps.reverse();
    steps
}

/// What word `at` of a type leads to.
fn step(btf: &Btf, id: TypeId, at: usize) -> String {
    let record = btf.record(id).unwrap_or_default();
    let Some(kind) = super::kind_of(record) else {
        return String::new();
    };
    let name = |word: usize| {
        let mut names = name_refs(record);
        let name = names
            .find(|(found, _)| *found == word)
            .map(|(_, name)| name);
        let name = name
            .and_then(|name| btf.string(name).ok())
            .unwrap_or_default();
        escape_name(name).into_owned()
    };
    if matches!(kind, Kind::Struct | Kind::Union) {
        format!("member `{}`", name(at - 1))
    } else if kind == Kind::FuncProto && at > 2 {
        format!("parameter {}", (at - 3) / 2 + 1)
    } else if kind == Kind::Typedef {
        format!("typedef `{}`", name(0))
    } else if kind == Kind::Datasec {
        format!("entry {}", (at - 3) / 3 + 1)
    } else {
        let word = match (kind, at) {
            (Kind::FuncProto, _) => "result",
            (Kind::Ptr, _) => "what it points to",
            (Kind::Array, 3) => "element",
            (Kind::Array, _) => "index",
            _ => return kind.name().to_ascii_lowercase(),
        };
        word.to_owned()
    }
}

/// What two types are, as far as they differ themselves.
fn sides(btf: &Btf, (a, b): (TypeId, TypeId)) -> [String; 2] {
    let texts = [a, b].map(|id| headline(btf, id));
    if texts[0] != texts[1] {
        return texts;
    }
    // The headlines agree, so that an element tells them apart.
    let [left, right] = [a, b].map(|id| btf.record(id).unwrap_or_default());
    let differs = |at: &usize| left.get(*at) != right.get(*at);
    let refs: Vec<_> = type_refs(left).map(|(at, _)| at).collect();
    let at = (3..left.len())
        .filter(|at| !refs.contains(at))
        .find(differs);
    let [left, right] = [a, b].map(|id| element(btf, id, at.unwrap_or(3)));
    let [first, second] = texts;
    [format!("{first}: {left}"), format!("{second}: {right}")]
}

/// A type by kind, name, size and number of elements.
fn headline(btf: &Btf, id: TypeId) -> String {
    let Ok(ty) = btf.ty(id) else {
        return "nothing".to_owned();
    };
    let Some(kind) = ty.kind() else {
        return "void".to_owned();
    };
    let name = escape_name(btf.name(id).unwrap_or_default()).into_owned();
    let mut text = kind.name().to_owned();
    if !name.is_empty() {
        let _ = write!(text, " `{name}`");
    }
    if let Some(size) = ty.own_size() {
        let _ = write!(text, ", {size} bytes");
    }
    let elements = if let Type::Struct(of) | Type::Union(of) = ty {
        Some((of.len(), "members"))
    } else if let Type::Enum(of) | Type::Enum64(of) = ty {
        Some((of.len(), "values"))
    } else if let Type::FuncProto(of) = ty {
        Some((of.len(), "parameters"))
    } else if let Type::Array { count, .. } = ty {
        Some((count as usize, "elements"))
    } else {
        None
    };
    if let Some((count, what)) = elements {
        let _ = write!(text, ", {count} {what}");
    }
    text
}

/// The element of a type that holds word `at`.
fn element(btf: &Btf, id: TypeId, at: usize) -> String {
    let name = |name| escape_name(btf.string(name).unwrap_or_default()).into_owned();
    let ty = btf.ty(id);
    match ty {
        Ok(Type::Struct(of) | Type::Union(of)) => {
            let member = of.members().nth((at - 3) / 3);
            member.map_or_else(String::new, |member| {
                let bits = match member.bitfield_size {
                    0 => String::new(),
                    bits => format!(", {bits} bits"),
                };
                format!("`{}` at bit {}{bits}", name(member.name), member.bit_offset)
            })
        }
        Ok(Type::Enum(of) | Type::Enum64(of)) => {
            let width = if matches!(ty, Ok(Type::Enum(_))) {
                2
            } else {
                3
            };
            let value = of.enumerators().nth((at - 3) / width);
            value.map_or_else(String::new, |value| {
                format!("`{}` = {}", name(value.name), value.value.cast_signed())
            })
        }
        Ok(Type::FuncProto(of)) => {
            let param = of.params().nth((at - 3) / 2);
            param.map_or_else(String::new, |param| {
                format!("parameter `{}`", name(param.name))
            })
        }
        _ => {
            let word = btf.record(id).and_then(|record| record.get(at).copied());
            format!("{:#x}", word.unwrap_or(0))
        }
    }
}
