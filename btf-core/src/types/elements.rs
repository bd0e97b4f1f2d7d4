//! The types that have elements: members, values, parameters and variables, decoded one by one from the record's words.

use crate::ids::{StrOffset, TypeId};

/// A structure or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Composite<'a> {
    /// Its name; empty if it has none.
    pub name: StrOffset,
    /// Its size in bytes.
    pub size: u32,
    /// Whether the members' offset words hold a bitfield size in their upper 8 bits.
    pub kind_flag: bool,
    pub(super) elements: &'a [u32],
}

/// A member of a structure or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name; empty if it has none.
    pub name: StrOffset,
    /// Its type.
    pub ty: TypeId,
    /// Where it starts, in bits from the start of the structure.
    pub bit_offset: u32,
    /// The number of bits if it is a bitfield of the modern form, else 0. For those of the old form, see
    /// [`crate::graph::bitfield`].
    pub bitfield_size: u32,
}

impl<'a> Composite<'a> {
    /// The number of members.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.elements.len() / 3
    }

    /// Whether there are no members.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The members in their order.
    #[must_use]
    pub fn members(
        &self,
    ) -> impl ExactSizeIterator<Item = Member> + DoubleEndedIterator + Clone + use<'a> {
        self.members_from(0)
    }

    /// The members in their order from number `first` on, which costs nothing to get to.
    pub(crate) fn members_from(
        &self,
        first: usize,
    ) -> impl ExactSizeIterator<Item = Member> + DoubleEndedIterator + Clone + use<'a> {
        let kind_flag = self.kind_flag;
        let (members, _) = self.elements.as_chunks::<3>();
        let members = members.get(first..).unwrap_or_default();
        members.iter().map(move |&[name, ty, offset]| {
            let (bit_offset, bitfield_size) = if kind_flag {
                (offset & 0x00ff_ffff, offset >> 24)
            } else {
                (offset, 0)
            };
            Member {
                name: StrOffset(name),
                ty: TypeId(ty),
                bit_offset,
                bitfield_size,
            }
        })
    }
}

/// An enumeration with values of 32 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumeration<'a> {
    /// Its name; empty if it has none.
    pub name: StrOffset,
    /// Its size in bytes.
    pub size: u32,
    /// Whether its values are signed.
    pub is_signed: bool,
    pub(super) stride: usize,
    pub(super) elements: &'a [u32],
}

/// A value of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumerator {
    /// Its name.
    pub name: StrOffset,
    /// Its value in two's complement; a signed value of 32 bits is extended to 64.
    pub value: u64,
}

impl<'a> Enumeration<'a> {
    /// The number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.elements.len() / self.stride
    }

    /// Whether there are no values, which makes this a forward declaration.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The values in their order.
    #[must_use]
    pub fn enumerators(
        &self,
    ) -> impl ExactSizeIterator<Item = Enumerator> + DoubleEndedIterator + Clone + use<'a> {
        let is_signed = self.is_signed;
        self.elements.chunks_exact(self.stride).map(move |words| {
            let (name, value) = match *words {
                [name, low, high] => (name, u64::from(high) << 32 | u64::from(low)),
                [name, value] if is_signed => {
                    let extended = i64::from(value.cast_signed());
                    (name, extended.cast_unsigned())
                }
                [name, value] => (name, u64::from(value)),
                _ => (0, 0),
            };
            Enumerator {
                name: StrOffset(name),
                value,
            }
        })
    }
}

/// A function prototype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncProto<'a> {
    /// The type of the result.
    pub result: TypeId,
    pub(super) elements: &'a [u32],
}

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name; empty if it has none.
    pub name: StrOffset,
    /// Its type; `void` only for what [`Param::is_variadic`] describes.
    pub ty: TypeId,
}

impl Param {
    /// Whether this stands for `...`, as the last parameter may.
    #[must_use]
    pub const fn is_variadic(&self) -> bool {
        self.name.0 == 0 && self.ty.is_void()
    }
}

impl<'a> FuncProto<'a> {
    /// The number of parameters, `...` included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.elements.len() / 2
    }

    /// Whether there are no parameters.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The parameters in their order.
    #[must_use]
    pub fn params(
        &self,
    ) -> impl ExactSizeIterator<Item = Param> + DoubleEndedIterator + Clone + use<'a> {
        let (params, _) = self.elements.as_chunks::<2>();
        params.iter().map(|&[name, ty]| Param {
            name: StrOffset(name),
            ty: TypeId(ty),
        })
    }
}

/// A section with its variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datasec<'a> {
    /// Its name.
    pub name: StrOffset,
    /// Its size in bytes; compilers leave it 0.
    pub size: u32,
    pub(super) elements: &'a [u32],
}

/// A variable in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VarSecinfo {
    /// The VAR or, in `.ksyms`, the FUNC.
    pub ty: TypeId,
    /// Where it starts in the section, in bytes.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
}

impl<'a> Datasec<'a> {
    /// The number of variables.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.elements.len() / 3
    }

    /// Whether there are no variables.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The variables in their order.
    #[must_use]
    pub fn entries(
        &self,
    ) -> impl ExactSizeIterator<Item = VarSecinfo> + DoubleEndedIterator + Clone + use<'a> {
        self.entries_from(0)
    }

    /// The variables in their order from number `first` on, which costs nothing to get to.
    pub(crate) fn entries_from(
        &self,
        first: usize,
    ) -> impl ExactSizeIterator<Item = VarSecinfo> + DoubleEndedIterator + Clone + use<'a> {
        let (entries, _) = self.elements.as_chunks::<3>();
        let entries = entries.get(first..).unwrap_or_default();
        entries.iter().map(|&[ty, offset, size]| VarSecinfo {
            ty: TypeId(ty),
            offset,
            size,
        })
    }
}
