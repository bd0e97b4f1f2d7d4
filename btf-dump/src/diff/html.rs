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

use std::collections::HashMap;
use std::fmt::Write as _;

use btf_core::TypeId;
use btf_core::cli::{escape_name, json_text};
use rayon::prelude::*;

use super::breaking::is_breaking;
use super::spell::Spell;
use super::{Change, Detail, Diff, Leaf, Leaves, Sort, WORDS, What};

const PAGE: &str = include_str!("html/page.html");
const CSS: &str = include_str!("html/page.css");
const JS: &str = include_str!("html/page.js");

/// So many items are written by one thread at a time.
const CHUNK: usize = 256;

/// A page that is being made.
#[derive(Debug, Default)]
pub struct Page {
    files: Vec<String>,
    strings: Vec<String>,
    known: HashMap<String, usize>,
    items: String,
}

/// An item, before its texts are numbered.
struct Item {
    kind: usize,
    what: u8,
    title: String,
    is_breaking: bool,
    sizes: [i64; 2],
    note: String,
    rows: Vec<Row>,
}

/// A member, enumerator or the like of both sides.
#[derive(Debug, Default)]
struct Row {
    status: u8,
    places: [i64; 2],
    texts: [String; 2],
}

/// What has become of a row.
mod status {
    pub(super) const SAME: u8 = 0;
    pub(super) const GONE: u8 = 1;
    pub(super) const NEW: u8 = 2;
    pub(super) const MOVED: u8 = 3;
    pub(super) const OTHER: u8 = 4;
    pub(super) const RESIZED: u8 = 5;
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
        let items: Vec<Vec<Item>> = changes
            .par_chunks(CHUNK)
            .map(|changes| {
                let mut maker = Maker {
                    diff,
                    old: Spell::new(diff.old),
                    new: Spell::new(diff.new),
                };
                changes.iter().map(|change| maker.item(change)).collect()
            })
            .collect();
        for item in items.into_iter().flatten() {
            self.put(file, &item);
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
        self.put(file, &item);
    }

    fn put(&mut self, file: usize, item: &Item) {
        let mut rows = String::new();
        for row in &item.rows {
            let [old, new] = &row.texts;
            let old_text = self.number(old);
            let new_text = if old == new { -1 } else { self.number(new) };
            let separator = if rows.is_empty() { "" } else { "," };
            let [old_place, new_place] = row.places;
            let _ = write!(
                rows,
                "{separator}{},{old_place},{old_text},{new_place},{new_text}",
                row.status
            );
        }
        let Item {
            kind,
            what,
            title,
            is_breaking,
            sizes: [old_size, new_size],
            note,
            ..
        } = item;
        let separator = if self.items.is_empty() { "" } else { ",\n" };
        let title = json_text(title);
        let breaking = u8::from(*is_breaking);
        let _ = write!(
            self.items,
            "{separator}[{file},{kind},{what},{title},{breaking},{old_size},{new_size},{note},[{rows}]]"
        );
    }

