//! Walks the graph: types that contain themselves, nesting that is too deep, and what each type comes to.

use super::{Report, Rule};
use crate::graph::{POINTER_SIZE, Visitor, depth_first};
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::reader::Btf;
use crate::types::Type;
use crate::wire::Info;

/// How many modifiers may follow each other, and how deep types may be nested while the kernel resolves them.
const MAX_KERNEL_DEPTH: u32 = 32;

/// What a type comes to.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// The type without its modifiers.
    pub(super) stripped: TypeId,
    /// The size in bytes, if it has one.
    pub(super) size: Option<u64>,
    /// How many modifiers are in front of `stripped`.
    modifiers: u32,
}

/// The shape of each type, by id; `None` for types that are not reached or contain themselves.
pub(super) type Shapes = Vec<Option<Shape>>;

/// Finds types that contain themselves and too long chains of modifiers.
pub(super) fn shapes<'a>(btf: &'a Btf, report: &mut Report<'a>) -> Shapes {
    let mut walk = Containment {
        btf,
        shapes: vec![None; btf.end_id() as usize],
        report,
    };
    if let Some(void) = walk.shapes.first_mut() {
        *void = Some(Shape {
            stripped: TypeId::VOID,
            size: None,
            modifiers: 0,
        });
    }
    depth_first(btf, own_ids(btf), &mut walk);
    walk.shapes
}

fn own_ids(btf: &Btf) -> impl Iterator<Item = TypeId> {
    (btf.first_id()..btf.end_id()).map(TypeId)
}

fn kind_of(btf: &Btf, id: TypeId) -> Option<Kind> {
    btf.info(id).and_then(Info::kind)
}

/// Goes from each type to those that it contains or modifies.
struct Containment<'a, 'r> {
    btf: &'a Btf,
    shapes: Shapes,
    report: &'r mut Report<'a>,
}

impl Containment<'_, '_> {
    fn shape(&self, id: TypeId) -> Option<Shape> {
        self.shapes.get(id.0 as usize).copied().flatten()
    }

    /// The shape of a type whose parts are known.
    fn compute(&self, id: TypeId) -> Option<Shape> {
        let ty = self.btf.ty(id).ok()?;
        if let Some(target) = ty.modified() {
            let shape = self.shape(target)?;
            return Some(Shape {
                modifiers: shape.modifiers.saturating_add(1),
                ..shape
            });
        }
        let size = if let Type::Array { element, count, .. } = ty {
            let element = self.shape(element)?.size;
            element.map(|size| size.saturating_mul(count.into()))
        } else if matches!(ty, Type::Ptr { .. }) {
            Some(POINTER_SIZE.into())
        } else if matches!(ty, Type::Datasec(_)) {
            None
        } else {
            ty.own_size().map(u64::from)
        };
        Some(Shape {
            stripped: id,
            size,
            modifiers: 0,
        })
    }
}

impl Visitor for Containment<'_, '_> {
    fn follows(&mut self, from: TypeId, _: TypeId) -> bool {
        kind_of(self.btf, from).is_some_and(Kind::contains)
    }

    fn leave(&mut self, id: TypeId) {
        let shape = self.compute(id);
        if let Some(slot) = self.shapes.get_mut(id.0 as usize) {
            *slot = shape;
        }
        // Every longer chain is too long as well, but one finding is enough.
        if shape.is_some_and(|shape| shape.modifiers == MAX_KERNEL_DEPTH + 1)
            && kind_of(self.btf, id).is_some_and(Kind::is_modifier)
        {
            self.report
                .add(Rule::ModifierDepth, id, 2, MAX_KERNEL_DEPTH + 1);
        }
    }

    fn cycle(&mut self, cycle: &mut dyn Iterator<Item = TypeId>) {
        // The first type is enough to find the others by.
        if let Some(first) = cycle.next() {
            self.report.add(Rule::Cycle, first, 0, first.0);
        }
    }
}

/// Finds pointers that only lead back to themselves, and nesting that is too deep for the kernel.
pub(super) fn check_pointers<'a>(btf: &'a Btf, report: &mut Report<'a>) {
    let mut walk = KernelWalk {
        btf,
        mode: Mode::Undecided,
        report,
    };
    depth_first(btf, own_ids(btf), &mut walk);
}

/// What the kernel resolves in one go, decided by the first pointer, structure or array.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Undecided,
    Pointer,
    Containment,
}

/// Walks in the order in which the kernel resolves types, since its depth limit depends on it.
struct KernelWalk<'a, 'r> {
    btf: &'a Btf,
    mode: Mode,
    report: &'r mut Report<'a>,
}

impl Visitor for KernelWalk<'_, '_> {
    fn follows(&mut self, from: TypeId, to: TypeId) -> bool {
        let (Some(from), Some(to)) = (kind_of(self.btf, from), kind_of(self.btf, to)) else {
            return false;
        };
        let resolves = |kind| {
            Kind::contains(kind)
                || matches!(kind, Kind::Ptr | Kind::Var | Kind::Datasec | Kind::DeclTag)
        };
        resolves(from)
            && match self.mode {
                Mode::Undecided => resolves(to),
                Mode::Pointer => to.is_modifier() || to == Kind::Ptr,
                Mode::Containment => to.contains(),
            }
    }

    fn enter(&mut self, id: TypeId, depth: usize) {
        if depth == 0 {
            self.mode = Mode::Undecided;
        }
        if depth == MAX_KERNEL_DEPTH as usize {
            self.report
                .add(Rule::ResolveDepth, id, 0, MAX_KERNEL_DEPTH + 1);
        }
        let kind = kind_of(self.btf, id);
        if self.mode == Mode::Undecided {
            self.mode = match kind {
                Some(Kind::Ptr) => Mode::Pointer,
                Some(Kind::Struct | Kind::Union | Kind::Array) => Mode::Containment,
                _ => Mode::Undecided,
            };
        }
    }

    fn cycle(&mut self, cycle: &mut dyn Iterator<Item = TypeId>) {
        // Without a pointer, it is found as a type that contains itself.
        if self.mode != Mode::Pointer {
            return;
        }
        for id in cycle {
            if kind_of(self.btf, id) == Some(Kind::Ptr) {
                self.report.add(Rule::PointerCycle, id, 2, id.0);
                break;
            }
        }
    }
}
