//! Which types and members of a kernel are kept, and how they are written.

use std::collections::{BTreeMap, BTreeSet};

use btf_core::core_relo::candidates::Candidate;
use btf_core::core_relo::{Kernel, RelocationKind, Spec, Step};
use btf_core::types::rewrite_refs;
use btf_core::{Btf, Builder, Error, ErrorKind, Info, Kind, Result, Type, TypeId};

/// The words of a structure in front of its members.
const HEADER_WORDS: usize = 3;
/// The words of a member.
const MEMBER_WORDS: usize = 3;

/// A type of a kernel: whose it is, 0 for the kernel itself, and its id there.
type Place = (usize, TypeId);

/// The types of a kernel that are kept.
#[derive(Debug)]
pub(super) struct Keep<'a> {
    kernel: &'a Kernel,
    types: BTreeMap<Place, Part>,
}

/// How much of a type is kept.
#[derive(Clone, Debug)]
struct Part {
    depth: Depth,
    /// The members that are kept, by index, unless all are.
    members: BTreeSet<u32>,
}

/// How far to go on from a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// To what it consists of, but neither to members nor to what pointers point to.
    Shallow,
    /// Also to what pointers point to.
    Pointers,
    /// Also to all members of structures, but not of those behind pointers.
    Members,
}

impl<'a> Keep<'a> {
    /// Keeps nothing yet.
    pub(super) fn new(kernel: &'a Kernel) -> Self {
        Self {
            kernel,
            types: BTreeMap::new(),
        }
    }

    /// Keeps what the answers of all types that match need.
    pub(super) fn all(
        &mut self,
        kind: RelocationKind,
        matches: &[(Candidate, Spec)],
    ) -> Result<()> {
        let mut matches = matches.iter();
        matches.try_for_each(|(candidate, spec)| self.access(candidate.blob, kind, spec))
    }

    /// Keeps what the answer to a question about an access needs; `blob` is whose types these are.
    fn access(&mut self, blob: usize, kind: RelocationKind, spec: &Spec) -> Result<()> {
        let depth = if kind == RelocationKind::TypeMatches {
            Depth::Members
        } else if kind.is_type() {
            Depth::Pointers
        } else {
            Depth::Shallow
        };
        self.walk((blob, spec.root), depth)?;
        for step in &spec.steps {
            match *step {
                Step::Element { ty, .. } | Step::Enumerator { ty, .. } => {
                    self.walk((blob, ty), Depth::Shallow)?;
                }
                Step::Member {
                    composite, index, ..
                } => self.member((blob, composite), index)?,
            }
        }
        Ok(())
    }

    /// Keeps the functions, tracepoints and variables of that name.
    pub(super) fn symbol(&mut self, name: &[u8]) -> Result<()> {
        let mut blob = 0;
        while let Some(btf) = self.kernel.btf(blob) {
            let is_symbol = |id: &TypeId| {
                let kind = btf.info(*id).and_then(Info::kind);
                let is_own = blob == 0 || id.0 >= btf.first_id();
                is_own && matches!(kind, Some(Kind::Func | Kind::Var | Kind::Typedef))
            };
            for id in btf.find_by_name(name).filter(is_symbol) {
                self.walk((blob, id), Depth::Pointers)?;
            }
            blob += 1;
        }
        Ok(())
    }

    /// Keeps the tags on functions that are kept.
    fn tags(&mut self) -> Result<()> {
        let mut blob = 0;
        while let Some(btf) = self.kernel.btf(blob) {
            let first = if blob == 0 { 1 } else { btf.first_id() };
            for id in (first..btf.end_id()).map(TypeId) {
                if let Type::DeclTag { target, .. } = btf.ty(id)?
                    && btf.info(target).and_then(Info::kind) == Some(Kind::Func)
                    && self.types.contains_key(&self.place((blob, target)))
                {
                    self.walk((blob, id), Depth::Shallow)?;
                }
            }
            blob += 1;
        }
        Ok(())
    }

    /// The place of a type, which may be the kernel's even if a module names it.
    fn place(&self, (blob, id): Place) -> Place {
        let is_own = self
            .kernel
            .btf(blob)
            .is_some_and(|btf| id.0 >= btf.first_id());
        if is_own { (blob, id) } else { (0, id) }
    }

