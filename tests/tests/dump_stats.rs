//! Goal: `btf-dump stats` counts what is there, and finds what is there twice.
//! Method: a snapshot for BTF that lacks nothing, and sums that must agree with the listing; the counts themselves have unit
//! tests beside them.

use btf_tests::corpus;
use btf_tests::program::{TestDir, ours, run};

#[test]
fn counts_are_a_table_and_json() {
    let blob = corpus::root().join("conformance/layout-of-all-kinds.btf");
    let program = ours("btf-dump");
    let outcome = run(&program, ["stats".as_ref(), blob.as_os_str()]).success();
    let prefix = format!("{}/", corpus::root().display());
    insta::assert_snapshot!(outcome.stdout.replace(&prefix, ""), @r"
    conformance/layout-of-all-kinds.btf: 1 type, 16 B
      int                            1        16 B
      strings                        2         5 B
    ");
    let outcome = run(
        &program,
        ["stats".as_ref(), "--json".as_ref(), blob.as_os_str()],
    )
    .success();
    let value: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(value["types"], 1);
    assert_eq!(value["kinds"][0]["bytes"], 16);
    assert_eq!(value["duplicates"]["types"], 0);
}

#[test]
fn what_cannot_be_understood_is_an_error() {
    let dir = TestDir::new();
    let bytes = std::fs::read(corpus::root().join("conformance/ptr-of-missing.btf")).unwrap();
    let blob = dir.write("missing.btf", &bytes);
    let outcome = run(&ours("btf-dump"), ["stats".as_ref(), blob.as_os_str()]);
    assert_eq!(outcome.status, Some(2));
    assert!(outcome.stderr.contains("no such type id: 99"), "{outcome}");
}
