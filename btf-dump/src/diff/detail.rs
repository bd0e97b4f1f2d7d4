//! What exactly has changed between two items whose contents differ.

use std::hash::Hasher as _;

use btf_core::dedup::FastMap;
use btf_core::types::{Enumeration, Enumerator, FuncProto, Param};
use btf_core::wire::linkage;
use btf_core::{StrOffset, Type, TypeId};

use super::leaves::{Leaf, Leaves};
use super::queues::Queues;
use super::side::{Side, plain_value};

/// What has changed in an item. What is empty or `None` has not.
#[derive(Debug, Default)]
pub struct Detail {
    /// The sizes in bytes, if the item has one of its own.
    pub size: Option<(u64, u64)>,
    /// What a typedef stands for, or of what type a variable is.
    pub ty: Option<(TypeId, TypeId)>,
    /// The members that have changed, in the order of the new item, and what was removed where it was.
    pub members: Vec<MemberChange>,
    /// All members of both.
    pub leaves: (Leaves, Leaves),
    /// For each new member the old one that it was.
    old_of: Vec<Option<usize>>,
    /// The enumerators that have changed.
    pub enumerators: Vec<EnumeratorChange>,
    /// The result of a function.
    pub result: Option<(TypeId, TypeId)>,
    /// The parameters that have changed.
    pub params: Vec<ParamChange>,
    /// Words that say the rest: the linkage of a function or variable, the encoding of a number.
    pub words: Vec<WordChange>,
}

/// What has become of a member. Indices are those of [`Detail::leaves`].
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each may hold with each other"
)]
pub struct MemberChange {
    /// The index of the old one; `None` if it was added.
    pub old: Option<usize>,
    /// The index of the new one; `None` if it was removed.
    pub new: Option<usize>,
    /// It has another name, and the same place and type.
    pub is_renamed: bool,
    /// It lies elsewhere, or has another number of bits.
    pub is_moved: bool,
    /// It has another type.
    pub is_retyped: bool,
    /// Its type is called as before and has another size.
    pub is_resized: bool,
}

/// What has become of an enumerator.
#[derive(Clone, Copy, Debug)]
pub struct EnumeratorChange {
    /// The old one; `None` if it was added.
    pub old: Option<Value>,
    /// The new one; `None` if it was removed.
    pub new: Option<Value>,
    /// It has another name, and the same value.
    pub is_renamed: bool,
}

/// An enumerator.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    /// Its name.
    pub name: StrOffset,
    /// Its value in two's complement.
    pub value: u64,
    /// Whether the value has a sign.
    pub is_signed: bool,
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_signed {
            self.value.cast_signed().fmt(f)
        } else {
            self.value.fmt(f)
        }
    }
}

/// What has become of a parameter.
#[derive(Clone, Copy, Debug)]
pub struct ParamChange {
    /// The position, from 0, and the old one; `None` if it was added.
    pub old: Option<(usize, Param)>,
    /// The new one; `None` if it was removed.
    pub new: Option<(usize, Param)>,
    /// It has another name.
    pub is_renamed: bool,
    /// It has another type.
    pub is_retyped: bool,
}

/// A word that has changed.
#[derive(Clone, Debug)]
pub struct WordChange {
    /// What it says: `linkage`, `encoding`, `section`, `kfunc` or `tags`.
    pub what: &'static str,
    /// The old word.
    pub old: Vec<u8>,
    /// The new word.
    pub new: Vec<u8>,
}

impl Detail {
    /// Compares two items of one sort; `None` if they say the same.
    pub(super) fn new(old: &Side<'_>, new: &Side<'_>, ids: (TypeId, TypeId)) -> Option<Self> {
        let mut detail = Self::default();
        detail.compare(old, new, ids);
        detail.compare_words("section", old.section_of(ids.0), new.section_of(ids.1));
        detail.compare_words("tags", &old.tags_of(ids.0), &new.tags_of(ids.1));
        let kfunc = (old.is_kfunc(ids.0), new.is_kfunc(ids.1));
        if let (Some(a), Some(b)) = kfunc {
            let word = |is| if is { b"yes".as_slice() } else { b"no" };
            detail.compare_words("kfunc", word(a), word(b));
        }
        detail.is_change().then_some(detail)
    }

