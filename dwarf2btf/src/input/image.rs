//! Finds in an ELF file what the encoder reads: the debug sections, all section headers and the symbol table.
//!
//! Debug sections are unpacked here, side by side. They are relocated never: their relocations come along
//! ([`Relocations`]), and only those of a relocatable file. An executable may keep the `.rela.debug_*` sections that its
//! linker has already applied (`--emit-relocs`); applying them again would be wrong wherever an addend counts twice.
//!
//! Spec: gABI ch. 4 "Sections", "Symbol Table", "Section Compression".
#![warn(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::ops::Range;

use btf_core::{ByteOrder, Error, ErrorKind, Result};
use object::elf;
use object::read::elf::{CompressionHeader, FileHeader, SectionHeader as _, Sym};
use object::{Endianness, SectionIndex, SymbolIndex};
use rayon::prelude::*;

use super::compression::{self, Method};
use super::other_files;
use super::relocation::{ElfForm, RawSymbols, Relocations};

/// An ELF file's parts; all but unpacked sections are borrowed from the mapped file.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// Whether the file is of the 64-bit class, so that addresses have 8 bytes.
    pub is_64: bool,
    /// The byte order of the file.
    pub order: ByteOrder,
    /// The machine, `e_machine`.
    pub machine: u16,
    /// The type of the file, `e_type`: 1 relocatable, 2 executable, 3 shared object.
    pub file_type: u16,
    /// `.debug_info`; the first one if a relocatable file has several.
    pub debug_info: Section<'a>,
    /// `.debug_types`; the first one if a relocatable file has several.
    pub debug_types: Section<'a>,
    /// `.debug_abbrev`.
    pub debug_abbrev: Section<'a>,
    /// `.debug_str`.
    pub debug_str: Section<'a>,
    /// `.debug_line_str`.
    pub debug_line_str: Section<'a>,
    /// `.debug_str_offsets`.
    pub debug_str_offsets: Section<'a>,
    /// `.debug_addr`.
    pub debug_addr: Section<'a>,
    /// `.debug_loc`.
    pub debug_loc: Section<'a>,
    /// `.debug_loclists`.
    pub debug_loclists: Section<'a>,
    /// `.debug_ranges`.
    pub debug_ranges: Section<'a>,
    /// `.debug_rnglists`.
    pub debug_rnglists: Section<'a>,
    /// Further sections named `.debug_info` or `.debug_types`, in file order: compilers put each type unit into a section of
    /// its own, which only a final link joins.
    pub more_units: Vec<Section<'a>>,
    /// All sections by index; the first is the null section.
    pub sections: Vec<SectionHeader<'a>>,
    /// The symbols of `.symtab` but for the null symbol, in the table's order.
    pub symbols: Vec<Symbol<'a>>,
    /// Where sections stood that were unpacked, in bytes of the file.
    pub(super) unpacked: Vec<Range<u64>>,
    data: &'a [u8],
}

impl Image<'_> {
    /// The bytes that strings can be in: those of the file, and of units and strings once more, as they may be packed.
    pub(crate) fn string_bytes(&self) -> usize {
        let more = self.more_units.iter();
        let units = more.chain([&self.debug_info, &self.debug_types]);
        let strings = [&self.debug_str, &self.debug_line_str];
        let sections = units.chain(strings).map(|section| section.data.len());
        sections.fold(self.data.len(), usize::saturating_add)
    }
}

/// A debug section, ready to be read.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// Its name, without the `z` of `.zdebug_*`.
    pub name: &'static str,
    /// Its bytes, unpacked and not relocated; none if the file does not have it.
    pub data: Cow<'a, [u8]>,
    /// Its relocations; none unless the file is relocatable.
    pub relocations: Relocations<'a>,
    /// Where [`Self::data`] stands in the file, in bytes; none if it was unpacked or is empty.
    pub file_range: Option<Range<u64>>,
}

