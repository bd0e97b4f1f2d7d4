//! Numbers in columns.

/// Appends a number, with spaces in front up to `width` characters.
pub(super) fn put_padded(out: &mut Vec<u8>, value: u64, width: usize) {
    put_right(out, itoa::Buffer::new().format(value).as_bytes(), width);
}

/// Appends a number in hexadecimal as C's `%#x` writes it, so that 0 has no prefix.
pub(super) fn put_hex(out: &mut Vec<u8>, value: u64, width: usize) {
    let text = if value == 0 {
        "0".to_owned()
    } else {
        format!("{value:#x}")
    };
    put_right(out, text.as_bytes(), width);
}

fn put_right(out: &mut Vec<u8>, text: &[u8], width: usize) {
    out.resize(out.len() + width.saturating_sub(text.len()), b' ');
    out.extend_from_slice(text);
}

/// Appends spaces until what stands behind `start` is `width` characters long.
pub(super) fn pad(out: &mut Vec<u8>, start: usize, width: usize) {
    let end = start.saturating_add(width).max(out.len());
    out.resize(end, b' ');
}

/// Appends tabs.
pub(super) fn indent(out: &mut Vec<u8>, tabs: usize) {
    out.resize(out.len() + tabs, b'\t');
}

/// `s`, unless there is one.
pub(super) fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
