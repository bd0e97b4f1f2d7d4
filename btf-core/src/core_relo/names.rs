//! Names as CO-RE compares them: up to the last `___`, and never beyond what kernels accept.

use crate::ids::StrOffset;
use crate::reader::Btf;

/// The longest name that is compared, in bytes: what kernels accept (`KSYM_NAME_LEN`). Names of hostile input may overlap in
/// megabytes.
const MAX_NAME: usize = 512;

/// The name at `offset`; `None` if there is no such string or it is too long to be a name.
pub(super) fn name_at(btf: &Btf, offset: StrOffset) -> Option<&[u8]> {
    let tail = btf.string_tail(offset)?;
    let window = tail.get(..=MAX_NAME).unwrap_or(tail);
    let len = window.iter().position(|&byte| byte == 0)?;
    window.get(..len)
}

/// The part of a name before its flavour: `file` of `file___old`.
///
/// The flavour starts at the last three underscores that neither follow nor precede a fourth, and that have a letter on
/// either side.
#[must_use]
pub fn essential(name: &[u8]) -> &[u8] {
    let is_separator = |window: &[u8]| match window {
        [before, b'_', b'_', b'_', after] => *before != b'_' && *after != b'_',
        _ => false,
    };
    match name.windows(5).rposition(is_separator) {
        Some(at) => name.get(..=at).unwrap_or(name),
        None => name,
    }
}

/// The essential part of the name at `offset`.
pub(super) fn essential_at(btf: &Btf, offset: StrOffset) -> Option<&[u8]> {
    name_at(btf, offset).map(essential)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flavour_starts_at_the_last_separator() {
        for (name, expect) in [
            ("file", "file"),
            ("file___old", "file"),
            ("a___b___c", "a___b"),
            ("file____old", "file____old"),
            ("file___", "file___"),
            ("___old", "___old"),
            ("f___o", "f"),
            ("", ""),
            ("a___b____c", "a"),
        ] {
            assert_eq!(essential(name.as_bytes()), expect.as_bytes(), "{name}");
        }
    }
}
