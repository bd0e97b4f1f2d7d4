//! Keeps of BTF what some names need, and tells what a type costs.
//!
//! Kept are the types of the names, all that they lead to, and what belongs to what is kept: its tags, and the sections of its
//! variables, with no other variables. Split BTF stays split, and its base whole.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use btf_core::dedup::FastMap;
use btf_core::overlap::BoundedStrings;
use btf_core::types::{Type, rewrite_refs, type_refs};
use btf_core::{Btf, Builder, Error, ErrorKind, Info, Kind, Result, StrOffset, TypeId};

/// Where a chain of references comes from.
const ROOT: TypeId = TypeId(u32::MAX);

/// The types that are kept, and how each was reached first.
#[derive(Debug)]
pub struct Kept<'a> {
    btf: &'a Btf,
    tags: Arc<Tags>,
    /// For each own type, by index, the type that leads to it on a shortest chain: [`ROOT`] for a root, `void` if it is not kept.
    reached_from: Vec<TypeId>,
}

/// What a type costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The shortest chain from a root to the type, both included.
    pub chain: Vec<TypeId>,
    /// How many types would not be needed without it, itself included.
    pub types: usize,
    /// What they take in bytes, and their strings.
    pub bytes: u64,
}

impl<'a> Kept<'a> {
    /// Finds what `roots` need, which are own types.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`] for a reference to nothing, [`ErrorKind::UnknownKind`] for a type that is needed and whose
    /// references nobody knows.
    pub fn new(btf: &'a Btf, roots: &[TypeId]) -> Result<Self> {
        Self::without(btf, &Arc::new(Tags::new(btf)), roots, TypeId::VOID)
    }

    fn index(&self, id: TypeId) -> Option<usize> {
        let index = id.0.checked_sub(self.btf.first_id())? as usize;
        (index < self.reached_from.len()).then_some(index)
    }

    /// What `roots` need if `cut` and what only it leads to were not there.
    fn without(btf: &'a Btf, tags: &Arc<Tags>, roots: &[TypeId], cut: TypeId) -> Result<Self> {
        let count = (btf.end_id() - btf.first_id()) as usize;
        let mut kept = Self {
            btf,
            tags: Arc::clone(tags),
            reached_from: vec![TypeId::VOID; count],
        };
        let mut open = VecDeque::new();
        for &root in roots {
            kept.reach(root, ROOT, cut, &mut open)?;
        }
        while let Some(id) = open.pop_front() {
            let record = btf.record(id).unwrap_or_default();
            let info = Info(record.get(1).copied().unwrap_or(0));
            let Some(kind) = info.kind() else {
                return Err(Error::new(ErrorKind::UnknownKind(info.kind_number())).in_type(id));
            };
            // A section that was reached through a variable keeps only what is kept anyway.
            let is_whole = kind != Kind::Datasec || kept.from(id) == ROOT;
            for (_, target) in type_refs(record).filter(|_| is_whole) {
                let reached = kept.reach(target, id, cut, &mut open);
                reached.map_err(|error| error.in_type(id))?;
            }
            for &belonging in tags.of(id) {
                kept.reach(belonging, id, cut, &mut open)?;
            }
        }
        Ok(kept)
    }

    fn reach(
        &mut self,
        id: TypeId,
        from: TypeId,
        cut: TypeId,
        open: &mut VecDeque<TypeId>,
    ) -> Result<()> {
        if id.0 >= self.btf.end_id() {
            return Err(ErrorKind::TypeIdOutOfRange(id).into());
        }
        if let Some(index) = self.index(id).filter(|_| id != cut)
            && self.reached_from[index].is_void()
        {
            self.reached_from[index] = from;
            open.push_back(id);
        }
        Ok(())
    }

    fn from(&self, id: TypeId) -> TypeId {
        self.index(id)
            .map_or(TypeId::VOID, |index| self.reached_from[index])
    }

    /// Whether an own type is kept.
    #[must_use]
    pub fn has_own(&self, id: TypeId) -> bool {
        !self.from(id).is_void()
    }

    /// Whether a type is kept; those of the base are.
    #[must_use]
    pub fn has(&self, id: TypeId) -> bool {
        id.0 < self.btf.first_id() || self.has_own(id)
    }

