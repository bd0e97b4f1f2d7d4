//! Which item of the old blob has become which of the new one.
//!
//! Items of one sort and name belong together. Where a name has several definitions, those that are equal go first; the rest is
//! paired by likeness: the names inside that both have. So are unnamed enumerations and structures that nothing with a
//! name leads to, but only if they have something in common.
//!
//! Which types are a module's own and which its kernel's depends on who else uses them: a type that one side's module has and the
//! other side's kernel has neither come nor gone.

use std::collections::{BTreeMap, VecDeque};

use btf_core::dedup::FastMap;
use btf_core::{Type, TypeId};
use rayon::prelude::*;

use super::side::{Item, Side, Sort};

/// Definitions of one name are compared each with each up to so many pairs; beyond that their order decides.
const MAX_PAIRS: usize = 4096;

/// So many unnamed types with one and the same name inside are looked at.
const MAX_SHARED: usize = 16;

/// The items of two blobs, put side by side.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Both have it, and it says the same.
    pub(super) equal: Vec<(TypeId, TypeId)>,
    /// Both have it, and the contents differ.
    pub(super) different: Vec<(Sort, TypeId, TypeId)>,
    pub(super) removed: Vec<(Sort, TypeId)>,
    pub(super) added: Vec<(Sort, TypeId)>,
}

impl Pairs {
    pub(super) fn new(old: &Side<'_>, new: &Side<'_>) -> Self {
        let parts = old.items.parts(&new.items);
        let (mut pairs, nameless) = rayon::join(
            || {
                let parts = parts.par_iter().map(|&[olds, news]| {
                    let mut pairs = Self::default();
                    pairs.put_named((old, olds), (new, news));
                    pairs
                });
                parts.reduce(Self::default, Self::and)
            },
            || {
                let mut pairs = Self::default();
                pairs.put_nameless(old, new);
                pairs
            },
        );
        pairs = pairs.and(nameless);
        pairs.put_bases(old, new);
        pairs
    }

    /// These and others.
    fn and(mut self, others: Self) -> Self {
        self.equal.extend(others.equal);
        self.different.extend(others.different);
        self.removed.extend(others.removed);
        self.added.extend(others.added);
        self
    }

    /// Pairs types that one blob has itself with what the other one's base has.
    fn put_bases(&mut self, old: &Side<'_>, new: &Side<'_>) {
        let Self {
            equal,
            different,
            added,
            removed,
            ..
        } = self;
        let mut put = |is_equal, sort, old, new| {
            if is_equal {
                equal.push((old, new));
            } else {
                different.push((sort, old, new));
            }
        };
        if let Some(base) = old.base() {
            added.retain(|&(sort, id)| {
                let Some((other, is_equal)) = in_base(base, (new, sort, id)) else {
                    return true;
                };
                put(is_equal, sort, other, id);
                false
            });
        }
        if let Some(base) = new.base() {
            removed.retain(|&(sort, id)| {
                let Some((other, is_equal)) = in_base(base, (old, sort, id)) else {
                    return true;
                };
                put(is_equal, sort, id, other);
                false
            });
        }
    }

    /// Pairs what has a name; the items are sorted by label.
    fn put_named(&mut self, old: (&Side<'_>, &[Item]), new: (&Side<'_>, &[Item])) {
        let ((old, mut olds), (new, mut news)) = (old, new);
        loop {
            let label = match (olds.first(), news.first()) {
                (Some(a), Some(b)) => a.label.min(b.label),
                (Some(item), None) | (None, Some(item)) => item.label,
                (None, None) => break,
            };
            let old_group = take_group(&mut olds, label);
            let new_group = take_group(&mut news, label);
            match (old_group, new_group) {
                // Nearly all.
                ([a], [b]) if a.content == b.content && a.sort == b.sort => {
                    self.equal.push((a.id, b.id));
                }
                ([a], [b]) if a.sort == b.sort => self.different.push((a.sort, a.id, b.id)),
                _ => self.put_group((old, old_group), (new, new_group)),
            }
        }
    }

