//! Prints BTF with every field, one type a line, members and the like indented below it.
//!
//! It is meant for snapshots: a change of any bit of the types shows. Strings are printed where they are used, ids as
//! numbers with what they stand for behind them.

use std::fmt::{self, Write as _};

use btf_core::reader::Btf;
use btf_core::types::Type;
use btf_core::{Info, Kind, StrOffset, TypeId};

/// The listing of all own types of a BTF.
#[must_use]
pub fn listing(btf: &Btf) -> String {
    let mut out = String::new();
    let header = btf.header();
    let _ = writeln!(
        out,
        "{:?}-endian, header {} bytes, {} types, {} bytes of types, {} of strings, {} of layout",
        btf.byte_order(),
        header.hdr_len,
        btf.end_id() - btf.first_id(),
        header.type_len,
        header.str_len,
        header.layout_len,
    );
    let printer = Printer { btf };
    for (id, record) in btf.records() {
        let _ = printer.write(&mut out, id, record);
    }
    out
}

struct Printer<'a> {
    btf: &'a Btf,
}

impl Printer<'_> {
    fn write(&self, out: &mut String, id: TypeId, record: &[u32]) -> fmt::Result {
        let info = Info(record.get(1).copied().unwrap_or(0));
        let kind = info.kind().map_or("UNKNOWN", Kind::name);
        let name = self.string(StrOffset(record.first().copied().unwrap_or(0)));
        write!(
            out,
            "{id} {kind} '{name}' vlen={} kind_flag={}",
            info.vlen(),
            u8::from(info.kind_flag())
        )?;
        let ty = Type::from_record(record);
        match ty {
            Type::Void => writeln!(out),
            Type::Int(int) => writeln!(
                out,
                " size={} encoding={} offset={} bits={} reserved={}",
                int.size, int.encoding, int.offset_bits, int.bits, int.reserved
            ),
            Type::Ptr { target }
            | Type::Typedef { target, .. }
            | Type::Volatile { target }
            | Type::Const { target }
            | Type::Restrict { target }
            | Type::TypeTag { target, .. } => writeln!(out, " type={}", self.type_name(target)),
            Type::Array {
                element,
                index,
                count,
            } => {
                let (element, index) = (self.type_name(element), self.type_name(index));
                writeln!(out, " type={element} index={index} nelems={count}")
            }
            Type::Struct(composite) | Type::Union(composite) => {
                writeln!(out, " size={}", composite.size)
            }
            Type::Enum(enumeration) | Type::Enum64(enumeration) => {
                writeln!(out, " size={}", enumeration.size)
            }
            Type::Fwd { .. } => writeln!(out, " unused={}", record[2]),
            Type::Func { proto, .. } => writeln!(out, " type={}", self.type_name(proto)),
            Type::FuncProto(proto) => writeln!(out, " result={}", self.type_name(proto.result)),
            Type::Var {
                target, linkage, ..
            } => writeln!(out, " type={} linkage={linkage}", self.type_name(target)),
            Type::Datasec(section) => writeln!(out, " size={}", section.size),
            Type::Float { size, .. } => writeln!(out, " size={size}"),
            Type::DeclTag {
                target, component, ..
            } => {
                writeln!(
                    out,
                    " type={} component={component}",
                    self.type_name(target)
                )
            }
            Type::Unknown { record } => writeln!(out, " words={record:x?}"),
        }?;
        self.write_elements(out, ty)
    }

    fn write_elements(&self, out: &mut String, ty: Type<'_>) -> fmt::Result {
        if let Type::Struct(composite) | Type::Union(composite) = ty {
            for member in composite.members() {
                let (name, ty) = (self.string(member.name), self.type_name(member.ty));
                let (offset, bits) = (member.bit_offset, member.bitfield_size);
                writeln!(
                    out,
                    "\t'{name}' type={ty} bits_offset={offset} bitfield_size={bits}"
                )?;
            }
        } else if let Type::Enum(enumeration) | Type::Enum64(enumeration) = ty {
            for enumerator in enumeration.enumerators() {
                let (name, value) = (self.string(enumerator.name), enumerator.value);
                writeln!(out, "\t'{name}' value={value:#x}")?;
            }
        } else if let Type::FuncProto(proto) = ty {
            for param in proto.params() {
                writeln!(
                    out,
                    "\t'{}' type={}",
                    self.string(param.name),
                    self.type_name(param.ty)
                )?;
            }
        } else if let Type::Datasec(section) = ty {
            for entry in section.entries() {
                writeln!(
                    out,
                    "\ttype={} offset={} size={}",
                    self.type_name(entry.ty),
                    entry.offset,
                    entry.size
                )?;
            }
        }
        Ok(())
    }

    fn string(&self, offset: StrOffset) -> String {
        match self.btf.string(offset) {
            Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Err(_) => format!("<bad string {:#x}>", offset.0),
        }
    }

    /// The id and, for people, kind and name.
    fn type_name(&self, id: TypeId) -> String {
        let Some(info) = self.btf.info(id) else {
            return if id.is_void() {
                "0".to_owned()
            } else {
                format!("{}(bad id)", id.0)
            };
        };
        let kind = info.kind().map_or("UNKNOWN", Kind::name);
        let name = self.btf.name(id).unwrap_or_default();
        let name = String::from_utf8_lossy(name);
        let space = if name.is_empty() { "" } else { " " };
        format!("{}({kind}{space}{name})", id.0)
    }
}
