//! Finds what is needed of each type of a program.
//!
//! Every type has a place from which it is looked at ([`Use`]), and the place says how far the look goes:
//!
//! - Who uses a type by value needs its size, and nothing behind its pointers. Where the kernel looks for special fields (values
//!   of maps, variables, what the program allocates), pointers with a tag are followed, because the kernel asks what kind of
//!   structure is behind them, and so are lists (`contains:` tags).
//! - The verifier wants the size of what a pointer points to that a global function takes.
//! - The types of functions and variables of the kernel, and of questions about types, are compared by kind: a structure must
//!   stay one, but needs no members.
//! - What a program has instead of a type of the kernel needs the members that relocations name.
//! - What only a pointer leads to needs no more than its name.
//!
//! Cost: each type is visited once for each use.

use std::collections::HashMap;

use btf_core::core_relo::{RelocationKind, Request, Step};
use btf_core::ext::{BtfExt, CoreRelo};
use btf_core::graph::strip_modifiers;
use btf_core::types::{Member, type_refs};
use btf_core::wire::linkage;
use btf_core::{Btf, Error, ErrorKind, Kind, Result, Type, TypeId};

use super::{Level, Parts};

/// How a tag starts that names the structure that a list or tree consists of.
const CONTAINS: &[u8] = b"contains:";

/// What is needed of a type that has members or enumerators; all other types that are kept are kept whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// Its name, in a forward declaration.
    Declared,
    /// Its kind and size, and some of its members.
    Parts,
    /// Everything.
    Whole,
}

/// From where a type is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Use {
    /// From anything: all that it refers to is kept, too.
    All,
    /// As a value.
    Value,
    /// As a value in which the kernel looks for special fields.
    Fields,
    /// As the definition of a map.
    Map,
    /// For its size only.
    Size,
    /// Through a pointer.
    Pointee,
    /// Compared by its kind.
    Compared,
    /// Compared member by member.
    Matched,
    /// Compared member by member, behind a pointer.
    MatchedPointee,
    /// Compared member by member, inside of what is behind a pointer.
    MatchedSize,
}

impl Use {
    /// How the elements of an array are used: what is behind a pointer has a size there.
    const fn in_array(self) -> Self {
        match self {
            Self::Pointee => Self::Size,
            Self::MatchedPointee => Self::MatchedSize,
            Self::All
            | Self::Value
            | Self::Fields
            | Self::Map
            | Self::Size
            | Self::Compared
            | Self::Matched
            | Self::MatchedSize => self,
        }
    }

    /// How the parameters and the result of a function are used.
    const fn in_function(self) -> Self {
        match self {
            Self::All | Self::Compared => self,
            Self::Matched | Self::MatchedPointee | Self::MatchedSize => Self::MatchedSize,
            Self::Value | Self::Fields | Self::Map | Self::Size | Self::Pointee => Self::Size,
        }
    }

    /// How what a pointer points to is used.
    const fn behind_pointer(self, is_tagged: bool) -> Self {
        match self {
            Self::All | Self::Compared | Self::Map => self,
            Self::Matched | Self::MatchedPointee | Self::MatchedSize => Self::MatchedPointee,
            Self::Fields if is_tagged => self,
            Self::Fields | Self::Value | Self::Size | Self::Pointee => Self::Pointee,
        }
    }

    /// Whether enumerators count.
    const fn reads_enumerators(self) -> bool {
        match self {
            Self::All
            | Self::Value
            | Self::Fields
            | Self::Map
            | Self::Matched
            | Self::MatchedPointee
            | Self::MatchedSize => true,
            Self::Size | Self::Pointee | Self::Compared => false,
        }
    }
}

/// The search.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) btf: &'a Btf,
    level: Level,
    /// By type id, a bit for each [`Use`] from which it was visited.
    seen: Vec<u16>,
    needs: Vec<Need>,
    parts: HashMap<TypeId, Parts>,
    /// The structures that the tags of a type name.
    contained: HashMap<TypeId, Vec<TypeId>>,
    open: Vec<(TypeId, Use)>,
}

impl<'a> Walk<'a> {
    /// Nothing is needed yet.
    pub(super) fn new(btf: &'a Btf, level: Level) -> Result<Self> {
        let end = btf.end_id() as usize;
        let mut contained: HashMap<TypeId, Vec<TypeId>> = HashMap::new();
        for (id, ty) in btf.types() {
            if let Type::Unknown { .. } = ty {
                let kind = btf.info(id).map_or(0, btf_core::Info::kind_number);
                return Err(Error::new(ErrorKind::UnknownKind(kind)).in_type(id));
            }
            let Type::DeclTag { name, target, .. } = ty else {
                continue;
            };
            let Some(rest) = btf.string(name)?.strip_prefix(CONTAINS) else {
                continue;
            };
            let name = rest.split(|&byte| byte == b':').next().unwrap_or_default();
            let list = contained.entry(target).or_default();
            list.extend(btf.find_by_name(name));
        }
        Ok(Self {
            btf,
            level,
            seen: vec![0; end],
            needs: vec![Need::Nothing; end],
            parts: HashMap::new(),
            contained,
            open: Vec::new(),
        })
    }