/// What a section header says.
#[derive(Clone, Debug)]
pub struct SectionHeader<'a> {
    /// The section's index.
    pub index: u32,
    /// Its name.
    pub name: &'a [u8],
    /// The address of its first byte, `sh_addr`; 0 in a relocatable file.
    pub address: u64,
    /// Its size in bytes, `sh_size`.
    pub size: u64,
    /// Its type, `sh_type`.
    pub section_type: u32,
    /// Its flags, `sh_flags`.
    pub flags: u64,
    /// Where it stands in the file, in bytes and not yet checked; none if it has no bytes there (`SHT_NOBITS`).
    pub file_range: Option<Range<u64>>,
}

/// A symbol of `.symtab`.
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value: an address, or in a relocatable file the offset in its section.
    pub value: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The section that it is defined in; none if it is undefined, absolute or common.
    pub section: Option<u32>,
    /// Whether it is defined here, be it absolute or common.
    pub is_defined: bool,
    /// Its type, `STT_*`.
    pub symbol_type: u8,
    /// Its binding, `STB_*`.
    pub binding: u8,
}

impl<'a> Image<'a> {
    /// Reads the headers and unpacks the debug sections of the file `data`.
    ///
    /// # Errors
    /// [`ErrorKind::Elf`] if it is no ELF file or damaged, [`ErrorKind::Compressed`] or [`ErrorKind::TooLarge`] if a debug
    /// section cannot be unpacked, [`ErrorKind::Unsupported`] for relocations in a form that is not read.
    pub fn parse(data: &'a [u8]) -> Result<Self> {
        if data.get(..4) != Some(&elf::ELFMAG[..]) {
            let text = match other_files::describe(data) {
                None => "not an ELF file".to_owned(),
                Some(what) => format!("not an ELF file, but {what}"),
            };
            return Err(Error::new(ErrorKind::Elf(text)));
        }
        match data.get(4) {
            Some(1) => parse::<elf::FileHeader32<Endianness>>(data),
            Some(2) => parse::<elf::FileHeader64<Endianness>>(data),
            class => Err(Error::new(ErrorKind::Invalid {
                what: "ELF class",
                value: class.copied().map_or(0, u64::from),
            })),
        }
    }

    /// The first section of this name.
    #[must_use]
    pub fn section_by_name(&self, name: &str) -> Option<&SectionHeader<'a>> {
        self.sections.iter().find(|s| s.name == name.as_bytes())
    }

    /// The bytes of a section as they stand in the file, packed if it is compressed.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if the file ends before the section does.
    pub fn section_data(&self, section: &SectionHeader<'a>) -> Result<&'a [u8]> {
        slice(self.data, section.file_range.as_ref())
    }

    /// Whether the file is relocatable (`ET_REL`), so that addresses count from the start of a section.
    #[must_use]
    pub fn is_relocatable(&self) -> bool {
        self.file_type == elf::ET_REL.0
    }
}

fn slice<'a>(data: &'a [u8], range: Option<&Range<u64>>) -> Result<&'a [u8]> {
    let Some(range) = range else { return Ok(&[]) };
    let start = usize::try_from(range.start).unwrap_or(usize::MAX);
    let end = usize::try_from(range.end).unwrap_or(usize::MAX);
    data.get(start..end).ok_or_else(|| {
        Error::new(ErrorKind::Truncated {
            needed: range.end,
            available: data.len() as u64,
        })
    })
}

/// Turns an error of the ELF reader into ours; `what` was expected, and where in the file.
fn damaged(
    what: &'static str,
    offset: u64,
    length: usize,
) -> impl Fn(object::Error) -> Error + Copy {
    move |error| btf_core::elf::damaged(what, offset, Ok(length as u64)).caused_by(error)
}

/// The debug sections that are read, in the order of the fields of [`Image`].
const NAMES: [&str; 11] = [
    ".debug_info",
    ".debug_types",
    ".debug_abbrev",
    ".debug_str",
    ".debug_line_str",
    ".debug_str_offsets",
    ".debug_addr",
    ".debug_loc",
    ".debug_loclists",
    ".debug_ranges",
    ".debug_rnglists",
];

/// Those of [`NAMES`] that a relocatable file can have several of.
const UNITS: usize = 2;

/// How a section is packed, its packed bytes, and its size in bytes when unpacked.
type Packed<'a> = (Method, &'a [u8], u64);

/// A debug section that is to be read.
struct Job<'a> {
    /// Its place in [`NAMES`].
    slot: usize,
    /// The index of the section.
    index: usize,
    packed: Option<Packed<'a>>,
}

