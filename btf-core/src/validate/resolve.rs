//! Resolves the types of a user as the kernel does: what each comes to, which decides about sizes and places.
//!
//! The kernel goes through the types in their order and follows each with a stack of 32 places. What a walk follows
//! depends on how it started: one that met a pointer first follows pointers and modifiers only, one that met a structure or
//! an array first follows these and modifiers, but no pointer. That is how recursive types end, and it has consequences
//! which no rule tells: a pointer to a function is fine if the function stands in front of it, and an array behind a
//! modifier has no size until a walk of the other kind comes by. So we go the same way, and are right by construction up to
//! the first fault. The type at fault then counts as resolved to something unknown, about which nothing more is said.
//!
//! Every type is put on the stack once, and every element is looked at twice at most.
//!
//! Spec: kernel/bpf/btf.c of Linux 6.1 to 7.2, where this part is the same.

use std::collections::HashMap;

use super::member::check_member;
use super::meta::is_param_name;
use super::{Report, Rule, kept_end};
use crate::graph::POINTER_SIZE;
use crate::ids::TypeId;
use crate::kind::Kind;
use crate::reader::Btf;
use crate::types::{Composite, Datasec, FuncProto, Type};
use crate::wire::{Info, linkage};

/// How many types a walk may have open.
const MAX_DEPTH: usize = 32;

/// Resolves all types; whether one contains itself.
pub(super) fn check(btf: &Btf, report: &mut Report<'_>) -> bool {
    let end = kept_end(btf);
    let mut resolver = Resolver {
        btf,
        end,
        states: vec![State::New; end as usize],
        resolved: vec![Resolved::default(); end as usize],
        stack: Vec::with_capacity(MAX_DEPTH),
        mode: Mode::Undecided,
        nameless: HashMap::new(),
        has_cycle: false,
        report,
    };
    for id in (btf.first_id()..end).map(TypeId) {
        resolver.resolve(id);
        if let Ok(Type::FuncProto(proto)) = btf.ty(id) {
            resolver.check_proto(id, proto);
        }
    }
    resolver.has_cycle
}

/// What a walk follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Neither a pointer nor a structure nor an array has been met.
    Undecided,
    Pointers,
    Containers,
}

/// How far a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// What a type comes to: another type, or, for an array, a size.
#[derive(Clone, Copy, Debug, Default)]
struct Resolved {
    id: TypeId,
    size: u32,
    /// A fault has been found there, so that nothing can be said.
    is_unknown: bool,
}

/// What the kernel takes for the size of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sized {
    /// The type without modifiers, and its size.
    Known(TypeId, u32),
    /// It has none.
    None,
    /// A fault that has been reported stands in the way.
    Unknown,
}

/// A type that is being resolved.
struct Frame {
    id: TypeId,
    /// The element to look at next.
    next: usize,
}

/// What becomes of the type on top of the stack.
enum Step {
    /// The type at this word must be resolved first.
    Open(usize, TypeId),
    /// It comes to this.
    Close(Resolved),
}

impl Step {
    /// The type comes to `id`.
    fn close(id: TypeId) -> Self {
        Self::Close(Resolved {
            id,
            ..Resolved::default()
        })
    }

    /// The type has a fault.
    fn give_up() -> Self {
        Self::Close(Resolved {
            is_unknown: true,
            ..Resolved::default()
        })
    }
}

pub(super) struct Resolver<'a, 'b, 'r> {
    pub(super) btf: &'a Btf,
    /// One past the last type that the kernel keeps.
    end: u32,
    states: Vec<State>,
    resolved: Vec<Resolved>,
    stack: Vec<Frame>,
    mode: Mode,
    /// The first nameless parameter of each prototype that a function has; many may have the same one.
    nameless: HashMap<TypeId, Option<usize>>,
    has_cycle: bool,
    report: &'b mut Report<'r>,
}

