//! Makes a [`Side`]: checks, finds what each type means, and lists the items.

use std::hash::Hasher as _;

use btf_core::graph::without_end;
use btf_core::kind::{Kind, Word};
use btf_core::types::{type_refs, word_roles};
use btf_core::{ErrorKind, Info, Result, StrOffset, Type, TypeId};

use super::super::parts::targets;
use super::items::Items;
use super::{Item, Side, Sort, label_of};

/// How far apart two unnamed types on a cycle may differ and be told apart.
const CYCLE_ROUNDS: usize = 16;

/// A side that is being made.
pub(super) struct Maker<'b> {
    pub(super) side: Side<'b>,
    /// The first own id.
    first: u32,
    /// Whether an own type is on the stack and waits for what it refers to.
    is_open: Vec<bool>,
    /// Whether something with a name leads to an own type, by way of types without names.
    is_reached: Vec<bool>,
    stack: Vec<TypeId>,
    /// The own sections and tags.
    remarking: Vec<TypeId>,
    /// How many own types have a name and can be items.
    named: usize,
    /// Whether the meanings of all references of a type were known.
    is_complete: bool,
    is_cyclic: bool,
    /// Whether all ids and names that were met exist and are known.
    pub(super) is_sound: bool,
}

impl<'b> Maker<'b> {
    pub(super) fn new(side: Side<'b>) -> Self {
        let own = side.meanings.len();
        Self {
            first: side.btf.first_id(),
            side,
            is_open: vec![false; own],
            is_reached: vec![false; own],
            stack: Vec::new(),
            remarking: Vec::new(),
            named: 0,
            is_complete: true,
            is_cyclic: false,
            is_sound: true,
        }
    }

