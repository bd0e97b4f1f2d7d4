//! Makes a [`Side`]: checks, finds what each type means, and lists the items.

use std::hash::Hasher as _;

use btf_core::dedup::MulHasher;
use btf_core::graph::without_end;
use btf_core::kind::{Kind, Word};
use btf_core::types::{Composite, Enumeration, FuncProto, Int, type_refs};
use btf_core::{Error, ErrorKind, Info, Result, StrOffset, Type, TypeId};

use super::{Item, Side, Sort, plain_value, sort_of, sort_of_record};

/// How far apart two unnamed types on a cycle may differ and be told apart.
const CYCLE_ROUNDS: usize = 16;

/// Sorts items by label and id. Labels are hashes: their first bits tell them into heaps of one or two.
fn by_label(items: &[Item]) -> Vec<Item> {
    const BITS: u32 = 14;
    if items.len() < 1 << (BITS - 3) {
        let mut sorted = items.to_vec();
        sorted.sort_unstable_by_key(|item| (item.label, item.id));
        return sorted;
    }
    let heap = |item: &Item| usize::try_from(item.label >> (u64::BITS - BITS)).unwrap_or(0);
    let mut ends = vec![0_usize; 1 << BITS];
    for item in items {
        ends[heap(item)] += 1;
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let mut sorted = items.to_vec();
    for item in items {
        let end = &mut ends[heap(item)];
        *end -= 1;
        sorted[*end] = *item;
    }
    // What is left of `ends` is where each heap starts.
    let starts = ends;
    for (index, &start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(items.len());
        sorted[start..end].sort_unstable_by_key(|item| (item.label, item.id));
    }
    sorted
}

/// A side that is being made.
pub(super) struct Maker<'b> {
    side: Side<'b>,
    /// Whether an own type is on the stack and waits for what it refers to.
    is_open: Vec<bool>,
    /// Whether something with a name leads to an own type, by way of types without names.
    is_reached: Vec<bool>,
    stack: Vec<TypeId>,
    /// Whether the meanings of all references of a type were known.
    is_complete: bool,
    is_cyclic: bool,
}

impl<'b> Maker<'b> {
    pub(super) fn new(side: Side<'b>) -> Self {
        let own = side.meanings.len();
        Self {
            side,
            is_open: vec![false; own],
            is_reached: vec![false; own],
            stack: Vec::new(),
            is_complete: true,
            is_cyclic: false,
        }
    }

