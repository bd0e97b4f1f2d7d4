//! Goal: the output's bytes depend on the input and the options, on nothing else.
//! Method: the linked files of the corpus, and whole kernels, with one to eight threads; with threads that are held up at
//! random after each unit; `.ci/run` compares the output of two builds of the program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Mutex;

use btf_tests::corpus;
use btf_tests::program::{TestDir, kernels, ours, run};
use btf_tests::random::Random;
use dwarf2btf::Observer;
use dwarf2btf::input::Input;
use dwarf2btf::options::Options;
use dwarf2btf::report::Progress;

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

/// Holds up the thread that has read a unit, for a time that no two threads share: so units are taken and finished in
/// another order each time, and the threads' shares differ widely.
struct HoldUp(Mutex<Random>);

impl Observer for HoldUp {
    fn progress(&self, _at: Progress) {
        let number = self.0.lock().unwrap().bits();
        // Most go on at once, some wait long.
        let turns = if number.is_multiple_of(8) {
            number % 500
        } else {
            0
        };
        for _ in 0..turns {
            std::thread::yield_now();
        }
    }
}

#[track_caller]
fn check_shuffled(input: &Path, seeds: u64) {
    let one = encode(input, 1);
    let input = Input::open(input).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build();
    let pool = pool.unwrap();
    for seed in 0..seeds {
        let hold_up = HoldUp(Mutex::new(Random::new(seed)));
        let image = input.image().unwrap();
        let encode = || dwarf2btf::encode(&image, None, &Options::default(), &hold_up);
        let encoded = pool.install(encode).unwrap();
        assert!(encoded.btf == one, "seed {seed}");
    }
}

#[test]
fn shuffled_work_does_not_change_the_linked_files_of_the_corpus() {
    for object in corpus::objects() {
        if corpus::name(&object).starts_with("image.") {
            check_shuffled(&object, 8);
        }
    }
}

#[test]
fn shuffled_work_does_not_change_a_kernel() {
    for kernel in kernels() {
        check_shuffled(&kernel, 3);
    }
}
