//! What has changed between two enumerations.

use btf_core::dedup::FastMap;
use btf_core::types::{Enumeration, Enumerator};
use btf_core::{StrOffset, Type, TypeId};

use super::super::leaves::Leaves;
use super::super::queues::Queues;
use super::super::side::{Side, plain_value};
use super::Detail;

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

impl Detail {
    /// Adds what has changed between two enumerations.
    pub(super) fn compare_enumerators(
        &mut self,
        (old, new): (&Side<'_>, &Side<'_>),
        (a, b): (Enumeration<'_>, Enumeration<'_>),
    ) {
        let change = EnumeratorChange::new;
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
}

/// The values of an enumeration.
pub(in super::super) fn values(values: Enumeration<'_>) -> Vec<Value> {
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
pub(in super::super) fn values_of(side: &Side<'_>, id: TypeId) -> Vec<Value> {
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

/// The enumerations that two types lead to in the same way, if they have no name and the same size.
pub(super) fn nameless_enums<'a, 'b>(
    (old, a): (&Side<'a>, TypeId),
    (new, b): (&Side<'b>, TypeId),
) -> Option<(Enumeration<'a>, Enumeration<'b>)> {
    let (old, new) = (Leaves::enumeration(old, a)?, Leaves::enumeration(new, b)?);
    (old.wrapping == new.wrapping && old.values.size == new.values.size)
        .then_some((old.values, new.values))
}
