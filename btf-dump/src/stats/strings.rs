//! Counts strings: all, those that nothing uses, and those that are the end of another one and need no bytes of their own.

use btf_core::ext::BtfExt;
use btf_core::types::name_refs;
use btf_core::{Btf, StrOffset};

/// What the own strings come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StringStats {
    /// How many there are, the empty one included.
    pub strings: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many nothing refers to, the empty one not counted.
    pub unused: u64,
    /// Their bytes.
    pub unused_bytes: u64,
    /// How many are the end of another one.
    pub shareable: u64,
    /// Their bytes.
    pub shareable_bytes: u64,
    /// How many the base has, too.
    pub in_base: u64,
}

impl StringStats {
    pub(super) fn of(btf: &Btf, ext: Option<&BtfExt>) -> Self {
        let bytes = btf.string_bytes();
        let used = used_offsets(btf, ext);
        let strings: Vec<&[u8]> = bytes.split(|&byte| byte == 0).collect();
        // What follows the last NUL is no string.
        let strings = strings.split_last().map_or(&[][..], |(_, strings)| strings);
        let mut stats = Self {
            strings: strings.len() as u64,
            bytes: bytes.len() as u64,
            ..Self::default()
        };
        let mut start = 0;
        for string in strings {
            let end = start + string.len();
            let is_used = used
                .get(start..=end)
                .is_some_and(|used| used.contains(&true));
            if !string.is_empty() {
                let base = btf.base();
                let in_base = base.is_some_and(|base| base.find_string(string).is_some());
                stats.in_base += u64::from(in_base);
                if !is_used {
                    stats.unused += 1;
                    stats.unused_bytes += string.len() as u64 + 1;
                }
            }
            start = end + 1;
        }
        stats.count_ends(strings);
        stats
    }

    /// Counts the strings that are the end of another one: sorted from their ends, such a one stands right before a longer one.
    fn count_ends(&mut self, strings: &[&[u8]]) {
        let mut sorted: Vec<_> = strings.iter().filter(|string| !string.is_empty()).collect();
        sorted.sort_unstable_by(|a, b| a.iter().rev().cmp(b.iter().rev()));
        for pair in sorted.windows(2) {
            if let [one, next] = pair
                && next.ends_with(one)
            {
                self.shareable += 1;
                self.shareable_bytes += one.len() as u64 + 1;
            }
        }
    }
}

/// For each byte of the own strings, whether a name starts there.
fn used_offsets(btf: &Btf, ext: Option<&BtfExt>) -> Vec<bool> {
    let mut used = vec![false; btf.string_bytes().len()];
    let mut mark = |offset: StrOffset| {
        let index = offset.0.checked_sub(btf.first_string());
        if let Some(slot) = index.and_then(|index| used.get_mut(index as usize)) {
            *slot = true;
        }
    };
    for (_, record) in btf.records() {
        for (_, offset) in name_refs(record) {
            mark(offset);
        }
    }
    if let Some(mut ext) = ext.cloned() {
        let done: Result<(), ()> = ext.rewrite_refs(
            |offset| {
                mark(offset);
                Ok(offset)
            },
            Ok,
        );
        debug_assert!(done.is_ok());
    }
    used
}
