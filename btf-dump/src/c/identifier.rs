//! Which names C accepts, and what becomes of the others.
//!
//! Names of C are written as they are. Other languages have names such as `Option<u32>`; what C does not allow in them
//! becomes `_`. Two names that become the same that way are told apart like homonyms, by a number.

use std::borrow::Cow;

use crate::put;

/// How long a name may be, in bytes; kernels accept no longer ones (`KSYM_NAME_LEN`).
///
/// Names may overlap in the string section, so without a limit a small file could ask for gigabytes of names.
pub(crate) const MAX_LEN: usize = 512;

/// Whether `name` means something else in every C: a keyword of C11, GNU C or C23, or a macro of the header's frame.
///
/// `bool`, `true` and `false` are not among them: kernels define them, and see [`is_new_keyword`].
#[expect(clippy::too_many_lines, reason = "it is a list of words")]
pub(crate) fn is_reserved(name: &[u8]) -> bool {
    matches!(
        name,
        b"_Alignas"
            | b"_Alignof"
            | b"_Atomic"
            | b"_BitInt"
            | b"_Bool"
            | b"_Complex"
            | b"_Decimal128"
            | b"_Decimal32"
            | b"_Decimal64"
            | b"_Generic"
            | b"_Imaginary"
            | b"_Noreturn"
            | b"_Static_assert"
            | b"_Thread_local"
            | b"__alignof__"
            | b"__asm__"
            | b"__attribute__"
            | b"__auto_type"
            | b"__bpf_fastcall"
            | b"__extension__"
            | b"__inline__"
            | b"__int128"
            | b"__ksym"
            | b"__typeof__"
            | b"__weak"
            | b"alignas"
            | b"alignof"
            | b"asm"
            | b"auto"
            | b"break"
            | b"case"
            | b"char"
            | b"const"
            | b"constexpr"
            | b"continue"
            | b"default"
            | b"do"
            | b"double"
            | b"else"
            | b"enum"
            | b"extern"
            | b"float"
            | b"for"
            | b"goto"
            | b"if"
            | b"inline"
            | b"int"
            | b"long"
            | b"nullptr"
            | b"register"
            | b"restrict"
            | b"return"
            | b"short"
            | b"signed"
            | b"sizeof"
            | b"static"
            | b"static_assert"
            | b"struct"
            | b"switch"
            | b"thread_local"
            | b"typedef"
            | b"typeof"
            | b"typeof_unqual"
            | b"union"
            | b"unsigned"
            | b"void"
            | b"volatile"
            | b"while"
    )
}

/// Whether `name` is a keyword since C23 that C programs have long defined for themselves.
pub(crate) fn is_new_keyword(name: &[u8]) -> bool {
    matches!(name, b"bool" | b"true" | b"false")
}

/// For each byte, whether a name may hold it.
const WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "it is less than 256")]
        let is_word = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'_';
        table[byte] = is_word;
        byte += 1;
    }
    table
};

/// `name` if C accepts it, else the name that stands for it.
#[inline]
pub(crate) fn identifier(name: &[u8]) -> Cow<'_, [u8]> {
    let starts_well = name.first().is_some_and(|byte| !byte.is_ascii_digit());
    if starts_well && name.len() <= MAX_LEN && name.iter().all(|&byte| WORD[usize::from(byte)]) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(substitute(name, starts_well))
}

/// The string at the start of `tail`, or its first [`MAX_LEN`] bytes; no more are looked at, as strings may overlap.
#[inline]
pub(crate) fn string_of(tail: &[u8]) -> &[u8] {
    let window = tail.get(..MAX_LEN).unwrap_or(tail);
    let len = put::len_of_string(window).unwrap_or(window.len());
    window.get(..len).unwrap_or(window)
}

/// The [`identifier`] of the string at the start of `tail`.
#[inline]
pub(crate) fn identifier_of(tail: &[u8]) -> Cow<'_, [u8]> {
    match word_of(tail) {
        Some(len) => Cow::Borrowed(tail.get(..len).unwrap_or(tail)),
        None => identifier(string_of(tail)),
    }
}

/// Appends the [`identifier`] of the string at the start of `tail`.
#[inline]
pub(crate) fn put_identifier(out: &mut Vec<u8>, tail: &[u8]) {
    match word_of(tail) {
        Some(len) => put::start_of(out, tail, len),
        None => out.extend_from_slice(&identifier(string_of(tail))),
    }
}

/// The length of the string at the start of `tail`, if it is like nearly all names: short and one of C.
#[inline]
fn word_of(tail: &[u8]) -> Option<usize> {
    let starts_well = tail
        .first()
        .is_some_and(|byte| *byte != 0 && !byte.is_ascii_digit());
    put::len_of_word(tail).filter(|_| starts_well)
}

/// The name that stands for one that C does not accept.
#[cold]
fn substitute(name: &[u8], starts_well: bool) -> Vec<u8> {
    let underscore = (!starts_well).then_some(b'_');
    let bytes = name.iter().copied();
    let bytes = bytes.map(|byte| if WORD[usize::from(byte)] { byte } else { b'_' });
    underscore.into_iter().chain(bytes).take(MAX_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_reserved() {
        assert!(is_reserved(b"while") && is_reserved(b"typeof") && is_reserved(b"__ksym"));
        assert!(!is_reserved(b"fork") && !is_reserved(b"bool") && is_new_keyword(b"bool"));
    }

    #[test]
    fn names_of_c_stay() {
        for name in ["task_struct", "_a1", "x"] {
            assert!(
                matches!(identifier(name.as_bytes()), Cow::Borrowed(same) if same == name.as_bytes())
            );
        }
        for (name, expect) in [
            ("Option<&'a str>", "Option___a_str_"),
            ("1st", "_1st"),
            ("", "_"),
            (".text", "_text"),
            ("ü", "__"),
        ] {
            assert_eq!(&*identifier(name.as_bytes()), expect.as_bytes(), "{name}");
        }
        assert_eq!(identifier(&[b'a'; 600]).len(), MAX_LEN);
    }
}
