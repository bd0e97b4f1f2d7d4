//! Bytes of C that need care: strings and attributes that come from the input.

use super::identifier::identifier;
use crate::put;

/// How deep lines are indented at most; nobody nests deeper, but input may.
const MAX_INDENT: usize = 13;

/// Begins a line.
pub(crate) fn put_indent(out: &mut Vec<u8>, depth: usize) {
    put::start_of(out, &[b'\t'; 32], depth.min(MAX_INDENT));
}

/// Writes a string literal.
fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b' '..=b'~' => out.push(byte),
            // Octal, which ends after three digits whatever follows; `?` is harmless, as nobody enables trigraphs.
            _ => out.extend(format!("\\{byte:03o}").into_bytes()),
        }
    }
    out.push(b'"');
}

/// Writes attributes as they stood in the source; those that could be more than that are left out.
fn put_attributes(out: &mut Vec<u8>, text: &[u8]) {
    if is_harmless(text) {
        out.extend_from_slice(b" __attribute__((");
        out.extend_from_slice(text);
        out.extend_from_slice(b"))");
    }
}

/// Writes a `TYPE_TAG`.
pub(crate) fn put_type_tag(out: &mut Vec<u8>, text: &[u8], is_attribute: bool) {
    if is_attribute {
        return put_attributes(out, text);
    }
    out.extend_from_slice(b" __attribute__((btf_type_tag(");
    put_string(out, text);
    out.extend_from_slice(b")))");
}

/// Writes a `DECL_TAG`, by the macro that the frame defines.
pub(crate) fn put_decl_tag(out: &mut Vec<u8>, text: &[u8], is_attribute: bool) {
    if is_attribute {
        return put_attributes(out, text);
    }
    out.extend_from_slice(b" __btf_decl_tag(");
    put_string(out, text);
    out.push(b')');
}

/// Whether attributes end where they seem to: words, numbers and plain strings in balanced parentheses.
fn is_harmless(text: &[u8]) -> bool {
    let mut depth = 0u32;
    let mut in_string = false;
    for &byte in text {
        match byte {
            b'"' => in_string = !in_string,
            b'(' if !in_string => depth += 1,
            b')' if !in_string => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b',' | b' ' | b'-' | b'+' | b'.' => {}
            _ if in_string && matches!(byte, b' '..=b'~') && byte != b'\\' => {}
            _ => return false,
        }
    }
    depth == 0 && !in_string && !text.is_empty()
}

/// Writes the name of a file as the part of a macro's name.
pub(crate) fn put_macro_part(out: &mut Vec<u8>, name: &str) {
    out.extend(identifier(name.as_bytes()).to_ascii_uppercase());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped() {
        let tag = |tag: &[u8]| text(|out| put_decl_tag(out, tag, false));
        assert_eq!(tag(b"user"), " __btf_decl_tag(\"user\")");
        assert_eq!(tag(b"a\"b\\c\n1"), " __btf_decl_tag(\"a\\\"b\\\\c\\0121\")");
    }

    #[test]
    fn attributes_cannot_end_early() {
        let tag = |tag: &[u8]| text(|out| put_type_tag(out, tag, true));
        assert_eq!(
            tag(b"address_space(1)"),
            " __attribute__((address_space(1)))"
        );
        assert_eq!(
            tag(b"alias(\"a)b\"), cold"),
            " __attribute__((alias(\"a)b\"), cold))"
        );
        for bad in [
            "x)) int y; ((",
            "x(",
            "",
            "a; b",
            "x\n#include",
            "alias(\"\\\")",
            "a{}",
        ] {
            assert_eq!(tag(bad.as_bytes()), "", "{bad}");
        }
    }
}
