//! Tables of what each type is and what its values consist of, filled on all threads.

use std::sync::atomic::{self, AtomicBool, AtomicU32};

use btf_core::dedup::FastMap;
use btf_core::{Btf, Error, ErrorKind, Info, Kind, Result, StrOffset, Type, TypeId};
use rayon::prelude::*;

use super::enumeration::Width;
use super::number;
use super::view::{array, enumeration, is_enumeration, tail};
use crate::pointer;

/// The name under which compilers know their type of variable arguments, and its end.
const BUILTIN_VA_LIST: &[u8] = b"__builtin_va_list\0";

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

impl Stored {
    /// One of a type that has no size.
    fn of(id: TypeId, kind: Option<Kind>) -> Self {
        Self {
            id,
            count: 1,
            size: 0,
            kind,
            align: 1,
            is_array: false,
            is_exact: false,
        }
    }
}

/// A number of elements too large for [`Stored::count`], as only arrays of arrays have.
const MANY: u32 = u32::MAX;

/// What is known of all types before anything is asked, so that no question takes a record apart.
#[derive(Debug)]
pub(crate) struct Tables {
    /// In bytes: 4 or 8.
    pub(super) pointer_size: u32,
    nodes: Vec<Node>,
    values: Vec<Stored>,
    counts: FastMap<TypeId, u64>,
    /// Whether there are bitfields of the old form: integers that do not fill their bytes.
    pub(super) has_partial_integers: bool,
}

impl Tables {
    /// `pointer_size` is what the file's class says; without it, the type `long` of the BTF tells, else it is 8.
    ///
    /// # Errors
    /// [`ErrorKind::TypeIdOutOfRange`] for an id that does not exist.
    pub(crate) fn new(btf: &Btf, pointer_size: Option<u8>) -> Result<Self> {
        let reader = Reader {
            btf,
            pointer_size: pointer::size(btf, pointer_size),
            has_partial_integers: AtomicBool::new(false),
        };
        let (mut nodes, mut values) = (Vec::new(), Vec::new());
        let first_bad = AtomicU32::new(u32::MAX);
        let ids = (0..btf.end_id()).into_par_iter().with_min_len(IDS_AT_ONCE);
        let read = ids.map(|id| {
            reader.entry(TypeId(id)).unwrap_or_else(|_| {
                first_bad.fetch_min(id, atomic::Ordering::Relaxed);
                (Node::default(), Stored::of(TypeId(id), None))
            })
        });
        read.unzip_into_vecs(&mut nodes, &mut values);
        let first_bad = first_bad.into_inner();
        if first_bad != u32::MAX {
            reader.entry(TypeId(first_bad))?;
        }
        let mut tables = Self {
            pointer_size: reader.pointer_size,
            nodes,
            values,
            counts: FastMap::default(),
            has_partial_integers: reader.has_partial_integers.into_inner(),
        };
        tables.find_values(btf)?;
        Ok(tables)
    }
}

/// How many types a thread takes apart at least: fewer are not worth handing over.
const IDS_AT_ONCE: usize = 4096;

/// How many arrays and modifiers are followed for each type. What has more is left to [`Tables::find_values`], which takes one
/// step for each, so that no long chain is walked for each of its links.
const FEW_STEPS: usize = 4;

/// Takes records apart, each by itself.
struct Reader<'a> {
    btf: &'a Btf,
    pointer_size: u32,
    has_partial_integers: AtomicBool,
}

