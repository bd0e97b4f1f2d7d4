//! The tags of declarations, which stand beside the types and are led to by nothing.

use btf_core::{Result, StrOffset, Type, TypeId};

use super::view::View;

/// A tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    target: TypeId,
    component: i32,
    pub(crate) text: StrOffset,
    /// Whether the text is a list of attributes.
    pub(crate) is_attribute: bool,
}

/// The tags of all declarations, by what they are on, then by text.
#[derive(Debug, Default)]
pub(crate) struct Tags(Vec<Tag>);

impl Tags {
    /// All tags.
    ///
    /// # Errors
    /// Those of decoding a type.
    pub(crate) fn of_all(view: View<'_>) -> Result<Self> {
        let mut tags = Vec::new();
        for id in view.ids() {
            if let Type::DeclTag {
                name,
                target,
                component,
                is_attribute,
            } = view.ty(id)?
            {
                let tag = Tag {
                    target,
                    component,
                    text: name,
                    is_attribute,
                };
                tags.push((view.string(name)?, tag));
            }
        }
        tags.sort_by_key(|(text, tag)| (tag.target, tag.component, *text));
        Ok(Self(tags.into_iter().map(|(_, tag)| tag).collect()))
    }

    /// The tags of a type, or of its member with that index; -1 is the type itself.
    #[inline]
    pub(crate) fn of(&self, id: TypeId, component: i32) -> &[Tag] {
        if self.0.is_empty() {
            return &[];
        }
        self.find(id, component)
    }

    fn find(&self, id: TypeId, component: i32) -> &[Tag] {
        let key = (id, component);
        let start = self
            .0
            .partition_point(|tag| (tag.target, tag.component) < key);
        let rest = self.0.get(start..).unwrap_or_default();
        let count = rest.partition_point(|tag| (tag.target, tag.component) == key);
        rest.get(..count).unwrap_or_default()
    }
}
