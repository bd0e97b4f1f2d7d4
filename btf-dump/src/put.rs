//! Appends short texts and numbers to output, which has millions of them.
//!
//! A copy whose length the compiler knows is an instruction or two, any other one a call. So what is short is copied as a whole
//! block, with whatever stands behind it, and the output cut where it ends.

/// The length of a block in bytes, which is longer than most names.
const BLOCK: usize = 32;

/// Appends the first `len` bytes of `tail`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call is what this is to spare")]
pub(crate) fn start_of(out: &mut Vec<u8>, tail: &[u8], len: usize) {
    if let Some(block) = tail.first_chunk::<BLOCK>()
        && len <= BLOCK
    {
        let end = out.len() + len;
        out.extend_from_slice(block);
        out.truncate(end);
    } else {
        out.extend_from_slice(tail.get(..len).unwrap_or(tail));
    }
}

/// A word of the output, in a block that can be copied whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    block: [u8; BLOCK],
    len: usize,
}

impl Word {
    /// The word `text`, which must not be longer than a block.
    pub(crate) const fn new(text: &str) -> Self {
        let mut block = [0; BLOCK];
        let (start, _) = block.split_at_mut(text.len());
        start.copy_from_slice(text.as_bytes());
        Self {
            block,
            len: text.len(),
        }
    }

    /// The word `text`, unless it is longer than a block.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        let mut block = [0; BLOCK];
        block.get_mut(..text.len())?.copy_from_slice(text);
        let len = text.len();
        Some(Self { block, len })
    }

    /// Appends it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call is what this is to spare")]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        start_of(out, &self.block, self.len);
    }
}

/// The [`Word`] of a literal.
macro_rules! word {
    ($text:literal) => {
        const { &crate::put::Word::new($text) }
    };
}
pub(crate) use word;

/// The length of the string at the start of `tail`, as far as `tail` goes; `None` if it does not end there.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call is what this is to spare")]
pub(crate) fn len_of_string(tail: &[u8]) -> Option<usize> {
    if let Some(block) = tail.first_chunk::<16>() {
        let (low, high) = halves(*block);
        let end = first_byte(zeroes(low), zeroes(high));
        if end.is_some() {
            return end;
        }
    }
    memchr::memchr(0, tail)
}

/// The length of the string at the start of `tail`, if it is shorter than a block and holds nothing but ASCII letters, digits and
/// underscores.
#[inline]
pub(crate) fn len_of_word(tail: &[u8]) -> Option<usize> {
    let block = tail.first_chunk::<BLOCK>()?;
    let (halves_of_block, _) = block.as_chunks::<16>();
    for (start, half) in (0..).step_by(16).zip(halves_of_block) {
        let (low, high) = halves(*half);
        if let Some(at) = first_byte(others(low), others(high)) {
            return (half.get(at) == Some(&0)).then_some(start + at);
        }
    }
    None
}

/// The two numbers that 16 bytes make.
#[inline]
pub(crate) fn halves(block: [u8; 16]) -> (u64, u64) {
    let number = u128::from_le_bytes(block);
    #[expect(clippy::cast_possible_truncation, reason = "the other half follows")]
    let low = number as u64;
    let high = (number >> 64) as u64;
    (low, high)
}

/// The index of the lowest byte that has a bit set, of 16.
#[inline]
fn first_byte(low: u64, high: u64) -> Option<usize> {
    let bits = if low == 0 {
        64 + high.trailing_zeros()
    } else {
        low.trailing_zeros()
    };
    (bits < 128).then_some(bits as usize / 8)
}

/// Each byte 1.
const ONES: u64 = u64::MAX / 0xff;

/// The highest bit of each byte that is no ASCII letter, digit or underscore.
#[inline]
fn others(number: u64) -> u64 {
    const HIGHEST: u64 = ONES << 7;
    // Bytes below 128, so that no sum of two leaves its byte.
    let bytes = number & !HIGHEST;
    // Adding so much sets the highest bit of a byte that is not below `first`.
    let is_from = |bytes: u64, first: u8| bytes + ONES * u64::from(0x80 - first);
    let is_in = |bytes, first, last: u8| is_from(bytes, first) & !is_from(bytes, last + 1);
    let is_letter = is_in(bytes | (ONES * 0x20), b'a', b'z');
    let is_digit = is_in(bytes, b'0', b'9');
    let is_underscore = !is_from(bytes ^ (ONES * u64::from(b'_')), 1);
    (!(is_letter | is_digit | is_underscore) | number) & HIGHEST
}

