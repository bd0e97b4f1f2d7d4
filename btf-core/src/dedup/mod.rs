//! The merge engine: fragments in, one graph of types out.
//!
//! dwarf2btf merges thousands of compile units, btf-link merges objects, modules merge against a base. It is the same
//! job, and it is done here:
//!
//! ```text
//! fragments → keys → classes → homonyms → numbering
//! ```
//!
//! 1. [`fragment`](Fragment): the types of a unit, as words.
//! 2. `key`: a hash of each type's words, in which a reference to a named structure, union or enumeration counts by name.
//! 3. `classes`: types of equal key are one class. Threads share a table; only a type that is new is kept.
//! 4. `homonyms`: where a name has several definitions, types that reach it are told apart by what it meant, exactly.
//!    A forward declaration joins the definition that it can mean, if that is just one (see below).
//! 5. `numbering`: a type stands where the first of its class stood. That minimum does not depend on the order in which
//!    fragments arrive, so neither does the output.
//!
//! A forward declaration can mean, in this order:
//! - what its fragment defines, if all types there that define its name are one type (`beside`);
//! - nothing in particular, if its fragment defines several, as modules do that were built each with its own idea of the
//!   kernel and are read together with it;
//! - where its fragment defines none, what fragments mean that say the same of all other names, as far as they agree;
//! - the only definition of the whole, if there is just one in the end.
//!
//! In a base that cannot change, what leads to a forward declaration beside definitions leads to just that, as to one more definition. What
//! continues the base has forward declarations that are open, and takes the base's types for its own if they agree on what they mean.
//!
//! What can mean several things stays a forward declaration, and what refers to it stays apart from what refers to one of them.
//! So which of several definitions stands first, in a fragment or among them, says nothing about what is meant.
//!
//! The result is sound (types are one only if no path of references tells them apart, forward declarations apart), it
//! is complete (no two types of the output are bisimilar), and it is independent of threads, hash seeds and, but for the
//! numbering, of the order of fragments and of the types in each. Time is polynomial for any input and near linear for
//! real ones: see `homonyms`. Equal keys are taken for equal types without a look at the types, so all this holds as long as nobody
//! makes up an input with two records of one 128-bit hash, which nothing here makes hard.

mod announced;
mod base;
mod beside;
mod bisimilar;
mod classes;
mod components;
mod containment;
mod definitions;
mod division;
mod environment;
mod follow;
mod fragment;
mod gathered;
mod graph;
mod grouped;
mod homes;
mod homonyms;
mod key;
mod needed;
mod numbering;
mod part;
mod partition;
mod reach;
mod scan;
mod targets;
#[cfg(test)]
mod tests;
mod unread;
mod verbatim;

pub use base::Base;
pub use classes::{FastMap, FastSet, MulHasher, Worker};
pub use fragment::{Fragment, FragmentIndex, Name};
pub use gathered::Gathered;
pub use homonyms::Reload;
pub use numbering::{Merged, Numbering, Output};
pub use unread::{NameWords, Outline, Unread};
pub use verbatim::{NO_NAME, Verbatim};

use classes::ClassTable;
use environment::Limits;
use fragment::u32_len;
use graph::Graph;
use part::Part;

use crate::ids::TypeId;
use crate::pieces::join;

/// How many classes a module is taken to have at first, so that nothing needs to grow for most of them.
const CLASSES_OF_MODULE: usize = 1 << 12;

/// A merge that is under way.
///
/// # Example
/// ```
/// use btf_core::dedup::{Fragment, Merger};
/// use btf_core::{Info, Kind};
///
/// // Two fragments with the same `int`, whose name is number 1, and a pointer to it.
/// let mut fragment = Fragment::default();
/// let int = fragment.push(&[1, Info::new(Kind::Int, 0, false).0, 4, 0x0100_0020]);
/// fragment.push(&[0, Info::new(Kind::Ptr, 0, false).0, int.0]);
///
/// let merger = Merger::new();
/// let mut worker = merger.worker();
/// worker.add(0, &fragment);
/// worker.add(1, &fragment);
/// let gathered = worker.finish();
/// let merged = merger.finish(vec![gathered], &|_, into| into.clone_from(&fragment));
/// assert_eq!(merged.number(&[]).len(), 2);
/// ```
#[derive(Debug)]
pub struct Merger<'b> {
    table: ClassTable,
    base: Option<&'b Base>,
    /// Whether a base comes at the end, of which the part that matters is taken.
    is_unread: bool,
    /// Up to where environments are made; tests make it less.
    limits: Limits,
}

impl Default for Merger<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'b> Merger<'b> {
    /// A merge into standalone BTF.
    #[must_use]
    pub fn new() -> Self {
        Self {
            table: ClassTable::with_capacity(0, 0),
            base: None,
            is_unread: false,
            limits: Limits::default(),
        }
    }

