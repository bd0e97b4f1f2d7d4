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
    /// What is known without the index.
    scan: OnceLock<StringScan>,
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
            Some(scan) if self.index.get().is_none() => scan.find(&self.bytes, string).ok(),
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
        // Each call has its own pass, as one for other strings does not tell which of these are there twice. It asks other threads
        // for help: a thread that waits for them may take up another call, so no call may wait for another.
        let scan = StringScan::new(&self.bytes, strings)?;
        let found = strings.iter().enumerate().map(|(index, string)| {
            let own = scan.of_wanted(index, string)?;
            Some(StrOffset(self.first + own))
        });
        let found = found.collect();
        // Any will do to find others.
        let _ = self.scan.set(scan);
        Some(found)
    }

    fn index(&self) -> &StringIndex {
        self.index.get_or_init(|| StringIndex::of(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(strings: &[u8]) -> StringSection {
        let end = u32::try_from(strings.len()).unwrap();
        StringSection::new(strings.to_vec().into(), 0, end)
    }

    #[test]
    fn what_others_looked_for_before_does_not_matter() {
        let strings = section(b"\0other\0twice\0twice\0");
        let other = Some(vec![Some(StrOffset(1))]);
        for _ in 0..2 {
            assert_eq!(strings.scan(&[b"other"]), other);
            assert_eq!(strings.scan(&[b"twice"]), None);
        }
        assert_eq!(strings.find(b"twice"), Some(StrOffset(7)));
    }

    /// While a thread waits for others it does what else there is to do, which may be to look for strings.
    #[cfg(feature = "parallel")]
    #[test]
    fn threads_that_look_for_strings_do_not_wait_for_each_other() {
        use rayon::prelude::*;

        let all: Vec<String> = (0..5000).map(|n| format!("\0string {n}")).collect();
        let all = all.concat();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3);
        let pool = pool.build().unwrap();
        for count in [3, 4, 5].repeat(20) {
            let strings = section(format!("{all}\0").as_bytes());
            let found = || {
                let scans = (0..count).into_par_iter().with_max_len(1);
                scans.map(|_| strings.scan(&[b"string 0"])).collect()
            };
            let found: Vec<_> = pool.install(found);
            assert!(
                found
                    .into_iter()
                    .all(|found| found == Some(vec![Some(StrOffset(1))]))
            );
        }
    }
}
