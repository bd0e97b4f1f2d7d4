//! Writes declarations.
//!
//! A declaration of C is written from the inside out: what stands left of the name is the type's chain of pointers in
//! reverse, what stands right of it are arrays and parameters. Parameters and members hold declarations again, so the work
//! that is left lies on a stack of [`Job`]s, and no nesting in the input nests calls.
//!
//! A type without a name is written out wherever it is used, which makes it easy for a small file to ask for a text that
//! doubles with every level. [`limit`] ends that.

mod body;
mod declarator;

use std::sync::atomic::{AtomicUsize, Ordering};

use btf_core::dedup::FastMap;
use btf_core::{Error, ErrorKind, Kind, Result, StrOffset, Type, TypeId};

use super::names::Names;
use super::number::Spelling;
use super::order::Step;
use super::shape::{Piece, Shapes};
use super::tags::Tags;
use super::text::put_decl_tag;
use super::view::{View, composite, enumeration, is_enumeration, tag_kind};
use crate::texts::Texts;

/// The longest header in bytes that BTF of so many bytes may give. Those of kernels are shorter than their BTF, or, with
/// assertions, some three times as long.
pub(crate) fn limit(btf_bytes: u64) -> usize {
    const SMALL: u64 = 1 << 20;
    const FACTOR: u64 = 64;
    usize::try_from(btf_bytes.saturating_mul(FACTOR).saturating_add(SMALL)).unwrap_or(usize::MAX)
}

/// The error for a header that is longer. How much longer is not known, as nobody writes it.
pub(crate) fn too_long(limit: usize) -> Error {
    let what = "header in bytes, in which types without names are written out,";
    let (value, limit) = (limit as u64 + 1, limit as u64);
    ErrorKind::TooLarge { what, value, limit }.into()
}

/// The name that is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// That of a member or parameter, which may be empty.
    Local(StrOffset),
    /// That of a typedef.
    Typedef(TypeId),
    /// That of a function.
    Function(StrOffset),
}

/// A link between the type of a declaration and what it is made of, from the name outwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Pointer,
    Array(u32),
    Prototype(TypeId),
    Qualifier(&'static str),
    Tag(StrOffset, bool),
}

/// What is left to write. Indices are those of the first link or piece of a declaration, all of which lie on stacks, too.
#[derive(Clone, Copy, Debug)]
enum Job {
    /// A type and the name that it is given.
    Declare {
        id: TypeId,
        name: Name,
        indent: usize,
    },
    /// What follows the type: pointers, the name, and then as `Right`.
    Declarator { first: usize, name: Name },
    /// Arrays and parameters from link `at` on.
    Right { first: usize, at: usize },
    /// The parameters of a prototype from the `next` one on.
    Params { proto: TypeId, next: usize },
    /// The pieces of a structure or union from `at` on.
    Body {
        id: TypeId,
        first: usize,
        at: usize,
        indent: usize,
    },
    /// The end of a member, as [`Piece::Member`] has it.
    EndMember {
        id: TypeId,
        index: u32,
        bits: u32,
        is_aligned: bool,
    },
}

/// What all printers of a header share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared<'p, 'a> {
    pub(crate) names: &'p Names<'a>,
    pub(crate) shapes: &'p Shapes<'a>,
    pub(crate) tags: &'p Tags,
    /// See [`super::order::Schedule`].
    pub(crate) writers: &'p FastMap<TypeId, TypeId>,
    /// How many bytes all of them have written.
    pub(crate) written: &'p AtomicUsize,
}

/// Writes declarations into a buffer.
#[derive(Debug)]
pub(crate) struct Printer<'p, 'a> {
    view: View<'a>,
    names: &'p Names<'a>,
    shapes: &'p Shapes<'a>,
    tags: &'p Tags,
    writers: &'p FastMap<TypeId, TypeId>,
    pub(crate) out: Vec<u8>,
    limit: usize,
    /// How many bytes this printer and those beside it have written.
    written_by_all: &'p AtomicUsize,
    jobs: Vec<Job>,
    links: Vec<Link>,
    pieces: Vec<Piece>,
    /// How the numbers that were met are spelled.
    spellings: FastMap<TypeId, Spelling>,
    texts: Texts,
    /// The item that is being written, and the enumerations without a name that it has written out.
    item: TypeId,
    written: Vec<TypeId>,
    /// How many arrays of bytes the current declaration has.
    paddings: u64,
}

impl<'p, 'a> Printer<'p, 'a> {
    pub(crate) fn new(view: View<'a>, shared: &Shared<'p, 'a>, limit: usize) -> Self {
        Self {
            view,
            names: shared.names,
            shapes: shared.shapes,
            tags: shared.tags,
            writers: shared.writers,
            out: Vec::new(),
            limit,
            written_by_all: shared.written,
            jobs: Vec::new(),
            links: Vec::new(),
            pieces: Vec::new(),
            spellings: FastMap::default(),
            texts: Texts::new(),
            item: TypeId::VOID,
            written: Vec::new(),
            paddings: 0,
        }
    }

