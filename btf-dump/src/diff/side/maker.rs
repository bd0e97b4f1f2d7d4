//! Makes a [`Side`]: checks, finds what each type means, and lists the items.

use std::hash::Hasher as _;

use btf_core::dedup::MulHasher;
use btf_core::graph::without_end;
use btf_core::kind::{Kind, Word};
use btf_core::types::{type_refs, word_roles};
use btf_core::{ErrorKind, Info, Result, StrOffset, Type, TypeId};

use super::super::parts::targets;
use super::{Item, Side, Sort, label_of, sort_of, sort_of_record};

/// How far apart two unnamed types on a cycle may differ and be told apart.
const CYCLE_ROUNDS: usize = 16;

/// Spreads the places of members over all bits: any odd number does that has many of them.
const PLACE_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Sorts items by label and id, in place. Labels are hashes: their first bits tell them into heaps of one to six.
fn sort_by_label(items: &mut [Item]) {
    const BITS: u32 = 14;
    let key = |item: &Item| (item.label, item.id);
    if items.len() < 1 << (BITS - 3) {
        return items.sort_unstable_by_key(key);
    }
    let heap = |item: &Item| usize::try_from(item.label >> (u64::BITS - BITS)).unwrap_or(0);
    let mut ends = vec![0_usize; 1 << BITS];
    for item in &*items {
        ends[heap(item)] += 1;
    }
    let mut sum = 0;
    let mut nexts: Vec<_> = ends
        .iter_mut()
        .map(|end| {
            let start = sum;
            sum += *end;
            *end = sum;
            start
        })
        .collect();
    let mut start = 0;
    for (index, &end) in ends.iter().enumerate() {
        // What lies in the room of this heap goes where it belongs, until all that is left belongs here.
        while nexts[index] < end {
            let place = nexts[index];
            let to = heap(&items[place]);
            items.swap(place, nexts[to]);
            nexts[to] += 1;
        }
        items[start..end].sort_unstable_by_key(key);
        start = end;
    }
}

