//! Checks the blob as a whole, from its bytes: the header, where the sections lie, and how the strings start and end.
//!
//! Here BTF may still be too broken to be read; what is readable is told by the header that is returned.

use super::target::{Change, Profile, Target};
use super::{Report, Rule};
use crate::reader::Btf;
use crate::wire::{
    ByteOrder, HEADER_LEN, HEADER_LEN_LAYOUT, Header, LayoutEntry, MAX_NAME_OFFSET, MAX_TYPE_ID,
    VERSION,
};

/// The largest blob in bytes that the kernel takes from a user.
const MAX_USER_BLOB: u64 = 16 << 20;

/// As many bytes as hold the header's length.
const START_LEN: u64 = 8;

/// Where the fields of the header stand.
mod field {
    pub(super) const VERSION: u64 = 2;
    pub(super) const FLAGS: u64 = 3;
    pub(super) const HDR_LEN: u64 = 4;
    pub(super) const TYPE_OFF: u64 = 8;
    pub(super) const STR_OFF: u64 = 16;
    pub(super) const LAYOUT_OFF: u64 = 24;
}

/// Checks the bytes of a blob; the header, if types and strings can be read by it.
pub(super) fn check_bytes(bytes: &[u8], has_base: bool, report: &mut Report<'_>) -> Option<Header> {
    let len = bytes.len() as u64;
    let Some(&[_, _, version, flags, l0, l1, l2, l3]) = bytes.first_chunk::<8>() else {
        report.add_at(Rule::HeaderCut, Some(len), START_LEN);
        return None;
    };
    let Some(order) = ByteOrder::of_magic(bytes) else {
        let [first, second, ..] = bytes else {
            return None;
        };
        let magic = u16::from_le_bytes([*first, *second]);
        report.add_at(Rule::HeaderMagic, Some(0), magic);
        return None;
    };
    if version != VERSION {
        report.add_at(Rule::HeaderVersion, Some(field::VERSION), version);
    }
    if flags != 0 {
        report.add_at(Rule::HeaderFlags, Some(field::FLAGS), flags);
    }
    let hdr_len = order.u32([l0, l1, l2, l3]);
    if u64::from(hdr_len) > len {
        report.add_at(Rule::HeaderCut, Some(field::HDR_LEN), hdr_len);
        return None;
    }
    if hdr_len < HEADER_LEN {
        report.add_at(Rule::HeaderLength, Some(field::HDR_LEN), hdr_len);
        return None;
    }
    check_unknown_fields(bytes, hdr_len, report);
    if u64::from(hdr_len) == len && !has_base {
        report.add_at(Rule::NoData, Some(len), hdr_len);
    }
    let (_, header) = Header::parse(bytes).ok()?;
    let is_readable = check_sections(&header, len, report);
    (is_readable && check_strings(bytes, &header, has_base, report)).then_some(header)
}

/// The header's length as far as the target knows its fields.
fn known_len(target: Target) -> u32 {
    if !target.is_kernel() || target.has(Change::Layout) {
        HEADER_LEN_LAYOUT
    } else {
        HEADER_LEN
    }
}

fn check_unknown_fields(bytes: &[u8], hdr_len: u32, report: &mut Report<'_>) {
    let header = bytes.get(..hdr_len as usize).unwrap_or_default();
    let known = known_len(report.target);
    let unknown = header.iter().enumerate().skip(known as usize);
    if let Some((at, &byte)) = unknown.into_iter().find(|&(_, &byte)| byte != 0) {
        report.add_at(Rule::HeaderUnknown, Some(at as u64), byte);
    }
}

/// Checks that the sections tile what is behind the header; whether each lies in the blob, apart from the others.
fn check_sections(header: &Header, blob_len: u64, report: &mut Report<'_>) -> bool {
    let mut spans = vec![
        (header.type_off, header.type_len, field::TYPE_OFF),
        (header.str_off, header.str_len, field::STR_OFF),
    ];
    let has_layout = header.layout_len > 0 && known_len(report.target) == HEADER_LEN_LAYOUT;
    if has_layout {
        spans.push((header.layout_off, header.layout_len, field::LAYOUT_OFF));
        if !header.layout_off.is_multiple_of(4) || !header.layout_len.is_multiple_of(4) {
            let at = Some(field::LAYOUT_OFF);
            report.add_at(Rule::LayoutPlace, at, header.layout_off);
        }
    }
    if !header.type_off.is_multiple_of(4) {
        let at = Some(field::TYPE_OFF);
        report.add_at(Rule::SectionAlignment, at, header.type_off);
    }
    spans.sort_unstable();
    let body = blob_len.saturating_sub(header.hdr_len.into());
    let mut end = 0;
    let mut is_readable = header.type_off.is_multiple_of(4);
    let mut is_tiled = true;
    for (off, len, at) in spans {
        let start = u64::from(off);
        let next = start + u64::from(len);
        if next > body {
            report.add_at(Rule::SectionOutside, Some(at), next - body);
            is_readable = false;
        }
        if start > end {
            report.add_at(Rule::SectionGap, Some(at), off);
            is_tiled = false;
        } else if start < end {
            report.add_at(Rule::SectionOverlap, Some(at), off);
            is_readable &= len == 0;
        }
        end = end.max(next);
    }
    if end < body {
        let at = u64::from(header.hdr_len) + end;
        report.add_at(Rule::SectionGap, Some(at), body - end);
        is_tiled = false;
    }
    let strings_end = u64::from(header.str_off) + u64::from(header.str_len);
    let may_be_anywhere = !report.target.is_kernel()
        || (report.target.has(Change::Layout) && header.hdr_len >= HEADER_LEN_LAYOUT);
    if is_readable && is_tiled && strings_end < body && !may_be_anywhere {
        let at = Some(field::STR_OFF);
        report.add_at(Rule::StringsLast, at, header.str_off);
    }
    is_readable
}