    /// Pairs the items of one name, of which there are several or only one blob's.
    fn put_group(&mut self, old: (&Side<'_>, &[Item]), new: (&Side<'_>, &[Item])) {
        // Nearly all of the rest: one definition that only one blob has.
        match (old.1, new.1) {
            ([], [item]) if !is_declaration(new.0, item) => {
                return self.added.push((item.sort, item.id));
            }
            ([item], []) if !is_declaration(old.0, item) => {
                return self.removed.push((item.sort, item.id));
            }
            _ => {}
        }
        let (old, mut olds) = (old.0, definitions(old.0, old.1));
        let (new, mut news) = (new.0, definitions(new.0, new.1));
        self.put_equal(&mut olds, &mut news);
        if olds.len() > 1 || news.len() > 1 {
            let (old_names, new_names) = (inner_names(old, &olds), inner_names(new, &news));
            let mut scores = Vec::new();
            if olds.len() * news.len() <= MAX_PAIRS {
                for (a, a_names) in old_names.iter().enumerate() {
                    for (b, b_names) in new_names.iter().enumerate() {
                        if olds[a].sort == news[b].sort {
                            scores.push((likeness(a_names, b_names), a, b));
                        }
                    }
                }
            }
            // The most like first; of equals those that come first.
            scores.sort_by_key(|&(score, a, b)| (std::cmp::Reverse(score), a, b));
            self.put_best(
                scores.into_iter().map(|(_, a, b)| (a, b)),
                &mut olds,
                &mut news,
            );
        }
        // The rest in its order.
        let mut rest: BTreeMap<Sort, VecDeque<TypeId>> = BTreeMap::new();
        for item in news {
            rest.entry(item.sort).or_default().push_back(item.id);
        }
        for Item { sort, id, .. } in olds {
            match rest.get_mut(&sort).and_then(VecDeque::pop_front) {
                Some(other) => self.different.push((sort, id, other)),
                None => self.removed.push((sort, id)),
            }
        }
        for (sort, ids) in rest {
            self.added.extend(ids.into_iter().map(|id| (sort, id)));
        }
    }

    /// Takes out what is equal.
    fn put_equal(&mut self, olds: &mut Vec<Item>, news: &mut Vec<Item>) {
        let mut by_content: FastMap<(u64, Sort), Vec<usize>> = FastMap::default();
        for (index, item) in news.iter().enumerate().rev() {
            by_content
                .entry((item.content, item.sort))
                .or_default()
                .push(index);
        }
        let mut is_taken = vec![false; news.len()];
        olds.retain(|item| {
            let same = by_content
                .get_mut(&(item.content, item.sort))
                .and_then(Vec::pop);
            if let Some(index) = same {
                is_taken[index] = true;
                self.equal.push((item.id, news[index].id));
            }
            same.is_none()
        });
        let mut is_taken = is_taken.into_iter();
        news.retain(|_| is_taken.next() != Some(true));
    }

    /// Pairs by a list of candidates, the best first, and takes them out.
    fn put_best(
        &mut self,
        candidates: impl Iterator<Item = (usize, usize)>,
        olds: &mut Vec<Item>,
        news: &mut Vec<Item>,
    ) {
        let mut old_taken = vec![false; olds.len()];
        let mut new_taken = vec![false; news.len()];
        for (a, b) in candidates {
            if !old_taken[a] && !new_taken[b] {
                old_taken[a] = true;
                new_taken[b] = true;
                self.different.push((olds[a].sort, olds[a].id, news[b].id));
            }
        }
        let (mut old_taken, mut new_taken) = (old_taken.into_iter(), new_taken.into_iter());
        olds.retain(|_| old_taken.next() != Some(true));
        news.retain(|_| new_taken.next() != Some(true));
    }

    /// Pairs what has no name, by what is in it.
    fn put_nameless(&mut self, old: &Side<'_>, new: &Side<'_>) {
        let (mut olds, mut news) = (distinct(&old.nameless), distinct(&new.nameless));
        self.put_equal(&mut olds, &mut news);
        let (old_names, new_names) = (inner_names(old, &olds), inner_names(new, &news));
        let mut holders: FastMap<u64, Vec<usize>> = FastMap::default();
        for (index, names) in new_names.iter().enumerate() {
            for &name in names {
                let holders = holders.entry(name).or_default();
                if holders.len() < MAX_SHARED {
                    holders.push(index);
                }
            }
        }
        let mut scores = Vec::new();
        let mut common: FastMap<usize, usize> = FastMap::default();
        for (a, names) in old_names.iter().enumerate() {
            common.clear();
            for holder in names.iter().filter_map(|name| holders.get(name)).flatten() {
                *common.entry(*holder).or_default() += 1;
            }
            let alike = common.iter().filter(|&(&b, &count)| {
                olds[a].sort == news[b].sort && 3 * count >= names.len().min(new_names[b].len())
            });
            scores.extend(
                alike.map(|(&b, &count)| {
                    (2 * count * 1000 / (names.len() + new_names[b].len()), a, b)
                }),
            );
        }
        scores.sort_by_key(|&(score, a, b)| (std::cmp::Reverse(score), a, b));
        self.put_best(
            scores.into_iter().map(|(_, a, b)| (a, b)),
            &mut olds,
            &mut news,
        );
        self.removed
            .extend(olds.iter().map(|item| (item.sort, item.id)));
        self.added
            .extend(news.iter().map(|item| (item.sort, item.id)));
    }
}

