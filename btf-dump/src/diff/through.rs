//! What has changed because something that it holds has.
//!
//! From each item the walk goes to what it holds by value: members, elements, what a typedef stands for, results and
//! parameters. It stops at pointers. The first item on that way, in the order of members, that has changed itself is the cause.

use btf_core::{Type, TypeId};

use super::side::Side;

/// What has changed in a blob, and because of what.
#[derive(Clone, Debug, Default)]
pub struct Causes {
    /// The first id that belongs to the blob itself.
    first: u32,
    /// For each own type the one that is the cause; `void` for none.
    own: Vec<TypeId>,
    /// Those of the base.
    base: Vec<TypeId>,
}

/// A type whose parts are being looked at.
struct Frame<'b> {
    id: TypeId,
    ty: Type<'b>,
    next: usize,
}

impl Causes {
    /// Finds the causes in a blob in which the types `changed` have changed themselves.
    pub(super) fn new(
        side: &Side<'_>,
        changed: impl Iterator<Item = TypeId>,
        base: Option<&Self>,
    ) -> Self {
        let btf = side.btf();
        let first = btf.first_id();
        let count = btf.end_id().saturating_sub(first) as usize;
        let mut causes = Self {
            first,
            own: vec![TypeId::VOID; count],
            base: base.map_or_else(Vec::new, Self::all),
        };
        let mut is_done = vec![false; count];
        for id in changed {
            let index = id.0.wrapping_sub(first) as usize;
            if let (Some(own), Some(is_done)) = (causes.own.get_mut(index), is_done.get_mut(index))
            {
                *own = id;
                *is_done = true;
            }
        }
        if causes.base.is_empty() && causes.own.iter().all(|id| id.is_void()) {
            return causes;
        }
        let mut stack = Vec::new();
        for (root, ty) in btf.types() {
            stack.push(Frame {
                id: root,
                ty,
                next: 0,
            });
            while let Some(frame) = stack.last_mut() {
                let index = frame.id.0.wrapping_sub(first) as usize;
                // What is open, too, is not looked at again: nothing holds itself.
                if frame.next == 0 && is_done.get(index).is_none_or(|&is_done| is_done) {
                    stack.pop();
                    continue;
                }
                if let Some(is_done) = is_done.get_mut(index) {
                    *is_done = true;
                }
                let Some(part) = part(frame.ty, frame.next) else {
                    stack.pop();
                    continue;
                };
                let is_known = part.0 < first
                    || is_done
                        .get((part.0 - first) as usize)
                        .is_none_or(|&is_done| is_done);
                if !is_known {
                    stack.push(Frame {
                        id: part,
                        ty: side.ty(part),
                        next: 0,
                    });
                    continue;
                }
                frame.next += 1;
                if let Some(cause) = causes.get(part) {
                    if let Some(own) = causes.own.get_mut(index) {
                        *own = cause;
                    }
                    stack.pop();
                }
            }
        }
        causes
    }

    /// What has changed itself and thereby a type; that may be the type itself.
    #[must_use]
    pub fn get(&self, id: TypeId) -> Option<TypeId> {
        let found = match id.0.checked_sub(self.first) {
            Some(index) => self.own.get(index as usize),
            None => self.base.get(id.0 as usize),
        };
        found.copied().filter(|id| !id.is_void())
    }

    /// The causes by id.
    fn all(&self) -> Vec<TypeId> {
        let mut all = self.base.clone();
        all.resize(self.first as usize, TypeId::VOID);
        all.extend_from_slice(&self.own);
        all
    }
}

/// The part number `index` of a type.
fn part(ty: Type<'_>, index: usize) -> Option<TypeId> {
    match ty {
        Type::Struct(composite) | Type::Union(composite) => {
            composite.members().nth(index).map(|member| member.ty)
        }
        Type::FuncProto(proto) => match index.checked_sub(1) {
            None => Some(proto.result),
            Some(index) => proto.params().nth(index).map(|param| param.ty),
        },
        Type::Array {
            element: target, ..
        }
        | Type::Typedef { target, .. }
        | Type::Volatile { target }
        | Type::Const { target }
        | Type::Restrict { target }
        | Type::TypeTag { target, .. }
        | Type::Func { proto: target, .. }
        | Type::Var { target, .. } => (index == 0).then_some(target),
        Type::Void
        | Type::Int(_)
        | Type::Ptr { .. }
        | Type::Enum(_)
        | Type::Enum64(_)
        | Type::Fwd { .. }
        | Type::Datasec(_)
        | Type::Float { .. }
        | Type::DeclTag { .. }
        | Type::Unknown { .. } => None,
    }
}