    fn btf(&self, blob: usize) -> Result<&'a Btf> {
        let btf = self.kernel.btf(blob).map(|btf| &**btf);
        btf.ok_or_else(|| ErrorKind::TypeIdOutOfRange(TypeId::VOID).into())
    }

    /// Keeps a member, and what its type consists of.
    fn member(&mut self, composite: Place, index: u32) -> Result<()> {
        self.walk(composite, Depth::Shallow)?;
        let place = self.place(composite);
        if let Some(part) = self.types.get_mut(&place) {
            part.members.insert(index);
        }
        let btf = self.btf(place.0)?;
        let (Type::Struct(fields) | Type::Union(fields)) = btf.ty(place.1)? else {
            return Ok(());
        };
        match fields.members().nth(index as usize) {
            Some(member) => self.walk((place.0, member.ty), Depth::Shallow),
            None => Ok(()),
        }
    }

    /// Keeps a type and goes on from it.
    fn walk(&mut self, from: Place, depth: Depth) -> Result<()> {
        let mut open = vec![(from, depth)];
        while let Some((from, depth)) = open.pop() {
            let place = self.place(from);
            if place.1.is_void() {
                continue;
            }
            match self.types.get_mut(&place) {
                Some(part) if part.depth >= depth => continue,
                Some(part) => part.depth = depth,
                None => {
                    let members = BTreeSet::new();
                    self.types.insert(place, Part { depth, members });
                }
            }
            let ty = self.btf(place.0)?.ty(place.1)?;
            each_next(&ty, depth, |id, depth| open.push(((place.0, id), depth)));
        }
        Ok(())
    }

    /// Writes what is kept.
    pub(super) fn build(mut self) -> Result<Btf> {
        self.tags()?;
        let ids: BTreeMap<Place, TypeId> =
            self.types.keys().copied().zip((1..).map(TypeId)).collect();
        let mut builder = Builder::new();
        for (&(blob, id), part) in &self.types {
            let btf = self.btf(blob)?;
            let located = |error: Error| error.in_type(id);
            let record = btf.record(id).unwrap_or_default();
            let mut record = part.record(record);
            let new_id = |id| {
                let new = ids.get(&self.place((blob, id))).copied();
                Ok::<_, Error>(new.unwrap_or_default())
            };
            rewrite_refs(
                &mut record,
                |name| builder.add_string(btf.string(name)?),
                new_id,
            )
            .map_err(located)?;
            builder.push_record(&record).map_err(located)?;
        }
        builder.finish()
    }
}

impl Part {
    /// The words of a type with the members that are kept.
    fn record(&self, record: &[u32]) -> Vec<u32> {
        let info = Info(record.get(1).copied().unwrap_or(0));
        let (Some(kind @ (Kind::Struct | Kind::Union)), true) =
            (info.kind(), self.depth < Depth::Members)
        else {
            return record.to_vec();
        };
        let (header, members) = record
            .split_at_checked(HEADER_WORDS)
            .unwrap_or((record, &[]));
        let mut words = header.to_vec();
        let mut count = 0;
        for (index, member) in (0..).zip(members.chunks_exact(MEMBER_WORDS)) {
            if self.members.contains(&index) {
                words.extend_from_slice(member);
                count += 1;
            }
        }
        if let Some(word) = words.get_mut(1) {
            *word = Info::new(kind, count, info.kind_flag()).0;
        }
        words
    }
}

/// The types to go on to from `ty`, and how far from there.
fn each_next(ty: &Type<'_>, depth: Depth, mut next: impl FnMut(TypeId, Depth)) {
    if let Some(target) = ty.modified() {
        return next(target, depth);
    }
    match *ty {
        Type::Ptr { target } if depth > Depth::Shallow => next(target, Depth::Pointers),
        Type::Array { element, index, .. } => {
            next(element, depth);
            next(index, Depth::Shallow);
        }
        Type::Struct(fields) | Type::Union(fields) if depth == Depth::Members => {
            fields.members().for_each(|member| next(member.ty, depth));
        }
        Type::FuncProto(proto) => {
            next(proto.result, depth);
            proto.params().for_each(|param| next(param.ty, depth));
        }
        Type::Func { proto: target, .. }
        | Type::Var { target, .. }
        | Type::DeclTag { target, .. } => next(target, Depth::Pointers),
        Type::Ptr { .. }
        | Type::Struct(_)
        | Type::Union(_)
        | Type::Void
        | Type::Int(_)
        | Type::Enum(_)
        | Type::Enum64(_)
        | Type::Fwd { .. }
        | Type::Float { .. }
        | Type::Datasec(_)
        | Type::Typedef { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::TypeTag { .. }
        | Type::Unknown { .. } => {}
    }
}