    /// As [`Merger::new`], with room for about so many types of the result.
    #[must_use]
    pub fn with_capacity(types: usize) -> Self {
        Self {
            table: ClassTable::with_capacity(types, 0),
            ..Self::new()
        }
    }

    /// A merge into split BTF, which continues `base`: what equals a type of the base becomes that type and is not
    /// written again. Any number of merges can share a base at the same time.
    ///
    /// A structure of the base that leads to what the base only announces equals one that leads to a definition. The
    /// definition is written, and so are pointers to it.
    #[must_use]
    pub fn with_base(base: &'b Base) -> Self {
        Self {
            base: Some(base),
            ..Self::of_module()
        }
    }

    /// As [`Merger::with_base`], for a base that nothing else continues and that [`Merger::finish_unread`] is given.
    #[must_use]
    pub fn with_unread() -> Self {
        Self {
            is_unread: true,
            ..Self::of_module()
        }
    }

    /// A merge with room for what a module has.
    fn of_module() -> Self {
        Self {
            table: ClassTable::of_few(CLASSES_OF_MODULE, 0),
            ..Self::new()
        }
    }

    /// Whether [`Merger::finish_unread`] is to finish it.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// A worker for one thread.
    #[must_use]
    pub fn worker(&self) -> Worker<'_> {
        let is_continued = self.base.is_some() || self.is_unread;
        let mut worker = Worker::new(&self.table, self.base, is_continued.into());
        if is_continued {
            worker.reserve(CLASSES_OF_MODULE, CLASSES_OF_MODULE);
        }
        worker
    }

    /// Merges what the workers have gathered.
    ///
    /// `reload` gives back the fragment that was added under an index; it is asked for those few in which one name has
    /// several definitions, and only for what types refer to: names in it do not matter.
    #[must_use]
    pub fn finish(self, gathered: Vec<Gathered>, reload: Reload<'_>) -> Merged {
        self.finish_beside(gathered, reload, |_| ()).0
    }

    /// As [`Merger::finish`], and meanwhile does on another thread what needs no more than the names of types.
    #[must_use]
    pub fn finish_beside<T: Send>(
        self,
        gathered: Vec<Gathered>,
        reload: Reload<'_>,
        beside: impl FnOnce(NamesInOrder<'_>) -> T + Send,
    ) -> (Merged, T) {
        self.finish_with(None, gathered, reload, beside)
    }

    /// As [`Merger::finish`], of what continues a base that has not been indexed: of it only what matters is.
    #[must_use]
    pub fn finish_unread(
        self,
        base: Unread<'_>,
        mut gathered: Vec<Gathered>,
        reload: Reload<'_>,
    ) -> Merged {
        debug_assert!(self.is_unread, "made by another constructor");
        let part = Part::take(base, &self.table, &mut gathered);
        self.finish_with(Some(part), gathered, reload, |_| ()).0
    }

    fn finish_with<T: Send>(
        self,
        part: Option<Part>,
        gathered: Vec<Gathered>,
        reload: Reload<'_>,
        beside: impl FnOnce(NamesInOrder<'_>) -> T + Send,
    ) -> (Merged, T) {
        let base = part.as_ref().map(Part::base).or(self.base);
        let mut graph = Graph::new(self.table, gathered, base);
        let reload = |fragment, into: &mut Fragment| {
            if let (Some(base), 0) = (base, fragment) {
                return base.reload(&graph.base_ids, into);
            }
            reload(fragment - graph.first_fragment, into);
            for (_, home) in &mut into.homes {
                *home += graph.first_fragment;
            }
        };
        let (meanings, beside) = join(
            || homonyms::resolve(&graph, self.limits, &reload),
            || beside(NamesInOrder { graph: &graph }),
        );
        let mut base_len = self.base.map_or(0, Base::len);
        if let Some(part) = &part {
            base_len = part.whole_len();
            for id in &mut graph.base_ids {
                *id = part.id(*id);
            }
        }
        let first = TypeId(1 + u32_len(base_len));
        let merged = Merged {
            graph,
            meanings,
            first,
            part,
        };
        (merged, beside)
    }
}

/// The names of the types of a merge that is under way.
#[derive(Clone, Copy, Debug)]
pub struct NamesInOrder<'g> {
    graph: &'g Graph,
}

impl NamesInOrder<'_> {
    /// Calls `visit` with the names of all types that are surely written, or the base's, with repetitions, in an order that depends on
    /// the input alone. For the others ask [`Numbering::for_each_late_name`].
    pub fn for_each(&self, mut visit: impl FnMut(Name)) -> LateTypes {
        let mut name = |class| {
            let is_late = !self.graph.is_surely_written(class);
            if !is_late {
                self.graph.for_each_name(class, &mut visit);
            }
            is_late
        };
        let classes = 0..u32_len(self.graph.len());
        LateTypes(classes.map(&mut name).collect())
    }
}

/// Which types are written only if that turns out to be needed.
#[derive(Debug)]
pub struct LateTypes(Vec<bool>);
