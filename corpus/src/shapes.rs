//# about: Rust: variant parts, reordered fields, generic names, references across units
//# expect: INT:u8
#![no_std]
#![crate_type = "lib"]

pub enum Shape {
    Point,
    Circle { radius: u32 },
    Polygon(&'static [(i64, i64)]),
}

pub struct Reordered {
    pub small: u8,
    pub large: u64,
    pub middle: u16,
    pub optional: Option<core::num::NonZeroU32>,
}

pub union Bits {
    pub float: f32,
    pub word: u32,
}

#[unsafe(no_mangle)]
pub extern "C" fn area(shape: &Shape, scale: &Reordered, bits: Bits) -> u64 {
    let base = match shape {
        Shape::Point => 0,
        Shape::Circle { radius } => u64::from(*radius) * 3,
        Shape::Polygon(points) => points.len() as u64,
    };
    // SAFETY: both fields of `Bits` are valid for every bit pattern.
    base * scale.large + u64::from(unsafe { bits.word })
}
