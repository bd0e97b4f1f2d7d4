//! The texts of types that were written lately.
//!
//! Members and parameters are of few types: of `int`, of pointers to the structures of their subsystem. What stands left of the
//! name is mostly all that such a type is, and the same wherever it is written.

use btf_core::TypeId;

use crate::put::Word;

/// How many types have a place, those whose ids end alike the same one: enough for most to be met again, and few enough for
/// the processor's cache.
const PLACES: usize = 1 << 10;

/// For some types, all that their declarations have left of the name, where there is nothing right of it.
#[derive(Debug)]
pub(crate) struct Texts(Vec<(Option<TypeId>, Word)>);

impl Texts {
    /// No texts. What they take is there from the first one on.
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends the text of a type, if it is known.
    #[inline]
    pub(crate) fn put(&self, id: TypeId, out: &mut Vec<u8>) -> bool {
        match self.0.get(id.0 as usize % PLACES) {
            Some((of, text)) if *of == Some(id) => {
                text.put(out);
                true
            }
            _ => false,
        }
    }

    /// Keeps the text of a type, unless it is too long.
    pub(crate) fn keep(&mut self, id: TypeId, text: &[u8]) {
        if self.0.is_empty() {
            self.0.resize(PLACES, (None, Word::new("")));
        }
        if let Some(text) = Word::of(text)
            && let Some(place) = self.0.get_mut(id.0 as usize % PLACES)
        {
            *place = (Some(id), text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_that_of_the_type_that_came_last() {
        let mut texts = Texts::new();
        let text = |texts: &Texts, id| {
            let mut out = Vec::new();
            texts.put(TypeId(id), &mut out).then_some(out)
        };
        let beside = 7 + u32::try_from(PLACES).unwrap();
        assert_eq!(text(&texts, 0), None);
        texts.keep(TypeId(7), b"struct list_head *");
        assert_eq!(text(&texts, 7).unwrap(), b"struct list_head *");
        assert_eq!(text(&texts, beside), None);
        texts.keep(TypeId(beside), &[b'x'; 33]);
        assert_eq!(text(&texts, 7).unwrap(), b"struct list_head *");
        texts.keep(TypeId(beside), &[b'x'; 32]);
        assert_eq!(text(&texts, beside).unwrap(), [b'x'; 32]);
        assert_eq!(text(&texts, 7), None);
    }
}
