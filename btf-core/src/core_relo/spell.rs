//! Writes accesses and mismatches as C programmers would.

use super::fault::Mismatch;
use super::spec::{Spec, Step};
use crate::graph::strip_modifiers;
use crate::ids::{StrOffset, TypeId};
use crate::kind::Kind;
use crate::reader::Btf;
use crate::types::Type;

/// How many pointers and arrays of a type's name are written.
const MAX_PARTS: usize = 16;

/// An access as C: `struct task_struct.se.load.weight`, `enum pid_type::PIDTYPE_TGID` or a type.
///
/// Names are the input's own bytes; whatever does not exist is left out.
#[must_use]
pub fn access(btf: &Btf, spec: &Spec) -> Vec<u8> {
    let mut text = type_name(btf, spec.root);
    for (number, step) in spec.steps.iter().enumerate() {
        match *step {
            // The element of what the pointer points to: C does not say so of the first one.
            Step::Element { index: 0, .. } if number == 0 => {}
            Step::Element { index, .. } => text.extend(format!("[{index}]").bytes()),
            Step::Member {
                is_named: false, ..
            } => {}
            Step::Member {
                composite, index, ..
            } => {
                text.push(b'.');
                if let Ok(Type::Struct(fields) | Type::Union(fields)) = btf.ty(composite) {
                    let member = fields.members().nth(index as usize);
                    let name = member.and_then(|member| btf.string(member.name).ok());
                    text.extend_from_slice(name.unwrap_or_default());
                }
            }
            Step::Enumerator { ty, index } => {
                text.extend_from_slice(b"::");
                if let Ok(Type::Enum(values) | Type::Enum64(values)) = btf.ty(ty) {
                    let value = values.enumerators().nth(index as usize);
                    let name = value.and_then(|value| btf.string(value.name).ok());
                    text.extend_from_slice(name.unwrap_or_default());
                }
            }
        }
    }
    text
}

/// A type in the words of C, such as `struct file *`.
#[must_use]
pub fn type_name(btf: &Btf, id: TypeId) -> Vec<u8> {
    let mut suffix = Vec::new();
    let mut id = id;
    for _ in 0..MAX_PARTS {
        let Ok(ty) = btf.ty(id) else {
            return b"?".to_vec();
        };
        if let Type::Ptr { target } = ty {
            suffix.insert(0, b'*');
            id = target;
        } else if let Type::Array { element, count, .. } = ty {
            suffix.splice(0..0, format!("[{count}]").into_bytes());
            id = element;
        } else if let (Some(target), true) = (ty.modified(), ty.name() == StrOffset::EMPTY) {
            id = target;
        } else if let Type::TypeTag { target, .. } = ty {
            id = target;
        } else {
            return named(btf, &ty, suffix);
        }
    }
    b"...".to_vec()
}

fn named(btf: &Btf, ty: &Type<'_>, mut suffix: Vec<u8>) -> Vec<u8> {
    let mut text = keyword(ty).as_bytes().to_vec();
    let name = btf.string(ty.name()).unwrap_or_default();
    if !text.is_empty() && !name.is_empty() {
        text.push(b' ');
    }
    text.extend_from_slice(name);
    if !suffix.is_empty() {
        text.push(b' ');
        text.append(&mut suffix);
    }
    text
}

fn keyword(ty: &Type<'_>) -> &'static str {
    match ty.kind() {
        None => "void",
        Some(Kind::Fwd) if matches!(ty, Type::Fwd { is_union: true, .. }) => "union",
        Some(Kind::Struct | Kind::Fwd) => "struct",
        Some(Kind::Union) => "union",
        Some(Kind::Enum | Kind::Enum64) => "enum",
        Some(Kind::FuncProto) => "function",
        Some(_) => "",
    }
}

/// Why a type of the kernel is not what the program's access `spec` is about.
#[must_use]
pub fn mismatch(local: &Btf, spec: &Spec, target: &Btf, mismatch: &Mismatch) -> Vec<u8> {
    let until = |step: usize| {
        let mut part = spec.clone();
        part.steps.truncate(step + 1);
        access(local, &part)
    };
    let quoted = |start: &str, name: Vec<u8>, end: &str| {
        [start.as_bytes(), b"`", &name, b"`", end.as_bytes()].concat()
    };
    match *mismatch {
        Mismatch::NoMember { target: ty, step } => {
            let inside = strip_modifiers(target, ty).unwrap_or(ty);
            let inside = type_name(target, inside);
            [
                quoted("there is no ", until(step), ""),
                quoted(" in ", inside, ""),
            ]
            .concat()
        }
        Mismatch::OtherKind { target: ty, step } => [
            quoted("", until(step), ""),
            quoted(" is of another kind, ", type_name(target, ty), ""),
        ]
        .concat(),
        Mismatch::NothingInside { target: ty, step } => [
            quoted("what holds ", until(step), ""),
            quoted(" is ", type_name(target, ty), ""),
        ]
        .concat(),
        Mismatch::ShortArray { count, step } => [
            quoted("", until(step), ""),
            format!(": the array has {count} elements").into_bytes(),
        ]
        .concat(),
        Mismatch::NoEnumerator => quoted("there is no ", access(local, spec), ""),
        Mismatch::Types => b"the types of this name differ".to_vec(),
    }
}
