//! A name for every declaration that no other one has.
//!
//! C has two name spaces at the top level: tags of structures, unions and enumerations, and everything else, here typedefs and
//! enumerators. In BTF a name may stand for several types; the first keeps it, and the others get `___2`, `___3`, …, which
//! libbpf's relocations ignore in structures. A number that would make up the name of something else is passed over.
//!
//! A forward declaration is of the first definition of its name and kind; without one it has a name of its own.

use std::collections::HashMap;

use btf_core::dedup::FastMap;
use btf_core::types::Enumeration;
use btf_core::wire::int;
use btf_core::{Result, StrOffset, Type, TypeId};

use super::identifier::{is_new_keyword, is_reserved, put_identifier};
use super::items::Items;
use super::space::{Name, Space, put_number};
use super::view::{View, enumeration, is_forward, tag_kind};
use super::walk::Needs;

/// The names of all declarations.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    view: View<'a>,
    /// The number behind the name of each type; 0 for none. It may have [`HAS_NUMBERED`] and [`HAS_DEFINITION`] besides.
    numbers: Vec<u32>,
    /// The same for enumerators, of which few have one.
    enumerators: HashMap<(TypeId, u32), u32>,
    /// The definition that a forward declaration, or an enumeration without values, stands for.
    definitions: FastMap<TypeId, TypeId>,
}

/// Set in the number of an enumeration some of whose values have numbers.
const HAS_NUMBERED: u32 = 1 << 31;

/// Set in the number of what stands for a definition.
const HAS_DEFINITION: u32 = 1 << 30;

