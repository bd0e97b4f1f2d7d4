//! Which functions are kfuncs: the sets in `.BTF_ids`.
//!
//! A kernel lists the functions that BPF programs may call in sets, which its build fills with type ids. A set is a symbol
//! `__BTF_ID__set8__NAME` in the section `.BTF_ids`: two words, the number of entries and flags, then per entry an id and the
//! function's flags. Each entry has a symbol `__BTF_ID__func__FUNCTION__NUMBER`, which tells the name. Before the ids are
//! filled in (`resolve_btfids` runs after us) the flags are there already, and they are all that counts here.
//!
//! **Difference from pahole 1.32**: there the last symbol of a function decides about its flags if it is in several sets.
//! Here they are joined (no kfunc of Debian's 7.2 kernel is told apart by that; all 301 agree), since a function that is, say, `KF_FASTCALL` in one set is one whatever another set says.
//!
//! Spec: include/linux/btf.h (`KF_*`), `include/linux/btf_ids.h` (`BTF_SET8_START`, `BTF_SET8_KFUNCS`) of Linux 7.2.

use gimli::{Endianity, RunTimeEndian};

use crate::symbols::{FunctionKey, FunctionTable, Symbol};

/// The set's flag that says that its functions are kfuncs.
const SET8_KFUNCS: u32 = 1;
/// The prefix of a set's symbol.
const SET_PREFIX: &[u8] = b"__BTF_ID__set8__";
/// The prefix of a function's symbol.
const FUNCTION_PREFIX: &[u8] = b"__BTF_ID__func__";
/// A symbol without size: its set reaches as far as its number of entries says.
const ENTRY_SIZE: u64 = 8;

/// The `KF_*` flags of a kfunc.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KfuncFlags(pub u32);

impl KfuncFlags {
    /// `KF_FASTCALL`: the verifier may keep caller-saved registers.
    pub const FASTCALL: u32 = 1 << 12;
    /// `KF_ARENA_RET`: the returned pointer points into an arena.
    pub const ARENA_RET: u32 = 1 << 13;
    /// `KF_ARENA_ARG1`: so does the first argument.
    pub const ARENA_ARG1: u32 = 1 << 14;
    /// `KF_ARENA_ARG2`: so does the second argument.
    pub const ARENA_ARG2: u32 = 1 << 15;

    /// The declaration tags that the FUNC gets, in this order.
    pub fn tags(self) -> impl Iterator<Item = &'static str> {
        let fastcall = (self.0 & Self::FASTCALL != 0).then_some("bpf_fastcall");
        std::iter::once("bpf_kfunc").chain(fastcall)
    }

    /// Whether any pointer gets the type attribute `address_space(1)`.
    #[must_use]
    pub const fn has_arena(self) -> bool {
        self.0 & (Self::ARENA_RET | Self::ARENA_ARG1 | Self::ARENA_ARG2) != 0
    }

    /// Whether the returned pointer gets the type attribute `address_space(1)`.
    #[must_use]
    pub const fn has_arena_return(self) -> bool {
        self.0 & Self::ARENA_RET != 0
    }

    /// Whether the parameter `index`, counted from 0, gets the type attribute `address_space(1)`.
    #[must_use]
    pub const fn has_arena_param(self, index: usize) -> bool {
        match index {
            0 => self.0 & Self::ARENA_ARG1 != 0,
            1 => self.0 & Self::ARENA_ARG2 != 0,
            _ => false,
        }
    }
}

/// The section `.BTF_ids` of the file.
#[derive(Clone, Copy, Debug)]
pub struct BtfIds<'a> {
    /// Its bytes.
    pub data: &'a [u8],
    /// Its address; 0 in a relocatable file.
    pub address: u64,
    /// Its index.
    pub section_index: u32,
    /// The byte order of the file.
    pub order: RunTimeEndian,
}

