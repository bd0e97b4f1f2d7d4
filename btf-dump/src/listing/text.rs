//! The listing as text.

use btf_core::TypeId;
use btf_core::cli::{Style, escape_name};

use super::{Format, Key, Options, key};
use crate::names::{ELLIPSIS, Name};
use crate::put::{self, Word};

/// Makes text. Each record is a line, each item a line that starts with a tab.
pub(super) struct Text {
    out: Vec<u8>,
    options: Options,
    /// Whether names go out as they are.
    is_plain: bool,
}

impl Text {
    pub(super) fn new(options: Options) -> Self {
        Self {
            out: Vec::new(),
            options,
            is_plain: !options.has_colors && !options.is_escaped,
        }
    }

    #[inline]
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A space, unless this is the first on an item's line, and the key.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "as below")]
    fn key(&mut self, key: Key) {
        let is_first = self.out.last() == Some(&b'\t');
        let text = key.text.as_bytes();
        if is_first {
            self.out.extend_from_slice(text.get(1..).unwrap_or(text));
        } else {
            self.out.extend_from_slice(text);
        }
    }

    /// A name in quotes.
    #[inline]
    fn quoted(&mut self, name: Name<'_>) {
        self.out.push(b'\'');
        if self.is_plain {
            name.put(&mut self.out);
        } else {
            self.styled(name);
        }
        if name.is_cut {
            self.push(ELLIPSIS);
        }
        self.out.push(b'\'');
    }

    #[cold]
    fn styled(&mut self, name: Name<'_>) {
        self.start(Style::Name);
        if self.options.is_escaped {
            self.push(&escape_name(name.bytes));
        } else {
            self.out.extend_from_slice(name.bytes);
        }
        self.end();
    }

    #[inline]
    fn start(&mut self, style: Style) {
        if self.options.has_colors {
            self.push(style.sequence());
        }
    }

    #[inline]
    fn end(&mut self) {
        if self.options.has_colors {
            self.push(Style::END);
        }
    }
}

#[expect(
    clippy::inline_always,
    reason = "where the length of a key is known its copy is an instruction or two"
)]
impl Format for Text {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn beside(&self, _: bool) -> Self {
        Self::new(self.options)
    }

    fn open_part(&mut self, _: &'static str) {}

    fn close_part(&mut self) {}

    #[inline]
    fn open_type(&mut self, id: TypeId, kind: &'static Word) {
        self.start(Style::Number);
        self.out.push(b'[');
        put::number(&mut self.out, id.0.into());
        self.out.push(b']');
        self.end();
        self.out.push(b' ');
        self.start(Style::Heading);
        kind.put(&mut self.out);
        self.end();
        self.out.push(b' ');
    }

    #[inline]
    fn open_record(&mut self, name: &'static str) {
        self.start(Style::Heading);
        self.push(name);
        self.end();
    }

    fn open_object(&mut self, _: &'static str, name: &'static str) {
        self.open_record(name);
    }

    #[inline]
    fn end_line(&mut self) {
        self.out.push(b'\n');
    }

    fn close_record(&mut self) {}

    fn open_list(&mut self, _: Key) {}

    #[inline]
    fn open_item(&mut self) {
        self.out.push(b'\t');
    }

    #[inline]
    fn close_item(&mut self) {
        self.out.push(b'\n');
    }

    fn close_list(&mut self) {}

    #[inline(always)]
    fn name(&mut self, _: Key, name: Name<'_>) {
        if name.bytes.is_empty() {
            self.push("'(anon)'");
        } else {
            self.quoted(name);
        }
    }

    fn string(&mut self, key: Key, string: Name<'_>) {
        self.key(key);
        self.quoted(string);
    }

    #[inline(always)]
    fn word(&mut self, key: Key, word: &'static Word) {
        self.key(key);
        word.put(&mut self.out);
    }

    #[inline(always)]
    fn number(&mut self, key: Key, number: u64) {
        self.key(key);
        put::number(&mut self.out, number);
    }

    fn signed(&mut self, key: Key, number: i64) {
        self.key(key);
        put::signed(&mut self.out, number);
    }

    #[inline(always)]
    fn value(&mut self, value: u64, is_signed: bool, is_64_bits: bool) {
        self.push(" val=");
        if is_signed {
            put::signed(&mut self.out, value.cast_signed());
        } else {
            put::number(&mut self.out, value);
        }
        match (is_64_bits, is_signed) {
            (false, _) => {}
            (true, true) => self.push("LL"),
            (true, false) => self.push("ULL"),
        }
    }

    fn words(&mut self, key: Key, words: &[u32]) {
        self.key(key);
        for (index, word) in words.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            self.push(&format!("{comma}{word:#x}"));
        }
    }

    fn comma(&mut self) {
        self.out.push(b',');
    }

    fn meaning(&mut self, kind: &'static str, name: Name<'_>, is_apart: bool) {
        if is_apart {
            self.out.push(b' ');
        }
        self.out.push(b'(');
        self.push(kind);
        if is_apart || !name.bytes.is_empty() {
            self.out.push(b' ');
            self.name(key!("name"), name);
        }
        self.out.push(b')');
    }

    fn close_document(&mut self) {}
}
