//! The listing: one line for each type, its members and the like below it; or the same as JSON.
//!
//! Both are what `bpftool btf dump file` prints, so that scripts need not change; [`Options::is_long`] adds what that
//! leaves out. `types` goes once over the types and says what there is to tell, a `Format` says how: there is one
//! for text and one for JSON. Header, strings, layout and `.BTF.ext` go the same way (`sections`).
//!
//! Where bpftool's JSON is wrong, this one is right: unsigned values of 32 bits above 2^31 are not sign-extended, and quotes and
//! control characters are escaped as RFC 8259 wants it. A name that is not UTF-8 stands as base64 under `name_base64`.
//!
//! Speed: nothing is allocated per line; output collects in a buffer, which is written out whenever it is full, and the types of
//! large blobs in several, filled side by side (`batches`). Size: names of hostile input may overlap, so what is printed of
//! long ones has a budget (`crate::names`); the output stays below a small multiple of the input.

mod batches;
mod json;
mod sections;
mod text;
mod types;

use std::io::{self, Write};
use std::path::Path;

use btf_core::TypeId;
use btf_core::ext::BtfExt;
use btf_core::reader::Btf;

use crate::names::{Name, Names};
use crate::put::Word;
use btf_core::cli::sources::Part;
use json::Json;
use text::Text;
use types::Printer;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Show every bit of each type and, in text, what each id stands for.
    pub is_long: bool,
    /// Use the colours of a terminal, in text.
    pub has_colors: bool,
    /// Escape what a terminal would obey, in text; JSON is always safe.
    pub is_escaped: bool,
}

/// What to print of a blob, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether one part is wanted"
)]
pub struct Parts {
    /// The header.
    pub header: bool,
    /// The types.
    pub types: bool,
    /// The strings with their offsets.
    pub strings: bool,
    /// The layout section: how long the records of each kind are.
    pub layout: bool,
    /// The records of `.BTF.ext`.
    pub ext: bool,
}

impl Parts {
    /// The types alone.
    pub const TYPES: Self = Self {
        header: false,
        types: true,
        strings: false,
        layout: false,
        ext: false,
    };

    /// Everything.
    pub const ALL: Self = Self {
        header: true,
        types: true,
        strings: true,
        layout: true,
        ext: true,
    };
}

/// A blob and what is wanted of it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The blob.
    pub btf: &'a Btf,
    /// Which types; all own ones if there is no list.
    pub ids: Option<&'a [TypeId]>,
    /// What belongs to instructions.
    pub ext: Option<&'a BtfExt>,
    /// What to print.
    pub parts: Parts,
    /// How to print it.
    pub options: Options,
}

/// Prints text.
///
/// # Errors
/// Those of `out`.
///
/// # Example
/// ```
/// use btf_core::{Builder, wire::int};
/// use btf_dump::listing::{Options, Parts, Request, write_text};
///
/// let mut builder = Builder::new();
/// builder.int(b"int", 4, int::SIGNED)?;
/// let btf = builder.finish()?;
/// let mut out = Vec::new();
/// let (parts, options) = (Parts::TYPES, Options::default());
/// write_text(&Request { btf: &btf, ids: None, ext: None, parts, options }, &mut out)?;
/// assert_eq!(out, b"[1] INT 'int' size=4 bits_offset=0 nr_bits=32 encoding=SIGNED\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_text(request: &Request<'_>, out: &mut dyn Write) -> io::Result<()> {
    write(request, Text::new(request.options), out)
}

/// Where a blob is, for readers of several.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The file.
    pub path: &'a Path,
    /// Which of several blobs in it.
    pub part: Option<Part>,
}

/// Prints one JSON object on a line: `{"types":[…]}`, with a key for each part.
///
/// The place, if it is told, comes first: `file` and, of several blobs in it, `blob` and `blobs`, which count from 1, and
/// `offset` in bytes.
///
/// # Errors
/// Those of `out`.
pub fn write_json(
    request: &Request<'_>,
    place: Option<&Place<'_>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut json = Json::new(request.btf);
    json.open_document(place);
    write(request, json, out)
}

