//! The names of a name space that are taken.
//!
//! A kernel has fifty thousand, and most are asked for once. So an entry of the table holds no name but where it stands in
//! the string section, and twelve bytes in all: the table is then a sixth of what names with lengths would need.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use btf_core::{Kind, Result, StrOffset, TypeId};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::identifier::{identifier_of, is_reserved};
use super::view::{View, string};
use crate::put;

/// A name as it is written, and the string that it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Name<'a> {
    pub(crate) text: Cow<'a, [u8]>,
    string: StrOffset,
}

impl<'a> Name<'a> {
    /// # Errors
    /// A string that does not exist.
    pub(crate) fn new(view: View<'a>, string: StrOffset) -> Result<Self> {
        let text = identifier_of(view.tail(string)?);
        Ok(Self { text, string })
    }
}

/// The first definition of a structure, a union and an enumeration of a name, or else the first forward declaration.
type Firsts = [Option<TypeId>; 3];

/// A name that is taken.
#[derive(Debug)]
struct Taken {
    hash: u32,
    /// The offset of a string that is the name, or [`OWNED`] and an index.
    key: u32,
    /// The index of its first definitions, if it has any.
    firsts: u32,
}

/// Marks the key of a name that no string is.
const OWNED: u32 = 1 << 31;

/// The index of first definitions that there are not.
const NO_FIRSTS: u32 = u32::MAX;

/// The names of a name space that are taken.
#[derive(Debug)]
pub(crate) struct Space<'a> {
    view: View<'a>,
    /// What no input can foresee, so that none can make names whose hashes are alike.
    seed: u64,
    table: HashTable<Taken>,
    owned: Vec<Vec<u8>>,
    firsts: Vec<Firsts>,
    /// By the key of a name that several want, the number that the next one may get.
    next_numbers: HashMap<u32, u32>,
}

/// The hash of an entry as the table wants it, which takes bits from both ends.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

impl<'a> Space<'a> {
    /// A name space with room for so many names.
    pub(crate) fn with_capacity(view: View<'a>, names: usize) -> Self {
        Self {
            view,
            seed: RandomState::new().hash_one(0),
            table: HashTable::with_capacity(names),
            owned: Vec::new(),
            firsts: Vec::new(),
            next_numbers: HashMap::new(),
        }
    }

    /// The entry of a name, and whether it is new.
    fn entry(&mut self, text: &[u8], string: Option<StrOffset>) -> (&mut Taken, bool) {
        let [.., a, b, c, d] = xxh3_64_with_seed(text, self.seed).to_le_bytes();
        let hash = u32::from_le_bytes([a, b, c, d]);
        let (btf, owned) = (self.view.btf, &mut self.owned);
        let is_same = |taken: &Taken| {
            taken.hash == hash
                && match taken.key.checked_sub(OWNED) {
                    Some(index) => owned.get(index as usize).is_some_and(|own| own == text),
                    None => string_is(btf, taken.key, text),
                }
        };
        match self
            .table
            .entry(spread(hash), is_same, |taken| spread(taken.hash))
        {
            Entry::Occupied(taken) => (taken.into_mut(), false),
            Entry::Vacant(free) => {
                let own = OWNED | u32::try_from(owned.len()).unwrap_or(u32::MAX);
                let key = match string {
                    Some(string) if string.0 < OWNED => string.0,
                    _ => {
                        owned.push(text.to_vec());
                        own
                    }
                };
                let firsts = NO_FIRSTS;
                let taken = free.insert(Taken { hash, key, firsts });
                (taken.into_mut(), true)
            }
        }
    }

    /// The entry of a name that is not a keyword.
    fn entry_of(&mut self, name: &Name<'a>) -> Option<(&mut Taken, bool)> {
        let is_string = matches!(name.text, Cow::Borrowed(_));
        let string = is_string.then_some(name.string);
        (!is_reserved(&name.text)).then(|| self.entry(&name.text, string))
    }

    /// Takes a name, if it is free.
    pub(crate) fn claim(&mut self, name: &Name<'a>) -> bool {
        self.entry_of(name).is_some_and(|(_, is_new)| is_new)
    }

    /// Takes a tag, if it is free; with the first type of that tag and kind. A keyword has none.
    pub(crate) fn claim_tag(
        &mut self,
        name: &Name<'a>,
        kind: Kind,
    ) -> (bool, Option<&mut Option<TypeId>>) {
        let count = u32::try_from(self.firsts.len()).unwrap_or(NO_FIRSTS);
        let Some((taken, is_new)) = self.entry_of(name) else {
            return (false, None);
        };
        let index = taken.firsts.min(count);
        taken.firsts = index;
        if index == count {
            self.firsts.push([None; 3]);
        }
        let firsts = self.firsts.get_mut(index as usize);
        let kinds = [Kind::Struct, Kind::Union, Kind::Enum];
        let kind = kinds.iter().position(|of| *of == kind);
        let first = firsts
            .zip(kind)
            .and_then(|(firsts, kind)| firsts.get_mut(kind));
        (is_new, first)
    }

    /// Takes the name with the next number that is free.
    pub(crate) fn number(&mut self, name: &Name<'a>) -> u32 {
        let key = self.entry_of(name).map(|(taken, _)| taken.key);
        let next = key.and_then(|key| self.next_numbers.get(&key).copied());
        let mut number = next.unwrap_or(2);
        loop {
            let mut numbered = name.text.to_vec();
            put_number(&mut numbered, number);
            number += 1;
            // No keyword ends in a number.
            if let (_, true) = self.entry(&numbered, None) {
                break;
            }
        }
        if let Some(key) = key {
            self.next_numbers.insert(key, number);
        }
        number - 1
    }
}

/// Whether the string at an offset is `text`.
fn string_is(btf: &btf_core::Btf, offset: u32, text: &[u8]) -> bool {
    string(btf, StrOffset(offset)).is_ok_and(|string| string == text)
}

/// Writes what tells homonyms apart; nothing for the number 0.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u32) {
    if number != 0 {
        out.extend_from_slice(b"___");
        put::number(out, number.into());
    }
}
