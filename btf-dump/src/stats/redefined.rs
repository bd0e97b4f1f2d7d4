//! Finds the names that the base has for something else: a module that was meant to share types with its kernel, and does not,
//! says so here, and the nearest difference is where to look.

use std::collections::BTreeMap;

use btf_core::dedup::Base;
use btf_core::kind::Kind;
use btf_core::{Btf, Result, TypeId};

use super::Homonym;
use super::differ::first_difference;
use crate::names::Names;

/// Of the names of own types, in the order of their kinds, those that types of the base have, too: the first own type and the one of the base
/// that is most like it. The nearest difference comes first.
pub(super) fn redefined<'a>(
    btf: &'a Btf,
    equal: &Base,
    own: &BTreeMap<(&'a [u8], Kind), Vec<TypeId>>,
    names: &mut Names<'a>,
    budget: &mut usize,
) -> Result<Vec<Homonym>> {
    let mut of_base: BTreeMap<(&[u8], Kind), Vec<TypeId>> = BTreeMap::new();
    if !own.is_empty() {
        for id in (1..btf.first_id()).map(TypeId) {
            let ty = btf.ty(id)?;
            let Some(kind) = ty.kind().filter(|&kind| has_definitions(kind)) else {
                continue;
            };
            let name = (names.get(ty.name()).bytes, kind);
            if own.contains_key(&name) {
                of_base.entry(name).or_default().push(id);
            }
        }
    }
    let mut found = Vec::new();
    for (name, ids) in of_base {
        let Some(&one) = own.get(&name).and_then(|own| own.first()) else {
            continue;
        };
        let head = |id| btf.record(id).and_then(|record| record.get(1..3));
        let like = ids.iter().find(|&&id| head(id) == head(one));
        let Some(&other) = like.or(ids.first()) else {
            continue;
        };
        let (path, difference) = first_difference(btf, equal, one, other, budget);
        found.push(Homonym {
            kind: name.1,
            ids: vec![one, other],
            path,
            difference,
        });
    }
    found.sort_by_key(|homonym| homonym.path.len());
    Ok(found)
}

/// Whether types of this kind define a name.
pub(super) fn has_definitions(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Typedef
    )
}
