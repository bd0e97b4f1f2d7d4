//! The listing as JSON.

use btf_core::cli::{json_name, json_text};
use btf_core::{Btf, TypeId};

use super::{Format, Key, Place, key};
use crate::names::{ELLIPSIS, Name};
use crate::put::{self, Word, word};

/// Makes one JSON object on a line.
pub(super) struct Json {
    out: Vec<u8>,
    /// Whether something stands before what comes next in the same list, or in the document.
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

    /// What cannot be copied as it is.
    #[cold]
    fn escaped(&mut self, key: Key, name: Name<'_>) {
        let (before, key) = key.json.split_at(1);
        self.push(before);
        let mut bytes = name.bytes.to_vec();
        if name.is_cut {
            bytes.extend_from_slice(ELLIPSIS.as_bytes());
        }
        let key = key.trim_matches(['"', ':']);
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

#[expect(
    clippy::inline_always,
    reason = "where the length of a key is known its copy is an instruction or two"
)]
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

    #[inline(always)]
    fn open_type(&mut self, id: TypeId, kind: &'static Word) {
        self.separate();
        self.number(key!(first "id"), id.0.into());
        self.word(key!("kind"), kind);
    }

    #[inline]
    fn open_record(&mut self, _: &'static str) {
        self.separate();
    }

    fn open_object(&mut self, key: &'static str, _: &'static str) {
        self.separate();
        self.push(&json_text(key));
        self.push(":");
    }

    fn end_line(&mut self) {}

    #[inline]
    fn close_record(&mut self) {
        self.close("}");
    }

    #[inline(always)]
    fn open_list(&mut self, key: Key) {
        self.push(key.json);
        self.open("[");
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

    #[inline(always)]
    fn name(&mut self, key: Key, name: Name<'_>) {
        if name.bytes.is_empty() {
            self.word(key, word!("(anon)"));
        } else {
            self.string(key, name);
        }
    }

    #[inline(always)]
    fn string(&mut self, key: Key, string: Name<'_>) {
        let is_plain = || string.bytes.iter().all(|&byte| is_plain(byte));
        if string.is_cut || !self.are_all_plain && !is_plain() {
            return self.escaped(key, string);
        }
        self.push(key.json_string);
        string.put(&mut self.out);
        self.out.push(b'"');
    }

    #[inline(always)]
    fn word(&mut self, key: Key, word: &'static Word) {
        self.push(key.json_string);
        word.put(&mut self.out);
        self.out.push(b'"');
    }

    #[inline(always)]
    fn number(&mut self, key: Key, number: u64) {
        self.push(key.json);
        put::number(&mut self.out, number);
    }

    fn signed(&mut self, key: Key, number: i64) {
        self.push(key.json);
        put::signed(&mut self.out, number);
    }

    #[inline(always)]
    fn value(&mut self, value: u64, is_signed: bool, _: bool) {
        self.push(key!("val").json);
        if is_signed {
            put::signed(&mut self.out, value.cast_signed());
        } else {
            put::number(&mut self.out, value);
        }
    }

    fn words(&mut self, key: Key, words: &[u32]) {
        self.push(key.json);
        self.open("[");
        for &word in words {
            self.separate();
            put::number(&mut self.out, word.into());
        }
        self.close("]");
    }

    fn comma(&mut self) {}

    fn meaning(&mut self, _: &'static str, _: Name<'_>, _: bool) {}

    fn close_document(&mut self) {
        self.push("}\n");
    }
}