/// What could not be read in `.BTF_ids`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KfuncFinding<'a> {
    /// This set's symbol lies outside of the section.
    SetOutside(&'a [u8]),
    /// This function's symbol is in a set, but its flags lie outside of the section.
    FunctionOutside(&'a [u8]),
    /// No function of this name is in the symbol table.
    NoFunction(&'a [u8]),
}

/// The kfuncs of a file.
#[derive(Debug, Default)]
pub struct Kfuncs {
    sorted: Vec<(FunctionKey, KfuncFlags)>,
}

/// A range of the section, in bytes, that belongs to a set of kfuncs.
type Range = (u64, u64);

impl Kfuncs {
    /// Reads the sets. `symbols` may be all symbols of the file, in any order.
    #[must_use]
    pub fn new<'a>(
        ids: &BtfIds<'_>,
        symbols: impl IntoIterator<Item = Symbol<'a>>,
        table: &FunctionTable<'_>,
    ) -> (Self, Vec<KfuncFinding<'a>>) {
        let mut findings = Vec::new();
        let mut sets = Vec::new();
        let mut functions = Vec::new();
        let own = symbols
            .into_iter()
            .filter(|symbol| symbol.section_index == ids.section_index);
        for symbol in own {
            if symbol.name.starts_with(SET_PREFIX) {
                match ids.set_range(&symbol) {
                    Some(range) => sets.push(range),
                    None => findings.push(KfuncFinding::SetOutside(symbol.name)),
                }
            } else if let Some(name) = function_name(symbol.name) {
                functions.push((name, symbol.value.wrapping_sub(ids.address)));
            }
        }
        let sets = joined(sets);
        let mut sorted = Vec::new();
        functions.sort_unstable();
        for (name, offset) in functions {
            let Some(range) = range_of(&sets, offset) else {
                continue;
            };
            match (ids.flags(offset, range), table.key(name)) {
                (None, _) => findings.push(KfuncFinding::FunctionOutside(name)),
                (Some(_), None) => findings.push(KfuncFinding::NoFunction(name)),
                (Some(flags), Some(key)) => sorted.push((key, KfuncFlags(flags))),
            }
        }
        sorted.sort_by_key(|(key, _)| *key);
        sorted.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            if is_same {
                earlier.1.0 |= later.1.0;
            }
            is_same
        });
        (Self { sorted }, findings)
    }

    /// The flags of a function, if it is a kfunc.
    #[must_use]
    pub fn get(&self, key: FunctionKey) -> Option<KfuncFlags> {
        let at = self.sorted.binary_search_by_key(&key, |(key, _)| *key);
        at.ok()
            .and_then(|at| self.sorted.get(at))
            .map(|(_, flags)| *flags)
    }

    /// All kfuncs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (FunctionKey, KfuncFlags)> {
        self.sorted.iter().copied()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }
}

impl BtfIds<'_> {
    /// The word at `offset` in the section.
    fn word(&self, offset: u64) -> Option<u32> {
        let offset = usize::try_from(offset).ok()?;
        let bytes = self.data.get(offset..offset.checked_add(4)?)?;
        Some(self.order.read_u32(bytes))
    }

    /// The entries of a set, none if its functions are no kfuncs; `None` if it lies outside.
    fn set_range(&self, symbol: &Symbol<'_>) -> Option<Range> {
        let start = symbol.value.checked_sub(self.address)?;
        let entries = start.checked_add(ENTRY_SIZE)?;
        let (count, flags) = (self.word(start)?, self.word(start.checked_add(4)?)?);
        if flags & SET8_KFUNCS == 0 {
            return Some((entries, entries));
        }
        let end = match symbol.size {
            0 => entries.checked_add(u64::from(count) * ENTRY_SIZE)?,
            size => start.checked_add(size)?,
        };
        Some((entries, end))
    }

    /// The flags of the entry at `offset`, which lies in `range`.
    fn flags(&self, offset: u64, range: Range) -> Option<u32> {
        let end = offset.checked_add(ENTRY_SIZE)?;
        (end <= range.1)
            .then(|| self.word(offset.checked_add(4)?))
            .flatten()
    }
}

/// The function's name in the symbol of an entry: what is between the prefix and the last `__`.
fn function_name(symbol: &[u8]) -> Option<&[u8]> {
    let rest = symbol.strip_prefix(FUNCTION_PREFIX)?;
    let end = rest.windows(2).rposition(|window| window == b"__")?;
    rest.get(..end).filter(|name| !name.is_empty())
}

/// The ranges in ascending order, those that touch or overlap as one.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.0 < last.1 => last.1 = last.1.max(range.1),
            Some(_) | None => joined.push(range),
        }
    }
    joined
}