/// A file that is being read.
struct Reader<'a, E: FileHeader<Endian = Endianness>> {
    data: &'a [u8],
    header: &'a E,
    endian: Endianness,
    raw_sections: &'a [E::SectionHeader],
    sections: Vec<SectionHeader<'a>>,
    /// For each section the section that holds its relocations, 0 for none; empty unless the file is relocatable.
    relocated_by: Vec<u32>,
}

fn parse<E: FileHeader<Endian = Endianness>>(data: &[u8]) -> Result<Image<'_>> {
    let in_header = damaged("an ELF header", 0, data.len());
    let header = E::parse(data).map_err(in_header)?;
    let endian = header.endian().map_err(in_header)?;
    let offset: u64 = header.e_shoff(endian).into();
    let in_sections = damaged("section headers and their names", offset, data.len());
    let table = header.sections(endian, data).map_err(in_sections)?;
    let mut reader = Reader {
        data,
        header,
        endian,
        raw_sections: header.section_headers(endian, data).map_err(in_sections)?,
        sections: Vec::new(),
        relocated_by: Vec::new(),
    };
    for (index, raw) in (0..).zip(reader.raw_sections) {
        reader.sections.push(SectionHeader {
            index,
            name: table.section_name(endian, raw).map_err(in_sections)?,
            address: raw.sh_addr(endian).into(),
            size: raw.sh_size(endian).into(),
            section_type: raw.sh_type(endian).0,
            flags: raw.sh_flags(endian).0,
            file_range: raw
                .file_range(endian)
                .map(|(start, size)| start..start.saturating_add(size)),
        });
    }
    reader.find_relocations();
    let symbols = read_symbols::<E>(&reader, &table)?;
    reader.into_image(symbols)
}

impl<'a, E: FileHeader<Endian = Endianness>> Reader<'a, E> {
    fn form(&self) -> ElfForm {
        ElfForm {
            is_64: self.header.is_type_64(),
            order: match self.endian {
                Endianness::Little => ByteOrder::Little,
                Endianness::Big => ByteOrder::Big,
            },
            machine: self.header.e_machine(self.endian).0,
        }
    }

    /// Notes which section relocates which.
    fn find_relocations(&mut self) {
        if self.header.e_type(self.endian) != elf::ET_REL {
            return;
        }
        self.relocated_by = vec![0; self.sections.len()];
        for (index, raw) in (0..).zip(self.raw_sections) {
            let kind = raw.sh_type(self.endian);
            if ![elf::SHT_REL, elf::SHT_RELA, elf::SHT_CREL].contains(&kind) {
                continue;
            }
            let target = usize::try_from(raw.sh_info(self.endian)).unwrap_or(usize::MAX);
            if let Some(slot) = self.relocated_by.get_mut(target) {
                *slot = index;
            }
        }
    }

    fn into_image(self, symbols: Vec<Symbol<'a>>) -> Result<Image<'a>> {
        let form = self.form();
        let jobs = self.debug_sections()?;
        let unpacked = unpack_all(&jobs);
        let mut sections = NAMES.map(Section::empty);
        let mut more_units = Vec::new();
        let unpacked_from = jobs.iter().filter(|job| job.packed.is_some());
        let unpacked_from = unpacked_from
            .filter_map(|job| self.sections.get(job.index)?.file_range.clone())
            .collect();
        for (job, unpacked) in jobs.iter().zip(unpacked) {
            let section = self.debug_section(job, unpacked)?;
            match sections.get_mut(job.slot) {
                Some(place) if place.data.is_empty() => *place = section,
                _ if job.slot < UNITS => more_units.push(section),
                _ => {}
            }
        }
        let [
            debug_info,
            debug_types,
            debug_abbrev,
            debug_str,
            debug_line_str,
            debug_str_offsets,
            debug_addr,
            debug_loc,
            debug_loclists,
            debug_ranges,
            debug_rnglists,
        ] = sections;
        Ok(Image {
            is_64: form.is_64,
            order: form.order,
            machine: form.machine,
            file_type: self.header.e_type(self.endian).0,
            debug_info,
            debug_types,
            debug_abbrev,
            debug_str,
            debug_line_str,
            debug_str_offsets,
            debug_addr,
            debug_loc,
            debug_loclists,
            debug_ranges,
            debug_rnglists,
            more_units,
            sections: self.sections,
            symbols,
            unpacked: unpacked_from,
            data: self.data,
        })
    }

    /// The debug sections in the file's order; what they claim to become is checked together, since they may overlap in a
    /// hostile file.
    fn debug_sections(&self) -> Result<Vec<Job<'a>>> {
        let mut jobs: Vec<Job<'a>> = Vec::new();
        let mut total = 0u64;
        for (index, section) in self.sections.iter().enumerate() {
            let Some(slot) = slot(section.name).filter(|_| section.file_range.is_some()) else {
                continue;
            };
            let packed = self.packed(index).map_err(|error| at(error, slot))?;
            if let Some((_, _, claimed)) = packed {
                total = total.saturating_add(claimed);
                compression::check_claim(total, self.data.len() as u64)
                    .map_err(|error| at(error, slot))?;
            }
            jobs.push(Job {
                slot,
                index,
                packed,
            });
        }
        Ok(jobs)
    }

