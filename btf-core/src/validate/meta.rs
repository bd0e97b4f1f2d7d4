//! Checks each type by itself: its words, the ids and names in it, and the kinds it refers to.

use super::target::{Change, Target};
use super::{Report, Rule};
use crate::ids::{StrOffset, TypeId};
use crate::kind::{Kind, Third};
use crate::reader::Btf;
use crate::refs::{name_refs, type_refs};
use crate::types::{Composite, Datasec, Int, Type};
use crate::wire::{Info, MAX_NAME_OFFSET, MAX_TYPE_ID, MAX_VLEN_16, linkage};

/// The longest name in bytes that the kernel accepts (`KSYM_NAME_LEN`).
const MAX_NAME_LEN: usize = 512;

/// The largest kind that kernels before 7.2 can express.
const MAX_KIND_5: u32 = 31;

/// The largest number of bits of an integer.
const MAX_INT_BITS: u32 = 128;

/// Checks one type.
pub(super) fn check(btf: &Btf, id: TypeId, record: &[u32], report: &mut Report<'_>) {
    let &[name, info, third, ..] = record else {
        return;
    };
    let info = Info(info);
    let Some(kind) = info.kind() else {
        report.add(Rule::UnknownKind, id, 1, info.kind_number());
        return;
    };
    if kind.info().element.is_empty() && kind != Kind::Func && info.vlen() != 0 {
        report.add(Rule::VlenUnused, id, 1, info.vlen());
    }
    if info.kind_flag() && !kind.info().has_kind_flag {
        report.add(Rule::KindFlagUnused, id, 1, 1u32);
    }
    if report.target.is_kernel() {
        check_version(id, kind, info, report);
    }
    if kind.info().third == Third::Unused && third != 0 {
        report.add(Rule::WordUnused, id, 2, third);
    }
    check_ids(btf, id, kind, record, report);
    check_name(btf, id, kind, StrOffset(name), report);
    for (word, name) in name_refs(record) {
        if kind == Kind::FuncProto && word > 0 {
            check_param_name(btf, id, word, name, report);
            continue;
        }
        check_name_offset(btf, id, word, name, report);
        if word > 0 && (name.0 != 0 || matches!(kind, Kind::Enum | Kind::Enum64)) {
            check_identifier(btf, id, word, name, report);
        }
    }
    check_values(btf, id, &Type::from_record(record), report);
}

/// Checks what kernels of some versions only refuse.
fn check_version(id: TypeId, kind: Kind, info: Info, report: &mut Report<'_>) {
    let is_tag = matches!(kind, Kind::DeclTag | Kind::TypeTag);
    if is_tag && info.kind_flag() && !report.target.has(Change::TagAttributes) {
        report.add(Rule::KindFlagTag, id, 1, 1u32);
    }
    let is_wide = info.vlen() > MAX_VLEN_16 || info.kind_number() > MAX_KIND_5;
    if is_wide && !report.target.has(Change::WideInfo) {
        report.add(Rule::InfoReserved, id, 1, info.0);
    }
}

/// Checks that the type ids exist and are of kinds that can stand there.
fn check_ids(btf: &Btf, id: TypeId, kind: Kind, record: &[u32], report: &mut Report<'_>) {
    for (word, target) in type_refs(record) {
        if target.is_void() {
            // The parameters of prototypes are checked elsewhere.
            if matches!(kind, Kind::Func | Kind::DeclTag) {
                report.add(Rule::TargetKind, id, word, 0u32);
            } else if !kind.is_modifier() && !matches!(kind, Kind::Ptr | Kind::FuncProto) {
                report.add(Rule::VoidTarget, id, word, 0u32);
            }
            continue;
        }
        if target.0 >= btf.end_id() {
            report.add(Rule::TypeIdRange, id, word, target.0);
        }
        if target.0 > MAX_TYPE_ID {
            // The kernel looks at these when it resolves them, if it does.
            if matches!(kind, Kind::Func | Kind::FuncProto | Kind::DeclTag) {
                report.add_for_tools(Rule::TypeIdLimit, id, word, target.0);
            } else {
                report.add(Rule::TypeIdLimit, id, word, target.0);
            }
        }
        let allowed = btf
            .info(target)
            .and_then(Info::kind)
            .is_none_or(|target| may_refer(kind, target));
        if !allowed {
            // What the kernel makes of it is found where types are resolved.
            report.add_for_tools(Rule::TargetKind, id, word, target.0);
        }
    }
}

