//! Checks chains of modifiers as the kernel does, whoever the BTF is for.
//!
//! The kernel takes the types in their order and follows each modifier up to one that it has seen. So a chain is too long
//! only if 33 of its modifiers are new in a row: a chain of any length is fine if each modifier stands behind its target.

use std::collections::HashSet;

use super::target::Change;
use super::{Report, Rule, kept_end};
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::types::Type;

/// How many modifiers in a row may be new.
const MAX_CHAIN: u32 = 32;

/// Checks the chains that start at own types.
pub(super) fn check(btf: &Btf, report: &mut Report<'_>) {
    // What stands behind a modifier whose chain is too long: one finding is enough for all of it.
    let mut known = HashSet::new();
    for id in (btf.first_id()..kept_end(btf)).map(TypeId) {
        let is_known = known.remove(&id);
        if (is_known || !check_chain(btf, id, report))
            && let Some(target) = modified(btf, id)
        {
            known.insert(target);
        }
        check_order(btf, id, report);
    }
}

/// The target of a modifier that the kernel keeps.
fn modified(btf: &Btf, id: TypeId) -> Option<TypeId> {
    (id.0 < kept_end(btf)).then(|| btf.ty(id).ok()?.modified())?
}

/// Follows the modifiers from `start`; whether there are few enough.
fn check_chain(btf: &Btf, start: TypeId, report: &mut Report<'_>) -> bool {
    let mut current = start;
    let mut len = 0;
    while let Some(target) = modified(btf, current) {
        len += 1;
        if len > MAX_CHAIN {
            report.add(Rule::ModifierDepth, start, 2, len);
            return false;
        }
        if current < start {
            break;
        }
        if target.0 >= kept_end(btf) {
            report.add(Rule::ModifierEnd, current, 2, target.0);
            break;
        }
        current = target;
    }
    true
}

/// Type tags had to stand in front of the other modifiers.
fn check_order(btf: &Btf, id: TypeId, report: &mut Report<'_>) {
    if report.target.has(Change::TagsAnywhere) {
        return;
    }
    let is_tag = |id| matches!(btf.ty(id), Ok(Type::TypeTag { .. }));
    if let Some(target) = modified(btf, id)
        && is_tag(target)
        && !is_tag(id)
    {
        report.add(Rule::TagOrder, id, 2, target.0);
    }
}
