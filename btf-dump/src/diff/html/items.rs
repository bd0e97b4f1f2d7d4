//! The items of a page: what has changed of each, and all that both sides have of it.

use std::collections::HashMap;

use btf_core::TypeId;
use btf_core::cli::{escape_name, json_text};

use super::super::breaking::is_breaking;
use super::super::detail::{Comparison, values_of};
use super::super::spell::Spell;
use super::super::{
    Change, Detail, Diff, Leaf, Leaves, Prefixes, Side, Sort, Value, WORDS, What, text::CUT,
};
use crate::put;

/// An item, with what there is to say of it.
pub(super) struct Item {
    pub(super) kind: usize,
    pub(super) what: u8,
    pub(super) title: String,
    pub(super) is_breaking: bool,
    pub(super) sizes: [i64; 2],
    pub(super) note: String,
    pub(super) rows: Vec<Row>,
}

/// A member, enumerator or the like of both sides.
pub(super) struct Row {
    pub(super) status: u8,
    pub(super) places: [i64; 2],
    /// The numbers of the texts; that of the new one is the old one's if they are equal.
    pub(super) texts: [usize; 2],
}

/// Texts, each of which has a number: that of those before it.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    pub(super) texts: Vec<String>,
    known: HashMap<String, usize>,
}

impl Numbers {
    /// The number of a text.
    pub(super) fn of(&mut self, text: &str) -> usize {
        if let Some(&number) = self.known.get(text) {
            return number;
        }
        let number = self.texts.len();
        self.texts.push(text.to_owned());
        self.known.insert(text.to_owned(), number);
        number
    }
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

/// Makes the items of one file.
pub(super) struct Maker<'d, 'b> {
    diff: &'d Diff<'b>,
    old: Spell<'b, 'b>,
    new: Spell<'b, 'b>,
    comparison: Comparison<'b, 'b>,
    numbers: Numbers,
    /// Room for a text.
    buffer: Vec<u8>,
}

impl<'d, 'b> Maker<'d, 'b> {
    pub(super) fn new(diff: &'d Diff<'b>) -> Self {
        Self {
            diff,
            old: Spell::new(diff.old),
            new: Spell::new(diff.new),
            comparison: Comparison::of_all(diff),
            numbers: Numbers::default(),
            buffer: Vec::new(),
        }
    }

