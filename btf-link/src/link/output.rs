//! The object file that is written: an ELF file that every reader takes, with symbols in the order that ELF wants.
//!
//! Sections stand in the order of the layout, each before its relocations; then BTF, symbols, names and the headers. The symbols
//! of sections come first, then those that only one object knows, with the names of source files between them, then the shared ones.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;
use std::collections::HashMap;

use btf_core::{ByteOrder, ErrorKind, Result};
use object::elf::{
    EM_BPF, ET_REL, SHF_INFO_LINK, SHN_ABS, SHN_LORESERVE, SHT_PROGBITS, SHT_REL, SHT_STRTAB,
    SHT_SYMTAB, STB_GLOBAL, STB_LOCAL, STB_WEAK, STT_SECTION,
};

use super::contents::{Contents, Referent};
use super::layout::Layout;
use super::names::ByName;
use super::object::{Object, Place};
use super::symbols::{SymbolRef, Symbols, Target};

/// The lengths of ELF's records in bytes.
const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;
const SYMBOL: u64 = 24;
const RELOCATION: u64 = 16;

/// What is written.
pub(crate) struct Parts<'a, 'd> {
    pub(crate) order: ByteOrder,
    pub(crate) objects: &'a [Object<'d>],
    pub(crate) symbols: &'a Symbols<'d>,
    pub(crate) layout: &'a Layout<'a, 'd>,
    pub(crate) contents: &'a [Contents],
    /// Whether an undefined shared name stays.
    pub(crate) is_kept: &'a dyn Fn(usize) -> bool,
    pub(crate) btf: Option<Vec<u8>>,
    pub(crate) ext: Option<Vec<u8>>,
}

/// A string table in which each string is once.
#[derive(Default)]
struct Names<'n> {
    bytes: Vec<u8>,
    known: ByName<'n, u32>,
}

impl<'n> Names<'n> {
    fn add(&mut self, name: &'n [u8]) -> u32 {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        if name.is_empty() {
            return 0;
        }
        *self.known.entry(name).or_insert_with(|| {
            let at = u32::try_from(self.bytes.len()).unwrap_or(0);
            self.bytes.extend_from_slice(name);
            self.bytes.push(0);
            at
        })
    }
}

/// A symbol as it is written.
#[derive(Clone, Copy, Default)]
struct OutSymbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
    size: u64,
}

/// The symbols that are written, and the number that each has got.
#[derive(Default)]
struct Table {
    list: Vec<OutSymbol>,
    locals: HashMap<SymbolRef, u32>,
    globals: Vec<u32>,
    /// The number of those that are not shared.
    local_count: u32,
}

impl Table {
    /// The number that the next symbol gets.
    fn next(&self) -> u32 {
        u32::try_from(self.list.len()).unwrap_or(u32::MAX)
    }
}

/// A section header, and the section.
struct OutHeader<'n> {
    name: &'n [u8],
    kind: u32,
    flags: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry_size: u64,
    bytes: Cow<'n, [u8]>,
}

/// Writes the object file.
///
/// # Errors
/// [`ErrorKind::TooLarge`] if there are too many sections or symbols.
pub(crate) fn write(parts: &Parts<'_, '_>) -> Result<Vec<u8>> {
    let numbers = number_sections(parts)?;
    let next = numbers.last().copied().unwrap_or(1);
    let symbol_section = next + u16::from(parts.btf.is_some()) + u16::from(parts.ext.is_some());
    let mut names = Names::default();
    let mut table = Table::default();
    put_locals(parts, &numbers, &mut names, &mut table);
    put_globals(parts, &numbers, &mut names, &mut table);
    if u32::try_from(table.list.len()).is_err() {
        return Err(too_many(
            "number of symbols",
            table.list.len(),
            u32::MAX.into(),
        ));
    }
    let sections = &parts.layout.sections;
    let relocation_names: Vec<_> = sections
        .iter()
        .map(|section| [b".rel", section.name].concat())
        .collect();
    let mut headers = Vec::new();
    for ((section, contents), name) in sections.iter().zip(parts.contents).zip(&relocation_names) {
        headers.push(OutHeader {
            kind: section.kind,
            flags: section.flags,
            size: section.size,
            align: section.align,
            entry_size: section.entry_size,
            ..plain(section.name, Cow::Borrowed(&contents.bytes))
        });
        if !contents.relocations.is_empty() {
            let own = u32::try_from(headers.len()).unwrap_or(u32::MAX);
            let bytes = relocations(parts, contents, &table);
            headers.push(OutHeader {
                kind: SHT_REL.0,
                flags: SHF_INFO_LINK.0,
                link: symbol_section.into(),
                info: own,
                entry_size: RELOCATION,
                ..plain(name, Cow::Owned(bytes))
            });
        }
    }
    headers.extend(
        parts
            .btf
            .iter()
            .map(|bytes| plain(b".BTF", Cow::Borrowed(bytes))),
    );
    headers.extend(
        parts
            .ext
            .iter()
            .map(|bytes| plain(b".BTF.ext", Cow::Borrowed(bytes))),
    );
    headers.push(OutHeader {
        kind: SHT_SYMTAB.0,
        link: u32::from(symbol_section) + 1,
        info: table.local_count,
        entry_size: SYMBOL,
        ..plain(
            b".symtab",
            Cow::Owned(symbol_bytes(parts.order, &table.list)),
        )
    });
    Ok(file(parts, headers, names))
}

