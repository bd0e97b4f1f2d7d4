//! Adds sections to an ELF file, or gives sections that it has other contents.
//!
//! The result is a [`Plan`]: ranges of the old file and new bytes in the order of the new file, so that a file of hundreds
//! of megabytes is mapped once and never copied in memory.
//!
//! What does not have to move does not: all other sections keep their bytes, offsets and indices, program headers are not
//! touched. New headers are put at the end of the table. What is new stands at the end of the file: the names of sections,
//! if one was missing, then the sections, then the header table. Before that the file is cut behind the last thing that
//! stays, so that what was at the end and is new now (the header table of any usual file, the sections of a run before)
//! leaves no hole. A section with new contents stays where it is if it lies further in front and the contents fit; else
//! its old bytes become a hole.
//!
//! A section that is part of the memory image has its place because of its address. It can only get contents that fit.
//!
//! Spec: gABI chapter 4, "Sections".
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::io::{Read, Write};
use std::ops::Range;

use object::elf::{ET_REL, SHF_ALLOC, SHF_COMPRESSED, SHF_MERGE, SHF_STRINGS};
use object::elf::{SHT_PROGBITS, SHT_REL, SHT_RELA, SHT_STRTAB};

use super::elf_error;
use super::headers::{Entry, Headers, put, slice};
use super::layout::Layout;
use crate::error::{Error, ErrorKind, Result};

/// The alignment of new sections and of the header table in bytes; BTF asks for 4, and no header field for more than 8.
const ALIGNMENT: u64 = 8;
/// How much of the old file is written at once, in bytes; what was written can then be unmapped.
const CHUNK_BYTES: usize = 4 << 20;

/// A section to add, or to give other contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewSection<'a> {
    /// Its name, such as `.BTF`.
    pub name: &'a str,
    /// Its contents.
    pub bytes: &'a [u8],
}

/// An ELF file that is not written yet, as ranges of the old one and new bytes.
#[derive(Debug)]
pub struct Plan<'a> {
    file: &'a [u8],
    pieces: Vec<Piece<'a>>,
    len: u64,
    drops_signature: bool,
}

/// A part of the new file.
#[derive(Debug)]
enum Piece<'a> {
    /// Bytes of the old file.
    Old(Range<u64>),
    New(Cow<'a, [u8]>),
    /// So many zeros.
    Zeros(u64),
}

impl Plan<'_> {
    /// The length of the new file in bytes.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.len
    }

    /// Whether the old file ends in a module's signature, which the new one has no use for.
    ///
    /// The kernel takes a module without one for an unsigned module; one that is void it refuses.
    #[must_use]
    pub fn drops_signature(&self) -> bool {
        self.drops_signature
    }

    /// Writes the new file. `done_with` is told each range of the old one, in bytes, that is not read any more; the ranges
    /// ascend, and what is left out between them is not read at all.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if `out` has an error.
    pub fn write_to<W: Write + ?Sized>(
        &self,
        out: &mut W,
        mut done_with: impl FnMut(Range<u64>),
    ) -> Result<()> {
        let failed = |error| Error::new(ErrorKind::Io("write the output")).caused_by(error);
        for piece in &self.pieces {
            match piece {
                Piece::New(bytes) => out.write_all(bytes).map_err(failed)?,
                Piece::Zeros(count) => {
                    let mut zeros = std::io::repeat(0).take(*count);
                    std::io::copy(&mut zeros, out).map_err(failed)?;
                }
                Piece::Old(range) => {
                    let mut start = range.start;
                    let bytes = slice(self.file, range).unwrap_or_default();
                    for chunk in bytes.chunks(CHUNK_BYTES) {
                        out.write_all(chunk).map_err(failed)?;
                        let end = start + chunk.len() as u64;
                        done_with(start..end);
                        start = end;
                    }
                }
            }
        }
        Ok(())
    }

    /// The new file as one piece of memory.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::try_from(self.len).unwrap_or(0));
        // Writing to memory has no errors.
        let _ = self.write_to(&mut out, |_| {});
        out
    }
}

