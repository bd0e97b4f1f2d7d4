//! What a declaration needs to stand before it in the header.
//!
//! C wants a complete type where a value of it is laid out (a member, an element of an array), and only a declared one behind a
//! pointer or in a prototype. Types without a name are written out where they are used, so what they need is needed there.

use btf_core::graph::MAX_DEPTH;
use btf_core::types::{Composite, FuncProto};
use btf_core::{Error, ErrorKind, Kind, Result, StrOffset, Type, TypeId};

use super::tables::Node;
use super::view::{View, composite, is_composite, too_deep};

/// How a declaration uses a type that has a declaration of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It must be defined before.
    Defined(TypeId),
    /// It must be declared before.
    Declared(TypeId),
    /// An enumeration without a name, which is written out in the declaration.
    Inline(TypeId),
}

/// A type that is used, and how.
#[derive(Clone, Copy, Debug)]
struct Step {
    id: TypeId,
    /// Whether it must be complete.
    is_value: bool,
    /// Whether a typedef has already written it out, if it has no name.
    is_written: bool,
    /// The modifiers, pointers and arrays on the way from the last type with elements; or [`MERGED`].
    depth: u32,
}

/// The depth of a structure or union whose members an unnamed member merges: its name, if it has one, is not written.
const MERGED: u32 = u32::MAX;

/// Finds needs; keeps its memory from one declaration to the next.
#[derive(Debug)]
pub(crate) struct Walker<'a> {
    view: View<'a>,
    stack: Vec<Step>,
    /// For each type twice the last walk that came by, and one more if it was to be complete.
    seen: Vec<u32>,
    walk: u32,
    /// The steps that are left. Types without a name are walked through for each declaration that writes them out, so
    /// input could ask for the square of its length.
    budget: u64,
}

/// The needs of all types that have declarations.
#[derive(Debug)]
pub(crate) struct Needs<'a> {
    walker: Walker<'a>,
    all: Vec<Need>,
    /// For each type, where in `all` its needs end. They begin where those of the type before end.
    ends: Vec<u32>,
    /// For each type, whether it is an enumeration that is written out in another declaration.
    inline: Vec<bool>,
    /// For each type, whether another one needs it complete.
    complete: Vec<bool>,
}

impl<'a> Needs<'a> {
    /// Finds the needs of all structures and unions that have a name, and of typedefs. `budget` bounds the steps.
    ///
    /// # Errors
    /// As [`Walker::walk`].
    pub(crate) fn new(view: View<'a>, budget: u64) -> Result<Self> {
        let mut needs = Self {
            walker: Walker {
                view,
                stack: Vec::new(),
                seen: view.table(0),
                walk: 0,
                budget,
            },
            all: Vec::new(),
            ends: Vec::with_capacity(view.btf.end_id() as usize),
            inline: view.table(false),
            complete: view.table(false),
        };
        needs.ends.push(0);
        for id in view.ids() {
            let node = view.node(id)?;
            let is_named = node.name != StrOffset::EMPTY;
            if is_composite(node.kind) && is_named || node.kind == Some(Kind::Typedef) {
                needs.find(id)?;
            }
            needs.ends.push(offset(&needs.all));
        }
        Ok(needs)
    }

    fn find(&mut self, id: TypeId) -> Result<()> {
        self.walker.definition(id)?;
        let Self {
            walker,
            all,
            inline,
            complete,
            ..
        } = self;
        walker.walk(|need| {
            all.push(need);
            let (table, id) = match need {
                Need::Inline(id) => (&mut *inline, id),
                Need::Defined(id) => (&mut *complete, id),
                Need::Declared(_) => return,
            };
            if let Some(slot) = table.get_mut(id.0 as usize) {
                *slot = true;
            }
        })
    }

    /// Where in [`Needs::at`] the needs of an item begin and end.
    pub(crate) fn range(&self, id: TypeId) -> (u32, u32) {
        let end = |index: Option<usize>| index.and_then(|index| self.ends.get(index).copied());
        let index = id.0 as usize;
        let start = end(index.checked_sub(1)).unwrap_or(0);
        (start, end(Some(index)).unwrap_or(start))
    }

    /// A need.
    pub(crate) fn at(&self, index: u32) -> Option<Need> {
        self.all.get(index as usize).copied()
    }

    /// Whether an enumeration is written out in another declaration.
    pub(crate) fn is_inline(&self, id: TypeId) -> bool {
        self.inline.get(id.0 as usize).copied().unwrap_or(false)
    }

    /// Whether another declaration needs a type complete.
    pub(crate) fn is_complete(&self, id: TypeId) -> bool {
        self.complete.get(id.0 as usize).copied().unwrap_or(false)
    }

    /// What the declaration of a variable or function of a type needs.
    ///
    /// # Errors
    /// As [`Walker::walk`].
    pub(crate) fn of_use(&mut self, id: TypeId) -> Result<Vec<Need>> {
        let mut needs = Vec::new();
        self.walker.restart();
        self.walker.push(id, false, 0);
        self.walker.walk(|need| needs.push(need))?;
        Ok(needs)
    }
}

/// The index of what is pushed next. The budget keeps it within 32 bits.
fn offset(needs: &[Need]) -> u32 {
    u32::try_from(needs.len()).unwrap_or(u32::MAX)
}

impl<'a> Walker<'a> {
    fn restart(&mut self) {
        self.walk += 1;
    }