fn write<F: Format + Send>(
    request: &Request<'_>,
    format: F,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Request { btf, ids, ext, .. } = *request;
    let Parts {
        header,
        types,
        strings,
        layout,
        ext: wants_ext,
    } = request.parts;
    let mut printer = Printer {
        names: Names::new(btf),
        is_long: request.options.is_long,
        btf,
        format,
        chunk: types::CHUNK,
        out,
    };
    if header {
        printer.header();
    }
    if types {
        printer.types(ids)?;
    }
    if strings {
        printer.strings()?;
    }
    if layout {
        printer.layout();
    }
    if let Some(ext) = ext.filter(|_| wants_ext) {
        printer.ext(ext)?;
    }
    printer.format.close_document();
    printer.finish()
}

/// A key as both formats spell it, with what stands before it: in JSON the comma behind another field, or the brace of a record.
#[derive(Clone, Copy)]
struct Key {
    text: &'static str,
    json: &'static str,
    /// The same, up to the quote that opens a string.
    json_string: &'static str,
}

/// The [`Key`] of a literal; `first` is for that of a record's first field.
macro_rules! key {
    ($name:literal) => {
        crate::listing::key!(",", $name)
    };
    (first $name:literal) => {
        crate::listing::key!("{", $name)
    };
    ($before:literal, $name:literal) => {
        crate::listing::Key {
            text: concat!(" ", $name, "="),
            json: concat!($before, "\"", $name, "\":"),
            json_string: concat!($before, "\"", $name, "\":\""),
        }
    };
}
use key;

/// How what is told becomes text or JSON. What is told is records of fields, some of which are lists of records.
trait Format {
    /// What has been made and not written yet.
    fn buffer(&mut self) -> &mut Vec<u8>;
    /// Another one of the same sort, inside a list of records; `is_first` tells that it makes the first of them.
    fn beside(&self, is_first: bool) -> Self;

    /// Starts a list of records at the top.
    fn open_part(&mut self, name: &'static str);
    /// Ends it.
    fn close_part(&mut self);

    /// Starts the record of a type.
    fn open_type(&mut self, id: TypeId, kind: &'static Word);
    /// Starts another record at the top; text names it.
    fn open_record(&mut self, name: &'static str);
    /// Starts the only record of its sort.
    fn open_object(&mut self, key: &'static str, name: &'static str);
    /// Ends the line of such a record, whether or not a list follows.
    fn end_line(&mut self);
    /// Ends such a record.
    fn close_record(&mut self);

    /// Starts the list of members or the like.
    fn open_list(&mut self, key: Key);
    /// Starts a member or the like.
    fn open_item(&mut self);
    /// Ends it.
    fn close_item(&mut self);
    /// Ends the list.
    fn close_list(&mut self);

    /// The name of a type or member, under a key that text leaves out; `(anon)` if it is empty.
    fn name(&mut self, key: Key, name: Name<'_>);
    /// A string under a key.
    fn string(&mut self, key: Key, string: Name<'_>);
    /// A word of the format.
    fn word(&mut self, key: Key, word: &'static Word);
    /// A number.
    fn number(&mut self, key: Key, number: u64);
    /// A number that may be negative.
    fn signed(&mut self, key: Key, number: i64);
    /// The value of an enumerator, in two's complement.
    fn value(&mut self, value: u64, is_signed: bool, is_64_bits: bool);
    /// Words of a record that nobody understands.
    fn words(&mut self, key: Key, words: &[u32]);
    /// A comma that bpftool has in text, between the type and the linkage of a VAR.
    fn comma(&mut self);
    /// What an id stands for; for people, so JSON has none. `is_apart` puts a space before it.
    fn meaning(&mut self, kind: &'static str, name: Name<'_>, is_apart: bool);
    /// Ends the output.
    fn close_document(&mut self);
}