    /// The index of a text.
    fn number(&mut self, text: &str) -> i64 {
        let index = if let Some(&index) = self.known.get(text) {
            index
        } else {
            self.strings.push(text.to_owned());
            self.known.insert(text.to_owned(), self.strings.len() - 1);
            self.strings.len() - 1
        };
        i64::try_from(index).unwrap_or(-1)
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
            list(&self.strings),
            self.items
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

/// Text in HTML.
fn escape_html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;");
    escaped.replace('<', "&lt;").replace('"', "&quot;")
}

/// Makes the items of one file.
struct Maker<'d, 'b> {
    diff: &'d Diff<'b>,
    old: Spell<'b, 'b>,
    new: Spell<'b, 'b>,
}

impl Maker<'_, '_> {
    fn item(&mut self, change: &Change) -> Item {
        let what = match change.what {
            What::Added(_) => 0,
            What::Removed(_) => 1,
            What::Changed(..) => 2,
            What::Through(..) => 3,
        };
        let mut title = Vec::new();
        match (change.new_id(), change.old_id()) {
            (Some(id), _) => self.new.put_title(&mut title, id),
            (None, Some(id)) => self.old.put_title(&mut title, id),
            (None, None) => {}
        }
        let kind = WORDS.iter().position(|word| *word == change.word());
        let size = |size: Option<u32>| size.map_or(-1, i64::from);
        let own = |id: Option<TypeId>, side: &super::Side<'_>| {
            size(id.and_then(|id| side.ty(id).own_size()))
        };
        let mut sizes = [
            own(change.old_id(), self.diff.old),
            own(change.new_id(), self.diff.new),
        ];
        let (mut lines, mut rows, mut cause) = (Vec::new(), Vec::new(), None);
        match &change.what {
            What::Added(id) => rows = self.whole(*id, true, change.sort, &mut lines),
            What::Removed(id) => rows = self.whole(*id, false, change.sort, &mut lines),
            What::Changed(old, new, detail) => {
                if let Some((old, new)) = detail.size {
                    sizes = [old, new].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
                }
                self.put_lines((*old, *new), detail, &mut lines);
                rows = if !detail.enumerators_of(None).is_empty() || change.sort == Sort::Enum {
                    self.enumerators(*old, *new, detail)
                } else {
                    self.members(detail)
                };
            }
            What::Through(_, _, id) => {
                let mut title = Vec::new();
                self.new.put_title(&mut title, *id);
                cause = Some(escape_name(&title).into_owned());
            }
        }
        let lines: Vec<_> = lines
            .iter()
            .map(|(sign, line)| format!("[{sign},{}]", json_text(line)))
            .collect();
        Item {
            kind: kind.unwrap_or(WORDS.len()),
            what,
            title: escape_name(&title).into_owned(),
            is_breaking: is_breaking(self.diff, change),
            sizes,
            note: cause.map_or_else(
                || format!("[{}]", lines.join(",")),
                |cause| json_text(&cause),
            ),
            rows,
        }
    }

    /// What there is to say of an item that only one side has.
    fn whole(
        &mut self,
        id: TypeId,
        is_new: bool,
        sort: Sort,
        lines: &mut Vec<(i8, String)>,
    ) -> Vec<Row> {
        let spell = if is_new { &mut self.new } else { &mut self.old };
        let at = usize::from(is_new);
        match sort {
            Sort::Struct | Sort::Union => {
                let leaves = Leaves::new(spell.side(), id, self.diff.room);
                let leaf = |leaf: &Leaf| {
                    let mut row = Row {
                        places: [-1; 2],
                        ..Row::default()
                    };
                    row.places[at] = leaf.bit_offset.into();
                    row.texts[at] = declaration(spell, &leaves, leaf);
                    row
                };
                leaves.all.iter().map(leaf).collect()
            }
            Sort::Enum => {
                let values = super::detail::values_of(spell.side(), id);
                let row = |value: super::Value| {
                    let mut row = Row {
                        places: [-1; 2],
                        ..Row::default()
                    };
                    row.texts[at] =
                        format!("{} = {value}", escape_name(spell.side().name(value.name)));
                    row
                };
                values.into_iter().map(row).collect()
            }
            Sort::Typedef | Sort::Number | Sort::Func | Sort::Var | Sort::Forward => {
                let mut text = Vec::new();
                spell.put_item(&mut text, id);
                lines.push((if is_new { 1 } else { -1 }, escape_name(&text).into_owned()));
                Vec::new()
            }
        }
    }

    /// Appends what has changed but members and enumerators.
    fn put_lines(
        &mut self,
        (old, new): (TypeId, TypeId),
        detail: &Detail,
        lines: &mut Vec<(i8, String)>,
    ) {
        for words in &detail.words {
            let (was, is) = (escape_name(&words.old), escape_name(&words.new));
            lines.push((0, format!("{}: {was} → {is}", words.what)));
        }
        if detail.is_cut() {
            lines.push((0, super::text::CUT.to_owned()));
        }
        if detail.ty.is_some() || detail.result.is_some() || !detail.params.is_empty() {
            for (sign, spell, id) in [(-1, &mut self.old, old), (1, &mut self.new, new)] {
                let mut text = Vec::new();
                spell.put_item(&mut text, id);
                lines.push((sign, escape_name(&text).into_owned()));
            }
        }
    }

