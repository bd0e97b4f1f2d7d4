//! Follows an access of the program in a type of the kernel, and compares types member by member.

use std::collections::{HashMap, HashSet};

use super::RelocationKind;
use super::compatible::{self, MAX_CHAIN, MAX_LEVEL};
use super::fault::{Fault, Mismatch};
use super::names::{essential_at, name_at};
use super::spec::{MAX_LEN, Spec, Step, element_offset, is_flexible};
use crate::graph::strip_modifiers;
use crate::ids::{StrOffset, TypeId};
use crate::reader::Btf;
use crate::types::{Composite, Enumeration, FuncProto, Member, Type};

/// How many members, enumerators and types are looked at for all relocations of a program and one kernel.
///
/// A relocation takes a step for each member in front of the one that it names, in each type of the name: a few hundred for the
/// largest structures of kernels.
pub const MAX_STEPS: u32 = 1 << 24;

/// What is left of [`MAX_STEPS`].
#[derive(Debug)]
pub struct Budget(u32);

impl Default for Budget {
    fn default() -> Self {
        Self(MAX_STEPS)
    }
}

impl Budget {
    /// A smaller one.
    #[cfg(test)]
    pub(super) fn of(steps: u32) -> Self {
        Self(steps)
    }

    /// Takes a step.
    pub(super) fn step(&mut self) -> Result<(), Fault> {
        self.steps(1)
    }

    /// Takes so many steps.
    pub(super) fn steps(&mut self, count: usize) -> Result<(), Fault> {
        let left = u32::try_from(count).ok();
        let left = left.and_then(|count| self.0.checked_sub(count));
        self.0 = left.ok_or(Fault::TooManySteps)?;
        Ok(())
    }
}

/// A program's types and a kernel's that are compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair<'a> {
    /// The program's.
    pub(super) local: &'a Btf,
    /// The kernel's, or a module's.
    pub(super) target: &'a Btf,
    /// The size of the target's pointers in bytes.
    pub(super) pointer_size: u32,
}

/// What a candidate says: the same access in its types, or why there is none.
pub(super) type Followed = Result<Spec, Mismatch>;

