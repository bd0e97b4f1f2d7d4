//! What there is to tell about each type.
//!
//! Spec: `bpftool btf dump file` of bpftool 7.8; Documentation/bpf/btf.rst, 2.2 "Type Encoding".

use std::io::{self, Write};

use btf_core::kind::{Kind, Third};
use btf_core::reader::Btf;
use btf_core::types::{Composite, Datasec, Enumeration, FuncProto, Int, Type};
use btf_core::wire::{int, linkage};
use btf_core::{Info, StrOffset, TypeId};

use super::{Format, Key, key};
use crate::names::{Name, Names};
use crate::put::{Word, word};

/// How much output collects before it is written, in bytes: more than fits a pipe, less than fits the processor's cache.
pub(super) const CHUNK: usize = 128 << 10;

/// The room for one more record or item, in bytes, so that the buffer hardly ever grows.
const ROOM: usize = 4 << 10;

/// What a record of a kind that is not known is called.
const UNKNOWN: &str = "UNKNOWN";

/// The names of all kinds, by their number less one.
static KINDS: [Word; Kind::ALL.len()] = {
    let mut words = [const { Word::new("") }; Kind::ALL.len()];
    let mut index = 0;
    while index < words.len() {
        words[index] = Word::new(Kind::ALL[index].name());
        index += 1;
    }
    words
};

/// Prints one blob in one format.
pub(super) struct Printer<'a, F, W> {
    pub(super) btf: &'a Btf,
    pub(super) names: Names<'a>,
    pub(super) is_long: bool,
    pub(super) format: F,
    /// How many bytes collect before they are written to `out`.
    pub(super) chunk: usize,
    pub(super) out: W,
}

impl<'a, F: Format, W: Write> Printer<'a, F, W> {
    /// Writes out what has collected if it is much.
    #[inline]
    pub(super) fn drain(&mut self) -> io::Result<()> {
        if self.format.buffer().len() >= self.chunk {
            self.write_out()?;
        }
        Ok(())
    }

    #[cold]
    pub(super) fn write_out(&mut self) -> io::Result<()> {
        let buffer = self.format.buffer();
        self.out.write_all(buffer)?;
        buffer.clear();
        Ok(())
    }

