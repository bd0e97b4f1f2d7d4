//! One method of the builder per kind, which interns the names and packs the words.

use super::{Builder, MAX_BITFIELD_OFFSET, MemberSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{StrOffset, TypeId};
use crate::kind::Kind;
use crate::types::VarSecinfo;
use crate::wire::int;

impl Builder {
    /// Adds an INT of `size` bytes that uses all its bits; `encoding` holds bits of [`int`].
    ///
    /// # Errors
    /// See [`Builder`]; `size` is at most 31.
    pub fn int(&mut self, name: &[u8], size: u32, encoding: u32) -> Result<TypeId> {
        let bits = size.saturating_mul(8);
        self.check_at_most("integer size in bits", bits, 0xff)?;
        let name = self.add_string(name)?;
        let trailer = int::pack(encoding, 0, bits);
        self.push(Kind::Int, false, 0, name, size, &[trailer])
    }

    /// Adds a PTR.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn ptr(&mut self, target: TypeId) -> Result<TypeId> {
        self.push(Kind::Ptr, false, 0, StrOffset::EMPTY, target.0, &[])
    }

    /// Adds an ARRAY of `count` elements.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn array(&mut self, element: TypeId, index: TypeId, count: u32) -> Result<TypeId> {
        let words = [element.0, index.0, count];
        self.push(Kind::Array, false, 0, StrOffset::EMPTY, 0, &words)
    }

    /// Adds a STRUCT or UNION of `size` bytes; one bitfield makes it use the packed offsets for all members.
    ///
    /// # Errors
    /// See [`Builder`]; next to a bitfield, offsets are at most 0xffffff bits.
    pub fn composite(
        &mut self,
        kind: Kind,
        name: &[u8],
        size: u32,
        members: &[MemberSpec<'_>],
    ) -> Result<TypeId> {
        self.check_kind(kind, &[Kind::Struct, Kind::Union])?;
        let packed = members.iter().any(|member| member.bitfield_size != 0);
        let name = self.add_string(name)?;
        let mut words = Vec::with_capacity(members.len() * 3);
        for member in members {
            if packed {
                let what = "bit offset beside a bitfield";
                self.check_at_most(what, member.bit_offset, MAX_BITFIELD_OFFSET)?;
            }
            let name = self.add_string(member.name)?;
            let offset = member.bit_offset | u32::from(member.bitfield_size) << 24;
            words.extend([name.0, member.ty.0, offset]);
        }
        self.push(kind, packed, members.len(), name, size, &words)
    }

    /// Adds an ENUM of `size` bytes; values are in two's complement of 64 bits and must fit 32.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn enumeration(
        &mut self,
        name: &[u8],
        size: u32,
        is_signed: bool,
        values: &[(&[u8], u64)],
    ) -> Result<TypeId> {
        let name = self.add_string(name)?;
        let mut words = Vec::with_capacity(values.len() * 2);
        for &(name, value) in values {
            let signed = i32::try_from(value.cast_signed()).map(i32::cast_unsigned);
            let unsigned = u32::try_from(value);
            let Ok(word) = (if is_signed { signed } else { unsigned }) else {
                let (what, limit) = ("value of an enumerator", u32::MAX.into());
                let kind = ErrorKind::TooLarge { what, value, limit };
                return Err(Error::new(kind).in_type(self.next_id()));
            };
            words.extend([self.add_string(name)?.0, word]);
        }
        self.push(Kind::Enum, is_signed, values.len(), name, size, &words)
    }

    /// Adds a FWD of a structure or union.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn fwd(&mut self, name: &[u8], is_union: bool) -> Result<TypeId> {
        let name = self.add_string(name)?;
        self.push(Kind::Fwd, is_union, 0, name, 0, &[])
    }

    /// Adds a TYPEDEF.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn typedef(&mut self, name: &[u8], target: TypeId) -> Result<TypeId> {
        let name = self.add_string(name)?;
        self.push(Kind::Typedef, false, 0, name, target.0, &[])
    }

    /// Adds a VOLATILE, CONST or RESTRICT.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn qualifier(&mut self, kind: Kind, target: TypeId) -> Result<TypeId> {
        self.check_kind(kind, &[Kind::Volatile, Kind::Const, Kind::Restrict])?;
        self.push(kind, false, 0, StrOffset::EMPTY, target.0, &[])
    }

    /// Adds a FUNC; `linkage` is one of [`crate::wire::linkage`].
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn func(&mut self, name: &[u8], proto: TypeId, linkage: u32) -> Result<TypeId> {
        let name = self.add_string(name)?;
        let linkage = usize::try_from(linkage).unwrap_or(usize::MAX);
        self.push(Kind::Func, false, linkage, name, proto.0, &[])
    }

    /// Adds a `FUNC_PROTO`; parameters are name and type, and a last one without both stands for `...`.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn func_proto(&mut self, result: TypeId, params: &[(&[u8], TypeId)]) -> Result<TypeId> {
        let mut words = Vec::with_capacity(params.len() * 2);
        for &(name, ty) in params {
            words.extend([self.add_string(name)?.0, ty.0]);
        }
        let (kind, name) = (Kind::FuncProto, StrOffset::EMPTY);
        self.push(kind, false, params.len(), name, result.0, &words)
    }

    /// Adds a VAR; `linkage` is one of [`crate::wire::linkage`].
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn var(&mut self, name: &[u8], target: TypeId, linkage: u32) -> Result<TypeId> {
        let name = self.add_string(name)?;
        self.push(Kind::Var, false, 0, name, target.0, &[linkage])
    }

    /// Adds a DATASEC of `size` bytes.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn datasec(&mut self, name: &[u8], size: u32, entries: &[VarSecinfo]) -> Result<TypeId> {
        let name = self.add_string(name)?;
        let words: Vec<_> = entries
            .iter()
            .flat_map(|entry| [entry.ty.0, entry.offset, entry.size])
            .collect();
        self.push(Kind::Datasec, false, entries.len(), name, size, &words)
    }

    /// Adds a FLOAT of `size` bytes.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn float(&mut self, name: &[u8], size: u32) -> Result<TypeId> {
        let name = self.add_string(name)?;
        self.push(Kind::Float, false, 0, name, size, &[])
    }

    /// Adds a `DECL_TAG`; `component` counts members or parameters from 0, and -1 tags the whole declaration.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn decl_tag(
        &mut self,
        text: &[u8],
        target: TypeId,
        component: i32,
        is_attribute: bool,
    ) -> Result<TypeId> {
        let text = self.add_string(text)?;
        let words = [component.cast_unsigned()];
        self.push(Kind::DeclTag, is_attribute, 0, text, target.0, &words)
    }

    /// Adds a `TYPE_TAG`.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn type_tag(&mut self, text: &[u8], target: TypeId, is_attribute: bool) -> Result<TypeId> {
        let text = self.add_string(text)?;
        self.push(Kind::TypeTag, is_attribute, 0, text, target.0, &[])
    }

    /// Adds an ENUM64 of `size` bytes; values are in two's complement.
    ///
    /// # Errors
    /// See [`Builder`].
    pub fn enum64(
        &mut self,
        name: &[u8],
        size: u32,
        is_signed: bool,
        values: &[(&[u8], u64)],
    ) -> Result<TypeId> {
        let name = self.add_string(name)?;
        let mut words = Vec::with_capacity(values.len() * 3);
        for &(name, value) in values {
            let [l0, l1, l2, l3, h0, h1, h2, h3] = value.to_le_bytes();
            let (low, high) = ([l0, l1, l2, l3], [h0, h1, h2, h3]);
            let name = self.add_string(name)?;
            words.extend([name.0, u32::from_le_bytes(low), u32::from_le_bytes(high)]);
        }
        self.push(Kind::Enum64, is_signed, values.len(), name, size, &words)
    }

    fn check_at_most(&self, what: &'static str, value: u32, limit: u32) -> Result<()> {
        if value <= limit {
            return Ok(());
        }
        let (value, limit) = (value.into(), limit.into());
        let kind = ErrorKind::TooLarge { what, value, limit };
        Err(Error::new(kind).in_type(self.next_id()))
    }

    fn check_kind(&self, kind: Kind, allowed: &[Kind]) -> Result<()> {
        if allowed.contains(&kind) {
            return Ok(());
        }
        let (what, value) = ("kind for this method", kind as u64);
        Err(Error::new(ErrorKind::Invalid { what, value }).in_type(self.next_id()))
    }
}