    pub(crate) fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Writes `struct x`, or what else the tag is of.
    fn put_tag(&mut self, id: TypeId) -> Result<()> {
        let kind = match self.view.node(id)?.kind {
            Some(Kind::Fwd) => tag_kind(self.view.ty(id)?),
            kind => kind.unwrap_or(Kind::Struct),
        };
        self.put_keyword(kind);
        self.names.write(id, &mut self.out)
    }

    /// Writes [`keyword`](super::view::keyword) and a space; each copy has a length of its own, which the compiler knows.
    fn put_keyword(&mut self, kind: Kind) {
        if kind == Kind::Union {
            self.put("union ");
        } else if is_enumeration(Some(kind)) {
            self.put("enum ");
        } else {
            self.put("struct ");
        }
    }

    /// Writes `struct x;`.
    ///
    /// # Errors
    /// As [`Printer::define`].
    fn declare(&mut self, id: TypeId) -> Result<()> {
        self.put_tag(id)?;
        self.put(";\n\n");
        self.check_limit()
    }

    /// Writes the definition of an item.
    ///
    /// # Errors
    /// An id or name that does not exist, a chain of more than [`MAX_DEPTH`](btf_core::graph::MAX_DEPTH) types, a reference to
    /// what is no type in C, a text that is too long.
    fn define(&mut self, id: TypeId) -> Result<()> {
        self.paddings = 0;
        self.item = id;
        self.written.clear();
        let is_new_keyword = self.names.defines_new_keyword(id)?;
        if is_new_keyword {
            self.put("#if !defined(__cplusplus) && (!defined(__STDC_VERSION__) || __STDC_VERSION__ < 202311L)\n");
        }
        let ty = self.view.ty(id)?;
        if let Type::Typedef { name, target } = ty {
            self.put("typedef ");
            if target.is_void() && self.view.string(name)? == b"__gnuc_va_list" {
                // What the compiler's own type is made of cannot be told without it.
                self.put("__builtin_va_list __gnuc_va_list");
            } else {
                self.jobs.push(Job::Declare {
                    id: target,
                    name: Name::Typedef(id),
                    indent: 0,
                });
            }
        } else if let Some(enumeration) = enumeration(ty) {
            self.put_enumeration(id, &enumeration, 0)?;
        } else if composite(ty).is_some() {
            self.put_tag(id)?;
            self.out.push(b' ');
            self.open_body(id, 0)?;
        }
        self.work()?;
        for tag in self.tags.of(id, -1) {
            put_decl_tag(&mut self.out, self.view.string(tag.text)?, tag.is_attribute);
        }
        self.put(";\n");
        if is_new_keyword {
            self.put("#endif\n");
        }
        self.put("\n");
        self.check_limit()
    }

    /// Writes steps.
    ///
    /// # Errors
    /// As [`Printer::define`].
    pub(crate) fn steps(&mut self, steps: &[Step]) -> Result<()> {
        for &step in steps {
            let before = self.out.len();
            match step {
                Step::Declare(id) => self.declare(id)?,
                Step::Define(id) => self.define(id)?,
            }
            let length = self.out.len() - before;
            if self.written_by_all.fetch_add(length, Ordering::Relaxed) + length > self.limit {
                return Err(too_long(self.limit));
            }
        }
        Ok(())
    }

    /// Writes the declaration of a function with this `FUNC_PROTO`, without what ends it.
    ///
    /// # Errors
    /// As [`Printer::define`].
    pub(crate) fn function(&mut self, name: StrOffset, proto: TypeId) -> Result<()> {
        let name = Name::Function(name);
        let (id, indent) = (proto, 0);
        self.jobs.push(Job::Declare { id, name, indent });
        self.work()
    }

    fn check_limit(&self) -> Result<()> {
        if self.out.len() <= self.limit {
            return Ok(());
        }
        Err(too_long(self.limit))
    }

    /// Does all that is left.
    fn work(&mut self) -> Result<()> {
        while let Some(job) = self.jobs.pop() {
            self.check_limit()?;
            match job {
                Job::Declare { id, name, indent } => self.put_type(id, name, indent)?,
                Job::Declarator { first, name } => self.put_declarator(first, name)?,
                Job::Right { first, at } => self.put_right(first, at),
                Job::Params { proto, next } => self.put_params(proto, next)?,
                Job::Body {
                    id,
                    first,
                    at,
                    indent,
                } => self.put_pieces(id, first, at, indent)?,
                Job::EndMember {
                    id,
                    index,
                    bits,
                    is_aligned,
                } => self.end_member(id, index, bits, is_aligned)?,
            }
        }
        Ok(())
    }
}
