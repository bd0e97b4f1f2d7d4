//! Assertions, for the compiler to prove, that the header has the layout of the BTF.
//!
//! Every structure, union and enumeration that has a name, or is what a typedef names, gets its size asserted, and every
//! member that has an offset in C, those of nested structures included, its offset.

use btf_core::types::Member;
use btf_core::{Result, TypeId};

use super::enumeration::Width;
use super::frame::{ASSERTIONS, END_ASSERTIONS};
use super::names::{Names, write_local};
use super::order::Step;
use super::print::too_long;
use super::shape::Shapes;
use super::view::{View, composite, enumeration, is_composite, keyword, tag_kind};
use crate::put;

/// Writes assertions into a buffer.
#[derive(Debug)]
pub(crate) struct Asserter<'p, 'a> {
    view: View<'a>,
    names: &'p Names<'a>,
    shapes: &'p Shapes<'a>,
    limit: usize,
    /// How many assertions there are.
    pub(crate) count: u64,
}

/// Members that are left: those of a structure from the `next` one on, at a place of the outermost one.
#[derive(Debug)]
struct Frame {
    id: TypeId,
    next: usize,
    /// Where it starts, in bits.
    base: u64,
    /// The length of its path, without what its members add.
    path_len: usize,
}

impl<'p, 'a> Asserter<'p, 'a> {
    pub(crate) fn new(
        view: View<'a>,
        names: &'p Names<'a>,
        shapes: &'p Shapes<'a>,
        limit: usize,
    ) -> Self {
        Self {
            view,
            names,
            shapes,
            limit,
            count: 0,
        }
    }

    /// Asserts the layout of all that is defined.
    ///
    /// # Errors
    /// An id or name that does not exist, a text that is too long.
    pub(crate) fn steps(&mut self, steps: &[Step], out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(ASSERTIONS.as_bytes());
        for &step in steps {
            if let Step::Define(id) = step {
                self.item(id, out)?;
            }
        }
        out.push(b'\n');
        out.extend_from_slice(END_ASSERTIONS.as_bytes());
        Ok(())
    }

    fn item(&mut self, id: TypeId, out: &mut Vec<u8>) -> Result<()> {
        let mut name = Vec::new();
        let ty = self.view.ty(id)?;
        let mut target = id;
        if let Some(modified) = ty.modified() {
            let value = self.view.value(modified)?;
            if value.is_array || self.view.node(value.id)?.name.0 != 0 {
                return Ok(());
            }
            target = value.id;
        } else if ty.name().0 != 0 {
            name.extend_from_slice(keyword(tag_kind(ty)).as_bytes());
            name.push(b' ');
        } else {
            return Ok(());
        }
        self.names.write(id, &mut name)?;
        let ty = self.view.ty(target)?;
        if let Some(enumeration) = enumeration(ty) {
            if Width::of(&enumeration).is_some() && !enumeration.is_empty() {
                self.size(&name, enumeration.size, out);
            }
        } else if let Some((composite, _)) = composite(ty)
            && self.shapes.of(target).is_exact
        {
            self.size(&name, composite.size, out);
            self.members(target, &name, out)?;
        }
        Ok(())
    }

    fn size(&mut self, name: &[u8], size: u32, out: &mut Vec<u8>) {
        self.count += 1;
        out.extend_from_slice(b"__btf_assert_size(");
        out.extend_from_slice(name);
        out.extend_from_slice(b", ");
        put::number(out, size.into());
        out.extend_from_slice(b");\n");
    }

    /// Asserts the offsets of all members, with those of structures without a name that lie in them.
    fn members(&mut self, id: TypeId, name: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut path = Vec::new();
        let mut stack = vec![Frame {
            id,
            next: 0,
            base: 0,
            path_len: 0,
        }];
        while let Some(frame) = stack.last_mut() {
            path.truncate(frame.path_len);
            let Some((composite, _)) = composite(self.view.ty(frame.id)?) else {
                stack.pop();
                continue;
            };
            let Some(member) = composite.members().nth(frame.next) else {
                stack.pop();
                continue;
            };
            frame.next += 1;
            let base = frame.base;
            if let Some(inner) = self.member(&member, base, name, &mut path, out)? {
                stack.push(inner);
            }
            if out.len() > self.limit {
                return Err(too_long(self.limit));
            }
        }
        Ok(())
    }

    /// Asserts the offset of a member, and returns the members that lie in it if it is of a type without a name.
    fn member(
        &mut self,
        member: &Member,
        base: u64,
        name: &[u8],
        path: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Frame>> {
        let at = base.saturating_add(member.bit_offset.into());
        let value = self.view.value(member.ty)?;
        let is_named = member.name.0 != 0;
        if is_named {
            if self.view.bitfield(member, value)?.is_some() {
                return Ok(None);
            }
            write_local(self.view.tail(member.name)?, path);
            self.count += 1;
            out.extend_from_slice(b"__btf_assert_offset(");
            out.extend_from_slice(name);
            out.extend_from_slice(b", ");
            out.extend_from_slice(path);
            out.extend_from_slice(b", ");
            put::number(out, at / 8);
            out.extend_from_slice(b");\n");
        }
        let inner = self.view.node(value.id)?;
        if !is_composite(inner.kind) || is_named && inner.name.0 != 0 {
            return Ok(None);
        }
        // An element of an array has no name of its own, and a dimension no size if there is none.
        if value.is_array {
            return Ok(None);
        }
        if is_named {
            path.push(b'.');
        }
        Ok(Some(Frame {
            id: value.id,
            next: 0,
            base: at,
            path_len: path.len(),
        }))
    }
}
