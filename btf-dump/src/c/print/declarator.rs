//! Declarations of one name: the type they begin with, the links to it, and what these put around the name.

use btf_core::graph::MAX_DEPTH;
use btf_core::{Info, Kind, Result, StrOffset, Type, TypeId};

use super::super::identifier::put_identifier;
use super::super::names::write_local;
use super::super::number::{self, Spelling};
use super::super::text::put_type_tag;
use super::super::view::{array, enumeration, is_composite, is_enumeration, too_deep};
use super::super::walk::not_a_type;
use super::{Job, Link, Name, Printer};
use crate::put;

impl Printer<'_, '_> {
    /// Writes what a declaration begins with, and leaves the rest as jobs.
    pub(super) fn put_type(&mut self, id: TypeId, name: Name, indent: usize) -> Result<()> {
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

    pub(super) fn put_spelling(&mut self, spelling: Spelling) {
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

    pub(super) fn put_declarator(&mut self, first: usize, name: Name) -> Result<()> {
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
    pub(super) fn put_right(&mut self, first: usize, at: usize) {
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
    pub(super) fn put_params(&mut self, proto: TypeId, next: usize) -> Result<()> {
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
}
