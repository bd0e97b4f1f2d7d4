//! Whether two units mean the same prototype.
//!
//! Two functions of one name in two units are usually one function, seen twice. Their prototypes may differ in ways that
//! do not matter (a parameter's name, a `const`, a structure that one unit only forward-declares), so the comparison is
//! loose: a named type counts by its name, and a `const` that only one side has is skipped. What it lets through, and
//! what not, is exactly what pahole 1.32 does, checked by experiment. Of note: `const void *` and `void *` differ, since
//! `void` is compared before a `const` is skipped; so do a typedef and what it stands for, and `volatile` or
//! `restrict` on one side only.
//!
//! In C the comparison ends at names, so it is short. Types of a hostile input can form a cycle without one: an explicit
//! stack and [`MAX_STEPS`] bound time and memory, and what is not compared by then counts as different.
//!
//! Spec: Documentation/bpf/btf.rst, 2.2 "Type Encoding".

use std::fmt;

use btf_core::dedup::{Merged, Output};
use btf_core::{Info, Kind};

/// How many pairs of types one comparison looks at or has waiting, beyond the parameters; real prototypes need fewer than
/// a hundred.
pub const MAX_STEPS: usize = 1000;

/// A read-only graph of types in which equal ids are equal types.
pub trait TypeGraph {
    /// Refers to a type; `void` is `None` of an `Option`.
    type Id: Copy + Eq;

    /// The kind of a type and its words as in a BTF type record. Type ids among them are not looked at; names must be
    /// equal numbers if and only if they are equal strings, with 0 for the empty one.
    fn record(&self, id: Self::Id) -> (Kind, &[u32]);

    /// Calls `visit` with each type that a type refers to, in the order of its words.
    fn targets(&self, id: Self::Id, visit: &mut dyn FnMut(Option<Self::Id>));
}

impl TypeGraph for Merged {
    type Id = Output;

    fn record(&self, id: Output) -> (Kind, &[u32]) {
        Merged::record(self, id)
    }

    fn targets(&self, id: Output, visit: &mut dyn FnMut(Option<Output>)) {
        Merged::targets(self, id, visit);
    }
}

/// How two prototypes differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// In the number of parameters; `...` counts as one.
    ParamCount {
        /// The first prototype's.
        first: usize,
        /// The other's.
        other: usize,
    },
    /// In the type that they return.
    Return,
    /// In the type of this parameter, counted from 0.
    Param(usize),
}

impl fmt::Display for Mismatch {
    /// Writes it as pahole does, without parameter names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ParamCount { first, other } => {
                write!(f, "param count mismatch; {first} params != {other} params")
            }
            Self::Return => f.write_str("return type mismatch"),
            Self::Param(index) => write!(f, "param type mismatch for param#{}", index + 1),
        }
    }
}

/// Compares prototypes.
pub trait Prototypes<P> {
    /// Whether `other` can stand for the same function as `first`.
    ///
    /// # Errors
    /// The first difference.
    fn compare(&self, first: P, other: P) -> Result<(), Mismatch>;
}

/// The comparison of prototypes in a type graph.
#[derive(Clone, Copy, Debug)]
pub struct PrototypeComparison<'g, G>(pub &'g G);

type Pair<G> = (Option<<G as TypeGraph>::Id>, Option<<G as TypeGraph>::Id>);

impl<G: TypeGraph> Prototypes<G::Id> for PrototypeComparison<'_, G> {
    fn compare(&self, first: G::Id, other: G::Id) -> Result<(), Mismatch> {
        if first == other {
            return Ok(());
        }
        let (first, other) = (self.targets(first), self.targets(other));
        if first.len() != other.len() {
            return Err(Mismatch::ParamCount {
                first: first.len().saturating_sub(1),
                other: other.len().saturating_sub(1),
            });
        }
        let mut steps_left = MAX_STEPS + first.len();
        for (position, pair) in first.into_iter().zip(other).enumerate() {
            if !self.is_same(pair, &mut steps_left) {
                return Err(match position {
                    0 => Mismatch::Return,
                    _ => Mismatch::Param(position - 1),
                });
            }
        }
        Ok(())
    }
}