/// A side that is being made.
pub(super) struct Maker<'b> {
    side: Side<'b>,
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
    is_sound: bool,
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
        // Nearly all blobs hold nothing but what exists, and names that are strings of their own.
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
                && self.side.has_tags
            {
                self.side.tags.push((target, component, name));
            }
        }
        self.side.tags.sort_unstable();
    }

    /// Checks that all ids and names exist, and learns the names that are ends of others.
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
                Word::Name => self.learn(word)?,
            }
        }
        Ok(())
    }

    /// Sees to it that a name is known.
    fn learn(&mut self, offset: u32) -> Result<()> {
        let side = &mut self.side;
        let offset = StrOffset(offset);
        match &side.base {
            Some(_) if offset.0 < side.hashes.first() => {
                if side.known_hash(offset).is_none() {
                    let name = side.btf.string(offset)?;
                    let hash = side.hashes.hash_inside(name)?;
                    side.foreign.insert(offset.0, (hash, name));
                }
                Ok(())
            }
            _ => side.hashes.learn(offset.0),
        }
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
                (sort_of_record(record), self.side.meanings.get_mut(index))
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

    /// The hash of a name; 0 if it is not known.
    #[inline]
    fn name_hash(&mut self, offset: StrOffset) -> u64 {
        let hash = self.side.known_hash(offset);
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
            let ty = side.ty(id);
            id.0 >= first && (sort_of(ty).is_none() || ty.name() == StrOffset::EMPTY)
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
    fn need<const IS_ITEM: bool>(&mut self, id: u32) -> u64 {
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

    /// The hash of what a type says.
    fn content(&mut self, id: TypeId) -> u64 {
        let btf = self.side.btf;
        self.content_of::<false>(btf.record(id).unwrap_or_default())
    }

    fn content_of<const IS_ITEM: bool>(&mut self, record: &[u32]) -> u64 {
        let Some((&[name, info, third], rest)) = record.split_first_chunk::<3>() else {
            return 1;
        };
        let info = Info(info);
        let Some(kind) = info.kind() else { return 1 };
        let mut hasher = self.side.hasher(kind as u64 + 16);
        match kind {
            Kind::Struct | Kind::Union => {
                hasher.write_u64(third.into());
                self.put_members::<IS_ITEM>(info.kind_flag(), rest, &mut hasher);
            }
            Kind::Ptr | Kind::Typedef | Kind::Volatile | Kind::Const | Kind::Restrict => {
                hasher.write_u64(self.need::<IS_ITEM>(third));
            }
            Kind::Func | Kind::Var => {
                let linkage = rest.first().copied().unwrap_or_else(|| info.vlen());
                hasher.write_u64(linkage.into());
                hasher.write_u64(self.need::<IS_ITEM>(third));
            }
            Kind::FuncProto => {
                hasher.write_u64(self.need::<IS_ITEM>(third));
                for &[name, ty] in rest.as_chunks::<2>().0 {
                    let name = self.name_hash(StrOffset(name));
                    hasher.write_u64(name);
                    hasher.write_u64(self.need::<IS_ITEM>(ty));
                }
            }
            Kind::Array => {
                if let &[element, index, count] = rest {
                    self.is_sound &= index < self.side.btf.end_id();
                    hasher.write_u64(count.into());
                    hasher.write_u64(self.need::<IS_ITEM>(element));
                }
            }
            Kind::TypeTag if !self.side.has_tags => return self.need::<IS_ITEM>(third),
            Kind::TypeTag => {
                hasher.write_u64(self.name_hash(StrOffset(name)));
                hasher.write_u64(self.need::<IS_ITEM>(third));
            }
            Kind::Fwd => hasher.write_u64(info.kind_flag().into()),
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => {
                return self.plain_content(Type::from_record(record), hasher);
            }
            // Nothing refers to them but tags, which are no items.
            Kind::Datasec | Kind::DeclTag => {}
        }
        hasher.finish().max(1)
    }

    fn put_members<const IS_ITEM: bool>(
        &mut self,
        kind_flag: bool,
        members: &[u32],
        hasher: &mut MulHasher,
    ) {
        for &[name, ty, offset] in members.as_chunks::<3>().0 {
            let place = if kind_flag {
                u64::from(offset >> 24) << 32 | u64::from(offset & 0x00ff_ffff)
            } else {
                offset.into()
            };
            let name = self.name_hash(StrOffset(name));
            // Names are hashes already, so places cannot make two of them alike.
            hasher.write_u64(name.wrapping_add(place.wrapping_mul(PLACE_FACTOR)));
            hasher.write_u64(self.need::<IS_ITEM>(ty));
        }
    }

    /// The hash of a type that refers to no other.
    fn plain_content(&mut self, ty: Type<'_>, mut hasher: MulHasher) -> u64 {
        if let Type::Int(int) = ty {
            for word in [int.size, int.encoding, int.offset_bits, int.bits] {
                hasher.write_u64(word.into());
            }
        } else if let Type::Enum(values) | Type::Enum64(values) = ty {
            // Of how many bits the values are is a matter of encoding.
            self.side.knows_signs |= values.is_signed || matches!(ty, Type::Enum64(_));
            hasher = self.side.hasher(Sort::Enum as u64 + 48);
            hasher.write_u64(values.size.into());
            for enumerator in values.enumerators() {
                let name = self.name_hash(enumerator.name);
                hasher.write_u64(name);
                hasher.write_u64(enumerator.value);
            }
        } else if let Type::Float { size, .. } = ty {
            hasher.write_u64(size.into());
        }
        hasher.finish().max(1)
    }

    /// Lists the items, once all meanings are known.
    fn find_items(&mut self) {
        let btf = self.side.btf;
        let mut remarked = self.side.remarked().into_iter().peekable();
        let mut items = Vec::with_capacity(self.named);
        for (index, (id, record)) in btf.records().enumerate() {
            let is_remarked = remarked.next_if_eq(&id).is_some();
            let (Some(sort), &[name, info, ..]) = (sort_of_record(record), record) else {
                continue;
            };
            // Functions and variables without a name are wrong, but they are there.
            let label = match (name, sort) {
                (0, Sort::Func | Sort::Var) => self.side.label(sort, StrOffset::EMPTY),
                (0, _) => continue,
                _ => self.side.meanings.get(index).copied().unwrap_or(0),
            };
            let remarks = if is_remarked {
                self.side.remarks(id)
            } else {
                0
            };
            let is_forward = Info(info).kind() == Some(Kind::Fwd);
            items.push(Item {
                label,
                content: self.content_of::<true>(record) ^ remarks,
                id,
                sort: if is_forward { Sort::Forward } else { sort },
            });
        }
        sort_by_label(&mut items);
        self.side.items = items;
        self.reach_from_nameless();
        self.find_nameless();
    }

    /// Marks what something with a name leads to by way of types without names.
    fn reach_from_nameless(&mut self) {
        let btf = self.side.btf;
        let leads_on =
            |record: &[u32]| record.first() == Some(&0) || sort_of_record(record).is_none();
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
            let sort = sort_of_record(record);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_sorted_by_label() {
        // Many items, so that they are told into heaps; every third label is there twice or more.
        let items = |count: u32| {
            let label = |id: u32| u64::from(id / 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let ids = (1..=count).rev();
            let items = ids.map(|id| Item {
                label: label(id),
                content: 0,
                id: TypeId(id),
                sort: Sort::Struct,
            });
            items.collect::<Vec<_>>()
        };
        for count in [0, 1, 100, 10_000] {
            let mut items = items(count);
            let key = |item: &Item| (item.label, item.id);
            let mut expect: Vec<_> = items.iter().map(key).collect();
            expect.sort_unstable();
            sort_by_label(&mut items);
            assert!(items.iter().map(key).eq(expect), "{count}");
        }
    }

    #[test]
    fn sorts_need_no_decoding() {
        for kind in Kind::ALL {
            for flag in [false, true] {
                let info = Info::new(kind, 0, flag);
                let mut record = vec![1; kind.record_words(0)];
                record[1] = info.0;
                assert_eq!(
                    sort_of_record(&record),
                    sort_of(Type::from_record(&record)),
                    "{kind}"
                );
            }
        }
    }
}
