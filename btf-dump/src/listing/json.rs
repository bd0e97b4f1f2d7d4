//! The listing as JSON.

use btf_core::cli::{json_name, json_text};
use btf_core::{Btf, TypeId};

use super::{Format, Key, Place, key, put_short};
use crate::names::{ELLIPSIS, Name};

/// Makes one JSON object on a line.
pub(super) struct Json {
    out: Vec<u8>,
    /// Whether something stands before what comes next in the same object or array.
    needs_comma: bool,
    /// Whether no name has anything to escape, as with most kernels.
    are_all_plain: bool,
}

impl Json {
    pub(super) fn new(btf: &Btf) -> Self {
        Self {
            out: Vec::new(),
            needs_comma: false,
            are_all_plain: btf.chain().all(|btf| are_all_plain(btf.string_bytes())),
        }
    }

    /// Starts the object, with where the blob is.
    pub(super) fn open_document(&mut self, place: Option<&Place<'_>>) {
        self.open("{");
        let Some(place) = place else {
            return;
        };
        let path = place.path.as_os_str().as_encoded_bytes();
        self.separate();
        self.push(&json_name("file", path));
        if let Some(part) = place.part {
            self.number(key!("blob"), part.number as u64);
            self.number(key!("blobs"), part.count as u64);
            self.number(key!("offset"), part.offset);
        }
    }

    #[inline]
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    #[inline]
    fn separate(&mut self) {
        if self.needs_comma {
            self.out.push(b',');
        }
        self.needs_comma = true;
    }

    #[inline]
    fn open(&mut self, bracket: &str) {
        self.push(bracket);
        self.needs_comma = false;
    }

    #[inline]
    fn close(&mut self, bracket: &str) {
        self.push(bracket);
        self.needs_comma = true;
    }

    #[inline]
    fn key(&mut self, key: Key) {
        self.separate();
        self.push(key.json);
    }

    #[inline]
    fn push_number(&mut self, number: impl itoa::Integer) {
        put_short(&mut self.out, itoa::Buffer::new().format(number).as_bytes());
    }

    /// What cannot be copied as it is.
    #[cold]
    fn escaped(&mut self, key: Key, name: Name<'_>) {
        self.separate();
        let mut bytes = name.bytes.to_vec();
        if name.is_cut {
            bytes.extend_from_slice(ELLIPSIS.as_bytes());
        }
        let key = key.json.trim_matches(['"', ':']);
        self.push(&json_name(key, &bytes));
    }
}

/// Whether JSON escapes a byte no more than letters and digits.
#[inline]
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Whether all strings of a section are plain. Pieces are looked at whole, as that is many bytes at once.
fn are_all_plain(strings: &[u8]) -> bool {
    const PIECE: usize = 4 << 10;
    let is_plain = |piece: &[u8]| {
        let plain = |&byte: &u8| byte == 0 || is_plain(byte);
        piece.iter().map(plain).fold(true, |all, is| all & is)
    };
    strings.chunks(PIECE).all(is_plain)
}

impl Format for Json {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    fn beside(&self, is_first: bool) -> Self {
        Self {
            out: Vec::new(),
            needs_comma: !is_first,
            are_all_plain: self.are_all_plain,
        }
    }

    fn open_part(&mut self, name: &'static str) {
        self.separate();
        self.push(&json_text(name));
        self.open(":[");
    }

    fn close_part(&mut self) {
        self.close("]");
    }

    #[inline]
    fn open_type(&mut self, id: TypeId, kind: &'static str) {
        self.open_record("");
        self.number(key!("id"), id.0.into());
        self.word(key!("kind"), kind);
    }

    #[inline]
    fn open_record(&mut self, _: &'static str) {
        self.separate();
        self.open("{");
    }

    fn open_object(&mut self, key: &'static str, _: &'static str) {
        self.separate();
        self.push(&json_text(key));
        self.open(":{");
    }

    fn end_line(&mut self) {}

    #[inline]
    fn close_record(&mut self) {
        self.close("}");
    }

    #[inline]
    fn open_list(&mut self, key: &'static str) {
        self.separate();
        self.out.push(b'"');
        self.push(key);
        self.open("\":[");
    }

    #[inline]
    fn open_item(&mut self) {
        self.open_record("");
    }

    #[inline]
    fn close_item(&mut self) {
        self.close("}");
    }

    #[inline]
    fn close_list(&mut self) {
        self.close("]");
    }

    #[inline]
    fn name(&mut self, name: Name<'_>) {
        if name.bytes.is_empty() {
            self.word(key!("name"), "(anon)");
        } else {
            self.string(key!("name"), name);
        }
    }

    #[inline]
    fn string(&mut self, key: Key, string: Name<'_>) {
        let is_plain = || string.bytes.iter().all(|&byte| is_plain(byte));
        if string.is_cut || !self.are_all_plain && !is_plain() {
            return self.escaped(key, string);
        }
        self.key(key);
        self.out.push(b'"');
        put_short(&mut self.out, string.bytes);
        self.out.push(b'"');
    }

    #[inline]
    fn word(&mut self, key: Key, word: &'static str) {
        self.key(key);
        self.out.push(b'"');
        self.push(word);
        self.out.push(b'"');
    }

    #[inline]
    fn number(&mut self, key: Key, number: u64) {
        self.key(key);
        self.push_number(number);
    }

    fn signed(&mut self, key: Key, number: i64) {
        self.key(key);
        self.push_number(number);
    }

    #[inline]
    fn value(&mut self, value: u64, is_signed: bool, _: bool) {
        self.key(key!("val"));
        if is_signed {
            self.push_number(value.cast_signed());
        } else {
            self.push_number(value);
        }
    }

    fn words(&mut self, key: Key, words: &[u32]) {
        self.key(key);
        self.open("[");
        for &word in words {
            self.separate();
            self.push_number(word);
        }
        self.close("]");
    }

    fn comma(&mut self) {}

    fn meaning(&mut self, _: &'static str, _: Name<'_>, _: bool) {}

    fn close_document(&mut self) {
        self.push("}\n");
    }
}
