//! Repeatable noise: the same seed gives the same numbers on every machine.

/// A generator after Sebastiano Vigna's `splitmix64`.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator that starts at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        usize::try_from(self.bits() % end).unwrap_or(0)
    }

    /// `bytes` with one kind of damage: cut off, or one of [`Random::spoil`].
    pub fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        if self.below(4) == 0 {
            bytes.truncate(self.below(bytes.len()));
        } else {
            self.spoil(&mut bytes);
        }
        bytes
    }

    /// Flips a bit, replaces a few bytes, or sets a word to an extreme value.
    pub fn spoil(&mut self, bytes: &mut [u8]) {
        const EXTREMES: [u32; 6] = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff];
        if bytes.is_empty() {
            return;
        }
        match self.below(3) {
            0 => {
                let at = self.below(bytes.len());
                bytes[at] ^= 1 << self.below(8);
            }
            1 => {
                for _ in 0..=self.below(4) {
                    let at = self.below(bytes.len());
                    bytes[at] = self.bits().to_le_bytes()[0];
                }
            }
            _ => {
                let at = self.below(bytes.len().saturating_sub(4));
                let value = EXTREMES[self.below(EXTREMES.len())].to_le_bytes();
                let end = bytes.len().min(at + 4);
                bytes[at..end].copy_from_slice(&value[..end - at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            [random.bits(), random.bits()]
        };
        assert_eq!(numbers(0), [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_ne!(numbers(0), numbers(1));
    }

    #[test]
    fn short_inputs_can_be_damaged() {
        let mut random = Random::new(1);
        for length in 0..6 {
            for _ in 0..50 {
                assert!(random.damage(&vec![0; length]).len() <= length);
            }
        }
    }
}