    /// The own types that are kept, in order.
    pub fn ids(&self) -> impl Iterator<Item = TypeId> + '_ {
        let own = (self.btf.first_id()..self.btf.end_id()).map(TypeId);
        own.filter(|&id| self.has(id))
    }

    /// The BTF with nothing but what is kept, in the old order, and the new ids of its own types by index.
    ///
    /// # Errors
    /// [`ErrorKind::StringOutOfRange`] for a name that does not exist; [`ErrorKind::Invalid`] if names overlap out of all
    /// proportion.
    pub fn build(&self) -> Result<(Builder, Vec<TypeId>)> {
        let btf = self.btf;
        let mut ids = vec![TypeId::VOID; self.reached_from.len()];
        for (id, new) in self.ids().zip(btf.first_id()..) {
            if let Some(index) = self.index(id) {
                ids[index] = TypeId(new);
            }
        }
        let new_id = |id: TypeId| self.index(id).map_or(id, |index| ids[index]);
        let mut builder = match btf.base() {
            Some(base) => Builder::with_base(Arc::clone(base)),
            None => Builder::new(),
        };
        let mut strings = BoundedStrings::new(btf);
        let mut names: FastMap<StrOffset, StrOffset> = FastMap::default();
        for id in self.ids() {
            let mut record = self.record(id);
            let new_name = |name: StrOffset| {
                if let Some(&new) = names.get(&name) {
                    return Ok::<_, Error>(new);
                }
                let new = builder.add_string(strings.get(name)?)?;
                names.insert(name, new);
                Ok(new)
            };
            rewrite_refs(&mut record, new_name, |target| Ok(new_id(target)))
                .and_then(|()| builder.push_record(&record))
                .map_err(|error| error.in_type(id))?;
        }
        Ok((builder, ids))
    }

    /// A record, a section's without the variables that are not kept.
    fn record(&self, id: TypeId) -> Vec<u32> {
        let record = self.btf.record(id).unwrap_or_default();
        let Some((&[name, info, size], entries)) = record.split_first_chunk::<3>() else {
            return Vec::new();
        };
        let info = Info(info);
        if info.kind() != Some(Kind::Datasec) {
            return record.to_vec();
        }
        let entries = entries.as_chunks::<3>().0.iter();
        let entries: Vec<_> = entries.filter(|entry| self.has(TypeId(entry[0]))).collect();
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let mut kept = vec![
            name,
            Info::new(Kind::Datasec, count, info.kind_flag()).0,
            size,
        ];
        kept.extend(entries.into_iter().flatten());
        kept
    }

    /// Why a type is kept, and what that costs; `None` if it is not kept. Each call walks over all that is kept.
    ///
    /// # Errors
    /// Those of [`Kept::new`] and [`Kept::size_bytes`].
    pub fn cost(&self, roots: &[TypeId], id: TypeId) -> Result<Option<Cost>> {
        if !self.has_own(id) {
            return Ok(None);
        }
        let mut chain = vec![id];
        let mut at = id;
        while self.from(at) != ROOT {
            at = self.from(at);
            chain.push(at);
        }
        chain.reverse();
        let rest = Self::without(self.btf, &self.tags, roots, id)?;
        Ok(Some(Cost {
            chain,
            types: self.ids().count() - rest.ids().count(),
            bytes: self.size_bytes()? - rest.size_bytes()?,
        }))
    }

    /// The size of all kept types and of their own strings, in bytes.
    ///
    /// # Errors
    /// [`ErrorKind::StringOutOfRange`] for a name that does not exist; [`ErrorKind::Invalid`] if names overlap out of all
    /// proportion.
    pub fn size_bytes(&self) -> Result<u64> {
        let mut strings = BoundedStrings::new(self.btf);
        let mut is_counted: HashSet<StrOffset> = HashSet::new();
        let mut size = 0;
        for id in self.ids() {
            let record = self.record(id);
            size += 4 * record.len() as u64;
            for (_, name) in btf_core::types::name_refs(&record) {
                let is_own = name.0 >= self.btf.first_string() && name.0 != 0;
                if is_own && is_counted.insert(name) {
                    let string = strings.get(name).map_err(|error| error.in_type(id))?;
                    size += string.len() as u64 + 1;
                }
            }
        }
        Ok(size)
    }
}

/// What belongs to types: tags to what they tag, sections to their variables.
#[derive(Debug)]
struct Tags(Vec<(TypeId, TypeId)>, Vec<TypeId>);

