//! The body of an enumeration, and the attribute that gives it its size.
//!
//! A compiler makes an enumeration as wide as `int`, or wider if a value needs it. Kernels have others: `packed` ones of one or
//! two bytes, and with 64-bit values also ones that no value makes so wide. They get the attribute `mode`, which says the size
//! outright where `packed` would leave it to the values.

use btf_core::types::{Enumeration, Enumerator};

/// What has to be said about the size of an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// The compiler finds it by itself.
    Natural,
    /// The attribute `mode` with this mode is needed.
    Mode(&'static str),
}

impl Width {
    /// What this enumeration needs; `None` if no declaration gives it its size, as a value does not fit.
    pub(crate) fn of(enumeration: &Enumeration<'_>) -> Option<Self> {
        let bits = needed_bits(enumeration);
        if bits > enumeration.size.checked_mul(8)? {
            return None;
        }
        match enumeration.size {
            1 => Some(Self::Mode("byte")),
            2 => Some(Self::Mode("HI")),
            4 => Some(Self::Natural),
            8 if bits > 32 => Some(Self::Natural),
            8 => Some(Self::Mode("DI")),
            _ => None,
        }
    }
}

/// The bits of the narrowest integer that has all values.
fn needed_bits(enumeration: &Enumeration<'_>) -> u32 {
    let values = enumeration.enumerators();
    let is_negative = |value: u64| enumeration.is_signed && value.cast_signed() < 0;
    let (mut bits, mut has_negative) = (0, false);
    for Enumerator { value, .. } in values {
        let negative = is_negative(value);
        let magnitude = if negative { !value } else { value };
        bits = bits.max(64 - magnitude.leading_zeros());
        has_negative |= negative;
    }
    bits + u32::from(has_negative)
}
