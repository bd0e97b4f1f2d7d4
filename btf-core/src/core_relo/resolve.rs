//! Resolves the relocations of a program in a kernel, one after the other.

use std::collections::HashMap;

use super::RelocationKind;
use super::candidates::{Candidate, Kernel};
use super::fault::{Answer, Fault, Mismatch};
use super::matching::{Budget, Pair};
use super::names::name_at;
use super::spec::Spec;
use super::value::{Value, value};
use crate::ext::CoreRelo;
use crate::ids::TypeId;
use crate::reader::Btf;
use crate::wire::ByteOrder;

/// A relocation that has been understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it asks.
    pub kind: RelocationKind,
    /// What about, in the program's types.
    pub spec: Spec,
}

impl Request {
    /// Understands a relocation of a program.
    ///
    /// # Errors
    /// [`Fault::Kind`], [`Fault::Anonymous`] and those of [`Spec::parse`].
    pub fn parse(btf: &Btf, relo: &CoreRelo) -> Result<Self, Fault> {
        let kind = RelocationKind::from_number(relo.kind).ok_or(Fault::Kind(relo.kind))?;
        let access = name_at(btf, relo.access);
        let access = access.ok_or(Fault::Access("its text is missing or too long"))?;
        let spec = Spec::parse(btf, relo.type_id, access, kind)?;
        let name = btf.ty(relo.type_id)?.name();
        let is_anonymous = name_at(btf, name).is_none_or(<[u8]>::is_empty);
        if kind != RelocationKind::TypeIdLocal && is_anonymous {
            return Err(Fault::Anonymous);
        }
        Ok(Self { kind, spec })
    }
}

/// What a kernel answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The answer.
    pub value: Value,
    /// The types that match, with the access in them.
    pub matches: Vec<(Candidate, Spec)>,
    /// If none matches: the type that came nearest and what is wrong with it. `None` if there is no type of that name.
    pub nearest: Option<(Candidate, Mismatch)>,
}

/// The relocations of one program in one kernel.
#[derive(Debug)]
pub struct Resolver<'a> {
    local: &'a Btf,
    order: ByteOrder,
    kernel: &'a Kernel,
    /// The candidates for each type that was asked about, without those that did not match.
    candidates: HashMap<TypeId, Vec<Candidate>>,
    pub(super) budget: Budget,
}

impl<'a> Resolver<'a> {
    /// Starts with the first relocation of a program.
    #[must_use]
    pub fn new(local: &'a Btf, kernel: &'a Kernel) -> Self {
        Self {
            local,
            order: local.byte_order(),
            kernel,
            candidates: HashMap::new(),
            budget: Budget::default(),
        }
    }

    /// Answers the next relocation.
    ///
    /// # Errors
    /// [`Fault`]: the program cannot be loaded, whatever it does.
    pub fn resolve(&mut self, request: &Request) -> Result<Found, Fault> {
        let Request { kind, spec } = request;
        if *kind == RelocationKind::TypeIdLocal {
            let value = Value {
                old: spec.root.0.into(),
                new: spec.root.0.into(),
                ..Value::default()
            };
            return Ok(Found {
                value,
                matches: Vec::new(),
                nearest: None,
            });
        }
        let (matches, nearest) = self.follow(request)?;
        let mut agreed: Option<(Value, u32)> = None;
        for (candidate, found) in &matches {
            let Some(side) = self.kernel.side(candidate.blob) else {
                continue;
            };
            let value = value(*kind, self.local, spec, Some((side, found)), self.order)?;
            let first = *agreed.get_or_insert((value, found.bit_offset));
            check_agreement(first, (value, found.bit_offset))?;
        }
        let value = if let Some((value, _)) = agreed {
            let left = matches.iter().map(|(candidate, _)| *candidate).collect();
            self.candidates.insert(spec.root, left);
            value
        } else {
            value(*kind, self.local, spec, None, self.order)?
        };
        Ok(Found {
            value,
            nearest: nearest.filter(|_| matches.is_empty()),
            matches,
        })
    }

    /// The types that match a relocation, with the access in them, whether they agree or not.
    ///
    /// # Errors
    /// Those of [`Resolver::resolve`].
    pub fn matches(&mut self, request: &Request) -> Result<Vec<(Candidate, Spec)>, Fault> {
        self.follow(request).map(|(matches, _)| matches)
    }

    /// Follows the access in each candidate; returns what matches, and what comes nearest of the rest.
    fn follow(&mut self, request: &Request) -> Result<(Matches, Nearest), Fault> {
        let Request { kind, spec } = request;
        let candidates = self
            .candidates
            .entry(spec.root)
            .or_insert_with(|| self.kernel.find(self.local, spec.root));
        let (mut matches, mut nearest): (Matches, Nearest) = (Vec::new(), None);
        for &candidate in &*candidates {
            let Some(side) = self.kernel.side(candidate.blob) else {
                continue;
            };
            let pair = Pair {
                local: self.local,
                target: side.btf,
                pointer_size: side.pointer_size,
            };
            match pair.follow(spec, *kind, candidate.id, &mut self.budget)? {
                Ok(found) => matches.push((candidate, found)),
                Err(mismatch)
                    if nearest.is_none_or(|(_, before)| before.step() < mismatch.step()) =>
                {
                    nearest = Some((candidate, mismatch));
                }
                Err(_) => {}
            }
        }
        Ok((matches, nearest))
    }
}

/// The types that match, with the access in them.
type Matches = Vec<(Candidate, Spec)>;

/// The type that comes nearest of those that do not.
type Nearest = Option<(Candidate, Mismatch)>;

/// Checks that two candidates give the same value, and lead to the same offset in bits.
fn check_agreement(
    (first, first_bits): (Value, u32),
    (other, other_bits): (Value, u32),
) -> Result<(), Fault> {
    if first_bits != other_bits {
        return Err(Fault::Ambiguous {
            first: Answer::BitOffset(first_bits),
            other: Answer::BitOffset(other_bits),
        });
    }
    if first.new != other.new {
        return Err(Fault::Ambiguous {
            first: Answer::Value(first.new),
            other: Answer::Value(other.new),
        });
    }
    Ok(())
}