    /// What is needed of a type with members or enumerators.
    pub(super) fn need(&self, id: TypeId) -> Need {
        let need = self.needs.get(id.0 as usize).copied();
        need.unwrap_or(Need::Nothing)
    }

    /// The members or enumerators that are kept of a type that is not kept whole.
    pub(super) fn parts(&self, id: TypeId) -> &Parts {
        const NONE: &Parts = &Parts::new();
        self.parts.get(&id).unwrap_or(NONE)
    }

    /// The new number of a member or enumerator.
    pub(super) fn new_index(&self, id: TypeId, index: u32) -> u32 {
        if self.need(id) != Need::Parts {
            return index;
        }
        let before = self.parts(id).range(..index).count();
        u32::try_from(before).unwrap_or(index)
    }

    /// Whether anything is kept of a type.
    pub(super) fn is_kept(&self, id: TypeId, ty: &Type<'_>) -> bool {
        let seen = |id: TypeId| self.seen.get(id.0 as usize).is_some_and(|uses| *uses != 0);
        let Type::DeclTag {
            target, component, ..
        } = *ty
        else {
            return seen(id);
        };
        // A tag goes with what it is on.
        seen(target)
            && match self.need(target) {
                Need::Declared => false,
                Need::Parts => u32::try_from(component)
                    .map_or(true, |index| self.parts(target).contains(&index)),
                Need::Nothing | Need::Whole => true,
            }
    }

    /// Keeps functions: those with instructions, and those that other objects or the kernel may have to do with.
    pub(super) fn functions(&mut self, ext: &BtfExt) -> Result<()> {
        let infos = ext.func_info.iter().flat_map(|block| &block.records);
        for info in infos {
            self.function(info.type_id)?;
        }
        for (id, ty) in self.btf.types() {
            if let Type::Func { linkage, .. } = ty
                && linkage != linkage::STATIC
            {
                self.function(id)?;
            }
        }
        Ok(())
    }

