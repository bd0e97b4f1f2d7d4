//! How large pointers are, which BTF does not say.

use btf_core::graph::POINTER_SIZE;
use btf_core::wire::int;
use btf_core::{Btf, Type};

use crate::names::Names;

/// The size of a pointer in bytes: what the class of the file says; without it that of `long`, which is the same on every
/// machine that runs Linux; else 8.
#[must_use]
pub fn size(btf: &Btf, of_class: Option<u8>) -> u32 {
    let size = of_class.map(u32::from).or_else(|| size_of_long(btf));
    size.unwrap_or(POINTER_SIZE)
}

fn size_of_long(btf: &Btf) -> Option<u32> {
    const SPELLINGS: [&[u8]; 4] = [b"long unsigned int", b"unsigned long", b"long int", b"long"];
    let mut names = Names::new(btf);
    let ints = btf.chain().flat_map(Btf::types);
    let mut longs = ints.filter_map(|(_, ty)| {
        let Type::Int(int) = ty else { return None };
        let is_number = int.encoding & (int::BOOL | int::CHAR) == 0;
        let is_word = matches!(int.size, 4 | 8) && is_number;
        (is_word && SPELLINGS.contains(&names.get(int.name).bytes)).then_some(int.size)
    });
    longs.next()
}
