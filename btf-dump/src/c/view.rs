//! The questions that every part of the header asks about a type, answered by tables.

use btf_core::dedup::FastMap;
use btf_core::graph::{self, Bitfield, MAX_DEPTH};
use btf_core::types::{Composite, Enumeration, Member};
use btf_core::{Btf, Error, ErrorKind, Info, Kind, Result, StrOffset, Type, TypeId};

use super::enumeration::Width;
use super::identifier::string_of;
use super::number;
use crate::pointer;

/// The name under which compilers know their type of variable arguments.
const BUILTIN_VA_LIST: &[u8] = b"__builtin_va_list";

/// The header of a type, as all questions begin with it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Node {
    /// `None` for `void`.
    pub(crate) kind: Option<Kind>,
    pub(crate) name: StrOffset,
    /// What the third word of the record holds: a size or the id of a type.
    pub(crate) third: u32,
    /// Whether this is the compiler's own type of variable arguments, which nobody may define. It is different on each machine,
    /// so what it stands for in the BTF is written in its place.
    pub(crate) is_builtin: bool,
}

/// What a value of some type consists of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    /// The type without arrays, typedefs, qualifiers and tags.
    pub(crate) id: TypeId,
    pub(crate) kind: Option<Kind>,
    /// Whether there is an array.
    pub(crate) is_array: bool,
    /// How many of it; 1 if there is no array.
    pub(crate) count: u64,
    /// The size of one in bytes; 0 if it has none.
    pub(crate) size: u32,
    /// The alignment in bytes of a number or pointer as it is printed; 1 for all else.
    pub(crate) align: u8,
    /// Whether a number or pointer has the size of the BTF as it is printed.
    pub(crate) is_exact: bool,
}

/// A [`Value`] in less memory, as there is one for each type.
#[derive(Clone, Copy, Debug)]
struct Stored {
    id: TypeId,
    /// How many there are; [`MANY`] if that is in [`Tables::counts`].
    count: u32,
    size: u32,
    kind: Option<Kind>,
    align: u8,
    is_array: bool,
    is_exact: bool,
}

/// A number of elements too large for [`Stored::count`], as only arrays of arrays have.
const MANY: u32 = u32::MAX;

/// What is known of all types before anything is asked, so that each record is taken apart once.
#[derive(Debug)]
pub(crate) struct Tables {
    pointer_size: u32,
    nodes: Vec<Node>,
    values: Vec<Stored>,
    counts: FastMap<TypeId, u64>,
    /// Whether there are bitfields of the old form: integers that do not fill their bytes.
    has_partial_integers: bool,
}

impl Tables {
    /// `pointer_size` is what the file's class says; without it, the type `long` of the BTF tells, else it is 8.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`] for an id that does not exist.
    pub(crate) fn new(btf: &Btf, pointer_size: Option<u8>) -> Result<Self> {
        let count = btf.end_id() as usize;
        let mut tables = Self {
            pointer_size: pointer::size(btf, pointer_size),
            nodes: Vec::with_capacity(count),
            values: Vec::with_capacity(count),
            counts: FastMap::default(),
            has_partial_integers: false,
        };
        tables.push(TypeId::VOID, Node::default(), &[]);
        let mut chain: Vec<_> = btf.chain().collect();
        chain.reverse();
        for (id, record) in chain.into_iter().flat_map(Btf::records) {
            let &[name, info, third, ..] = record else {
                // The reader has seen to it that there is a header.
                continue;
            };
            let (kind, name) = (kind_of(id, Info(info))?, StrOffset(name));
            let is_typedef = kind == Kind::Typedef;
            let node = Node {
                kind: Some(kind),
                name,
                third,
                is_builtin: is_typedef && string(btf, name)? == BUILTIN_VA_LIST,
            };
            tables.push(id, node, record);
        }
        tables.find_values(btf)?;
        Ok(tables)
    }