/// Plans an ELF file with these sections, which are added if the file has none of that name.
///
/// Files of both classes and byte orders, of any type and with any number of sections can be changed. New sections are
/// `PROGBITS`, not part of the memory image, and aligned to 8 bytes. Of several sections with one name the first is given
/// the contents, as it is the one that [`super::sections`] finds. Where new contents are shorter than those that have to
/// stay in their place, zeros follow behind the section's end: a linked kernel, whose symbols say where its `.BTF` ends,
/// needs contents of the same length.
///
/// The new file is a function of the old one and of `sections`, and planning the same sections for it again gives the same
/// file.
///
/// # Errors
/// [`ErrorKind::Elf`] with the place in the section header table, in bytes, if the headers cannot be read or a section lies
/// outside of the file; if a section is part of the memory image and the contents do not fit; if relocations of an object
/// file belong to the old contents of a section; if `sections` names one twice.
/// [`ErrorKind::TooLarge`] if the new file is too large for its class.
pub fn put_sections<'a>(file: &'a [u8], sections: &[NewSection<'a>]) -> Result<Plan<'a>> {
    let headers = Headers::parse(file)?;
    let names = place_names(&headers, sections)?;
    let targets = find_targets(&headers, sections)?;

    let mut draft = Draft::new(&headers, &targets, names.added.is_some());
    draft.keep_places(sections, &targets)?;
    // From here on it is known where the file is cut, and everything else is appended.

    let old_count = headers.entries.len();
    let count = old_count + targets.iter().filter(|target| target.is_none()).count();
    let stays = count == old_count
        && headers.table.end <= draft.end
        && draft.layout.is_free(&headers.table);
    if let Some(added) = names.added {
        draft.append_names(headers.names_index, added);
    }
    for ((section, target), name) in sections.iter().zip(&targets).zip(&names.offsets) {
        match target {
            Some(index) if draft.is_placed(*index) => {}
            target => draft.append_section(*target, *name, section.bytes),
        }
    }
    draft.finish(stays.then_some(headers.table.start))
}

/// Where the names of sections are.
struct Names {
    /// The offset of each new section's name.
    offsets: Vec<u32>,
    /// What is to be put behind the old names, if one is missing.
    added: Option<Vec<u8>>,
}

/// Finds the names of `sections` among the names that are there, and notes those that are not.
fn place_names(headers: &Headers<'_>, sections: &[NewSection<'_>]) -> Result<Names> {
    let index = headers.names_index;
    let entry = headers.entries.get(index).copied().unwrap_or_default();
    if entry.kind != SHT_STRTAB.0 || entry.flags & SHF_COMPRESSED.0 != 0 {
        let text = "expected the names of the sections, an uncompressed STRTAB";
        return Err(headers.error_at(index, text));
    }
    let old = headers.data(index);
    let mut added = Vec::new();
    if old.last() != Some(&0) {
        added.push(0);
    }
    let is_fixed = added.len();
    let mut offsets = Vec::with_capacity(sections.len());
    for section in sections {
        let name = section.name.as_bytes();
        if name.is_empty() || name.contains(&0) {
            return Err(elf_error(format!(
                "not a section's name: `{}`",
                section.name
            )));
        }
        let known = find_name(old, name).or_else(|| {
            let at = find_name(&added, name)?;
            Some(old.len() + at)
        });
        let at = known.unwrap_or_else(|| {
            let at = old.len() + added.len();
            added.extend_from_slice(name);
            added.push(0);
            at
        });
        let Ok(at) = u32::try_from(at) else {
            return Err(headers.error_at(index, "too many names"));
        };
        offsets.push(at);
    }
    let added = (added.len() > is_fixed).then_some(added);
    if added.is_some() && is_in_image(headers, &entry) {
        let text = "is part of the memory image, so that no name can be added";
        return Err(headers.error_at(index, text));
    }
    Ok(Names { offsets, added })
}

/// The offset of the string `name` in `strings`, be it the end of a longer one.
fn find_name(strings: &[u8], name: &[u8]) -> Option<usize> {
    let mut end = 0;
    for string in strings.split_inclusive(|&byte| byte == 0) {
        end += string.len();
        if let Some(string) = string.strip_suffix(&[0])
            && string.ends_with(name)
        {
            return Some(end - 1 - name.len());
        }
    }
    None
}

