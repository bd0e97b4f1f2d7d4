//! What the corpus does not have: a kernel with two types of one name.

use std::sync::Arc;

use btf_core::builder::MemberSpec;
use btf_core::wire::int;
use btf_core::{Builder, Kind, TypeId};

use super::*;
use crate::program::Program;

/// A kernel in which `struct task` is there once more, with its member at another place.
fn kernel() -> Kernel {
    let mut builder = Builder::new();
    let int = builder.int(b"int", 4, int::SIGNED).unwrap();
    for bit_offset in [0, 32] {
        let pid = MemberSpec {
            name: b"pid",
            ty: int,
            bit_offset,
            bitfield_size: 0,
        };
        let unused = MemberSpec {
            name: b"unused",
            ..pid
        };
        let members = [pid, unused];
        builder
            .composite(Kind::Struct, b"task", 16, &members)
            .unwrap();
    }
    Kernel::new(Arc::new(builder.finish().unwrap()))
}

#[test]
fn what_is_ambiguous_stays_so() {
    let object = include_bytes!("../../../corpus/bpf/core/program.clang.o");
    let programs = [Checked::new(Program::parse(object).unwrap())];
    let min = min_core(&kernel(), &programs, false).unwrap();
    assert!(!min.refused.is_empty());
    let btf = Arc::new(min.btf);
    assert_eq!(differences(&kernel(), &programs, &btf), []);
    let tasks = btf.find_by_name(b"task").collect::<Vec<TypeId>>();
    assert_eq!(tasks.len(), 2);
    assert!(btf.find_by_name(b"unused").next().is_none() && btf.find_string(b"unused").is_none());
}
