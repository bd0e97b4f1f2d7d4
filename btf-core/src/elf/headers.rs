//! The header tables of an ELF file, read into one form for both classes and written back.
//!
//! Reading is `object`'s work, which knows where the counts of large files stand. What is written are single entries and
//! three fields of the file header: all other bytes of the headers stay what they are.
//!
//! Spec: gABI chapter 4, "ELF Header" and "Sections", with the escape values of section header 0.

use std::ops::Range;

use object::Endianness;
use object::elf::{
    ET_REL, FileHeader32, FileHeader64, SHF_ALLOC, SHN_LORESERVE, SHT_NOBITS, SHT_NULL,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use super::{damaged, elf_error, unknown_class};
use crate::error::{Error, ErrorKind, Result};
use crate::strings::string_at;
use crate::wire::ByteOrder;

/// The section header table in the places of errors, whose offsets count from its start.
const TABLE: &str = "section headers";

/// What decides about the form of the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) is_64: bool,
    pub(super) order: ByteOrder,
}

/// A section header of either class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: u32,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) addr: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: u32,
    pub(super) info: u32,
    pub(super) align: u64,
    pub(super) entsize: u64,
}

/// The headers of an ELF file; ranges are bytes of the file.
#[derive(Debug)]
pub(super) struct Headers<'a> {
    pub(super) file: &'a [u8],
    pub(super) format: Format,
    /// `e_type`.
    pub(super) file_type: u16,
    /// Where the section headers are.
    pub(super) table: Range<u64>,
    pub(super) entries: Vec<Entry>,
    /// The index of the section that holds the sections' names.
    pub(super) names_index: usize,
    pub(super) segment_table: Range<u64>,
    /// What is loaded or otherwise named by a program header, as far as it lies in the file.
    pub(super) segments: Vec<Range<u64>>,
}

impl Format {
    const fn header_len(self) -> u64 {
        if self.is_64 { 64 } else { 52 }
    }

    pub(super) const fn entry_len(self) -> u64 {
        if self.is_64 { 64 } else { 40 }
    }

    /// The largest offset or size that a header can hold.
    const fn limit(self) -> u64 {
        if self.is_64 {
            u64::MAX
        } else {
            u32::MAX as u64
        }
    }

    fn word(self, out: &mut Vec<u8>, value: u32) {
        out.extend(self.order.u32_bytes(value));
    }

    /// An address, offset or size, as wide as the class.
    fn wide(self, out: &mut Vec<u8>, value: u64) {
        match (self.is_64, self.order) {
            (true, ByteOrder::Little) => out.extend(value.to_le_bytes()),
            (true, ByteOrder::Big) => out.extend(value.to_be_bytes()),
            // `limit` was asked before.
            (false, _) => self.word(out, u32::try_from(value).unwrap_or(u32::MAX)),
        }
    }

    /// Checks that the headers can describe a file of `len` bytes.
    pub(super) fn check_len(self, len: u64) -> Result<()> {
        let limit = self.limit();
        if len <= limit {
            return Ok(());
        }
        let (what, value) = ("ELF file in bytes", len);
        Err(ErrorKind::TooLarge { what, value, limit }.into())
    }

    /// The entry as it stands in the table.
    pub(super) fn encode(self, entry: &Entry) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.word(&mut out, entry.name);
        self.word(&mut out, entry.kind);
        for value in [entry.flags, entry.addr, entry.offset, entry.size] {
            self.wide(&mut out, value);
        }
        self.word(&mut out, entry.link);
        self.word(&mut out, entry.info);
        self.wide(&mut out, entry.align);
        self.wide(&mut out, entry.entsize);
        out
    }
}

impl Entry {
    /// Where its bytes are in the file; `None` if it has none there.
    pub(super) fn extent(&self) -> Option<Range<u64>> {
        let has_bytes = self.kind != SHT_NULL.0 && self.kind != SHT_NOBITS.0 && self.size > 0;
        // `Headers::parse` has checked the sum.
        has_bytes.then(|| self.offset..self.offset.saturating_add(self.size))
    }
}

impl<'a> Headers<'a> {
    /// Reads the headers and checks that every section lies in the file.
    pub(super) fn parse(file: &'a [u8]) -> Result<Self> {
        // The class is the byte behind the magic number.
        match file.get(4) {
            Some(1) => Self::read::<FileHeader32<Endianness>>(file),
            Some(2) => Self::read::<FileHeader64<Endianness>>(file),
            class => Err(unknown_class(class.copied())),
        }
    }

    fn read<Elf: FileHeader<Endian = Endianness>>(file: &'a [u8]) -> Result<Self> {
        let failed = |what, offset| {
            let len = Ok(file.len() as u64);
            move |error: object::read::Error| damaged(what, offset, len).caused_by(error)
        };
        let header = Elf::parse(file).map_err(failed("an ELF header", 0))?;
        let endian = header.endian().map_err(failed("an ELF header", 0))?;
        let (table, program_headers) =
            (header.e_shoff(endian).into(), header.e_phoff(endian).into());
        let format = Format {
            is_64: header.is_class_64(),
            order: match endian {
                Endianness::Little => ByteOrder::Little,
                Endianness::Big => ByteOrder::Big,
            },
        };
        let sections = header.section_headers(endian, file);
        let sections = sections.map_err(failed(TABLE, table))?;
        if sections.is_empty() {
            return Err(elf_error("no section headers".to_owned()));
        }
        let names_index = header.section_strings_index(endian, file);
        let names_index = names_index.map_err(failed("section headers with names", table))?;
        let segments = header.program_headers(endian, file);
        let segments = segments.map_err(failed("program headers", program_headers))?;

        let program_header_len = u64::from(header.e_phentsize(endian));
        let headers = Self {
            file,
            format,
            file_type: header.e_type(endian).0,
            table: table..table + sections.len() as u64 * format.entry_len(),
            entries: sections.iter().map(|s| entry_of(s, endian)).collect(),
            names_index: names_index.0,
            segment_table: program_headers
                ..program_headers + segments.len() as u64 * program_header_len,
            segments: segments
                .iter()
                .filter_map(|segment| {
                    let start: u64 = segment.p_offset(endian).into();
                    let end = start.saturating_add(segment.p_filesz(endian).into());
                    let end = end.min(file.len() as u64);
                    (start < end).then_some(start..end)
                })
                .collect(),
        };
        headers.check_sections()?;
        Ok(headers)
    }