    fn compare(&mut self, old: &Side<'_>, new: &Side<'_>, ids: (TypeId, TypeId)) {
        let detail = self;
        match (old.ty(ids.0), new.ty(ids.1)) {
            (Type::Struct(a), Type::Struct(b)) | (Type::Union(a), Type::Union(b)) => {
                detail.set_size(a.size, b.size);
                detail.compare_members(old, new, ids);
            }
            (Type::Enum(a) | Type::Enum64(a), Type::Enum(b) | Type::Enum64(b)) => {
                detail.set_size(a.size, b.size);
                detail.compare_enumerators(old, new, (a, b));
            }
            (Type::Typedef { target: a, .. }, Type::Typedef { target: b, .. }) => {
                detail.compare_targets(old, new, (a, b));
            }
            (
                Type::Var {
                    target: a,
                    linkage: a_linkage,
                    ..
                },
                Type::Var {
                    target: b,
                    linkage: b_linkage,
                    ..
                },
            ) => {
                detail.compare_targets(old, new, (a, b));
                detail.compare_words(
                    "linkage",
                    linkage_word(a_linkage).as_bytes(),
                    linkage_word(b_linkage).as_bytes(),
                );
            }
            (
                Type::Func {
                    proto: a,
                    linkage: a_linkage,
                    ..
                },
                Type::Func {
                    proto: b,
                    linkage: b_linkage,
                    ..
                },
            ) => {
                detail.compare_words(
                    "linkage",
                    linkage_word(a_linkage).as_bytes(),
                    linkage_word(b_linkage).as_bytes(),
                );
                if let (Type::FuncProto(a), Type::FuncProto(b)) = (old.ty(a), new.ty(b)) {
                    detail.compare_protos(old, new, (a, b));
                }
            }
            (a, b) => {
                if let (Some(a), Some(b)) = (a.own_size(), b.own_size()) {
                    detail.set_size(a, b);
                }
                detail.compare_words(
                    "encoding",
                    encoding_word(a).as_bytes(),
                    encoding_word(b).as_bytes(),
                );
            }
        }
    }

    /// Whether anything has changed in the item itself.
    fn is_change(&self) -> bool {
        self.size.is_some_and(|(old, new)| old != new)
            || self.ty.is_some()
            || self.result.is_some()
            || !self.enumerators.is_empty()
            || !self.params.is_empty()
            || !self.words.is_empty()
            || self.members.iter().any(MemberChange::is_own)
    }

    /// All members in the order of [`Detail::members`], also those that are as they were.
    #[must_use]
    pub fn all_members(&self) -> Vec<MemberChange> {
        let mut changes = self.members.iter().peekable();
        let mut all = Vec::with_capacity(self.old_of.len());
        for (index, &old) in self.old_of.iter().enumerate() {
            // What was removed before it.
            let is_before = |change: &&MemberChange| {
                change.new.is_none() && old.is_some_and(|old| change.old < Some(old))
            };
            while let Some(&removed) = changes.next_if(is_before) {
                all.push(removed);
            }
            let unchanged = MemberChange {
                old,
                new: Some(index),
                ..MemberChange::NONE
            };
            let changed = changes.next_if(|change| change.new == Some(index));
            all.push(changed.copied().unwrap_or(unchanged));
        }
        all.extend(changes);
        all
    }

    fn set_size(&mut self, old: u32, new: u32) {
        self.size = Some((old.into(), new.into()));
    }

    fn compare_words(&mut self, what: &'static str, old: &[u8], new: &[u8]) {
        if old != new {
            let (old, new) = (old.to_vec(), new.to_vec());
            self.words.push(WordChange { what, old, new });
        }
    }

    /// Compares what typedefs stand for, or the types of variables; unnamed structures member by member.
    fn compare_targets(&mut self, old: &Side<'_>, new: &Side<'_>, ids: (TypeId, TypeId)) {
        let wrapping = (Leaves::wrapping(old, ids.0), Leaves::wrapping(new, ids.1));
        if let (Some(a), Some(b)) = wrapping
            && a == b
        {
            if let (Some(a), Some(b)) = (old.size_of(ids.0), new.size_of(ids.1)) {
                self.size = Some((a, b));
            }
            self.compare_members(old, new, ids);
        } else if old.meaning(ids.0) != new.meaning(ids.1) {
            self.ty = Some(ids);
        }
    }

