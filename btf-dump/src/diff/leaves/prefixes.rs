//! The names that stand before those of members of members.

use std::hash::Hasher as _;

use btf_core::StrOffset;

use super::super::side::Side;
use super::Leaf;

/// What stands before the names of members, such as `b.` and `d[].`.
#[derive(Clone, Debug, Default)]
pub struct Prefixes(Vec<Prefix>);

/// A name that others stand behind.
#[derive(Clone, Copy, Debug)]
struct Prefix {
    before: u32,
    name: StrOffset,
    link: &'static str,
    hash: u64,
}

impl Prefixes {
    /// The hash of the whole name of a member.
    #[inline]
    pub(super) fn path(&self, side: &Side<'_>, prefix: u32, name: StrOffset) -> u64 {
        let before = self.get(prefix).map_or(0, |prefix| prefix.hash);
        if before == 0 {
            return side.name_hash(name);
        }
        let mut hasher = side.hasher(before);
        hasher.write_u64(side.name_hash(name));
        hasher.finish()
    }

    /// Adds what stands before the members of a member, and returns its number.
    pub(super) fn add(
        &mut self,
        side: &Side<'_>,
        before: u32,
        name: StrOffset,
        link: &'static str,
    ) -> u32 {
        let mut hasher = side.hasher(self.path(side, before, name));
        hasher.write(link.as_bytes());
        let hash = hasher.finish();
        self.0.push(Prefix {
            before,
            name,
            link,
            hash,
        });
        u32::try_from(self.0.len()).unwrap_or(0)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn get(&self, number: u32) -> Option<&Prefix> {
        self.0.get((number as usize).checked_sub(1)?)
    }

    /// Whether a leaf is behind a pointer, so that its place is one in something else.
    pub(in super::super) fn is_elsewhere(&self, leaf: &Leaf) -> bool {
        let mut number = leaf.prefix;
        while let Some(prefix) = self.get(number) {
            if prefix.link.contains("->") {
                return true;
            }
            number = prefix.before;
        }
        false
    }

    /// Appends the whole name of a leaf.
    pub(in super::super) fn put_name(&self, side: &Side<'_>, leaf: &Leaf, out: &mut Vec<u8>) {
        if leaf.prefix == 0 {
            return out.extend_from_slice(side.name(leaf.name));
        }
        let mut parts = Vec::new();
        let mut number = leaf.prefix;
        while let Some(prefix) = self.get(number) {
            parts.push(prefix);
            number = prefix.before;
        }
        for prefix in parts.into_iter().rev() {
            out.extend_from_slice(side.name(prefix.name));
            out.extend_from_slice(prefix.link.as_bytes());
        }
        out.extend_from_slice(side.name(leaf.name));
    }
}