/// The definition in a base of a type that a blob of the other side has itself, and whether it says the same.
fn in_base(base: &Side<'_>, (side, sort, id): (&Side<'_>, Sort, TypeId)) -> Option<(TypeId, bool)> {
    if matches!(sort, Sort::Func | Sort::Var) || side.name_of(id).is_empty() {
        // Where a function is matters to those who call it.
        return None;
    }
    // What a reference to a type with a name means is its label.
    let label = side.meaning(id);
    if side
        .base()
        .is_some_and(|base| !base.labelled(label).is_empty())
    {
        // Both have several types of that name.
        return None;
    }
    let of_sort = |item: &&Item| item.sort == sort;
    // Items of one label are in the order of their ids.
    let own = side.labelled(label);
    let own = own.get(own.binary_search_by_key(&id, |item| item.id).ok()?)?;
    let mut others = base.labelled(label).iter().take(MAX_PAIRS).filter(of_sort);
    let equal = others.clone().find(|item| item.content == own.content);
    let found = equal.or_else(|| others.next())?;
    Some((found.id, equal.is_some()))
}

/// Whether an item only says that there is something of its name, see [`definitions`].
fn is_declaration(side: &Side<'_>, item: &Item) -> bool {
    match item.sort {
        Sort::Forward => true,
        Sort::Number => matches!(side.ty(item.id), Type::Int(int) if !int.is_whole()),
        Sort::Enum => {
            let ty = side.ty(item.id);
            matches!(ty, Type::Enum(values) | Type::Enum64(values) if values.is_empty())
        }
        Sort::Struct | Sort::Union | Sort::Typedef | Sort::Func | Sort::Var => false,
    }
}

/// The first items of a list if they have this label.
fn take_group<'i>(items: &mut &'i [Item], label: u64) -> &'i [Item] {
    let len = items.iter().take_while(|item| item.label == label).count();
    let (group, rest) = items.split_at(len);
    *items = rest;
    group
}

/// The items of a name, each content once: declarations only if the name is not defined, and bitfields of the old
/// form, which call a number of three bits `int`, only if there is no whole number.
fn definitions(side: &Side<'_>, group: &[Item]) -> Vec<Item> {
    let is_declaration = |item: &Item| is_declaration(side, item);
    let in_base = || {
        let label = group.first().map(|item| item.label);
        label.is_some_and(|label| {
            side.base()
                .is_some_and(|base| !base.labelled(label).is_empty())
        })
    };
    let mut items = distinct(group);
    if items.iter().any(is_declaration) && (in_base() || !items.iter().all(is_declaration)) {
        items.retain(|item| !is_declaration(item));
    }
    items
}

/// Each content once.
fn distinct(items: &[Item]) -> Vec<Item> {
    let mut known: FastMap<(u64, Sort), ()> = FastMap::default();
    let is_new = |item: &&Item| known.insert((item.content, item.sort), ()).is_none();
    items.iter().filter(is_new).copied().collect()
}

/// The hashes of the names in each item, in order and each once.
fn inner_names(side: &Side<'_>, items: &[Item]) -> Vec<Vec<u64>> {
    let names = items.iter().map(|item| {
        let ty = side.ty(item.id);
        let mut names: Vec<u64> = Vec::new();
        if let Type::Struct(composite) | Type::Union(composite) = ty {
            names.extend(
                composite
                    .members()
                    .map(|member| side.name_hash(member.name)),
            );
        } else if let Type::Enum(values) | Type::Enum64(values) = ty {
            names.extend(values.enumerators().map(|value| side.name_hash(value.name)));
        } else if let Type::Typedef { target, .. } | Type::Var { target, .. } = ty {
            names.push(side.meaning(target));
        } else if let Type::Func { proto, .. } = ty
            && let Type::FuncProto(proto) = side.ty(proto)
        {
            names.extend(proto.params().map(|param| side.meaning(param.ty)));
        }
        names.sort_unstable();
        names.dedup();
        names
    });
    names.collect()
}

/// How many thousandths of the names two items have in common.
fn likeness(a: &[u64], b: &[u64]) -> usize {
    let (mut common, mut i, mut j) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        common += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    2000 * common / (a.len() + b.len()).max(1)
}
