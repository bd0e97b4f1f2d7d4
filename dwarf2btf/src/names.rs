//! Names: strings of the input as numbers, so that equal strings are equal numbers without being read.
//!
//! In a linked image `.debug_str` is merged: equal strings have equal offsets, so the offset is the name. One pass over
//! the section finds which offsets that is true for ([`Names::new`]). What stands twice, inline in a DIE, or in another
//! section is looked up by content; so is the end of another string, which linkers merge too, when it is met first.
//! Strings of up to three bytes, which compilers put inline, are their own number.
//!
//! What the base of split BTF has keeps the number that it has there, its offset, whichever module is read; the numbers
//! of all else go on behind the base's. In a module most strings are of that sort or stand there several times, since
//! `ld -r` merges nothing: so the pass remembers their names too ([`Repeated`]).
//!
//! On request all strings with a certain beginning have one name, that beginning ([`Options::kabi_prefix`]).
//!
//! [`Options::kabi_prefix`]: crate::options::Options::kabi_prefix
#![expect(
    clippy::cast_possible_truncation,
    reason = "names are 32-bit: `encode` refuses a string section of which an offset does not fit"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use btf_core::dedup::Name;
use btf_core::{Result, StrOffset};
use hashbrown::{HashTable, hash_table};
use xxhash_rust::xxh3::xxh3_64;

use crate::base::{Base, FoundNames};

pub(crate) use btf_core::dedup::FastMap;

/// Names from here on hold their up to three bytes in the lower 24 bits, first byte highest, with 0 behind the end.
const PACKED: u32 = 0xff00_0000;

/// The largest `.debug_str` whose offsets can be names.
pub(crate) const MAX_DEBUG_STR: usize = 0xf000_0000;

/// The longest name in bytes. Longer ones are no names, and strings that overlap could add up to the square of the file.
const MAX_NAME_LEN: usize = 1 << 16;

/// All names of one input.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    debug_str: &'a [u8],
    base: Option<&'a Base>,
    /// Whether the base was asked by its index: see [`FoundNames`].
    are_by_index: bool,
    /// Strings that begin with this are cut down to it; empty cuts none.
    prefix: &'a [u8],
    /// The name that stands for offset 0 of `debug_str`: 1, or where the base's names end.
    first: u32,
    /// A bit per byte of `debug_str`: whether its offset plus `first` is known to be the name of the string that starts
    /// there. Strings of up to three bytes, second copies and what the base has have other names.
    is_plain: Vec<AtomicU64>,
    repeated: Repeated,
    recent: Recent,
    /// The distinct strings of `debug_str`.
    by_content: HashTable<Distinct>,
    /// The name of each, by its index.
    of_distinct: Vec<Name>,
    others: Mutex<Others>,
}

/// A string of `.debug_str`.
#[derive(Clone, Copy, Debug)]
struct Distinct {
    /// Where it stands first.
    offset: u32,
    index: u32,
}

/// A distinct string of a module.
#[derive(Clone, Copy, Debug)]
struct Met {
    /// Where it stands first.
    start: u32,
    len: u32,
    /// The one that came behind it last; no index if there is none.
    next: u32,
}

/// How many distinct strings a module is taken to have at first. Its `.debug_str` is not merged: it has most of them many times.
const DISTINCT_OF_MODULE: usize = 1 << 13;

/// The names of strings of `.debug_str` that stand there before, or in the base.
#[derive(Debug, Default)]
struct Repeated {
    /// For each 64 bytes a bit for each that such a string starts at, and how many start before.
    starts: Vec<(u64, u32)>,
    /// Until all are known, their indices among the distinct strings.
    names: Vec<Name>,
}

impl Repeated {
    /// Adds the string at `offset`; offsets must ascend.
    #[inline]
    fn push(&mut self, offset: usize, index: u32) {
        if self.starts.len() <= offset / 64 {
            let before = self.names.len() as u32;
            self.starts.resize(offset / 64 + 1, (0, before));
        }
        self.starts[offset / 64].0 |= 1 << (offset % 64);
        self.names.push(Name(index));
    }

