//! Goal: `btf-dump check` says whether the kernel would take a file, why not, and ends with the right status.
//! Method: snapshots of its text and JSON for blobs of the conformance set, modules, pasted blobs and objects with `.BTF.ext`.

use std::path::{Path, PathBuf};

use btf_core::Kind;
use btf_core::builder::{Builder, WriteOptions};
use btf_core::validate::KernelVersion;
use btf_core::wire::ByteOrder;
use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, kernels, ours, run, skip, unheard};

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
fn names_of_rust_have_an_answer() {
    let dir = TestDir::new();
    let check_names = |names: &[&[u8]]| {
        let mut builder = Builder::new();
        for name in names {
            builder.composite(Kind::Struct, name, 0, &[]).unwrap();
        }
        let blob = builder.write(ByteOrder::Little, WriteOptions::default());
        check(&[], &[&dir.write("names.btf", &blob.unwrap())])
    };
    let hint = "--exclude-language rust";
    let rust = check_names(&[b"a", b"core::fmt::Arguments"]);
    assert!(rust.stdout.contains(hint), "{rust}");
    let other = check_names(&[b"a", b"1b"]);
    assert!(!other.stdout.contains(hint), "{other}");
    assert_eq!((rust.status, other.status), (Some(1), Some(1)));
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

#[test]
fn a_module_needs_its_base() {
    let lone = case("module-plain.btf");
    let base = case("module-base.btf");
    let outcome = check(&[], &[&lone]);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(2), ""));
    assert!(outcome.stderr.contains("`--base FILE`"), "{outcome}");
    // What stands alone is a module's if that is asked for, and then needs a base, too.
    let module = &["--profile", "module"][..];
    let with = |args: &[&str]| check(&[module, args].concat(), &[&case("int-plain.btf")]);
    let outcome = with(&[]);
    assert_eq!((outcome.status, outcome.stdout.as_str()), (Some(2), ""));
    assert!(outcome.stderr.contains("`--base FILE`"), "{outcome}");
    let outcome = with(&["-B", base.to_str().unwrap()]);
    assert!(outcome.stdout.contains("as a module's"), "{outcome}");
    // A base that nothing continues is told of.
    let args = ["-B", base.to_str().unwrap()];
    let outcome = check(&args, &[&case("int-plain.btf")]);
    assert_eq!(outcome.status, Some(0), "{outcome}");
    assert!(outcome.stderr.contains("is not used"), "{outcome}");
}

#[test]
fn quiet_leaves_the_answer_to_the_status() {
    let (good, bad) = (case("int-plain.btf"), case("struct-order-back.btf"));
    for args in [&["-q"][..], &["-q", "--strict"]] {
        for (files, status) in [
            (vec![&*good], 0),
            (vec![&*bad], 1),
            (vec![&*good, &*bad], 1),
        ] {
            let outcome = check(args, &files);
            assert_eq!(outcome.status, Some(status), "{outcome}");
            assert_eq!(outcome.stdout + &outcome.stderr, "");
        }
    }
    // Who asks for JSON gets it, and nothing else.
    let json = check(&["-q", "--json"], &[&bad]);
    assert_eq!((json.status, &*json.stderr), (Some(1), ""), "{json}");
    assert_eq!(json.stdout, check(&["--json"], &[&bad]).stdout);
}

#[test]
fn nobody_has_to_listen_to_the_answer() {
    let status = |file: &Path| unheard(&ours("btf-dump"), [Path::new("check"), file]);
    assert_eq!(status(&case("int-plain.btf")), Some(0));
    assert_eq!(status(&case("struct-order-back.btf")), Some(1));
}

#[test]
fn versions_to_come_have_the_newest_rules() {
    let outcome = check(&["--kernel", "8.5"], &[&case("int-plain.btf")]);
    let expect = ": accepted by Linux 8.5 (by the rules of 7.2) as a user's\n";
    assert!(outcome.stdout.ends_with(expect), "{outcome}");
    let outcome = check(&["--kernel", "8.5", "--json"], &[&case("int-plain.btf")]);
    let line: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(
        (&line["kernel"], &line["rules"]),
        (&"8.5".into(), &"7.2".into())
    );
}

/// A row of modifiers that 7.2 takes and kernels before it do not.
#[test]
fn the_running_kernel_has_rules_of_its_own() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let Ok(running) = release.parse::<KernelVersion>() else {
        return skip("the running kernel is older than the rules that are known");
    };
    for kernel in ["6.1", "7.2"] {
        let args = ["--live", "--json", "--kernel", kernel];
        let outcome = check(&args, &[&case("chain-const-tag.btf")]);
        if outcome.stderr.contains("cannot ask the running kernel") {
            return skip("this process may not load BTF");
        }
        let line = outcome.stdout.lines().last().unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let live = &line["live"];
        assert_eq!(live["kernel"], running.to_string(), "{line}");
        assert_eq!(live["disagrees"], false, "{line}");
        let is_new = running >= KernelVersion::new(7, 2);
        let verdict = if is_new { "accepted" } else { "refused" };
        assert_eq!(live["verdict"], verdict, "{line}");
        let status = i32::from(kernel == "6.1");
        assert_eq!(outcome.status, Some(status), "{outcome}");
    }
}

#[test]
fn standard_input_is_named_once() {
    for words in ["check - -", "stats - -", "diff - -", "check - -B -"] {
        let outcome = run(&ours("btf-dump"), words.split(' '));
        assert_eq!(outcome.status, Some(2), "{words}: {outcome}");
        assert!(outcome.stderr.contains("named twice"), "{words}: {outcome}");
    }
}

#[test]
fn packed_modules_are_told_of() {
    let dir = TestDir::new();
    let vmlinux = std::fs::read(case("int-plain.btf")).unwrap();
    std::fs::create_dir(dir.path("kernel")).unwrap();
    let packed = dir.write("kernel/a.ko.xz", b"\xfd7zXZ\0....");
    let folder = dir.path("kernel");
    let warning = "1 file is packed and not looked into; unpack it first, with `unxz --keep FILE`";
    let outcome = check(&[], &[&folder]);
    assert_eq!(outcome.status, Some(2), "{outcome}");
    assert_eq!(outcome.stderr.matches(warning).count(), 1, "{outcome}");
    dir.write("kernel/vmlinux", &vmlinux);
    for command in ["check", "stats", "c"] {
        let outcome = run(&ours("btf-dump"), [Path::new(command), &folder]);
        assert_eq!(outcome.status, Some(0), "{outcome}");
        assert!(outcome.stderr.contains(warning), "{outcome}");
    }
    let outcome = check(&["-q"], &[&folder]);
    assert_eq!(outcome.stderr, "");
    let outcome = check(&[], &[&packed]);
    assert_eq!(outcome.status, Some(2), "{outcome}");
}
