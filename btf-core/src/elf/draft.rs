//! A new file in the making: what of the old one stays where it is, and what is appended.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::ops::Range;

use object::elf::{SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE};
use object::elf::{SHF_COMPRESSED, SHF_MERGE, SHF_STRINGS, SHT_PROGBITS};

use super::headers::{Entry, Headers, put, slice};
use super::layout::Layout;
use super::plan::{Piece, Plan};
use super::write::NewSection;
use crate::error::Result;

/// The alignment of new sections and of the header table in bytes; BTF asks for 4, and no header field for more than 8.
const ALIGNMENT: u64 = 8;

/// A new file in the making.
pub(super) struct Draft<'a, 'h> {
    headers: &'h Headers<'a>,
    pub(super) layout: Layout,
    /// Where the old file is cut.
    pub(super) end: u64,
    /// New bytes in front of `end`, by their place.
    patches: Vec<(u64, Piece<'a>)>,
    /// What follows behind `end`.
    appended: Vec<Piece<'a>>,
    /// Where the next appended byte stands.
    cursor: u64,
    /// The section headers that differ from the old ones, by index; those behind the old table are new.
    entries: Vec<(usize, Entry)>,
}

impl<'a, 'h> Draft<'a, 'h> {
    /// A draft in which all stays but the contents of `targets` and, if `names_grow`, the names.
    pub(super) fn new(
        headers: &'h Headers<'a>,
        targets: &[Option<usize>],
        names_grow: bool,
    ) -> Self {
        let fixed = targets.iter().flatten().filter_map(|&index| {
            let entry = headers.entries.get(index)?;
            headers.is_in_image(entry).then(|| entry.extent())?
        });
        let mut layout = Layout::new(headers.segments.iter().cloned().chain(fixed).collect());
        layout.take(headers.file_header());
        layout.take(headers.segment_table.clone());
        let mut leaving = vec![headers.table.clone()];
        for (index, entry) in headers.entries.iter().enumerate() {
            let Some(extent) = entry.extent() else {
                continue;
            };
            let is_leaving =
                targets.contains(&Some(index)) || names_grow && index == headers.names_index;
            if is_leaving {
                leaving.push(extent);
            } else {
                layout.take(extent);
            }
        }
        layout.take_rest(headers.file, leaving);
        let end = layout.end();
        Self {
            headers,
            layout,
            end,
            patches: Vec::new(),
            appended: Vec::new(),
            cursor: end,
            entries: Vec::new(),
        }
    }