    /// All members of both sides.
    fn members(&mut self, detail: &Detail) -> Vec<Row> {
        let (olds, news) = (&detail.leaves.0, &detail.leaves.1);
        let mut rows = Vec::new();
        for change in detail.all_members() {
            let old = change.old.and_then(|index| olds.all.get(index));
            let new = change.new.and_then(|index| news.all.get(index));
            let place = |leaf: Option<&Leaf>| leaf.map_or(-1, |leaf| leaf.bit_offset.into());
            let status = match (old, new) {
                (Some(_), None) => status::GONE,
                (None, _) => status::NEW,
                _ if change.is_retyped || change.is_renamed || change.is_revalued => status::OTHER,
                _ if change.is_rewidened => status::RESIZED,
                _ if change.is_moved => status::MOVED,
                _ if change.is_resized => status::RESIZED,
                _ => status::SAME,
            };
            let old_text = old.map(|leaf| declaration(&mut self.old, olds, leaf));
            let new_text = new.map(|leaf| declaration(&mut self.new, news, leaf));
            rows.push(Row {
                status,
                places: [place(old), place(new)],
                texts: [old_text.unwrap_or_default(), new_text.unwrap_or_default()],
            });
        }
        rows
    }

    /// All enumerators of both sides.
    fn enumerators(&self, old: TypeId, new: TypeId, detail: &Detail) -> Vec<Row> {
        let text = |spell: &Spell<'_, '_>, value: Option<super::Value>| {
            value.map_or_else(String::new, |value| {
                format!("{} = {value}", escape_name(spell.side().name(value.name)))
            })
        };
        let row = |status, old, new| Row {
            status,
            places: [-1; 2],
            texts: [text(&self.old, old), text(&self.new, new)],
        };
        let of_old = detail
            .enumerators
            .iter()
            .filter_map(|change| Some((change.old?.name, change)));
        let of_old: HashMap<_, _> = of_old.collect();
        let (olds, news) = (
            super::detail::values_of(self.diff.old, old),
            super::detail::values_of(self.diff.new, new),
        );
        let changed = |value: super::Value| of_old.get(&value.name).copied();
        let mut rows: Vec<Row> = olds
            .into_iter()
            .map(|value| match changed(value) {
                None => row(status::SAME, Some(value), Some(value)),
                Some(change) if change.new.is_none() => row(status::GONE, change.old, None),
                Some(change) => row(status::OTHER, change.old, change.new),
            })
            .collect();
        // The old spelling of an unchanged value is the new one: both sides' signs may differ, the names do not.
        let added = detail
            .enumerators
            .iter()
            .filter(|change| change.old.is_none());
        let added: HashMap<_, _> = added
            .filter_map(|change| Some((change.new?.name, change)))
            .collect();
        for value in news {
            if added.contains_key(&value.name) {
                rows.push(row(status::NEW, None, Some(value)));
            }
        }
        for row in rows.iter_mut().filter(|row| row.status == status::SAME) {
            let [old, new] = &mut row.texts;
            new.clone_from(old);
        }
        rows
    }
}

/// A member as C declares it.
fn declaration(spell: &mut Spell<'_, '_>, leaves: &Leaves, leaf: &Leaf) -> String {
    let (mut name, mut out) = (Vec::new(), Vec::new());
    leaves.put_name(spell.side(), leaf, &mut name);
    spell.put_declaration(&mut out, leaf.ty, &name);
    let mut text = escape_name(&out).into_owned();
    if let Some(bits) = leaf.bits {
        let _ = write!(text, ":{bits}");
    }
    text
}