/// Checks how the strings start and end; whether they can be read.
fn check_strings(bytes: &[u8], header: &Header, has_base: bool, report: &mut Report<'_>) -> bool {
    let start = u64::from(header.hdr_len) + u64::from(header.str_off);
    let end = start + u64::from(header.str_len);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let strings = range.and_then(|(start, end)| bytes.get(start..end));
    let strings = strings.unwrap_or_default();
    let (Some(&first), Some(&last)) = (strings.first(), strings.last()) else {
        if !has_base {
            report.add_at(Rule::StringsEmpty, Some(start), 0u32);
        }
        return has_base;
    };
    if header.str_len - 1 > MAX_NAME_OFFSET {
        report.add_at(Rule::StringsLimit, Some(start), header.str_len);
    }
    if last != 0 {
        report.add_at(Rule::StringsEnd, Some(end - 1), last);
    }
    if first != 0 && !has_base {
        report.add_at(Rule::StringsStart, Some(start), first);
    }
    last == 0 && (first == 0 || has_base)
}

/// Checks where the sections of BTF that has been read lie; all else about its header is known to be right.
pub(super) fn check_read(btf: &Btf, report: &mut Report<'_>) {
    check_sections(btf.header(), btf.blob_len(), report);
    let header = btf.header();
    if header.hdr_len > HEADER_LEN
        && header.layout_len > 0
        && known_len(report.target) == HEADER_LEN
    {
        report.add_at(
            Rule::HeaderUnknown,
            Some(field::LAYOUT_OFF),
            header.layout_len,
        );
    }
    if u64::from(header.str_len) > u64::from(MAX_NAME_OFFSET) + 1 {
        report.add_at(Rule::StringsLimit, None, header.str_len);
    }
}

/// Whether the layout section can be read, if there is one.
pub(super) fn is_layout_readable(header: &Header, blob_len: usize) -> bool {
    let end =
        u64::from(header.hdr_len) + u64::from(header.layout_off) + u64::from(header.layout_len);
    let is_aligned = header.layout_off.is_multiple_of(4) && header.layout_len.is_multiple_of(4);
    header.layout_len == 0 || (is_aligned && end <= blob_len as u64)
}

/// Checks what is about the types or strings together.
pub(super) fn check_whole(btf: &Btf, report: &mut Report<'_>) {
    let layout = btf.layout().unwrap_or_default().iter();
    for (number, (found, known)) in (0u64..).zip(layout.zip(LayoutEntry::known())) {
        let sizes = |entry: &LayoutEntry| (entry.trailer_size, entry.element_size);
        if sizes(found) != sizes(&known) {
            let header = btf.header();
            let at = u64::from(header.hdr_len) + u64::from(header.layout_off) + 4 * number;
            report.add_at(Rule::LayoutMismatch, Some(at), number);
        }
    }
    let profile = report.target.profile;
    if btf.base().is_some() {
        report.add_at(Rule::BaseNotAllowed, None, btf.first_id());
    }
    if btf.blob_len() > MAX_USER_BLOB {
        report.add_at(Rule::BlobSize, None, btf.blob_len());
    }
    if btf.words().is_empty() {
        report.add_at(Rule::NoTypes, None, 0u32);
    }
    if report.target.is_kernel() && btf.end_id() > MAX_TYPE_ID {
        report.add_at(Rule::TypeCount, None, btf.end_id() - 1);
    }
    let is_searched = matches!(profile, Profile::Vmlinux | Profile::Module)
        && report.target.has(Change::SortedNames);
    if is_searched && let Some(id) = btf.first_unsorted() {
        report.add(Rule::Unsorted, id, 0, id.0 - 1);
    }
}