    /// Writes out the rest.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.write_out()
    }

    /// The types of `ids`, or all own ones.
    pub(super) fn types(&mut self, ids: Option<&[TypeId]>) -> io::Result<()>
    where
        F: Send,
    {
        self.format.buffer().reserve(CHUNK + ROOM);
        self.format.open_part("types");
        match ids {
            None => {
                let first = self.side_by_side()?;
                self.types_of((first..self.btf.end_id()).map(TypeId))?;
            }
            Some(ids) => self.types_of(ids.iter().copied())?,
        }
        self.format.close_part();
        Ok(())
    }

    /// Types one after the other.
    pub(super) fn types_of(&mut self, ids: impl Iterator<Item = TypeId>) -> io::Result<()> {
        let btf = self.btf;
        for id in ids {
            if let Some(record) = btf.record(id) {
                self.ty(id, record)?;
            }
        }
        Ok(())
    }

    fn ty(&mut self, id: TypeId, record: &'a [u32]) -> io::Result<()> {
        let &[name, info, ..] = record else {
            // The reader has seen to it that there is a header.
            return Ok(());
        };
        self.format.open_type(id, kind_word(Info(info).kind()));
        self.name(key!("name"), StrOffset(name));
        let ty = Type::from_record(record);
        self.fields(ty);
        if self.is_long {
            self.hidden(record, ty);
        }
        self.format.end_line();
        self.lists(ty)?;
        self.format.close_record();
        self.drain()
    }

    #[inline]
    fn name(&mut self, key: Key, offset: StrOffset) {
        let name = self.names.get(offset);
        self.format.name(key, name);
    }

    /// A number that is a type's id.
    #[inline]
    pub(super) fn reference(&mut self, key: Key, id: TypeId) {
        self.format.number(key, id.0.into());
        if self.is_long {
            self.meaning(id, false);
        }
    }

    /// What an id stands for.
    pub(super) fn meaning(&mut self, id: TypeId, is_apart: bool) {
        let record = self.btf.record(id).unwrap_or_default();
        let (kind, name) = match *record {
            [name, info, ..] => (
                Info(info).kind().map_or(UNKNOWN, Kind::name),
                self.names.get(StrOffset(name)),
            ),
            _ if id.is_void() => ("void", Name::EMPTY),
            _ => ("nothing", Name::EMPTY),
        };
        self.format.meaning(kind, name, is_apart);
    }

    /// What stands on the type's line.
    #[inline]
    fn fields(&mut self, ty: Type<'_>) {
        match ty {
            Type::Void | Type::Unknown { .. } => {}
            Type::Int(int) => self.int(int),
            Type::Ptr { target }
            | Type::Typedef { target, .. }
            | Type::Volatile { target }
            | Type::Const { target }
            | Type::Restrict { target }
            | Type::TypeTag { target, .. } => self.reference(key!("type_id"), target),
            Type::Array {
                element,
                index,
                count,
            } => {
                self.reference(key!("type_id"), element);
                self.reference(key!("index_type_id"), index);
                self.format.number(key!("nr_elems"), count.into());
            }
            Type::Struct(Composite { size, .. })
            | Type::Union(Composite { size, .. })
            | Type::Datasec(Datasec { size, .. }) => {
                self.format.number(key!("size"), size.into());
            }
            Type::Enum(enumeration) | Type::Enum64(enumeration) => {
                let is_signed = enumeration.is_signed;
                let encoding = if is_signed {
                    word!("SIGNED")
                } else {
                    word!("UNSIGNED")
                };
                self.format.word(key!("encoding"), encoding);
                self.format.number(key!("size"), enumeration.size.into());
            }
            Type::Fwd { is_union, .. } => {
                let kind = if is_union {
                    word!("union")
                } else {
                    word!("struct")
                };
                self.format.word(key!("fwd_kind"), kind);
            }
            Type::Func { proto, linkage, .. } => {
                self.reference(key!("type_id"), proto);
                self.format.word(key!("linkage"), linkage_word(linkage));
            }
            Type::FuncProto(proto) => self.reference(key!("ret_type_id"), proto.result),
            Type::Var {
                target, linkage, ..
            } => {
                self.reference(key!("type_id"), target);
                self.format.comma();
                self.format.word(key!("linkage"), linkage_word(linkage));
            }
            Type::Float { size, .. } => self.format.number(key!("size"), size.into()),
            Type::DeclTag {
                target, component, ..
            } => {
                self.reference(key!("type_id"), target);
                self.format.signed(key!("component_idx"), component.into());
            }
        }
        if let Some(len) = len_of(ty) {
            self.format.number(key!("vlen"), len as u64);
        }
    }

    fn int(&mut self, int: Int) {
        let encoding = match int.encoding {
            0 => word!("(none)"),
            int::SIGNED => word!("SIGNED"),
            int::CHAR => word!("CHAR"),
            int::BOOL => word!("BOOL"),
            _ => word!("UNKN"),
        };
        self.format.number(key!("size"), int.size.into());
        let offset = int.offset_bits.into();
        self.format.number(key!("bits_offset"), offset);
        self.format.number(key!("nr_bits"), int.bits.into());
        self.format.word(key!("encoding"), encoding);
    }

    /// What bpftool does not show, where it is not 0.
    fn hidden(&mut self, record: &[u32], ty: Type<'_>) {
        let &[_, info, third, ref rest @ ..] = record else {
            return;
        };
        let info = Info(info);
        let Some(kind) = info.kind() else {
            self.format.number(key!("info"), info.0.into());
            return self.format.words(key!("words"), &record[2..]);
        };
        // Of these the flag is told in another way.
        let is_told = matches!(kind, Kind::Enum | Kind::Enum64 | Kind::Fwd);
        if info.kind_flag() && !is_told {
            self.format.number(key!("kind_flag"), 1);
        }
        let is_linkage = kind == Kind::Func && info.vlen() <= linkage::EXTERN;
        if info.vlen() != 0 && len_of(ty).is_none() && !is_linkage {
            self.format.number(key!("vlen"), info.vlen().into());
        }
        if kind.info().third == Third::Unused && third != 0 {
            self.format.number(key!("unused"), third.into());
        }
        if let Type::Int(int) = ty
            && (int.reserved != 0 || !is_single_bit(int.encoding))
        {
            self.format.words(key!("encoding_word"), rest);
        }
        if let Type::Var { linkage, .. } = ty
            && linkage > linkage::EXTERN
        {
            self.format.number(key!("linkage_number"), linkage.into());
        }
    }

    /// What stands below the type's line.
    #[inline]
    fn lists(&mut self, ty: Type<'_>) -> io::Result<()> {
        match ty {
            Type::Struct(composite) | Type::Union(composite) => self.members(composite),
            Type::Enum(enumeration) => self.values(enumeration, false),
            Type::Enum64(enumeration) => self.values(enumeration, true),
            Type::FuncProto(proto) => self.params(proto),
            Type::Datasec(section) => self.vars(section),
            Type::Void
            | Type::Int(_)
            | Type::Ptr { .. }
            | Type::Array { .. }
            | Type::Fwd { .. }
            | Type::Typedef { .. }
            | Type::Volatile { .. }
            | Type::Const { .. }
            | Type::Restrict { .. }
            | Type::Func { .. }
            | Type::Var { .. }
            | Type::Float { .. }
            | Type::DeclTag { .. }
            | Type::TypeTag { .. }
            | Type::Unknown { .. } => Ok(()),
        }
    }

    fn members(&mut self, composite: Composite<'_>) -> io::Result<()> {
        self.list(key!("members"), composite.members(), |printer, member| {
            printer.name(key!(first "name"), member.name);
            printer.reference(key!("type_id"), member.ty);
            let offset = member.bit_offset.into();
            printer.format.number(key!("bits_offset"), offset);
            if member.bitfield_size != 0 {
                let size = member.bitfield_size.into();
                printer.format.number(key!("bitfield_size"), size);
            }
        })
    }

    fn values(&mut self, enumeration: Enumeration<'_>, is_64_bits: bool) -> io::Result<()> {
        let is_signed = enumeration.is_signed;
        let enumerators = enumeration.enumerators();
        self.list(key!("values"), enumerators, |printer, enumerator| {
            printer.name(key!(first "name"), enumerator.name);
            let value = enumerator.value;
            printer.format.value(value, is_signed, is_64_bits);
        })
    }

    fn params(&mut self, proto: FuncProto<'_>) -> io::Result<()> {
        self.list(key!("params"), proto.params(), |printer, param| {
            printer.name(key!(first "name"), param.name);
            printer.reference(key!("type_id"), param.ty);
        })
    }

    fn vars(&mut self, section: Datasec<'_>) -> io::Result<()> {
        self.list(key!("vars"), section.entries(), |printer, entry| {
            let id = entry.ty.0.into();
            printer.format.number(key!(first "type_id"), id);
            printer.format.number(key!("offset"), entry.offset.into());
            printer.format.number(key!("size"), entry.size.into());
            printer.meaning(entry.ty, true);
        })
    }

    #[inline]
    pub(super) fn list<T>(
        &mut self,
        key: Key,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) -> io::Result<()> {
        self.format.open_list(key);
        for item in items {
            self.format.open_item();
            write(self, item);
            self.format.close_item();
            self.drain()?;
        }
        self.format.close_list();
        Ok(())
    }
}