    /// If the section `index` is compressed: how, its packed bytes, and its size when unpacked.
    fn packed(&self, index: usize) -> Result<Option<Packed<'a>>> {
        let (Some(raw), Some(section)) = (self.raw_sections.get(index), self.sections.get(index))
        else {
            return Ok(None);
        };
        let data = slice(self.data, section.file_range.as_ref())?;
        let offset = section.file_range.as_ref().map_or(0, |range| range.start);
        let in_section = damaged("the header of a packed section", offset, self.data.len());
        let compression = raw
            .compression(self.endian, self.data)
            .map_err(in_section)?;
        if let Some((header, ..)) = compression {
            let method = match header.ch_type(self.endian) {
                elf::ELFCOMPRESS_ZLIB => Method::Zlib,
                elf::ELFCOMPRESS_ZSTD => Method::Zstd,
                other => {
                    let text = format!("compression type {}", other.0);
                    return Err(Error::new(ErrorKind::Unsupported(text)));
                }
            };
            let packed = data
                .get(size_of::<E::CompressionHeader>()..)
                .unwrap_or_default();
            return Ok(Some((method, packed, header.ch_size(self.endian).into())));
        }
        if !section.name.starts_with(b".zdebug_") {
            return Ok(None);
        }
        let cut_off = ErrorKind::Compressed("`.zdebug_*` section without its header");
        let rest = data.strip_prefix(b"ZLIB").ok_or(cut_off.clone())?;
        let (size, packed) = rest.split_first_chunk().ok_or(cut_off)?;
        Ok(Some((Method::Zlib, packed, u64::from_be_bytes(*size))))
    }

    fn debug_section(
        &self,
        job: &Job<'a>,
        unpacked: Option<Result<Vec<u8>>>,
    ) -> Result<Section<'a>> {
        let name = NAMES.get(job.slot).copied().unwrap_or_default();
        let header = self.sections.get(job.index);
        let (data, file_range) = if let Some(data) = unpacked {
            (Cow::Owned(data.map_err(|error| error.at(name, 0))?), None)
        } else {
            let range = header.and_then(|header| header.file_range.clone());
            let data = slice(self.data, range.as_ref()).map_err(|error| error.at(name, 0))?;
            (Cow::Borrowed(data), range)
        };
        Ok(Section {
            name,
            data,
            relocations: self.relocations(job.index, name)?,
            file_range,
        })
    }

    /// The relocations of the section `index`, which is called `name`.
    fn relocations(&self, index: usize, name: &'static str) -> Result<Relocations<'a>> {
        let table = self.relocated_by.get(index).copied().unwrap_or(0);
        let table = usize::try_from(table).unwrap_or(usize::MAX);
        let (Some(raw), Some(header)) = (self.raw_sections.get(table), self.sections.get(table))
        else {
            return Ok(Relocations::none(name));
        };
        if table == 0 {
            return Ok(Relocations::none(name));
        }
        let kind = raw.sh_type(self.endian);
        let is_packed = raw.sh_flags(self.endian).contains(elf::SHF_COMPRESSED);
        if kind == elf::SHT_CREL || is_packed {
            let text = "compact or compressed relocations".into();
            return Err(Error::new(ErrorKind::Unsupported(text)).at(name, 0));
        }
        let data = slice(self.data, header.file_range.as_ref())?;
        let symbols = self.raw_symbols(raw.link(self.endian))?;
        let has_addend = kind == elf::SHT_RELA;
        let form = self.form();
        Ok(Relocations::new(data, has_addend, form, symbols, name))
    }

    fn raw_symbols(&self, table: SectionIndex) -> Result<RawSymbols<'a>> {
        let range = |index: usize| self.sections.get(index).and_then(|s| s.file_range.as_ref());
        let extended = self.raw_sections.iter().position(|raw| {
            raw.sh_type(self.endian) == elf::SHT_SYMTAB_SHNDX && raw.link(self.endian) == table
        });
        Ok(RawSymbols {
            data: slice(self.data, range(table.0))?,
            extended: slice(self.data, extended.and_then(range))?,
        })
    }
}

