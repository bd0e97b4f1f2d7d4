//! Goal: `btf-dump check` says whether the kernel would take a file, why not, and ends with the right status.
//! Method: snapshots of its text and JSON for blobs of the conformance set, modules, pasted blobs and objects with `.BTF.ext`.

use std::path::{Path, PathBuf};

use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, kernels, ours, run};

fn case(name: &str) -> PathBuf {
    corpus::root().join("conformance").join(name)
}

/// What `btf-dump check` does with these arguments.
fn check(args: &[&str], files: &[&Path]) -> Outcome {
    let files = files.iter().map(|path| path.as_os_str());
    let args = ["check"].iter().chain(args).map(AsRef::as_ref);
    run(&ours("btf-dump"), args.chain(files))
}

/// The text, without the path of the folder.
fn text(outcome: &Outcome, folder: &Path) -> String {
    let prefix = format!("{}/", folder.display());
    outcome.to_string().replace(&prefix, "")
}

#[test]
fn faults_are_told_with_type_rule_and_offset() {
    let folder = corpus::root().join("conformance");
    let outcome = check(&[], &[&case("struct-order-back.btf")]);
    insta::assert_snapshot!(text(&outcome, &folder));
    let outcome = check(
        &[],
        &[
            &case("int-plain.btf"),
            &case("cycle-typedef.btf"),
            &case("chain-const-tag.btf"),
        ],
    );
    insta::assert_snapshot!(text(&outcome, &folder));
}

#[test]
fn versions_and_profiles_differ() {
    let blob = case("chain-const-tag.btf");
    let status = |args: &[&str]| check(args, &[&blob]).status;
    assert_eq!(status(&[]), Some(0));
    assert_eq!(status(&["--kernel", "6.18"]), Some(1));
    assert_eq!(status(&["--kernel", "7.2.1-amd64"]), Some(0));
    assert_eq!(status(&["--kernel", "5.15"]), Some(2));
    let blob = case("member-of-fwd.btf");
    let status = |args: &[&str]| check(args, &[&blob]).status;
    assert_eq!(status(&["--profile", "user"]), Some(1));
    assert_eq!(status(&["--profile", "vmlinux"]), Some(0));
    let blob = case("ptr-of-missing.btf");
    let status = |args: &[&str]| check(args, &[&blob]).status;
    assert_eq!(status(&["--profile", "vmlinux"]), Some(0));
    assert_eq!(status(&["--profile", "vmlinux", "--strict"]), Some(1));
}

#[test]
fn modules_are_checked_on_their_base() {
    let base = case("module-base.btf");
    let outcome = check(
        &["-B", base.to_str().unwrap()],
        &[&case("module-plain.btf"), &case("module-member-order.btf")],
    );
    let folder = corpus::root().join("conformance");
    insta::assert_snapshot!(text(&outcome, &folder));
}

#[test]
fn what_cannot_be_read_is_told_beside_the_rest() {
    let dir = TestDir::new();
    let good = std::fs::read(case("int-plain.btf")).unwrap();
    let pasted = dir.write("pasted.btf", &[&good[..], &good].concat());
    let cut = dir.write("cut.btf", &good[..30]);
    let none = dir.write("none.btf", b"no BTF");
    let outcome = check(&[], &[&none, &pasted, &cut]);
    insta::assert_snapshot!(
        text(&outcome, dir.path("").as_path()).replace(dir.path("").to_str().unwrap(), "")
    );
}

#[test]
fn json_has_a_line_for_each_finding_and_file() {
    let outcome = check(&["--json"], &[&case("struct-order-back.btf")]);
    let path = format!("{:?}", case("struct-order-back.btf"));
    insta::assert_snapshot!(outcome.stdout.replace(&path, "\"FILE\""));
    for line in outcome.stdout.lines() {
        let _: serde_json::Value = serde_json::from_str(line).unwrap();
    }
}

#[test]
fn kernels_accept_themselves() {
    let program = ours("btf-dump");
    for kernel in kernels() {
        let outcome = run(
            &program,
            [
                "check".as_ref(),
                "--profile".as_ref(),
                "vmlinux".as_ref(),
                kernel.as_os_str(),
            ],
        );
        assert_eq!(outcome.status, Some(0), "{outcome}");
    }
}