/// What a kind is called.
#[inline]
pub(super) fn kind_word(kind: Option<Kind>) -> &'static Word {
    let known = kind.and_then(|kind| KINDS.get(kind as usize - 1));
    known.unwrap_or(const { &Word::new(UNKNOWN) })
}

/// The number of elements of kinds that have some.
#[inline]
fn len_of(ty: Type<'_>) -> Option<usize> {
    Some(match ty {
        Type::Struct(composite) | Type::Union(composite) => composite.len(),
        Type::Enum(enumeration) | Type::Enum64(enumeration) => enumeration.len(),
        Type::FuncProto(proto) => proto.len(),
        Type::Datasec(section) => section.len(),
        Type::Void
        | Type::Int(_)
        | Type::Ptr { .. }
        | Type::Array { .. }
        | Type::Fwd { .. }
        | Type::Typedef { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::Func { .. }
        | Type::Var { .. }
        | Type::Float { .. }
        | Type::DeclTag { .. }
        | Type::TypeTag { .. }
        | Type::Unknown { .. } => return None,
    })
}

fn linkage_word(number: u32) -> &'static Word {
    match number {
        linkage::STATIC => word!("static"),
        linkage::GLOBAL => word!("global"),
        linkage::EXTERN => word!("extern"),
        _ => word!("(unknown)"),
    }
}

/// Whether the word for an encoding tells all of it.
fn is_single_bit(encoding: u32) -> bool {
    matches!(encoding, 0 | int::SIGNED | int::CHAR | int::BOOL)
}