/// Unpacks the sections that are packed, each in its place of the result.
fn unpack_all(jobs: &[Job<'_>]) -> Vec<Option<Result<Vec<u8>>>> {
    if jobs.iter().all(|job| job.packed.is_none()) {
        return jobs.iter().map(|_| None).collect();
    }
    // Unpacking is the one slow thing here. Results stand in the order of the sections, so the first error is the first in
    // the file.
    jobs.par_iter()
        .map(|job| {
            let (method, packed, claimed) = job.packed?;
            Some(compression::unpack(method, packed, claimed))
        })
        .collect()
}

fn read_symbols<'a, E: FileHeader<Endian = Endianness>>(
    reader: &Reader<'a, E>,
    sections: &object::read::elf::SectionTable<'a, E>,
) -> Result<Vec<Symbol<'a>>> {
    let endian = reader.endian;
    let is_table = |raw: &&E::SectionHeader| raw.sh_type(endian) == elf::SHT_SYMTAB;
    let raw = reader.raw_sections.iter().find(is_table);
    let offset: u64 = raw.map_or(0, |raw| raw.sh_offset(endian).into());
    let table = sections
        .symbols(endian, reader.data, elf::SHT_SYMTAB)
        .map_err(damaged(
            "a symbol table and its names",
            offset,
            reader.data.len(),
        ))?;
    let mut symbols = Vec::with_capacity(table.len().saturating_sub(1));
    for (index, raw) in table.enumerate().skip(1) {
        let read = |index: SymbolIndex| -> object::read::Result<Symbol<'a>> {
            let section = table.symbol_section(endian, raw, index)?;
            Ok(Symbol {
                name: table.symbol_name(endian, raw)?,
                value: raw.st_value(endian).into(),
                size: raw.st_size(endian).into(),
                section: section.and_then(|section| u32::try_from(section.0).ok()),
                is_defined: !raw.is_undefined(endian),
                symbol_type: raw.st_type().0,
                binding: raw.st_bind().0,
            })
        };
        let offset = (index.0 as u64).saturating_mul(size_of::<E::Sym>() as u64);
        let failed = |error| {
            let kind = ErrorKind::Malformed("symbol with a name and a section");
            Error::new(kind).at(".symtab", offset).caused_by(error)
        };
        symbols.push(read(index).map_err(failed)?);
    }
    Ok(symbols)
}

/// The place in [`NAMES`] of a section called `name`, be it with or without the `z` of a compressed one.
fn slot(name: &[u8]) -> Option<usize> {
    let rest = name
        .strip_prefix(b".debug_")
        .or(name.strip_prefix(b".zdebug_"))?;
    NAMES
        .iter()
        .position(|known| known.as_bytes().strip_prefix(b".debug_") == Some(rest))
}

/// Adds the section to an error that has no place yet.
fn at(error: Error, slot: usize) -> Error {
    error.at(NAMES.get(slot).copied().unwrap_or_default(), 0)
}

impl Section<'_> {
    fn empty(name: &'static str) -> Self {
        Self {
            name,
            data: Cow::Borrowed(&[]),
            relocations: Relocations::none(name),
            file_range: None,
        }
    }

    /// Whether the file does not have this section.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
