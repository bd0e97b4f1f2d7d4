//! What exactly has changed between two items whose contents differ.

mod align;

use btf_core::dedup::FastMap;
use btf_core::types::{Enumeration, Enumerator, FuncProto, Param};
use btf_core::wire::linkage;
use btf_core::{StrOffset, Type, TypeId};

use super::leaves::Leaves;
use super::queues::Queues;
use super::side::{Side, plain_value};
use align::{align, pair_leaves};

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
    /// How many members unnamed structures may add to each.
    room: usize,
    /// For each new member the old one that it was.
    old_of: Vec<Option<usize>>,
    /// The enumerators that have changed, in the order of their members.
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
    /// It lies elsewhere.
    pub is_moved: bool,
    /// It has another type.
    pub is_retyped: bool,
    /// It is a bitfield of another width, or is one no longer, or has become one.
    pub is_rewidened: bool,
    /// Its type is called as before and has another size; of an array without a length, the elements have.
    pub is_resized: bool,
    /// It has been resized, and its type has no name, so that nobody else tells.
    pub has_own_size: bool,
    /// Its type is an enumeration without a name, of which [`Detail::enumerators`] have changed.
    pub is_revalued: bool,
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
    /// The index of the new member whose type without a name it is in; `None` if it is the item's own.
    pub member: Option<usize>,
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
    /// What it says: `linkage`, `encoding`, `section`, `kfunc`, `exported` or `tags`.
    pub what: &'static str,
    /// The old word.
    pub old: Vec<u8>,
    /// The new word.
    pub new: Vec<u8>,
}

impl Detail {
    /// Compares two items of one sort; `None` if they say the same.
    ///
    /// Unnamed structures may add as many members as there is `room` for.
    pub(super) fn new(
        old: &Side<'_>,
        new: &Side<'_>,
        ids: (TypeId, TypeId),
        room: usize,
    ) -> Option<Self> {
        let mut detail = Self {
            room,
            ..Self::default()
        };
        detail.compare(old, new, ids);
        detail.compare_words("section", old.section_of(ids.0), new.section_of(ids.1));
        detail.compare_words("tags", &old.tags_of(ids.0), &new.tags_of(ids.1));
        let facts = [
            ("kfunc", old.is_kfunc(ids.0), new.is_kfunc(ids.1)),
            ("exported", old.is_exported(ids.0), new.is_exported(ids.1)),
        ];
        for (what, was, is) in facts {
            if let (Some(was), Some(is)) = (was, is) {
                let word = |is| if is { b"yes".as_slice() } else { b"no" };
                detail.compare_words(what, word(was), word(is));
            }
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
                detail.compare_enumerators(old, new, (a, b), None);
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

    /// Whether some unnamed structures are compared as a whole, as there are too many.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.leaves.0.is_cut || self.leaves.1.is_cut
    }

    /// The enumerators that have changed in the type without a name of a new member, or the item's own.
    #[must_use]
    pub fn enumerators_of(&self, member: Option<usize>) -> &[EnumeratorChange] {
        let all = &self.enumerators;
        let first = all.partition_point(|change| change.member < member);
        let end = all.partition_point(|change| change.member <= member);
        all.get(first..end).unwrap_or_default()
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

    /// Compares what typedefs stand for, or the types of variables; what has no name member by member, or enumerator by enumerator.
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
            match nameless_enums((old, ids.0), (new, ids.1)) {
                Some(both) => self.compare_enumerators(old, new, both, None),
                None => self.ty = Some(ids),
            }
        }
    }

