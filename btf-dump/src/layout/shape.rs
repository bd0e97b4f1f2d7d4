//! What a type takes in memory, computed from the bottom up: a type is left after all that it contains.

use btf_core::graph::Visitor;
use btf_core::types::Type;
use btf_core::wire::Info;
use btf_core::{Kind, TypeId};

use super::{Layouts, composite};

/// What a value of a type takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Its size in bytes; 0 if it has none.
    pub(crate) size: u64,
    /// What its address is a multiple of if no attribute says otherwise, in bytes; 0 if it has no size.
    pub(crate) alignment: u32,
    /// The same with all attributes, as far as they can be inferred.
    pub(crate) required: u32,
    /// The type without typedefs, qualifiers and tags.
    pub(crate) bare: TypeId,
    /// Where its layout is, if it is a structure or union.
    pub(crate) layout: Option<u32>,
}

impl Visitor for Layouts<'_> {
    /// From a type to what a value of it contains.
    fn follows(&mut self, from: TypeId, _: TypeId) -> bool {
        let kind = self.btf.info(from).and_then(Info::kind);
        kind.is_some_and(|kind| {
            kind.is_modifier() || matches!(kind, Kind::Struct | Kind::Union | Kind::Array)
        })
    }

    fn leave(&mut self, id: TypeId) {
        let Ok(ty) = self.btf.ty(id) else { return };
        let shape = self.shape_of(id, ty);
        if let Some(slot) = self.shapes.get_mut(id.0 as usize) {
            *slot = shape;
        }
    }
}

impl Layouts<'_> {
    fn shape_of(&mut self, id: TypeId, ty: Type<'_>) -> Shape {
        if let Some((composite, is_union)) = composite(ty) {
            return self.lay_out(id, &composite, is_union);
        }
        if let Some(target) = ty.modified() {
            return self.shape(target);
        }
        if let Type::Array { element, count, .. } = ty {
            let element = self.shape(element);
            return Shape {
                size: element.size.saturating_mul(count.into()),
                alignment: element.alignment,
                required: element.required,
                bare: id,
                layout: None,
            };
        }
        let is_pointer = matches!(ty, Type::Ptr { .. });
        let pointer_size = is_pointer.then_some(self.machine.pointer_size);
        let size = ty.own_size().or(pointer_size).unwrap_or(0);
        Shape {
            size: size.into(),
            alignment: size,
            required: size,
            bare: id,
            layout: None,
        }
    }
}
