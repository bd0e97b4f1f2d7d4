//! Goal: the output's bytes depend on the input and the options, on nothing else.
//! Method: every object of the corpus, and whole kernels, with one to eight threads.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use btf_tests::corpus;
use btf_tests::program::{TestDir, kernels, ours, run};

fn encode(input: &Path, threads: usize) -> Vec<u8> {
    let dir = TestDir::new();
    let output = dir.path("out.btf");
    let threads = format!("-j{threads}");
    let args = [
        input.as_os_str(),
        "-q".as_ref(),
        threads.as_ref(),
        "-o".as_ref(),
        output.as_os_str(),
    ];
    let _ = run(&ours("dwarf2btf"), args).success();
    std::fs::read(output).unwrap()
}

#[track_caller]
fn check(input: &Path) {
    let one = encode(input, 1);
    for threads in 2..=8 {
        assert!(
            encode(input, threads) == one,
            "{}: -j{threads} differs from -j1",
            input.display()
        );
    }
}

#[test]
fn threads_do_not_change_the_linked_files_of_the_corpus() {
    for object in corpus::objects() {
        if corpus::name(&object).starts_with("image.") {
            check(&object);
        }
    }
}

#[test]
fn threads_do_not_change_a_kernel() {
    for kernel in kernels() {
        check(&kernel);
    }
}
