//! Groups of inputs that make one fragment each.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use btf_core::dedup::{Fragment, Name, Verbatim};
use btf_core::types::type_refs;
use btf_core::{Btf, Error, ErrorKind, Kind, Result, TypeId};

use super::names::{LocalNames, Names, Reading};
use super::{canonical, kind_of};

/// One input that stands alone, or all inputs that continue the same BTF.
#[derive(Debug, Default)]
pub(super) struct Group<'i> {
    /// The BTF whose types are in the fragment, weak ones last.
    parts: Vec<Part<'i>>,
    /// Whether names, indices and qualifiers get one spelling.
    is_canonical: bool,
}

/// The own types of one BTF.
#[derive(Debug)]
struct Part<'i> {
    btf: &'i Btf,
    /// Which input it is, if it is one.
    input: Option<usize>,
    /// The local id of its first type.
    first: u32,
}

/// Groups inputs, in the order in which each group's first input stands.
pub(super) fn group(inputs: &[Arc<Btf>], is_canonical: bool) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut by_root: HashMap<*const Btf, usize> = HashMap::new();
    for (index, input) in inputs.iter().enumerate() {
        let root = input.chain().last().map_or(&**input, |root| root);
        let next = groups.len();
        let at = *by_root.entry(std::ptr::from_ref(root)).or_insert(next);
        if at == next {
            groups.push(Group {
                is_canonical,
                ..Group::default()
            });
        }
        groups[at].push(input, Some(index));
    }
    for group in &mut groups {
        group.complete();
    }
    groups
}

impl<'i> Group<'i> {
    /// All that BTF holds, in the order of ids.
    pub(super) fn of_base(btf: &'i Btf) -> Self {
        let mut chain: Vec<_> = btf.chain().collect();
        chain.reverse();
        let mut group = Self::default();
        for (index, btf) in chain.into_iter().enumerate() {
            group.push(btf, Some(index));
        }
        group
    }

    /// One input that stands alone.
    pub(super) fn alone(btf: &'i Btf, is_canonical: bool) -> Self {
        let mut group = Self {
            is_canonical,
            ..Self::default()
        };
        group.push(btf, Some(0));
        group
    }

    fn push(&mut self, btf: &'i Btf, input: Option<usize>) {
        let first = match self.parts.last() {
            Some(last) => last.end(),
            None => 1,
        };
        self.parts.push(Part { btf, input, first });
    }

    /// Adds what the inputs continue, unless it is an input.
    fn complete(&mut self) {
        let inputs: Vec<_> = self.parts.iter().map(|part| part.btf).collect();
        for base in inputs.into_iter().flat_map(|btf| btf.chain().skip(1)) {
            if self.first_of(base).is_none() {
                self.push(base, None);
            }
        }
    }

    /// The local id of the first type of a BTF; of one that is there twice the first counts.
    fn first_of(&self, btf: &Btf) -> Option<u32> {
        let part = self.parts.iter().find(|part| std::ptr::eq(part.btf, btf));
        part.map(|part| part.first)
    }

