//! The verdict: does a name become a FUNC, and which state speaks for it?
//!
//! **The state that speaks.** The symbol table holds the definition that the linker chose, so a state at the address of one of
//! the name's symbols wins, best one whose parameters are all there. That is also how a strong definition wins over a
//! weak one of another prototype: the weak one's address is no longer in the table. Failing that the first state with code
//! speaks, then the first one. This is pahole 1.32's order, found by experiment. In a relocatable file pahole compares
//! addresses of different kinds (it lays out the sections, symbols keep their offsets), so an abstract instance, at 0, wins
//! over a function that starts its section. Here a state there brings its section, and the same order is right.
//!
//! **What speaks against it.** See [`Reason`]. Doubts about registers and order count for all states of the name,
//! since a tool finds one function by it; an optimized parameter only counts if the state that speaks has it and the
//! compiler renamed the function (`.constprop`, `.isra`) or says that it changed it. A function with an unused
//! parameter keeps its signature.
//!
//! Prototypes are compared with that of the first state, in input order. pahole stops comparing once another doubt is known,
//! which changes what it prints but not what it keeps; here the same, so `--explain` shows the same lines.

use super::{Flags, Mismatch, Prototypes, State};
use crate::symbols::{FunctionSymbol, FunctionTable};

/// Why a function is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// A parameter is in another register than the calling convention's.
    UnexpectedRegister,
    /// Units disagree about the prototype.
    InconsistentPrototype,
    /// A packed structure is passed on the stack.
    UncertainLocation,
    /// The parameters are in another order than in the source.
    ReorderedParameters,
    /// The compiler removed parameters and renamed the function.
    OptimizedParameters,
    /// The name has several addresses.
    AmbiguousAddress,
}

impl Reason {
    /// All reasons, in the order in which a later one outranks an earlier one.
    pub const ALL: [Self; 6] = [
        Self::UnexpectedRegister,
        Self::InconsistentPrototype,
        Self::UncertainLocation,
        Self::ReorderedParameters,
        Self::OptimizedParameters,
        Self::AmbiguousAddress,
    ];

    /// The reason in pahole's words, its spelling included: scripts search for them.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::UnexpectedRegister => "unexpected register usage for parameter",
            Self::InconsistentPrototype => "inconsistet prototype",
            Self::UncertainLocation => "uncertain parameter location",
            Self::ReorderedParameters => "reordered parameters",
            Self::OptimizedParameters => "optimized parameters",
            Self::AmbiguousAddress => "ambiguous address",
        }
    }
}

/// A set of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u8);

impl Reasons {
    /// Adds `reason` if `applies`.
    fn add_if(&mut self, applies: bool, reason: Reason) {
        self.0 |= u8::from(applies) << reason as u8;
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `reason` is one of them.
    #[must_use]
    pub const fn has(self, reason: Reason) -> bool {
        self.0 >> reason as u8 & 1 != 0
    }

    /// The reasons in the order of [`Reason::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL
            .into_iter()
            .filter(move |reason| self.has(*reason))
    }

    /// The one that pahole prints: the last that applies.
    #[must_use]
    pub fn last(self) -> Option<Reason> {
        self.iter().last()
    }
}

/// Which rules are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// `consistent_func`: leave out functions whose units disagree about the prototype.
    pub consistent_func: bool,
    /// `true_signature`: describe functions whose signature the compiler changed.
    pub true_signature: bool,
}

/// What becomes of a name. States and symbols are indices into what [`decide`] was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It becomes a FUNC of this name with the prototype of a state.
    Kept {
        /// The state that speaks.
        state: usize,
        /// Whether its [`State::true_proto`] is meant, not its `proto`.
        is_true_proto: bool,
    },
    /// It becomes a FUNC with the whole name of a symbol and the changed prototype of a state.
    Renamed {
        /// The state that speaks; `true_proto` if it has one, else `proto`.
        state: usize,
        /// The symbol, in the order of [`FunctionTable::symbols`].
        symbol: usize,
    },
    /// It is left out.
    Dropped,
}

/// The verdict on a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of it.
    pub outcome: Outcome,
    /// Everything that speaks against it; of one that is [`Outcome::Renamed`], against its name without suffix.
    pub reasons: Reasons,
    /// The first state whose prototype differs, and how.
    pub mismatch: Option<(usize, Mismatch)>,
}

impl Verdict {
    /// The state whose prototype is to be written and whether its true prototype is meant.
    #[must_use]
    pub fn chosen<P: Copy>(&self, group: &[State<P>]) -> Option<P> {
        match self.outcome {
            Outcome::Kept {
                state,
                is_true_proto,
            } => {
                let state = group.get(state)?;
                Some(match state.true_proto {
                    Some(proto) if is_true_proto => proto,
                    _ => state.proto,
                })
            }
            Outcome::Renamed { state, .. } => {
                let state = group.get(state)?;
                Some(state.true_proto.unwrap_or(state.proto))
            }
            Outcome::Dropped => None,
        }
    }
}

