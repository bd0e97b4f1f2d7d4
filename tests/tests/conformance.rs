//! Goal: we say of every blob of the conformance set what its index says, for every kernel, and the running kernel says the
//! same of those that a user can load.
//! Method: `validate::check` for each profile and each version whose rules differ; `BPF_BTF_LOAD` for the profile of users.
//! The verdicts of the index are written by hand, so that the kernel, the table and our rules are three witnesses.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use btf_core::validate::{
    Checked, Enforcer, KernelVersion, Profile, Rule, Severity, Target, check,
};
use btf_core::{Btf, ByteOrder};
use btf_dump::live::{Answer, load};
use btf_tests::conformance::{BASE, Case, all, index};
use btf_tests::corpus;
use btf_tests::program::skip;

fn base(cases: &[Case]) -> Arc<Btf> {
    let base = cases.iter().find(|case| case.name == BASE).unwrap();
    Arc::new(Btf::parse(&base.bytes, None).unwrap())
}

/// What we say of a case for a profile.
fn judge(case: &Case, base: &Arc<Btf>, profile: Profile, kernel: KernelVersion) -> Checked {
    let base = case.base.map(|_| base.clone());
    check(&case.bytes, base, Target::new(profile, kernel))
}

fn describe(checked: &Checked) -> String {
    let lines = checked.findings.iter();
    let lines = lines.map(|finding| format!("    {}: {finding}\n", finding.severity.name()));
    lines.collect()
}

#[test]
fn the_folder_is_what_the_program_makes() {
    let folder = corpus::root().join("conformance");
    let cases = all();
    let mut expect: BTreeSet<String> = cases.iter().map(|case| case.name.clone()).collect();
    assert_eq!(expect.len(), cases.len(), "names are unique");
    assert!(cases.len() >= 300);
    for case in &cases {
        let bytes = std::fs::read(folder.join(&case.name)).unwrap_or_default();
        assert!(bytes == case.bytes, "{}: run `make-conformance`", case.name);
    }
    let listed = std::fs::read_to_string(folder.join("index.jsonl")).unwrap();
    assert!(listed == index(&cases), "run `make-conformance`");
    expect.extend(["README.md", "index.jsonl"].map(str::to_owned));
    let there = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let there: BTreeSet<_> = there.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(there, expect);
}

#[test]
fn we_say_what_the_index_says() {
    let cases = all();
    let base = base(&cases);
    let mut wrong = String::new();
    for case in &cases {
        for kernel in KernelVersion::all() {
            let roles = if case.base.is_some() {
                vec![(Profile::Module, case.own)]
            } else {
                vec![(Profile::User, case.user), (Profile::Vmlinux, case.own)]
            };
            for (profile, verdict) in roles {
                let checked = judge(case, &base, profile, kernel);
                if checked.is_accepted() != verdict.is_accepted_by(kernel) {
                    let found = describe(&checked);
                    let profile = profile.name();
                    let _ = write!(
                        wrong,
                        "{} ({}), {profile} {kernel}: should be {}\n{found}",
                        case.name,
                        case.about,
                        verdict.text()
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_running_kernel_says_what_the_index_says() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let Ok(kernel) = release.trim().parse::<KernelVersion>() else {
        skip("the running kernel is older than the rules that are known");
        return;
    };
    let mut wrong = String::new();
    let mut asked = 0;
    for case in all() {
        if case.order != ByteOrder::NATIVE || case.base.is_some() {
            continue;
        }
        let answer = match load(&case.bytes) {
            Ok(answer) => answer,
            Err(error) => {
                skip(&format!(
                    "the kernel does not take BTF from this process: {error}"
                ));
                return;
            }
        };
        asked += 1;
        if case.user.is_accepted_by(kernel) != (answer == Answer::Accepted) {
            let verdict = case.user.text();
            let _ = writeln!(
                wrong,
                "{} ({}): should be {verdict}, is {answer:?}",
                case.name, case.about
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(asked >= 300 || ByteOrder::NATIVE == ByteOrder::Big);
}

/// A rule that the kernel enforces must refuse some blob, and leave a blob that differs little alone.
#[test]
fn every_rule_is_broken_by_some_case() {
    let cases = all();
    let base = base(&cases);
    let mut faults: BTreeMap<Rule, usize> = BTreeMap::new();
    for case in &cases {
        for kernel in KernelVersion::all() {
            for profile in [Profile::User, Profile::Vmlinux] {
                let checked = judge(case, &base, profile, kernel);
                let found = checked.findings.iter();
                let found: BTreeSet<_> = found
                    .filter(|finding| finding.severity == Severity::Fault)
                    .map(|finding| finding.rule)
                    .collect();
                for rule in found {
                    *faults.entry(rule).or_default() += 1;
                }
            }
        }
    }
    // These take blobs of megabytes, several blobs in a file, or `.BTF.ext`, and have tests of their own.
    let elsewhere = |rule: &Rule| {
        rule.name().starts_with("ext-")
            || matches!(
                rule,
                Rule::BlobSize | Rule::StringsLimit | Rule::NameLimit | Rule::Pasted
            )
    };
    let missing: Vec<_> = Rule::ALL
        .iter()
        .filter(|rule| rule.enforcer() != Enforcer::Tools)
        .filter(|rule| !faults.contains_key(rule) && !elsewhere(rule))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
