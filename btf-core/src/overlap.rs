//! Bounds what names cost that start inside of strings.
//!
//! Any offset into the string section is a name, so hostile BTF can use the ends of one long string as the names of all its
//! types. Whoever copies, hashes or compares them all would then take the square of the section's size. The strings from
//! where they start never add up to more than the section, so only other names count.

use crate::error::{ErrorKind, Result};
use crate::ids::StrOffset;
use crate::reader::Btf;

/// How many times the size of the string sections the names may have that start inside of strings, in bytes. Strings that are the
/// ends of others, if somebody merged those, need little more than one.
const FACTOR: usize = 4;

/// The strings of BTF and what it continues, for those who ask for each offset once, or who want to pay for names inside of
/// strings each time.
#[derive(Debug)]
pub struct BoundedStrings<'b> {
    btf: &'b Btf,
    /// How many bytes of names that start inside of strings may still be read.
    left: usize,
}

impl<'b> BoundedStrings<'b> {
    /// The strings of `btf`, of which nothing has been read.
    #[must_use]
    pub fn new(btf: &'b Btf) -> Self {
        let all: usize = btf.chain().map(|btf| btf.string_bytes().len()).sum();
        Self {
            btf,
            left: all.saturating_mul(FACTOR),
        }
    }

    /// As [`Btf::string`].
    ///
    /// # Errors
    /// [`ErrorKind::StringOutOfRange`] as there; [`ErrorKind::Invalid`] if the names that start inside of strings add up to more
    /// than a few times the string sections.
    pub fn get(&mut self, offset: StrOffset) -> Result<&'b [u8]> {
        let string = self.btf.string(offset)?;
        if self.btf.is_inside_of_string(offset) {
            self.left = self.left.checked_sub(string.len()).ok_or_else(|| {
                let what = "name, which starts inside of a string, as too many do, at";
                let value = offset.0.into();
                ErrorKind::Invalid { what, value }
            })?;
        }
        Ok(string)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::builder::Builder;

    const LEN: u32 = 1000;

    fn one_string(base: Option<Arc<Btf>>, letter: u8) -> Btf {
        let mut builder = base.map_or_else(Builder::new, Builder::with_base);
        builder.add_string(&vec![letter; LEN as usize]).unwrap();
        builder.finish().unwrap()
    }

    /// The number of names that can be read, of those at `offsets`.
    fn readable(btf: &Btf, offsets: impl Iterator<Item = u32>) -> usize {
        let mut strings = BoundedStrings::new(btf);
        offsets
            .map_while(|offset| strings.get(StrOffset(offset)).ok())
            .count()
    }

    #[test]
    fn what_starts_where_strings_do_costs_nothing() {
        let split = one_string(Some(Arc::new(one_string(None, b'b'))), b's');
        for start in [0, 1, split.first_string()] {
            assert_eq!(readable(&split, std::iter::repeat_n(start, 50)), 50);
        }
    }

    #[test]
    fn names_inside_of_strings_add_up_to_some_times_the_sections() {
        let btf = one_string(None, b'b');
        // The ends of one string, the longest first: four of them are a little shorter than four sections.
        assert_eq!(readable(&btf, 2..LEN), 4);
        assert_eq!(readable(&btf, (2..=LEN).rev()), 89);
        let split = one_string(Some(Arc::new(one_string(None, b'b'))), b's');
        assert_eq!(readable(&split, 2..LEN), 8);
        let mut strings = BoundedStrings::new(&btf);
        let error = (2..LEN).find_map(|offset| strings.get(StrOffset(offset)).err());
        assert!(error.unwrap().to_string().contains("as too many do"));
        let error = strings.get(StrOffset(LEN + 2)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::StringOutOfRange(_)));
    }
}
