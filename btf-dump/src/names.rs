//! Looks names up so that printing all of them stays cheap, whatever the input.
//!
//! Any offset into the string section is a name, so a hostile blob can use the ends of one long string as the names of all its
//! types: printed in full, a megabyte would become terabytes. What is longer than the kernel's limit for names therefore has a
//! budget; when that is used up, long names are cut.

use btf_core::StrOffset;
use btf_core::reader::Btf;

use crate::put;

/// The length in bytes up to which names are always printed: what kernels accept (`KSYM_NAME_LEN`).
const LONG: usize = 512;

/// How many bytes of longer names, or of lines of source, are printed per blob before they are cut.
const LONG_BUDGET: usize = 16 << 20;

/// What stands for a name that does not exist.
const INVALID: &[u8] = b"(invalid)";

/// Stands at the end of what is cut.
pub(crate) const ELLIPSIS: &str = "…";

/// A name as it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    /// The bytes; what bpftool prints if the name is out of range.
    pub(crate) bytes: &'a [u8],
    /// Whether there was more.
    pub(crate) is_cut: bool,
    /// What starts with these bytes, so that more than them can be copied at once.
    tail: &'a [u8],
}

impl<'a> Name<'a> {
    /// No name.
    pub(crate) const EMPTY: Self = Self::whole(b"");

    /// All of some bytes.
    pub(crate) const fn whole(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            is_cut: false,
            tail: bytes,
        }
    }

    /// The first `len` bytes of `tail`.
    #[inline]
    fn start_of(tail: &'a [u8], len: usize, is_cut: bool) -> Self {
        Self {
            bytes: tail.get(..len).unwrap_or(tail),
            is_cut,
            tail,
        }
    }

    /// Appends the bytes.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it is the most frequent of all")]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        put::start_of(out, self.tail, self.bytes.len());
    }
}

/// As much of `tail` as the strings at its start may take that need no budget, with what ends them.
#[inline]
pub(crate) fn short(tail: &[u8]) -> &[u8] {
    tail.get(..LONG).unwrap_or(tail)
}

/// The strings of BTF and its bases.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    /// Each string section with its first offset, the deepest base last.
    sections: Vec<(u32, &'a [u8])>,
    budget: usize,
    has_met_long: bool,
}

impl<'a> Names<'a> {
    pub(crate) fn new(btf: &'a Btf) -> Self {
        let sections = btf.chain();
        let sections = sections.map(|btf| (btf.first_string(), btf.string_bytes()));
        Self {
            sections: sections.collect(),
            budget: LONG_BUDGET,
            has_met_long: false,
        }
    }

    /// Whether there was a name that the budget is for, so that what comes next depends on what came before.
    pub(crate) fn has_met_long(&self) -> bool {
        self.has_met_long
    }

    /// The name at an offset.
    #[inline]
    pub(crate) fn get(&mut self, offset: StrOffset) -> Name<'a> {
        self.find(offset).unwrap_or(Name::whole(INVALID))
    }

    /// The name at an offset, if it exists.
    #[inline]
    pub(crate) fn find(&mut self, offset: StrOffset) -> Option<Name<'a>> {
        let tail = self.tail(offset)?;
        Some(self.cut(tail))
    }

    /// The name at an offset, if it exists and is one of those that need no budget.
    #[inline]
    pub(crate) fn find_short(&self, offset: StrOffset) -> Option<Name<'a>> {
        let tail = self.tail(offset)?;
        let len = put::len_of_string(short(tail))?;
        Some(Name::start_of(tail, len, false))
    }

    /// The strings from an offset on, if it exists.
    #[inline]
    pub(crate) fn tail(&self, offset: StrOffset) -> Option<&'a [u8]> {
        let tail = self.sections.iter().find_map(|&(first, strings)| {
            let offset = offset.0.checked_sub(first)?;
            Some(strings.get(offset as usize..).unwrap_or_default())
        });
        tail.filter(|tail| !tail.is_empty())
    }

    /// The string at the start of `tail`, or as much of it as may be printed.
    #[inline]
    pub(crate) fn cut(&mut self, tail: &'a [u8]) -> Name<'a> {
        match put::len_of_string(short(tail)) {
            Some(len) => Name::start_of(tail, len, false),
            None => self.cut_long(tail),
        }
    }

    #[cold]
    fn cut_long(&mut self, tail: &'a [u8]) -> Name<'a> {
        self.has_met_long = true;
        let window = tail.get(..LONG + self.budget).unwrap_or(tail);
        let Some(len) = memchr::memchr(0, window) else {
            // Also when it would fit next time: the order of the types decides, and nothing else.
            self.budget = 0;
            return Name::start_of(tail, LONG, true);
        };
        self.budget -= len.saturating_sub(LONG).min(self.budget);
        Name::start_of(tail, len, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> Names<'_> {
        let sections = vec![(100, bytes), (0, b"\0base\0".as_slice())];
        Names {
            sections,
            budget: LONG_BUDGET,
            has_met_long: false,
        }
    }

    #[test]
    fn a_name_may_be_in_a_base_in_the_middle_or_nowhere() {
        let mut names = names(b"own\0");
        for (offset, expect) in [
            (0, &b""[..]),
            (1, b"base"),
            (3, b"se"),
            (6, INVALID),
            (99, INVALID),
            (100, b"own"),
            (103, b""),
            (104, INVALID),
            (u32::MAX, INVALID),
        ] {
            let name = names.get(StrOffset(offset));
            assert_eq!((name.bytes, name.is_cut), (expect, false), "{offset}");
        }
    }

    #[test]
    fn long_names_are_printed_until_the_budget_is_used_up() {
        let mut section = vec![b'a'; LONG_BUDGET / 2];
        section.push(0);
        let mut names = names(&section);
        for is_cut in [false, false, true, true] {
            let name = names.get(StrOffset(100));
            assert_eq!(name.is_cut, is_cut);
            assert_eq!(
                name.bytes.len(),
                if is_cut { LONG } else { LONG_BUDGET / 2 }
            );
        }
        let short = StrOffset(100 + u32::try_from(LONG_BUDGET / 2).unwrap() - 5);
        assert!(!names.get(short).is_cut);
    }
}