/// The numbers of the layout's sections in the output, and one last entry for the number behind them.
fn number_sections(parts: &Parts<'_, '_>) -> Result<Vec<u16>> {
    let mut numbers = Vec::with_capacity(parts.contents.len() + 1);
    let mut next = 1_u16;
    numbers.push(next);
    for contents in parts.contents {
        next = next.saturating_add(if contents.relocations.is_empty() {
            1
        } else {
            2
        });
        numbers.push(next);
    }
    // Four more follow, for BTF, symbols and names.
    let limit = SHN_LORESERVE - 5;
    if next > limit {
        return Err(too_many("number of sections", next.into(), limit.into()));
    }
    Ok(numbers)
}

fn too_many(what: &'static str, value: usize, limit: u64) -> btf_core::Error {
    let value = value as u64;
    ErrorKind::TooLarge { what, value, limit }.into()
}

/// The header of a section of bytes that only readers of the file need.
fn plain<'n>(name: &'n [u8], bytes: Cow<'n, [u8]>) -> OutHeader<'n> {
    OutHeader {
        name,
        kind: SHT_PROGBITS.0,
        flags: 0,
        size: bytes.len() as u64,
        link: 0,
        info: 0,
        align: 8,
        entry_size: 0,
        bytes,
    }
}

/// The word of a symbol's binding and type.
fn info(binding: u8, kind: u8) -> u8 {
    binding << 4 | kind & 0xf
}

/// Adds the null symbol, those of sections, and those that only one object knows.
fn put_locals<'d>(
    parts: &Parts<'_, 'd>,
    numbers: &[u16],
    names: &mut Names<'d>,
    table: &mut Table,
) {
    let number = |out: usize| numbers.get(out).copied().unwrap_or(0);
    table.list.push(OutSymbol::default());
    for out in 0..parts.layout.sections.len() {
        table.list.push(OutSymbol {
            info: info(STB_LOCAL.0, STT_SECTION.0),
            section: number(out),
            ..OutSymbol::default()
        });
    }
    for (index, object) in parts.objects.iter().enumerate() {
        for (at, symbol) in object.symbols.iter().enumerate() {
            let is_local = parts.symbols.target((index, at)) == Target::Local;
            let (section, value) = if symbol.place == Place::Absolute {
                if !is_local && !symbol.is_file() {
                    continue;
                }
                (SHN_ABS.0, symbol.value)
            } else {
                match parts.layout.symbol((index, at)).filter(|_| is_local) {
                    Some((out, offset)) => (number(out), offset),
                    None => continue,
                }
            };
            table.locals.insert((index, at), table.next());
            table.list.push(OutSymbol {
                name: names.add(symbol.name),
                info: info(STB_LOCAL.0, symbol.kind),
                other: symbol.visibility,
                section,
                value,
                size: symbol.size,
            });
        }
    }
    table.local_count = table.next();
}

/// Adds the shared symbols.
fn put_globals<'d>(
    parts: &Parts<'_, 'd>,
    numbers: &[u16],
    names: &mut Names<'d>,
    table: &mut Table,
) {
    for (index, global) in parts.symbols.globals.iter().enumerate() {
        table.globals.push(table.next());
        let symbol = |(object, at): SymbolRef| parts.objects.get(object)?.symbols.get(at);
        let symbol = global.definition.and_then(symbol);
        let place = match global.definition.zip(symbol) {
            None if (parts.is_kept)(index) => Some((0, 0)),
            None => None,
            Some((_, symbol)) if symbol.place == Place::Absolute => Some((SHN_ABS.0, symbol.value)),
            Some((at, _)) => {
                let place = parts.layout.symbol(at);
                place.and_then(|(out, offset)| Some((*numbers.get(out)?, offset)))
            }
        };
        let Some((section, value)) = place else {
            continue;
        };
        let binding = if global.is_weak {
            STB_WEAK.0
        } else {
            STB_GLOBAL.0
        };
        table.list.push(OutSymbol {
            name: names.add(global.name),
            info: info(binding, symbol.map_or(0, |symbol| symbol.kind)),
            other: global.visibility,
            section,
            value,
            size: symbol.map_or(0, |symbol| symbol.size),
        });
    }
}

