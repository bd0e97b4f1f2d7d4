//! Why something is not in the output: a word for programs, which stays the same, and a text for people, which may get better.

use crate::functions::Reason;
use crate::variables::VariableReason;

/// A reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Why {
    /// The word, in small letters with hyphens.
    pub key: &'static str,
    /// The text, such as stands behind a colon.
    pub text: &'static str,
}

const fn why(key: &'static str, text: &'static str) -> Why {
    Why { key, text }
}

impl Why {
    /// A function with a symbol, but without a description that could become a prototype.
    pub const NOT_DESCRIBED: Self = why(
        "not-described",
        "no unit describes it with a name for every parameter",
    );
    /// A function without a symbol, of which no unit has code of its own.
    pub const INLINED: Self = why(
        "inlined-everywhere",
        "inlined wherever it is used, so that it has no symbol",
    );
    /// A function that units only declare.
    pub const DECLARED: Self = why("only-declared", "only declared: it is defined elsewhere");
    /// A function with code that the symbol table does not have.
    pub const NO_SYMBOL: Self = why(
        "no-symbol",
        "it has code, but the symbol table does not name it as a function",
    );
}

impl From<Reason> for Why {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::UnexpectedRegister => {
                why("unexpected-register", "unexpected register for a parameter")
            }
            Reason::InconsistentPrototype => {
                why("inconsistent-prototype", "inconsistent prototype")
            }
            Reason::UncertainLocation => {
                why("uncertain-location", "uncertain place of a parameter")
            }
            Reason::ReorderedParameters => why("reordered-parameters", "reordered parameters"),
            Reason::OptimizedParameters => why("optimized-parameters", "optimized parameters"),
            Reason::AmbiguousAddress => why("ambiguous-address", "ambiguous address"),
        }
    }
}

impl From<VariableReason> for Why {
    fn from(reason: VariableReason) -> Self {
        match reason {
            VariableReason::NoName => why("no-name", "no name"),
            VariableReason::HiddenName => why("generated-name", "generated name"),
            VariableReason::OtherSection => why("other-section", "other section"),
            VariableReason::Discarded => why("discarded-section", "discarded section"),
            VariableReason::NoSize => why("no-size", "type without a size"),
            VariableReason::TooLarge => why("outside-section", "end outside of the section"),
            VariableReason::InvalidName => why("invalid-name", "invalid name"),
            VariableReason::VoidType => why("void-type", "type void"),
            VariableReason::Overlaps(_) => why("overlap", "overlap with another"),
            VariableReason::TooMany => why("too-many", "too many in one section"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_plain_and_differ() {
        let functions = Reason::ALL.map(Why::from);
        let own = [
            Why::NOT_DESCRIBED,
            Why::INLINED,
            Why::DECLARED,
            Why::NO_SYMBOL,
        ];
        let all: Vec<Why> = functions.into_iter().chain(own).collect();
        for (index, why) in all.iter().enumerate() {
            assert!(why.key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
            assert!(all[..index].iter().all(|other| other.key != why.key));
        }
    }
}