impl Resolver<'_, '_, '_> {
    pub(super) fn add(&mut self, rule: Rule, id: TypeId, word: usize, value: impl Into<u64>) {
        self.report.add(rule, id, word, value);
    }

    fn exists(&self, id: TypeId) -> bool {
        id.0 < self.end
    }

    fn kind(&self, id: TypeId) -> Option<Kind> {
        self.btf.info(id).and_then(Info::kind)
    }

    fn state(&self, id: TypeId) -> State {
        let state = self.states.get(id.0 as usize);
        state.copied().unwrap_or(State::New)
    }

    fn resolved(&self, id: TypeId) -> Resolved {
        let resolved = self.resolved.get(id.0 as usize);
        resolved.copied().unwrap_or_default()
    }

    /// Resolves a type and what it needs.
    fn resolve(&mut self, id: TypeId) {
        let needs = self.kind(id).is_some_and(needs_resolving);
        if !needs || self.state(id) != State::New {
            return;
        }
        self.mode = Mode::Undecided;
        self.push(id);
        while let Some(&Frame { id, next }) = self.stack.last() {
            match self.step(id, next) {
                Step::Open(word, target) => self.open(id, word, target),
                Step::Close(resolved) => {
                    self.stack.pop();
                    if let Some(slot) = self.resolved.get_mut(id.0 as usize) {
                        *slot = resolved;
                    }
                    self.set_state(id, State::Done);
                }
            }
        }
    }

    fn set_state(&mut self, id: TypeId, state: State) {
        if let Some(slot) = self.states.get_mut(id.0 as usize) {
            *slot = state;
        }
    }

    fn push(&mut self, id: TypeId) {
        self.set_state(id, State::Open);
        self.stack.push(Frame { id, next: 0 });
        if self.mode == Mode::Undecided {
            self.mode = match self.kind(id) {
                Some(Kind::Ptr) => Mode::Pointers,
                Some(Kind::Struct | Kind::Union | Kind::Array) => Mode::Containers,
                _ => Mode::Undecided,
            };
        }
    }

    /// Puts `target` on the stack, which the type `id` on top of it needs for its word `word`.
    fn open(&mut self, id: TypeId, word: usize, target: TypeId) {
        if self.stack.len() == MAX_DEPTH {
            self.add(Rule::ResolveDepth, id, word, target.0);
        } else if self.state(target) == State::Open {
            if self.mode == Mode::Pointers {
                self.add(Rule::PointerCycle, id, word, target.0);
            } else {
                // The first type is enough to find the others by.
                self.has_cycle = true;
                self.add(Rule::Cycle, target, 0, target.0);
            }
        } else {
            self.push(target);
            return;
        }
        // The kernel gives up. We go on as if the target were known, with what does not depend on it.
        match (self.kind(id), self.stack.last_mut()) {
            (Some(Kind::Struct | Kind::Union), Some(top)) => top.next += 1,
            (Some(Kind::Datasec), _) => {}
            _ => {
                self.stack.pop();
                if let Some(slot) = self.resolved.get_mut(id.0 as usize) {
                    slot.is_unknown = true;
                }
                self.set_state(id, State::Done);
            }
        }
    }

    /// Whether a walk ends at a type of that kind.
    fn is_sink(&self, kind: Option<Kind>) -> bool {
        let Some(kind) = kind else {
            return true;
        };
        match self.mode {
            Mode::Undecided => !needs_resolving(kind),
            Mode::Pointers => !kind.is_modifier() && kind != Kind::Ptr,
            Mode::Containers => !kind.contains(),
        }
    }

    /// Whether `target` must be put on the stack.
    fn must_open(&self, target: TypeId) -> bool {
        !self.is_sink(self.kind(target)) && self.state(target) != State::Done
    }

    /// What is wrong with a type id at which something else is needed.
    fn misfit(&self, target: TypeId) -> Rule {
        if self.exists(target) {
            Rule::TargetKind
        } else {
            Rule::TypeIdRange
        }
    }

    /// Whether `id` exists and is of a kind that others may refer to; reports it if not.
    fn is_target(&mut self, id: TypeId, word: usize, target: TypeId) -> bool {
        if !self.exists(target) {
            self.add(Rule::TypeIdRange, id, word, target.0);
            return false;
        }
        let is_source_only = matches!(
            self.kind(target),
            Some(Kind::Var | Kind::Datasec | Kind::DeclTag)
        );
        if is_source_only {
            self.add(Rule::TargetKind, id, word, target.0);
        }
        !is_source_only
    }

    /// What the kernel takes for the size of a type.
    pub(super) fn size_of(&self, id: TypeId) -> Sized {
        let Some(kind) = self.kind(id) else {
            return Sized::None;
        };
        if kind.is_modifier() || kind == Kind::Var {
            let resolved = self.resolved(id);
            if resolved.is_unknown {
                return Sized::Unknown;
            }
            return self.own_size_of(resolved.id);
        }
        self.own_size_of(id)
    }

    /// The size of a type that is no modifier.
    fn own_size_of(&self, id: TypeId) -> Sized {
        match self.btf.ty(id) {
            Ok(Type::Ptr { .. }) => Sized::Known(id, POINTER_SIZE),
            Ok(Type::Array { .. }) => {
                let resolved = self.resolved(id);
                if resolved.is_unknown {
                    return Sized::Unknown;
                }
                Sized::Known(id, resolved.size)
            }
            Ok(ty) => ty
                .own_size()
                .map_or(Sized::None, |size| Sized::Known(id, size)),
            Err(_) => Sized::None,
        }
    }

    /// Looks at the type on top of the stack from its element `next` on.
    fn step(&mut self, id: TypeId, next: usize) -> Step {
        match self.btf.ty(id) {
            Ok(Type::Ptr { target }) => self.step_reference(id, target, true),
            Ok(Type::Var { target, .. }) => self.step_var(id, target),
            Ok(Type::Array {
                element,
                index,
                count,
            }) => self.step_array(id, element, index, count),
            Ok(Type::Struct(composite) | Type::Union(composite)) => {
                self.step_members(id, composite, next)
            }
            Ok(Type::Func { proto, linkage, .. }) => self.step_func(id, proto, linkage),
            Ok(Type::Datasec(section)) => self.step_entries(id, section, next),
            Ok(Type::DeclTag { target, .. }) => self.step_tag(id, target),
            Ok(ty) => match ty.modified() {
                Some(target) => self.step_reference(id, target, false),
                None => Step::give_up(),
            },
            Err(_) => Step::give_up(),
        }
    }

    /// The pointer behind a modifier at which a walk of the other kind has stopped, if this one must go on there.
    fn pointer_behind(&self, target: TypeId) -> Option<TypeId> {
        let is_modifier = self.kind(target).is_some_and(Kind::is_modifier);
        let behind = self.resolved(target).id;
        let is_pointer = is_modifier && self.kind(behind) == Some(Kind::Ptr);
        (is_pointer && self.must_open(behind)).then_some(behind)
    }

    /// A pointer or modifier may refer to what has a size, and to `void`, FWD and `FUNC_PROTO`.
    fn step_reference(&mut self, id: TypeId, target: TypeId, is_pointer: bool) -> Step {
        if !self.is_target(id, 2, target) {
            return Step::give_up();
        }
        if self.must_open(target) {
            return Step::Open(2, target);
        }
        if is_pointer && let Some(behind) = self.pointer_behind(target) {
            return Step::Open(2, behind);
        }
        match self.size_of(target) {
            Sized::Known(stripped, _) => return Step::close(stripped),
            Sized::Unknown => return Step::give_up(),
            Sized::None => {}
        }
        let mut last = target;
        if self.state(target) == State::Done {
            let resolved = self.resolved(target);
            if resolved.is_unknown {
                return Step::give_up();
            }
            last = resolved.id;
        }
        if !last.is_void() && !matches!(self.kind(last), Some(Kind::Fwd | Kind::FuncProto)) {
            self.add(Rule::TargetKind, id, 2, target.0);
            return Step::give_up();
        }
        Step::close(last)
    }

    /// A variable must have a size.
    fn step_var(&mut self, id: TypeId, target: TypeId) -> Step {
        if !self.is_target(id, 2, target) {
            return Step::give_up();
        }
        if self.must_open(target) {
            return Step::Open(2, target);
        }
        if let Some(behind) = self.pointer_behind(target) {
            return Step::Open(2, behind);
        }
        match self.size_of(target) {
            Sized::Known(stripped, _) => Step::close(stripped),
            Sized::Unknown => Step::give_up(),
            Sized::None => {
                self.add(Rule::Unsized, id, 2, target.0);
                Step::give_up()
            }
        }
    }

    fn step_array(&mut self, id: TypeId, element: TypeId, index: TypeId, count: u32) -> Step {
        let mut is_known = true;
        for (word, target) in [(4, index), (3, element)] {
            if !self.is_part(id, word, target) {
                is_known = false;
            } else if self.must_open(target) {
                return Step::Open(word, target);
            }
        }
        if !is_known {
            return Step::give_up();
        }
        let is_regular = match self.size_of(index) {
            Sized::Known(stripped, _) => self.is_regular_int(stripped),
            Sized::Unknown => true,
            Sized::None => false,
        };
        if !is_regular {
            self.add(Rule::ArrayIndex, id, 4, index.0);
            is_known = false;
        }
        let (stripped, size) = match self.size_of(element) {
            Sized::Known(stripped, size) => (stripped, size),
            Sized::Unknown => return Step::give_up(),
            Sized::None => {
                self.add(Rule::Unsized, id, 3, element.0);
                return Step::give_up();
            }
        };
        if self.kind(stripped) == Some(Kind::Int) && !self.is_regular_int(stripped) {
            self.add(Rule::ArrayElement, id, 3, element.0);
            is_known = false;
        }
        let total = u64::from(size) * u64::from(count);
        let Ok(size) = u32::try_from(total) else {
            self.add(Rule::ArraySize, id, 5, total);
            return Step::give_up();
        };
        Step::Close(Resolved {
            id: stripped,
            size,
            is_unknown: !is_known,
        })
    }

    /// Whether `target` can be a member or element as far as its kind tells; reports it if not.
    fn is_part(&mut self, id: TypeId, word: usize, target: TypeId) -> bool {
        if !self.is_target(id, word, target) {
            return false;
        }
        let has_no_size = target.is_void()
            || matches!(
                self.kind(target),
                Some(Kind::Fwd | Kind::Func | Kind::FuncProto)
            );
        if has_no_size && !target.is_void() {
            self.add(Rule::Unsized, id, word, target.0);
        }
        // `void` is a finding already.
        !has_no_size
    }

    /// Whether the type is an integer that fills one, two, four, eight or sixteen bytes.
    pub(super) fn is_regular_int(&self, id: TypeId) -> bool {
        match self.btf.ty(id) {
            Ok(Type::Int(int)) => {
                int.offset_bits == 0 && matches!(int.bits, 8 | 16 | 32 | 64 | 128)
            }
            _ => false,
        }
    }

    fn step_members(&mut self, id: TypeId, composite: Composite<'_>, next: usize) -> Step {
        for (index, member) in (next..).zip(composite.members_from(next)) {
            let word = 3 + 3 * index;
            if !self.is_part(id, word + 1, member.ty) {
                continue;
            }
            if self.must_open(member.ty) {
                self.set_next(index);
                return Step::Open(word + 1, member.ty);
            }
            check_member(self, id, composite, &member, word);
        }
        Step::close(TypeId::VOID)
    }

    fn set_next(&mut self, next: usize) {
        if let Some(top) = self.stack.last_mut() {
            top.next = next;
        }
    }

    fn step_func(&mut self, id: TypeId, proto: TypeId, linkage: u32) -> Step {
        let btf = self.btf;
        let Ok(Type::FuncProto(params)) = btf.ty(proto) else {
            let rule = self.misfit(proto);
            self.add(rule, id, 2, proto.0);
            return Step::give_up();
        };
        let first = *self.nameless.entry(proto).or_insert_with(|| {
            let mut params = params.params();
            params.position(|param| param.name.0 == 0 && !param.ty.is_void())
        });
        // libbpf names the parameters of functions that are the kernel's.
        let is_filled_in = self.report.target.is_object && linkage == linkage::EXTERN;
        if let Some(index) = first
            && !is_filled_in
        {
            self.add(Rule::ParamName, id, 2, index as u64);
        }
        Step::close(proto)
    }

    /// The kernel does not check an entry whose variable it has to resolve for it, as it goes on behind that.
    fn step_entries(&mut self, id: TypeId, section: Datasec<'_>, next: usize) -> Step {
        self.mode = Mode::Undecided;
        let unchecked = next.checked_sub(1);
        let first = unchecked.unwrap_or(0);
        for (index, entry) in (first..).zip(section.entries_from(first)) {
            let word = 3 + 3 * index;
            let Ok(Type::Var { target, .. }) = self.btf.ty(entry.ty) else {
                self.add(Rule::DatasecVariable, id, word, entry.ty.0);
                continue;
            };
            let is_unchecked = Some(index) == unchecked;
            if !is_unchecked && self.must_open(entry.ty) {
                self.set_next(index + 1);
                return Step::Open(word, entry.ty);
            }
            let Sized::Known(_, size) = self.size_of(target) else {
                continue;
            };
            if entry.size < size && is_unchecked {
                self.report
                    .add_for_tools(Rule::DatasecVariable, id, word, entry.ty.0);
            } else if entry.size < size {
                self.add(Rule::DatasecVariable, id, word, entry.ty.0);
            }
        }
        Step::close(TypeId::VOID)
    }

    /// The component of a tag does not depend on the walk and is checked with the type.
    fn step_tag(&mut self, id: TypeId, target: TypeId) -> Step {
        let can_be_tagged = matches!(
            self.kind(target),
            Some(Kind::Func | Kind::Struct | Kind::Union | Kind::Var | Kind::Typedef)
        );
        if !self.exists(target) || !can_be_tagged {
            let rule = self.misfit(target);
            self.add(rule, id, 2, target.0);
            return Step::give_up();
        }
        if self.must_open(target) {
            return Step::Open(2, target);
        }
        Step::close(target)
    }

    /// Checks a prototype, which the kernel does when its turn comes, not when somebody needs it.
    fn check_proto(&mut self, id: TypeId, proto: FuncProto<'_>) {
        if !proto.result.is_void() && self.is_target(id, 2, proto.result) {
            self.check_value(id, 2, proto.result);
        }
        for (index, param) in proto.params().enumerate() {
            let word = 3 + 2 * index;
            if param.ty.is_void() {
                if param.name.0 != 0 || index + 1 != proto.len() {
                    self.add(Rule::ParamVariadic, id, word, index as u64);
                }
                continue;
            }
            if !is_param_name(self.btf, param.name) {
                self.add(Rule::ParamNameInvalid, id, word, param.name.0);
            }
            if self.is_target(id, word + 1, param.ty) {
                self.check_value(id, word + 1, param.ty);
            }
        }
    }

    /// Checks that a result or parameter has a size.
    fn check_value(&mut self, id: TypeId, word: usize, target: TypeId) {
        self.resolve(target);
        if self.size_of(target) == Sized::None {
            self.add(Rule::Unsized, id, word, target.0);
        }
    }
}

/// Whether a type must be resolved before others can rely on it.
fn needs_resolving(kind: Kind) -> bool {
    kind.contains()
        || matches!(
            kind,
            Kind::Ptr | Kind::Var | Kind::Func | Kind::DeclTag | Kind::Datasec
        )
}
