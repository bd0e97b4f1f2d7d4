//! Goal: how DWARF is written down does not change what the BTF means.
//! Method: builds of one source in other versions and forms of DWARF, compressed, with type units, linked with leftover
//! relocations, shared by dwz or optimized at link time, each compared by meaning with the plain build.

use std::path::Path;
use std::sync::Arc;

use btf_core::reader::Btf;
use btf_tests::compare::{Comparison, Scope, print_text};
use btf_tests::program::{TestDir, ours, run};
use btf_tests::{corpus, input};

/// Variants that mean the same as the plain build. Others are compiled differently (`O0`, `Og`, `lto`), or say less:
/// DWARF 2 and 3 have no types below enumerations.
const EQUAL: &[&str] = &[
    "dwarf4",
    "dwarf5",
    "strict4",
    "dwarf64-4",
    "dwarf64-5",
    "types4",
    "types5",
    "gz-zlib",
    "gz-zstd",
    "gz-zlib-gnu",
    "emit-relocs",
    "dwz",
    "whole",
];

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn encode(object: &Path) -> Arc<Btf> {
    let dir = TestDir::new();
    let output = dir.path("out.btf");
    let args = [
        object.as_os_str(),
        "-q".as_ref(),
        "-o".as_ref(),
        output.as_os_str(),
    ];
    let outcome = run(&ours("dwarf2btf"), args);
    assert_eq!(outcome.status, Some(0), "{}: {outcome}", object.display());
    input::read_btf(&output, None).unwrap()
}

#[track_caller]
fn check(folder: &str) {
    let objects = corpus::files(&format!("dwarf/{folder}"));
    let mut count = 0;
    for object in &objects {
        let name = corpus::name(object);
        let [stem, variant, extension] = name.split('.').collect::<Vec<_>>()[..] else {
            continue;
        };
        if !EQUAL.contains(&variant) {
            continue;
        }
        let (plain, other) = (
            encode(&object.with_file_name(format!("{stem}.{extension}"))),
            encode(object),
        );
        let comparison = Comparison::new(&plain, &other, Scope::All).expect("both are readable");
        if !comparison.is_equal(false) {
            let mut text = Vec::new();
            print_text(&mut text, &comparison, 10, true).expect("memory can be written");
            panic!(
                "{folder}/{name} (B) is not {stem} (A)\n{}",
                String::from_utf8_lossy(&text)
            );
        }
        count += 1;
    }
    assert!(count > 10, "{folder} has only {count} variants");
}

#[test]
fn builds_by_gcc_mean_the_same() {
    check("gcc-x86_64");
}

#[test]
fn builds_by_clang_mean_the_same() {
    check("clang-x86_64");
}
