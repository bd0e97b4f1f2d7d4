//! Goal: what the program says, and how it ends, is what its manual promises.
//! Method: one run a test, its status, stdout and stderr in one snapshot; paths, times and memory replaced.

use std::path::{Path, PathBuf};

use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, ours, peer, run, unheard};

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

/// What bash offers behind these words.
fn completed(bash: &Path, script: &Path, tool: &str, words: &[&str]) -> Vec<String> {
    let function = format!("_{}", tool.replace('-', "__"));
    let (before, last) = (words[words.len() - 2], words[words.len() - 1]);
    let text = format!(
        "source {}; COMP_WORDS=({}); COMP_CWORD={}; {function} {tool} '{last}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display(),
        words.join(" "),
        words.len() - 1,
    );
    let outcome = run(bash, ["-c", &text]).success();
    assert_eq!(outcome.stderr, "");
    outcome.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_the_options_of_every_command() {
    let Some(bash) = peer("bash") else { return };
    let dir = TestDir::new();
    for (tool, command, option) in [
        ("btf-link", "core-check", "--against"),
        ("btf-link", "link", "--gc"),
        ("btf-link", "merge", "--canonical"),
        ("btf-dump", "diff", "--breaking"),
        ("btf-dump", "c", "--assert"),
        ("dwarf2btf", "modules", "--in-place"),
    ] {
        let script = run(&ours(tool), ["--generate", "bash"]).success().stdout;
        let script = dir.write(tool, script.as_bytes());
        let commands = completed(&bash, &script, tool, &[tool, &command[..1]]);
        assert!(commands.iter().any(|word| word == command), "{commands:?}");
        let options = completed(&bash, &script, tool, &[tool, command, "--"]);
        assert!(
            options.iter().any(|word| word == option),
            "{tool} {command}: {options:?}"
        );
        let values = completed(&bash, &script, tool, &[tool, command, "x", "--color", "a"]);
        assert_eq!(values, ["auto", "always"], "{tool} {command}");
    }
}

#[test]
fn every_command_has_a_man_page() {
    for (tool, command, option) in [
        ("btf-link", "min-core", "functions"),
        ("btf-dump", "layout", "packable"),
        ("dwarf2btf", "modules", "out\\-dir"),
    ] {
        let dir = TestDir::new();
        let outcome = run(
            &ours(tool),
            ["--man-dir".as_ref(), dir.path("").as_os_str()],
        )
        .success();
        assert_eq!(outcome.stdout, "");
        let page = |name: &str| std::fs::read_to_string(dir.path(name)).unwrap_or_default();
        let printed = run(&ours(tool), ["--generate", "man"]).success().stdout;
        assert_eq!(page(&format!("{tool}.1")), printed);
        let escaped = command.replace('-', "\\-");
        assert!(
            printed.contains(&format!("{}\\-{escaped}(1)", tool.replace('-', "\\-"))),
            "{printed}"
        );
        let page = page(&format!("{tool}-{command}.1"));
        for part in [
            &format!(".TH {tool}-{command} 1"),
            option,
            ".SH EXAMPLES",
            ".SH EXIT STATUS",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let missing = dir.path("missing");
        let failed = run(&ours(tool), ["--man-dir".as_ref(), missing.as_os_str()]);
        assert_eq!(failed.status, Some(2), "{failed}");
        assert!(
            failed.stderr.contains(&format!("missing/{tool}.1: ")),
            "{failed}"
        );
    }
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
fn what_is_asked_for_may_be_a_symbol_or_misspelt() {
    check(
        "explain_symbol",
        "CORPUS/gcc-x86_64/image.elf --explain ignores_parameter.isra.0",
    );
    check(
        "explain_near",
        "CORPUS/gcc-x86_64/image.elf --explain table_insrt --explain ignores_parameter.isra.7 -q",
    );
}

#[test]
fn a_function_without_a_symbol_is_told_from_none() {
    let dir = TestDir::new();
    let source = "static inline int twice(int x) { return 2 * x; }
        extern int elsewhere(int x);
        int f(int x) { return twice(x) + elsewhere(x); }";
    let Some(object) = compiled(&dir, source, &["-O2", "-g"]) else {
        return;
    };
    let explain = |name: &str| {
        let words = format!("{} --explain {name}", object.display());
        dwarf2btf(&dir, &words).success().stdout
    };
    let text = explain("twice");
    assert!(
        text.starts_with("twice: left out: inlined wherever"),
        "{text}"
    );
    assert!(text.contains("without code in 1 unit\n"), "{text}");
    let text = explain("elsewhere");
    assert!(
        text.starts_with("elsewhere: left out: only declared"),
        "{text}"
    );
    assert!(text.contains("only declared in 1 unit\n"), "{text}");
}

/// The object that gcc makes of a source; nothing, said aloud, if there is no gcc.
fn compiled(dir: &TestDir, source: &str, options: &[&str]) -> Option<PathBuf> {
    let gcc = peer("gcc")?;
    let (input, output) = (
        dir.write("source.c", source.as_bytes()),
        dir.path("object.o"),
    );
    let files = [
        "-c".as_ref(),
        input.as_os_str(),
        "-o".as_ref(),
        output.as_os_str(),
    ];
    let args = options.iter().map(AsRef::as_ref).chain(files);
    let _ = run(&gcc, args).success();
    Some(output)
}

#[test]
fn a_report_alone_writes_no_btf() {
    let dir = TestDir::new();
    dir.write(
        "a.o",
        &std::fs::read(object("gcc-x86_64/program.o")).unwrap(),
    );
    let text = dwarf2btf(&dir, "DIR/a.o --report json").success().stdout;
    assert!(
        text.contains("\"type\":\"summary\"") && !text.contains("\"output\""),
        "{text}"
    );
    assert_eq!(dir.names(), ["a.o"]);
    let outcome = dwarf2btf(&dir, "DIR/a.o --report json -o DIR/out").success();
    assert!(outcome.stdout.contains("\"output\":\""), "{outcome}");
    assert!(outcome.stderr.contains("    output  "), "{outcome}");
    assert_eq!(dir.names(), ["a.o", "out"]);
}

#[test]
fn what_is_no_input_is_told_from_what_is_damaged() {
    let dir = TestDir::new();
    let fails = |words: &str, expect: &str| {
        let outcome = dwarf2btf(&dir, words);
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(expect), "{outcome}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
    };
    dir.write("archive", b"!<arch>\nmember");
    fails("DIR/archive -o DIR/out", "an archive: unpack it");
    let _ = dwarf2btf(&dir, "CORPUS/gcc-x86_64/enums.o -q -o DIR/btf").success();
    fails("DIR/btf -o DIR/out", "BTF already");
    let bytes = std::fs::read(object("gcc-x86_64/enums.o")).unwrap();
    dir.write("header", &bytes[..30]);
    fails(
        "DIR/header -o DIR/out",
        "of 30 bytes: expected an ELF header at 0x0",
    );
    dir.write("half", &bytes[..bytes.len() / 2]);
    fails(
        "DIR/half -o DIR/out",
        "expected section headers and their names at 0x",
    );
    fails(
        "CORPUS/gcc-x86_64/enums.o --language rust -o DIR/out",
        "nothing to describe: all units (1) are left out by their language",
    );
}

#[test]
fn types_that_are_elsewhere_or_nowhere_are_told() {
    let dir = TestDir::new();
    let source = "int f(int x) { return x; }";
    let fails = |options: &[&str], expect: &str| -> Option<()> {
        let object = compiled(&dir, source, options)?;
        let outcome = dwarf2btf(&dir, &format!("{} -o DIR/out", object.display()));
        assert_eq!(outcome.status, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(expect), "{outcome}");
        assert!(outcome.stderr.contains(".debug_info+0x"), "{outcome}");
        Some(())
    };
    let _ = fails(&["-g", "-gsplit-dwarf"], "object.dwo`, which is not read");
    let _ = fails(
        &["-gdwarf-4", "-gsplit-dwarf"],
        "object.dwo`, which is not read",
    );
    let _ = fails(&["-g1"], "compiled with -g1");
}

/// A pipe whose reader goes away: that is an error for BTF, of which half is of no use, and none for a report.
#[test]
fn a_closed_pipe_is_an_error_for_btf_only() {
    let status = |words: &[&str]| unheard(&ours("dwarf2btf"), words);
    let file = object("gcc-x86_64/image.elf");
    let file = file.to_str().unwrap();
    assert_eq!(status(&[file, "-o", "-"]), Some(2));
    assert_eq!(status(&[file, "--explain", "table_insert"]), Some(0));
    let both = ["--explain", "table_insert", "--explain", "no_function"];
    assert_eq!(status(&[&[file][..], &both].concat()), Some(1));
}

#[test]
fn quiet_says_why_the_answer_is_no() {
    let dir = TestDir::new();
    let outcome = dwarf2btf(&dir, "CORPUS/gcc-x86_64/complex.o --strict -q -o DIR/out");
    assert_eq!(outcome.status, Some(1), "{outcome}");
    assert!(
        outcome.stderr.contains("error: nothing is written"),
        "{outcome}"
    );
    assert!(outcome.stderr.contains("complex number"), "{outcome}");
}

#[test]
fn twice_verbose_lists_what_is_left_out() {
    let dir = TestDir::new();
    let lines = |words: &str| {
        let words = format!("CORPUS/gcc-x86_64/image.elf -o DIR/out {words}");
        dwarf2btf(&dir, &words).success().stderr
    };
    let line = "different_prototype: left out: inconsistent prototype, ambiguous address";
    assert!(!lines("-v").contains(line));
    assert!(lines("-vv").contains(line));
    let report = dwarf2btf(
        &dir,
        "CORPUS/gcc-x86_64/image.elf --features +global_var --report json",
    );
    let report = report.success().stdout;
    let variables = report
        .lines()
        .filter(|line| line.starts_with("{\"type\":\"variable\""));
    assert_eq!(
        variables.count() as u64,
        left_out_variables(&report),
        "{report}"
    );
}

/// How many variables the summary of a report says are left out.
fn left_out_variables(report: &str) -> u64 {
    let counts = report.split("\"what\":\"variables\"").skip(1);
    let counts = counts.filter_map(|rest| rest.split("\"count\":").nth(1));
    let counts = counts.filter_map(|rest| rest.split('}').next()?.parse::<u64>().ok());
    counts.sum()
}

#[test]
fn no_colour_means_none_in_usage_errors() {
    let dir = TestDir::new();
    assert!(
        dwarf2btf(&dir, "--color always --bogus")
            .stderr
            .contains("\u{1b}[")
    );
    assert!(
        !dwarf2btf(&dir, "--color never --bogus")
            .stderr
            .contains("\u{1b}[")
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
