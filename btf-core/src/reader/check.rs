//! What must hold before anything else is looked at: the places of sections, strings that end, records that fill.

use std::borrow::Cow;

use super::{Btf, Parts, SECTION};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::TypeId;
use crate::kind::record_words;
use crate::wire::{Header, Info};

/// Checks what the header says about the sections against itself.
pub(super) fn check_sections(header: &Header) -> Result<()> {
    let aligned = [
        ("type section offset", header.type_off),
        ("type section length", header.type_len),
        ("layout section offset", header.layout_off),
        ("layout section length", header.layout_len),
    ];
    for (what, value) in aligned {
        if !value.is_multiple_of(4) {
            let value = value.into();
            return Err(Error::new(ErrorKind::Invalid { what, value }).at(SECTION, 0));
        }
    }
    let mut spans = [
        (header.type_off, header.type_len),
        (header.str_off, header.str_len),
        (header.layout_off, header.layout_len),
    ];
    spans.sort_unstable();
    let mut end = 0;
    for (off, len) in spans.into_iter().filter(|&(_, len)| len > 0) {
        if u64::from(off) < end {
            let (what, value) = ("section, which overlaps another", off.into());
            return Err(Error::new(ErrorKind::Invalid { what, value }).at(SECTION, 0));
        }
        end = u64::from(off) + u64::from(len);
    }
    Ok(())
}

/// The bytes of a section of the blob; an empty section has none, wherever it is.
pub(super) fn section<'a>(
    bytes: &'a [u8],
    header: &Header,
    off: u32,
    len: u32,
) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    let start = u64::from(header.hdr_len) + u64::from(off);
    let end = start + u64::from(len);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    range
        .and_then(|(start, end)| bytes.get(start..end))
        .ok_or_else(|| {
            let kind = ErrorKind::Truncated {
                needed: end,
                available: bytes.len() as u64,
            };
            Error::new(kind).at(SECTION, start)
        })
}

/// Checks that every string ends; returns the offset behind the last one.
pub(super) fn check_strings<Words>(
    parts: &Parts<Words, Cow<'static, [u8]>>,
    first_string: u32,
) -> Result<u32> {
    let strings = &parts.strings;
    let at = u64::from(parts.header.hdr_len) + u64::from(parts.header.str_off);
    let invalid = |what, value: u8| {
        let value = value.into();
        Err(Error::new(ErrorKind::Invalid { what, value }).at(SECTION, at))
    };
    match (strings.first(), strings.last()) {
        (None, None) if parts.base.is_none() => {
            return invalid("length of a string section without a base", 0);
        }
        (Some(&first), _) if parts.base.is_none() && first != 0 => {
            return invalid(
                "first string (not empty: this is split BTF and needs its base)",
                first,
            );
        }
        (_, Some(&last)) if last != 0 => return invalid("last byte of the strings", last),
        _ => {}
    }
    let end = u64::from(first_string) + strings.len() as u64;
    fits(end, "string section in bytes").map_err(|error| error.at(SECTION, at))
}

/// Finds where each record starts, and appends where the last one ends.
pub(super) fn find_records<Strings>(
    parts: &Parts<Cow<'static, [u32]>, Strings>,
    first_id: u32,
    starts: &mut Vec<u32>,
) -> Result<()> {
    let words = &parts.words;
    // More words cannot come from a header, but may come from a builder.
    fits(words.len() as u64, "type section in words")?;
    starts.clear();
    starts.reserve(words.len() / 6 + 1);
    let mut start = 0;
    while let Some(rest @ [_, ..]) = words.get(start..) {
        let record_error = |kind: ErrorKind| {
            let at = u64::from(parts.header.hdr_len) + u64::from(parts.header.type_off);
            let id = u64::from(first_id) + starts.len() as u64;
            let id = TypeId(u32::try_from(id).unwrap_or(u32::MAX));
            let offset = at + 4 * start as u64;
            Error::new(kind).at(SECTION, offset).in_type(id)
        };
        let truncated = |needed: usize| ErrorKind::Truncated {
            needed: needed as u64 * 4,
            available: rest.len() as u64 * 4,
        };
        let &[_, info, _, ..] = rest else {
            return Err(record_error(truncated(3)));
        };
        let len = record_len(parts, Info(info)).map_err(record_error)?;
        if len > rest.len() {
            return Err(record_error(truncated(len)));
        }
        starts.push(u32::try_from(start).unwrap_or(u32::MAX));
        start += len;
    }
    starts.push(u32::try_from(start).unwrap_or(u32::MAX));
    Ok(())
}

/// The length in words of a record that starts with `info`.
fn record_len<Words, Strings>(
    parts: &Parts<Words, Strings>,
    info: Info,
) -> std::result::Result<usize, ErrorKind> {
    let number = info.kind_number();
    if let Some(words) = record_words(number, info.vlen()) {
        return Ok(words);
    }
    unknown_len(parts, info)
}

/// As `record_len`, of a kind that is not known.
#[cold]
fn unknown_len<Words, Strings>(
    parts: &Parts<Words, Strings>,
    info: Info,
) -> std::result::Result<usize, ErrorKind> {
    let number = info.kind_number();
    // Kind 0 is never stored, though a layout section has an entry for it.
    if number == 0 {
        return Err(ErrorKind::UnknownKind(number));
    }
    let bases = parts.base.iter().flat_map(|base| base.chain());
    let layout = std::iter::once(parts.layout.as_deref())
        .chain(bases.map(Btf::layout))
        .flatten()
        .next();
    let entry = layout
        .and_then(|layout| layout.get(number as usize))
        .ok_or(ErrorKind::UnknownKind(number))?;
    entry.record_words(info.vlen()).ok_or(ErrorKind::Invalid {
        what: "layout of a kind, whose records are not whole words",
        value: number.into(),
    })
}

/// A count or end that must fit 32 bits.
pub(super) fn fits(value: u64, what: &'static str) -> Result<u32> {
    u32::try_from(value).map_err(|_| {
        let limit = u32::MAX.into();
        Error::new(ErrorKind::TooLarge { what, value, limit }).at(SECTION, 0)
    })
}
