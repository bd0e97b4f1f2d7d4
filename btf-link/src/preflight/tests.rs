//! Modules made by hand against kernels made by hand.

use super::*;
use btf_core::Builder;
use btf_core::builder::{MemberSpec, WriteOptions};
use btf_core::distill::distill;

fn kernel_with(size: u32, version: &str) -> Kernel {
    let mut builder = Builder::new();
    builder.int(b"int", 4, 1).unwrap();
    builder.composite(Kind::Struct, b"page", size, &[]).unwrap();
    // Names that are off by some bytes start inside of others then.
    builder
        .typedef(b"a_long_name_of_no_use", TypeId(1))
        .unwrap();
    Kernel {
        btf: Arc::new(builder.finish().unwrap()),
        version: version.parse().unwrap(),
    }
}

/// A module that holds `struct page`: as it is, and distilled.
fn module(kernel: &Kernel) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut builder = Builder::with_base(Arc::clone(&kernel.btf));
    let members = [MemberSpec {
        name: b"own_page",
        ty: TypeId(2),
        ..MemberSpec::default()
    }];
    builder
        .composite(Kind::Struct, b"holder", 64, &members)
        .unwrap();
    let write = |btf: &Btf| {
        Builder::from_btf(btf)
            .write(ByteOrder::NATIVE, WriteOptions::default())
            .unwrap()
    };
    let split = builder.finish().unwrap();
    let distilled = distill(&split).unwrap();
    (
        write(&split),
        write(&distilled),
        write(distilled.base().unwrap()),
    )
}

#[test]
fn a_structure_of_another_size_is_shown_with_both() {
    let (own, other) = (kernel_with(64, "6.12.1"), kernel_with(56, "7.0"));
    let (_, btf, base) = module(&own);
    let module = ModuleBtf {
        btf: &btf,
        base: Some(&base),
    };
    assert_eq!(preflight(&module, &own), Answer::only(Verdict::Loads));
    let answer = preflight(&module, &other);
    assert_eq!(answer.verdict, Verdict::Refuses);
    let obstacle = &answer.obstacles[0];
    assert_eq!(obstacle.name.as_deref(), Some(&b"page"[..]));
    let wanted = "struct `page`, 64 bytes, held by `own_page` of `holder`";
    assert_eq!(obstacle.wanted.as_deref(), Some(wanted));
    assert_eq!(obstacle.found, ["struct `page`, 56 bytes"]);
}

#[test]
fn a_module_of_another_kernel_is_misread_or_refused() {
    let own = kernel_with(64, "6.12");
    let mut other = Builder::from_btf(&own.btf);
    other.typedef(b"another", TypeId(1)).unwrap();
    let other = Kernel {
        btf: Arc::new(other.finish().unwrap()),
        version: own.version,
    };
    let (btf, distilled, base) = module(&own);
    let module = ModuleBtf {
        btf: &btf,
        base: None,
    };
    assert_eq!(preflight(&module, &own).verdict, Verdict::Loads);
    assert!(!preflight(&module, &other).verdict.is_good());
    // Old kernels do not look for a base.
    let module = ModuleBtf {
        btf: &distilled,
        base: Some(&base),
    };
    let old = |version: &str| Kernel {
        version: version.parse().unwrap(),
        ..own.clone()
    };
    assert!(!preflight(&module, &old("6.10")).verdict.is_good());
    assert_eq!(preflight(&module, &old("6.11")).verdict, Verdict::Loads);
}

#[test]
fn what_is_too_new_is_named() {
    let mut kernel = kernel_with(64, "6.14");
    let mut builder = Builder::with_base(Arc::clone(&kernel.btf));
    builder.type_tag(b"rcu", TypeId(1), true).unwrap();
    let btf = builder.write(ByteOrder::NATIVE, WriteOptions::default());
    let btf = btf.unwrap();
    let module = ModuleBtf {
        btf: &btf,
        base: None,
    };
    assert_eq!(preflight(&module, &kernel).verdict, Verdict::Refuses);
    kernel.version = KernelVersion::new(6, 15);
    assert_eq!(preflight(&module, &kernel).verdict, Verdict::Loads);
}

#[test]
fn hostile_bytes_are_refused() {
    let kernel = kernel_with(64, "7.2");
    let (btf, distilled, base) = module(&kernel);
    let other = ByteOrder::Big.u32_bytes(0xeb9f_0100);
    for (btf, base) in [
        (&btf[..30], None),
        (&other[..], None),
        (&b"\x7fELF"[..], None),
        (&[][..], Some(&base[..])),
        (&distilled[..], Some(&base[..20])),
        (&distilled[..], Some(&distilled[..])),
    ] {
        let answer = preflight(&ModuleBtf { btf, base }, &kernel);
        assert_eq!(answer.verdict, Verdict::Refuses, "{btf:?} {base:?}");
    }
}
