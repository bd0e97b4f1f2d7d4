//! Reads files, but of objects only what is looked at.
//!
//! Most of an object is debugging information, which no linker for BPF needs. What is read of an object is an object, too: without
//! that, and with its sections behind each other.
#![deny(clippy::indexing_slicing)]

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use btf_core::ByteOrder;
use object::elf::SHT_NOBITS;

use super::object::is_never_read;

/// The lengths of the header and of a section header of ELF files of 64 bits, in bytes.
const HEADER: usize = 64;
const SECTION: usize = 64;

/// Where the header says where the section headers are.
const TABLE_AT: usize = 40;

/// Reads a file; an object without what no linker looks at.
pub(super) fn read_needed(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file()
        && let Some(bytes) = read_object(&file, metadata.len())?
    {
        return Ok(bytes);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads an object of `len` bytes; `None` if the file is none, or an unusual one.
fn read_object(file: &fs::File, len: u64) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; HEADER];
    if len < HEADER as u64
        || file.read_at(&mut head, 0)? != HEADER
        || !head.starts_with(b"\x7fELF\x02")
    {
        return Ok(None);
    }
    let order = match head.get(5) {
        Some(2) => ByteOrder::Big,
        _ => ByteOrder::Little,
    };
    let half = |at| field(&head, at).map(|bytes| usize::from(order.u16(bytes)));
    let table = field(&head, TABLE_AT).map(|bytes| order.u64(bytes));
    let (Some(table), Some(SECTION), Some(count), Some(names)) =
        (table, half(58), half(60), half(62))
    else {
        return Ok(None);
    };
    let Some(mut headers) = read_part(file, len, table, (count * SECTION) as u64)? else {
        return Ok(None);
    };
    let spans: Vec<_> = headers
        .as_chunks::<SECTION>()
        .0
        .iter()
        .map(|header| Span::parse(order, header))
        .collect();
    let Some(&Span { start, size, .. }) = spans.get(names) else {
        return Ok(None);
    };
    let Some(names) = read_part(file, len, start, size)? else {
        return Ok(None);
    };
    let mut out = head.to_vec();
    for (span, header) in spans.iter().zip(headers.as_chunks_mut::<SECTION>().0) {
        let name = names.get(span.name as usize..).unwrap_or_default();
        if is_never_read(name) {
            // An empty section of no type, whose number stays.
            put(header, 4, &[0; 4]);
            put(header, 32, &[0; 8]);
            continue;
        }
        if span.kind == SHT_NOBITS.0 || span.size == 0 {
            continue;
        }
        let end = span.start.checked_add(span.size);
        let at = out.len().next_multiple_of(8);
        // Sections that lie on each other would become larger than the file.
        if end.is_none_or(|end| end > len) || at as u64 + span.size > 2 * len {
            return Ok(None);
        }
        put(header, 24, &long_bytes(order, at as u64));
        out.resize(at + usize::try_from(span.size).unwrap_or(0), 0);
        file.read_exact_at(out.get_mut(at..).unwrap_or_default(), span.start)?;
    }
    out.resize(out.len().next_multiple_of(8), 0);
    let table = out.len() as u64;
    put(&mut out, TABLE_AT, &long_bytes(order, table));
    out.append(&mut headers);
    Ok(Some(out))
}

/// Reads a part of a file of `len` bytes; `None` if it is not in it.
fn read_part(file: &fs::File, len: u64, start: u64, size: u64) -> io::Result<Option<Vec<u8>>> {
    let is_inside = start.checked_add(size).is_some_and(|end| end <= len);
    let Some(size) = usize::try_from(size).ok().filter(|_| is_inside) else {
        return Ok(None);
    };
    let mut part = vec![0; size];
    file.read_exact_at(&mut part, start)?;
    Ok(Some(part))
}

/// The bytes at `at`, if there are so many.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// Replaces the bytes at `at`, if there are so many.
fn put<const N: usize>(bytes: &mut [u8], at: usize, new: &[u8; N]) {
    if let Some(place) = bytes
        .get_mut(at..)
        .and_then(|bytes| bytes.first_chunk_mut())
    {
        *place = *new;
    }
}

/// The bytes of 64 bits.
fn long_bytes(order: ByteOrder, value: u64) -> [u8; 8] {
    match order {
        ByteOrder::Little => value.to_le_bytes(),
        ByteOrder::Big => value.to_be_bytes(),
    }
}

/// Where a section is, and what it is.
#[derive(Clone, Copy, Default)]
struct Span {
    name: u32,
    kind: u32,
    start: u64,
    size: u64,
}

impl Span {
    fn parse(order: ByteOrder, header: &[u8; SECTION]) -> Self {
        let word = |at| field(header, at).map_or(0, |bytes| order.u32(bytes));
        let long = |at| field(header, at).map_or(0, |bytes| order.u64(bytes));
        Self {
            name: word(0),
            kind: word(4),
            start: long(24),
            size: long(32),
        }
    }
}