/// Whether a section has its place because of its address.
fn is_in_image(headers: &Headers<'_>, entry: &Entry) -> bool {
    entry.flags & SHF_ALLOC.0 != 0 && headers.file_type != ET_REL.0
}

/// The index of the section that each of `sections` gives contents to; `None` for one that is new.
fn find_targets(headers: &Headers<'_>, sections: &[NewSection<'_>]) -> Result<Vec<Option<usize>>> {
    let mut targets = Vec::with_capacity(sections.len());
    for (at, section) in sections.iter().enumerate() {
        let before = sections.iter().take(at);
        if before
            .map(|other| other.name)
            .any(|name| name == section.name)
        {
            return Err(elf_error(format!(
                "section `{}` is given twice",
                section.name
            )));
        }
        // The null section has no name, whatever its header says.
        let mut indices = 1..headers.entries.len();
        let target = indices.find(|&index| headers.has_name(index, section.name.as_bytes()));
        if let Some(index) = target {
            check_relocations(headers, index)?;
        }
        if target == Some(headers.names_index) {
            let text = "holds the names of the sections and cannot get other contents";
            return Err(headers.error_at(headers.names_index, text));
        }
        targets.push(target);
    }
    Ok(targets)
}

/// Checks that no relocations belong to the contents of a section of an object file.
fn check_relocations(headers: &Headers<'_>, target: usize) -> Result<()> {
    if headers.file_type != ET_REL.0 {
        return Ok(());
    }
    let relocations = headers.entries.iter().position(|entry| {
        (entry.kind == SHT_REL.0 || entry.kind == SHT_RELA.0)
            && entry.size > 0
            && entry.info as usize == target
    });
    match relocations {
        Some(index) => {
            let name = String::from_utf8_lossy(headers.name(target).unwrap_or_default());
            let text = format!("relocates `{name}`, which cannot get other contents therefore");
            Err(headers.error_at(index, &text))
        }
        None => Ok(()),
    }
}

/// A new file in the making.
struct Draft<'a, 'h> {
    headers: &'h Headers<'a>,
    layout: Layout,
    /// Where the old file is cut.
    end: u64,
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
    fn new(headers: &'h Headers<'a>, targets: &[Option<usize>], names_grow: bool) -> Self {
        let fixed = targets.iter().flatten().filter_map(|&index| {
            let entry = headers.entries.get(index)?;
            is_in_image(headers, entry).then(|| entry.extent())?
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
    fn keep_places(
        &mut self,
        sections: &[NewSection<'a>],
        targets: &[Option<usize>],
    ) -> Result<()> {
        let found = sections.iter().zip(targets);
        let found = found.filter_map(|(section, target)| Some((section, (*target)?)));
        for (section, index) in found {
            let entry = self.headers.entries.get(index).copied();
            let mut entry = entry.unwrap_or_default();
            let is_fixed = is_in_image(self.headers, &entry);
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
    fn is_placed(&self, index: usize) -> bool {
        self.entries.iter().any(|(placed, _)| *placed == index)
    }

    /// Notes the header of a section whose contents are new.
    fn set_entry(&mut self, index: usize, mut entry: Entry, is_fixed: bool) {
        entry.kind = SHT_PROGBITS.0;
        if !is_fixed {
            entry.flags &= !(SHF_COMPRESSED.0 | SHF_MERGE.0 | SHF_STRINGS.0);
            entry.entsize = 0;
            entry.align = entry.align.max(ALIGNMENT);
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
    fn append_names(&mut self, index: usize, added: Vec<u8>) {
        let mut entry = self.headers.entries.get(index).copied().unwrap_or_default();
        let old = entry.extent().unwrap_or_default();
        let place = self.append(1, [Piece::Old(old), Piece::New(Cow::Owned(added))]);
        entry.offset = place;
        entry.size = self.cursor - place;
        self.entries.push((index, entry));
    }

    /// Appends the contents of a section, which is new if it has no index.
    fn append_section(&mut self, index: Option<usize>, name: u32, bytes: &'a [u8]) {
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
    fn finish(mut self, table: Option<u64>) -> Result<Plan<'a>> {
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

impl Piece<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Old(range) => range.end - range.start,
            Self::New(bytes) => bytes.len() as u64,
            Self::Zeros(count) => *count,
        }
    }
}