/// A name that somebody else has already.
enum Homonym<'a> {
    Tag(TypeId, Name<'a>),
    Typedef(TypeId, Name<'a>),
    Enumerator(TypeId, u32, Name<'a>),
}

/// What is being named.
struct Namer<'a> {
    names: Names<'a>,
    tags: Space<'a>,
    others: Space<'a>,
    homonyms: Vec<Homonym<'a>>,
}

impl<'a> Names<'a> {
    /// Names all items in their order, those with ids below `first_later` before all others, so that their names do not
    /// depend on what is merged with them. `functions` keep their names, as these are what the linker knows.
    ///
    /// # Errors
    /// A name that does not exist.
    pub(crate) fn new(
        view: View<'a>,
        items: &Items,
        needs: &Needs<'_>,
        first_later: TypeId,
        functions: impl IntoIterator<Item = StrOffset>,
    ) -> Result<Self> {
        let mut namer = Namer {
            names: Self {
                view,
                numbers: view.table(0),
                enumerators: HashMap::new(),
                definitions: FastMap::default(),
            },
            tags: Space::with_capacity(view, items.order.len()),
            others: Space::with_capacity(view, items.names),
            homonyms: Vec::new(),
        };
        for name in functions {
            namer.others.claim(&Name::new(view, name)?);
        }
        for is_later in [false, true] {
            let now = |id: &&TypeId| (**id >= first_later) == is_later;
            for &id in items.order.iter().filter(now) {
                namer.name(id, needs)?;
            }
            namer.number();
            for &id in items.forwards.iter().filter(now) {
                namer.forward(id)?;
            }
        }
        Ok(namer.names)
    }

    /// Writes the name of a type that has one.
    ///
    /// # Errors
    /// A name that does not exist.
    pub(crate) fn write(&self, id: TypeId, out: &mut Vec<u8>) -> Result<()> {
        let node = self.view.node(id)?;
        put_identifier(out, self.view.tail(node.name)?);
        put_number(out, self.number_of(self.definition(id)));
        Ok(())
    }

    /// Writes the name of a value of an enumeration.
    ///
    /// # Errors
    /// A name that does not exist.
    pub(crate) fn write_enumerator(
        &self,
        id: TypeId,
        index: u32,
        name: StrOffset,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        put_identifier(out, self.view.tail(name)?);
        if self.raw_number(id) & HAS_NUMBERED != 0
            && let Some(&number) = self.enumerators.get(&(id, index))
        {
            put_number(out, number);
        }
        Ok(())
    }

    /// The definition that a forward declaration stands for; other types stand for themselves.
    #[inline]
    pub(crate) fn definition(&self, id: TypeId) -> TypeId {
        if self.raw_number(id) & HAS_DEFINITION == 0 {
            return id;
        }
        self.definitions.get(&id).copied().unwrap_or(id)
    }

    #[inline]
    fn raw_number(&self, id: TypeId) -> u32 {
        self.numbers.get(id.0 as usize).copied().unwrap_or(0)
    }

    #[inline]
    fn number_of(&self, id: TypeId) -> u32 {
        self.raw_number(id) & !(HAS_NUMBERED | HAS_DEFINITION)
    }

    /// Whether `id` is the typedef or enumeration that makes up for a keyword that C has since C23.
    pub(crate) fn defines_new_keyword(&self, id: TypeId) -> Result<bool> {
        let ty = self.view.ty(id)?;
        if let Type::Typedef { name, .. } = ty {
            return Ok(self.number_of(id) == 0 && is_new_keyword(self.view.string(name)?));
        }
        let Some(enumeration) = enumeration(ty).filter(|enumeration| enumeration.name.0 == 0)
        else {
            return Ok(false);
        };
        let Some(first) = enumeration.enumerators().next() else {
            return Ok(false);
        };
        let is_numbered = self.enumerators.contains_key(&(id, 0));
        Ok(!is_numbered && is_new_keyword(self.view.string(first.name)?))
    }
}

/// Writes the name of a member or parameter, the string at the start of `tail`.
pub(crate) fn write_local(tail: &[u8], out: &mut Vec<u8>) {
    let before = out.len();
    put_identifier(out, tail);
    let name = out.get(before..).unwrap_or_default();
    if is_reserved(name) || is_new_keyword(name) {
        put_number(out, 2);
    }
}

impl<'a> Namer<'a> {
    fn set(&mut self, id: TypeId, number: u32) {
        if let Some(slot) = self.names.numbers.get_mut(id.0 as usize) {
            *slot |= number;
        }
    }

    /// Notes the definition that a forward declaration stands for.
    fn define(&mut self, forward: TypeId, definition: TypeId) {
        self.names.definitions.insert(forward, definition);
        self.set(forward, HAS_DEFINITION);
    }

    /// Takes the names of an item that are free, and remembers the others.
    fn name(&mut self, id: TypeId, needs: &Needs<'_>) -> Result<()> {
        let view = self.names.view;
        let ty = view.ty(id)?;
        if let Type::Typedef { name, target } = ty {
            let name = Name::new(view, name)?;
            let is_bool = &*name.text == b"bool" && is_bool(view, target)?;
            let is_allowed = is_bool || !is_new_keyword(&name.text);
            if !is_allowed || !self.others.claim(&name) {
                self.homonyms.push(Homonym::Typedef(id, name));
            }
            return Ok(());
        }
        if ty.name() != StrOffset::EMPTY && !is_forward(ty) {
            self.tag(id, ty, needs)?;
        }
        match enumeration(ty) {
            Some(enumeration) => self.enumerators(id, &enumeration, !needs.is_inline(id)),
            None => Ok(()),
        }
    }

    /// Takes the tag of a definition, or that of a forward declaration which waits for one. An enumeration without values does
    /// not, where it was needed complete: then a definition was made up.
    fn tag(&mut self, id: TypeId, ty: Type<'a>, needs: &Needs<'_>) -> Result<()> {
        let view = self.names.view;
        let name = Name::new(view, ty.name())?;
        let (is_free, first) = self.tags.claim_tag(&name, tag_kind(ty));
        if let Some(first) = first {
            match *first {
                Some(forward) if is_forward(view.ty(forward)?) && !needs.is_complete(forward) => {
                    *first = Some(id);
                    self.define(forward, id);
                    let number = self.names.number_of(forward);
                    self.set(id, number);
                    return Ok(());
                }
                Some(_) => {}
                None => *first = Some(id),
            }
        }
        if !is_free {
            self.homonyms.push(Homonym::Tag(id, name));
        }
        Ok(())
    }

    /// Takes the names of values. Only an item may hold values that are keywords, and only those.
    fn enumerators(
        &mut self,
        id: TypeId,
        enumeration: &Enumeration<'a>,
        is_item: bool,
    ) -> Result<()> {
        let view = self.names.view;
        let mut are_keywords = is_item && enumeration.name.0 == 0;
        for enumerator in enumeration.enumerators().take(3) {
            are_keywords &= is_new_keyword(view.string(enumerator.name)?);
        }
        for (enumerator, index) in enumeration.enumerators().zip(0..) {
            let name = Name::new(view, enumerator.name)?;
            let is_allowed = !is_new_keyword(&name.text) || are_keywords && enumeration.len() <= 2;
            if !is_allowed || !self.others.claim(&name) {
                self.homonyms.push(Homonym::Enumerator(id, index, name));
            }
        }
        Ok(())
    }

    /// Gives numbers to those whose names were taken.
    fn number(&mut self) {
        for homonym in std::mem::take(&mut self.homonyms) {
            match homonym {
                Homonym::Tag(id, name) => {
                    let number = self.tags.number(&name);
                    self.set(id, number);
                }
                Homonym::Typedef(id, name) => {
                    let number = self.others.number(&name);
                    self.set(id, number);
                }
                Homonym::Enumerator(id, index, name) => {
                    let number = self.others.number(&name);
                    self.names.enumerators.insert((id, index), number);
                    self.set(id, HAS_NUMBERED);
                }
            }
        }
    }

    /// Finds what a forward declaration stands for, or names it.
    fn forward(&mut self, id: TypeId) -> Result<()> {
        let view = self.names.view;
        let ty = view.ty(id)?;
        let name = Name::new(view, ty.name())?;
        let (is_free, first) = self.tags.claim_tag(&name, tag_kind(ty));
        if let Some(first) = first {
            if let Some(definition) = *first {
                self.define(id, definition);
                return Ok(());
            }
            *first = Some(id);
        }
        if !is_free {
            let number = self.tags.number(&name);
            self.set(id, number);
        }
        Ok(())
    }
}

/// Whether a type is the compiler's own boolean.
fn is_bool(view: View<'_>, id: TypeId) -> Result<bool> {
    let value = view.value(id)?;
    let ty = view.ty(value.id)?;
    let is_bool = matches!(ty, Type::Int(int) if int.encoding & int::BOOL != 0);
    Ok(is_bool && !value.is_array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_are_or_become_keywords_get_a_number() {
        for (name, expect) in [
            (&b"next\0"[..], &b"next"[..]),
            (b"while\0", b"while___2"),
            (b"bool\0", b"bool___2"),
            (b"static-assert\0", b"static_assert___2"),
            (b"", b"_"),
        ] {
            let mut out = Vec::new();
            write_local(name, &mut out);
            assert_eq!(out, expect);
        }
    }
}
