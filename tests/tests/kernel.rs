//! Goal: the running kernel accepts our BTF, and `check` says so.
//! Method: `BPF_BTF_LOAD` and `validate` for every object of this machine's kind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use btf_core::validate::{Profile, check};
use btf_dump::live::{Answer, load};
use btf_tests::corpus;
use btf_tests::program::{TestDir, ours, run, skip};

/// The kernel takes C's names only, so that C++ and Rust are left out.
fn is_loadable(object: &Path) -> bool {
    let folder = corpus::name(object.parent().unwrap());
    let is_native = cfg!(target_arch = "x86_64") && folder.ends_with("-x86_64");
    is_native && !folder.starts_with("rustc") && corpus::name(object) != "references.o"
}

#[test]
fn the_running_kernel_accepts_the_corpus() {
    let dir = TestDir::new();
    let program = ours("dwarf2btf");
    let objects: Vec<_> = corpus::objects()
        .into_iter()
        .filter(|object| is_loadable(object))
        .collect();
    for object in &objects {
        let blob = dir.path("out.btf");
        let args = [
            object.as_os_str(),
            "-q".as_ref(),
            "-o".as_ref(),
            blob.as_os_str(),
        ];
        let _ = run(&program, args).success();
        let bytes = std::fs::read(&blob).unwrap();
        let checked = check(&bytes, None, Profile::User.into());
        assert!(checked.is_accepted(), "{}: {checked:?}", object.display());
        match load(&bytes) {
            Ok(answer) => assert_eq!(answer, Answer::Accepted, "{}", object.display()),
            Err(error) => {
                skip(&format!("this process may not load BTF: {error}"));
                return;
            }
        }
    }
    assert!(!objects.is_empty() || !cfg!(target_arch = "x86_64"));
}