    #[inline]
    fn at(&self, offset: usize) -> Option<Name> {
        let &(bits, before) = self.starts.get(offset / 64)?;
        let bit = 1 << (offset % 64);
        let index = before + (bits & (bit - 1)).count_ones();
        (bits & bit != 0).then(|| self.names[index as usize])
    }
}

/// Names that were looked up by content lately: what is the end of another string and has a name from elsewhere, such as
/// that of a function of the symbol table. Each offset has one place here, so the next that has the same one replaces it.
#[derive(Debug)]
struct Recent {
    /// The offset in the upper half, the name in the lower; 0 where there is none.
    entries: Vec<AtomicU64>,
}

impl Recent {
    fn new(debug_str_len: usize) -> Self {
        let count = (debug_str_len / 64).next_power_of_two().clamp(64, 1 << 14);
        Self {
            entries: (0..count).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn entry(&self, offset: usize) -> &AtomicU64 {
        let place = offset.wrapping_mul(0x9e37_79b9) >> 8;
        &self.entries[place & (self.entries.len() - 1)]
    }

    fn at(&self, offset: usize) -> Option<Name> {
        let entry = self.entry(offset).load(Ordering::Relaxed);
        (entry >> 32 == offset as u64 && entry != 0).then_some(Name(entry as u32))
    }

    fn keep(&self, offset: usize, name: Name) {
        let entry = (offset as u64) << 32 | u64::from(name.0);
        self.entry(offset).store(entry, Ordering::Relaxed);
    }
}

/// Names that were found late: ends of other strings in `.debug_str`, by their offset as all there, and strings that are
/// not in it, whose names count on behind.
#[derive(Debug, Default)]
struct Others {
    strings: Vec<Box<[u8]>>,
    by_content: HashTable<Name>,
}

impl<'a> Names<'a> {
    /// Reads `.debug_str` once. It must not be longer than [`MAX_DEBUG_STR`], less what the base's strings take.
    /// Strings that begin with `prefix` are cut down to it; an empty one cuts none.
    ///
    /// # Errors
    /// Those of [`Base::find_names`].
    pub(crate) fn new(
        debug_str: &'a [u8],
        base: Option<&'a Base>,
        prefix: &'a [u8],
    ) -> Result<Self> {
        let capacity = match base {
            None => debug_str.len() / 24,
            Some(_) => DISTINCT_OF_MODULE.min(debug_str.len() / 24),
        };
        let mut names = Self {
            debug_str,
            base,
            are_by_index: false,
            prefix,
            first: base.map_or(0, Base::end_string) + 1,
            repeated: Repeated::default(),
            recent: Recent::new(debug_str.len()),
            is_plain: (0..=debug_str.len() / 64)
                .map(|_| AtomicU64::new(0))
                .collect(),
            by_content: HashTable::with_capacity(capacity),
            of_distinct: Vec::with_capacity(capacity),
            others: Mutex::default(),
        };
        match base {
            None => names.add_all(),
            Some(_) => names.add_all_of_module(),
        }
        if let Some(base) = base {
            names.take_from(base)?;
        }
        for name in &mut names.repeated.names {
            *name = names.of_distinct[name.0 as usize];
        }
        Ok(names)
    }

    /// Adds all strings that are a name as a whole.
    fn add_all(&mut self) {
        let mut start = 0;
        for end in memchr::memchr_iter(0, self.debug_str) {
            let string = &self.debug_str[start..end];
            if self.is_whole_name(string) {
                self.add(start, string);
            }
            start = end + 1;
        }
    }

    /// As `add_all`, where each unit has brought its own strings: those of the headers that they share follow each other in
    /// much the same order in all, so that four of five are what came next before. To see that takes no hash, and no look
    /// for the end.
    fn add_all_of_module(&mut self) {
        let debug_str = self.debug_str;
        let mut met: Vec<Met> = Vec::with_capacity(self.of_distinct.capacity());
        let mut last = usize::MAX;
        let mut start = 0;
        while start < debug_str.len() {
            let guess = met.get(last).map_or(usize::MAX, |last| last.next as usize);
            if let Some(guessed) = met.get(guess)
                && let Some(string) = debug_str.get(start..=start + guessed.len as usize)
                && debug_str[guessed.start as usize..].starts_with(string)
            {
                self.repeated.push(start, guess as u32);
                start += string.len();
                last = guess;
                continue;
            }
            let Some(len) = memchr::memchr(0, &debug_str[start..]) else {
                break;
            };
            let string = &debug_str[start..start + len];
            if self.is_whole_name(string) {
                let index = self.add(start, string);
                if index as usize == met.len() {
                    met.push(Met {
                        start: start as u32,
                        len: len as u32,
                        next: u32::MAX,
                    });
                }
                if let Some(last) = met.get_mut(last) {
                    last.next = index;
                }
                last = index as usize;
            }
            start += len + 1;
        }
    }

    /// Whether a string is a name, neither short nor too long nor cut down to its beginning.
    fn is_whole_name(&self, string: &[u8]) -> bool {
        (4..=MAX_NAME_LEN).contains(&string.len()) && self.kept(string).len() == string.len()
    }

    /// Adds a string; gives its index among the distinct ones.
    fn add(&mut self, start: usize, string: &'a [u8]) -> u32 {
        let tail = |distinct: &Distinct| &self.debug_str[distinct.offset as usize..];
        let is_same = |distinct: &Distinct| starts_with_string(tail(distinct), string);
        let rehash = |distinct: &Distinct| xxh3_64(cut(tail(distinct)));
        let (offset, index) = (start as u32, self.of_distinct.len() as u32);
        let index = match self.by_content.entry(xxh3_64(string), is_same, rehash) {
            hash_table::Entry::Occupied(occupied) => occupied.get().index,
            hash_table::Entry::Vacant(vacant) => {
                vacant.insert(Distinct { offset, index });
                self.of_distinct.push(Name(self.first + offset));
                if self.base.is_none() {
                    *self.is_plain[start / 64].get_mut() |= 1 << (start % 64);
                    return index;
                }
                index
            }
        };
        self.repeated.push(start, index);
        index
    }

    /// Gives the distinct strings that the base has their names there.
    fn take_from(&mut self, base: &Base) -> Result<()> {
        let start = |name: &Name| (name.0 - self.first) as usize;
        let strings = self.of_distinct.iter();
        let strings: Vec<&[u8]> = strings
            .map(|name| cut(&self.debug_str[start(name)..]))
            .collect();
        let FoundNames {
            names: of_base,
            are_by_index,
        } = base.find_names(&strings)?;
        self.are_by_index = are_by_index;
        for (name, of_base) in self.of_distinct.iter_mut().zip(of_base) {
            let start = start(name);
            match of_base {
                Some(of_base) => *name = of_base,
                None => *self.is_plain[start / 64].get_mut() |= 1 << (start % 64),
            }
        }
        Ok(())
    }

    /// The name of the string at an offset of `.debug_str`; `None` if none begins there or it is longer than any name.
    #[inline]
    pub(crate) fn at(&self, offset: u64) -> Option<Name> {
        let offset = usize::try_from(offset).ok()?;
        let bits = self
            .is_plain
            .get(offset / 64)
            .map_or(0, |bits| bits.load(Ordering::Relaxed));
        if bits >> (offset % 64) & 1 != 0 {
            return Some(Name(self.first + offset as u32));
        }
        self.at_other(offset)
    }

    /// As `at`, for modules, where most strings are repeated or the base's.
    #[inline]
    pub(crate) fn at_in_module(&self, offset: u64) -> Option<Name> {
        let repeated = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.repeated.at(offset));
        repeated.or_else(|| self.at(offset))
    }

    /// As `at`, for an offset that is not plain: few are in a linked image, so this does not grow what `at` is put into.
    #[inline(never)]
    fn at_other(&self, offset: usize) -> Option<Name> {
        self.repeated
            .at(offset)
            .or_else(|| self.recent.at(offset))
            .or_else(|| self.look_up(offset))
    }

    /// The name of the string at an offset that is not known to be plain. If it is the end of another string and stands
    /// nowhere else, it is plain from now on.
    fn look_up(&self, offset: usize) -> Option<Name> {
        let string = cut(self
            .debug_str
            .get(offset..)
            .filter(|rest| !rest.is_empty())?);
        if string.len() > MAX_NAME_LEN {
            return None;
        }
        if self.kept(string).len() < string.len() {
            return Some(self.of(string));
        }
        if let Some(name) = self.find(string) {
            self.recent.keep(offset, name);
            return Some(name);
        }
        let own = Name(self.first + offset as u32);
        let mut others = self
            .others
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let name = self.late(&mut others, string, own);
        if name == own {
            // Threads that do not see the bit yet look it up once more.
            self.is_plain[offset / 64].fetch_or(1 << (offset % 64), Ordering::Relaxed);
        } else {
            self.recent.keep(offset, name);
        }
        Some(name)
    }

    /// The name of any string of the input.
    pub(crate) fn of(&self, string: &[u8]) -> Name {
        self.of_new(self.kept(string))
    }

    /// The name of a string that is not in the input.
    pub(crate) fn of_new(&self, string: &[u8]) -> Name {
        self.find(string)
            .unwrap_or_else(|| self.intern_other(string))
    }

    /// What of a string is its name.
    fn kept<'s>(&self, string: &'s [u8]) -> &'s [u8] {
        if !self.prefix.is_empty() && string.starts_with(self.prefix) {
            return &string[..self.prefix.len()];
        }
        string
    }

    fn intern_other(&self, string: &[u8]) -> Name {
        let mut others = self
            .others
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let new = Name(self.first + (self.debug_str.len() + others.strings.len()) as u32);
        let name = self.late(&mut others, string, new);
        if name == new {
            others.strings.push(string.into());
        }
        name
    }

    /// The late name of a string; if it has none, `new` becomes it.
    fn late(&self, others: &mut Others, string: &[u8], new: Name) -> Name {
        let hash = xxh3_64(string);
        let Others {
            strings,
            by_content,
        } = others;
        let bytes = |name: &Name| self.own_bytes(strings, *name);
        if let Some(name) = by_content.find(hash, |name| bytes(name) == string) {
            return *name;
        }
        by_content.insert_unique(hash, new, |name| xxh3_64(bytes(name)));
        new
    }

    /// The name of a string if it is short, or in the base or `.debug_str`.
    fn find(&self, string: &[u8]) -> Option<Name> {
        if let Some(short) = short_name(string) {
            return Some(short);
        }
        let tail = |distinct: &Distinct| &self.debug_str[distinct.offset as usize..];
        let is_same = |distinct: &Distinct| starts_with_string(tail(distinct), string);
        let own = self.by_content.find(xxh3_64(string), is_same);
        own.map(|distinct| self.of_distinct[distinct.index as usize])
            .or_else(|| self.base?.find_name(string))
    }

    /// The bytes of a name that is neither short nor the base's.
    fn own_bytes<'s>(&'s self, strings: &'s [Box<[u8]>], name: Name) -> &'s [u8] {
        let index = (name.0 - self.first) as usize;
        match index.checked_sub(self.debug_str.len()) {
            None => cut(&self.debug_str[index..]),
            Some(index) => strings.get(index).map_or(&[][..], |string| string),
        }
    }

    /// Calls `f` with the bytes of a name.
    pub(crate) fn with<R>(&self, name: Name, f: impl FnOnce(&[u8]) -> R) -> R {
        if let Some(short) = short_bytes(name) {
            return f(cut(&short));
        }
        if name.0 < self.first {
            return f(self.base.map_or(&[], |base| base.string(name)));
        }
        if ((name.0 - self.first) as usize) < self.debug_str.len() {
            return f(self.own_bytes(&[], name));
        }
        let others = self
            .others
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        f(self.own_bytes(&others.strings, name))
    }

    /// The base, if the output is split BTF.
    pub(crate) fn base(&self) -> Option<&'a Base> {
        self.base
    }

    /// Whether the base was asked by its index: see [`FoundNames`].
    pub(crate) fn are_by_index(&self) -> bool {
        self.are_by_index
    }

    /// Where the base has a name, if it is the base's and not short.
    pub(crate) fn base_offset(&self, name: Name) -> Option<StrOffset> {
        (name.0 < self.first && short_bytes(name).is_none()).then_some(StrOffset(name.0))
    }

    /// The bytes of a name, copied.
    pub(crate) fn bytes(&self, name: Name) -> Vec<u8> {
        self.with(name, <[u8]>::to_vec)
    }
}