    fn compare_members(&mut self, old: &Side<'_>, new: &Side<'_>, ids: (TypeId, TypeId)) {
        let leaves = |side, id| Leaves::new(side, id, self.room);
        let (old_leaves, new_leaves) = (leaves(old, ids.0), leaves(new, ids.1));
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
            let is_other = was.meaning != leaf.meaning;
            let enums = is_other.then(|| nameless_enums((old, was.ty), (new, leaf.ty)));
            let enums = enums.flatten();
            let known = self.enumerators.len();
            if let Some(both) = enums {
                self.compare_enumerators(old, new, both, Some(index));
            }
            let is_retyped = is_other && enums.is_none();
            let is_resized = !is_retyped && is_resized((old, was.ty), (new, leaf.ty));
            let change = MemberChange {
                old: Some(before),
                new: Some(index),
                is_renamed: was.path != leaf.path,
                is_moved: was.bit_offset != leaf.bit_offset,
                is_retyped,
                is_rewidened: was.bits != leaf.bits,
                is_resized,
                has_own_size: is_resized && Leaves::wrapping(new, leaf.ty).is_some(),
                is_revalued: self.enumerators.len() > known,
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
        member: Option<usize>,
    ) {
        let change = |old, new| EnumeratorChange::new(old, new, member);
        let (olds, news) = (values(a), values(b));
        let names = olds.iter().map(|value| old.name_hash(value.name));
        let mut by_name = Queues::new(names.zip(0..));
        let is_small = a.size.max(b.size) <= 4 && !(old.knows_signs() && new.knows_signs());
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
                let was = olds[index];
                self.enumerators.push(change(Some(was), Some(value)));
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
            self.enumerators.push(change(Some(was), is));
        }
        added.retain(|value| !renamed.contains_key(&value.name));
        let added = added.into_iter().map(|value| change(None, Some(value)));
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

/// The values of an enumeration.
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

/// The enumerators of an item, or of an enumeration without a name that it stands for; none if it is no such.
pub(super) fn values_of(side: &Side<'_>, id: TypeId) -> Vec<Value> {
    let ty = side.ty(id);
    if let Type::Enum(all) | Type::Enum64(all) = ty {
        values(all)
    } else if let Type::Typedef { target, .. } | Type::Var { target, .. } = ty
        && let Some(nameless) = Leaves::enumeration(side, target)
    {
        values(nameless.values)
    } else {
        Vec::new()
    }
}

impl EnumeratorChange {
    fn new(old: Option<Value>, new: Option<Value>, member: Option<usize>) -> Self {
        let both = old.zip(new);
        let is_renamed = both.is_some_and(|(old, new)| old.value == new.value);
        Self {
            old,
            new,
            is_renamed,
            member,
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
        is_rewidened: false,
        is_resized: false,
        has_own_size: false,
        is_revalued: false,
    };

    /// Whether the structure itself says something else than before.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.old.is_none()
            || self.is_lost()
            || self.is_moved
            || self.has_own_size
            || self.is_revalued
    }

    /// Whether there is no member of this name, type and width any more.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.old.is_some() && self.new.is_none() || self.is_respelled()
    }

    /// Whether it is declared in another way.
    #[must_use]
    pub fn is_respelled(&self) -> bool {
        self.is_renamed || self.is_retyped || self.is_rewidened
    }

    /// Whether it lies elsewhere, and that is all.
    #[must_use]
    pub fn is_only_moved(&self) -> bool {
        self.is_moved && !self.is_respelled() && !self.is_resized && !self.is_revalued
    }
}

/// The enumerations that two types lead to in the same way, if they have no name and the same size.
fn nameless_enums<'a, 'b>(
    (old, a): (&Side<'a>, TypeId),
    (new, b): (&Side<'b>, TypeId),
) -> Option<(Enumeration<'a>, Enumeration<'b>)> {
    let (old, new) = (Leaves::enumeration(old, a)?, Leaves::enumeration(new, b)?);
    (old.wrapping == new.wrapping && old.values.size == new.values.size)
        .then_some((old.values, new.values))
}

/// Whether types that are called alike differ in size or, if they are arrays without a length, their elements do.
fn is_resized((old, a): (&Side<'_>, TypeId), (new, b): (&Side<'_>, TypeId)) -> bool {
    let (was, is) = (old.size_of(a), new.size_of(b));
    was != is || was == Some(0) && old.element_size(a) != new.element_size(b)
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
pub(crate) fn encoding_word(ty: Type<'_>) -> &'static str {
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
