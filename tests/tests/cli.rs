//! Goal: what the program says, and how it ends, is what its manual promises.
//! Method: one run a test, its status, stdout and stderr in one snapshot; paths, times and memory replaced.

use std::path::PathBuf;

use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, ours, peer, run};

fn object(name: &str) -> PathBuf {
    corpus::root().join("dwarf").join(name)
}

/// The outcome with what differs between machines and runs replaced.
fn filtered(outcome: &Outcome, dir: &TestDir) -> String {
    let folder = dir.path("").display().to_string();
    let corpus = corpus::root().display().to_string();
    let text = outcome
        .to_string()
        .replace(&folder, "[DIR]/")
        .replace(&corpus, "[CORPUS]");
    text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
}

/// Runs the program with these words; `DIR` in them stands for the test's folder, `CORPUS` for `corpus/dwarf`.
fn dwarf2btf(dir: &TestDir, words: &str) -> Outcome {
    let folder = dir.path("").display().to_string();
    let dwarf = corpus::root().join("dwarf").display().to_string();
    let words = words.split_whitespace();
    let args = words.map(|word| word.replace("DIR/", &folder).replace("CORPUS", &dwarf));
    run(&ours("dwarf2btf"), args)
}

/// Checks the whole outcome against a snapshot of that name.
#[track_caller]
fn check(name: &str, words: &str) {
    let dir = TestDir::new();
    let outcome = dwarf2btf(&dir, words);
    insta::assert_snapshot!(name, filtered(&outcome, &dir));
}

#[test]
fn help_is_short_or_long() {
    check("short_help", "-h");
    check("long_help", "--help");
}

#[test]
fn version() {
    check("version", "--version");
}

#[test]
fn manual() {
    check("manual", "--generate man");
}

/// Every long option that `--help` shows is in the manual and in each completion.
#[test]
fn completions_and_manual_know_every_option() {
    let dir = TestDir::new();
    let help = dwarf2btf(&dir, "--help").success().stdout;
    let options: Vec<_> = help
        .lines()
        .filter_map(|line| {
            line.trim_start()
                .split_once("--")
                .filter(|parts| parts.0.len() <= 4)
        })
        .map(|parts| parts.1.split([' ', '.', '`']).next().unwrap_or_default())
        .collect();
    assert!(
        options.contains(&"exclude-language") && options.contains(&"version"),
        "{options:?}"
    );
    for kind in ["man", "bash", "zsh", "fish", "powershell"] {
        let text = dwarf2btf(&dir, &format!("--generate {kind}"))
            .success()
            .stdout;
        let text = text.replace("\\-", "-");
        for option in &options {
            assert!(text.contains(option), "{kind} has no {option}");
        }
    }
}

#[test]
fn bash_reads_its_completions() {
    let dir = TestDir::new();
    let script = dwarf2btf(&dir, "--generate bash").success().stdout;
    let path = dir.write("completions", script.as_bytes());
    let Some(bash) = peer("bash") else { return };
    let outcome = run(&bash, ["-n".as_ref(), path.as_os_str()]).success();
    assert_eq!(outcome.stderr, "");
}

#[test]
fn usage_errors_end_with_2() {
    check("no_file", "");
    check("unknown_option", "--unknown");
    check(
        "unknown_feature",
        "CORPUS/gcc-x86_64/enums.o --features enum46",
    );
    check(
        "unknown_language",
        "CORPUS/gcc-x86_64/enums.o --exclude-language rsut",
    );
    check("no_threads", "CORPUS/gcc-x86_64/enums.o -j0");
}

#[test]
fn input_errors_end_with_2_and_name_the_file() {
    check("missing_file", "DIR/missing");
    check("folder", "DIR/");
    check(
        "output_in_missing_folder",
        "CORPUS/gcc-x86_64/enums.o -q -o DIR/missing/out.btf",
    );
}

#[test]
fn a_failed_run_leaves_the_target_as_it_was() {
    let dir = TestDir::new();
    dir.write("target", b"old");
    dir.write("input", b"\x7fELF, but no more");
    let outcome = dwarf2btf(&dir, "DIR/input -o DIR/target");
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert_eq!(std::fs::read(dir.path("target")).unwrap(), b"old");
    assert_eq!(dir.names(), ["input", "target"]);
}

#[test]
fn the_default_target_is_beside_the_input() {
    let dir = TestDir::new();
    dir.write("a.o", &std::fs::read(object("gcc-x86_64/enums.o")).unwrap());
    let _ = dwarf2btf(&dir, "DIR/a.o -q").success();
    assert_eq!(dir.names(), ["a.o", "a.o.btf"]);
    let _ = dwarf2btf(&dir, "DIR/a.o -q -o DIR/b").success();
    assert_eq!(
        std::fs::read(dir.path("a.o.btf")).unwrap(),
        std::fs::read(dir.path("b")).unwrap()
    );
}

#[test]
fn quiet_is_silent() {
    let dir = TestDir::new();
    let outcome = dwarf2btf(&dir, "CORPUS/gcc-x86_64/program.o -q -o DIR/out").success();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("", ""));
}

#[test]
fn a_function_can_be_explained() {
    check(
        "explain_kept",
        "CORPUS/gcc-x86_64/image.elf --explain table_insert",
    );
    check(
        "explain_inconsistent",
        "CORPUS/gcc-x86_64/image.elf --explain different_prototype",
    );
    check(
        "explain_optimized",
        "CORPUS/gcc-x86_64/image.elf --explain ignores_parameter",
    );
    check(
        "explain_unknown",
        "CORPUS/gcc-x86_64/image.elf --explain no_such_function",
    );
}

#[test]
fn strict_refuses_what_btf_cannot_say() {
    let dir = TestDir::new();
    let outcome = dwarf2btf(&dir, "CORPUS/gcc-x86_64/complex.o --strict -o DIR/out");
    assert_eq!(outcome.status, Some(1), "{outcome}");
    assert_eq!(dir.names(), [""; 0], "nothing is written");
    insta::assert_snapshot!("strict_complex", filtered(&outcome, &dir));
}