    /// Makes the side.
    ///
    /// # Errors
    /// See [`Side::new`].
    pub(super) fn make(mut self) -> Result<Side<'b>> {
        self.find_names();
        self.note_remarks();
        // Nearly all blobs hold nothing but what exists.
        let is_done = self.find_meanings_around(&[]) && self.is_sound && {
            self.find_items();
            self.is_sound
        };
        if !is_done {
            self.check()?;
            self.side.meanings.fill(0);
            self.find_names();
            self.find_meanings();
            self.find_items();
        }
        Ok(self.side)
    }

    /// Notes what sections and tags say of others.
    fn note_remarks(&mut self) {
        for &id in &self.remarking {
            let ty = self.side.ty(id);
            if let Type::Datasec(section) = ty {
                let entries = section.entries().map(|entry| (entry.ty, section.name));
                self.side.sections.extend(entries);
            } else if let Type::DeclTag {
                name,
                target,
                component,
                ..
            } = ty
            {
                self.side.decl_tags.push(id);
                if self.side.has_tags {
                    self.side.tags.push((target, component, name));
                }
            }
        }
        self.side.tags.sort_unstable();
    }

    /// Checks that all ids and names exist.
    fn check(&mut self) -> Result<()> {
        let btf = self.side.btf;
        for (id, record) in btf.records() {
            let info = Info(record.get(1).copied().unwrap_or(0));
            let checked = match info.kind() {
                Some(_) => self.check_record(record),
                None => Err(ErrorKind::UnknownKind(info.kind_number()).into()),
            };
            checked.map_err(|error| error.in_type(id))?;
        }
        Ok(())
    }

    fn check_record(&mut self, record: &[u32]) -> Result<()> {
        let info = Info(record.get(1).copied().unwrap_or(0));
        for (role, &word) in word_roles(info).zip(record) {
            match role {
                Word::Type if word >= self.side.btf.end_id() => {
                    return Err(ErrorKind::TypeIdOutOfRange(TypeId(word)).into());
                }
                Word::Type | Word::Value => {}
                Word::Name => {
                    self.side.hashes.learn(StrOffset(word))?;
                }
            }
        }
        Ok(())
    }

    /// Finds what types with a name mean.
    fn find_names(&mut self) {
        let btf = self.side.btf;
        self.remarking.clear();
        self.named = 0;
        for (index, (id, record)) in btf.records().enumerate() {
            let &[name, info, ..] = record else { continue };
            let kind = Info(info).kind();
            if matches!(kind, Some(Kind::Datasec | Kind::DeclTag) | None) {
                // Nothing else looks at all of their words.
                self.is_sound &= kind.is_some() && self.check_record(record).is_ok();
                self.remarking.push(id);
            }
            if name == 0 {
                continue;
            }
            let hash = self.name_hash(StrOffset(name));
            if let (Some(sort), Some(slot)) =
                (Sort::of_record(record), self.side.meanings.get_mut(index))
            {
                *slot = label_of(self.side.seed, sort, hash);
                self.named += 1;
            }
        }
    }

    /// Finds out what a reference to each type means.
    fn find_meanings(&mut self) {
        if self.find_meanings_around(&[]) {
            return;
        }
        // Some types without names lead to each other without end: they start with their kind as their meaning.
        let endless = self.endless();
        let is_complete = self.find_meanings_around(&endless);
        debug_assert!(is_complete, "nothing else is endless");
        for _ in 0..CYCLE_ROUNDS {
            let next: Vec<_> = endless.iter().map(|&id| (id, self.content(id))).collect();
            for (id, meaning) in next {
                self.set_meaning(id, meaning);
            }
        }
    }

    /// Finds the meanings of types without a name, those of `endless` ones only by their kind; stops with `false` at a cycle.
    fn find_meanings_around(&mut self, endless: &[TypeId]) -> bool {
        let btf = self.side.btf;
        self.is_open.fill(false);
        for &id in endless {
            let kind = self.side.btf.info(id).and_then(Info::kind);
            let mut hasher = self.side.hasher(kind.map_or(0, |kind| kind as u64 + 64));
            hasher.write_u64(0);
            self.set_meaning(id, hasher.finish().max(1));
        }
        for (index, (id, record)) in btf.records().enumerate() {
            if self.side.meanings.get(index) != Some(&0) {
                continue;
            }
            // Most of what a type refers to has a name, or stands before it.
            self.is_complete = true;
            let content = self.content_of::<false>(record);
            if self.is_complete {
                self.set_meaning(id, content);
            } else if !self.find_meaning(id) {
                return false;
            }
        }
        true
    }

    /// The hash of a name, which is known from now on; 0 if it cannot be.
    #[inline]
    pub(super) fn name_hash(&mut self, offset: StrOffset) -> u64 {
        let known = self.side.hashes.hash(offset);
        let hash = known.or_else(|| self.side.hashes.learn(offset).ok());
        self.is_sound &= hash.is_some();
        hash.unwrap_or(0)
    }

    fn set_meaning(&mut self, id: TypeId, meaning: u64) {
        let index = (id.0 - self.side.btf.first_id()) as usize;
        if let Some(slot) = self.side.meanings.get_mut(index) {
            *slot = meaning;
        }
    }

    /// Finds the meaning of a type without a name, after those of what it refers to; `false` at a cycle.
    fn find_meaning(&mut self, root: TypeId) -> bool {
        self.stack.clear();
        self.stack.push(root);
        self.is_cyclic = false;
        while let Some(&top) = self.stack.last() {
            if self.side.meaning(top) == 0 {
                self.set_open(top, true);
                let height = self.stack.len();
                self.is_complete = true;
                let content = self.content(top);
                if self.is_cyclic {
                    return false;
                }
                if !self.is_complete {
                    continue;
                }
                self.stack.truncate(height);
                self.set_open(top, false);
                self.set_meaning(top, content);
            }
            self.stack.pop();
        }
        true
    }

    fn set_open(&mut self, id: TypeId, is_open: bool) {
        let index = (id.0 - self.side.btf.first_id()) as usize;
        if let Some(slot) = self.is_open.get_mut(index) {
            *slot = is_open;
        }
    }

    /// The types without names from which references to such types lead on without end.
    fn endless(&self) -> Vec<TypeId> {
        let side = &self.side;
        let first = side.btf.first_id();
        let is_nameless = |id: TypeId| {
            id.0 >= first && (side.sort(id).is_none() || side.ty(id).name() == StrOffset::EMPTY)
        };
        let index = |id: TypeId| (id.0 - first) as usize;
        let mut edges = Vec::new();
        for (id, record) in side.btf.records().filter(|&(id, _)| is_nameless(id)) {
            let targets = type_refs(record).filter(|&(_, target)| is_nameless(target));
            edges.extend(targets.map(|(_, target)| (index(target), index(id))));
        }
        let goes_on = without_end(edges, side.meanings.len());
        let ids = side.own_ids().zip(goes_on);
        ids.filter_map(|(id, goes_on)| goes_on.then_some(id))
            .collect()
    }

    /// What a reference to `id` means. If that is not known, puts `id` on the stack.
    ///
    /// `IS_ITEM` says that something with a name refers to it.
    #[inline]
    pub(super) fn need<const IS_ITEM: bool>(&mut self, id: u32) -> u64 {
        let index = id.wrapping_sub(self.first) as usize;
        let Some(&meaning) = self.side.meanings.get(index) else {
            self.is_sound &= id < self.first;
            return self.side.meaning(TypeId(id));
        };
        if IS_ITEM {
            if let Some(is_reached) = self.is_reached.get_mut(index) {
                *is_reached = true;
            }
        } else if meaning == 0 {
            self.is_complete = false;
            self.is_cyclic |= self.is_open.get(index) == Some(&true);
            self.stack.push(TypeId(id));
        }
        meaning
    }

    /// Lists the items, once all meanings are known.
    fn find_items(&mut self) {
        let btf = self.side.btf;
        let mut remarked = self.side.remarked().into_iter().peekable();
        let named = self.named;
        let items = btf
            .records()
            .enumerate()
            .filter_map(|(index, (id, record))| {
                let is_remarked = remarked.next_if_eq(&id).is_some();
                let (Some(sort), &[name, info, ..]) = (Sort::of_record(record), record) else {
                    return None;
                };
                // Functions and variables without a name are wrong, but they are there.
                let label = match (name, sort) {
                    (0, Sort::Func | Sort::Var) => self.side.label(sort, StrOffset::EMPTY),
                    (0, _) => return None,
                    _ => self.side.meanings.get(index).copied().unwrap_or(0),
                };
                let remarks = if is_remarked {
                    self.side.remarks(id)
                } else {
                    0
                };
                let is_forward = Info(info).kind() == Some(Kind::Fwd);
                Some(Item {
                    label,
                    content: self.content_of::<true>(record) ^ remarks,
                    id,
                    sort: if is_forward { Sort::Forward } else { sort },
                })
            });
        let items = Items::sorted(items, named);
        self.side.items = items;
        self.reach_from_nameless();
        self.find_nameless();
    }

    /// Marks what something with a name leads to by way of types without names.
    fn reach_from_nameless(&mut self) {
        let btf = self.side.btf;
        let leads_on =
            |record: &[u32]| record.first() == Some(&0) || Sort::of_record(record).is_none();
        let reached = btf.records().zip(&self.is_reached);
        let reached = reached.filter(|&((_, record), &is_reached)| is_reached && leads_on(record));
        self.stack.clear();
        self.stack.extend(reached.map(|((id, _), _)| id));
        while let Some(id) = self.stack.pop() {
            for target in targets(btf.record(id).unwrap_or_default()) {
                let index = target.wrapping_sub(self.first) as usize;
                if let Some(slot) = self.is_reached.get_mut(index)
                    && !std::mem::replace(slot, true)
                    && leads_on(btf.record(TypeId(target)).unwrap_or_default())
                {
                    self.stack.push(TypeId(target));
                }
            }
        }
    }

    /// Lists what has no name and cannot be found by one.
    fn find_nameless(&mut self) {
        let btf = self.side.btf;
        self.side.nameless.clear();
        for ((id, record), &is_reached) in btf.records().zip(&self.is_reached) {
            if is_reached || record.first() != Some(&0) {
                continue;
            }
            let sort = Sort::of_record(record);
            let is_forward = Info(record.get(1).copied().unwrap_or(0)).kind() == Some(Kind::Fwd);
            if let Some(sort @ (Sort::Struct | Sort::Union | Sort::Enum)) = sort
                && !is_forward
            {
                self.side.nameless.push(Item {
                    label: 0,
                    content: self.side.meaning(id),
                    id,
                    sort,
                });
            }
        }
    }
}
