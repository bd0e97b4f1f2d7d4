//! Layouts as JSON Lines: an object for each structure or union.
//!
//! ```json
//! {"type":"struct","id":3,"name":"s","size":16,"alignment":8,"packed":false,"forced_alignment":0,
//!  "cachelines":1,"holes":1,"bit_holes":0,"padding":7,"bit_padding":0,"members":[
//!  {"name":"c","type":"char","type_id":1,"offset":0,"size":1,"bit_offset":0,"bits":0,"hole":7,"bit_hole":0,"forced_alignment":0}]}
//! ```
//!
//! Expanded, a member that is a structure or union by value, also behind typedefs, has `members` of its own, with offsets from the start of the
//! outermost structure; those behind arrays are of the first element. `"is_cut":true` stands for those that would be out of all proportion.
//!
//! With another order of members `saved` tells how many bytes that saves. `type` is `struct`, `union`, or what it says for the answer to a question: `member` for `--contains` and `--pointers-to`.
//! `size` and `offset` are in bytes and, for a bitfield, those of its unit; `bit_offset` and `bits` are the bitfield itself. A
//! hole lies behind its member. Unnamed members have the name `""`, and their structure is the line with their `type_id`
//! if that is asked for.

use btf_core::cli::{JsonObject, json_line};

use btf_core::TypeId;
use btf_core::graph::MAX_DEPTH;
use btf_core::types::Type;

use super::reorganize::Reorganized;
use super::search::Found;
use super::spell::Speller;
use super::{Layout, Layouts, MemberLayout};

/// How deep structures may be nested, as in [`super::text`].
const MAX_NESTING: usize = 64;

/// How many members of members may be written, and how many more for each word of BTF: everything in vmlinux expanded takes less
/// than one for each; structures that contain the next one twice would take all memory.
const MIN_BUDGET: usize = 1 << 16;
const BUDGET: usize = 4;

/// Writes the types of one BTF.
#[derive(Debug)]
pub struct Writer<'l, 'b> {
    layouts: &'l Layouts<'b>,
    spell: Speller<'b>,
    /// Of several files the one that the types are from.
    file: Option<String>,
    /// How many members of members are written yet; 0 also if none shall be.
    budget: usize,
    /// How many members are around the one that is written.
    depth: usize,
}

impl<'l, 'b> Writer<'l, 'b> {
    /// A writer for the types that `layouts` has; `file` becomes a key of each line.
    #[must_use]
    pub fn new(layouts: &'l Layouts<'b>, file: Option<&str>) -> Self {
        Self {
            layouts,
            spell: Speller::new(layouts.btf()),
            file: file.map(str::to_owned),
            budget: 0,
            depth: 0,
        }
    }

    /// The same writer, which writes the members of members, too.
    #[must_use]
    pub fn expanding(mut self) -> Self {
        let words = self.layouts.btf().words().len();
        self.budget = MIN_BUDGET.saturating_add(words.saturating_mul(BUDGET));
        self
    }

    /// The line of a structure or union; with the members in another order and what that saves, if there is one.
    pub fn layout(&mut self, layout: &Layout, reorganized: Option<&Reorganized>) -> String {
        let old = (layout, self.layouts.members(layout));
        let (layout, members) = reorganized.map_or(old, |new| (&new.layout, &new.members[..]));
        let tag = if layout.is_union { "union" } else { "struct" };
        let cacheline = self.layouts.machine().cacheline.max(1);
        let gaps = &layout.gaps;
        json_line(tag, |object| {
            self.put_file(object);
            object
                .number("id", layout.id.0.into())
                .name("name", self.spell.name(layout.name))
                .number("size", layout.size.into())
                .number("alignment", layout.natural_alignment.into())
                .flag("packed", layout.is_packed)
                .number("forced_alignment", layout.forced_alignment.into())
                .number("cachelines", layout.size.div_ceil(cacheline).into())
                .number("holes", gaps.holes.into())
                .number("bit_holes", gaps.bit_holes.into())
                .number("padding", gaps.padding.into())
                .number("bit_padding", gaps.bit_padding.into());
            if let Some(new) = reorganized {
                object.number("saved", new.saved().into());
            }
            object.array("members", |array| {
                for member in members {
                    array.object(|object| self.put_member(object, member, 0));
                }
            });
        })
    }

    /// The line of a member that was found.
    pub fn found(&mut self, found: &Found) -> String {
        let holder = self.layouts.get(found.holder);
        json_line("member", |object| {
            self.put_file(object);
            object
                .number("id", found.holder.0.into())
                .name(
                    "name",
                    holder.map_or(&b""[..], |holder| self.spell.name(holder.name)),
                )
                .name("member", &found.path)
                .number("offset", found.offset);
        })
    }

    fn put_file(&self, object: &mut JsonObject<'_>) {
        if let Some(file) = &self.file {
            object.text("file", file);
        }
    }

    /// Writes a member of what starts `base` bytes behind the start of the outermost structure.
    fn put_member(&mut self, object: &mut JsonObject<'_>, member: &MemberLayout, base: u64) {
        let offset = base.saturating_add(member.offset.into());
        let bit_offset = base
            .saturating_mul(8)
            .saturating_add(member.bit_offset.into());
        let mut ty = Vec::new();
        self.spell.put(&mut ty, member.ty);
        object
            .name("name", self.spell.name(member.name))
            .name("type", &ty)
            .number("type_id", member.ty.0.into())
            .number("offset", offset)
            .number("size", member.size)
            .number("bit_offset", bit_offset)
            .number("bits", member.bits.into())
            .number("hole", member.hole.into())
            .number("bit_hole", member.bit_hole.into())
            .number("forced_alignment", member.forced_alignment.into());
        self.put_inside(object, member.ty, offset);
    }

    /// Writes the members of the structure or union that a member is, if they are wanted.
    fn put_inside(&mut self, object: &mut JsonObject<'_>, ty: TypeId, offset: u64) {
        let layouts = self.layouts;
        let Some(inner) = self.inside(ty).filter(|_| self.budget > 0) else {
            return;
        };
        let members = layouts.members(inner);
        if members.len() > self.budget - 1 || self.depth == MAX_NESTING {
            object.flag("is_cut", true);
            return;
        }
        self.budget -= members.len();
        self.depth += 1;
        object.array("members", |array| {
            for member in members {
                array.object(|object| self.put_member(object, member, offset));
            }
        });
        self.depth -= 1;
    }

    /// The structure or union that a type is, or an array of such.
    fn inside(&self, ty: TypeId) -> Option<&'l Layout> {
        let mut bare = self.layouts.shape(ty).bare;
        for _ in 0..=MAX_DEPTH {
            let Type::Array { element, .. } = self.spell.ty(bare) else {
                break;
            };
            bare = self.layouts.shape(element).bare;
        }
        self.layouts.get(bare)
    }
}
