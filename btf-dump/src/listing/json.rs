//! The listing as JSON.

use btf_core::TypeId;
use btf_core::cli::{json_name, json_text};

use super::{Format, Key, Place, key};
use crate::names::{ELLIPSIS, Name};

/// Makes one JSON object on a line.
pub(super) struct Json {
    out: Vec<u8>,
    /// Whether something stands before what comes next in the same object or array.
    needs_comma: bool,
}

impl Json {
    pub(super) fn new() -> Self {
        Self {
            out: Vec::new(),
            needs_comma: false,
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
        self.push(itoa::Buffer::new().format(number));
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

/// Whether a name is letters, digits and the like, none of which JSON escapes.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    let is_plain = |&byte: &u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    bytes.iter().all(is_plain)
}

impl Format for Json {
    fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.out
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
        if string.is_cut || !is_plain(string.bytes) {
            return self.escaped(key, string);
        }
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(string.bytes);
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
