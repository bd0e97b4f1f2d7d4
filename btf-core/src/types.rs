//! The decoded view of a type record, one variant per kind, borrowing the record's words.
//!
//! Decoding cannot fail and allocates nothing: the reader has checked the record's length, and ids and names stay
//! numbers until somebody looks them up.
//!
//! Words for "the same", used everywhere: *identical* is the same id, *equivalent* is the same shape, *compatible* is
//! what CO-RE relocations accept.
//!
//! Spec: Documentation/bpf/btf.rst, 2.2 "Type Encoding"; include/uapi/linux/btf.h of Linux 7.2.
#![deny(clippy::indexing_slicing)]

mod elements;

pub use elements::{
    Composite, Datasec, Enumeration, Enumerator, FuncProto, Member, Param, VarSecinfo,
};

pub use crate::refs::{name_refs, rewrite_refs, type_refs, word_roles};

use crate::ids::{StrOffset, TypeId};
use crate::kind::Kind;
use crate::wire::{Info, int};

/// A type. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type<'a> {
    /// `void`, which has the id 0 and no record.
    Void,
    /// An integer, `char` or `bool`.
    Int(Int),
    /// A pointer.
    Ptr {
        /// What it points to.
        target: TypeId,
    },
    /// An array of one dimension.
    Array {
        /// The type of an element.
        element: TypeId,
        /// The type of an index.
        index: TypeId,
        /// The number of elements.
        count: u32,
    },
    /// A structure.
    Struct(Composite<'a>),
    /// A union.
    Union(Composite<'a>),
    /// An enumeration with values of 32 bits; without values it is a forward declaration.
    Enum(Enumeration<'a>),
    /// A forward declaration of a structure or union.
    Fwd {
        /// Its name.
        name: StrOffset,
        /// Whether it declares a union.
        is_union: bool,
    },
    /// A typedef.
    Typedef {
        /// The new name.
        name: StrOffset,
        /// What it stands for.
        target: TypeId,
    },
    /// A `volatile` type.
    Volatile {
        /// The type without the qualifier.
        target: TypeId,
    },
    /// A `const` type.
    Const {
        /// The type without the qualifier.
        target: TypeId,
    },
    /// A `restrict` type.
    Restrict {
        /// The type without the qualifier.
        target: TypeId,
    },
    /// A function.
    Func {
        /// Its name.
        name: StrOffset,
        /// The id of its prototype.
        proto: TypeId,
        /// Its linkage, one of [`crate::wire::linkage`].
        linkage: u32,
    },
    /// A function prototype.
    FuncProto(FuncProto<'a>),
    /// A variable.
    Var {
        /// Its name.
        name: StrOffset,
        /// Its type.
        target: TypeId,
        /// Its linkage, one of [`crate::wire::linkage`].
        linkage: u32,
    },
    /// A section with its variables.
    Datasec(Datasec<'a>),
    /// A floating-point number.
    Float {
        /// Its name.
        name: StrOffset,
        /// Its size.
        size: u32,
    },
    /// A tag on a declaration.
    DeclTag {
        /// The tag's text.
        name: StrOffset,
        /// What is tagged.
        target: TypeId,
        /// The tagged member or parameter, counted from 0; -1 tags the whole declaration.
        component: i32,
        /// Whether the text is a list of attributes as in the source (`kind_flag` is 1).
        is_attribute: bool,
    },
    /// A tag on a type.
    TypeTag {
        /// The tag's text.
        name: StrOffset,
        /// What is tagged.
        target: TypeId,
        /// Whether the text is an attribute as in the source (`kind_flag` is 1).
        is_attribute: bool,
    },
    /// An enumeration with values of 64 bits.
    Enum64(Enumeration<'a>),
    /// A record of a kind that only the layout section describes.
    Unknown {
        /// All words of the record.
        record: &'a [u32],
    },
}

/// An integer, `char` or `bool`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int {
    /// Its name.
    pub name: StrOffset,
    /// Its size in bytes.
    pub size: u32,
    /// The bits [`int::SIGNED`], [`int::CHAR`] and [`int::BOOL`], and a fourth one that has no meaning.
    pub encoding: u32,
    /// Where the value starts, in bits; not 0 in old bitfields only.
    pub offset_bits: u32,
    /// The number of bits of the value.
    pub bits: u32,
    /// The bits of the trailer word that have no meaning and must be 0: 8 to 15 and 28 to 31.
    pub reserved: u32,
}

impl Int {
    /// Whether the value fills the type, so that this is no bitfield of the old form.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.offset_bits == 0 && self.bits as u64 == self.size as u64 * 8
    }

    /// Whether the value is signed.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        self.encoding & int::SIGNED != 0
    }
}

impl<'a> Type<'a> {
    /// Decodes a whole record.
    ///
    /// A record of an unknown kind, or one whose length does not belong to its kind and `vlen`, becomes
    /// [`Type::Unknown`].
    #[must_use]
    #[inline]
    pub fn from_record(record: &'a [u32]) -> Self {
        let unknown = Self::Unknown { record };
        let Some((&[name, info, third], rest)) = record.split_first_chunk::<3>() else {
            return unknown;
        };
        let info = Info(info);
        match info.kind() {
            Some(kind) if record.len() == kind.record_words(info.vlen()) => {
                Self::from_parts(kind, info, StrOffset(name), third, rest).unwrap_or(unknown)
            }
            _ => unknown,
        }
    }

    /// Decodes a record whose length fits its kind.
    fn from_parts(
        kind: Kind,
        info: Info,
        name: StrOffset,
        third: u32,
        elements: &'a [u32],
    ) -> Option<Self> {
        let (size, target, kind_flag) = (third, TypeId(third), info.kind_flag());
        let composite = Composite {
            name,
            size,
            kind_flag,
            elements,
        };
        let enumeration = |stride| Enumeration {
            name,
            size,
            is_signed: kind_flag,
            stride,
            elements,
        };
        let trailer = || elements.first().copied();
        Some(match kind {
            Kind::Int => Self::Int(decode_int(name, size, trailer()?)),
            Kind::Ptr => Self::Ptr { target },
            Kind::Array => {
                let &[element, index, count] = elements.first_chunk::<3>()?;
                Self::Array {
                    element: TypeId(element),
                    index: TypeId(index),
                    count,
                }
            }
            Kind::Struct => Self::Struct(composite),
            Kind::Union => Self::Union(composite),
            Kind::Enum => Self::Enum(enumeration(2)),
            Kind::Fwd => Self::Fwd {
                name,
                is_union: kind_flag,
            },
            Kind::Typedef => Self::Typedef { name, target },
            Kind::Volatile => Self::Volatile { target },
            Kind::Const => Self::Const { target },
            Kind::Restrict => Self::Restrict { target },
            Kind::Func => Self::Func {
                name,
                proto: target,
                linkage: info.vlen(),
            },
            Kind::FuncProto => Self::FuncProto(FuncProto {
                result: target,
                elements,
            }),
            Kind::Var => Self::Var {
                name,
                target,
                linkage: trailer()?,
            },
            Kind::Datasec => Self::Datasec(Datasec {
                name,
                size,
                elements,
            }),
            Kind::Float => Self::Float { name, size },
            Kind::DeclTag => Self::DeclTag {
                name,
                target,
                component: trailer()?.cast_signed(),
                is_attribute: kind_flag,
            },
            Kind::TypeTag => Self::TypeTag {
                name,
                target,
                is_attribute: kind_flag,
            },
            Kind::Enum64 => Self::Enum64(enumeration(3)),
        })
    }

    /// The kind; `None` for `void` and unknown kinds.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Void | Self::Unknown { .. } => return None,
            Self::Int(_) => Kind::Int,
            Self::Ptr { .. } => Kind::Ptr,
            Self::Array { .. } => Kind::Array,
            Self::Struct(_) => Kind::Struct,
            Self::Union(_) => Kind::Union,
            Self::Enum(_) => Kind::Enum,
            Self::Fwd { .. } => Kind::Fwd,
            Self::Typedef { .. } => Kind::Typedef,
            Self::Volatile { .. } => Kind::Volatile,
            Self::Const { .. } => Kind::Const,
            Self::Restrict { .. } => Kind::Restrict,
            Self::Func { .. } => Kind::Func,
            Self::FuncProto(_) => Kind::FuncProto,
            Self::Var { .. } => Kind::Var,
            Self::Datasec(_) => Kind::Datasec,
            Self::Float { .. } => Kind::Float,
            Self::DeclTag { .. } => Kind::DeclTag,
            Self::TypeTag { .. } => Kind::TypeTag,
            Self::Enum64(_) => Kind::Enum64,
        })
    }

    /// The name; the empty string for kinds that have none.
    #[must_use]
    pub const fn name(&self) -> StrOffset {
        match *self {
            Self::Int(Int { name, .. })
            | Self::Struct(Composite { name, .. })
            | Self::Union(Composite { name, .. })
            | Self::Enum(Enumeration { name, .. })
            | Self::Enum64(Enumeration { name, .. })
            | Self::Datasec(Datasec { name, .. })
            | Self::Fwd { name, .. }
            | Self::Typedef { name, .. }
            | Self::Func { name, .. }
            | Self::Var { name, .. }
            | Self::Float { name, .. }
            | Self::DeclTag { name, .. }
            | Self::TypeTag { name, .. } => name,
            Self::Void
            | Self::Ptr { .. }
            | Self::Array { .. }
            | Self::Volatile { .. }
            | Self::Const { .. }
            | Self::Restrict { .. }
            | Self::FuncProto(_)
            | Self::Unknown { .. } => StrOffset::EMPTY,
        }
    }

    /// The size in bytes that the record holds: of a number, enumeration, structure, union or section.
    ///
    /// See [`crate::graph::size_of`] for types whose size follows from others.
    #[must_use]
    pub const fn own_size(&self) -> Option<u32> {
        match *self {
            Self::Int(Int { size, .. })
            | Self::Struct(Composite { size, .. })
            | Self::Union(Composite { size, .. })
            | Self::Enum(Enumeration { size, .. })
            | Self::Enum64(Enumeration { size, .. })
            | Self::Datasec(Datasec { size, .. })
            | Self::Float { size, .. } => Some(size),
            Self::Void
            | Self::Ptr { .. }
            | Self::Array { .. }
            | Self::Fwd { .. }
            | Self::Typedef { .. }
            | Self::Volatile { .. }
            | Self::Const { .. }
            | Self::Restrict { .. }
            | Self::Func { .. }
            | Self::FuncProto(_)
            | Self::Var { .. }
            | Self::DeclTag { .. }
            | Self::TypeTag { .. }
            | Self::Unknown { .. } => None,
        }
    }

    /// The target of a typedef, qualifier or type tag, which is what the kernel skips when it looks for a size.
    #[must_use]
    pub const fn modified(&self) -> Option<TypeId> {
        match *self {
            Self::Typedef { target, .. }
            | Self::Volatile { target }
            | Self::Const { target }
            | Self::Restrict { target }
            | Self::TypeTag { target, .. } => Some(target),
            Self::Void
            | Self::Int(_)
            | Self::Ptr { .. }
            | Self::Array { .. }
            | Self::Struct(_)
            | Self::Union(_)
            | Self::Enum(_)
            | Self::Fwd { .. }
            | Self::Func { .. }
            | Self::FuncProto(_)
            | Self::Var { .. }
            | Self::Datasec(_)
            | Self::Float { .. }
            | Self::DeclTag { .. }
            | Self::Enum64(_)
            | Self::Unknown { .. } => None,
        }
    }
}

/// Takes the trailer word of an INT apart.
const fn decode_int(name: StrOffset, size: u32, word: u32) -> Int {
    Int {
        name,
        size,
        encoding: (word >> 24) & 0xf,
        offset_bits: (word >> 16) & 0xff,
        bits: word & 0xff,
        reserved: word & 0xf000_ff00,
    }
}
