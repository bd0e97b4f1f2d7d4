//! Differences as one page of HTML that needs nothing else: a list to search, and the layouts of both sides beside each other.
//!
//! The page holds its data as JSON: `{"files":[…],"kinds":[…],"strings":[…],"items":[…]}`. An item is
//! `[file, kind, what, title, breaking, old size, new size, note, rows]`: indices, `what` as in 0 added, 1 removed, 2 changed, 3 through;
//! sizes in bytes or -1; in `note` lines with their sign (-1, 0, 1), or what is the cause; in `rows` five numbers for each
//! member: what has become of it (0 the same, 1 gone, 2 new, 3 moved, 4 another type or name, 5 another size), the old place in bits, the old
//! text as an index in `strings`, the new place and text; a new text of -1 is the old one.
//!
//! Names come from the input. They are escaped as JSON, `<` included, and the script sets them as text only; the page's policy lets
//! nothing be loaded.

mod items;

use std::fmt::Write as _;

use btf_core::cli::json_text;
use rayon::prelude::*;

use super::{Change, Diff, WORDS};
use items::{Item, Maker, Numbers};

const PAGE: &str = include_str!("html/page.html");
const CSS: &str = include_str!("html/page.css");
const JS: &str = include_str!("html/page.js");

/// So many items are written by one thread at a time.
const CHUNK: usize = 256;

/// A page that is being made.
#[derive(Debug, Default)]
pub struct Page {
    files: Vec<String>,
    numbers: Numbers,
    /// Some items each.
    items: Vec<String>,
}

impl Page {
    /// An empty page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the changes of a file, or those of them that are wanted.
    pub fn add(&mut self, name: &str, diff: &Diff<'_>, changes: &[&Change]) {
        let file = self.files.len();
        self.files.push(name.to_owned());
        let parts: Vec<_> = changes
            .par_chunks(CHUNK)
            .map_init(|| Maker::new(diff), Maker::part)
            .collect();
        let numbered: Vec<_> = parts
            .into_iter()
            .map(|(items, texts)| {
                let numbers = texts.iter().map(|text| self.numbers.of(text));
                (items, numbers.collect::<Vec<_>>())
            })
            .collect();
        let written = numbered.into_par_iter().map(|(items, numbers)| {
            let mut out = String::new();
            for item in items {
                put(&mut out, file, &item, &numbers);
            }
            out
        });
        let written: Vec<_> = written.collect();
        for items in written {
            self.push(items);
        }
    }

    /// Adds a file that only one side has.
    pub fn add_lonely(&mut self, name: &str, is_new: bool) {
        let file = self.files.len();
        self.files.push(name.to_owned());
        let item = Item {
            kind: WORDS.len(),
            what: u8::from(!is_new),
            title: name.to_owned(),
            is_breaking: !is_new,
            sizes: [-1; 2],
            note: "[]".to_owned(),
            rows: Vec::new(),
        };
        let mut out = String::new();
        put(&mut out, file, &item, &[]);
        self.push(out);
    }

    /// Adds items that have been written.
    fn push(&mut self, items: String) {
        if !items.is_empty() {
            self.items.push(items);
        }
    }

    /// The page; `old` and `new` say what was compared.
    #[must_use]
    pub fn finish(self, old: &str, new: &str) -> String {
        let list = |texts: &[String]| {
            let texts: Vec<_> = texts.iter().map(|text| json_text(text)).collect();
            texts.join(",")
        };
        let kinds: Vec<_> = WORDS
            .iter()
            .chain(&["file"])
            .map(|&word| word.to_owned())
            .collect();
        let data = format!(
            "{{\"files\":[{}],\"kinds\":[{}],\"strings\":[{}],\"items\":[{}]}}",
            list(&self.files),
            list(&kinds),
            list(&self.numbers.texts),
            self.items.join(",\n")
        );
        let parts = [
            ("@CSS@", CSS.to_owned()),
            ("@OLD@", escape_html(old)),
            ("@NEW@", escape_html(new)),
            ("@DATA@", data.replace('<', "\\u003c")),
            ("@JS@", JS.to_owned()),
        ];
        let mut rest = PAGE;
        let mut out = String::with_capacity(data.len() + PAGE.len() + CSS.len() + JS.len());
        // Each mark once and in order, so that a name that looks like one stays a name.
        for (mark, text) in parts {
            let (before, behind) = rest.split_once(mark).unwrap_or((rest, ""));
            out.push_str(before);
            out.push_str(&text);
            rest = behind;
        }
        out.push_str(rest);
        out
    }
}

/// Appends an item behind others, of whose texts `numbers` are the numbers in the page.
fn put(out: &mut String, file: usize, item: &Item, numbers: &[usize]) {
    let Item {
        kind,
        what,
        title,
        is_breaking,
        sizes: [old_size, new_size],
        note,
        rows,
    } = item;
    let separator = if out.is_empty() { "" } else { ",\n" };
    let title = json_text(title);
    let breaking = u8::from(*is_breaking);
    let _ = write!(
        out,
        "{separator}[{file},{kind},{what},{title},{breaking},{old_size},{new_size},{note},["
    );
    for (index, row) in rows.iter().enumerate() {
        let [old, new] = row
            .texts
            .map(|text| numbers.get(text).copied().unwrap_or(0));
        let [old_place, new_place] = row.places;
        let separator = if index == 0 { "" } else { "," };
        let _ = write!(
            out,
            "{separator}{},{old_place},{old},{new_place},",
            row.status
        );
        if old == new {
            out.push_str("-1");
        } else {
            let _ = write!(out, "{new}");
        }
    }
    out.push_str("]]");
}

/// Text in HTML.
fn escape_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;");
    escaped.replace('<', "&lt;").replace('"', "&quot;")
}
