//! What stands between braces: members with their gaps and bitfields, and enumerators.

use btf_core::types::{Enumeration, Member};
use btf_core::{Kind, Result, StrOffset, Type, TypeId};

use super::super::enumeration::Width;
use super::super::names::write_local;
use super::super::number;
use super::super::shape::{Piece, WIDEST};
use super::super::text::{put_decl_tag, put_indent};
use super::{Job, Name, Printer};
use crate::put;

impl<'a> Printer<'_, 'a> {
    /// Writes the opening brace of a structure or union and leaves the rest as a job.
    pub(super) fn open_body(&mut self, id: TypeId, indent: usize) -> Result<()> {
        let first = self.pieces.len();
        self.shapes.pieces(id, &mut self.pieces)?;
        if self.pieces.len() == first {
            self.put("{}");
            self.put_shape(id);
            return Ok(());
        }
        self.put("{\n");
        self.jobs.push(Job::Body {
            id,
            first,
            at: first,
            indent,
        });
        Ok(())
    }

    fn put_shape(&mut self, id: TypeId) {
        let shape = self.shapes.of(id);
        if shape.is_packed {
            self.put(" __attribute__((packed))");
        }
        if shape.is_aligned {
            self.put_aligned(shape.align);
        }
    }

    fn put_aligned(&mut self, bytes: u32) {
        self.put(" __attribute__((aligned(");
        put::number(&mut self.out, bytes.into());
        self.put(")))");
    }

    /// Writes the pieces of a structure or union from `at` on and closes it, or leaves that as a job behind a member that is
    /// not done.
    pub(super) fn put_pieces(
        &mut self,
        id: TypeId,
        first: usize,
        at: usize,
        indent: usize,
    ) -> Result<()> {
        let mut at = at;
        while let Some(&piece) = self.pieces.get(at) {
            at += 1;
            self.check_limit()?;
            put_indent(&mut self.out, indent + 1);
            let Piece::Member {
                member,
                index,
                bits,
                is_aligned,
            } = piece
            else {
                self.put_gap(piece)?;
                continue;
            };
            let before = self.jobs.len();
            self.put_member(&member, indent + 1)?;
            if self.jobs.len() > before {
                // What is left of the member comes first.
                let body = Job::Body {
                    id,
                    first,
                    at,
                    indent,
                };
                let end = Job::EndMember {
                    id,
                    index,
                    bits,
                    is_aligned,
                };
                self.jobs.splice(before..before, [body, end]);
                return Ok(());
            }
            self.end_member(id, index, bits, is_aligned)?;
        }
        self.pieces.truncate(first);
        put_indent(&mut self.out, indent);
        self.out.push(b'}');
        self.put_shape(id);
        Ok(())
    }

    /// Writes what is no member.
    fn put_gap(&mut self, piece: Piece) -> Result<()> {
        match piece {
            Piece::Member { .. } => {}
            Piece::Padding { unit, bits } => {
                self.put(match unit {
                    8 => "char",
                    16 => "short",
                    32 => "int",
                    _ => "long",
                });
                self.put(": ");
                put::number(&mut self.out, bits.into());
                self.put(";\n");
            }
            Piece::Bytes(count) => {
                self.put("unsigned char __btf_padding");
                put::number(&mut self.out, self.paddings);
                self.paddings += 1;
                self.put("[");
                put::number(&mut self.out, count);
                self.put("];\n");
            }
            Piece::Misplaced { member } => {
                self.put("/* ");
                write_local(self.view.tail(member.name)?, &mut self.out);
                self.put(" is at bit ");
                put::number(&mut self.out, member.bit_offset.into());
                self.put(", where C cannot put it */\n");
            }
        }
        Ok(())
    }

    fn put_member(&mut self, member: &Member, indent: usize) -> Result<()> {
        let Some(merged) = self.view.merged_composite(member)? else {
            return self.put_type(member.ty, Name::Local(member.name), indent);
        };
        // Its members count as this structure's, but with a tag only in the dialect of `-fms-extensions`: so without.
        self.put_keyword(self.view.node(merged)?.kind.unwrap_or(Kind::Struct));
        self.open_body(merged, indent)
    }

    pub(super) fn end_member(
        &mut self,
        id: TypeId,
        index: u32,
        bits: u32,
        is_aligned: bool,
    ) -> Result<()> {
        if bits != 0 {
            self.put(": ");
            put::number(&mut self.out, bits.into());
        }
        if is_aligned {
            self.put_aligned(WIDEST);
        }
        for tag in self.tags.of(id, i32::try_from(index).unwrap_or(-1)) {
            put_decl_tag(&mut self.out, self.view.string(tag.text)?, tag.is_attribute);
        }
        self.put(";\n");
        Ok(())
    }

    /// Whether an enumeration without a name is to be written out here.
    fn is_writer(&mut self, id: TypeId) -> bool {
        let writer = self.writers.get(&id);
        if writer != Some(&self.item) || self.item.is_void() || self.written.contains(&id) {
            return false;
        }
        self.written.push(id);
        true
    }

    /// Writes an enumeration with its values; without a name only the first time, then the integer that it is.
    pub(super) fn put_enumeration(
        &mut self,
        id: TypeId,
        enumeration: &Enumeration<'a>,
        indent: usize,
    ) -> Result<()> {
        let is_named = enumeration.name != StrOffset::EMPTY;
        if !is_named && (!self.is_writer(id) || enumeration.is_empty()) {
            self.put_spelling(number::of_size(enumeration.size, enumeration.is_signed));
            return Ok(());
        }
        self.put("enum ");
        if is_named {
            self.names.write(id, &mut self.out)?;
            self.out.push(b' ');
        }
        self.put("{\n");
        if enumeration.is_empty() {
            // Only declared, and needed complete, so something must be in it.
            put_indent(&mut self.out, indent + 1);
            self.names.write(id, &mut self.out)?;
            self.put("___undefined = 0,\n");
        }
        self.put_enumerators(id, enumeration, indent)?;
        put_indent(&mut self.out, indent);
        self.out.push(b'}');
        if let Some(Width::Mode(mode)) = Width::of(enumeration) {
            self.put(" __attribute__((mode(");
            self.put(mode);
            self.put(")))");
        }
        Ok(())
    }

    fn put_enumerators(
        &mut self,
        id: TypeId,
        enumeration: &Enumeration<'a>,
        indent: usize,
    ) -> Result<()> {
        let is_wide = matches!(self.view.ty(id)?, Type::Enum64(_));
        for (enumerator, index) in enumeration.enumerators().zip(0..) {
            self.check_limit()?;
            put_indent(&mut self.out, indent + 1);
            self.names
                .write_enumerator(id, index, enumerator.name, &mut self.out)?;
            self.put(" = ");
            let signed = enumerator.value.cast_signed();
            if !enumeration.is_signed {
                put::number(&mut self.out, enumerator.value);
                self.put(if is_wide { "ULL" } else { "" });
            } else if signed == i64::MIN {
                // There is no literal for it.
                self.put("-9223372036854775807LL - 1");
            } else {
                put::signed(&mut self.out, signed);
                self.put(if is_wide { "LL" } else { "" });
            }
            self.put(",\n");
        }
        Ok(())
    }
}