    fn compare_members(&mut self, old: &Side<'_>, new: &Side<'_>, ids: (TypeId, TypeId)) {
        let (old_leaves, new_leaves) = (Leaves::new(old, ids.0), Leaves::new(new, ids.1));
        let (olds, news) = (&old_leaves.all, &new_leaves.all);
        let old_of = pair_leaves(olds, news);
        let mut new_of = vec![None; olds.len()];
        for (index, old) in old_of.iter().enumerate() {
            if let Some(slot) = old.and_then(|old| new_of.get_mut(old)) {
                *slot = Some(index);
            }
        }
        let removed = |old: usize| MemberChange {
            old: Some(old),
            ..MemberChange::NONE
        };
        let mut next_old = 0;
        for (index, leaf) in news.iter().enumerate() {
            let Some(before) = old_of[index] else {
                self.members.push(MemberChange {
                    new: Some(index),
                    ..MemberChange::NONE
                });
                continue;
            };
            // What was removed before it.
            while next_old < before {
                if new_of[next_old].is_none() {
                    self.members.push(removed(next_old));
                }
                next_old += 1;
            }
            next_old = next_old.max(before + 1);
            let was = &olds[before];
            let is_retyped = was.meaning != leaf.meaning;
            let change = MemberChange {
                old: Some(before),
                new: Some(index),
                is_renamed: was.path != leaf.path,
                is_moved: (was.bit_offset, was.bits) != (leaf.bit_offset, leaf.bits),
                is_retyped,
                is_resized: !is_retyped && old.size_of(was.ty) != new.size_of(leaf.ty),
            };
            if change.is_own() || change.is_resized {
                self.members.push(change);
            }
        }
        let rest = (next_old..olds.len()).filter(|&index| new_of[index].is_none());
        self.members.extend(rest.map(removed));
        self.leaves = (old_leaves, new_leaves);
        self.old_of = old_of;
    }

    fn compare_enumerators(
        &mut self,
        old: &Side<'_>,
        new: &Side<'_>,
        (a, b): (Enumeration<'_>, Enumeration<'_>),
    ) {
        let (olds, news) = (values(a), values(b));
        let names = olds.iter().map(|value| old.name_hash(value.name));
        let mut by_name = Queues::new(names.zip(0..));
        let is_small = a.size.max(b.size) <= 4;
        let is_same = |was: Value, is: Value| {
            was.value == is.value
                || is_small && plain_value(was.value, a.size) == plain_value(is.value, b.size)
        };
        let mut is_left = vec![true; olds.len()];
        let mut added = Vec::new();
        for &value in &news {
            let Some(index) = by_name.take(new.name_hash(value.name)) else {
                added.push(value);
                continue;
            };
            is_left[index] = false;
            if !is_same(olds[index], value) {
                self.enumerators
                    .push(EnumeratorChange::new(Some(olds[index]), Some(value)));
            }
        }
        let removed = olds
            .into_iter()
            .zip(is_left)
            .filter(|&(_, is_left)| is_left);
        let values = added.iter().map(|value| value.value);
        let mut by_value = Queues::new(values.zip(0..));
        let mut renamed = FastMap::<StrOffset, ()>::default();
        for (was, _) in removed {
            let is = by_value.take(was.value).map(|index| added[index]);
            if let Some(is) = is {
                renamed.insert(is.name, ());
            }
            self.enumerators.push(EnumeratorChange::new(Some(was), is));
        }
        added.retain(|value| !renamed.contains_key(&value.name));
        let added = added
            .into_iter()
            .map(|value| EnumeratorChange::new(None, Some(value)));
        self.enumerators.extend(added);
    }

    fn compare_protos(
        &mut self,
        old: &Side<'_>,
        new: &Side<'_>,
        (a, b): (FuncProto<'_>, FuncProto<'_>),
    ) {
        if old.meaning(a.result) != new.meaning(b.result) {
            self.result = Some((a.result, b.result));
        }
        let meanings = |side: &Side<'_>, proto: FuncProto<'_>| {
            let params = proto.params();
            let params =
                params.map(|param| (param, side.name_hash(param.name), side.meaning(param.ty)));
            params.collect::<Vec<_>>()
        };
        let (olds, news) = (meanings(old, a), meanings(new, b));
        for (old, new) in align(&olds, &news) {
            let (was, is) = (old.map(|index| olds[index]), new.map(|index| news[index]));
            let both = was.zip(is);
            let is_renamed = both.is_some_and(|(was, is)| was.1 != is.1);
            let is_retyped = both.is_some_and(|(was, is)| was.2 != is.2);
            if both.is_none() || is_renamed || is_retyped {
                self.params.push(ParamChange {
                    old: old.zip(was.map(|was| was.0)),
                    new: new.zip(is.map(|is| is.0)),
                    is_renamed,
                    is_retyped,
                });
            }
        }
    }
}

pub(super) fn values(values: Enumeration<'_>) -> Vec<Value> {
    let is_signed = values.is_signed;
    let values = values
        .enumerators()
        .map(|Enumerator { name, value }| Value {
            name,
            value,
            is_signed,
        });
    values.collect()
}

/// The enumerators of an item; none if it is no enumeration.
pub(super) fn values_of(side: &Side<'_>, id: TypeId) -> Vec<Value> {
    if let Type::Enum(all) | Type::Enum64(all) = side.ty(id) {
        values(all)
    } else {
        Vec::new()
    }
}