/// Decides about one name.
///
/// `group` holds all its states in input order and is not empty. Nothing is allocated unless prototypes differ.
#[must_use]
pub fn decide<P: Copy>(
    group: &[State<P>],
    table: &FunctionTable<'_>,
    features: Features,
    prototypes: &impl Prototypes<P>,
) -> Verdict {
    let Some(first) = group.first() else {
        return Verdict {
            outcome: Outcome::Dropped,
            reasons: Reasons::default(),
            mismatch: None,
        };
    };
    let symbols = table.symbols(first.key);
    let (flags, mismatch) = compare_all(first, group, prototypes);
    let state = speaker(group, symbols);
    let spoken = group.get(state).unwrap_or(first);

    let mut reasons = Reasons::default();
    reasons.add_if(flags.has(Flags::UNEXPECTED), Reason::UnexpectedRegister);
    let is_inconsistent = mismatch.is_some() && features.consistent_func;
    reasons.add_if(is_inconsistent, Reason::InconsistentPrototype);
    reasons.add_if(flags.has(Flags::UNCERTAIN), Reason::UncertainLocation);
    let is_known_order = features.true_signature && spoken.flags.has(Flags::CHANGED);
    let is_reordered = flags.has(Flags::REORDERED) && !is_known_order;
    reasons.add_if(is_reordered, Reason::ReorderedParameters);
    let is_optimized = spoken.flags.has(Flags::OPTIMIZED)
        && (spoken.flags.has(Flags::CHANGED) || is_renamed(spoken, symbols))
        && !features.true_signature;
    reasons.add_if(is_optimized, Reason::OptimizedParameters);
    reasons.add_if(table.is_ambiguous(first.key), Reason::AmbiguousAddress);

    let renamed = if features.true_signature {
        renamed(group, symbols)
    } else {
        None
    };
    let outcome = match renamed {
        Some(outcome) => outcome,
        None if !reasons.is_empty() => Outcome::Dropped,
        None => Outcome::Kept {
            state,
            is_true_proto: is_known_order,
        },
    };
    Verdict {
        outcome,
        reasons,
        mismatch,
    }
}

/// The doubts of all states together, and the first prototype that differs from the first one.
fn compare_all<P: Copy>(
    first: &State<P>,
    group: &[State<P>],
    prototypes: &impl Prototypes<P>,
) -> (Flags, Option<(usize, Mismatch)>) {
    let mut flags = first.flags;
    let mut mismatch = None;
    for (index, state) in group.iter().enumerate().skip(1) {
        flags.add(state.flags);
        let is_known = flags.has_any(Flags::UNEXPECTED.with(Flags::REORDERED));
        if !is_known
            && mismatch.is_none()
            && let Err(difference) = prototypes.compare(first.proto, state.proto)
        {
            mismatch = Some((index, difference));
        }
    }
    (flags, mismatch)
}

/// The index of the state that speaks for the group.
fn speaker<P>(group: &[State<P>], symbols: &[FunctionSymbol<'_>]) -> usize {
    let is_at_symbol = |state: &State<P>| symbols.iter().any(|symbol| lies_at(state, symbol));
    let is_whole = |state: &State<P>| !state.flags.has(Flags::OPTIMIZED);
    group
        .iter()
        .position(|state| is_at_symbol(state) && is_whole(state))
        .or_else(|| group.iter().position(is_at_symbol))
        .or_else(|| group.iter().position(State::has_code))
        .unwrap_or(0)
}

/// Whether a state is the code that a symbol names.
fn lies_at<P>(state: &State<P>, symbol: &FunctionSymbol<'_>) -> bool {
    state.has_code()
        && state.low_pc == symbol.address
        && state
            .section
            .is_none_or(|section| section == symbol.section_index)
}

/// Whether the compiler renamed a state's function because it changed its signature.
fn is_renamed<P>(state: &State<P>, symbols: &[FunctionSymbol<'_>]) -> bool {
    symbols
        .iter()
        .any(|symbol| symbol.has_changed_signature() && lies_at(state, symbol))
}

/// The first state at a symbol with a suffix about whose parameters nothing is in doubt, and that symbol.
fn renamed<P>(group: &[State<P>], symbols: &[FunctionSymbol<'_>]) -> Option<Outcome> {
    let doubts = Flags::UNEXPECTED.with(Flags::UNCERTAIN);
    group.iter().enumerate().find_map(|(index, state)| {
        let symbol = symbols
            .iter()
            .position(|symbol| symbol.has_suffix() && lies_at(state, symbol))?;
        (!state.flags.has_any(doubts)).then_some(Outcome::Renamed {
            state: index,
            symbol,
        })
    })
}