impl<G: TypeGraph> PrototypeComparison<'_, G> {
    fn targets(&self, id: G::Id) -> Vec<Option<G::Id>> {
        let mut targets = Vec::new();
        self.0.targets(id, &mut |target| targets.push(target));
        targets
    }

    /// Whether two types count as one.
    fn is_same(&self, pair: Pair<G>, steps_left: &mut usize) -> bool {
        let mut stack = vec![pair];
        while let Some(pair) = stack.pop() {
            let Some(left) = steps_left.checked_sub(1) else {
                return false;
            };
            *steps_left = left;
            if !self.step(pair, &mut stack) || stack.len() > left {
                return false;
            }
        }
        true
    }

    /// Compares two types but for what they refer to, which goes on the stack.
    fn step(&self, pair: Pair<G>, stack: &mut Vec<Pair<G>>) -> bool {
        if pair.0 == pair.1 {
            return true;
        }
        let (Some(a), Some(b)) = pair else {
            return false;
        };
        let ((kind_a, words_a), (kind_b, words_b)) = (self.0.record(a), self.0.record(b));
        match (kind_a == Kind::Const, kind_b == Kind::Const) {
            (true, false) => {
                stack.push((self.only_target(a), Some(b)));
                return true;
            }
            (false, true) => {
                stack.push((Some(a), self.only_target(b)));
                return true;
            }
            (true, true) | (false, false) => {}
        }
        let (Some(kind_a), Some(kind_b)) = (named_as(kind_a, words_a), named_as(kind_b, words_b))
        else {
            return false;
        };
        kind_a == kind_b
            && same_words(kind_a, words_a, words_b)
            && self.push_targets(kind_a, (a, b), stack)
    }

    fn only_target(&self, id: G::Id) -> Option<G::Id> {
        self.targets(id).first().copied().flatten()
    }

    /// Puts on the stack what two types of one kind refer to; false if it differs in number.
    fn push_targets(&self, kind: Kind, (a, b): (G::Id, G::Id), stack: &mut Vec<Pair<G>>) -> bool {
        let followed = match kind {
            Kind::Ptr
            | Kind::Const
            | Kind::Volatile
            | Kind::Restrict
            | Kind::TypeTag
            | Kind::Array => 1,
            Kind::FuncProto => usize::MAX,
            Kind::Int
            | Kind::Struct
            | Kind::Union
            | Kind::Enum
            | Kind::Fwd
            | Kind::Typedef
            | Kind::Func
            | Kind::Var
            | Kind::Datasec
            | Kind::Float
            | Kind::DeclTag
            | Kind::Enum64 => return true,
        };
        let (a, b) = (self.targets(a), self.targets(b));
        let is_same_count = a.len() == b.len();
        stack.extend(a.into_iter().zip(b).take(followed));
        is_same_count
    }
}

/// The kind that a type counts as: a forward declaration is the structure or union that it announces.
fn named_as(kind: Kind, words: &[u32]) -> Option<Kind> {
    if kind != Kind::Fwd {
        return Some(kind);
    }
    let is_union = Info(*words.get(1)?).kind_flag();
    Some(if is_union { Kind::Union } else { Kind::Struct })
}

