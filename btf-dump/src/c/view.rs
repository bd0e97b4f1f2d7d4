//! The questions that every part of the header asks about a type, answered by tables.

use btf_core::dedup::FastMap;
use btf_core::graph::{self, Bitfield, MAX_DEPTH};
use btf_core::types::{Composite, Enumeration, Member};
use btf_core::{Btf, Error, ErrorKind, Info, Kind, Result, StrOffset, Type, TypeId};

use super::identifier::MAX_LEN;
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
}

/// A [`Value`] in half the memory, as there is one for each type.
#[derive(Clone, Copy, Debug)]
struct Stored {
    id: TypeId,
    kind: Option<Kind>,
    is_array: bool,
    /// How many there are; [`MANY`] if that is in [`Tables::counts`].
    count: u32,
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
        let pointer_size = pointer::size(btf, pointer_size);
        let mut nodes = vec![Node::default(); btf.end_id() as usize];
        for id in (1..btf.end_id()).map(TypeId) {
            if let Some(&[name, info, third, ..]) = btf.record(id)
                && let Some(slot) = nodes.get_mut(id.0 as usize)
            {
                let (kind, name) = (kind_of(id, Info(info))?, StrOffset(name));
                let is_typedef = kind == Kind::Typedef;
                *slot = Node {
                    kind: Some(kind),
                    name,
                    third,
                    is_builtin: is_typedef && string(btf, name)? == BUILTIN_VA_LIST,
                };
            }
        }
        let is_partial = |ty| matches!(ty, Type::Int(int) if !int.is_whole());
        let is_int = |node: &Node| node.kind == Some(Kind::Int);
        let ints = (0..).zip(&nodes).filter(|(_, node)| is_int(node));
        let mut ints = ints.map(|(id, _)| btf.ty(TypeId(id)));
        let mut tables = Self {
            pointer_size,
            has_partial_integers: ints.any(|ty| ty.is_ok_and(is_partial)),
            values: Vec::new(),
            counts: FastMap::default(),
            nodes,
        };
        tables.find_values(btf)?;
        Ok(tables)
    }
}

/// The type and number of an array's elements; `None` for what is no array.
pub(crate) fn array(btf: &Btf, id: TypeId) -> Result<Option<(TypeId, u32)>> {
    if let Type::Array { element, count, .. } = btf.ty(id)? {
        return Ok(Some((element, count)));
    }
    Ok(None)
}

/// Stands for a value that is not known yet.
const UNKNOWN: TypeId = TypeId(u32::MAX);

impl Tables {
    /// Finds the values of all types: each in one step from that of the next one, where that is known.
    fn find_values(&mut self, btf: &Btf) -> Result<()> {
        let unknown = Stored {
            id: UNKNOWN,
            kind: None,
            is_array: false,
            count: 1,
        };
        self.values = vec![unknown; self.nodes.len()];
        let mut chain = Vec::new();
        for id in (0..btf.end_id()).map(TypeId) {
            let mut current = id;
            let mut value = loop {
                let known = self.value(current)?;
                if known.id != UNKNOWN {
                    break known;
                }
                let node = self.node(current)?;
                let next = match node.kind {
                    Some(Kind::Array) => {
                        array(btf, current)?.map(|(element, count)| (element, Some(count)))
                    }
                    Some(kind) if kind.is_modifier() => Some((TypeId(node.third), None)),
                    _ => None,
                };
                match next {
                    Some((target, count)) if chain.len() <= self.nodes.len() => {
                        chain.push((current, count));
                        current = target;
                    }
                    Some(_) => return Err(Error::new(ErrorKind::Cycle).in_type(id)),
                    None => {
                        let kind = node.kind;
                        break Value {
                            id: current,
                            kind,
                            is_array: false,
                            count: 1,
                        };
                    }
                }
            };
            self.set_value(current, value);
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
                kind: value.kind,
                is_array: value.is_array,
                count,
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

    /// The first [`MAX_LEN`] bytes of a string; no more are looked at, as strings may overlap.
    ///
    /// # Errors
    /// [`ErrorKind::StringOutOfRange`].
    #[inline]
    pub(crate) fn string(&self, offset: StrOffset) -> Result<&'a [u8]> {
        string(self.btf, offset)
    }

    /// All ids but `void`'s, those of bases first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (1..self.btf.end_id()).map(TypeId)
    }

    /// A table with one entry for each id.
    pub(crate) fn table<T: Clone>(&self, value: T) -> Vec<T> {
        vec![value; self.btf.end_id() as usize]
    }

    /// The size in bytes of a type that is no array or modifier; 0 if it has none.
    pub(crate) fn size_of_element(&self, id: TypeId) -> Result<u32> {
        let node = self.node(id)?;
        Ok(match node.kind {
            Some(Kind::Ptr) => self.pointer_size(),
            Some(Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64) => node.third,
            kind if is_composite(kind) => node.third,
            _ => 0,
        })
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

/// The first [`MAX_LEN`] bytes of a string; no more are looked at, as strings may overlap.
///
/// # Errors
/// [`ErrorKind::StringOutOfRange`].
pub(crate) fn string(btf: &Btf, offset: StrOffset) -> Result<&[u8]> {
    let mut chain = btf.chain();
    let found = chain.find(|btf| btf.first_string() <= offset.0);
    let tail = found.and_then(|btf| {
        let bytes = btf.string_bytes();
        bytes.get((offset.0 - btf.first_string()) as usize..)
    });
    match tail {
        Some(tail) if !tail.is_empty() => {
            let window = tail.get(..MAX_LEN).unwrap_or(tail);
            let len = memchr::memchr(0, window).unwrap_or(window.len());
            Ok(window.get(..len).unwrap_or(window))
        }
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