impl Pair<'_> {
    /// Follows `spec` from the type `root` of the kernel.
    pub(super) fn follow(
        &self,
        spec: &Spec,
        kind: RelocationKind,
        root: TypeId,
        budget: &mut Budget,
    ) -> Result<Followed, Fault> {
        budget.step()?;
        if kind.is_field() {
            return self.follow_fields(spec, root, budget);
        }
        if kind.is_enumerator() {
            return self.follow_enumerator(spec, root, budget);
        }
        let (local, target) = (self.local, self.target);
        let matches = if kind == RelocationKind::TypeMatches {
            let mut matcher = Matcher {
                pair: *self,
                budget,
            };
            matcher.types(spec.root, root, false, MAX_LEVEL)?
        } else {
            compatible::types(local, spec.root, target, root, budget)?
        };
        Ok(if matches {
            Ok(Spec::of_type(root))
        } else {
            Err(Mismatch::Types)
        })
    }

    fn follow_enumerator(
        &self,
        spec: &Spec,
        root: TypeId,
        budget: &mut Budget,
    ) -> Result<Followed, Fault> {
        let ty = strip_modifiers(self.target, root)?;
        let (Type::Enum(enumeration) | Type::Enum64(enumeration)) = self.target.ty(ty)? else {
            return Ok(Err(Mismatch::NoEnumerator));
        };
        let wanted = self.enumerator_name(spec)?;
        budget.steps(enumeration.len())?;
        let is_wanted = |name| wanted.is_some() && essential_at(self.target, name) == wanted;
        let mut values = enumeration.enumerators();
        let found = values.position(|value| is_wanted(value.name));
        Ok(match found.and_then(|index| u32::try_from(index).ok()) {
            Some(index) => Ok(Spec {
                root,
                steps: vec![Step::Enumerator { ty, index }],
                bit_offset: 0,
            }),
            None => Err(Mismatch::NoEnumerator),
        })
    }

    /// The essential name of the enumerator that the program asks for.
    fn enumerator_name(&self, spec: &Spec) -> Result<Option<&[u8]>, Fault> {
        let Some(&Step::Enumerator { ty, index }) = spec.steps.first() else {
            return Ok(None);
        };
        let (Type::Enum(values) | Type::Enum64(values)) = self.local.ty(ty)? else {
            return Ok(None);
        };
        let value = values.enumerators().nth(index as usize);
        Ok(value.and_then(|value| essential_at(self.local, value.name)))
    }

    fn follow_fields(
        &self,
        spec: &Spec,
        root: TypeId,
        budget: &mut Budget,
    ) -> Result<Followed, Fault> {
        let mut way = Way {
            spec: Spec::of_type(root),
            at: root,
        };
        // Members without a name are the program's own matter: the kernel may have none there, or others.
        let steps = spec.steps.iter().enumerate();
        let steps = steps.filter(|(_, step)| {
            !matches!(
                step,
                Step::Member {
                    is_named: false,
                    ..
                }
            )
        });
        for (number, step) in steps {
            let followed = match *step {
                Step::Element { index, .. } => self.go_to_element(&mut way, number, index)?,
                Step::Member {
                    composite, index, ..
                } => self.go_to_member(&mut way, number, (composite, index), budget)?,
                Step::Enumerator { .. } => return Err(Fault::Access("a step to an enumerator")),
            };
            if let Err(mismatch) = followed {
                return Ok(Err(mismatch));
            }
        }
        Ok(Ok(way.spec))
    }

    /// Goes on to an element. For the first step, the root is the element's type.
    fn go_to_element(
        &self,
        way: &mut Way,
        number: usize,
        index: u32,
    ) -> Result<Result<(), Mismatch>, Fault> {
        let mut ty = strip_modifiers(self.target, way.at)?;
        if number > 0 {
            let (target, step) = (ty, number);
            let Type::Array { element, count, .. } = self.target.ty(ty)? else {
                return Ok(Err(Mismatch::NothingInside { target, step }));
            };
            if index >= count && !is_flexible(self.target, way.spec.last(), count)? {
                return Ok(Err(Mismatch::ShortArray { count, step }));
            }
            ty = strip_modifiers(self.target, element)?;
        }
        way.push(Step::Element { ty, index })?;
        let bytes = compatible::size_of(self.target, ty, self.pointer_size)?;
        way.spec.bit_offset = element_offset(way.spec.bit_offset, bytes, index)?;
        way.at = ty;
        Ok(Ok(()))
    }

    /// Goes on to the member of the name that a member of the program's has; those without a name are searched, too.
    fn go_to_member(
        &self,
        way: &mut Way,
        step: usize,
        (local, index): (TypeId, u32),
        budget: &mut Budget,
    ) -> Result<Result<(), Mismatch>, Fault> {
        let fields = composite(self.local, local)?;
        let wanted = fields.and_then(|fields| fields.members().nth(index as usize));
        let wanted = wanted.ok_or(Fault::Access("there is no such member"))?;
        let wanted_name = name_at(self.local, wanted.name);
        let wanted_name = wanted_name.ok_or(Fault::Access("a member's name is too long"))?;

        let target = strip_modifiers(self.target, way.at)?;
        let Some(fields) = composite(self.target, target)? else {
            return Ok(Err(Mismatch::NothingInside { target, step }));
        };
        let mut mismatch = Mismatch::NoMember { target, step };
        let mut seen = HashSet::from([target]);
        let mut open = vec![Open::new(target, way.spec.bit_offset, fields)];
        while let Some(top) = open.last_mut() {
            let Some(member) = top.next() else {
                open.pop();
                way.leave(&open);
                continue;
            };
            budget.step()?;
            let name = name_at(self.target, member.name);
            let is_named = name.is_none_or(|name| !name.is_empty());
            let next = top.step(is_named);
            let bit_offset = top.start.wrapping_add(member.bit_offset);
            if !is_named {
                let inner = strip_modifiers(self.target, member.ty)?;
                // What was searched without success needs no second search.
                if let Some(fields) = composite(self.target, inner)?
                    && seen.insert(inner)
                {
                    way.push(next)?;
                    open.push(Open::new(inner, bit_offset, fields));
                }
                continue;
            }
            if name != Some(wanted_name) {
                continue;
            }
            if compatible::fields(self.local, wanted.ty, self.target, member.ty)? {
                way.push(next)?;
                way.spec.bit_offset = bit_offset;
                way.at = member.ty;
                return Ok(Ok(()));
            }
            mismatch = Mismatch::OtherKind {
                target: member.ty,
                step,
            };
            open.pop();
            way.leave(&open);
        }
        Ok(Err(mismatch))
    }
}