/// The name of a string of up to three bytes, which is the same with every base and input.
pub(crate) fn short_name(string: &[u8]) -> Option<Name> {
    match *string {
        [] => Some(Name(0)),
        [a] => Some(Name(PACKED | u32::from(a) << 16)),
        [a, b] => Some(Name(PACKED | u32::from(a) << 16 | u32::from(b) << 8)),
        [a, b, c] => Some(Name(
            PACKED | u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c),
        )),
        _ => None,
    }
}

/// The bytes of a short name, with NUL bytes behind.
pub(crate) fn short_bytes(name: Name) -> Option<[u8; 3]> {
    let [mark, bytes @ ..] = name.0.to_be_bytes();
    (name.0 == 0 || mark == 0xff).then_some(bytes)
}

/// The bytes before the first NUL.
pub(crate) fn cut(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr(0, bytes).unwrap_or(bytes.len())]
}

/// Whether `bytes` begin with `string` and a NUL.
fn starts_with_string(bytes: &[u8], string: &[u8]) -> bool {
    bytes.len() > string.len() && &bytes[..string.len()] == string && bytes[string.len()] == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_strings_are_equal_names_wherever_they_stand() {
        let section = b"\0first\0second\0first\0abc\0xfirst\0unterminated";
        let names = Names::new(section, None, b"").unwrap();
        let first = names.at(1).unwrap();
        assert_eq!(names.bytes(first), b"first");
        assert_eq!(names.at(14), Some(first), "a second copy");
        assert_eq!(names.at(25), Some(first), "the end of another string");
        assert_eq!(names.of(b"first"), first, "inline");
        assert_ne!(names.at(7), Some(first));
        assert_eq!(names.at(20), Some(names.of(b"abc")));
        assert_eq!(names.bytes(names.of(b"abc")), b"abc");
        assert_eq!(names.bytes(names.of(b"ab")), b"ab");
        assert_eq!(names.at(0), Some(Name(0)));
        assert_eq!(names.of(b""), Name(0));
        assert_eq!(names.at(1 << 40), None);
        assert_eq!(names.at(section.len() as u64), None);
        let new = names.of(b"elsewhere");
        assert_eq!(names.of_new(b"elsewhere"), new);
        assert_eq!(names.bytes(new), b"elsewhere");
        assert_eq!(names.bytes(names.at(31).unwrap()), b"unterminated");
        assert_eq!(names.at(31), Some(names.of(b"unterminated")));
    }

    #[test]
    fn a_beginning_may_be_the_whole_name() {
        let section = b"\0kept\0__kabi_one\0__kabi_two\0__kabi_\0not__kabi_one\0";
        let names = Names::new(section, None, b"__kabi_").unwrap();
        let prefix = names.at(6).unwrap();
        assert_eq!(names.bytes(prefix), b"__kabi_");
        assert_eq!(names.at(17), Some(prefix));
        assert_eq!(names.at(28), Some(prefix));
        assert_eq!(names.of(b"__kabi_inline"), prefix);
        assert_eq!(names.bytes(names.at(1).unwrap()), b"kept");
        assert_eq!(names.bytes(names.at(36).unwrap()), b"not__kabi_one");
        assert_eq!(names.at(39), Some(prefix), "the end of another string");
        let names = Names::new(b"\0__one\0__\0__two\0", None, b"__").unwrap();
        assert_eq!(names.at(1), names.at(10));
        assert_eq!(names.bytes(names.at(1).unwrap()), b"__");
    }
}
