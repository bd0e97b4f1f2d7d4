//! The order of emission: every item behind all that it needs, and otherwise in the order of choice.

use btf_core::dedup::FastMap;
use btf_core::{Error, ErrorKind, Kind, Result, StrOffset, Type, TypeId};

use super::Scope;
use super::items::Items;
use super::names::Names;
use super::view::{View, is_forward};
use super::walk::{Need, Needs};
use crate::kfuncs::Kfunc;

/// A line, or some, of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `struct x;`
    Declare(TypeId),
    /// The whole of it.
    Define(TypeId),
}

/// What is known of a type so far.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_declared: bool,
    is_defined: bool,
    /// Its needs are being seen to.
    is_open: bool,
}

impl State {
    /// Whether a pointer to it may be written.
    fn is_known(self) -> bool {
        self.is_declared || self.is_defined
    }
}

/// An item whose needs are being seen to.
#[derive(Debug)]
struct Frame {
    id: TypeId,
    /// The next of its needs, and where they end.
    next: u32,
    end: u32,
}

/// Puts steps into order.
#[derive(Debug)]
pub(crate) struct Scheduler<'p, 'a> {
    view: View<'a>,
    names: &'p Names<'a>,
    needs: &'p mut Needs<'a>,
    first_own: TypeId,
    states: Vec<State>,
    stack: Vec<Frame>,
    steps: Vec<Step>,
    writers: FastMap<TypeId, TypeId>,
}

/// What is written, and where.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(crate) steps: Vec<Step>,
    /// By id of an enumeration without a name, the item whose definition writes it out, if one here does. Its values cannot be
    /// declared twice.
    pub(crate) writers: FastMap<TypeId, TypeId>,
}

impl<'p, 'a> Scheduler<'p, 'a> {
    /// `first_own` is the first type that is not in another header already.
    pub(crate) fn new(
        view: View<'a>,
        names: &'p Names<'a>,
        items: &Items,
        needs: &'p mut Needs<'a>,
        first_own: TypeId,
    ) -> Self {
        let mut states = view.table(State::default());
        let forwards = items.forwards.iter().filter(|id| needs.is_complete(**id));
        for id in items
            .order
            .iter()
            .chain(forwards)
            .filter(|id| **id < first_own)
        {
            if let Some(state) = states.get_mut(id.0 as usize) {
                state.is_defined = true;
            }
        }
        Self {
            view,
            names,
            needs,
            first_own,
            states,
            stack: Vec::new(),
            steps: Vec::new(),
            writers: FastMap::default(),
        }
    }

    pub(crate) fn finish(self) -> Schedule {
        Schedule {
            steps: self.steps,
            writers: self.writers,
        }
    }

