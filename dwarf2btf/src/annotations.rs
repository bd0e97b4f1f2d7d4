//! Annotations: `btf_type_tag` and `btf_decl_tag` of the source, as clang and gcc write them.
//!
//! clang makes an annotation a child of what it is on; gcc 16 lets a declaration or type refer to its first annotation, and
//! that to the next, so those are put in their places when the unit has been read.

use btf_core::dedup::Name;
use btf_core::{Info, Kind};
use gimli::constants as dw;

use crate::abbrev::{DW_TAG_LLVM_ANNOTATION, Slot};
use crate::die::{Attributes, Malformed};
use crate::finding::FindingKind;
use crate::references::{Link, TargetSlot};
use crate::unit::{DeclTag, Scope, ScopeKind, TagOwner, UnitReader, UnitState};

/// The most annotations on one declaration or type; more are a cycle or an attack.
const MAX_ANNOTATIONS: usize = 16;

impl<'c> UnitReader<'c, '_> {
    /// A clang annotation of the open DIE, or a GNU annotation that others refer to.
    pub(crate) fn add_annotation(
        &mut self,
        state: &mut UnitState<'c>,
        tag: dw::DwTag,
        die: u32,
        attributes: &Attributes,
    ) -> Result<(), Malformed> {
        let name = self.name(state, attributes, Slot::Name)?;
        let is_type_tag = self.context.names.with(name, |name| match name {
            b"btf_type_tag" => Some(true),
            b"btf_decl_tag" => Some(false),
            _ => None,
        });
        let text = self.name(state, attributes, Slot::ConstValue)?;
        if tag != DW_TAG_LLVM_ANNOTATION {
            let next = self.link(state, attributes, Slot::GnuAnnotation)?;
            let own = self.own_link(state, die);
            self.gnu_annotations
                .push((own.0, text, is_type_tag, next.0));
            return Ok(());
        }
        let Some(&scope) = self.scopes.last() else {
            return Ok(());
        };
        if text.0 == 0 {
            return Ok(());
        }
        match (is_type_tag, scope.kind) {
            (Some(true), ScopeKind::Pointer(id)) => self.add_type_tag(id, text),
            // What a fetched type's declaration tags say, its own unit says.
            (Some(false), _) if !self.fetching => {
                // clang has no other order than that of the source.
                if let Some(owner) = self.tag_owner(scope) {
                    self.decl_tags.push(DeclTag { owner, text });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What a declaration tag below `scope` is on.
    pub(crate) fn tag_owner(&self, scope: Scope) -> Option<TagOwner> {
        Some(match scope.kind {
            ScopeKind::Struct | ScopeKind::Union | ScopeKind::Typedef(_) => {
                TagOwner::Type(Link::die(scope.die).0, -1)
            }
            ScopeKind::Member => {
                let parent = self
                    .scopes
                    .iter()
                    .rev()
                    .find(|s| matches!(s.kind, ScopeKind::Struct | ScopeKind::Union))?;
                let index = self.pending.len() - parent.pending;
                TagOwner::Type(Link::die(parent.die).0, i32::try_from(index).ok()? - 1)
            }
            ScopeKind::Subprogram(index) => TagOwner::Subprogram(index),
            ScopeKind::Parameter(index) => TagOwner::Parameter(index),
            ScopeKind::Variable(index) => TagOwner::Variable(index),
            ScopeKind::Other
            | ScopeKind::Enum
            | ScopeKind::Array
            | ScopeKind::Proto
            | ScopeKind::Pointer(_) => return None,
        })
    }

    /// Puts a type tag between a pointer and what it points to now, so that the tag added last is the pointer's neighbour.
    pub(crate) fn add_type_tag(&mut self, pointer: u32, text: Name) {
        if !self.context.lowering.type_tag {
            return;
        }
        let Some(&start) = self.fragment.starts.get(pointer as usize - 1) else {
            return;
        };
        let target = self.fragment.words[start as usize + 2];
        let tag = self.push(
            TargetSlot::None,
            &[text.0, Info::new(Kind::TypeTag, 0, false).0, target],
        );
        self.fragment.words[start as usize + 2] = Link::id(tag).0;
    }

    /// Notes that a DIE leads to gcc's annotations, which are looked at when the unit has been read.
    #[inline]
    pub(crate) fn note_gnu_annotation(
        &mut self,
        state: &mut UnitState<'c>,
        kind: ScopeKind,
        own: Link,
        attributes: &Attributes,
    ) -> Result<(), Malformed> {
        let is_wanted =
            !self.fetching || matches!(kind, ScopeKind::Pointer(_) | ScopeKind::Variable(_));
        if !attributes.has(Slot::GnuAnnotation) || !is_wanted {
            return Ok(());
        }
        let first = self.link(state, attributes, Slot::GnuAnnotation)?;
        let scope = Scope {
            kind,
            ..Scope::new(kind, own.0)
        };
        let owner = match kind {
            ScopeKind::Pointer(_) => None,
            ScopeKind::Other
            | ScopeKind::Struct
            | ScopeKind::Union
            | ScopeKind::Enum
            | ScopeKind::Array
            | ScopeKind::Proto
            | ScopeKind::Subprogram(_)
            | ScopeKind::Parameter(_)
            | ScopeKind::Variable(_)
            | ScopeKind::Member
            | ScopeKind::Typedef(_) => self.tag_owner(scope),
        };
        self.gnu_annotated.push((kind, owner, first.0));
        Ok(())
    }

    /// Puts gcc's annotations on pointers and declarations. A chain of them already is in BTF's order.
    pub(crate) fn add_gnu_annotations(&mut self, state: &UnitState<'c>) {
        self.gnu_annotations.sort_by_key(|annotation| annotation.0);
        let (now, later) = std::mem::take(&mut self.gnu_annotated)
            .into_iter()
            .partition(|&(_, _, first)| self.annotation(first).is_some());
        // Those of other units are not there yet.
        self.gnu_annotated = later;
        for (kind, owner, first) in now {
            let mut texts = Vec::new();
            let mut next = first;
            let mut steps = 0;
            while let Some(index) = self.annotation(next)
                && steps < MAX_ANNOTATIONS
            {
                steps += 1;
                let (_, text, is_type_tag, following) = self.gnu_annotations[index];
                if let (Some(is_type_tag), true) = (is_type_tag, text.0 != 0) {
                    texts.push((text, is_type_tag));
                }
                next = following;
            }
            if steps == MAX_ANNOTATIONS {
                let die = Link(first).die_offset().unwrap_or(0);
                self.note_finding(state, die, FindingKind::TooManyAnnotations);
                continue;
            }
            match (kind, owner) {
                (ScopeKind::Pointer(id), _) => {
                    for &(text, _) in texts.iter().rev().filter(|(_, is_type_tag)| *is_type_tag) {
                        self.add_type_tag(id, text);
                    }
                }
                (_, Some(owner)) => {
                    let tags = texts.iter().filter(|(_, is_type_tag)| !is_type_tag);
                    self.decl_tags
                        .extend(tags.map(|&(text, _)| DeclTag { owner, text }));
                }
                _ => {}
            }
        }
    }

    /// The index of gcc's annotation that a link leads to.
    fn annotation(&self, link: u32) -> Option<usize> {
        let annotations = &self.gnu_annotations;
        annotations
            .binary_search_by_key(&link, |annotation| annotation.0)
            .ok()
    }

    /// Writes the declaration tags of types; those of functions and variables wait for what becomes of these.
    pub(crate) fn add_decl_tags(&mut self) {
        if !self.context.lowering.decl_tag {
            self.decl_tags.clear();
        }
        for index in 0..self.decl_tags.len() {
            let DeclTag {
                owner: TagOwner::Type(link, component),
                text,
            } = self.decl_tags[index]
            else {
                continue;
            };
            let Some(component) = self
                .moved_members
                .get(&(link, component))
                .map_or(Some(component), |moved| *moved)
            else {
                continue;
            };
            let info = Info::new(Kind::DeclTag, 0, false).0;
            self.fragment
                .push(&[text.0, info, link, component.cast_unsigned()]);
        }
    }
}
