//! An order of types by all that they refer to, however far away, and by no id.
//!
//! Each type gets a hash of its own words, names by their text; then, in rounds, a hash of that and its targets' hashes of the
//! round before. After `n` rounds equal hashes mean that `n` references do not tell two types apart. Merged BTF has no
//! two types that nothing tells apart, so enough rounds order everything.

use btf_core::types::{name_refs, type_refs};
use btf_core::{Result, TypeId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::view::View;

/// The most rounds: types are told apart after some seven in real kernels.
const MAX_ROUNDS: u32 = 64;

/// The hashes, which are made when they are first needed.
#[derive(Debug)]
pub(crate) struct Refinement<'a> {
    view: View<'a>,
    own: Vec<u64>,
    current: Vec<u64>,
    rounds: u32,
}

impl<'a> Refinement<'a> {
    pub(crate) fn new(view: View<'a>) -> Self {
        Self {
            view,
            own: Vec::new(),
            current: Vec::new(),
            rounds: 0,
        }
    }

    /// Puts types into an order, all of which are different.
    ///
    /// # Errors
    /// A name that does not exist.
    pub(crate) fn sort(&mut self, ids: &mut [TypeId]) -> Result<()> {
        if self.own.is_empty() {
            self.own = self.own_hashes()?;
            self.current.clone_from(&self.own);
        }
        loop {
            ids.sort_by_key(|&id| (self.hash(id), id));
            let are_different = ids.is_sorted_by(|&a, &b| self.hash(a) < self.hash(b));
            if are_different || self.rounds == MAX_ROUNDS {
                return Ok(());
            }
            self.refine();
        }
    }

    fn hash(&self, id: TypeId) -> u64 {
        self.current.get(id.0 as usize).copied().unwrap_or(0)
    }

    fn own_hashes(&self) -> Result<Vec<u64>> {
        let mut hashes = self.view.table(0);
        for id in self.view.ids() {
            let record = self.view.btf.record(id).unwrap_or_default();
            let mut words = record.to_vec();
            let mut hash = 0;
            for (index, name) in name_refs(record) {
                hash = xxh3_64_with_seed(self.view.string(name)?, hash);
                if let Some(word) = words.get_mut(index) {
                    *word = 0;
                }
            }
            for (index, _) in type_refs(record) {
                if let Some(word) = words.get_mut(index) {
                    *word = 0;
                }
            }
            for word in words {
                hash = mix(hash, word.into());
            }
            if let Some(slot) = hashes.get_mut(id.0 as usize) {
                *slot = hash;
            }
        }
        Ok(hashes)
    }

    /// Looks one reference further.
    fn refine(&mut self) {
        self.rounds += 1;
        let mut next = self.own.clone();
        for (slot, id) in next.iter_mut().skip(1).zip(self.view.ids()) {
            let record = self.view.btf.record(id).unwrap_or_default();
            for (_, target) in type_refs(record) {
                *slot = mix(*slot, self.hash(target));
            }
        }
        self.current = next;
    }
}

/// A hash of a hash and one more number.
fn mix(hash: u64, number: u64) -> u64 {
    xxh3_64_with_seed(&number.to_le_bytes(), hash)
}
