//! Joins functions and variables that an input only names with their definition in another one.
//!
//! Compilers describe what is defined elsewhere with linkage `extern`. As a forward declaration, it is one with its definition if
//! there is exactly one and their types agree, for functions but for the names of parameters. What a section lists (`.ksyms`,
//! `.kconfig`) is not meant for another input, and stays.

use std::collections::HashMap;

use btf_core::dedup::Fragment;
use btf_core::types::Type;
use btf_core::wire::linkage;
use btf_core::{Btf, Info, Kind, StrOffset, TypeId};

/// What is defined or only named.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Item {
    Func(StrOffset),
    Var(StrOffset),
}

/// What a type defines or names, with its own type and its linkage.
fn item_of(ty: &Type<'_>) -> Option<(Item, TypeId, u32)> {
    if let Type::Func {
        name,
        proto,
        linkage,
    } = *ty
    {
        Some((Item::Func(name), proto, linkage))
    } else if let Type::Var {
        name,
        target,
        linkage,
    } = *ty
    {
        Some((Item::Var(name), target, linkage))
    } else {
        None
    }
}

/// Whether a record is a function or variable that is only named: as [`item_of`] tells, but quickly, as most are not.
fn is_extern(record: &[u32]) -> bool {
    let &[_, info, ..] = record else { return false };
    let info = Info(info);
    match info.kind() {
        Some(Kind::Func) => info.vlen() == linkage::EXTERN,
        Some(Kind::Var) => record.get(3) == Some(&linkage::EXTERN),
        _ => false,
    }
}

/// The types of `btf` that are to be taken for others, as pairs.
pub(super) fn find(btf: &Btf) -> Vec<(TypeId, TypeId)> {
    if !btf.records().any(|(_, record)| is_extern(record)) {
        return Vec::new();
    }
    let mut listed = vec![false; btf.end_id() as usize];
    let mut used = vec![0_u32; btf.end_id() as usize];
    let mut externs = Vec::new();
    let mut definitions: HashMap<Item, (TypeId, TypeId, u32)> = HashMap::new();
    for (id, record) in btf.records() {
        for (_, target) in btf_core::types::type_refs(record) {
            if let Some(count) = used.get_mut(target.0 as usize) {
                *count += 1;
            }
        }
        let ty = Type::from_record(record);
        if let Type::Datasec(section) = ty {
            for entry in section.entries() {
                if let Some(slot) = listed.get_mut(entry.ty.0 as usize) {
                    *slot = true;
                }
            }
        }
        let Some((item, target, how)) = item_of(&ty) else {
            continue;
        };
        if how == linkage::EXTERN {
            externs.push((id, item, target));
        } else if how == linkage::GLOBAL {
            let entry = definitions.entry(item).or_insert((id, target, 0));
            entry.2 += 1;
        }
    }
    let mut pairs = Vec::new();
    for (id, item, target) in externs {
        let is_listed = listed.get(id.0 as usize) == Some(&true);
        let Some(&(definition, defined_as, 1)) = definitions.get(&item).filter(|_| !is_listed)
        else {
            continue;
        };
        let agrees = match item {
            Item::Var(_) => target == defined_as,
            Item::Func(_) => same_prototype(btf, target, defined_as),
        };
        if agrees {
            pairs.push((id, definition));
            // Its prototype is of no use to others.
            if target != defined_as && used.get(target.0 as usize) == Some(&1) {
                pairs.push((target, defined_as));
            }
        }
    }
    pairs
}

/// Whether two prototypes differ at most in the names of parameters.
fn same_prototype(btf: &Btf, a: TypeId, b: TypeId) -> bool {
    let (Ok(Type::FuncProto(a)), Ok(Type::FuncProto(b))) = (btf.ty(a), btf.ty(b)) else {
        return false;
    };
    a.result == b.result
        && a.len() == b.len()
        && a.params().zip(b.params()).all(|(a, b)| a.ty == b.ty)
}

/// All types of `btf`, those of pairs with the words of what they are taken for; names are offsets of strings.
pub(super) fn replace(btf: &Btf, pairs: &[(TypeId, TypeId)], into: &mut Fragment) {
    into.clear();
    for (_, record) in btf.records() {
        into.push(record);
    }
    for &(from, to) in pairs {
        into.starts[from.0 as usize - 1] = into.starts[to.0 as usize - 1];
    }
}