impl EnumeratorChange {
    fn new(old: Option<Value>, new: Option<Value>) -> Self {
        let both = old.zip(new);
        let is_renamed = both.is_some_and(|(old, new)| old.value == new.value);
        Self {
            old,
            new,
            is_renamed,
        }
    }
}

impl MemberChange {
    const NONE: Self = Self {
        old: None,
        new: None,
        is_renamed: false,
        is_moved: false,
        is_retyped: false,
        is_resized: false,
    };

    /// Whether the structure itself says something else than before.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.old.is_none()
            || self.new.is_none()
            || self.is_renamed
            || self.is_moved
            || self.is_retyped
    }

    /// Whether it lies elsewhere, and that is all.
    #[must_use]
    pub fn is_only_moved(&self) -> bool {
        self.is_moved && !self.is_renamed && !self.is_retyped && !self.is_resized
    }
}

/// For each new member the index of the old one that it was: by name, or else by place and type.
fn pair_leaves(olds: &[Leaf], news: &[Leaf]) -> Vec<Option<usize>> {
    // Most structures change somewhere behind their start.
    let start = olds.iter().zip(news);
    let start = start.take_while(|(old, new)| old.path == new.path).count();
    let mut is_left = vec![true; olds.len()];
    is_left[..start].fill(false);
    let mut old_of: Vec<_> = (0..start).map(Some).collect();
    old_of.resize(news.len(), None);
    let mut pair = |key: fn(&Leaf) -> u64| {
        if !is_left.contains(&true) || !old_of.contains(&None) {
            return;
        }
        let left = olds.iter().enumerate().filter(|&(index, _)| is_left[index]);
        let mut left = Queues::new(left.map(|(index, leaf)| (key(leaf), index)));
        for (leaf, old) in news.iter().zip(&mut old_of) {
            if old.is_none()
                && let Some(index) = left.take(key(leaf))
            {
                is_left[index] = false;
                *old = Some(index);
            }
        }
    };
    pair(|leaf| leaf.path);
    pair(|leaf| {
        let mut hasher = btf_core::dedup::MulHasher::default();
        hasher.write_u64(leaf.meaning);
        hasher.write_u64(u64::from(leaf.bit_offset) << 32 | u64::from(leaf.bits.unwrap_or(0)));
        hasher.finish()
    });
    old_of
}

/// Which parameter has become which: what is alike at the start and at the end stays, the rest goes by name, then by position.
fn align(
    olds: &[(Param, u64, u64)],
    news: &[(Param, u64, u64)],
) -> Vec<(Option<usize>, Option<usize>)> {
    let is_alike = |a: usize, b: usize| olds[a].1 == news[b].1 || olds[a].2 == news[b].2;
    let short = olds.len().min(news.len());
    if olds.len() == news.len() {
        return (0..short).map(|index| (Some(index), Some(index))).collect();
    }
    let same = |a: usize, b: usize| olds[a].1 == news[b].1 && olds[a].2 == news[b].2;
    let start = (0..short).take_while(|&index| same(index, index)).count();
    let (old_len, new_len) = (olds.len(), news.len());
    let end = (1..=short - start)
        .take_while(|&back| same(old_len - back, new_len - back))
        .count();
    let mut pairs: Vec<_> = (0..start).map(|index| (Some(index), Some(index))).collect();
    // In between: the next with the same name or type, in order.
    let (mut a, mut b) = (start, start);
    let (old_end, new_end) = (old_len - end, new_len - end);
    while a < old_end || b < new_end {
        let left = (old_end - a, new_end - b);
        if left.0 > 0 && left.1 > 0 && (left.0 == left.1 || is_alike(a, b)) {
            pairs.push((Some(a), Some(b)));
            a += 1;
            b += 1;
        } else if left.0 > left.1 {
            pairs.push((Some(a), None));
            a += 1;
        } else {
            pairs.push((None, Some(b)));
            b += 1;
        }
    }
    pairs.extend(
        (1..=end)
            .rev()
            .map(|back| (Some(old_len - back), Some(new_len - back))),
    );
    pairs
}

pub(super) fn linkage_word(word: u32) -> &'static str {
    match word {
        linkage::STATIC => "static",
        linkage::GLOBAL => "global",
        linkage::EXTERN => "extern",
        _ => "unknown",
    }
}

/// What a number is, in a word.
pub(super) fn encoding_word(ty: Type<'_>) -> &'static str {
    const WORDS: [&str; 8] = [
        "unsigned",
        "signed",
        "char",
        "signed char",
        "bool",
        "signed bool",
        "bool char",
        "signed bool char",
    ];
    if let Type::Int(int) = ty {
        WORDS.get(int.encoding as usize).unwrap_or(&"unknown")
    } else if matches!(ty, Type::Float { .. }) {
        "float"
    } else {
        ""
    }
}
