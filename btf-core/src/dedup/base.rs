//! Base: BTF that others continue, indexed once and shared by any number of merges.
//!
//! Problem: a kernel's BTF has 100,000 types, a module's a few hundred, and there are thousands of modules. What is in
//! the base must not be written again, and what a module means must be told from what the base means; but no module may
//! cost a walk over the base.
//!
//! Method: the base is merged with itself once ([`Base::new`]); that gives its keys, its classes, and for each class the
//! types that are really different. A merge that continues it looks up each new key ([`Base::class`]) and then takes
//! from the base what it touches, the *import* ([`import`]):
//! - each class of the base that occurs in a fragment, *whole*, that is with its references;
//! - all other definitions of the labels that occur, as they make homonyms of them;
//! - what whole classes refer to. If it occurs in no fragment it is an *atom*: a node without references.
//!
//! The import becomes fragment 0 of the merge, which goes on as if there were no more of the base.
//!
//! Why an atom needs no references: nothing but types of the base lead on from it, and those are what they are. A
//! reference of a fragment can lead to it only by a forward declaration of its label, and whatever stands behind is the
//! same one type, unless its class has several types in the base. Those are *divided*, and imported whole even if they
//! do not occur, together with all that tells them apart: what differs in the types of a divided class is divided
//! itself or a homonym.
//!
//! Cost: the base once, as any merge of it; each merge what its fragments touch.

use hashbrown::HashTable;

use super::classes::{ClassId, ClassTable, FastMap, FastSet, Worker, local_id};
use super::environment::Limits;
use super::fragment::{Fragment, for_each_type_word, u32_len};
use super::gathered::Gathered;
use super::graph::Graph;
use super::homonyms;
use super::key::{Key, Label};
use super::verbatim::reference_to;
use crate::ids::TypeId;
use crate::shared::halves;
use crate::wire::Info;

/// BTF that is continued, ready for merges that share it.
///
/// Names of the fragments that are merged against it must be numbers of the same strings as its own.
#[derive(Debug)]
pub struct Base {
    content: Fragment,
    graph: Graph,
    /// The class of each key.
    by_key: HashTable<(Key, ClassId)>,
    /// The classes with a label, by label.
    labelled: Vec<(Label, ClassId)>,
    /// For each type the first that equals it, by id minus 1.
    same_as: Vec<TypeId>,
    /// For each class its first type.
    first_types: Vec<TypeId>,
    /// The types of the classes that have several, in order; no two of them are equal.
    divided: FastMap<ClassId, Vec<TypeId>>,
}

impl Base {
    /// Indexes the types of a base, all of them, in the order of their ids. None may be weak.
    #[must_use]
    pub fn new(content: Fragment) -> Self {
        Self::of_part(content, &[])
    }

    /// As [`Base::new`], of types of which some, as `is_cut` tells, have lost references: no key finds those.
    pub(super) fn of_part(content: Fragment, is_cut: &[bool]) -> Self {
        let table = ClassTable::of_few(content.len(), 0);
        let mut worker = Worker::new(&table, None, 0);
        worker.reserve(content.len(), content.words.len());
        worker.add(0, &content);
        let gathered = worker.finish();
        let mut keys = Vec::with_capacity(content.len());
        table.for_each(|key, _, position| keys.push((key, local_id(position) as usize - 1)));
        let graph = Graph::of_base(table, gathered);
        let members = graph.members(0).0;
        let mut is_found = vec![true; graph.len()];
        for (&class, &is_cut) in members.iter().zip(is_cut) {
            is_found[class as usize] &= !is_cut;
        }
        let mut by_key = HashTable::with_capacity(keys.len());
        let keys = keys.into_iter().map(|(key, local)| (key, members[local]));
        for (key, class) in keys.filter(|&(_, class)| is_found[class as usize]) {
            by_key.insert_unique(halves(key)[0], (key, class), |(key, _)| halves(*key)[0]);
        }
        let reload = |_, into: &mut Fragment| into.clone_from(&content);
        let meanings = homonyms::resolve(&graph, Limits::default(), &reload);
        let same_as = (0..u32_len(content.len())).map(|local| {
            let node = meanings.node(&graph, 0, local);
            let first = node.map(|node| local_id(meanings.positions[node as usize]));
            TypeId(first.unwrap_or(local + 1))
        });
        let same_as: Vec<TypeId> = same_as.collect();
        let mut labelled: Vec<(Label, ClassId)> = (0..)
            .zip(&graph.labels)
            .filter(|(_, label)| **label != 0)
            .map(|(class, label)| (*label, class))
            .collect();
        labelled.sort_unstable();
        let mut base = Self {
            by_key,
            labelled,
            first_types: vec![TypeId::VOID; graph.len()],
            divided: FastMap::default(),
            same_as,
            graph,
            content,
        };
        base.divide();
        base
    }