    fn weak_parts(&self) -> impl Iterator<Item = &Part<'i>> {
        self.parts.iter().filter(|part| part.input.is_none())
    }

    /// Whether there are types that are written only if they are needed.
    pub(super) fn has_weak(&self) -> bool {
        self.weak_parts().next().is_some()
    }

    /// The inputs with the local ids of their types.
    pub(super) fn inputs(&self) -> impl Iterator<Item = (usize, Range<u32>)> {
        let parts = self.parts.iter();
        parts.filter_map(|part| Some((part.input?, part.first..part.end())))
    }

    /// The input that the part at this index is, or else the first that needs it.
    pub(super) fn input_of(&self, part: usize) -> Option<usize> {
        let part = self.parts.get(part).and_then(|part| part.input);
        part.or_else(|| self.parts.first().and_then(|part| part.input))
    }

    /// Calls `visit` with each weak type of this kind and the type that it refers to; ids are local.
    pub(super) fn for_each_weak(&self, wanted: Kind, mut visit: impl FnMut(TypeId, TypeId)) {
        for part in self.weak_parts() {
            let locals = self.locals(part.btf);
            for ((_, record), local) in part.btf.records().zip(part.first..) {
                let target = type_refs(record).next();
                if let Some((_, target)) = target.filter(|_| kind_of(record) == Some(wanted))
                    && let Ok(target) = locals.of(target)
                {
                    visit(TypeId(local), target);
                }
            }
        }
    }

    /// The local ids of the types of a BTF and what it continues.
    fn locals(&self, btf: &Btf) -> Locals {
        let firsts = btf
            .chain()
            .map(|part| (part.first_id(), self.first_of(part).unwrap_or(0)));
        Locals {
            firsts: firsts.collect(),
            end: btf.end_id(),
        }
    }

    /// The types as they stand, if that is what the fragment shall hold.
    pub(super) fn verbatim<'n>(&self, names: &'n mut Reading<'_, '_, 'i>) -> Option<Verbatim<'n>>
    where
        'i: 'n,
    {
        let [Part { btf, .. }] = self.parts[..] else {
            return None;
        };
        if self.is_canonical || btf.base().is_some() {
            return None;
        }
        names.begin(btf);
        Some(Verbatim {
            words: btf.words(),
            starts: btf.starts(),
            names: names.own(),
        })
    }

    /// Makes the fragment, or tells which part cannot be understood.
    pub(super) fn read(
        &self,
        names: &mut Reading<'_, '_, 'i>,
        into: &mut Fragment,
    ) -> Result<(), (usize, Error)> {
        self.fill(into, Some(names))
    }

    /// Makes the fragment once more, for [`Merger::finish`](btf_core::dedup::Merger::finish), to which names are nothing.
    pub(super) fn reload(&self, names: &Names, into: &mut Fragment) -> Result<(), (usize, Error)> {
        if self.is_canonical {
            // Which spelling is whose depends on names.
            self.read(&mut LocalNames::new(names).reading(), into)
        } else {
            self.fill(into, None)
        }
    }

    /// Makes the fragment, with the numbers of its names if they are wanted.
    fn fill(
        &self,
        into: &mut Fragment,
        mut names: Option<&mut Reading<'_, '_, 'i>>,
    ) -> Result<(), (usize, Error)> {
        into.clear();
        for (index, part) in self.parts.iter().enumerate() {
            if part.input.is_none() && into.first_weak.is_none() {
                into.first_weak = Some(part.first);
            }
            if let Some(names) = &mut names {
                names.begin(part.btf);
            }
            let locals = self.locals(part.btf);
            for (id, record) in part.btf.records() {
                let name = |name| match &mut names {
                    Some(names) => names.name(name),
                    None => Ok(Name::default()),
                };
                let pushed = into.push_renamed(record, name, |id| locals.of(id));
                pushed.map_err(|error| (index, error.in_type(id)))?;
                if let Some(names) = &mut names
                    && self.is_canonical
                    && kind_of(record) == Some(Kind::Int)
                {
                    let name = part.btf.name(id).ok().and_then(canonical::spelling);
                    if let (Some(name), Some(&start)) = (name, into.starts.last()) {
                        into.words[start as usize] = names.number(name.as_bytes());
                    }
                }
            }
        }
        if let Some(names) = names
            && self.is_canonical
            && into.first_weak.is_none()
        {
            let index = Name(names.number(canonical::INDEX.as_bytes()));
            canonical::unify(into, index);
        }
        Ok(())
    }
}

impl Part<'_> {
    /// One past the local id of its last type.
    fn end(&self) -> u32 {
        let count = self.btf.end_id() - self.btf.first_id();
        self.first.saturating_add(count)
    }
}

/// Where the types of a BTF and of what it continues are.
struct Locals {
    /// The first id of each and its local id, the deepest last.
    firsts: Vec<(u32, u32)>,
    end: u32,
}

impl Locals {
    #[inline]
    fn of(&self, id: TypeId) -> Result<TypeId> {
        if id.0 >= self.end {
            return Err(ErrorKind::TypeIdOutOfRange(id).into());
        }
        let part = self.firsts.iter().find(|(first_id, _)| *first_id <= id.0);
        Ok(part.map_or(TypeId::VOID, |(first_id, first)| {
            TypeId(id.0 - first_id + first)
        }))
    }
}
