//! Arrays of several dimensions, as the base has them.
//!
//! pahole before 1.32 writes `int a[4][2]` as `int a[8]`, and so do the kernels whose BTF it made. A module that says what
//! its DWARF says would share no structure with such a kernel that leads to one with an array of this sort, which is nearly
//! all that matter: `task_struct` and `module` would be types of the module's own, other ones to the BPF verifier than
//! the kernel's. So what continues such a base is written as the base is.

use btf_core::{Btf, Info, Kind, TypeId};

/// So many arrays are not without an array of arrays by chance: of those of a kernel each thirtieth is one.
const ENOUGH: usize = 256;

/// Whether arrays of several dimensions are flat in `btf`: it has many arrays, and none is an element of another.
pub(crate) fn are_in(btf: &Btf) -> bool {
    let element = |id| match *btf.record(id)? {
        [_, info, _, element, ..] if Info(info).kind() == Some(Kind::Array) => Some(element),
        _ => None,
    };
    let mut arrays = 0;
    for element in (1..btf.end_id()).filter_map(|id| element(TypeId(id))) {
        if btf.info(TypeId(element)).and_then(Info::kind) == Some(Kind::Array) {
            return false;
        }
        arrays += 1;
    }
    arrays >= ENOUGH
}

#[cfg(test)]
mod tests {
    use btf_core::Builder;

    use super::*;

    /// Arrays of integers, so many, and then one of the last of them.
    fn btf(count: usize, is_nested: bool) -> Btf {
        let mut builder = Builder::new();
        let int = builder.int(b"int", 4, 0).unwrap();
        let mut last = int;
        for length in 0..count {
            last = builder
                .array(int, int, u32::try_from(length).unwrap())
                .unwrap();
        }
        if is_nested {
            let _ = builder.array(last, int, 2).unwrap();
        }
        builder.finish().unwrap()
    }

    #[test]
    fn many_arrays_and_none_of_arrays_are_flat() {
        assert!(are_in(&btf(ENOUGH, false)));
        assert!(!are_in(&btf(ENOUGH, true)));
        assert!(!are_in(&btf(ENOUGH - 1, false)));
    }
}
