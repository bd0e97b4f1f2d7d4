//! JSON Lines: one object a line, each tagged `type`.
//!
//! Names come from the input and need not be UTF-8. One that is not stands as base64 under its key with `_base64`
//! appended, so that a key's type never varies and nothing is lost. Numbers are written as such; those above 2^53, which many
//! readers round, are still exact in the text. What is usually that large, as addresses are, is hexadecimal text.
//!
//! Spec: RFC 8259; RFC 4648 section 4; jsonlines.org.

use std::fmt::Write;

/// An object that is being written.
#[derive(Debug)]
pub struct JsonObject<'o> {
    out: &'o mut String,
    is_empty: bool,
}

/// An array that is being written.
#[derive(Debug)]
pub struct JsonArray<'o> {
    out: &'o mut String,
    is_empty: bool,
}

/// One line, with its newline: an object whose first key is `type`.
///
/// ```
/// use btf_core::cli::json_line;
/// let line = json_line("unit", |unit| {
///     unit.number("index", 3).name("name", b"a\xff");
/// });
/// assert_eq!(line, "{\"type\":\"unit\",\"index\":3,\"name_base64\":\"Yf8=\"}\n");
/// ```
#[must_use]
pub fn json_line(tag: &str, write: impl FnOnce(&mut JsonObject<'_>)) -> String {
    let mut line = String::new();
    push_json_line(&mut line, tag, write);
    line
}

/// Appends such a line to others.
pub fn push_json_line(lines: &mut String, tag: &str, write: impl FnOnce(&mut JsonObject<'_>)) {
    JsonObject::write(lines, |object| {
        object.text("type", tag);
        write(object);
    });
    lines.push('\n');
}

/// Text as a JSON string, in quotes.
#[must_use]
pub fn json_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_text(&mut out, text);
    out
}

/// A key and a name of the input, as [`JsonObject::name`] writes them.
///
/// ```
/// use btf_core::cli::json_name;
/// assert_eq!(json_name("name", b"a\"b"), r#""name":"a\"b""#);
/// assert_eq!(json_name("name", b"\xff"), r#""name_base64":"/w==""#);
/// ```
#[must_use]
pub fn json_name(key: &str, value: &[u8]) -> String {
    let mut out = String::new();
    let mut object = JsonObject {
        out: &mut out,
        is_empty: true,
    };
    object.name(key, value);
    out
}

impl<'o> JsonObject<'o> {
    fn write(out: &'o mut String, write: impl FnOnce(&mut JsonObject<'_>)) {
        out.push('{');
        let mut object = JsonObject {
            out: &mut *out,
            is_empty: true,
        };
        write(&mut object);
        out.push('}');
    }

    fn key(&mut self, key: &str) {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
        push_text(self.out, key);
        self.out.push(':');
    }

    /// A number.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key);
        let _ = write!(self.out, "{value}");
        self
    }

    /// A number of up to 64 bits as text, such as `"0xffffffff81000000"`: many programs read numbers as floating-point ones,
    /// which are exact up to 2^53 only.
    pub fn hex(&mut self, key: &str, value: u64) -> &mut Self {
        self.key(key);
        let _ = write!(self.out, "\"{value:#x}\"");
        self
    }

    /// A time, as a number of seconds with six decimals.
    pub fn seconds(&mut self, key: &str, value: std::time::Duration) -> &mut Self {
        self.key(key);
        let _ = write!(self.out, "{}.{:06}", value.as_secs(), value.subsec_micros());
        self
    }

    /// True or false.
    pub fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key);
        self.out.push_str(if value { "true" } else { "false" });
        self
    }

    /// Text of our own.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        push_text(self.out, value);
        self
    }

    /// A name of the input: text, or base64 under `key` + `_base64` if it is not UTF-8.
    pub fn name(&mut self, key: &str, value: &[u8]) -> &mut Self {
        if let Ok(text) = std::str::from_utf8(value) {
            return self.text(key, text);
        }
        self.key(&format!("{key}_base64"));
        self.out.push('"');
        push_base64(self.out, value);
        self.out.push('"');
        self
    }

    /// An object.
    pub fn object(&mut self, key: &str, write: impl FnOnce(&mut JsonObject<'_>)) -> &mut Self {
        self.key(key);
        JsonObject::write(self.out, write);
        self
    }

    /// An array.
    pub fn array(&mut self, key: &str, write: impl FnOnce(&mut JsonArray<'_>)) -> &mut Self {
        self.key(key);
        self.out.push('[');
        write(&mut JsonArray {
            out: self.out,
            is_empty: true,
        });
        self.out.push(']');
        self
    }
}

impl JsonArray<'_> {
    fn comma(&mut self) {
        if !self.is_empty {
            self.out.push(',');
        }
        self.is_empty = false;
    }

    /// Appends text of our own.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.comma();
        push_text(self.out, value);
        self
    }

    /// Appends a number.
    pub fn number(&mut self, value: u64) -> &mut Self {
        self.comma();
        let _ = write!(self.out, "{value}");
        self
    }

    /// Appends an object.
    pub fn object(&mut self, write: impl FnOnce(&mut JsonObject<'_>)) -> &mut Self {
        self.comma();
        JsonObject::write(self.out, write);
        self
    }
}

fn push_text(out: &mut String, text: &str) {
    out.push('"');
    // Nearly all text stands for itself, which is seen many bytes at a time.
    let is_plain = |byte: u8| matches!(byte, b' ' | b'!' | b'#'..=b'[' | b']'..=b'~');
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        out.push_str(text);
    } else {
        push_escaped(out, text);
    }
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Not required above 0x1f, but the line shall survive a terminal and a splitter on U+2028.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

fn push_base64(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4usize {
            let index = (bits >> (18 - 6 * digit)) & 0x3f;
            out.push(if digit <= chunk.len() {
                char::from(DIGITS[index as usize])
            } else {
                '='
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(write: impl FnOnce(&mut JsonObject<'_>), expect: &str) {
        assert_eq!(
            json_line("t", write),
            format!("{{\"type\":\"t\"{expect}}}\n")
        );
    }

    #[test]
    fn values_of_each_sort() {
        check(|_| {}, "");
        check(
            |o| {
                o.number("n", u64::MAX).hex("h", u64::MAX).flag("f", true);
            },
            ",\"n\":18446744073709551615,\"h\":\"0xffffffffffffffff\",\"f\":true",
        );
        check(
            |o| {
                o.array("a", |a| {
                    a.number(1).text("x").object(|o| {
                        o.flag("b", false);
                    });
                })
                .object("o", |_| {});
            },
            ",\"a\":[1,\"x\",{\"b\":false}],\"o\":{}",
        );
        check(
            |o| {
                o.seconds("s", std::time::Duration::from_micros(1_000_007));
            },
            ",\"s\":1.000007",
        );
    }

    #[test]
    fn text_is_escaped() {
        check(
            |o| {
                o.text("k\"", "a\\b\n\t\r\u{1}\u{7f}\u{2028}ö");
            },
            ",\"k\\\"\":\"a\\\\b\\n\\t\\r\\u0001\\u007f\\u2028ö\"",
        );
    }

    #[test]
    fn names_that_are_not_utf8_are_base64() {
        for (bytes, expect) in [
            (&b"\xff"[..], "/w=="),
            (b"\xff\xfe", "//4="),
            (b"\xff\xfe\x00", "//4A"),
            (b"ab\xff\xfb", "YWL/+w=="),
        ] {
            check(
                |o| {
                    o.name("n", bytes);
                },
                &format!(",\"n_base64\":\"{expect}\""),
            );
        }
    }
}