/// A structure or union whose members are being searched.
struct Open<'a> {
    composite: TypeId,
    /// Where it starts, in bits from the start of the root.
    start: u32,
    fields: Composite<'a>,
    /// How many members were searched.
    count: u32,
}

impl<'a> Open<'a> {
    fn new(composite: TypeId, start: u32, fields: Composite<'a>) -> Self {
        Self {
            composite,
            start,
            fields,
            count: 0,
        }
    }

    /// The next member.
    fn next(&mut self) -> Option<Member> {
        let member = self.fields.members().nth(self.count as usize);
        self.count += u32::from(member.is_some());
        member
    }

    /// The step to the member that came last.
    fn step(&self, is_named: bool) -> Step {
        Step::Member {
            composite: self.composite,
            index: self.count - 1,
            is_named,
        }
    }
}

/// The way so far.
struct Way {
    spec: Spec,
    /// The type that it has reached.
    at: TypeId,
}

impl Way {
    fn push(&mut self, step: Step) -> Result<(), Fault> {
        if self.spec.steps.len() == MAX_LEN {
            return Err(Fault::TooDeep);
        }
        self.spec.steps.push(step);
        Ok(())
    }

    /// Takes the step back into a member without a name; `open` is what stays open.
    fn leave(&mut self, open: &[Open<'_>]) {
        if !open.is_empty() {
            self.spec.steps.pop();
        }
    }
}

/// The structure or union that a type is.
fn composite(btf: &Btf, id: TypeId) -> Result<Option<Composite<'_>>, Fault> {
    if let Type::Struct(fields) | Type::Union(fields) = btf.ty(id)? {
        Ok(Some(fields))
    } else {
        Ok(None)
    }
}

/// Whether two names agree in their essential parts; no name agrees with no name only.
fn same_name(pair: &Pair<'_>, local: StrOffset, target: StrOffset) -> bool {
    let local = essential_at(pair.local, local);
    local.is_some() && local == essential_at(pair.target, target)
}

/// Compares types member by member. Functions call each other at most [`MAX_LEVEL`] levels deep.
struct Matcher<'a, 'b> {
    pair: Pair<'a>,
    budget: &'b mut Budget,
}

