//! Writes declarations.
//!
//! A declaration of C is written from the inside out: what stands left of the name is the type's chain of pointers in
//! reverse, what stands right of it are arrays and parameters. Parameters and members hold declarations again, so the work
//! that is left lies on a stack of [`Job`]s, and no nesting in the input nests calls.
//!
//! A type without a name is written out wherever it is used, which makes it easy for a small file to ask for a text that
//! doubles with every level. [`limit`] ends that.

use std::sync::atomic::{AtomicUsize, Ordering};

use btf_core::dedup::FastMap;
use btf_core::graph::MAX_DEPTH;
use btf_core::types::{Enumeration, Member};
use btf_core::{Error, ErrorKind, Info, Kind, Result, StrOffset, Type, TypeId};

use super::enumeration::Width;
use super::identifier::put_identifier;
use super::names::{Names, write_local};
use super::number::{self, Spelling};
use super::order::Step;
use super::shape::{Piece, Shapes, WIDEST};
use super::tags::Tags;
use super::text::{put_decl_tag, put_indent, put_type_tag};
use super::texts::Texts;
use super::view::{
    View, array, composite, enumeration, is_composite, is_enumeration, tag_kind, too_deep,
};
use super::walk::not_a_type;
use crate::put;

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
    /// An id or name that does not exist, a chain of more than [`MAX_DEPTH`] types, a reference to what is no type in C, a
    /// text that is too long.
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

    /// Writes what a declaration begins with, and leaves the rest as jobs.
    fn put_type(&mut self, id: TypeId, name: Name, indent: usize) -> Result<()> {
        if self.texts.put(id, &mut self.out) {
            return self.put_name(name);
        }
        let start = self.out.len();
        let first = self.links.len();
        let base = self.follow(id)?;
        while let Some(&Link::Qualifier(qualifier)) = self.links.get(first..).and_then(<[_]>::last)
        {
            self.put(qualifier);
            self.out.push(b' ');
            self.links.pop();
        }
        let before = self.jobs.len();
        self.put_base(base, indent)?;
        if self.jobs.len() > before {
            // The type has a body, which comes before the name.
            self.jobs.insert(before, Job::Declarator { first, name });
            return Ok(());
        }
        self.put_left(first)?;
        if self.is_left_only(base, first)? {
            let text = self.out.get(start..).unwrap_or_default();
            self.texts.keep(id, text);
        }
        self.put_name(name)?;
        self.put_right(first, first);
        Ok(())
    }

    /// Whether a type has nothing right of the name, and the same text everywhere, as what has no name has not.
    fn is_left_only(&self, base: TypeId, first: usize) -> Result<bool> {
        let node = self.view.node(base)?;
        let is_named = node.name != StrOffset::EMPTY;
        let has_body = is_composite(node.kind) || is_enumeration(node.kind);
        let mut links = self.links.iter().skip(first);
        let is_left = |link: &Link| !matches!(link, Link::Array(_) | Link::Prototype(_));
        Ok((is_named || !has_body) && links.all(is_left))
    }

    /// Puts the links of a type on the stack, and returns what is at their end.
    fn follow(&mut self, id: TypeId) -> Result<TypeId> {
        let first = self.links.len();
        let mut current = id;
        for _ in 0..=MAX_DEPTH {
            let node = self.view.node(current)?;
            let target = TypeId(node.third);
            let link = match node.kind {
                Some(Kind::Ptr) => Link::Pointer,
                Some(Kind::Const) => Link::Qualifier("const"),
                Some(Kind::Volatile) => Link::Qualifier("volatile"),
                Some(Kind::Restrict) => Link::Qualifier("restrict"),
                Some(Kind::TypeTag) => {
                    let is_attribute = self.view.btf.info(current).is_some_and(Info::kind_flag);
                    Link::Tag(node.name, is_attribute)
                }
                Some(Kind::Typedef) if node.is_builtin => {
                    current = target;
                    continue;
                }
                Some(Kind::Array) => {
                    let (element, count) = array(self.view.btf, current)?.unwrap_or_default();
                    // A qualified array is an array of qualified elements.
                    let at = self.links.len() - self.last_qualifiers(first).count();
                    self.links.insert(at, Link::Array(count));
                    current = element;
                    continue;
                }
                Some(Kind::FuncProto) => {
                    // C has no qualified functions.
                    let qualifiers = self.last_qualifiers(first).count();
                    self.links.truncate(self.links.len() - qualifiers);
                    Link::Prototype(current)
                }
                _ => return Ok(current),
            };
            if !self.has_qualifier(first, link) {
                self.links.push(link);
            }
            current = target;
        }
        Err(too_deep(id))
    }

    /// The qualifiers at the end of the links from `first` on.
    fn last_qualifiers(&self, first: usize) -> impl Iterator<Item = Link> {
        let own = self.links.get(first..).unwrap_or_default();
        let links = own.iter().rev().copied();
        links.take_while(|link| matches!(link, Link::Qualifier(_)))
    }

    /// Whether `link` is a qualifier that is there already: compilers describe an array of constants as a constant array of
    /// constants.
    fn has_qualifier(&self, first: usize, link: Link) -> bool {
        matches!(link, Link::Qualifier(_)) && self.last_qualifiers(first).any(|other| other == link)
    }

    /// Writes a type that has no links, with its body if it has no name.
    fn put_base(&mut self, id: TypeId, indent: usize) -> Result<()> {
        let node = self.view.node(id)?;
        let is_named = node.name != StrOffset::EMPTY;
        match node.kind {
            None => self.put("void"),
            Some(Kind::Int | Kind::Float) => self.put_number(id)?,
            Some(Kind::Typedef) => self.names.write(id, &mut self.out)?,
            Some(Kind::Fwd) => self.put_tag(id)?,
            Some(Kind::Struct | Kind::Union | Kind::Enum | Kind::Enum64) if is_named => {
                self.put_tag(id)?;
            }
            Some(kind @ (Kind::Struct | Kind::Union)) => {
                self.put_keyword(kind);
                self.open_body(id, indent)?;
            }
            Some(Kind::Enum | Kind::Enum64) => {
                if let Some(enumeration) = enumeration(self.view.ty(id)?) {
                    self.put_enumeration(id, &enumeration, indent)?;
                }
            }
            _ => return Err(not_a_type(id)),
        }
        Ok(())
    }

    fn put_number(&mut self, id: TypeId) -> Result<()> {
        let spelling = if let Some(&spelling) = self.spellings.get(&id) {
            spelling
        } else {
            let spelling = number::spelling(&self.view, self.view.ty(id)?)?;
            self.spellings.insert(id, spelling);
            spelling
        };
        self.put_spelling(spelling);
        Ok(())
    }

    fn put_spelling(&mut self, spelling: Spelling) {
        match spelling {
            Spelling::Words(words) => words.put(&mut self.out),
            Spelling::Bytes(size) => {
                self.put("struct { unsigned char bytes[");
                put::number(&mut self.out, size.into());
                self.put("]; }");
            }
        }
    }

    /// The link behind `at` that is no tag.
    fn next_link(&self, at: usize) -> Option<Link> {
        let mut rest = self.links.get(at + 1..).unwrap_or_default().iter().copied();
        rest.find(|link| !matches!(link, Link::Tag(..)))
    }

    /// Whether the pointer at `at` needs parentheses, as what it points to stands right of it.
    fn is_enclosed(&self, at: usize) -> bool {
        let next = self.next_link(at);
        matches!(next, Some(Link::Array(_) | Link::Prototype(_)))
    }

    /// Writes a space, unless what comes next belongs to a `*` or parenthesis.
    fn put_space(&mut self) {
        if !matches!(self.out.last(), Some(b'*' | b'(')) {
            self.out.push(b' ');
        }
    }

    fn put_declarator(&mut self, first: usize, name: Name) -> Result<()> {
        self.put_left(first)?;
        self.put_name(name)?;
        self.put_right(first, first);
        Ok(())
    }

    /// Writes what stands left of the name, behind the type that the links lead to.
    fn put_left(&mut self, first: usize) -> Result<()> {
        for at in (first..self.links.len()).rev() {
            match self.links.get(at) {
                Some(Link::Pointer) => {
                    let is_enclosed = self.is_enclosed(at);
                    self.put_space();
                    self.put(if is_enclosed { "(*" } else { "*" });
                }
                Some(&Link::Qualifier(qualifier)) => {
                    self.out.push(b' ');
                    self.put(qualifier);
                }
                Some(&Link::Tag(text, is_attribute)) => {
                    put_type_tag(&mut self.out, self.view.string(text)?, is_attribute);
                }
                Some(Link::Array(_) | Link::Prototype(_)) | None => {}
            }
        }
        Ok(())
    }

    fn put_name(&mut self, name: Name) -> Result<()> {
        match name {
            Name::Local(StrOffset::EMPTY) => {}
            Name::Local(name) => {
                self.put_space();
                write_local(self.view.tail(name)?, &mut self.out);
            }
            Name::Typedef(id) => {
                self.put_space();
                self.names.write(id, &mut self.out)?;
            }
            Name::Function(name) => {
                self.put_space();
                put_identifier(&mut self.out, self.view.tail(name)?);
            }
        }
        Ok(())
    }

    /// Writes what stands right of the name, up to the next parameters.
    fn put_right(&mut self, first: usize, at: usize) {
        for at in at..self.links.len() {
            match self.links.get(at) {
                Some(Link::Pointer) if self.is_enclosed(at) => self.out.push(b')'),
                Some(&Link::Array(count)) => {
                    self.out.push(b'[');
                    put::number(&mut self.out, count.into());
                    self.out.push(b']');
                }
                Some(&Link::Prototype(proto)) => {
                    self.out.push(b'(');
                    self.jobs.push(Job::Right { first, at: at + 1 });
                    self.jobs.push(Job::Params { proto, next: 0 });
                    return;
                }
                _ => {}
            }
        }
        self.links.truncate(first);
    }

    /// Writes the parameters of a prototype from the `next` one on and the parenthesis behind them, or leaves that as a job behind a
    /// parameter that is not done.
    fn put_params(&mut self, proto: TypeId, next: usize) -> Result<()> {
        let Type::FuncProto(prototype) = self.view.ty(proto)? else {
            return Ok(());
        };
        if prototype.is_empty() {
            self.put("void");
        }
        for (index, param) in prototype.params().enumerate().skip(next) {
            self.check_limit()?;
            if index > 0 {
                self.put(", ");
            }
            let is_last = index + 1 == prototype.len();
            if is_last && index == 0 && param.ty.is_void() {
                // A function of C89 has no parameter but `...`, for which there is no other spelling than none.
                self.put("void");
                break;
            }
            if is_last && param.is_variadic() {
                self.put("...");
                break;
            }
            let before = self.jobs.len();
            self.put_type(param.ty, Name::Local(param.name), 0)?;
            if self.jobs.len() > before {
                let next = index + 1;
                self.jobs.insert(before, Job::Params { proto, next });
                return Ok(());
            }
        }
        self.put(")");
        Ok(())
    }

    /// Writes the opening brace of a structure or union and leaves the rest as a job.
    fn open_body(&mut self, id: TypeId, indent: usize) -> Result<()> {
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
    fn put_pieces(&mut self, id: TypeId, first: usize, at: usize, indent: usize) -> Result<()> {
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

    fn end_member(&mut self, id: TypeId, index: u32, bits: u32, is_aligned: bool) -> Result<()> {
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
    fn put_enumeration(
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
