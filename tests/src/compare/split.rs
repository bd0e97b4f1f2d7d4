//! Compares split BTF of one base, module by module, without taking the base apart again for each.
//!
//! `refine` makes classes of all nodes of both files, the base's twice, so that a small module takes as long as a
//! kernel. Here the class of a type in round n is a hash of its own words and of the classes, in round n − 1, of what it refers to.
//! Those of the base do not depend on what continues it and are kept for all rounds; a module costs its own types alone. Classes
//! only ever divide, so where the last round divides none, equal classes mean equal types; that is checked.
//! A collision of 64 bits, one in 10⁷ for a kernel, could hide a difference and never invent one.
//!
//! **Tags.** Where a module defines what its base only announces, it is a matter of choice whether the base's types that reach the
//! forward declaration mean the definition. A reference to such a type can be taken by its name alone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use btf_core::kind::{Kind, Word};
use btf_core::types::word_roles;
use btf_core::{Info, StrOffset, TypeId, reader::Btf};

/// How many rounds are made; kernels and modules need fewer than 40.
const ROUNDS: usize = 64;

/// BTF that others continue, with the classes of its types in every round.
#[derive(Debug)]
pub struct Base {
    btf: Arc<Btf>,
    /// Per round, the class of every id; 0 is `void`.
    rounds: Vec<Vec<u64>>,
    /// What each class of the last round but one became in the last.
    last_step: HashMap<u64, u64>,
    tags: BTreeSet<Vec<u8>>,
}

/// The classes of a file's own types.
#[derive(Debug)]
struct Classes {
    of: Vec<u64>,
    last_step: HashMap<u64, u64>,
}

/// What two files that continue one base have, each alone: neither the base nor the other file has an equivalent type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Types of A, in the order of their ids.
    pub only_a: Vec<TypeId>,
    /// Types of B.
    pub only_b: Vec<TypeId>,
}

impl Base {
    /// Hashes the types of a base.
    ///
    /// # Errors
    /// If an id or a string offset does not exist, or a round more would divide a class.
    pub fn new(btf: Arc<Btf>) -> Result<Self> {
        Self::with_tags(btf, BTreeSet::new())
    }

    /// Hashes the types of a base; what refers to a structure, union or enumeration called as one of
    /// `tags`, defined or not, refers to that name.
    ///
    /// # Errors
    /// As [`Base::new`].
    pub fn with_tags(btf: Arc<Btf>, tags: BTreeSet<Vec<u8>>) -> Result<Self> {
        let own = Own::new(&btf, &tags)?;
        let mut rounds = vec![own.first_round()];
        // `void` is the class 0.
        rounds[0].insert(0, 0);
        for round in 0..ROUNDS {
            let mut next = own.next_round(&rounds[round][..1], &rounds[round][1..]);
            next.insert(0, 0);
            rounds.push(next);
        }
        let last_step = last_step(&rounds[ROUNDS - 1], &rounds[ROUNDS])?;
        Ok(Self {
            btf,
            rounds,
            last_step,
            tags,
        })
    }

    /// The base itself, for files that are to continue it.
    #[must_use]
    pub fn btf(&self) -> &Arc<Btf> {
        &self.btf
    }

    /// Compares two files that continue this base.
    ///
    /// # Errors
    /// As [`Base::new`], or if one continues another base.
    pub fn compare(&self, a: &Btf, b: &Btf) -> Result<Difference> {
        let (a, b) = (self.classes(a).context("A")?, self.classes(b).context("B")?);
        agree(&a.last_step, &b.last_step)?;
        Ok(Difference {
            only_a: self.only(&a, &b),
            only_b: self.only(&b, &a),
        })
    }

    /// The own types of a file that the base has an equivalent of.
    ///
    /// # Errors
    /// As [`Base::compare`].
    pub fn repeated(&self, split: &Btf) -> Result<Vec<TypeId>> {
        let classes = self.classes(split)?.of;
        let base: HashSet<_> = self.rounds[ROUNDS].iter().collect();
        let ids = (self.btf.end_id()..).map(TypeId);
        Ok(ids
            .zip(&classes)
            .filter_map(|(id, class)| base.contains(class).then_some(id))
            .collect())
    }

