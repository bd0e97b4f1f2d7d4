//! Goal: a run that cannot write its output says so and leaves what was there.
//! Method: a file system of a few pages in a mount namespace of its own, which `unshare` makes without privileges where the
//! machine allows it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use btf_tests::corpus;
use btf_tests::program::{Outcome, TestDir, ours, peer, run, skip};

/// Runs a shell script in a mount namespace; `$0` is the program, `$1` an object, `$2` an empty file system of 16 KiB.
fn run_on_small_disk(script: &str) -> Option<Outcome> {
    let unshare = peer("unshare")?;
    let dir = TestDir::new();
    let disk = dir.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = "mount -t tmpfs -o size=16k none \"$2\"";
    let started = run(
        &unshare,
        ["-rm", "sh", "-c", mount, "-", "-"]
            .map(Path::new)
            .into_iter()
            .chain([disk.as_path()]),
    );
    if started.status != Some(0) {
        skip(&format!(
            "no file system can be mounted: {}",
            started.stderr.trim()
        ));
        return None;
    }
    let object = corpus::root().join("dwarf/gcc-x86_64/program.o");
    let script = format!("set -e; {mount}; {script}");
    let args = [
        "-rm".as_ref(),
        "sh".as_ref(),
        "-c".as_ref(),
        Path::new(&script),
    ];
    let program = ours("dwarf2btf");
    Some(run(
        &unshare,
        args.into_iter().chain([program.as_path(), &object, &disk]),
    ))
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let script = "cd \"$2\"; echo old >out; head -c 12288 /dev/zero >ballast || true
        status=0; \"$0\" -q \"$1\" -o out || status=$?; echo $status; cat out; ls -A";
    let Some(outcome) = run_on_small_disk(script) else {
        return;
    };
    assert_eq!(outcome.stdout, "2\nold\nballast\nout\n", "{outcome}");
    let expect =
        "dwarf2btf: error: out: cannot write the output: No space left on device (os error 28)\n";
    assert_eq!(outcome.stderr, expect);
}

#[test]
fn where_there_is_room_the_new_file_takes_its_place() {
    let script = "cd \"$2\"; echo old >out; chmod 602 out; \"$0\" -q \"$1\" -o out
        head -c 2 out | od -An -tx1; stat -c %a out; ls -A";
    let Some(outcome) = run_on_small_disk(script) else {
        return;
    };
    assert_eq!(outcome.stdout, " 9f eb\n602\nout\n", "{outcome}");
}