fn symbol_bytes(order: ByteOrder, list: &[OutSymbol]) -> Vec<u8> {
    let mut out = Vec::new();
    for symbol in list {
        out.extend(order.u32_bytes(symbol.name));
        out.extend([symbol.info, symbol.other]);
        out.extend(order.u16_bytes(symbol.section));
        put_u64(order, symbol.value, &mut out);
        put_u64(order, symbol.size, &mut out);
    }
    out
}

fn relocations(parts: &Parts<'_, '_>, contents: &Contents, table: &Table) -> Vec<u8> {
    let mut out = Vec::new();
    for relocation in &contents.relocations {
        let symbol = match relocation.referent {
            Referent::Section(section) => u32::try_from(section + 1).ok(),
            Referent::Local(at) => table.locals.get(&at).copied(),
            Referent::Global(global) => table.globals.get(global).copied(),
        };
        put_u64(parts.order, relocation.offset, &mut out);
        let info = u64::from(symbol.unwrap_or(0)) << 32 | u64::from(relocation.kind);
        put_u64(parts.order, info, &mut out);
    }
    out
}

fn put_u64(order: ByteOrder, value: u64, out: &mut Vec<u8>) {
    out.extend(match order {
        ByteOrder::Little => value.to_le_bytes(),
        ByteOrder::Big => value.to_be_bytes(),
    });
}

/// Puts headers and sections together, with the names at the end.
fn file<'n>(
    parts: &Parts<'_, '_>,
    mut headers: Vec<OutHeader<'n>>,
    mut names: Names<'n>,
) -> Vec<u8> {
    let order = parts.order;
    let mut name_offsets: Vec<_> = headers
        .iter()
        .map(|header| names.add(header.name))
        .collect();
    name_offsets.push(names.add(b".strtab"));
    headers.push(OutHeader {
        kind: SHT_STRTAB.0,
        align: 1,
        ..plain(b".strtab", Cow::Owned(names.bytes))
    });
    let mut out = vec![0; HEADER];
    let mut table = vec![0; SECTION_HEADER];
    for (header, name) in headers.iter().zip(name_offsets) {
        if !header.bytes.is_empty() {
            pad(&mut out, header.align);
        }
        order.put_words(&[name, header.kind], &mut table);
        for word in [header.flags, 0, out.len() as u64, header.size] {
            put_u64(order, word, &mut table);
        }
        order.put_words(&[header.link, header.info], &mut table);
        put_u64(order, header.align, &mut table);
        put_u64(order, header.entry_size, &mut table);
        out.extend_from_slice(&header.bytes);
    }
    pad(&mut out, 8);
    let header = elf_header(parts, out.len() as u64, headers.len() + 1);
    if let Some(start) = out.first_chunk_mut::<HEADER>() {
        start.copy_from_slice(&header);
    }
    out.append(&mut table);
    out
}

fn pad(out: &mut Vec<u8>, align: u64) {
    let align = usize::try_from(align).unwrap_or(1).max(1);
    out.resize(out.len().next_multiple_of(align), 0);
}

fn elf_header(parts: &Parts<'_, '_>, table: u64, count: usize) -> Vec<u8> {
    let order = parts.order;
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let data = match order {
        ByteOrder::Little => 1,
        ByteOrder::Big => 2,
    };
    let flags = parts.objects.iter().map(|object| object.flags).max();
    let mut header = vec![0x7f, b'E', b'L', b'F', 2, data, 1];
    header.resize(16, 0);
    header.extend(order.u16_bytes(ET_REL.0));
    header.extend(order.u16_bytes(EM_BPF.0));
    order.put_words(&[1], &mut header);
    for word in [0, 0, table] {
        put_u64(order, word, &mut header);
    }
    order.put_words(&[flags.unwrap_or(0)], &mut header);
    let lengths = [HEADER, 0, 0, SECTION_HEADER];
    for length in lengths {
        header.extend(order.u16_bytes(u16::try_from(length).unwrap_or(0)));
    }
    header.extend(order.u16_bytes(count));
    header.extend(order.u16_bytes(count.saturating_sub(1)));
    header
}
