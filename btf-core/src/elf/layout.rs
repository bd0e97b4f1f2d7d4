//! Which bytes of an ELF file are taken, and by whom.
//!
//! Bytes that no header speaks of are kept unless they are zeros: somebody may have put them there on purpose. A module's
//! signature at the end of the file is such a thing. It is void once a byte of the module changes, so it is left out.

use std::ops::Range;

use super::headers::slice;

/// What ends a signed module (`kernel/module/signing.c` of Linux, `MODULE_SIG_STRING`).
const SIGNATURE_MARK: &[u8] = b"~Module signature appended~\n";
/// The length of `struct module_signature`, which stands before the mark.
const SIGNATURE_HEADER_LEN: usize = 12;

/// The taken ranges, in bytes of the file.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The headers, sections and the file's tail.
    taken: Vec<Range<u64>>,
    /// What is loaded or otherwise named by program headers; sections lie in it.
    segments: Vec<Range<u64>>,
    /// Whether the file's tail is a signature, which is not taken.
    pub(super) has_signature: bool,
}

impl Layout {
    /// A layout with these segments.
    pub(super) fn new(segments: Vec<Range<u64>>) -> Self {
        Self {
            segments,
            ..Self::default()
        }
    }

    /// Takes a range.
    pub(super) fn take(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.taken.push(range);
        }
    }

    /// Takes what nobody has behind all that is taken so far, if it is neither zeros nor a signature at the file's end.
    ///
    /// `leaving` is what will not be where it is now.
    pub(super) fn take_rest(&mut self, file: &[u8], mut leaving: Vec<Range<u64>>) {
        leaving.sort_by_key(|range| range.start);
        let len = file.len() as u64;
        leaving.push(len..len);
        let mut start = self.end();
        for range in leaving {
            let rest = start..range.start;
            start = start.max(range.end);
            let Some(bytes) = slice(file, &rest) else {
                continue;
            };
            if rest.end == len && is_signature(bytes) {
                self.has_signature = true;
            } else if bytes.iter().any(|&byte| byte != 0) {
                self.take(rest);
            }
        }
    }

    /// Whether `range` overlaps nothing that is taken; a segment's bytes are.
    pub(super) fn is_free(&self, range: &Range<u64>) -> bool {
        self.is_free_in_segments(range) && !self.segments.iter().any(|other| overlap(range, other))
    }

    /// Whether `range` overlaps no header and no section.
    pub(super) fn is_free_in_segments(&self, range: &Range<u64>) -> bool {
        !self.taken.iter().any(|other| overlap(range, other))
    }

    /// Where the last of what is taken ends.
    pub(super) fn end(&self) -> u64 {
        let all = self.taken.iter().chain(&self.segments);
        all.map(|range| range.end).max().unwrap_or(0)
    }
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start < b.end && b.start < a.end
}

/// Whether `tail` is a module's signature and nothing else, behind padding of zeros if there is some.
fn is_signature(tail: &[u8]) -> bool {
    let Some((rest, header)) = tail
        .strip_suffix(SIGNATURE_MARK)
        .and_then(<[u8]>::split_last_chunk::<SIGNATURE_HEADER_LEN>)
    else {
        return false;
    };
    let &[_, _, _, signer_len, key_len, _, _, _, s0, s1, s2, s3] = header;
    let len = u64::from(u32::from_be_bytes([s0, s1, s2, s3]));
    let len = len + u64::from(signer_len) + u64::from(key_len);
    let padding = (rest.len() as u64).checked_sub(len);
    let padding = padding.and_then(|padding| rest.get(..usize::try_from(padding).ok()?));
    padding.is_some_and(|padding| padding.iter().all(|&byte| byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(len: u32) -> Vec<u8> {
        let mut tail = vec![0x30; len as usize];
        tail.extend([0, 0, 2, 0, 0, 0, 0, 0]);
        tail.extend(len.to_be_bytes());
        tail.extend(SIGNATURE_MARK);
        tail
    }

    #[test]
    fn the_rest_is_taken_unless_it_is_padding_or_a_signature() {
        #[track_caller]
        fn check(tail: &[u8], end: u64, has_signature: bool) {
            let mut layout = Layout::default();
            layout.take(0..10);
            layout.take_rest(&[&[0; 20], tail].concat(), vec![15..20, 12..14]);
            assert_eq!((layout.end(), layout.has_signature), (end, has_signature));
        }
        check(b"", 10, false);
        check(b"tail", 24, false);
        check(&[0; 50], 10, false);
        check(SIGNATURE_MARK, 20 + SIGNATURE_MARK.len() as u64, false);
        check(&signature(100), 10, true);
        check(&[&[0; 7], &signature(100)[..]].concat(), 10, true);
        check(&[b"x", &signature(100)[..]].concat(), 161, false);
        check(&signature(100)[1..], 159, false);
    }

    #[test]
    fn what_lies_between_is_taken_too() {
        let mut layout = Layout::default();
        layout.take(0..10);
        let mut file = [0; 40];
        file[25] = 1;
        layout.take_rest(&file, vec![10..20, 30..40]);
        assert_eq!(layout.end(), 30);
        assert!(layout.is_free(&(10..20)) && !layout.is_free(&(20..30)));
    }

    #[test]
    fn free_is_what_nobody_has() {
        let mut layout = Layout::new(Vec::from([100..200, 150..160]));
        layout.take(10..20);
        layout.take(50..50);
        assert!(layout.is_free(&(0..10)) && layout.is_free(&(20..100)));
        assert!(!layout.is_free(&(0..11)) && !layout.is_free(&(19..20)));
        assert!(!layout.is_free(&(150..160)) && layout.is_free_in_segments(&(150..160)));
        assert_eq!(layout.end(), 200);
    }
}