impl Matcher<'_, '_> {
    /// Whether the kernel's type matches the program's. Behind a pointer the name is enough for a structure.
    fn types(
        &mut self,
        local: TypeId,
        target: TypeId,
        mut behind_pointer: bool,
        level: u32,
    ) -> Result<bool, Fault> {
        if level == 0 {
            return Err(Fault::TooDeep);
        }
        let Pair {
            local: local_btf,
            target: target_btf,
            ..
        } = self.pair;
        let (mut local, mut target) = (local, target);
        for _ in 0..MAX_CHAIN {
            self.budget.step()?;
            let a = local_btf.ty(strip_modifiers(local_btf, local)?)?;
            let b = target_btf.ty(strip_modifiers(target_btf, target)?)?;
            if !same_name(&self.pair, a.name(), b.name()) {
                return Ok(false);
            }
            match (a, b) {
                (Type::Void, Type::Void) => return Ok(true),
                (Type::Fwd { is_union: a, .. }, Type::Fwd { is_union: b, .. }) => return Ok(a == b),
                (Type::Fwd { is_union, .. }, Type::Struct(_))
                | (Type::Struct(_), Type::Fwd { is_union, .. }) => {
                    return Ok(behind_pointer && !is_union);
                }
                (Type::Fwd { is_union, .. }, Type::Union(_))
                | (Type::Union(_), Type::Fwd { is_union, .. }) => {
                    return Ok(behind_pointer && is_union);
                }
                (Type::Struct(a), Type::Struct(b)) | (Type::Union(a), Type::Union(b)) => {
                    return Ok(behind_pointer || self.members(a, b, level)?);
                }
                (Type::Enum(a) | Type::Enum64(a), Type::Enum(b) | Type::Enum64(b)) => {
                    return self.enumerators(a, b);
                }
                (Type::Int(a), Type::Int(b)) => {
                    return Ok(a.size == b.size && a.is_signed() == b.is_signed());
                }
                (Type::Ptr { target: a }, Type::Ptr { target: b }) => {
                    behind_pointer = true;
                    (local, target) = (a, b);
                }
                (
                    Type::Array {
                        element: a, count, ..
                    },
                    Type::Array {
                        element: b,
                        count: other,
                        ..
                    },
                ) => {
                    if count != other {
                        return Ok(false);
                    }
                    (local, target) = (a, b);
                }
                (Type::FuncProto(a), Type::FuncProto(b)) => {
                    if !self.params(a, b, behind_pointer, level)? {
                        return Ok(false);
                    }
                    (local, target) = (a.result, b.result);
                }
                _ => return Ok(false),
            }
        }
        Err(Fault::TooDeep)
    }

    /// Whether the parameters of two functions match.
    fn params(
        &mut self,
        local: FuncProto<'_>,
        target: FuncProto<'_>,
        behind_pointer: bool,
        level: u32,
    ) -> Result<bool, Fault> {
        if local.len() != target.len() {
            return Ok(false);
        }
        for (a, b) in local.params().zip(target.params()) {
            if !self.types(a.ty, b.ty, behind_pointer, level - 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether each member of the program's structure has a match. Of several of its name, one is enough.
    fn members(
        &mut self,
        local: Composite<'_>,
        target: Composite<'_>,
        level: u32,
    ) -> Result<bool, Fault> {
        if local.len() > target.len() {
            return Ok(false);
        }
        self.budget.steps(target.len())?;
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for member in target.members() {
            let name = essential_at(self.pair.target, member.name);
            by_name.entry(name).or_default().push(member.ty);
        }
        for member in local.members() {
            let name = essential_at(self.pair.local, member.name);
            let types = name.and_then(|_| by_name.get(&name));
            let mut is_matched = false;
            for &ty in types.into_iter().flatten() {
                is_matched = self.types(member.ty, ty, false, level - 1)?;
                if is_matched {
                    break;
                }
            }
            if !is_matched {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether each of the program's enumerators has one of its name; their values do not count.
    fn enumerators(
        &mut self,
        local: Enumeration<'_>,
        target: Enumeration<'_>,
    ) -> Result<bool, Fault> {
        if local.size != target.size || local.len() > target.len() {
            return Ok(false);
        }
        self.budget.steps(target.len())?;
        let names = target.enumerators();
        let names: HashSet<_> = names
            .map(|value| essential_at(self.pair.target, value.name))
            .collect();
        let mut wanted = local.enumerators();
        Ok(wanted.all(|value| {
            let name = essential_at(self.pair.local, value.name);
            name.is_some() && names.contains(&name)
        }))
    }
}
