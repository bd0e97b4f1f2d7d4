//! Types of a base that the encoder may make beside the merge, so that it need not write them again.
#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of words, of which a base has no more than fit 32 bits"
)]

use std::convert::Infallible;
use std::hash::Hasher;

use btf_core::dedup::{FastMap, MulHasher};
use btf_core::types::rewrite_refs;
use btf_core::{Btf, Info, Kind, StrOffset, TypeId};
use hashbrown::HashTable;

use super::starts;

/// Types of the base that the encoder may make beside the merge, as it would write them.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    by_words: HashTable<MadeType>,
    /// The words of all.
    words: Vec<u32>,
}

/// The first of equal types.
#[derive(Clone, Copy, Debug)]
struct MadeType {
    hash: u64,
    id: TypeId,
    /// Where its words begin, and how many they are.
    start: u32,
    len: u32,
}

impl Made {
    /// `first_equal` gives for a type the first that equals it, `void` if that is not known; `is_wanted` tells by kind and
    /// name which types are, tags apart; `canonical` gives the offset that stands for a string.
    pub(super) fn new(
        btf: &Btf,
        first_equal: impl Fn(TypeId) -> TypeId,
        is_wanted: impl Fn(Kind, u32) -> bool,
        canonical: impl Fn(StrOffset) -> StrOffset,
    ) -> Self {
        let mut making = Making {
            made: Self {
                by_words: HashTable::new(),
                words: Vec::new(),
            },
            first_equal,
            canonical,
            found: FastMap::default(),
        };
        let mut tags = Vec::new();
        let mut chain: Vec<&Btf> = btf.chain().collect();
        chain.reverse();
        for part in chain {
            for (id, &start) in (part.first_id()..).zip(starts(part)) {
                let start = start as usize;
                let Some(&[name, info]) = part.words().get(start..start.saturating_add(2)) else {
                    continue;
                };
                let Some(kind) = made_kind(Info(info)) else {
                    continue;
                };
                let id = TypeId(id);
                if kind == Kind::DeclTag {
                    // Tags lead to functions, which may stand behind them.
                    tags.push(id);
                } else if is_wanted(kind, name) {
                    let first = making.first(id);
                    // Of the types that merges can have it is known what they equal, if that matters.
                    if first == id || kind == Kind::Func && first.is_void() {
                        making.add(id, btf.record(id).unwrap_or_default());
                    }
                }
            }
        }
        for id in tags {
            let first = making.first(id);
            if first == id || first.is_void() {
                making.add(id, btf.record(id).unwrap_or_default());
            }
        }
        making.made
    }

    fn find_hashed(&self, hash: u64, words: &[u32]) -> Option<TypeId> {
        let is_it = |made: &MadeType| {
            let start = made.start as usize;
            made.hash == hash && self.words[start..start + made.len as usize] == *words
        };
        self.by_words.find(hash, is_it).map(|made| made.id)
    }

    /// The type with these final ids and string offsets.
    pub(crate) fn find(&self, words: &[u32]) -> Option<TypeId> {
        self.find_hashed(hash(words), words)
    }
}

/// Collects what is [`Made`].
struct Making<FirstEqual, Canonical> {
    made: Made,
    first_equal: FirstEqual,
    canonical: Canonical,
    /// The first types that equal those which were added.
    found: FastMap<TypeId, TypeId>,
}

impl<FirstEqual, Canonical> Making<FirstEqual, Canonical>
where
    FirstEqual: Fn(TypeId) -> TypeId,
    Canonical: Fn(StrOffset) -> StrOffset,
{
    /// The first type that equals `id`, `void` if that is not known.
    fn first(&self, id: TypeId) -> TypeId {
        let found = self.found.get(&id).copied();
        found.unwrap_or_else(|| (self.first_equal)(id))
    }

    /// Adds a type, if it is known what its targets equal.
    fn add(&mut self, id: TypeId, record: &[u32]) {
        let mut words = record.to_vec();
        let mut is_known = true;
        let target = |target: TypeId| {
            let first = self.first(target);
            is_known &= target.is_void() || !first.is_void();
            Ok::<_, Infallible>(first)
        };
        let Ok(()) = rewrite_refs(&mut words, |name| Ok((self.canonical)(name)), target);
        if !is_known {
            return;
        }
        let made = &mut self.made;
        let hash = hash(&words);
        let same = made.find_hashed(hash, &words).unwrap_or_else(|| {
            let new = MadeType {
                hash,
                id,
                start: made.words.len() as u32,
                len: words.len() as u32,
            };
            made.words.extend_from_slice(&words);
            made.by_words.insert_unique(hash, new, |made| made.hash);
            id
        });
        self.found.insert(id, same);
    }
}

/// The kind, if the encoder may make a type of it beside the merge: functions, tags, and what arena pointers need.
#[inline]
fn made_kind(info: Info) -> Option<Kind> {
    const MADE: u32 = 1 << Kind::Func as u32
        | 1 << Kind::DeclTag as u32
        | 1 << Kind::TypeTag as u32
        | 1 << Kind::Ptr as u32
        | 1 << Kind::FuncProto as u32;
    let is_made = MADE >> (info.kind_number() % 32) & 1 != 0;
    info.kind().filter(|_| is_made)
}

fn hash(words: &[u32]) -> u64 {
    let mut hasher = MulHasher::default();
    for &word in words {
        hasher.write_u32(word);
    }
    hasher.finish()
}
