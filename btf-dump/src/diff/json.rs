//! Differences as JSON Lines.
//!
//! ```json
//! {"type":"file","name":"vmlinux","old":"a/vmlinux","new":"b/vmlinux"}
//! {"type":"added","kind":"struct","name":"s","new_id":9,"size":8,"members":[MEMBER,…]}
//! {"type":"removed","kind":"enum","name":"e","old_id":7,"size":4,"enumerators":[VALUE,…]}
//! {"type":"changed","kind":"struct","name":"t","old_id":3,"new_id":4,"old_size":8,"new_size":16,
//!  "members":[{"change":"moved","old":MEMBER,"new":MEMBER},{"change":"added","new":MEMBER}]}
//! {"type":"through","kind":"struct","name":"u","old_id":5,"new_id":6,"cause":{"kind":"struct","name":"t","new_id":4}}
//! {"type":"summary","kind":"struct","added":1,"removed":0,"changed":1,"through":1}
//! ```
//!
//! A `file` line stands before the lines about it; one without `old` or `new` is there on one side only. An id may be one of the file's
//! base: a type that has moved between a module and its kernel. `kind` is `struct`, `union`,
//! `enum`, `typedef`, `number`, `func`, `kfunc`, `var` or `forward`.
//!
//! - MEMBER: `{"name":"a.b","type":"int","bit_offset":32,"size":4}`; `size` in bytes, which types without one do not have; bitfields have
//!   `bits`, arrays without a length `element_size` in bytes. Members of unnamed structures are listed with those around them.
//! - `enumerators` of VALUE: `{"name":"A","value":"-1"}`; the value is text, as many readers round what is beyond 2^53.
//! - `params` of `{"index":0,"name":"p","type":"int"}` and `result`, a type, for functions; `target`, a type, for typedefs
//!   and variables that are not members of something unnamed; `linkage`, `section`, `encoding`, `tags`: text.
//!
//! `"is_cut":true` says that there are too many unnamed structures to list what is in each.
//!
//! What programs notice (see [`super::breaking`]) has `"breaking":true`, unless it is a whole file.
//!
//! A typedef or variable that became something unnamed has `new_size`, and `new_members` or `new_enumerators`, too. What has changed
//! has `old_` and `new_` before these keys, and only those that have changed; `kfunc` and `exported` are `yes` or `no`. Lists have
//! objects with `old`, `new` or both, and in `change` the words `added`, `removed`, `renamed`, `moved`, `retyped`,
//! `resized` (the type is called as before and has another size, or a bitfield has another width) and `revalued`, separated by
//! spaces. `revalued` is an enumerator that has another value, or a member of an enumeration without a name: what has changed in that
//! is in its `enumerators`.

use btf_core::cli::{JsonArray, JsonObject, json_line, push_json_line};
use btf_core::types::{Enumeration, Param};
use btf_core::{Type, TypeId};
use rayon::prelude::*;

use super::breaking::is_breaking;
use super::detail::{encoding_word, linkage_word, values};
use super::spell::Spell;
use super::{
    Change, Counts, Detail, Diff, EnumeratorChange, Leaf, Leaves, Prefixes, Sort, Value, What,
};

/// So many items are written by one thread at a time.
const CHUNK: usize = 256;

/// So many bytes are expected of each item.
const BYTES: usize = 256;

/// Writes the changes of a diff, or those of them that are wanted, in parts that follow each other.
#[must_use]
pub fn write(diff: &Diff<'_>, changes: &[&Change]) -> Vec<Vec<u8>> {
    let writer = || Writer {
        diff,
        old: Spell::new(diff.old),
        new: Spell::new(diff.new),
    };
    let parts = changes
        .par_chunks(CHUNK)
        .map_init(writer, |writer, changes| {
            writer.old.restart();
            writer.new.restart();
            let mut lines = String::with_capacity(CHUNK * BYTES);
            for change in changes {
                writer.put(change, &mut lines);
            }
            lines.into_bytes()
        });
    parts.collect()
}