/// Whether a type of kind `from` may refer to one of kind `to`.
fn may_refer(from: Kind, to: Kind) -> bool {
    match from {
        Kind::Func => to == Kind::FuncProto,
        Kind::Datasec => matches!(to, Kind::Var | Kind::Func),
        Kind::DeclTag => matches!(
            to,
            Kind::Struct | Kind::Union | Kind::Func | Kind::Var | Kind::Typedef
        ),
        Kind::Int
        | Kind::Ptr
        | Kind::Array
        | Kind::Struct
        | Kind::Union
        | Kind::Enum
        | Kind::Fwd
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::FuncProto
        | Kind::Var
        | Kind::Float
        | Kind::TypeTag
        | Kind::Enum64 => !matches!(to, Kind::Var | Kind::Datasec | Kind::DeclTag | Kind::Func),
    }
}

/// Checks that a name's offset exists.
fn check_name_offset(btf: &Btf, id: TypeId, word: usize, name: StrOffset, report: &mut Report<'_>) {
    if btf.string_tail(name).is_none() {
        report.add(Rule::NameRange, id, word, name.0);
    } else if name.0 > MAX_NAME_OFFSET {
        report.add(Rule::NameLimit, id, word, name.0);
    }
}

/// Checks the name of a parameter, at which the kernel looks when it resolves a user's prototypes.
fn check_param_name(btf: &Btf, id: TypeId, word: usize, name: StrOffset, report: &mut Report<'_>) {
    if name.0 == 0 {
        return;
    }
    match btf.string_tail(name) {
        None => report.add_for_tools(Rule::NameRange, id, word, name.0),
        Some(tail) if !is_identifier(tail) => {
            report.add_for_tools(Rule::ParamNameInvalid, id, word, name.0);
        }
        Some(_) => {}
    }
}

/// Whether the kernel takes the name of a parameter.
pub(super) fn is_param_name(btf: &Btf, name: StrOffset) -> bool {
    name.0 == 0 || (name.0 <= MAX_NAME_OFFSET && btf.string_tail(name).is_some_and(is_identifier))
}

/// Checks the type's own name as its kind demands it.
fn check_name(btf: &Btf, id: TypeId, kind: Kind, name: StrOffset, report: &mut Report<'_>) {
    let first = btf.string_tail(name).and_then(<[u8]>::first).copied();
    match kind {
        Kind::Ptr
        | Kind::Array
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::FuncProto => {
            if name.0 != 0 {
                report.add(Rule::NameForbidden, id, 0, name.0);
            }
        }
        Kind::Typedef | Kind::Fwd | Kind::Func | Kind::Var => {
            check_identifier(btf, id, 0, name, report);
        }
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 => {
            if name.0 != 0 {
                check_identifier(btf, id, 0, name, report);
            }
        }
        Kind::Datasec => match btf
            .string_tail(name)
            .map(|tail| is_section_name(tail, report.target))
        {
            _ if first == Some(0) => report.add(Rule::NameMissing, id, 0, name.0),
            Some(false) => report.add(Rule::SectionName, id, 0, name.0),
            Some(true) | None => {}
        },
        Kind::DeclTag | Kind::TypeTag => {
            if first == Some(0) {
                report.add(Rule::NameMissing, id, 0, name.0);
            }
        }
        // The kernel does not look at these names, which may hold spaces.
        Kind::Int | Kind::Float => {}
    }
}

/// Checks that a name exists and is an identifier. An offset that does not exist is another rule's finding.
fn check_identifier(btf: &Btf, id: TypeId, word: usize, name: StrOffset, report: &mut Report<'_>) {
    match btf.string_tail(name) {
        Some([0, ..]) => {
            // An offset other than 0 claims that there is a name.
            report.add(Rule::NameMissing, id, word, name.0);
        }
        Some(tail) if !is_identifier(tail) => report.add(Rule::NameInvalid, id, word, name.0),
        Some(_) | None => {}
    }
}

/// Whether `tail` starts with an identifier that a NUL ends.
fn is_identifier(tail: &[u8]) -> bool {
    let is_extra = |byte: u8| byte == b'_' || byte == b'.';
    let starts = tail
        .first()
        .is_some_and(|&byte| is_letter(byte) || is_extra(byte));
    starts && ends_in_time(tail, is_identifier_byte)
}

/// Whether a byte may stand inside an identifier.
fn is_identifier_byte(byte: u8) -> bool {
    is_letter(byte) || byte.is_ascii_digit() || matches!(byte, b'_' | b'.')
}

/// Whether `tail` starts with a section's name that a NUL ends.
fn is_section_name(tail: &[u8], target: Target) -> bool {
    if !target.is_kernel() || target.has(Change::AnySectionNames) {
        return ends_in_time(tail, |byte| matches!(byte, b' '..=b'~' | 0xa0..));
    }
    match tail.split_first() {
        // libbpf writes `_` for the `?` of an object where the kernel does not take it.
        Some((b'?', rest)) if target.is_object || target.has(Change::OptionalSections) => {
            ends_in_time(rest, is_identifier_byte)
        }
        _ => is_identifier(tail),
    }
}

