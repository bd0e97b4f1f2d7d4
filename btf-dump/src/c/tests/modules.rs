//! Headers of kernels with modules, merged or one on top of the other.

use std::sync::Arc;

use super::*;

/// A kernel with `struct a`, `struct gone;` and an enumeration, and two modules on top of it, the second of which
/// defines what the kernel only declares.
fn kernel_and_modules() -> [Arc<Btf>; 3] {
    let mut b = Builder::new();
    let int = int(&mut b);
    let inline = b.enumeration(b"", 4, false, &[(b"E", 1)]).unwrap();
    composite(&mut b, "a", 4, &[member("e", inline, 0)]);
    let gone = b.fwd(b"gone", false).unwrap();
    let pointer = b.ptr(gone).unwrap();
    composite(&mut b, "k", 8, &[member("gone", pointer, 0)]);
    let kernel = Arc::new(b.finish().unwrap());
    let mut b = Builder::with_base(kernel.clone());
    composite(
        &mut b,
        "a",
        8,
        &[member("x", int, 0), member("e", inline, 32)],
    );
    composite(&mut b, "shared", 4, &[member("x", int, 0)]);
    let first = Arc::new(b.finish().unwrap());
    let mut b = Builder::with_base(kernel.clone());
    composite(&mut b, "a", 12, &[member("y", int, 0)]);
    composite(&mut b, "gone", 4, &[member("x", int, 0)]);
    composite(&mut b, "shared", 4, &[member("x", int, 0)]);
    let second = Arc::new(b.finish().unwrap());
    [kernel, first, second]
}

fn merged_body(inputs: &[Arc<Btf>]) -> String {
    let merged = merge(inputs).unwrap();
    let options = Options {
        first_of_modules: Some(merged.first_of_modules),
        ..Options::default()
    };
    body(&merged.btf, &options)
}

#[test]
fn a_module_on_top_of_its_kernel() {
    let [_, first, second] = kernel_and_modules();
    let options = Options {
        scope: Scope::Module {
            name: "nf-tables",
            kernel_header: "vmlinux.h",
        },
        ..Options::default()
    };
    let expect = "\
struct a___2 {
	int x;
	unsigned int e;
};
struct shared {
	int x;
};";
    assert_eq!(body(&first, &options), expect);
    let mut out = Vec::new();
    header(&second, &options, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with(
        "#ifndef __NF_TABLES_H__\n#define __NF_TABLES_H__\n\n#include \"vmlinux.h\"\n"
    ));
    assert!(text.contains("struct gone {"));
}

#[test]
fn merged_modules_in_any_order() {
    let [kernel, first, second] = kernel_and_modules();
    let expect = "\
struct a {
	enum {
		E = 1,
	} e;
};
struct gone {
	int x;
};
struct k {
	struct gone *gone;
};
struct a___2 {
	int y;
	int: 32;
	int: 32;
};
struct a___3 {
	int x;
	unsigned int e;
};
struct shared {
	int x;
};";
    let found = merged_body(&[kernel.clone(), first.clone(), second.clone()]);
    assert_eq!(found, expect, "found:\n{found}");
    assert_eq!(merged_body(&[kernel, second, first]), expect);
}
