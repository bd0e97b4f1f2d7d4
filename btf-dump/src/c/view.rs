//! The questions that every part of the header asks about a type, answered by tables.

use btf_core::graph::{self, Bitfield, MAX_DEPTH};
use btf_core::types::{Composite, Enumeration, Member};
use btf_core::{Btf, Error, ErrorKind, Kind, Result, StrOffset, Type, TypeId};

use super::identifier::string_of;
use super::tables::{Node, Tables, Value};

/// The type and number of an array's elements; `None` for what is no array.
pub(crate) fn array(btf: &Btf, id: TypeId) -> Result<Option<(TypeId, u32)>> {
    if let Type::Array { element, count, .. } = btf.ty(id)? {
        return Ok(Some((element, count)));
    }
    Ok(None)
}

/// BTF, and the tables about it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) btf: &'a Btf,
    tables: &'a Tables,
}

impl<'a> View<'a> {
    pub(crate) fn new(btf: &'a Btf, tables: &'a Tables) -> Self {
        Self { btf, tables }
    }

    /// The size of a pointer in bytes: 4 or 8.
    pub(crate) fn pointer_size(&self) -> u32 {
        self.tables.pointer_size
    }

    /// The bitfield that a member with this value is, of either form.
    ///
    /// # Errors
    /// As [`graph::bitfield`].
    pub(crate) fn bitfield(&self, member: &Member, value: Value) -> Result<Option<Bitfield>> {
        let is_partial = || self.tables.has_partial_integers && value.kind == Some(Kind::Int);
        if member.bitfield_size == 0 && (value.is_array || !is_partial()) {
            return Ok(None);
        }
        graph::bitfield(self.btf, member)
    }

    pub(crate) fn ty(&self, id: TypeId) -> Result<Type<'a>> {
        self.btf.ty(id)
    }

    /// The header of a type.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`].
    #[inline]
    pub(crate) fn node(&self, id: TypeId) -> Result<Node> {
        self.tables.node(id)
    }

    /// What lies in memory where a value of the type `id` does.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`].
    #[inline]
    pub(crate) fn value(&self, id: TypeId) -> Result<Value> {
        self.tables.value(id)
    }

    /// The first [`MAX_LEN`](super::identifier::MAX_LEN) bytes of a string; no more are looked at, as strings may overlap.
    ///
    /// # Errors
    /// [`ErrorKind::StringOutOfRange`].
    #[inline]
    pub(crate) fn string(&self, offset: StrOffset) -> Result<&'a [u8]> {
        string(self.btf, offset)
    }

    /// A string, and what follows it in its section.
    ///
    /// # Errors
    /// [`ErrorKind::StringOutOfRange`].
    #[inline]
    pub(crate) fn tail(&self, offset: StrOffset) -> Result<&'a [u8]> {
        tail(self.btf, offset)
    }

    /// All ids but `void`'s, those of bases first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (1..self.btf.end_id()).map(TypeId)
    }

    /// A table with one entry for each id.
    pub(crate) fn table<T: Clone>(&self, value: T) -> Vec<T> {
        vec![value; self.btf.end_id() as usize]
    }

    /// The structure or union that an unnamed member merges its members from, which may have a name in the dialect of
    /// `-fms-extensions`; `None` if the member has a name or is something else.
    ///
    /// # Errors
    /// As [`View::value`].
    pub(crate) fn merged_composite(&self, member: &Member) -> Result<Option<TypeId>> {
        if member.name != StrOffset::EMPTY {
            return Ok(None);
        }
        let value = self.value(member.ty)?;
        let is_composite = is_composite(value.kind) && !value.is_array;
        Ok(is_composite.then_some(value.id))
    }
}

/// The first [`MAX_LEN`](super::identifier::MAX_LEN) bytes of a string; no more are looked at, as strings may overlap.
///
/// # Errors
/// [`ErrorKind::StringOutOfRange`].
#[inline]
pub(crate) fn string(btf: &Btf, offset: StrOffset) -> Result<&[u8]> {
    tail(btf, offset).map(string_of)
}

/// A string, and what follows it in its section.
#[inline]
pub(super) fn tail(btf: &Btf, offset: StrOffset) -> Result<&[u8]> {
    let mut chain = btf.chain();
    let found = chain.find(|btf| btf.first_string() <= offset.0);
    let tail = found.and_then(|btf| {
        let bytes = btf.string_bytes();
        bytes.get((offset.0 - btf.first_string()) as usize..)
    });
    match tail {
        Some(tail) if !tail.is_empty() => Ok(tail),
        _ => Err(ErrorKind::StringOutOfRange(offset.0).into()),
    }
}

/// Whether this is a structure or union.
pub(crate) fn is_composite(kind: Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Struct | Kind::Union))
}

/// Whether this is an enumeration, of either width of values.
pub(crate) fn is_enumeration(kind: Option<Kind>) -> bool {
    matches!(kind, Some(Kind::Enum | Kind::Enum64))
}

/// The structure or union, and whether it is a union.
pub(crate) fn composite(ty: Type<'_>) -> Option<(Composite<'_>, bool)> {
    if let Type::Struct(composite) = ty {
        return Some((composite, false));
    }
    if let Type::Union(composite) = ty {
        return Some((composite, true));
    }
    None
}

/// The enumeration, of either width of values.
pub(crate) fn enumeration(ty: Type<'_>) -> Option<Enumeration<'_>> {
    if let Type::Enum(enumeration) | Type::Enum64(enumeration) = ty {
        return Some(enumeration);
    }
    None
}

/// `struct`, `union` or `enum`; what else has no tag counts as a structure.
pub(crate) fn keyword(kind: Kind) -> &'static str {
    if kind == Kind::Union {
        "union"
    } else if is_enumeration(Some(kind)) {
        "enum"
    } else {
        "struct"
    }
}

/// Whether this declares a tag only: a forward declaration, or an enumeration with a name and no values.
pub(crate) fn is_forward(ty: Type<'_>) -> bool {
    let is_empty = |enumeration: Enumeration<'_>| enumeration.is_empty();
    let is_declared = matches!(ty, Type::Fwd { .. }) || enumeration(ty).is_some_and(is_empty);
    is_declared && ty.name() != StrOffset::EMPTY
}

/// The kind that a tag says: one for either width of enumerations, and that of what is declared for a forward declaration.
pub(crate) fn tag_kind(ty: Type<'_>) -> Kind {
    let kind = match ty.kind() {
        Some(Kind::Enum64) => Kind::Enum,
        Some(Kind::Fwd) | None => Kind::Struct,
        Some(kind) => kind,
    };
    if let Type::Fwd { is_union: true, .. } = ty {
        return Kind::Union;
    }
    kind
}

pub(crate) fn too_deep(id: TypeId) -> Error {
    let kind = ErrorKind::TooLarge {
        what: "depth of nested types",
        value: u64::from(MAX_DEPTH) + 1,
        limit: MAX_DEPTH.into(),
    };
    Error::new(kind).in_type(id)
}