impl Reader<'_> {
    /// The entries of a type; the value may be [`UNKNOWN`].
    fn entry(&self, id: TypeId) -> Result<(Node, Stored)> {
        let Some(record) = self.btf.record(id) else {
            return Ok((Node::default(), Stored::of(id, None)));
        };
        let node = node(self.btf, id, record)?;
        let value = match node.kind {
            Some(kind) if is_link(kind) => self.follow(record),
            Some(kind) => self.value(id, kind, record),
            None => Stored::of(id, None),
        };
        Ok((node, value))
    }

    /// The value of an array or modifier; [`UNKNOWN`] if it is not near, or an enumeration, which is not to be walked for
    /// each reference to it.
    fn follow(&self, record: &[u32]) -> Stored {
        let unknown = Stored::of(UNKNOWN, None);
        let (mut record, mut is_array, mut count) = (record, false, 1_u32);
        for _ in 0..FEW_STEPS {
            let &[_, info, third, ..] = record else {
                return unknown;
            };
            let is_modifier = Info(info).kind().is_some_and(Kind::is_modifier);
            let target = if is_modifier {
                TypeId(third)
            } else if let Type::Array {
                element, count: of, ..
            } = Type::from_record(record)
            {
                let Some(product) = count.checked_mul(of).filter(|count| *count != MANY) else {
                    return unknown;
                };
                (is_array, count) = (true, product);
                element
            } else {
                return unknown;
            };
            let next = self.btf.record(target);
            let kind = next.and_then(|next| Info(*next.get(1)?).kind());
            let value = match (next, kind) {
                (None, _) if target.is_void() => Stored::of(target, None),
                (Some(next), Some(kind)) if is_link(kind) => {
                    record = next;
                    continue;
                }
                (Some(next), Some(kind)) if !is_enumeration(Some(kind)) => {
                    self.value(target, kind, next)
                }
                _ => return unknown,
            };
            return Stored {
                count,
                is_array,
                ..value
            };
        }
        unknown
    }

    /// The value of what is neither array nor modifier.
    fn value(&self, id: TypeId, kind: Kind, record: &[u32]) -> Stored {
        let third = record.get(2).copied().unwrap_or(0);
        let mut value = Stored::of(id, Some(kind));
        match kind {
            Kind::Ptr => {
                value.size = self.pointer_size;
                // It is 4 or 8.
                value.align = self.pointer_size.to_le_bytes()[0];
                value.is_exact = true;
            }
            Kind::Int | Kind::Float => {
                value.size = third;
                value.align = number::align(self.pointer_size, third);
                value.is_exact = true;
                let ty = Type::from_record(record);
                if matches!(ty, Type::Int(int) if !int.is_whole()) {
                    let is_partial = &self.has_partial_integers;
                    is_partial.store(true, atomic::Ordering::Relaxed);
                }
            }
            Kind::Enum | Kind::Enum64 => {
                value.size = third;
                value.align = number::align(self.pointer_size, third);
                let ty = Type::from_record(record);
                let width = enumeration(ty).and_then(|it| Width::of(&it));
                value.is_exact = width.is_some();
            }
            Kind::Struct | Kind::Union => value.size = third,
            Kind::Array
            | Kind::Typedef
            | Kind::Volatile
            | Kind::Const
            | Kind::Restrict
            | Kind::TypeTag
            | Kind::Fwd
            | Kind::Func
            | Kind::FuncProto
            | Kind::Var
            | Kind::Datasec
            | Kind::DeclTag => {}
        }
        value
    }
}

/// The header of a record.
fn node(btf: &Btf, id: TypeId, record: &[u32]) -> Result<Node> {
    let &[name, info, third, ..] = record else {
        // The reader has seen to it that there is a header.
        return Ok(Node::default());
    };
    let (kind, name) = (kind_of(id, Info(info))?, StrOffset(name));
    let is_typedef = kind == Kind::Typedef;
    Ok(Node {
        kind: Some(kind),
        name,
        third,
        is_builtin: is_typedef && tail(btf, name)?.starts_with(BUILTIN_VA_LIST),
    })
}

/// Whether a value of such a type is one of another type.
fn is_link(kind: Kind) -> bool {
    kind == Kind::Array || kind.is_modifier()
}

/// Stands for what a value consists of while that is not known.
const UNKNOWN: TypeId = TypeId(u32::MAX);

impl Tables {
    /// Finds the values of arrays and modifiers that are not known: each in one step from that of the next one.
    fn find_values(&mut self, btf: &Btf) -> Result<()> {
        let mut chain = Vec::new();
        for id in (1..btf.end_id()).map(TypeId) {
            let value = self.values.get(id.0 as usize);
            if value.is_some_and(|value| value.id != UNKNOWN) {
                continue;
            }
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
    pub(super) fn value(&self, id: TypeId) -> Result<Value> {
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
    pub(super) fn node(&self, id: TypeId) -> Result<Node> {
        let node = self.nodes.get(id.0 as usize);
        node.copied().ok_or_else(|| no_such_type(id))
    }
}

fn no_such_type(id: TypeId) -> Error {
    ErrorKind::TypeIdOutOfRange(id).into()
}

fn kind_of(id: TypeId, info: Info) -> Result<Kind> {
    let unknown = || Error::new(ErrorKind::UnknownKind(info.kind_number())).in_type(id);
    info.kind().ok_or_else(unknown)
}