/// The line before those of a file.
#[must_use]
pub fn file(name: &str, old: Option<&str>, new: Option<&str>) -> String {
    json_line("file", |object| {
        object.text("name", name);
        for (key, path) in [("old", old), ("new", new)] {
            if let Some(path) = path {
                object.text(key, path);
            }
        }
    })
}

/// The lines at the end.
#[must_use]
pub fn summary(counts: &[(&'static str, Counts)]) -> String {
    let lines = counts.iter().map(|(kind, counts)| {
        json_line("summary", |object| {
            object
                .text("kind", kind)
                .number("added", counts.added as u64)
                .number("removed", counts.removed as u64)
                .number("changed", counts.changed as u64)
                .number("through", counts.through as u64);
        })
    });
    lines.collect()
}

struct Writer<'d, 'b> {
    diff: &'d Diff<'b>,
    old: Spell<'b, 'b>,
    new: Spell<'b, 'b>,
}

impl Writer<'_, '_> {
    fn put(&mut self, change: &Change, lines: &mut String) {
        let tag = match change.what {
            What::Added(_) => "added",
            What::Removed(_) => "removed",
            What::Changed(..) => "changed",
            What::Through(..) => "through",
        };
        push_json_line(lines, tag, |object| {
            object.text("kind", change.word());
            object.name("name", self.diff.name(change));
            for (key, id) in [("old_id", change.old_id()), ("new_id", change.new_id())] {
                if let Some(id) = id {
                    object.number(key, id.0.into());
                }
            }
            if is_breaking(self.diff, change) {
                object.flag("breaking", true);
            }
            match &change.what {
                What::Added(id) => put_whole(&mut self.new, *id, self.diff.room, object),
                What::Removed(id) => put_whole(&mut self.old, *id, self.diff.room, object),
                What::Changed(_, _, detail) => self.put_detail(detail, object),
                What::Through(_, _, cause) => {
                    let word = self.diff.new.sort(*cause).map_or("", Sort::word);
                    object.object("cause", |object| {
                        object.text("kind", word);
                        object.name("name", self.diff.new.name_of(*cause));
                        object.number("new_id", cause.0.into());
                    });
                }
            }
        });
    }

    fn put_detail(&mut self, detail: &Detail, object: &mut JsonObject<'_>) {
        if let Some((old, new)) = detail.size.filter(|(old, new)| old != new) {
            object.number("old_size", old).number("new_size", new);
        }
        if let Some((old, new)) = detail.ty {
            object.name("old_target", &target_text(&mut self.old, old));
            object.name("new_target", &target_text(&mut self.new, new));
            let keys = ["new_size", "new_members", "new_enumerators"];
            put_inside(&mut self.new, keys, (new, self.diff.room), object);
        }
        if let Some((old, new)) = detail.result {
            object.name("old_result", &self.old.type_text(old));
            object.name("new_result", &self.new.type_text(new));
        }
        for words in &detail.words {
            object.name(&format!("old_{}", words.what), &words.old);
            object.name(&format!("new_{}", words.what), &words.new);
        }
        put_is_cut(detail.is_cut, object);
        if !detail.members.is_empty() {
            object.array("members", |array| self.put_members(detail, array));
        }
        let own = detail.own_enumerators();
        if !own.is_empty() {
            object.array("enumerators", |array| self.put_enumerators(own, array));
        }
        if !detail.params.is_empty() {
            object.array("params", |array| self.put_params(detail, array));
        }
    }

    fn put_members(&mut self, detail: &Detail, array: &mut JsonArray<'_>) {
        let (olds, news) = (&detail.prefixes.0, &detail.prefixes.1);
        for change in &detail.members {
            let (old, new) = (change.old.as_ref(), change.new.as_ref());
            let words = [
                (change.is_renamed, "renamed"),
                (change.is_moved, "moved"),
                (change.is_retyped, "retyped"),
                (change.is_resized || change.is_rewidened, "resized"),
                (change.is_revalued(), "revalued"),
            ];
            array.object(|object| {
                put_change(object, old.is_some(), new.is_some(), &words);
                if let Some(leaf) = old {
                    object.object("old", |object| put_leaf(&mut self.old, olds, leaf, object));
                }
                if let Some(leaf) = new {
                    object.object("new", |object| put_leaf(&mut self.new, news, leaf, object));
                }
                if change.is_revalued() {
                    object.array("enumerators", |array| {
                        self.put_enumerators(detail.enumerators_of(change), array);
                    });
                }
            });
        }
    }

    fn put_enumerators(&self, changes: &[EnumeratorChange], array: &mut JsonArray<'_>) {
        for change in changes {
            let words = [
                (change.is_renamed, "renamed"),
                (!change.is_renamed, "revalued"),
            ];
            array.object(|object| {
                put_change(object, change.old.is_some(), change.new.is_some(), &words);
                if let Some(value) = change.old {
                    object.object("old", |object| put_value(&self.old, value, object));
                }
                if let Some(value) = change.new {
                    object.object("new", |object| put_value(&self.new, value, object));
                }
            });
        }
    }

    fn put_params(&mut self, detail: &Detail, array: &mut JsonArray<'_>) {
        for change in &detail.params {
            let words = [
                (change.is_renamed, "renamed"),
                (change.is_retyped, "retyped"),
            ];
            array.object(|object| {
                put_change(object, change.old.is_some(), change.new.is_some(), &words);
                if let Some((index, param)) = change.old {
                    object.object("old", |object| {
                        put_param(&mut self.old, index, param, object);
                    });
                }
                if let Some((index, param)) = change.new {
                    object.object("new", |object| {
                        put_param(&mut self.new, index, param, object);
                    });
                }
            });
        }
    }
}

/// Writes the word for what has become of a member or the like.
fn put_change(object: &mut JsonObject<'_>, old: bool, new: bool, words: &[(bool, &str)]) {
    let text = match (old, new) {
        (false, _) => "added".to_owned(),
        (_, false) => "removed".to_owned(),
        _ => {
            let words = words.iter().filter(|(holds, _)| *holds);
            let words: Vec<_> = words.map(|(_, word)| *word).collect();
            words.join(" ")
        }
    };
    object.text("change", &text);
}

/// Writes all that there is to say of an item.
fn put_whole(spell: &mut Spell<'_, '_>, id: TypeId, room: usize, object: &mut JsonObject<'_>) {
    let side = spell.side();
    let ty = side.ty(id);
    if let Some(size) = ty.own_size() {
        object.number("size", size.into());
    }
    match ty {
        Type::Struct(_) | Type::Union(_) => put_leaves(spell, "members", (id, room), object),
        Type::Enum(all) | Type::Enum64(all) => {
            put_values(spell, "enumerators", all, object);
        }
        Type::Typedef { target, .. } => put_target(spell, (target, room), object),
        Type::Var {
            target, linkage, ..
        } => {
            object.text("linkage", linkage_word(linkage));
            object.name("section", side.section_of(id));
            put_target(spell, (target, room), object);
        }
        Type::Func { proto, linkage, .. } => {
            object.text("linkage", linkage_word(linkage));
            if let Type::FuncProto(proto) = side.ty(proto) {
                object.name("result", &spell.type_text(proto.result));
                object.array("params", |array| {
                    for (index, param) in proto.params().enumerate() {
                        array.object(|object| put_param(spell, index, param, object));
                    }
                });
            }
        }
        Type::Int(_) | Type::Float { .. } => {
            object.text("encoding", encoding_word(ty));
        }
        Type::Void
        | Type::Ptr { .. }
        | Type::Array { .. }
        | Type::Fwd { .. }
        | Type::Volatile { .. }
        | Type::Const { .. }
        | Type::Restrict { .. }
        | Type::FuncProto(_)
        | Type::Datasec(_)
        | Type::DeclTag { .. }
        | Type::TypeTag { .. }
        | Type::Unknown { .. } => {}
    }
    let tags = side.tags_of(id);
    if !tags.is_empty() {
        object.name("tags", &tags);
    }
}

/// Writes what a typedef stands for, or a variable's type, with the members of what has no name.
fn put_target(
    spell: &mut Spell<'_, '_>,
    (target, room): (TypeId, usize),
    object: &mut JsonObject<'_>,
) {
    object.name("target", &target_text(spell, target));
    let keys = ["size", "members", "enumerators"];
    put_inside(spell, keys, (target, room), object);
}

/// A type whose members or enumerators are listed beside it.
fn target_text(spell: &mut Spell<'_, '_>, target: TypeId) -> Vec<u8> {
    spell.elides_values(true);
    let text = spell.type_text(target);
    spell.elides_values(false);
    text
}

/// Writes the size, and the members or enumerators, of what has no name.
fn put_inside(
    spell: &mut Spell<'_, '_>,
    [size_key, members_key, enumerators_key]: [&str; 3],
    (target, room): (TypeId, usize),
    object: &mut JsonObject<'_>,
) {
    let side = spell.side();
    let is_composite = Leaves::wrapping(side, target).is_some();
    let enumeration = Leaves::enumeration(side, target);
    if (is_composite || enumeration.is_some())
        && let Some(size) = side.size_of(target)
    {
        object.number(size_key, size);
    }
    if is_composite {
        put_leaves(spell, members_key, (target, room), object);
    }
    if let Some(enumeration) = enumeration {
        put_values(spell, enumerators_key, enumeration.values, object);
    }
}

fn put_values(spell: &Spell<'_, '_>, key: &str, all: Enumeration<'_>, object: &mut JsonObject<'_>) {
    object.array(key, |array| {
        for value in values(all) {
            array.object(|object| put_value(spell, value, object));
        }
    });
}

fn put_leaves(
    spell: &mut Spell<'_, '_>,
    key: &str,
    (id, room): (TypeId, usize),
    object: &mut JsonObject<'_>,
) {
    let leaves = Leaves::new(spell.side(), id, room);
    put_is_cut(leaves.is_cut, object);
    object.array(key, |array| {
        for leaf in &leaves.all {
            array.object(|object| put_leaf(spell, &leaves.prefixes, leaf, object));
        }
    });
}

fn put_leaf(
    spell: &mut Spell<'_, '_>,
    prefixes: &Prefixes,
    leaf: &Leaf,
    object: &mut JsonObject<'_>,
) {
    let mut name = Vec::new();
    prefixes.put_name(spell.side(), leaf, &mut name);
    object.name("name", &name);
    object.name("type", &spell.type_text(leaf.ty));
    object.number("bit_offset", leaf.bit_offset.into());
    if let Some(size) = spell.side().size_of(leaf.ty) {
        object.number("size", size);
    }
    if let Some(size) = spell.side().element_size(leaf.ty) {
        object.number("element_size", size);
    }
    if let Some(bits) = leaf.bits {
        object.number("bits", bits.into());
    }
}

fn put_is_cut(is_cut: bool, object: &mut JsonObject<'_>) {
    if is_cut {
        object.flag("is_cut", true);
    }
}

fn put_value(spell: &Spell<'_, '_>, value: Value, object: &mut JsonObject<'_>) {
    object.name("name", spell.side().name(value.name));
    object.text("value", &value.to_string());
}

fn put_param(spell: &mut Spell<'_, '_>, index: usize, param: Param, object: &mut JsonObject<'_>) {
    object.number("index", index as u64);
    object.name("name", spell.side().name(param.name));
    if param.is_variadic() {
        object.text("type", "...");
    } else {
        object.name("type", &spell.type_text(param.ty));
    }
}
