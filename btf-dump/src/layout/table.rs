//! One line each: sizes as `pahole --sizes` prints them, what reordering saves as `--packable` does, members that were found.

use std::cmp::Reverse;
use std::io::Write as _;

use btf_core::TypeId;

use super::reorganize::Reorganized;
use super::search::Found;
use super::{Layout, Layouts};
use crate::names::Names;

/// What lines are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The names.
    Name,
    /// The sizes, the largest first.
    Size,
    /// The numbers of holes, the largest first.
    Holes,
}

/// Writes the lines of one BTF.
#[derive(Debug)]
pub struct Writer<'l, 'b> {
    layouts: &'l Layouts<'b>,
    names: Names<'b>,
}

impl<'l, 'b> Writer<'l, 'b> {
    /// A writer for the types that `layouts` has.
    #[must_use]
    pub fn new(layouts: &'l Layouts<'b>) -> Self {
        Self {
            layouts,
            names: Names::new(layouts.btf()),
        }
    }

    /// Appends name, size in bytes and number of holes, with tabs between.
    pub fn put_size(&mut self, out: &mut Vec<u8>, layout: &Layout) {
        out.extend_from_slice(self.names.get(layout.name).bytes);
        // Writing to memory cannot fail.
        let _ = writeln!(out, "\t{}\t{}", layout.size, layout.gaps.holes);
    }

    /// Appends name, size in bytes before and after, and the difference, with tabs between.
    pub fn put_packable(&mut self, out: &mut Vec<u8>, reorganized: &Reorganized) {
        let layout = &reorganized.layout;
        out.extend_from_slice(self.names.get(layout.name).bytes);
        let (old, new, saved) = (reorganized.old_size, layout.size, reorganized.saved());
        let _ = writeln!(out, "\t{old}\t{new}\t{saved}");
    }

    /// Appends `structure: member`.
    pub fn put_found(&mut self, out: &mut Vec<u8>, found: &Found) {
        let holder = self.layouts.get(found.holder);
        if let Some(holder) = holder {
            out.extend_from_slice(self.names.get(holder.name).bytes);
        }
        out.extend_from_slice(b": ");
        out.extend_from_slice(&found.path);
        out.push(b'\n');
    }
}

/// Orders types; equal ones stay in their order. What has no size comes last.
pub fn sort(layouts: &Layouts<'_>, ids: &mut [TypeId], order: Order) {
    let mut names = Names::new(layouts.btf());
    match order {
        Order::Name => ids.sort_by_cached_key(|&id| {
            let ty = layouts.btf().ty(id).ok();
            ty.map(|ty| names.get(ty.name()).bytes)
        }),
        Order::Size => ids.sort_by_key(|&id| Reverse(layouts.get(id).map(|layout| layout.size))),
        Order::Holes => {
            ids.sort_by_key(|&id| Reverse(layouts.get(id).map(|layout| layout.gaps.holes)));
        }
    }
}
