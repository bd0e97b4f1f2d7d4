//! The names and type ids in a record, by [`crate::kind::TABLE`], to look at or to replace.

use crate::ids::{StrOffset, TypeId};
use crate::kind::{Kind, Third, Word};
use crate::wire::Info;

/// What word `index` of a record holds.
pub(crate) fn role_at(kind: Kind, index: usize) -> Word {
    let info = kind.info();
    match index.checked_sub(3) {
        None if index == 0 => Word::Name,
        None if index == 2 && !matches!(info.third, Third::Unused | Third::Size) => Word::Type,
        None => Word::Value,
        Some(index) => match index.checked_sub(info.trailer.len()) {
            None => info.trailer.get(index).copied().unwrap_or(Word::Value),
            Some(index) => index
                .checked_rem(info.element.len())
                .and_then(|index| info.element.get(index).copied())
                .unwrap_or(Word::Value),
        },
    }
}

/// What each word of a record holds, the header's included, by [`crate::kind::TABLE`].
///
/// Yields one item per word, so that zipping it with the record gives names and ids in their order. `info` itself is
/// a [`Word::Value`]. An unknown kind gives nothing, as nobody knows what its words mean.
pub fn word_roles(info: Info) -> impl Iterator<Item = Word> + Clone {
    info.kind().into_iter().flat_map(move |kind| {
        let table = kind.info();
        let third = match table.third {
            Third::Unused | Third::Size => Word::Value,
            Third::Type | Third::Proto => Word::Type,
        };
        let elements = table.element.iter().copied().cycle();
        let vlen = if table.element.is_empty() {
            0
        } else {
            info.vlen() as usize
        };
        [Word::Name, Word::Value, third]
            .into_iter()
            .chain(table.trailer.iter().copied())
            .chain(elements.take(table.element.len() * vlen))
    })
}

/// The words of `record` that hold what `role` says, each with its index in the record.
///
/// An element has one name and one type at most, as [`crate::kind::TABLE`] has it.
fn words_of(record: &[u32], role: Word) -> impl Iterator<Item = (usize, u32)> + '_ {
    let info = Info(record.get(1).copied().unwrap_or(0));
    let kind = info.kind();
    let table = kind.map(Kind::info);
    let header = match role {
        Word::Name => kind.map(|_| 0),
        Word::Type => kind.filter(|kind| kind.third_is_type()).map(|_| 2),
        Word::Value => None,
    };
    let trailer = table.map_or(&[][..], |table| table.trailer);
    let in_trailer = (3..).zip(trailer).filter(move |&(_, &found)| found == role);
    let fixed = header.into_iter().chain(in_trailer.map(|(index, _)| index));
    let fixed = fixed.filter_map(|index| Some((index, *record.get(index)?)));
    let element = table.map_or(&[][..], |table| table.element);
    let place = element.iter().position(|&found| found == role);
    let first = place.map_or(record.len(), |place| 3 + trailer.len() + place);
    let stride = element.len().max(1);
    let rest = record.get(first..).unwrap_or_default();
    let indices = (first..).step_by(stride);
    fixed.chain(indices.zip(rest.iter().step_by(stride).copied()))
}

/// The type ids in `record`, each with the index of its word.
pub fn type_refs(record: &[u32]) -> impl Iterator<Item = (usize, TypeId)> + '_ {
    words_of(record, Word::Type).map(|(index, word)| (index, TypeId(word)))
}

/// The string offsets in `record`, each with the index of its word.
pub fn name_refs(record: &[u32]) -> impl Iterator<Item = (usize, StrOffset)> + '_ {
    words_of(record, Word::Name).map(|(index, word)| (index, StrOffset(word)))
}

/// Replaces every name and type id in `record`, in the order of the words.
///
/// # Errors
/// The first error of `map_name` or `map_type`; the words before it are already replaced.
pub fn rewrite_refs<E>(
    record: &mut [u32],
    mut map_name: impl FnMut(StrOffset) -> std::result::Result<StrOffset, E>,
    mut map_type: impl FnMut(TypeId) -> std::result::Result<TypeId, E>,
) -> std::result::Result<(), E> {
    let info = Info(record.get(1).copied().unwrap_or(0));
    let Some(kind) = info.kind() else {
        return Ok(());
    };
    let table = kind.info();
    let mut rewrite = |word: &mut u32, role: Word| {
        match role {
            Word::Name => *word = map_name(StrOffset(*word))?.0,
            Word::Type => *word = map_type(TypeId(*word))?.0,
            Word::Value => {}
        }
        Ok(())
    };
    let Some(([name, _, third], rest)) = record.split_first_chunk_mut::<3>() else {
        return Ok(());
    };
    rewrite(name, Word::Name)?;
    if kind.third_is_type() {
        rewrite(third, Word::Type)?;
    }
    let (trailer, elements) = rest.split_at_mut(table.trailer.len().min(rest.len()));
    for (word, &role) in trailer.iter_mut().zip(table.trailer) {
        rewrite(word, role)?;
    }
    for element in elements.chunks_mut(table.element.len().max(1)) {
        for (word, &role) in element.iter_mut().zip(table.element) {
            rewrite(word, role)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_a_role_agree() {
        for kind in Kind::ALL {
            let vlen = if kind.info().element.is_empty() { 0 } else { 3 };
            let roles: Vec<_> = word_roles(Info::new(kind, vlen, false)).collect();
            assert_eq!(roles.len(), kind.record_words(vlen));
            let each: Vec<_> = (0..roles.len()).map(|index| role_at(kind, index)).collect();
            assert_eq!(roles, each, "{kind}");
        }
    }

    #[test]
    fn found_and_replaced() {
        let info = Info::new(Kind::FuncProto, 2, false).0;
        let mut record = [0, info, 7, 1, 8, 2, 9];
        assert!(type_refs(&record).eq([(2, 7), (4, 8), (6, 9)].map(|(i, id)| (i, TypeId(id)))));
        assert!(name_refs(&record).eq([(0, 0), (3, 1), (5, 2)].map(|(i, o)| (i, StrOffset(o)))));
        let names = |name: StrOffset| Ok(StrOffset(name.0 * 10));
        let done = rewrite_refs(&mut record, names, |id| {
            if id.0 == 9 {
                return Err("nine");
            }
            Ok(TypeId(id.0 + 100))
        });
        assert_eq!(done, Err("nine"));
        assert_eq!(record, [0, info, 107, 10, 108, 20, 9]);
    }

    #[test]
    fn unknown_kinds_have_no_roles() {
        assert_eq!(word_roles(Info(20 << 24)).count(), 0);
        assert_eq!(type_refs(&[0, 20 << 24, 5]).count(), 0);
        assert_eq!(type_refs(&[]).count(), 0);
    }
}