    /// Emits what the header is to have, and what its kfuncs need.
    ///
    /// # Errors
    /// As [`Scheduler::all`].
    pub(crate) fn run(
        mut self,
        scope: Scope<'_>,
        items: &Items,
        kfuncs: &[Kfunc<'_>],
    ) -> Result<Schedule> {
        match scope {
            Scope::All | Scope::Module { .. } => self.all(items)?,
            Scope::Roots(roots) => {
                for &id in roots {
                    self.root(id)?;
                }
            }
        }
        for kfunc in kfuncs {
            self.root(kfunc.id)?;
        }
        Ok(self.finish())
    }

    /// Emits all own items in their order, then what is declared only.
    ///
    /// # Errors
    /// [`ErrorKind::Cycle`] if items need each other complete.
    fn all(&mut self, items: &Items) -> Result<()> {
        for &id in &items.order {
            if !self.needs.is_inline(id) {
                self.define(id)?;
            }
        }
        for &id in &items.forwards {
            if id >= self.first_own {
                self.declare(id);
            }
        }
        Ok(())
    }

    /// Emits a type of any kind as far as it has a declaration, and otherwise all that it needs.
    ///
    /// # Errors
    /// As [`Scheduler::all`].
    pub(crate) fn root(&mut self, id: TypeId) -> Result<()> {
        let node = self.view.node(id)?;
        let is_named = node.name != StrOffset::EMPTY;
        match node.kind {
            Some(Kind::Fwd) => self.declare(id),
            Some(Kind::Enum | Kind::Enum64) if is_forward(self.view.ty(id)?) => self.declare(id),
            Some(Kind::Typedef | Kind::Enum | Kind::Enum64) => self.define(id)?,
            Some(Kind::Struct | Kind::Union) if is_named => self.define(id)?,
            Some(Kind::Func | Kind::Var) => self.type_used(TypeId(node.third))?,
            // What is tagged is a root of its own.
            Some(Kind::DeclTag) => {}
            Some(Kind::Datasec) => {
                if let Type::Datasec(section) = self.view.ty(id)? {
                    for entry in section.entries() {
                        let entry = self.view.node(entry.ty)?;
                        if matches!(entry.kind, Some(Kind::Func | Kind::Var)) {
                            self.type_used(TypeId(entry.third))?;
                        }
                    }
                }
            }
            _ => self.type_used(id)?,
        }
        Ok(())
    }

    /// Emits all that the declaration of a function or variable of a type needs.
    fn type_used(&mut self, id: TypeId) -> Result<()> {
        let needs = self.needs.of_use(id)?;
        for need in needs {
            match need {
                Need::Defined(id) => self.define(id)?,
                Need::Declared(id) => self.declare(id),
                Need::Inline(_) => {}
            }
        }
        Ok(())
    }

    fn state(&self, id: TypeId) -> State {
        self.states.get(id.0 as usize).copied().unwrap_or_default()
    }

    fn change(&mut self, id: TypeId, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.states.get_mut(id.0 as usize) {
            change(state);
        }
    }

    /// Notes that an enumeration is written out in the definition of `by`, if nobody has written it before.
    fn write(&mut self, id: TypeId, by: TypeId) {
        if id >= self.first_own {
            self.writers.entry(id).or_insert(by);
        }
    }

    fn declare(&mut self, id: TypeId) {
        let id = self.names.definition(id);
        if !self.state(id).is_known() {
            self.change(id, |state| state.is_declared = true);
            self.steps.push(Step::Declare(id));
        }
    }

    /// Emits the definition of an item behind those of all that it needs.
    fn define(&mut self, id: TypeId) -> Result<()> {
        self.open(id)?;
        while let Some(frame) = self.stack.last_mut() {
            let (id, at) = (frame.id, frame.next);
            if at < frame.end {
                frame.next += 1;
                if let Some(Need::Defined(needed)) = self.needs.at(at) {
                    self.open(needed)?;
                }
                continue;
            }
            self.stack.pop();
            let (first, end) = self.needs.range(id);
            for at in first..end {
                match self.needs.at(at) {
                    Some(Need::Declared(needed)) if self.names.definition(needed) != id => {
                        self.declare(needed);
                    }
                    Some(Need::Inline(needed)) => self.write(needed, id),
                    _ => {}
                }
            }
            if self.view.node(id)?.name == StrOffset::EMPTY {
                self.write(id, id);
            }
            self.change(id, |state| {
                state.is_open = false;
                state.is_defined = true;
            });
            self.steps.push(Step::Define(id));
        }
        Ok(())
    }

    /// Begins with an item, if that has not been done.
    fn open(&mut self, id: TypeId) -> Result<()> {
        let id = self.names.definition(id);
        let state = self.state(id);
        if state.is_open {
            return Err(Error::new(ErrorKind::Cycle).in_type(id));
        }
        if state.is_defined {
            return Ok(());
        }
        self.change(id, |state| state.is_open = true);
        let (next, end) = self.needs.range(id);
        self.stack.push(Frame { id, next, end });
        Ok(())
    }
}