    /// Checks that every section lies in the file.
    fn check_sections(&self) -> Result<()> {
        let file_len = self.file.len() as u64;
        for (index, entry) in self.entries.iter().enumerate() {
            let has_bytes = entry.extent().is_some();
            let end = entry.offset.checked_add(entry.size);
            if has_bytes && end.is_none_or(|end| end > file_len) {
                let (offset, size) = (entry.offset, entry.size);
                let text = format!(
                    "{size:#x} bytes from {offset:#x} are not in the file, which has {file_len:#x}"
                );
                return Err(self.error_at(index, &text));
            }
        }
        Ok(())
    }

    /// The bytes of a section in the file; none for one that has none there.
    pub(super) fn data(&self, index: usize) -> &'a [u8] {
        let extent = self.entries.get(index).and_then(Entry::extent);
        let extent = extent.and_then(|extent| slice(self.file, &extent));
        extent.unwrap_or_default()
    }

    /// The name of a section; `None` if it cannot be read.
    pub(super) fn name(&self, index: usize) -> Option<&'a [u8]> {
        let entry = self.entries.get(index)?;
        string_at(self.data(self.names_index), entry.name as usize)
    }

    /// Whether a section is called `name`. Reads no more than that of its name, however long it is.
    pub(super) fn has_name(&self, index: usize, name: &[u8]) -> bool {
        let entry = self.entries.get(index);
        let start = entry.and_then(|entry| usize::try_from(entry.name).ok());
        let tail = start.and_then(|start| self.data(self.names_index).get(start..));
        let rest = tail.and_then(|tail| tail.strip_prefix(name));
        rest.and_then(<[u8]>::first) == Some(&0)
    }

    /// Whether a section has its place because of its address.
    pub(super) fn is_in_image(&self, entry: &Entry) -> bool {
        entry.flags & SHF_ALLOC.0 != 0 && self.file_type != ET_REL.0
    }

    /// An error about a section.
    pub(super) fn error_at(&self, index: usize, text: &str) -> Error {
        let name = String::from_utf8_lossy(self.name(index).unwrap_or(b"?"));
        let offset = index as u64 * self.format.entry_len();
        elf_error(format!("section {index} `{name}`: {text}")).at(TABLE, offset)
    }

    /// The range of the file header.
    pub(super) fn file_header(&self) -> Range<u64> {
        0..self.format.header_len()
    }

    /// The file header of a file with `count` section headers at `table`, and what section header 0 then has as its size.
    pub(super) fn header_with(&self, table: u64, count: u64) -> Result<(Vec<u8>, u64)> {
        let order = self.format.order;
        let old = slice(self.file, &self.file_header());
        let mut header = old.unwrap_or_default().to_vec();
        let (table_at, count_at) = if self.format.is_64 {
            (40, 60)
        } else {
            (32, 48)
        };
        let mut bytes = Vec::new();
        self.format.wide(&mut bytes, table);
        put(&mut header, table_at, &bytes);
        let is_escaped = count >= u64::from(SHN_LORESERVE);
        let short = if is_escaped { 0 } else { count };
        put(
            &mut header,
            count_at,
            &order.u16_bytes(u16::try_from(short).unwrap_or(0)),
        );
        if count > u64::from(u32::MAX) {
            let (what, limit) = ("number of sections", u32::MAX.into());
            let value = count;
            return Err(ErrorKind::TooLarge { what, value, limit }.into());
        }
        let unescaped = self.entries.first().map_or(0, |entry| entry.size);
        Ok((header, if is_escaped { count } else { unescaped }))
    }
}

/// Copies `bytes` to `at` of `target`, if they fit.
pub(super) fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    let range = at..at.saturating_add(bytes.len());
    if let Some(target) = target.get_mut(range) {
        target.copy_from_slice(bytes);
    }
}

/// The bytes of `range`, if they are in `file`.
pub(super) fn slice<'a>(file: &'a [u8], range: &Range<u64>) -> Option<&'a [u8]> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    file.get(start..end)
}

fn entry_of<S: SectionHeader<Endian = Endianness>>(section: &S, endian: Endianness) -> Entry {
    Entry {
        name: section.sh_name(endian),
        kind: section.sh_type(endian).0,
        flags: section.sh_flags(endian).0,
        addr: section.sh_addr(endian).into(),
        offset: section.sh_offset(endian).into(),
        size: section.sh_size(endian).into(),
        link: section.sh_link(endian),
        info: section.sh_info(endian),
        align: section.sh_addralign(endian).into(),
        entsize: section.sh_entsize(endian).into(),
    }
}
