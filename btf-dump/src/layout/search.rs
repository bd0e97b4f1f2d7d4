//! From a type to the structures that hold it, or a pointer to it.
//!
//! Members of unnamed structures count as members of the named one around them, so every answer is a name and a path that C
//! understands: `task_struct: thread.fpu`.

use btf_core::graph::MAX_DEPTH;
use btf_core::types::Type;
use btf_core::{StrOffset, TypeId};

use super::{Layout, Layouts, MemberLayout};
use crate::names::Names;

/// How a member is related to the type that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is of that type, or an array of it.
    Contains,
    /// It is a pointer to that type, or an array of such pointers.
    PointsTo,
}

/// A member that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The named structure or union.
    pub holder: TypeId,
    /// The member's name, with those of the unnamed structures' members around it.
    pub path: Vec<u8>,
    /// Where it starts, in bytes from the start of `holder`.
    pub offset: u64,
}

/// How deep unnamed structures are followed.
const MAX_NESTING: usize = 64;

/// How many members are looked at at most, for each member that there is: unnamed structures that share others would otherwise
/// take forever.
const MAX_WORK: usize = 16;

/// All members that are related to one of `targets`, a table by id, in the order of the structures' ids.
#[must_use]
pub fn search(layouts: &Layouts<'_>, targets: &[bool], relation: Relation) -> Vec<Found> {
    let mut holders: Vec<_> = layouts.all().iter().collect();
    holders.retain(|layout| layout.name != StrOffset::EMPTY);
    holders.sort_by_key(|layout| layout.id);
    let mut search = Search {
        layouts,
        names: Names::new(layouts.btf()),
        targets,
        relation,
        found: Vec::new(),
        holder: TypeId::VOID,
        path: Vec::new(),
        work: layouts.members.len().saturating_mul(MAX_WORK),
    };
    for layout in holders {
        search.holder = layout.id;
        search.visit(layout, 0, 0);
    }
    search.found
}

struct Search<'l, 'b> {
    layouts: &'l Layouts<'b>,
    names: Names<'b>,
    targets: &'l [bool],
    relation: Relation,
    found: Vec<Found>,
    holder: TypeId,
    /// The names of the members around.
    path: Vec<u8>,
    /// How many more members are looked at.
    work: usize,
}

impl Search<'_, '_> {
    fn visit(&mut self, layout: &Layout, base: u64, depth: usize) {
        for member in self.layouts.members(layout) {
            let Some(work) = self.work.checked_sub(1) else {
                return;
            };
            self.work = work;
            let len = self.path.len();
            let name = self.names.get(member.name).bytes;
            if len > 0 && !name.is_empty() {
                self.path.push(b'.');
            }
            self.path.extend_from_slice(name);
            let offset = base.saturating_add(member.offset.into());
            if self.is_related(member) {
                self.found.push(Found {
                    holder: self.holder,
                    path: self.path.clone(),
                    offset,
                });
            }
            let element = self.element(member.ty);
            if let Some(inner) = self.layouts.get(element)
                && inner.name == StrOffset::EMPTY
                && depth < MAX_NESTING
            {
                self.visit(inner, offset, depth + 1);
            }
            self.path.truncate(len);
        }
    }

    /// Whether one of the names that the member's type goes by is looked for.
    fn is_related(&self, member: &MemberLayout) -> bool {
        let mut id = member.ty;
        let mut has_pointer = self.relation == Relation::Contains;
        for _ in 0..=MAX_DEPTH {
            if has_pointer && self.targets.get(id.0 as usize) == Some(&true) {
                return true;
            }
            id = match self.layouts.btf.ty(id) {
                Ok(Type::Ptr { target }) if !has_pointer => {
                    has_pointer = true;
                    target
                }
                Ok(Type::Array { element, .. }) => element,
                Ok(ty) => match ty.modified() {
                    Some(target) => target,
                    None => return false,
                },
                Err(_) => return false,
            };
        }
        false
    }

    /// What the elements of arrays, and what typedefs and qualifiers lead to.
    fn element(&self, id: TypeId) -> TypeId {
        let mut id = id;
        for _ in 0..=MAX_DEPTH {
            let shape = self.layouts.shape(id);
            match self.layouts.btf.ty(shape.bare) {
                Ok(Type::Array { element, .. }) => id = element,
                _ => return shape.bare,
            }
        }
        id
    }
}