    /// Finds the types of each class.
    fn divide(&mut self) {
        let classes = self.graph.members(0).0;
        for ((local, &class), &same) in (1..).zip(classes).zip(&self.same_as) {
            let first = &mut self.first_types[class as usize];
            if same != TypeId(local) {
                continue;
            }
            if *first == TypeId::VOID {
                *first = same;
            } else {
                let types = self.divided.entry(class).or_insert_with(|| vec![*first]);
                types.push(same);
            }
        }
    }

    /// The number of types, `void` not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.content.len()
    }

    /// Whether there are no types.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// The types as they were given.
    #[must_use]
    pub fn content(&self) -> &Fragment {
        &self.content
    }

    /// The first type that equals `id`, which is `id` itself in a base without duplicates; `void` for what is none.
    #[must_use]
    pub fn first_equal(&self, id: TypeId) -> TypeId {
        let index = (id.0 as usize).wrapping_sub(1);
        self.same_as.get(index).copied().unwrap_or(TypeId::VOID)
    }

    /// The class of this key.
    #[inline]
    pub(super) fn class(&self, key: Key) -> Option<ClassId> {
        let is_it = |&(other, _): &(Key, ClassId)| other == key;
        let (_, class) = self.by_key.find(halves(key)[0], is_it)?;
        Some(*class)
    }

    /// The classes of a label.
    fn of_label(&self, label: Label) -> impl Iterator<Item = ClassId> {
        let first = self.labelled.partition_point(|&(other, _)| other < label);
        let of_label = self.labelled[first..].iter();
        of_label
            .take_while(move |&&(other, _)| other == label && label != 0)
            .map(|&(_, class)| class)
    }

    /// The types of a class, no two of them equal.
    fn types(&self, class: ClassId) -> &[TypeId] {
        self.divided.get(&class).map_or_else(
            || std::slice::from_ref(&self.first_types[class as usize]),
            Vec::as_slice,
        )
    }
}

/// What a merge takes from its base.
#[derive(Debug)]
pub(super) struct Import {
    /// Fragment 0, as a worker that had met its classes first would have gathered it.
    pub(super) gathered: Gathered,
    /// The type of the base that each type of fragment 0 is.
    pub(super) ids: Vec<TypeId>,
    /// One past the greatest class.
    pub(super) class_count: u32,
}

/// A class that is taken.
#[derive(Clone, Copy, Debug)]
struct Taken {
    /// Its number in the base.
    in_base: ClassId,
    /// Its number in the table, or one behind those if no fragment has it.
    class: ClassId,
    is_whole: bool,
}

