//! The string section of BTF that has been read, and what is known of its strings.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::sync::OnceLock;

use super::{StringIndex, StringScan};
use crate::ids::StrOffset;

/// The strings of a [`Btf`](crate::Btf) without those of its base. Offsets count on from the base's.
#[derive(Debug)]
pub struct StringSection {
    bytes: Cow<'static, [u8]>,
    first: u32,
    end: u32,
    index: OnceLock<StringIndex>,
    /// What is known without the index; `None` if that was found not to do.
    scan: OnceLock<Option<StringScan>>,
}

impl StringSection {
    /// Strings whose offsets are those from `first` up to `end`.
    pub(crate) fn new(bytes: Cow<'static, [u8]>, first: u32, end: u32) -> Self {
        Self {
            bytes,
            first,
            end,
            index: OnceLock::new(),
            scan: OnceLock::new(),
        }
    }

    /// The section as it stands: each string with its NUL.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn is_borrowed(&self) -> bool {
        matches!(self.bytes, Cow::Borrowed(_))
    }

    pub(crate) fn into_bytes(self) -> Cow<'static, [u8]> {
        self.bytes
    }

    /// The offset of the first string: 0, or where those of the base end.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// One past the last offset.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }

    /// The offset of `string`, if it is here as a whole. The first call builds an index of all strings, unless
    /// [`Self::scan`] was called.
    #[must_use]
    pub fn find(&self, string: &[u8]) -> Option<StrOffset> {
        let scanned = match self.scan.get() {
            Some(Some(scan)) if self.index.get().is_none() => scan.find(&self.bytes, string).ok(),
            _ => None,
        };
        let found = scanned.unwrap_or_else(|| self.index().find(&self.bytes, string));
        found.map(|own| StrOffset(self.first + own))
    }

    /// Calls `found` with the index and the offset of each of the `strings` that is here.
    pub(crate) fn find_all(&self, strings: &[&[u8]], mut found: impl FnMut(usize, StrOffset)) {
        let first = self.first;
        self.index().find_all(&self.bytes, strings, |index, own| {
            found(index, StrOffset(first + own));
        });
    }

    /// As [`Self::find`] of each of `strings`, no two of which are equal, for those who will ask for few others: in one pass
    /// that builds no index. `None` if one of `strings` or a string of up to three bytes stands there twice.
    #[must_use]
    pub fn scan(&self, strings: &[&[u8]]) -> Option<Vec<Option<StrOffset>>> {
        let mut is_new = false;
        let scan = self.scan.get_or_init(|| {
            is_new = true;
            StringScan::new(&self.bytes, strings)
        });
        let scan = scan.as_ref()?;
        let found = strings.iter().enumerate().map(|(index, string)| {
            if is_new {
                let own = scan.of_wanted(index, string)?;
                Some(StrOffset(self.first + own))
            } else {
                self.find(string)
            }
        });
        Some(found.collect())
    }

    fn index(&self) -> &StringIndex {
        self.index.get_or_init(|| StringIndex::of(&self.bytes))
    }
}