/// Not 0 if a byte of `number` is; then the lowest bit that is set is the highest of the first such byte. A borrow can only go
/// wrong behind it.
#[inline]
pub(crate) fn zeroes(number: u64) -> u64 {
    number.wrapping_sub(ONES) & !number & (ONES << 7)
}

/// The first number that does not fit eight digits.
const BEYOND_EIGHT: u64 = 100_000_000;

/// Appends a number in decimal.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call is what this is to spare")]
pub(crate) fn number(out: &mut Vec<u8>, number: u64) {
    if number >= BEYOND_EIGHT {
        return long_number(out, number);
    }
    let digits = eight_digits(number);
    // The first digits are the lowest bytes. Of 0 the last one stays.
    let leading = digits.trailing_zeros().min(63) / 8;
    let text = (digits | ASCII_ZEROES) >> (8 * leading);
    let end = out.len() + 8 - leading as usize;
    out.extend_from_slice(&text.to_le_bytes());
    out.truncate(end);
}

/// Appends a number of nine digits or more.
#[cold]
fn long_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends a number that may be negative.
#[inline]
pub(crate) fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    number(out, value.unsigned_abs());
}

/// Eight times the digit `0`.
const ASCII_ZEROES: u64 = u64::from_le_bytes([b'0'; 8]);

/// The eight digits of a number below [`BEYOND_EIGHT`] as bytes from 0 to 9, the first one lowest.
///
/// All digits are found side by side in one word, by a multiplication in place of each division, as Paul Khuong does
/// ("How to print integers really fast", 2017).
#[inline]
fn eight_digits(number: u64) -> u64 {
    // Two numbers of four digits, then four of two, then eight of one; what comes first is lowest.
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 5243) >> 19) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - 10 * tens) << 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before".to_vec();
        put(&mut out);
        String::from_utf8(out.split_off(6)).unwrap()
    }

    #[test]
    fn what_is_put_is_what_was_given() {
        let text: Vec<u8> = (b'0'..b'z').collect();
        for tail_len in 0..=text.len() {
            let tail = &text[..tail_len];
            for len in 0..=tail_len {
                let out = put(|out| start_of(out, tail, len));
                assert_eq!(out.as_bytes(), &tail[..len]);
            }
        }
    }

    #[test]
    fn strings_end_at_the_first_zero() {
        for len in 0..40 {
            for behind in 0..40 {
                let mut tail = vec![0x80; len];
                tail.push(0);
                // What follows has zeroes, and what a borrow would take for some.
                tail.extend((0..behind).map(|index| u8::from(index % 3 != 0)));
                assert_eq!(len_of_string(&tail), Some(len), "{tail:?}");
                assert_eq!(len_of_string(&tail[..len]), None);
            }
        }
    }

    #[test]
    fn words_are_short_and_of_letters() {
        let word: Vec<u8> = (b'a'..=b'z').chain(*b"AZ_09").collect();
        for len in 0..=word.len() {
            let mut tail = word[..len].to_vec();
            tail.push(0);
            tail.extend([b'.'; 32]);
            assert_eq!(len_of_word(&tail), Some(len));
            for other in 1..=u8::MAX {
                let is_word = other.is_ascii_alphanumeric() || other == b'_';
                tail[len] = other;
                tail[len + 1] = 0;
                assert_eq!(
                    len_of_word(&tail),
                    is_word.then_some(len + 1).filter(|len| *len < 32)
                );
            }
        }
        assert_eq!(len_of_word(&[b'a'; 64]), None);
        assert_eq!(len_of_word(b"short\0"), None);
    }

    #[test]
    fn numbers_are_what_the_standard_library_prints() {
        let powers = (0..20).map(|exponent| 10_u64.pow(exponent));
        let near_powers = powers.flat_map(|power| [power - 1, power, power + 1]);
        let others = (0..50_000_u64).map(|index| index * index * 97 % 1_000_000_007);
        for value in near_powers.chain(0..20_000).chain(others).chain([u64::MAX]) {
            assert_eq!(put(|out| number(out, value)), value.to_string());
        }
        for value in [0, -1, 1, -100_000_000, i64::MIN, i64::MAX] {
            assert_eq!(put(|out| signed(out, value)), value.to_string());
        }
    }
}