/// The range that `offset` lies in.
fn range_of(ranges: &[Range], offset: u64) -> Option<Range> {
    let at = ranges
        .partition_point(|range| range.0 <= offset)
        .checked_sub(1)?;
    ranges.get(at).copied().filter(|range| offset < range.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: u64 = 0x1000;

    fn symbol(name: &str, value: u64, size: u64) -> Symbol<'_> {
        Symbol {
            name: name.as_bytes(),
            value: ADDRESS + value,
            size,
            st_type: 1,
            st_bind: 0,
            section_index: 9,
        }
    }

    fn table() -> FunctionTable<'static> {
        FunctionTable::new(["alpha", "beta__x", "gamma"].map(|name| Symbol {
            st_type: crate::symbols::STT_FUNC,
            ..symbol(name, 0, 1)
        }))
    }

    /// Gives the kfuncs' names with flags, and the number of findings.
    fn read(
        words: &[u32],
        symbols: &[Symbol<'_>],
        order: RunTimeEndian,
    ) -> (Vec<(String, u32)>, usize) {
        let data: Vec<u8> = words
            .iter()
            .flat_map(|word| match order {
                RunTimeEndian::Little => word.to_le_bytes(),
                RunTimeEndian::Big => word.to_be_bytes(),
            })
            .collect();
        let ids = BtfIds {
            data: &data,
            address: ADDRESS,
            section_index: 9,
            order,
        };
        let table = table();
        let (kfuncs, findings) = Kfuncs::new(&ids, symbols.iter().copied(), &table);
        let name = |key| String::from_utf8_lossy(table.name(key)).into_owned();
        let found = kfuncs.iter().map(|(key, flags)| (name(key), flags.0));
        assert!(
            kfuncs
                .iter()
                .all(|(key, flags)| kfuncs.get(key) == Some(flags))
        );
        (found.collect(), findings.len())
    }

    #[track_caller]
    fn check(words: &[u32], symbols: &[Symbol<'_>], expect: &[(&str, u32)], findings: usize) {
        for order in [RunTimeEndian::Little, RunTimeEndian::Big] {
            let (found, count) = read(words, symbols, order);
            let found: Vec<_> = found.iter().map(|(n, f)| (n.as_str(), *f)).collect();
            assert_eq!(found, expect);
            assert_eq!(count, findings);
        }
    }

    #[test]
    fn functions_of_kfunc_sets() {
        let words = [2, 1, 0, 4, 0, 0x1000, 1, 0, 0, 8];
        let symbols = [
            symbol("__BTF_ID__set8__one", 0, 24),
            symbol("__BTF_ID__func__alpha__77", 8, 4),
            symbol("__BTF_ID__func__beta__x__78", 16, 4),
            symbol("__BTF_ID__set8__other", 24, 16),
            symbol("__BTF_ID__func__gamma__79", 32, 4),
            symbol("__BTF_ID__struct__gamma__80", 16, 4),
        ];
        check(&words, &symbols, &[("alpha", 4), ("beta__x", 0x1000)], 0);
        let unsized_set = symbol("__BTF_ID__set8__one", 0, 0);
        check(&words, &[unsized_set, symbols[1]], &[("alpha", 4)], 0);
        check(&words, &symbols[1..3], &[], 0);
    }

    #[test]
    fn flags_of_several_sets_are_joined() {
        let words = [1, 1, 0, 4, 1, 1, 0, 8];
        let symbols = [
            symbol("__BTF_ID__set8__one", 0, 16),
            symbol("__BTF_ID__set8__two", 16, 16),
            symbol("__BTF_ID__func__alpha__1", 24, 4),
            symbol("__BTF_ID__func__alpha__2", 8, 4),
        ];
        check(&words, &symbols, &[("alpha", 12)], 0);
    }

    #[test]
    fn what_cannot_be_read_is_a_finding() {
        let words = [1, 1, 0, 4];
        let set = symbol("__BTF_ID__set8__one", 0, 16);
        check(
            &words,
            &[set, symbol("__BTF_ID__func__delta__1", 8, 4)],
            &[],
            1,
        );
        check(&words, &[symbol("__BTF_ID__set8__far", 12, 16)], &[], 1);
        check(
            &words,
            &[set, symbol("__BTF_ID__func__alpha__1", 12, 4)],
            &[],
            1,
        );
        let mut before = set;
        before.value = 0;
        check(&words, &[before], &[], 1);
        let mut elsewhere = set;
        elsewhere.section_index = 8;
        check(
            &words,
            &[elsewhere, symbol("__BTF_ID__func__alpha__1", 8, 4)],
            &[],
            0,
        );
    }

    #[test]
    fn tags() {
        let tags = |flags| KfuncFlags(flags).tags().collect::<Vec<_>>();
        assert_eq!(tags(0), ["bpf_kfunc"]);
        assert_eq!(tags(KfuncFlags::FASTCALL), ["bpf_kfunc", "bpf_fastcall"]);
        let flags = KfuncFlags(KfuncFlags::ARENA_RET | KfuncFlags::ARENA_ARG2);
        assert!(flags.has_arena_return() && flags.has_arena_param(1));
        assert!(!flags.has_arena_param(0) && !flags.has_arena_param(2));
    }

    #[test]
    fn names() {
        assert_eq!(
            function_name(b"__BTF_ID__func__a__b__1"),
            Some(&b"a__b"[..])
        );
        assert_eq!(function_name(b"__BTF_ID__func____1"), None);
        assert_eq!(function_name(b"__BTF_ID__func__a"), None);
        assert_eq!(function_name(b"__BTF_ID__struct__a__1"), None);
    }
}