    pub(super) fn into_side(self) -> Side<'b> {
        self.side
    }

    /// Checks that all ids and names exist, and notes what sections and tags say of others.
    pub(super) fn check(&mut self, wants_tags: bool) -> Result<()> {
        let btf = self.side.btf;
        for (id, record) in btf.records() {
            let info = Info(record.get(1).copied().unwrap_or(0));
            let Some(kind) = info.kind() else {
                let kind = ErrorKind::UnknownKind(info.kind_number());
                return Err(Error::new(kind).in_type(id));
            };
            let checked = self.check_record(kind, record);
            checked.map_err(|error| error.in_type(id))?;
            if !matches!(kind, Kind::Datasec | Kind::DeclTag) {
                continue;
            }
            let ty = Type::from_record(record);
            if let Type::Datasec(section) = ty {
                let entries = section.entries().map(|entry| (entry.ty, section.name));
                self.side.sections.extend(entries);
            } else if let Type::DeclTag {
                name,
                target,
                component,
                ..
            } = ty
                && wants_tags
            {
                self.side.tags.push((target, component, name));
            }
        }
        self.side.tags.sort_unstable();
        Ok(())
    }

    #[inline]
    fn check_record(&mut self, kind: Kind, record: &[u32]) -> Result<()> {
        let info = kind.info();
        let (header, rest) = record.split_at_checked(3).unwrap_or_default();
        if let &[name, _, third] = header {
            self.learn(name)?;
            self.check_word(
                if kind.third_is_type() {
                    Word::Type
                } else {
                    Word::Value
                },
                third,
            )?;
        }
        let (trailer, elements) = rest
            .split_at_checked(info.trailer.len())
            .unwrap_or_default();
        for (&word, &role) in trailer.iter().zip(info.trailer) {
            self.check_word(role, word)?;
        }
        match info.element.len() {
            2 => self.check_elements::<2>(info.element, elements),
            3 => self.check_elements::<3>(info.element, elements),
            _ => Ok(()),
        }
    }

    /// Checks elements of `N` words each.
    #[inline]
    fn check_elements<const N: usize>(&mut self, roles: &[Word], elements: &[u32]) -> Result<()> {
        let Some(roles) = roles.first_chunk::<N>() else {
            return Ok(());
        };
        let (elements, _) = elements.as_chunks::<N>();
        for element in elements {
            for (&word, &role) in element.iter().zip(roles) {
                self.check_word(role, word)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn check_word(&mut self, role: Word, word: u32) -> Result<()> {
        match role {
            Word::Type if word >= self.side.btf.end_id() => {
                Err(ErrorKind::TypeIdOutOfRange(TypeId(word)).into())
            }
            Word::Type | Word::Value => Ok(()),
            Word::Name => self.learn(word),
        }
    }

    /// Sees to it that a name is known.
    #[inline]
    fn learn(&mut self, offset: u32) -> Result<()> {
        let side = &mut self.side;
        let offset = StrOffset(offset);
        match &side.base {
            Some(_) if offset.0 < side.hashes.first() => {
                if side.find_name(offset).is_none() {
                    let name = side.btf.string(offset)?;
                    let hash = side.hashes.hash_inside(name)?;
                    side.foreign.insert(offset.0, (hash, name));
                }
                Ok(())
            }
            _ => side.hashes.learn(offset.0),
        }
    }

    /// Finds out what a reference to each type means.
    pub(super) fn find_meanings(&mut self) {
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

    /// Finds all meanings, those of `endless` types only by their kind; stops with `false` at a cycle.
    fn find_meanings_around(&mut self, endless: &[TypeId]) -> bool {
        let ids = self.side.own_ids();
        let btf = self.side.btf;
        for (id, record) in btf.records() {
            if record.first() == Some(&0) {
                // No name.
                self.set_meaning(id, 0);
                continue;
            }
            let meaning = match (record, sort_of_record(record)) {
                (&[name, ..], Some(sort)) => self.side.label(sort, StrOffset(name)),
                _ => 0,
            };
            self.set_meaning(id, meaning);
        }
        for &id in endless {
            let kind = self.side.btf.info(id).and_then(Info::kind);
            let mut hasher = self.side.hasher(kind.map_or(0, |kind| kind as u64 + 64));
            hasher.write_u64(0);
            self.set_meaning(id, hasher.finish().max(1));
        }
        self.is_open.fill(false);
        for id in ids {
            if self.side.meaning(id) == 0 && !self.find_meaning(id) {
                return false;
            }
        }
        true
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
    #[inline]
    fn need(&mut self, id: TypeId) -> u64 {
        let meaning = self.side.meaning(id);
        if meaning == 0 {
            self.is_complete = false;
            let index = (id.0 - self.side.btf.first_id()) as usize;
            self.is_cyclic |= self.is_open.get(index) == Some(&true);
            self.stack.push(id);
        }
        meaning
    }

    /// The hash of what a type says.
    fn content(&mut self, id: TypeId) -> u64 {
        self.content_of(self.side.ty(id))
    }

    fn content_of(&mut self, ty: Type<'_>) -> u64 {
        if let Type::TypeTag { target, .. } = ty {
            return self.need(target);
        }
        let mut hasher = self
            .side
            .hasher(ty.kind().map_or(0, |kind| kind as u64 + 16));
        match ty {
            Type::Int(Int {
                size,
                encoding,
                offset_bits,
                bits,
                ..
            }) => {
                for word in [size, encoding, offset_bits, bits] {
                    hasher.write_u64(word.into());
                }
            }
            Type::Float { size, .. } => hasher.write_u64(size.into()),
            Type::Array { element, count, .. } => {
                hasher.write_u64(count.into());
                hasher.write_u64(self.need(element));
            }
            Type::Struct(composite) | Type::Union(composite) => {
                self.put_members(composite, &mut hasher);
            }
            Type::Enum(values) | Type::Enum64(values) => return self.enumeration(values),
            Type::Ptr { target }
            | Type::Typedef { target, .. }
            | Type::Volatile { target }
            | Type::Const { target }
            | Type::Restrict { target } => hasher.write_u64(self.need(target)),
            Type::Func {
                proto: target,
                linkage,
                ..
            }
            | Type::Var {
                target, linkage, ..
            } => {
                hasher.write_u64(linkage.into());
                hasher.write_u64(self.need(target));
            }
            Type::FuncProto(proto) => self.put_params(proto, &mut hasher),
            Type::Fwd { is_union, .. } => hasher.write_u64(is_union.into()),
            // Nothing refers to them but tags, which are no items.
            Type::Void
            | Type::Datasec(_)
            | Type::DeclTag { .. }
            | Type::TypeTag { .. }
            | Type::Unknown { .. } => {}
        }
        hasher.finish().max(1)
    }

    fn put_members(&mut self, composite: Composite<'_>, hasher: &mut MulHasher) {
        hasher.write_u64(composite.size.into());
        for member in composite.members() {
            hasher.write_u64(self.side.name_hash(member.name));
            hasher.write_u64(u64::from(member.bitfield_size) << 32 | u64::from(member.bit_offset));
            hasher.write_u64(self.need(member.ty));
        }
    }

    fn put_params(&mut self, proto: FuncProto<'_>, hasher: &mut MulHasher) {
        hasher.write_u64(self.need(proto.result));
        for param in proto.params() {
            hasher.write_u64(self.side.name_hash(param.name));
            hasher.write_u64(self.need(param.ty));
        }
    }

    fn enumeration(&self, values: Enumeration<'_>) -> u64 {
        let mut hasher = self.side.hasher(Sort::Enum as u64 + 48);
        hasher.write_u64(values.size.into());
        for enumerator in values.enumerators() {
            hasher.write_u64(self.side.name_hash(enumerator.name));
            hasher.write_u64(plain_value(enumerator.value, values.size));
        }
        hasher.finish().max(1)
    }

    /// Lists the items, once all meanings are known.
    pub(super) fn find_items(&mut self) {
        let (btf, first) = (self.side.btf, self.side.btf.first_id());
        self.stack.clear();
        for (id, record) in btf.records() {
            let kind = record.get(1).and_then(|&info| Info(info).kind());
            if kind.is_some_and(Self::has_no_name) {
                continue;
            }
            let ty = Type::from_record(record);
            let Some(sort) = sort_of(ty) else { continue };
            // Functions and variables without a name are wrong, but they are there.
            let has_name = ty.name() != StrOffset::EMPTY || matches!(sort, Sort::Func | Sort::Var);
            if !has_name {
                continue;
            }
            let label = self.side.label(sort, ty.name());
            let content = self.content_of(ty) ^ self.side.remarks(id);
            let is_forward = matches!(ty, Type::Fwd { .. });
            let sort = if is_forward { Sort::Forward } else { sort };
            self.side.items.push(Item {
                label,
                content,
                id,
                sort,
            });
            for (_, target) in type_refs(record) {
                self.reach(target, first);
            }
        }
        while let Some(id) = self.stack.pop() {
            for (_, target) in type_refs(btf.record(id).unwrap_or_default()) {
                self.reach(target, first);
            }
        }
        self.side.items = by_label(&self.side.items);
        for ((id, record), &is_reached) in btf.records().zip(&self.is_reached) {
            if is_reached || record.first() != Some(&0) {
                continue;
            }
            let ty = Type::from_record(record);
            let is_item = matches!(
                ty,
                Type::Struct(_) | Type::Union(_) | Type::Enum(_) | Type::Enum64(_)
            );
            if let (Some(sort), true) = (sort_of(ty), is_item) {
                let content = self.side.meaning(id);
                self.side.nameless.push(Item {
                    label: 0,
                    content,
                    id,
                    sort,
                });
            }
        }
    }

    /// Whether types of a kind never have names, or are no items.
    const fn has_no_name(kind: Kind) -> bool {
        matches!(
            kind,
            Kind::Ptr
                | Kind::Array
                | Kind::Const
                | Kind::Volatile
                | Kind::FuncProto
                | Kind::DeclTag
        )
    }

    /// Notes that something with a name leads to a type.
    fn reach(&mut self, id: TypeId, first: u32) {
        let Some(index) = id.0.checked_sub(first) else {
            return;
        };
        if let Some(slot) = self.is_reached.get_mut(index as usize)
            && !std::mem::replace(slot, true)
        {
            let record = self.side.btf.record(id).unwrap_or_default();
            if record.first() == Some(&0) || sort_of_record(record).is_none() {
                self.stack.push(id);
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
            let items = items(count);
            let key = |item: &Item| (item.label, item.id);
            let mut expect: Vec<_> = items.iter().map(key).collect();
            expect.sort_unstable();
            assert!(by_label(&items).iter().map(key).eq(expect), "{count}");
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