    fn classes(&self, split: &Btf) -> Result<Classes> {
        let continues = |base| Arc::ptr_eq(base, &self.btf);
        ensure!(
            split.base().is_some_and(continues),
            "it continues another base"
        );
        let own = Own::new(split, &self.tags)?;
        let (mut before, mut of) = (Vec::new(), own.first_round());
        for below in &self.rounds[..ROUNDS] {
            before = of;
            of = own.next_round(below, &before);
        }
        let last_step = last_step(&before, &of)?;
        agree(&self.last_step, &last_step)?;
        Ok(Classes { of, last_step })
    }

    /// The ids of those types of one file that neither another nor the base has.
    fn only(&self, file: &Classes, other: &Classes) -> Vec<TypeId> {
        let base = self.rounds[ROUNDS].iter();
        let others: HashSet<_> = base.chain(&other.of).collect();
        let ids = (self.btf.end_id()..).map(TypeId);
        ids.zip(&file.of)
            .filter_map(|(id, class)| (!others.contains(class)).then_some(id))
            .collect()
    }
}

/// What each class became in the last round, which must not divide any.
fn last_step(before: &[u64], after: &[u64]) -> Result<HashMap<u64, u64>> {
    let step: HashMap<_, _> = before.iter().copied().zip(after.iter().copied()).collect();
    let distinct: HashSet<_> = after.iter().collect();
    ensure!(step.len() == distinct.len(), "{ROUNDS} rounds are too few");
    Ok(step)
}

/// Makes sure that the last round did not divide a class whose types are in two files.
fn agree(a: &HashMap<u64, u64>, b: &HashMap<u64, u64>) -> Result<()> {
    let is_same = |before: &u64| b.get(before).is_none_or(|after| a[before] == *after);
    ensure!(a.keys().all(is_same), "{ROUNDS} rounds are too few");
    Ok(())
}

/// What a type refers to.
enum Target {
    Type(u32),
    /// The hash of a name that stands for the type.
    Tag(u64),
}

/// A file's own types: what does not change from round to round.
struct Own {
    /// The hash of everything but ids; names count by their bytes.
    words: Vec<u64>,
    /// What each type refers to, one type after the other.
    targets: Vec<Target>,
    /// Where the targets of each type end.
    ends: Vec<usize>,
}

impl Own {
    fn new(btf: &Btf, tags: &BTreeSet<Vec<u8>>) -> Result<Self> {
        let (mut words, mut targets, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (id, record) in btf.records() {
            let mut hash = DefaultHasher::new();
            for (&word, role) in record.iter().zip(word_roles(Info(record[1]))) {
                match role {
                    Word::Value => word.hash(&mut hash),
                    Word::Name => btf.string(StrOffset(word))?.hash(&mut hash),
                    Word::Type => {
                        ensure!(word < btf.end_id(), "type {id}: no such type id: {word}");
                        targets.push(target(btf, TypeId(word), tags)?);
                    }
                }
            }
            words.push(hash.finish());
            ends.push(targets.len());
        }
        Ok(Self {
            words,
            targets,
            ends,
        })
    }

    /// The classes by own words alone.
    fn first_round(&self) -> Vec<u64> {
        self.words.clone()
    }

    /// The classes one round after `own`, where the types of lower ids have the classes `below`.
    fn next_round(&self, below: &[u64], own: &[u64]) -> Vec<u64> {
        let class = |id: u32| {
            let id = id as usize;
            let class = below.get(id);
            class.copied().unwrap_or_else(|| own[id - below.len()])
        };
        let mut start = 0;
        let rows = self.words.iter().zip(&self.ends);
        rows.map(|(words, &end)| {
            let mut hash = DefaultHasher::new();
            words.hash(&mut hash);
            for target in &self.targets[start..end] {
                match *target {
                    Target::Type(id) => class(id).hash(&mut hash),
                    Target::Tag(name) => name.hash(&mut hash),
                }
            }
            start = end;
            hash.finish()
        })
        .collect()
    }
}

fn target(btf: &Btf, id: TypeId, tags: &BTreeSet<Vec<u8>>) -> Result<Target> {
    let kind = btf.info(id).and_then(Info::kind);
    let has_tag = matches!(
        kind,
        Some(Kind::Fwd | Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64)
    );
    if has_tag && !tags.is_empty() && tags.contains(btf.name(id)?) {
        let mut hash = DefaultHasher::new();
        btf.name(id)?.hash(&mut hash);
        return Ok(Target::Tag(hash.finish()));
    }
    Ok(Target::Type(id.0))
}
