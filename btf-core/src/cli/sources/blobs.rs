//! Finds the blobs in a section into which a linker that knows nothing of BTF has pasted several.
//!
//! Such a linker puts them one behind the other, with zeroes between them for alignment. Each says how long it is.

use crate::error::{Error, ErrorKind, Result};
use crate::wire::{ByteOrder, Header};

use super::Part;

/// The blobs in `bytes` with their offsets, by `end`, which tells where the one at the start ends.
///
/// What follows the last blob belongs to it: see [`check_end`]. There is at least one, whose errors are left to its reader.
pub(super) fn split(bytes: &[u8], end: impl Fn(&[u8]) -> Option<u64>) -> Vec<(u64, &[u8])> {
    let mut blobs = Vec::new();
    let mut offset = 0;
    let mut rest = bytes;
    while let Some(len) = end(rest).and_then(|end| length_with_padding(rest, end)) {
        let (blob, behind) = rest.split_at(len);
        blobs.push((offset, blob));
        offset += len as u64;
        rest = behind;
    }
    blobs.push((offset, rest));
    blobs
}

/// As [`split`], with the place of each blob if there are several.
pub(super) fn parts(
    bytes: &[u8],
    end: impl Fn(&[u8]) -> Option<u64>,
) -> Vec<(Option<Part>, &[u8])> {
    let blobs = split(bytes, end);
    let count = blobs.len();
    let numbered = blobs.into_iter().zip(1..).map(|((offset, bytes), number)| {
        let part = Part {
            number,
            count,
            offset,
        };
        ((count > 1).then_some(part), bytes)
    });
    numbered.collect()
}

/// Checks that a blob is as long as it says.
///
/// # Errors
/// Those of [`Header::parse`], or [`ErrorKind::Truncated`].
pub(super) fn check_len(blob: &[u8]) -> Result<()> {
    Header::parse(blob)?;
    let (needed, available) = (end_of_btf(blob).unwrap_or(0), blob.len() as u64);
    if needed > available {
        return Err(Error::new(ErrorKind::Truncated { needed, available }).at("BTF", 0));
    }
    Ok(())
}

/// Checks that nothing but padding follows a blob that is the only or the last one: a damaged blob would be lost.
///
/// # Errors
/// [`ErrorKind::Malformed`], with the offset in `blob`.
pub(super) fn check_end(blob: &[u8]) -> Result<()> {
    let end = end_of_btf(blob).and_then(|end| usize::try_from(end).ok());
    let behind = end.and_then(|end| blob.get(end..)).unwrap_or_default();
    match behind.iter().position(|&byte| byte != 0) {
        Some(at) => {
            let offset = blob.len() - behind.len() + at;
            let what = "zeroes, or the start of another blob, behind the BTF";
            Err(Error::new(ErrorKind::Malformed(what)).at("BTF", offset as u64))
        }
        None => Ok(()),
    }
}

/// The length of the first blob with the zeroes behind it, if another blob follows.
fn length_with_padding(bytes: &[u8], end: u64) -> Option<usize> {
    let end = usize::try_from(end).ok()?;
    let behind = bytes.get(end..)?;
    let padding = behind.iter().take_while(|&&byte| byte == 0).count();
    let len = end + padding;
    ByteOrder::of_magic(bytes.get(len..)?).map(|_| len)
}

/// Where the BTF at the start of `bytes` ends.
pub(super) fn end_of_btf(bytes: &[u8]) -> Option<u64> {
    let (_, header) = Header::parse(bytes).ok()?;
    let sections = [
        (header.type_off, header.type_len),
        (header.str_off, header.str_len),
        (header.layout_off, header.layout_len),
    ];
    Some(end_of(header.hdr_len, sections))
}

/// Where the `.BTF.ext` at the start of `bytes` ends.
///
/// Spec: Documentation/bpf/btf.rst, 4.2 "`.BTF.ext` section".
pub(super) fn end_of_ext(bytes: &[u8]) -> Option<u64> {
    let order = ByteOrder::of_magic(bytes)?;
    let word = |offset: usize| {
        let word = bytes.get(offset..)?.first_chunk::<4>()?;
        Some(order.u32(*word))
    };
    let hdr_len = word(4)?;
    let part = |offset: u32| {
        let has_field = hdr_len >= offset + 8;
        let offset = offset as usize;
        if has_field {
            Some((word(offset)?, word(offset + 4)?))
        } else {
            Some((0, 0))
        }
    };
    Some(end_of(hdr_len, [part(8)?, part(16)?, part(24)?]))
}

/// The end of the last section; offsets count from the end of the header.
fn end_of(hdr_len: u32, sections: [(u32, u32); 3]) -> u64 {
    let ends = sections.map(|(off, len)| match len {
        0 => 0,
        len => u64::from(off) + u64::from(len),
    });
    // A blob without a header would never end the search.
    u64::from(hdr_len).max(1) + ends.into_iter().max().unwrap_or(0)
}