impl Tags {
    fn new(btf: &Btf) -> Self {
        let mut pairs = Vec::new();
        for (id, ty) in btf.types() {
            if let Type::DeclTag { target, .. } = ty {
                pairs.push((target, id));
            } else if let Type::Datasec(section) = ty {
                pairs.extend(section.entries().map(|entry| (entry.ty, id)));
            }
        }
        pairs.sort_unstable();
        let belonging = pairs.iter().map(|&(_, id)| id).collect();
        Self(pairs, belonging)
    }

    /// What belongs to a type.
    fn of(&self, id: TypeId) -> &[TypeId] {
        let first = self.0.partition_point(|&(owner, _)| owner < id);
        let end = self.0.partition_point(|&(owner, _)| owner <= id);
        self.1.get(first..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use btf_core::builder::MemberSpec;
    use btf_core::types::VarSecinfo;
    use btf_core::wire::int;

    /// `struct a { struct b *b; int i; }`, `struct b { long l; }`, `struct c { struct b b; }`, tags on b and c.
    fn example() -> Btf {
        let mut builder = Builder::new();
        let int = builder.int(b"int", 4, int::SIGNED).unwrap();
        let long = builder.int(b"long int", 8, int::SIGNED).unwrap();
        let member = |name, ty| MemberSpec {
            name,
            ty,
            ..MemberSpec::default()
        };
        let inner = [member(b"l", long)];
        let inner = builder.composite(Kind::Struct, b"b", 8, &inner).unwrap();
        let ptr = builder.ptr(inner).unwrap();
        let outer = [member(b"b", ptr), member(b"i", int)];
        builder.composite(Kind::Struct, b"a", 16, &outer).unwrap();
        let holder = [member(b"b", inner)];
        let holder = builder.composite(Kind::Struct, b"c", 8, &holder).unwrap();
        builder.decl_tag(b"tag_of_b", inner, -1, false).unwrap();
        builder.decl_tag(b"tag_of_c", holder, -1, false).unwrap();
        let x = builder.var(b"x", int, 1).unwrap();
        let y = builder.var(b"y", holder, 1).unwrap();
        let entry = |ty, offset, size| VarSecinfo { ty, offset, size };
        let entries = [entry(x, 0, 4), entry(y, 8, 8)];
        builder.datasec(b".data", 16, &entries).unwrap();
        builder.finish().unwrap()
    }

    fn names(btf: &Btf) -> Vec<String> {
        let ids = (1..btf.end_id()).map(TypeId);
        ids.map(|id| String::from_utf8_lossy(btf.name(id).unwrap()).into_owned())
            .collect()
    }

    #[test]
    fn what_is_needed_stays_with_its_tags() {
        let btf = example();
        let kept = Kept::new(&btf, &[TypeId(5)]).unwrap();
        let (builder, ids) = kept.build().unwrap();
        let pruned = builder.finish().unwrap();
        assert_eq!(
            names(&pruned),
            ["int", "long int", "b", "", "a", "tag_of_b"]
        );
        assert_eq!(ids[5], TypeId::VOID);
        assert!(pruned.string_bytes().len() < btf.string_bytes().len());
        let again = Kept::new(&pruned, &[TypeId(5)]).unwrap();
        assert_eq!(
            again.build().unwrap().0.finish().unwrap().words(),
            pruned.words()
        );
    }

    #[test]
    fn a_section_keeps_the_variables_that_are_kept() {
        let btf = example();
        let kept = Kept::new(&btf, &[TypeId(9)]).unwrap();
        let pruned = kept.build().unwrap().0.finish().unwrap();
        assert_eq!(names(&pruned), ["int", "x", ".data"]);
        let section = [TypeId(11)];
        let whole = Kept::new(&btf, &section).unwrap();
        assert_eq!(whole.ids().count(), 9);
    }

    #[test]
    fn a_type_is_blamed_for_what_only_it_needs() {
        let btf = example();
        let roots = [TypeId(5)];
        let kept = Kept::new(&btf, &roots).unwrap();
        let cost = kept.cost(&roots, TypeId(3)).unwrap().unwrap();
        assert_eq!(cost.chain, [TypeId(5), TypeId(4), TypeId(3)]);
        // b, long and the tag.
        assert_eq!(cost.types, 3);
        let strings = b"b\0l\0long int\0tag_of_b\0".len() as u64 - 2;
        assert_eq!(cost.bytes, 4 * (6 + 4 + 4) + strings);
        assert_eq!(kept.cost(&roots, TypeId(6)).unwrap(), None);
    }
}