    /// The items of some changes, and the texts in them, which do not depend on those before them.
    pub(super) fn part(&mut self, changes: &[&Change]) -> (Vec<Item>, Vec<String>) {
        self.old.restart();
        self.new.restart();
        let items = changes.iter().map(|change| self.item(change)).collect();
        (items, std::mem::take(&mut self.numbers).texts)
    }

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
        let own =
            |id: Option<TypeId>, side: &Side<'_>| size(id.and_then(|id| side.ty(id).own_size()));
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
                rows = if !detail.own_enumerators().is_empty() || change.sort == Sort::Enum {
                    self.enumerators(*old, *new, detail)
                } else {
                    self.members((*old, *new))
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
        let side = if is_new { self.diff.new } else { self.diff.old };
        let of_side = |of_old, of_new| if is_new { of_new } else { of_old };
        match sort {
            Sort::Struct | Sort::Union => {
                let leaves = Leaves::new(side, id, self.diff.room);
                let rows = leaves.all.iter().map(|leaf| {
                    let place = leaf.bit_offset.into();
                    let of_leaf = Some((leaf, &leaves.prefixes));
                    Row {
                        status: status::SAME,
                        places: [of_side(place, -1), of_side(-1, place)],
                        texts: [
                            self.declaration(of_leaf.filter(|_| !is_new), false),
                            self.declaration(of_leaf.filter(|_| is_new), true),
                        ],
                    }
                });
                rows.collect()
            }
            Sort::Enum => {
                let values = values_of(side, id).into_iter().map(|value| {
                    let value = Some(value);
                    let [old, new] = [value.filter(|_| !is_new), value.filter(|_| is_new)];
                    self.enumerator(status::SAME, old, new)
                });
                values.collect()
            }
            Sort::Typedef | Sort::Number | Sort::Func | Sort::Var | Sort::Forward => {
                let spell = if is_new { &mut self.new } else { &mut self.old };
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
        if detail.is_cut {
            lines.push((0, CUT.to_owned()));
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
    fn members(&mut self, ids: (TypeId, TypeId)) -> Vec<Row> {
        let Some(detail) = self.comparison.detail(ids) else {
            return Vec::new();
        };
        let (olds, news) = (&detail.prefixes.0, &detail.prefixes.1);
        let mut rows = Vec::new();
        for change in &detail.members {
            let (old, new) = (change.old.as_ref(), change.new.as_ref());
            let place = |leaf: Option<&Leaf>| leaf.map_or(-1, |leaf| leaf.bit_offset.into());
            let status = match (old, new) {
                (Some(_), None) => status::GONE,
                (None, _) => status::NEW,
                _ if change.is_retyped || change.is_renamed || change.is_revalued() => {
                    status::OTHER
                }
                _ if change.is_rewidened => status::RESIZED,
                _ if change.is_moved => status::MOVED,
                _ if change.is_resized => status::RESIZED,
                _ => status::SAME,
            };
            rows.push(Row {
                status,
                places: [place(old), place(new)],
                texts: [
                    self.declaration(old.map(|leaf| (leaf, olds)), false),
                    self.declaration(new.map(|leaf| (leaf, news)), true),
                ],
            });
        }
        rows
    }

    /// All enumerators of both sides.
    fn enumerators(&mut self, old: TypeId, new: TypeId, detail: &Detail) -> Vec<Row> {
        let of_old = detail
            .enumerators
            .iter()
            .filter_map(|change| Some((change.old?.name, change)));
        let of_old: HashMap<_, _> = of_old.collect();
        let (olds, news) = (values_of(self.diff.old, old), values_of(self.diff.new, new));
        let changed = |value: Value| of_old.get(&value.name).copied();
        let mut rows: Vec<Row> = olds
            .into_iter()
            .map(|value| match changed(value) {
                // Its old spelling is the new one: both sides' signs may differ, the names do not.
                None => {
                    let mut row = self.enumerator(status::SAME, Some(value), None);
                    row.texts[1] = row.texts[0];
                    row
                }
                Some(change) if change.new.is_none() => {
                    self.enumerator(status::GONE, change.old, None)
                }
                Some(change) => self.enumerator(status::OTHER, change.old, change.new),
            })
            .collect();
        let added = detail
            .enumerators
            .iter()
            .filter(|change| change.old.is_none());
        let added: HashMap<_, _> = added
            .filter_map(|change| Some((change.new?.name, change)))
            .collect();
        for value in news {
            if added.contains_key(&value.name) {
                rows.push(self.enumerator(status::NEW, None, Some(value)));
            }
        }
        rows
    }

    /// An enumerator of both sides.
    fn enumerator(&mut self, status: u8, old: Option<Value>, new: Option<Value>) -> Row {
        let texts = [(self.diff.old, old), (self.diff.new, new)].map(|(side, value)| {
            let text =
                value.map(|value| format!("{} = {value}", escape_name(side.name(value.name))));
            self.numbers.of(text.as_deref().unwrap_or_default())
        });
        Row {
            status,
            places: [-1; 2],
            texts,
        }
    }

    /// The number of a member's declaration in C; nothing is no text.
    fn declaration(&mut self, leaf: Option<(&Leaf, &Prefixes)>, is_new: bool) -> usize {
        self.buffer.clear();
        if let Some((leaf, prefixes)) = leaf {
            let spell = if is_new { &mut self.new } else { &mut self.old };
            spell.put_member(&mut self.buffer, leaf, prefixes);
            if let Some(bits) = leaf.bits {
                self.buffer.push(b':');
                put::number(&mut self.buffer, bits.into());
            }
        }
        self.numbers.of(&escape_name(&self.buffer))
    }
}
