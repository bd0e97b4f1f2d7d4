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
//! which changes what it prints but not what it keeps; here the same, so that `--explain` gives the same reasons.
//!
//! **`true_signature`.** A state at a symbol with a suffix (`foo.isra.0`) whose parameters are where the calling
//! convention puts them, in the order of the code, becomes a FUNC of that name: the first such state of the group.
//! In a function that is reordered the parameters that are not passed are left out, in others they stay, as in pahole.
//! pahole rejects more: it also compares the registers with the order of the *source* (through the abstract instance,
//! and only if no inlined copy overwrote that), so any parameter that moved up speaks against the function. That is
//! what a removed parameter does to those behind it; they are described here (Debian's 7.2 cloud kernel: 614 renamed
//! functions against 456).

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
/// `group` holds all its states in input order; without any the name is left out.
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
    let (flags, mismatch) = compare_all(group, features, prototypes);
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
///
/// With `true_signature` states without code do not take part if there are others: pahole then keeps a function although
/// another unit has an inlined one of the same name and another prototype.
fn compare_all<P: Copy>(
    group: &[State<P>],
    features: Features,
    prototypes: &impl Prototypes<P>,
) -> (Flags, Option<(usize, Mismatch)>) {
    let needs_code = features.true_signature && group.iter().any(State::has_code);
    let mut flags = Flags::NONE;
    let mut reference = None;
    let mut mismatch = None;
    for (index, state) in group.iter().enumerate() {
        flags.add(state.flags);
        if needs_code && !state.has_code() {
            continue;
        }
        let first = *reference.get_or_insert(state.proto);
        let is_known = flags.has_any(Flags::UNEXPECTED.with(Flags::REORDERED));
        if !is_known
            && mismatch.is_none()
            && let Err(difference) = prototypes.compare(first, state.proto)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::{STT_FUNC, Symbol};

    /// Prototypes are numbers; equal remainders of ten are compatible.
    struct Numbers;

    impl Prototypes<u32> for Numbers {
        fn compare(&self, first: u32, other: u32) -> Result<(), Mismatch> {
            if first % 10 == other % 10 {
                Ok(())
            } else {
                Err(Mismatch::Return)
            }
        }
    }

    const PLAIN: Features = Features {
        consistent_func: true,
        true_signature: false,
    };
    const TRUE: Features = Features {
        consistent_func: true,
        true_signature: true,
    };

    fn table<'a>(symbols: &[(&'a str, u64)]) -> FunctionTable<'a> {
        FunctionTable::new(symbols.iter().map(|(name, value)| Symbol {
            name: name.as_bytes(),
            value: *value,
            size: 1,
            st_type: STT_FUNC,
            st_bind: 1,
            section_index: 1,
        }))
    }

    fn state(low_pc: u64, flags: Flags, proto: u32) -> State<u32> {
        State {
            key: crate::symbols::FunctionKey(0),
            unit: 0,
            die_offset: 0,
            low_pc,
            section: None,
            flags,
            proto,
            true_proto: Some(proto + 100),
        }
    }

    /// Checks which prototype is written and, of a name that is left out, the reason that is printed.
    #[track_caller]
    fn check(
        symbols: &[(&str, u64)],
        group: &[State<u32>],
        features: Features,
        expect: Result<u32, Reason>,
    ) {
        let verdict = decide(group, &table(symbols), features, &Numbers);
        match expect {
            Ok(proto) => assert_eq!(verdict.chosen(group), Some(proto), "{verdict:?}"),
            Err(reason) => {
                assert_eq!(verdict.outcome, Outcome::Dropped, "{verdict:?}");
                assert_eq!(verdict.reasons.last(), Some(reason));
            }
        }
    }

    #[test]
    fn who_speaks() {
        let none = Flags::NONE;
        let optimized = Flags::OPTIMIZED;
        let at = |low_pc, proto| state(low_pc, none, proto);
        let symbols = &[("f", 8)];
        check(symbols, &[at(0, 1), at(16, 11), at(8, 21)], PLAIN, Ok(21));
        check(symbols, &[at(0, 1), at(16, 11), at(24, 21)], PLAIN, Ok(11));
        check(symbols, &[at(0, 1), at(0, 11)], PLAIN, Ok(1));
        check(symbols, &[state(8, optimized, 1), at(8, 11)], PLAIN, Ok(11));
        check(
            symbols,
            &[at(16, 1), state(8, optimized, 11)],
            PLAIN,
            Ok(11),
        );
        check(&[("f", 0)], &[at(0, 1), at(16, 11)], PLAIN, Ok(11));
    }

    #[test]
    fn in_a_relocatable_file_sections_count() {
        let mut group = [state(8, Flags::NONE, 1), state(8, Flags::NONE, 11)];
        group[0].section = Some(2);
        group[1].section = Some(1);
        check(&[("f", 8)], &group, PLAIN, Ok(11));
        group[1].low_pc = 0;
        check(&[("f", 0)], &group, PLAIN, Ok(11));
    }

    #[test]
    fn doubts_of_any_state() {
        for (flag, reason) in [
            (Flags::UNEXPECTED, Reason::UnexpectedRegister),
            (Flags::UNCERTAIN, Reason::UncertainLocation),
            (Flags::REORDERED, Reason::ReorderedParameters),
        ] {
            let group = [state(8, Flags::NONE, 1), state(0, flag, 1)];
            check(&[("f", 8)], &group, PLAIN, Err(reason));
            check(&[("f", 8)], &group[..1], PLAIN, Ok(1));
        }
    }

    #[test]
    fn optimized_parameters_count_if_the_function_was_renamed() {
        let optimized = Flags::OPTIMIZED;
        let reason = Err(Reason::OptimizedParameters);
        for (name, expect) in [
            ("f", Ok(1)),
            ("f.isra.0", reason),
            ("f.constprop.0", reason),
            ("f.llvm.123", Ok(1)),
        ] {
            check(&[(name, 8)], &[state(8, optimized, 1)], PLAIN, expect);
            check(&[(name, 8)], &[state(16, optimized, 1)], PLAIN, Ok(1));
            check(&[(name, 8)], &[state(8, Flags::NONE, 1)], PLAIN, Ok(1));
        }
        let changed = optimized.with(Flags::CHANGED);
        check(&[("f", 8)], &[state(8, changed, 1)], PLAIN, reason);
        check(&[("f", 8)], &[state(8, Flags::CHANGED, 1)], PLAIN, Ok(1));
    }

    #[test]
    fn prototypes_that_differ() {
        let group = [
            state(8, Flags::NONE, 1),
            state(16, Flags::NONE, 11),
            state(16, Flags::NONE, 2),
        ];
        check(
            &[("f", 8)],
            &group,
            PLAIN,
            Err(Reason::InconsistentPrototype),
        );
        check(&[("f", 8)], &group[..2], PLAIN, Ok(1));
        let off = Features {
            consistent_func: false,
            ..PLAIN
        };
        check(&[("f", 8)], &group, off, Ok(1));
        let verdict = decide(&group, &table(&[("f", 8)]), PLAIN, &Numbers);
        assert_eq!(verdict.mismatch, Some((2, Mismatch::Return)));
        // A function without code in another unit only counts without `true_signature`, or if none has code.
        let group = [state(0, Flags::NONE, 2), state(8, Flags::NONE, 1)];
        check(
            &[("f", 8)],
            &group,
            PLAIN,
            Err(Reason::InconsistentPrototype),
        );
        check(&[("f", 8)], &group, TRUE, Ok(1));
        let group = [state(0, Flags::NONE, 2), state(0, Flags::NONE, 1)];
        check(
            &[("f", 8)],
            &group,
            TRUE,
            Err(Reason::InconsistentPrototype),
        );
    }

    #[test]
    fn ambiguous_addresses() {
        let group = [state(8, Flags::UNEXPECTED, 1)];
        check(
            &[("f", 8), ("f", 16)],
            &group,
            PLAIN,
            Err(Reason::AmbiguousAddress),
        );
        let verdict = decide(&group, &table(&[("f", 8), ("f", 16)]), PLAIN, &Numbers);
        let reasons: Vec<_> = verdict.reasons.iter().collect();
        assert_eq!(
            reasons,
            [Reason::UnexpectedRegister, Reason::AmbiguousAddress]
        );
    }

    #[test]
    fn true_signatures_of_gcc() {
        let reordered = Flags::OPTIMIZED.with(Flags::REORDERED);
        let group = [state(0, reordered, 1), state(8, reordered, 11)];
        let symbols = &[("f.constprop.0", 24), ("f.isra.0", 8)];
        check(symbols, &group, PLAIN, Err(Reason::AmbiguousAddress));
        check(symbols, &group, TRUE, Ok(111));
        let verdict = decide(&group, &table(symbols), TRUE, &Numbers);
        let (state_index, symbol) = (1, 1);
        let renamed = Outcome::Renamed {
            state: state_index,
            symbol,
        };
        assert_eq!(verdict.outcome, renamed);
        check(&[("f", 8)], &group, TRUE, Err(Reason::ReorderedParameters));
        let moved = [state(8, reordered.with(Flags::UNEXPECTED), 1)];
        check(
            &[("f.isra.0", 8)],
            &moved,
            TRUE,
            Err(Reason::ReorderedParameters),
        );
        let mut whole = group[1];
        whole.true_proto = None;
        check(&[("f.isra.0", 8)], &[whole], TRUE, Ok(11));
    }

    #[test]
    fn true_signatures_of_clang() {
        let changed = Flags::OPTIMIZED.with(Flags::CHANGED);
        check(&[("f", 8)], &[state(8, changed, 1)], TRUE, Ok(101));
        let moved = changed.with(Flags::UNEXPECTED);
        check(
            &[("f", 8)],
            &[state(8, moved, 1)],
            TRUE,
            Err(Reason::UnexpectedRegister),
        );
        check(&[("f", 8)], &[state(8, Flags::NONE, 1)], TRUE, Ok(1));
    }

    #[test]
    fn nothing_to_decide() {
        let verdict = decide(&[], &table(&[]), PLAIN, &Numbers);
        assert_eq!(verdict.outcome, Outcome::Dropped);
        assert!(verdict.reasons.is_empty());
        assert_eq!(verdict.chosen::<u32>(&[]), None);
    }
}