    /// Puts the contents that must stay in their place, or can, where the old ones are.
    pub(super) fn keep_places(
        &mut self,
        sections: &[NewSection<'a>],
        targets: &[Option<usize>],
    ) -> Result<()> {
        let found = sections.iter().zip(targets);
        let found = found.filter_map(|(section, target)| Some((section, (*target)?)));
        for (section, index) in found {
            let entry = self.headers.entries.get(index).copied();
            let mut entry = entry.unwrap_or_default();
            // lld leaves an empty `.BTF` in a kernel that is linked before there is BTF, because the script sets symbols there.
            let has_place = entry.size > 0 || section.bytes.is_empty();
            let is_fixed = has_place && self.headers.is_in_image(&entry);
            let Some(old) = self.old_place(index, &entry, is_fixed, section.bytes)? else {
                continue;
            };
            let start = if is_fixed {
                old.start
            } else {
                old.start.next_multiple_of(ALIGNMENT)
            };
            let end = start + section.bytes.len() as u64;
            self.patches.extend([
                (old.start, Piece::Zeros(start - old.start)),
                (start, Piece::New(Cow::Borrowed(section.bytes))),
                (end, Piece::Zeros(old.end - end)),
            ]);
            entry.offset = start;
            entry.size = section.bytes.len() as u64;
            self.set_entry(index, entry, is_fixed);
            self.layout.take(old);
        }
        Ok(())
    }

    /// The old place of a section, if the new contents belong there.
    fn old_place(
        &self,
        index: usize,
        entry: &Entry,
        is_fixed: bool,
        bytes: &[u8],
    ) -> Result<Option<Range<u64>>> {
        let old = entry.extent();
        let room = |old: &Range<u64>, start: u64| {
            start
                .checked_add(bytes.len() as u64)
                .is_some_and(|end| end <= old.end)
        };
        if !is_fixed {
            return Ok(old.filter(|old| {
                let start = old.start.checked_next_multiple_of(ALIGNMENT);
                old.end <= self.end
                    && start.is_some_and(|start| room(old, start))
                    && self.layout.is_free(old)
            }));
        }
        let old = old.unwrap_or(entry.offset..entry.offset);
        if !room(&old, old.start) {
            let (size, len) = (old.end - old.start, bytes.len());
            let text = format!(
                "is part of the memory image with room for {size} bytes, and {len} are needed"
            );
            return Err(self.headers.error_at(index, &text));
        }
        if !old.is_empty() && !self.layout.is_free_in_segments(&old) {
            let text =
                "is part of the memory image, and other headers or sections are in its place";
            return Err(self.headers.error_at(index, text));
        }
        Ok(Some(old))
    }

    /// Whether a section has its new contents.
    pub(super) fn is_placed(&self, index: usize) -> bool {
        self.entries.iter().any(|(placed, _)| *placed == index)
    }

    /// Notes the header of a section whose contents are new.
    fn set_entry(&mut self, index: usize, mut entry: Entry, is_fixed: bool) {
        entry.kind = SHT_PROGBITS.0;
        if !is_fixed {
            entry.flags &= !(SHF_COMPRESSED.0 | SHF_MERGE.0 | SHF_STRINGS.0);
            entry.entsize = 0;
            entry.align = entry.align.max(ALIGNMENT);
            if self.headers.is_in_image(&entry) {
                entry.flags &= !(SHF_ALLOC.0 | SHF_WRITE.0 | SHF_EXECINSTR.0);
                entry.addr = 0;
            }
        }
        self.entries.push((index, entry));
    }

    /// Appends a piece at a multiple of `align` bytes and returns its place.
    fn append(&mut self, align: u64, pieces: impl IntoIterator<Item = Piece<'a>>) -> u64 {
        let place = self.cursor.next_multiple_of(align);
        if place > self.cursor {
            self.appended.push(Piece::Zeros(place - self.cursor));
        }
        self.cursor = place;
        for piece in pieces {
            self.cursor += piece.len();
            self.appended.push(piece);
        }
        place
    }

    /// Appends the names of the sections, with those that are `added`.
    pub(super) fn append_names(&mut self, index: usize, added: Vec<u8>) {
        let mut entry = self.headers.entries.get(index).copied().unwrap_or_default();
        let old = entry.extent().unwrap_or_default();
        let place = self.append(1, [Piece::Old(old), Piece::New(Cow::Owned(added))]);
        entry.offset = place;
        entry.size = self.cursor - place;
        self.entries.push((index, entry));
    }

    /// Appends the contents of a section, which is new if it has no index.
    pub(super) fn append_section(&mut self, index: Option<usize>, name: u32, bytes: &'a [u8]) {
        let place = self.append(ALIGNMENT, [Piece::New(Cow::Borrowed(bytes))]);
        let old = index.and_then(|index| self.headers.entries.get(index));
        let entry = Entry {
            offset: place,
            size: bytes.len() as u64,
            ..old.copied().unwrap_or(Entry {
                name,
                ..Entry::default()
            })
        };
        let behind = self.entries.iter().map(|(index, _)| index + 1).max();
        let behind = behind.unwrap_or(0).max(self.headers.entries.len());
        self.set_entry(index.unwrap_or(behind), entry, false);
    }

    /// Writes the headers: the table stays at `table`, or is appended.
    pub(super) fn finish(mut self, table: Option<u64>) -> Result<Plan<'a>> {
        let entry_len = self.headers.format.entry_len();
        let old_count = self.headers.entries.len();
        let new = self.entries.iter().filter(|(index, _)| *index >= old_count);
        let count = (old_count + new.count()) as u64;
        let place = table.unwrap_or_else(|| self.cursor.next_multiple_of(ALIGNMENT));
        let (header, first_size) = self.headers.header_with(place, count)?;

        let old = slice(self.headers.file, &self.headers.table);
        let mut bytes = old.unwrap_or_default().to_vec();
        bytes.resize(usize::try_from(count * entry_len).unwrap_or(0), 0);
        let mut first = self.headers.entries.first().copied().unwrap_or_default();
        first.size = first_size;
        self.entries.push((0, first));
        for (index, entry) in &self.entries {
            let at = usize::try_from(*index as u64 * entry_len).unwrap_or(usize::MAX);
            put(&mut bytes, at, &self.headers.format.encode(entry));
        }
        match table {
            Some(table) => self.patches.push((table, Piece::New(Cow::Owned(bytes)))),
            None => {
                self.append(ALIGNMENT, [Piece::New(Cow::Owned(bytes))]);
            }
        }
        self.patches.push((0, Piece::New(Cow::Owned(header))));
        self.headers.format.check_len(self.cursor)?;
        Ok(Plan {
            file: self.headers.file,
            len: self.cursor,
            drops_signature: self.layout.has_signature,
            pieces: self.into_pieces(),
        })
    }

    /// The old file up to where it is cut, with the patches, and what is appended.
    fn into_pieces(mut self) -> Vec<Piece<'a>> {
        self.patches.retain(|(_, piece)| piece.len() > 0);
        self.patches.sort_by_key(|(place, _)| *place);
        let mut pieces = Vec::new();
        let mut cursor = 0;
        for (place, piece) in self.patches {
            pieces.push(Piece::Old(cursor..place));
            cursor = place + piece.len();
            pieces.push(piece);
        }
        pieces.push(Piece::Old(cursor..self.end));
        pieces.extend(self.appended);
        pieces.retain(|piece| piece.len() > 0);
        pieces
    }
}