    /// Begins with the definition of an item.
    fn definition(&mut self, id: TypeId) -> Result<()> {
        self.restart();
        let ty = self.view.ty(id)?;
        if let Type::Typedef { target, .. } = ty {
            self.push(target, false, 0);
        } else if let Some((composite, _)) = composite(ty) {
            self.push_members(composite)?;
        }
        Ok(())
    }

    fn push(&mut self, id: TypeId, is_value: bool, depth: u32) {
        self.stack.push(Step {
            id,
            is_value,
            is_written: false,
            depth,
        });
    }

    /// Puts the members on the stack, the first one on top.
    fn push_members(&mut self, composite: Composite<'a>) -> Result<()> {
        for member in composite.members().rev() {
            match self.view.merged_composite(&member)? {
                Some(merged) => self.push(merged, false, MERGED),
                None => self.push(member.ty, true, 0),
            }
        }
        Ok(())
    }

    fn push_prototype(&mut self, proto: FuncProto<'_>) {
        for param in proto.params().rev() {
            self.push(param.ty, false, 0);
        }
        self.push(proto.result, false, 0);
    }

    /// Whether this walk comes by a type for the first time, or for the first time with the wish that it be complete.
    fn is_new(&mut self, id: TypeId, is_value: bool) -> bool {
        let mark = self.walk * 2 + u32::from(is_value);
        match self.seen.get_mut(id.0 as usize) {
            Some(seen) if *seen < mark => {
                *seen = mark;
                true
            }
            _ => false,
        }
    }

    /// Calls `need` with all that the types on the stack need, in the order of the text.
    ///
    /// # Errors
    /// An id that does not exist, a chain of more than [`MAX_DEPTH`] types, a reference to what is no type in C; more steps
    /// than the budget has.
    fn walk(&mut self, mut need: impl FnMut(Need)) -> Result<()> {
        while let Some(step) = self.stack.pop() {
            let Some(budget) = self.budget.checked_sub(1) else {
                let (what, value) = ("expansion of types without names", self.walk.into());
                return Err(ErrorKind::TooLarge {
                    what,
                    value,
                    limit: 0,
                }
                .into());
            };
            self.budget = budget;
            self.step(step, &mut need)?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step, need: &mut impl FnMut(Need)) -> Result<()> {
        let Step {
            id,
            is_value,
            depth,
            ..
        } = step;
        if depth > MAX_DEPTH && depth != MERGED {
            return Err(too_deep(id));
        }
        let node = self.view.node(id)?;
        let target = TypeId(node.third);
        let Some(kind) = node.kind else { return Ok(()) };
        match kind {
            Kind::Int | Kind::Float => {}
            Kind::Ptr => self.push(target, false, depth + 1),
            Kind::Array => {
                if let Type::Array { element, .. } = self.view.ty(id)? {
                    self.push(element, true, depth + 1);
                }
            }
            Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => {
                let depth = depth + 1;
                self.stack.push(Step {
                    id: target,
                    depth,
                    ..step
                });
            }
            Kind::FuncProto => {
                if self.is_new(id, is_value)
                    && let Type::FuncProto(proto) = self.view.ty(id)?
                {
                    self.push_prototype(proto);
                }
            }
            Kind::Typedef => self.typedef(step, node, need),
            Kind::Fwd => need(Need::Declared(id)),
            Kind::Struct | Kind::Union => {
                if node.name != StrOffset::EMPTY && depth != MERGED {
                    if self.is_new(id, is_value) {
                        need(if is_value {
                            Need::Defined(id)
                        } else {
                            Need::Declared(id)
                        });
                    }
                } else if !step.is_written
                    && self.is_new(id, is_value)
                    && let Some((composite, _)) = composite(self.view.ty(id)?)
                {
                    self.push_members(composite)?;
                }
            }
            Kind::Enum | Kind::Enum64 => {
                if node.name != StrOffset::EMPTY {
                    // Only GNU C can declare an enumeration, so that is for those that are not defined anywhere.
                    let is_empty = self.view.btf.info(id).is_some_and(|info| info.vlen() == 0);
                    let is_declared = is_empty && !is_value;
                    need(if is_declared {
                        Need::Declared(id)
                    } else {
                        Need::Defined(id)
                    });
                } else if !step.is_written {
                    need(Need::Inline(id));
                }
            }
            Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag => return Err(not_a_type(id)),
        }
        Ok(())
    }

    /// A typedef is needed itself, and, for a value, what it stands for.
    fn typedef(&mut self, step: Step, node: Node, need: &mut impl FnMut(Need)) {
        let Step {
            id,
            is_value,
            depth,
            ..
        } = step;
        if !self.is_new(id, is_value) {
            return;
        }
        let (target, depth) = (TypeId(node.third), depth + 1);
        if node.is_builtin {
            // It is not written, but what it stands for is.
            self.push(target, is_value, depth);
            return;
        }
        need(Need::Defined(id));
        if is_value {
            self.stack.push(Step {
                id: target,
                is_value,
                is_written: true,
                depth,
            });
        }
    }
}

/// The error for a reference to a record that is no type in C, such as a function.
pub(crate) fn not_a_type(id: TypeId) -> Error {
    let (what, value) = ("kind of a type that is referred to as a type", id.0.into());
    Error::new(ErrorKind::Invalid { what, value }).in_type(id)
}