/// Takes from `base` what the classes that `gathered` brings need; classes that no fragment has are numbered from `next`.
pub(super) fn import(base: &Base, gathered: &[Gathered], next: ClassId) -> Import {
    let mut taking = Taking {
        base,
        places: FastMap::default(),
        labels: FastSet::default(),
        taken: Vec::new(),
        next,
    };
    // What they refer to comes to about as many.
    let of_base = gathered.iter().map(|worker| worker.of_base.len());
    taking.places.reserve(2 * of_base.sum::<usize>());
    for &(class, in_base) in gathered.iter().flat_map(|worker| &worker.of_base) {
        taking.places.insert(in_base, u32_len(taking.taken.len()));
        taking.taken.push(Taken {
            in_base,
            class,
            is_whole: true,
        });
    }
    for &(_, label, _) in gathered.iter().flat_map(|worker| &worker.classes) {
        taking.take_label(label);
    }
    let mut at = 0;
    while let Some(&taken) = taking.taken.get(at) {
        if taken.is_whole {
            taking.take_label(base.graph.labels[taken.in_base as usize]);
            base.graph
                .for_each_target(taken.in_base, |target| taking.take(target));
        }
        at += 1;
    }
    taking.finish()
}

struct Taking<'b> {
    base: &'b Base,
    /// Where in `taken` each is, by its number in the base.
    places: FastMap<ClassId, u32>,
    /// The labels of which all classes are taken; each is asked for once, as all classes may share one.
    labels: FastSet<Label>,
    taken: Vec<Taken>,
    next: ClassId,
}

impl Taking<'_> {
    /// Takes a class and all that share its label.
    fn take(&mut self, in_base: ClassId) {
        if self.places.contains_key(&in_base) {
            return;
        }
        self.take_one(in_base);
        self.take_label(self.base.graph.labels[in_base as usize]);
    }

    fn take_label(&mut self, label: Label) {
        if !self.labels.insert(label) {
            return;
        }
        let base = self.base;
        base.of_label(label).for_each(|class| self.take_one(class));
    }

    fn take_one(&mut self, in_base: ClassId) {
        let place = u32_len(self.taken.len());
        if *self.places.entry(in_base).or_insert(place) == place {
            let class = self.next;
            self.next += 1;
            self.taken.push(Taken {
                in_base,
                class,
                is_whole: self.base.divided.contains_key(&in_base),
            });
        }
    }

    fn finish(self) -> Import {
        let Self {
            base,
            places,
            taken,
            next,
            labels: _,
        } = self;
        let mut gathered = Gathered::default();
        gathered.classes.reserve(taken.len());
        let mut types = Vec::with_capacity(taken.len());
        for (place, taken) in (0..).zip(&taken) {
            gathered.known.push(taken.class);
            let start = u32_len(gathered.words.len());
            let label = base.graph.labels[taken.in_base as usize];
            gathered.classes.push((taken.class, label, start));
            let (kind, record) = base.graph.record(taken.in_base);
            gathered.words.extend_from_slice(record);
            for_each_type_word(kind, record.len(), |at| {
                let target = record[at].checked_sub(1).filter(|_| taken.is_whole);
                let target = target.and_then(|target| places.get(&target));
                let reference = reference_to(target.copied(), &mut gathered.targets);
                gathered.words[start as usize + at] = reference;
            });
            let of_class = base.types(taken.in_base).iter();
            types.extend(of_class.map(|&id| (id, place)));
        }
        types.sort_unstable_by_key(|&(id, _)| id);
        let members: Vec<u32> = types.iter().map(|&(_, place)| place).collect();
        gathered.add_fragment(0, usize::MAX, &members, std::iter::empty());
        Import {
            gathered,
            ids: types.into_iter().map(|(id, _)| id).collect(),
            class_count: next,
        }
    }
}

impl Base {
    /// Makes fragment 0 of a merge: the types `ids`, in order. References to others are `void`.
    pub(super) fn reload(&self, ids: &[TypeId], into: &mut Fragment) {
        into.clear();
        for &id in ids {
            let record = self.content.record(id).unwrap_or(&[0, 0, 0]);
            let start = into.words.len();
            into.push(record);
            let Some(kind) = record.get(1).and_then(|&info| Info(info).kind()) else {
                continue;
            };
            for_each_type_word(kind, record.len(), |at| {
                let target = self.first_equal(TypeId(record[at]));
                let local = ids.binary_search(&target);
                into.words[start + at] = local.map_or(0, |local| u32_len(local) + 1);
            });
        }
    }
}
