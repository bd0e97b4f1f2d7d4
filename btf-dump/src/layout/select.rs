//! Finds types by their names, and keeps those with a property.

use btf_core::types::Type;
use btf_core::{Kind, StrOffset, TypeId};

use super::reorganize::reorganize;
use super::{Layout, Layouts};
use crate::names::Names;
use btf_core::cli::pattern::Pattern;

/// Which structures are wanted. All conditions must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// At least so many holes (pahole's `--holes`).
    pub holes: u32,
    /// At least so many bytes of padding (pahole's `--padding_ge`).
    pub padding: u32,
    /// Only those that another order of members makes smaller (pahole's `--packable`).
    pub is_packable: bool,
}

impl Filter {
    /// Whether everything is wanted.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a structure is wanted.
    #[must_use]
    pub fn accepts(&self, layouts: &Layouts<'_>, layout: &Layout) -> bool {
        layout.gaps.holes >= self.holes
            && layout.gaps.padding >= self.padding
            && (!self.is_packable || reorganize(layouts, layout).is_ok_and(|new| new.saved() > 0))
    }
}

/// What a pattern has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The types, by pattern and then by id, each once.
    pub ids: Vec<TypeId>,
    /// The patterns, by their indices, that no type matches.
    pub missing: Vec<usize>,
}

/// The types with a layout whose names match: structures, unions, enumerations and typedefs, of this BTF and its bases.
///
/// A typedef that is called as what it stands for is left out if that is found.
#[must_use]
pub fn by_name(layouts: &Layouts<'_>, patterns: &[Pattern]) -> Selected {
    let btf = layouts.btf();
    let mut selected = Selected::default();
    let mut names = Names::new(btf);
    let mut is_selected = vec![false; btf.end_id() as usize];
    for (index, pattern) in patterns.iter().enumerate() {
        let start = selected.ids.len();
        let mut is_known = false;
        let mut add = |id: TypeId| {
            is_known = true;
            if let Some(slot) = is_selected.get_mut(id.0 as usize)
                && !std::mem::replace(slot, true)
            {
                selected.ids.push(id);
            }
        };
        match pattern.name() {
            Some(name) => btf
                .find_by_name(name)
                .filter(|&id| has_layout(layouts, id))
                .for_each(&mut add),
            None => (1..btf.end_id())
                .map(TypeId)
                .filter(|&id| has_layout(layouts, id))
                .filter(|&id| {
                    btf.ty(id)
                        .is_ok_and(|ty| pattern.matches(names.get(ty.name()).bytes))
                })
                .for_each(&mut add),
        }
        if !is_known {
            selected.missing.push(index);
        }
        let new: Vec<_> = selected.ids.drain(start..).collect();
        let is_renamed = |id: &TypeId| {
            let Ok(Type::Typedef { name, .. }) = btf.ty(*id) else {
                return false;
            };
            let bare = layouts.shape(*id).bare;
            new.contains(&bare) && btf.ty(bare).is_ok_and(|ty| ty.name() == name)
        };
        selected.ids.extend(new.iter().filter(|id| !is_renamed(id)));
    }
    selected
}

/// The structures and unions with a name that a BTF has itself, by id.
#[must_use]
pub fn own_composites(layouts: &Layouts<'_>) -> Vec<TypeId> {
    let btf = layouts.btf();
    let ids = (btf.first_id()..btf.end_id()).map(TypeId);
    let is_named = |id: &TypeId| {
        layouts
            .get(*id)
            .is_some_and(|layout| layout.name != StrOffset::EMPTY)
    };
    ids.filter(is_named).collect()
}

/// The names that [`by_name`] can find.
pub fn known_names<'b>(layouts: &Layouts<'b>) -> Vec<&'b [u8]> {
    let btf = layouts.btf();
    let ids = (1..btf.end_id()).map(TypeId);
    let named = ids.filter(|&id| has_layout(layouts, id));
    let mut names = Names::new(btf);
    let names = named.filter_map(|id| Some(names.get(btf.ty(id).ok()?.name()).bytes));
    names.collect()
}

/// Whether a type has a name and a text: a structure, union, enumeration or typedef.
fn has_layout(layouts: &Layouts<'_>, id: TypeId) -> bool {
    let btf = layouts.btf();
    let has_name = || btf.record(id).and_then(<[u32]>::first) != Some(&0);
    let kind = btf.info(id).and_then(btf_core::Info::kind);
    let is_kind = |kind| {
        matches!(
            kind,
            Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Typedef
        )
    };
    kind.is_some_and(is_kind) && has_name()
}
