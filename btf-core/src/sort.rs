//! Orders the types of BTF by their names, as kernels since 7.0 look them up.
//!
//! Names are compared bytewise, types without a name come first, and types of one name keep their order. So does
//! `resolve_btfids` of the kernel order them, and it is what [`Btf::is_sorted`] asks for.
#![deny(clippy::indexing_slicing)]

use std::collections::HashMap;

use crate::builder::Builder;
use crate::error::{ErrorKind, Result};
use crate::ids::{StrOffset, TypeId};
use crate::overlap::BoundedStrings;
use crate::reader::Btf;
use crate::refs::{rewrite_refs, word_roles};
use crate::wire::Info;

/// BTF in the order of its names.
#[derive(Debug)]
pub struct Sorted {
    /// The types, on the same base as before.
    pub builder: Builder,
    first: u32,
    ids: Vec<TypeId>,
}

impl Sorted {
    /// The id that the type `id` has now; those of the base keep theirs.
    #[must_use]
    pub fn new_id(&self, id: TypeId) -> TypeId {
        new_id(&self.ids, self.first, id)
    }
}

fn new_id(ids: &[TypeId], first: u32, id: TypeId) -> TypeId {
    let own = id.0.checked_sub(first);
    own.and_then(|own| ids.get(own as usize).copied())
        .unwrap_or(id)
}

/// Orders the own types of `btf` by their names.
///
/// # Errors
/// [`ErrorKind::StringOutOfRange`] for a name that does not exist, [`ErrorKind::UnknownKind`] for a type whose references are not
/// known, [`ErrorKind::Invalid`] if names overlap so much that comparing them takes too long.
pub fn sort_by_name(btf: &Btf) -> Result<Sorted> {
    let ranks = rank_names(btf)?;
    let rank = |record: &[u32]| {
        let name = record.first().copied().unwrap_or(0);
        ranks.get(&name).copied().unwrap_or(0)
    };
    let mut order: Vec<_> = btf
        .records()
        .map(|(id, record)| (rank(record), id))
        .collect();
    order.sort_unstable();
    let first = btf.first_id();
    let mut ids = vec![TypeId::VOID; order.len()];
    for (&(_, id), new) in order.iter().zip(first..) {
        if let Some(slot) = ids.get_mut((id.0 - first) as usize) {
            *slot = TypeId(new);
        }
    }
    let mut builder = Builder::without_types_of(btf);
    let mut words = Vec::new();
    for &(_, id) in &order {
        let record = btf.record(id).unwrap_or_default();
        words.clear();
        words.extend_from_slice(record);
        let info = Info(record.get(1).copied().unwrap_or(0));
        if word_roles(info).next().is_none() {
            let error = ErrorKind::UnknownKind(info.kind_number());
            return Err(crate::Error::new(error).in_type(id));
        }
        rewrite_refs(&mut words, Ok::<_, crate::Error>, |id| {
            Ok(new_id(&ids, first, id))
        })?;
        builder.push_record(&words)?;
    }
    Ok(Sorted {
        builder,
        first,
        ids,
    })
}

/// The place of each name in their order, by its offset. Equal names have equal ranks.
fn rank_names(btf: &Btf) -> Result<HashMap<u32, u32>> {
    let mut offsets: Vec<u32> = btf
        .records()
        .filter_map(|(_, record)| record.first().copied())
        .collect();
    offsets.sort_unstable();
    offsets.dedup();
    let mut strings = BoundedStrings::new(btf);
    let mut names = Vec::with_capacity(offsets.len());
    for offset in offsets {
        names.push((strings.get(StrOffset(offset))?, offset));
    }
    names.sort_unstable();
    let mut ranks = HashMap::with_capacity(names.len());
    let (mut rank, mut before) = (0, &b""[..]);
    for (name, offset) in names {
        rank += u32::from(name != before);
        before = name;
        ranks.insert(offset, rank);
    }
    Ok(ranks)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kind::Kind;
    use crate::wire::int;

    #[test]
    fn unnamed_types_come_first_and_equal_names_keep_their_order() {
        let mut builder = Builder::new();
        let z = builder.int(b"z", 4, int::SIGNED).unwrap();
        let ptr = builder.ptr(z).unwrap();
        let first = builder.composite(Kind::Struct, b"a", 4, &[]).unwrap();
        let second = builder.composite(Kind::Union, b"a", 8, &[]).unwrap();
        let btf = builder.finish().unwrap();
        assert!(!btf.is_sorted());
        let sorted = sort_by_name(&btf).unwrap();
        let ids = [ptr, first, second, z].map(|id| sorted.new_id(id).0);
        assert_eq!(ids, [1, 2, 3, 4]);
        let again = sorted.builder.finish().unwrap();
        assert!(again.is_sorted());
        assert_eq!(again.record(TypeId(1)).unwrap()[2], 4);
        assert_eq!(again.string_bytes(), btf.string_bytes());
        let twice = sort_by_name(&again).unwrap();
        assert_eq!(twice.builder.finish().unwrap().words(), again.words());
    }

    #[test]
    fn types_of_the_base_keep_their_ids() {
        let mut base = Builder::new();
        let int = base.int(b"int", 4, int::SIGNED).unwrap();
        let mut split = Builder::with_base(Arc::new(base.finish().unwrap()));
        let b = split.typedef(b"b", int).unwrap();
        let a = split.typedef(b"a", b).unwrap();
        let sorted = sort_by_name(&split.finish().unwrap()).unwrap();
        assert_eq!([int, a, b].map(|id| sorted.new_id(id).0), [1, 2, 3]);
        let btf = sorted.builder.finish().unwrap();
        assert!(btf.is_sorted());
        assert_eq!(btf.record(a).unwrap()[2], 1);
    }
}