    fn function(&mut self, id: TypeId) -> Result<()> {
        let Type::Func { proto, linkage, .. } = self.btf.ty(id)? else {
            return self.visit(id, Use::Size);
        };
        self.visit(id, Use::Size)?;
        if linkage == linkage::EXTERN {
            return self.visit(proto, Use::Compared);
        }
        self.visit(proto, Use::Size)?;
        let Type::FuncProto(proto) = self.btf.ty(proto)? else {
            return Ok(());
        };
        if linkage == linkage::GLOBAL {
            for param in proto.params() {
                let ty = strip_modifiers(self.btf, param.ty)?;
                if let Type::Ptr { target } = self.btf.ty(ty)? {
                    self.visit(target, Use::Fields)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps variables and the sections that they are in.
    pub(super) fn objects(&mut self) -> Result<()> {
        for (id, ty) in self.btf.types() {
            if let Type::Datasec(section) = ty {
                self.visit(id, Use::Size)?;
                let of = match self.btf.string(section.name)? {
                    b".maps" => Use::Map,
                    b".ksyms" => Use::Compared,
                    _ => Use::Fields,
                };
                for entry in section.entries() {
                    self.object(entry.ty, of)?;
                }
            } else if let Type::Var { target, .. } = ty {
                // One that no section has is declared only.
                self.visit(id, Use::Size)?;
                self.visit(target, Use::Size)?;
            }
        }
        Ok(())
    }

    /// Keeps what stands in a section.
    fn object(&mut self, id: TypeId, of: Use) -> Result<()> {
        if let Type::Var { target, .. } = self.btf.ty(id)? {
            self.visit(id, Use::Size)?;
            return self.visit(target, of);
        }
        self.function(id)
    }

    /// Keeps what a CO-RE relocation needs; `request` is what it asks, if that can be understood.
    pub(super) fn relocation(&mut self, relo: &CoreRelo, request: Option<&Request>) -> Result<()> {
        let root = relo.type_id;
        let Some(request) = request else {
            return self.visit(root, Use::Value);
        };
        if self.level < Level::Members {
            self.visit(root, Use::Value)?;
        }
        let kind = request.kind;
        if kind == RelocationKind::TypeIdLocal {
            // The kernel makes objects of such a type.
            return self.visit(root, Use::Fields);
        }
        if kind == RelocationKind::TypeMatches {
            return self.visit(root, Use::Matched);
        }
        if kind.is_type() {
            return self.visit(root, Use::Compared);
        }
        self.visit(root, Use::Size)?;
        request
            .spec
            .steps
            .iter()
            .try_for_each(|step| self.step(step))
    }

    /// Keeps a step of an access.
    fn step(&mut self, step: &Step) -> Result<()> {
        match *step {
            Step::Element { ty, .. } => self.visit(ty, Use::Size),
            Step::Enumerator { ty, index } => {
                self.parts.entry(ty).or_default().insert(index);
                self.visit(ty, Use::Size)
            }
            Step::Member {
                composite, index, ..
            } => {
                self.parts.entry(composite).or_default().insert(index);
                self.visit(composite, Use::Size)?;
                if let Type::Struct(fields) | Type::Union(fields) = self.btf.ty(composite)?
                    && let Some(member) = fields.members().nth(index as usize)
                {
                    self.visit(member.ty, Use::Size)?;
                }
                Ok(())
            }
        }
    }

    /// Notes a use of a type, and goes on from it.
    fn visit(&mut self, id: TypeId, of: Use) -> Result<()> {
        self.open.push((id, of));
        while let Some((id, of)) = self.open.pop() {
            let of = if self.level == Level::Reachable {
                Use::All
            } else {
                of
            };
            let Some(seen) = self.seen.get_mut(id.0 as usize) else {
                return Err(ErrorKind::TypeIdOutOfRange(id).into());
            };
            let bit = 1 << of as u8;
            if id.is_void() || *seen & bit != 0 {
                continue;
            }
            *seen |= bit;
            self.use_type(id, of)?;
        }
        Ok(())
    }

    /// Notes how much of a type is needed, and what it leads to.
    fn use_type(&mut self, id: TypeId, of: Use) -> Result<()> {
        if of == Use::All {
            let record = self.btf.record(id).unwrap_or_default();
            let next = type_refs(record).map(|(_, id)| (id, Use::All));
            self.open.extend(next);
            self.needs(id, Need::Whole);
            self.contained(id);
            return Ok(());
        }
        let ty = self.btf.ty(id)?;
        if let Some(target) = ty.modified() {
            self.open.push((target, of));
            return Ok(());
        }
        if let Type::Ptr { target } = ty {
            let is_tagged = matches!(self.btf.ty(target)?, Type::TypeTag { .. });
            self.open.push((target, of.behind_pointer(is_tagged)));
        } else if let Type::Array { element, index, .. } = ty {
            self.open
                .extend([(element, of.in_array()), (index, Use::Size)]);
        } else if let Type::FuncProto(proto) = ty {
            let params = proto.params().map(|param| param.ty);
            let next = params.chain([proto.result]);
            self.open.extend(next.map(|id| (id, of.in_function())));
        } else if let Type::Struct(fields) | Type::Union(fields) = ty {
            let is_named = !self.btf.string(fields.name)?.is_empty();
            let Some(inner) = self.use_of_structure(id, is_named, of) else {
                return Ok(());
            };
            for member in fields.members() {
                if inner == Use::Map {
                    self.map_member(&member)?;
                } else {
                    self.open.push((member.ty, inner));
                }
            }
        } else if let Type::Enum(_) | Type::Enum64(_) = ty {
            let is_whole = of.reads_enumerators() || self.level < Level::Members;
            self.needs(id, if is_whole { Need::Whole } else { Need::Parts });
        } else if let Type::Var { .. } = ty {
            self.contained(id);
        }
        Ok(())
    }

    /// Notes how much of a structure or union is needed; returns how its members are used, if all are.
    fn use_of_structure(&mut self, id: TypeId, is_named: bool, of: Use) -> Option<Use> {
        let whole = match of {
            Use::Fields => Some(Use::Fields),
            Use::Map => Some(Use::Map),
            Use::Matched => Some(Use::Matched),
            Use::Value | Use::All => Some(Use::Value),
            Use::Pointee | Use::MatchedPointee if is_named => {
                self.needs(id, Need::Declared);
                return None;
            }
            Use::Compared => None,
            Use::Size | Use::Pointee | Use::MatchedPointee | Use::MatchedSize => {
                (self.level < Level::Members).then_some(Use::Value)
            }
        };
        if whole.is_some() {
            self.needs(id, Need::Whole);
            self.contained(id);
        } else {
            self.needs(id, Need::Parts);
        }
        whole
    }

    /// Keeps what a member of a map's definition stands for.
    fn map_member(&mut self, member: &Member) -> Result<()> {
        // Maps in maps are definitions again; keys and values are types.
        if self.btf.string(member.name)? == b"values" {
            self.open.push((member.ty, Use::Map));
            return Ok(());
        }
        self.open.push((member.ty, Use::Size));
        let ty = strip_modifiers(self.btf, member.ty)?;
        if let Type::Ptr { target } = self.btf.ty(ty)? {
            self.open.push((target, Use::Fields));
        } else {
            self.open.push((ty, Use::Fields));
        }
        Ok(())
    }

    /// Keeps the structures that the tags of a type name.
    fn contained(&mut self, id: TypeId) {
        let ids = self.contained.remove(&id).unwrap_or_default();
        let structures = ids
            .into_iter()
            .filter(|id| self.btf.info(*id).and_then(btf_core::Info::kind) == Some(Kind::Struct));
        self.open.extend(structures.map(|id| (id, Use::Fields)));
    }

    fn needs(&mut self, id: TypeId, need: Need) {
        if let Some(slot) = self.needs.get_mut(id.0 as usize) {
            *slot = need.max(*slot);
        }
    }
}