    /// Adds the next type.
    fn push(&mut self, id: TypeId, node: Node, record: &[u32]) {
        let mut value = Stored {
            id,
            count: 1,
            size: 0,
            kind: node.kind,
            align: 1,
            is_array: false,
            is_exact: false,
        };
        match node.kind {
            Some(Kind::Ptr) => {
                value.size = self.pointer_size;
                // It is 4 or 8.
                value.align = self.pointer_size.to_le_bytes()[0];
                value.is_exact = true;
            }
            Some(Kind::Int | Kind::Float) => {
                value.size = node.third;
                value.align = number::align(self.pointer_size, node.third);
                value.is_exact = true;
                let ty = Type::from_record(record);
                self.has_partial_integers |= matches!(ty, Type::Int(int) if !int.is_whole());
            }
            Some(Kind::Enum | Kind::Enum64) => {
                value.size = node.third;
                value.align = number::align(self.pointer_size, node.third);
                let ty = Type::from_record(record);
                let width = enumeration(ty).and_then(|it| Width::of(&it));
                value.is_exact = width.is_some();
            }
            Some(Kind::Struct | Kind::Union) => value.size = node.third,
            Some(kind) if kind == Kind::Array || kind.is_modifier() => value.id = UNKNOWN,
            _ => {}
        }
        self.nodes.push(node);
        self.values.push(value);
    }
}

/// The type and number of an array's elements; `None` for what is no array.
pub(crate) fn array(btf: &Btf, id: TypeId) -> Result<Option<(TypeId, u32)>> {
    if let Type::Array { element, count, .. } = btf.ty(id)? {
        return Ok(Some((element, count)));
    }
    Ok(None)
}

/// Stands for what a value consists of while that is not known.
const UNKNOWN: TypeId = TypeId(u32::MAX);

impl Tables {
    /// Finds the values of arrays and modifiers: each in one step from that of the next one, where that is known.
    fn find_values(&mut self, btf: &Btf) -> Result<()> {
        let mut chain = Vec::new();
        for id in (1..btf.end_id()).map(TypeId) {
            let mut current = id;
            let mut value = self.value(current)?;
            while value.id == UNKNOWN {
                if chain.len() > self.nodes.len() {
                    return Err(Error::new(ErrorKind::Cycle).in_type(id));
                }
                let node = self.node(current)?;
                let (target, count) = if node.kind == Some(Kind::Array) {
                    let (element, count) = array(btf, current)?.unwrap_or_default();
                    (element, Some(count))
                } else {
                    (TypeId(node.third), None)
                };
                chain.push((current, count));
                current = target;
                value = self.value(current)?;
            }
            for (id, count) in chain.drain(..).rev() {
                if let Some(count) = count {
                    value.is_array = true;
                    value.count = value.count.saturating_mul(count.into());
                }
                self.set_value(id, value);
            }
        }
        Ok(())
    }

    fn set_value(&mut self, id: TypeId, value: Value) {
        let count = u32::try_from(value.count).unwrap_or(MANY);
        if count == MANY {
            self.counts.insert(id, value.count);
        }
        if let Some(slot) = self.values.get_mut(id.0 as usize) {
            *slot = Stored {
                id: value.id,
                count,
                size: value.size,
                kind: value.kind,
                align: value.align,
                is_array: value.is_array,
                is_exact: value.is_exact,
            };
        }
    }

    #[inline]
    fn value(&self, id: TypeId) -> Result<Value> {
        let stored = self.values.get(id.0 as usize);
        let stored = *stored.ok_or_else(|| no_such_type(id))?;
        let count = if stored.count == MANY {
            self.counts.get(&id).copied().unwrap_or(MANY.into())
        } else {
            stored.count.into()
        };
        Ok(Value {
            id: stored.id,
            kind: stored.kind,
            is_array: stored.is_array,
            count,
            size: stored.size,
            align: stored.align,
            is_exact: stored.is_exact,
        })
    }

    #[inline]
    fn node(&self, id: TypeId) -> Result<Node> {
        let node = self.nodes.get(id.0 as usize);
        node.copied().ok_or_else(|| no_such_type(id))
    }
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
fn tail(btf: &Btf, offset: StrOffset) -> Result<&[u8]> {
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

fn no_such_type(id: TypeId) -> Error {
    ErrorKind::TypeIdOutOfRange(id).into()
}

fn kind_of(id: TypeId, info: Info) -> Result<Kind> {
    let unknown = || Error::new(ErrorKind::UnknownKind(info.kind_number())).in_type(id);
    info.kind().ok_or_else(unknown)
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