/// Whether a NUL follows up to 512 bytes that pass.
fn ends_in_time(tail: &[u8], pass: impl Fn(u8) -> bool) -> bool {
    let name = tail.iter().take(MAX_NAME_LEN + 1);
    name.copied().find(|&byte| !pass(byte)) == Some(0)
}

/// A letter as the kernel's `isalpha` sees it, which is that of Latin-1.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || (byte >= 0xc0 && byte != 0xd7 && byte != 0xf7)
}

/// Checks the values that only some kinds have.
fn check_values(btf: &Btf, id: TypeId, ty: &Type<'_>, report: &mut Report<'_>) {
    match *ty {
        Type::Int(int) => check_int(id, int, report),
        Type::Struct(composite) => check_members(id, composite, false, report),
        Type::Union(composite) => check_members(id, composite, true, report),
        Type::Enum(enumeration) | Type::Enum64(enumeration) => {
            if !matches!(enumeration.size, 1 | 2 | 4 | 8) {
                report.add(Rule::EnumSize, id, 2, enumeration.size);
            }
        }
        Type::Func { linkage, .. } => {
            check_linkage(id, Rule::FuncLinkage, 1, linkage, report);
        }
        Type::Var { linkage, .. } => {
            check_linkage(id, Rule::VarLinkage, 3, linkage, report);
        }
        Type::Datasec(section) => check_entries(id, section, report),
        Type::Float { size, .. } => {
            if !matches!(size, 2 | 4 | 8 | 12 | 16) {
                report.add(Rule::FloatSize, id, 2, size);
            }
        }
        Type::DeclTag {
            target, component, ..
        } => {
            let value = component.cast_unsigned();
            if component < -1 {
                report.add(Rule::TagIndex, id, 3, value);
            } else if !component_exists(btf, target, component) {
                report.add(Rule::TagComponent, id, 3, value);
            }
        }
        Type::Void
        | Type::Ptr { .. }
        | Type::Array { .. }
        | Type::Fwd { .. }
        | Type::Typedef { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::FuncProto(_)
        | Type::TypeTag { .. }
        | Type::Unknown { .. } => {}
    }
}

fn check_int(id: TypeId, int: Int, report: &mut Report<'_>) {
    let end = int.offset_bits + int.bits;
    if end > MAX_INT_BITS || end.div_ceil(8) > int.size {
        report.add(Rule::IntBits, id, 3, end);
    }
    if !matches!(int.encoding, 0 | 1 | 2 | 4) {
        report.add(Rule::IntEncoding, id, 3, int.encoding);
    }
    // The kernel ignores bits 8 to 15.
    if int.reserved >> 28 != 0 {
        report.add(Rule::WordUnused, id, 3, int.reserved);
    }
}

fn check_members(id: TypeId, composite: Composite<'_>, is_union: bool, report: &mut Report<'_>) {
    let mut before = 0;
    for (index, member) in composite.members().enumerate() {
        let (word, offset) = (3 + index * 3 + 2, member.bit_offset);
        if is_union && offset != 0 {
            report.add(Rule::MemberUnion, id, word, offset);
        }
        if offset < before {
            report.add(Rule::MemberOrder, id, word, offset);
        }
        if offset.div_ceil(8) > composite.size {
            report.add(Rule::MemberOffset, id, word, offset);
        }
        before = offset;
    }
}

fn check_linkage(id: TypeId, rule: Rule, word: usize, value: u32, report: &mut Report<'_>) {
    match value {
        linkage::STATIC | linkage::GLOBAL => {}
        linkage::EXTERN => report.add(Rule::ExternLinkage, id, word, value),
        _ => report.add(rule, id, word, value),
    }
}

fn check_entries(id: TypeId, section: Datasec<'_>, report: &mut Report<'_>) {
    let mut end = 0;
    let mut sum = 0;
    for (index, entry) in section.entries().enumerate() {
        let word = 3 + index * 3 + 1;
        let (offset, size) = (u64::from(entry.offset), u64::from(entry.size));
        if offset < end || size == 0 || offset + size > section.size.into() {
            report.add(Rule::DatasecEntry, id, word, offset);
        }
        end = offset + size;
        sum += size;
    }
    if section.size == 0 || sum > section.size.into() {
        report.add(Rule::DatasecSize, id, 2, section.size);
    }
}

/// Whether `target` has the component that a declaration tag names. A target of another kind is another finding.
fn component_exists(btf: &Btf, target: TypeId, component: i32) -> bool {
    let Ok(index) = usize::try_from(component) else {
        return component == -1;
    };
    match btf.ty(target) {
        Ok(Type::Struct(composite) | Type::Union(composite)) => index < composite.len(),
        Ok(Type::Func { proto, .. }) => match btf.ty(proto) {
            Ok(Type::FuncProto(proto)) => index < proto.len(),
            _ => true,
        },
        Ok(Type::Var { .. } | Type::Typedef { .. }) => false,
        _ => true,
    }
}
