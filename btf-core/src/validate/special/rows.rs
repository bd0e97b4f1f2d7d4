//! Rows of modifiers: which tags that matter are in each, and what it ends at. All rows are followed once, however many pointers
//! lead into one.

use std::collections::HashMap;

use super::super::kept_end;
use super::find::{MAX_SPECIAL_LEN, Special};
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::types::Type;

/// The tag of pointers to a user's memory, which are no kptrs.
const UPTR: &[u8] = b"uptr";

/// A tag that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// That of a kptr.
    Kptr(Special),
    /// That of a pointer to a user's memory.
    User,
}

impl Tag {
    const ALL: [Self; 4] = [
        Self::Kptr(Special::KptrUntrusted),
        Self::Kptr(Special::KptrReferenced),
        Self::Kptr(Special::KptrPercpu),
        Self::User,
    ];

    /// What a type tag is.
    pub(super) fn of(btf: &Btf, ty: &Type<'_>) -> Option<Self> {
        let &Type::TypeTag {
            name,
            is_attribute: false,
            ..
        } = ty
        else {
            return None;
        };
        let text = btf.start_of_string(name, MAX_SPECIAL_LEN);
        if text == UPTR {
            return Some(Self::User);
        }
        Special::of_tag(text).map(Self::Kptr)
    }
}

/// Which tags are there: a bit for each of [`Tag::ALL`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tags(u8);

impl Tags {
    fn add(&mut self, tag: Tag) {
        let index = Tag::ALL.iter().position(|&known| known == tag);
        self.0 |= index.map_or(0, |index| 1 << index);
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The tag, if there is one only.
    pub(super) fn only(self) -> Option<Tag> {
        let index = self.0.trailing_zeros() as usize;
        Tag::ALL
            .get(index)
            .copied()
            .filter(|_| self.0.is_power_of_two())
    }
}

/// A row of modifiers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) tags: Tags,
    /// The type behind the last modifier.
    pub(super) end: TypeId,
}

/// The rows that start at each modifier.
pub(super) struct Rows(HashMap<TypeId, Row>);

impl Rows {
    /// Follows the modifiers of BTF without cycles.
    pub(super) fn of(btf: &Btf) -> Self {
        let mut rows = Self(HashMap::new());
        let mut path = Vec::new();
        for start in (1..kept_end(btf)).map(TypeId) {
            let mut id = start;
            while !rows.0.contains_key(&id)
                && let Ok(ty) = btf.ty(id)
                && let Some(target) = ty.modified()
            {
                path.push((id, Tag::of(btf, &ty)));
                id = target;
            }
            let mut row = rows.get(id);
            for (id, tag) in path.drain(..).rev() {
                if let Some(tag) = tag {
                    row.tags.add(tag);
                }
                rows.0.insert(id, row);
            }
        }
        rows
    }

    /// The row that starts at a type, which is empty if that is no modifier.
    pub(super) fn get(&self, id: TypeId) -> Row {
        let row = self.0.get(&id).copied();
        row.unwrap_or(Row {
            tags: Tags::default(),
            end: id,
        })
    }
}