/// Whether two types of one kind agree in the words that count.
fn same_words(kind: Kind, a: &[u32], b: &[u32]) -> bool {
    let counted: &[usize] = match kind {
        // Name, size and encoding; name and size; name.
        Kind::Int => &[0, 2, 3],
        Kind::Float => &[0, 2],
        Kind::Typedef | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64 | Kind::Fwd => &[0],
        // The number of elements.
        Kind::Array => &[5],
        Kind::Ptr
        | Kind::Const
        | Kind::Volatile
        | Kind::Restrict
        | Kind::TypeTag
        | Kind::FuncProto => &[],
        Kind::Func | Kind::Var | Kind::Datasec | Kind::DeclTag => return false,
    };
    counted.iter().all(|at| a.get(*at) == b.get(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records with local ids, number 1 first.
    struct Types(Vec<Vec<u32>>);

    impl TypeGraph for Types {
        type Id = u32;

        fn record(&self, id: u32) -> (Kind, &[u32]) {
            let words = &self.0[id as usize - 1];
            (Info(words[1]).kind().expect("a kind"), words)
        }

        fn targets(&self, id: u32, visit: &mut dyn FnMut(Option<u32>)) {
            let (kind, words) = self.record(id);
            let mut at = |at: usize| visit(Some(words[at]).filter(|id| *id != 0));
            if kind == Kind::Array {
                at(3);
                at(4);
            } else if kind.third_is_type() {
                at(2);
            }
            if kind == Kind::FuncProto {
                (4..words.len()).step_by(2).for_each(at);
            }
        }
    }

    fn head(kind: Kind, name: u32, third: u32) -> Vec<u32> {
        vec![name, Info::new(kind, 0, false).0, third]
    }

    fn proto(types: &[u32]) -> Vec<u32> {
        let mut words = head(Kind::FuncProto, 0, types[0]);
        for (name, ty) in (100..).zip(&types[1..]) {
            words.extend([name, *ty]);
        }
        words
    }

    /// Compares two parameter types, both ways.
    #[track_caller]
    fn check(types: &[Vec<u32>], a: u32, b: u32, expect: bool) {
        let mut types = types.to_vec();
        let count = u32::try_from(types.len()).expect("few");
        types.extend([proto(&[0, a]), proto(&[0, b])]);
        let types = Types(types);
        let comparison = PrototypeComparison(&types);
        for (first, other) in [(count + 1, count + 2), (count + 2, count + 1)] {
            let found = comparison.compare(first, other);
            let expect = if expect {
                Ok(())
            } else {
                Err(Mismatch::Param(0))
            };
            assert_eq!(found, expect, "{a} {b}");
        }
    }

    #[test]
    fn plain_types() {
        let int = |name, size, encoding| [head(Kind::Int, name, size), vec![encoding]].concat();
        let types = [
            int(1, 4, 32),
            int(1, 4, 32),
            int(2, 4, 32),
            int(1, 8, 32),
            int(1, 4, 33),
            head(Kind::Float, 1, 4),
            head(Kind::Float, 1, 8),
        ];
        check(&types, 1, 1, true);
        check(&types, 1, 2, true);
        for other in [0, 3, 4, 5, 6] {
            check(&types, 1, other, false);
        }
        check(&types, 6, 7, false);
        check(&types, 0, 0, true);
    }

    #[test]
    fn named_types_count_by_name() {
        let mut fwd_union = head(Kind::Fwd, 1, 0);
        fwd_union[1] = Info::new(Kind::Fwd, 0, true).0;
        let types = [
            head(Kind::Struct, 1, 4),
            head(Kind::Struct, 1, 8),
            head(Kind::Struct, 2, 4),
            head(Kind::Fwd, 1, 0),
            head(Kind::Union, 1, 4),
            fwd_union,
            head(Kind::Enum, 1, 4),
            head(Kind::Enum64, 1, 8),
            head(Kind::Typedef, 1, 1),
            head(Kind::Typedef, 1, 3),
        ];
        for (a, b) in [(1, 2), (1, 4), (5, 6), (9, 10)] {
            check(&types, a, b, true);
        }
        for (a, b) in [
            (1, 3),
            (3, 4),
            (1, 5),
            (4, 6),
            (4, 5),
            (7, 8),
            (9, 1),
            (1, 7),
        ] {
            check(&types, a, b, false);
        }
    }

    #[test]
    fn qualifiers_and_pointers() {
        let types = [
            head(Kind::Struct, 1, 4),   // 1
            head(Kind::Const, 0, 1),    // 2
            head(Kind::Ptr, 0, 1),      // 3
            head(Kind::Ptr, 0, 2),      // 4
            head(Kind::Volatile, 0, 1), // 5
            head(Kind::Const, 0, 5),    // 6
            head(Kind::Const, 0, 0),    // 7
            head(Kind::Restrict, 0, 3), // 8
            head(Kind::TypeTag, 3, 1),  // 9
            head(Kind::TypeTag, 4, 2),  // 10
        ];
        for (a, b) in [(1, 2), (3, 4), (5, 6), (9, 10)] {
            check(&types, a, b, true);
        }
        for (a, b) in [(1, 3), (1, 5), (0, 7), (3, 8), (1, 9), (2, 6)] {
            check(&types, a, b, false);
        }
    }

    #[test]
    fn arrays_and_function_types() {
        let array = |element, count| [head(Kind::Array, 0, 0), vec![element, 1, count]].concat();
        let types = [
            head(Kind::Struct, 1, 4), // 1
            head(Kind::Const, 0, 1),  // 2
            array(1, 3),              // 3
            array(2, 3),              // 4
            array(1, 4),              // 5
            proto(&[1, 1, 1]),        // 6
            proto(&[2, 1, 2]),        // 7
            proto(&[1, 1]),           // 8
            proto(&[1, 1, 3]),        // 9
        ];
        for (a, b) in [(3, 4), (6, 7)] {
            check(&types, a, b, true);
        }
        for (a, b) in [(3, 5), (6, 8), (6, 9)] {
            check(&types, a, b, false);
        }
    }

    #[test]
    fn a_cycle_without_a_name_ends() {
        let types = [
            head(Kind::Ptr, 0, 1),
            head(Kind::Ptr, 0, 3),
            head(Kind::Ptr, 0, 2),
        ];
        check(&types, 1, 2, false);
        let types = [head(Kind::Const, 0, 1), head(Kind::Struct, 1, 1)];
        check(&types, 1, 2, false);
    }

    #[test]
    fn where_prototypes_differ() {
        let types = Types(vec![
            head(Kind::Struct, 1, 4),
            proto(&[0, 1, 1]),
            proto(&[1, 1, 1]),
            proto(&[0, 1, 0]),
            proto(&[0, 1]),
        ]);
        let compare = |other| PrototypeComparison(&types).compare(2, other);
        assert_eq!(compare(2), Ok(()));
        assert_eq!(compare(3), Err(Mismatch::Return));
        assert_eq!(compare(4), Err(Mismatch::Param(1)));
        let count = Mismatch::ParamCount { first: 2, other: 1 };
        assert_eq!(compare(5), Err(count));
        assert_eq!(
            count.to_string(),
            "param count mismatch; 2 params != 1 params"
        );
        assert_eq!(Mismatch::Return.to_string(), "return type mismatch");
        assert_eq!(
            Mismatch::Param(1).to_string(),
            "param type mismatch for param#2"
        );
    }
}
