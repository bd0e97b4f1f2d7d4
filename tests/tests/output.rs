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

/// Command lines, of which `@` stands for the folder, whose output would replace this input.
const REPLACING: &[(&str, &str, &str)] = &[
    ("dwarf2btf", "@a.o -o @a.o", "a.o"),
    ("dwarf2btf", "@a.o -o @link", "a.o"),
    ("dwarf2btf", "@a.o -o @hard", "a.o"),
    ("dwarf2btf", "@a.o --base @base -o @base", "base"),
    ("pahole", "-J --btf_encode_detached=@link @a.o", "a.o"),
    ("btf-dump", "c @base -o @base", "base"),
    ("btf-dump", "c @split -B @base -o @base", "base"),
    ("btf-dump", "diff @base @base --html -o @base", "base"),
    ("btf-link", "merge @base @base -o @base", "base"),
    ("btf-link", "merge @split --base @base -o @base", "base"),
    ("btf-link", "prune @base --keep * -o @base", "base"),
    (
        "btf-link",
        "prune @split -B @base --keep * -o @base",
        "base",
    ),
    ("btf-link", "distill @split --base @base -o @base", "base"),
    ("btf-link", "distill @split --base @base -o @split", "split"),
    (
        "btf-link",
        "relocate @split --base @base --to @base -o @base",
        "base",
    ),
    (
        "btf-link",
        "relocate @split --base @base --to @base -o @split",
        "split",
    ),
];

#[test]
fn an_input_is_no_output() {
    let dir = TestDir::new();
    let object = std::fs::read(corpus::root().join("dwarf/gcc-x86_64/program.o")).unwrap();
    dir.write("a.o", &object);
    std::os::unix::fs::symlink("a.o", dir.path("link")).unwrap();
    std::fs::hard_link(dir.path("a.o"), dir.path("hard")).unwrap();
    let pahole = dir.path("pahole");
    std::os::unix::fs::symlink(ours("dwarf2btf"), &pahole).unwrap();
    let call = |name: &'static str, words: &str| {
        let program = if name == "pahole" {
            pahole.clone()
        } else {
            ours(name)
        };
        let in_folder = format!(
            "{}/",
            dir.path("").display().to_string().trim_end_matches('/')
        );
        run(&program, words.replace('@', &in_folder).split(' '))
    };
    let enums = corpus::root().join("dwarf/gcc-x86_64/enums.o");
    dir.write("enums.o", &std::fs::read(enums).unwrap());
    let _ = call("dwarf2btf", "@enums.o -q -o @base").success();
    let _ = call("dwarf2btf", "@a.o -q --base @base -o @split").success();
    let before: Vec<_> = dir.names();
    let contents = |name: &String| std::fs::read(dir.path(name)).unwrap();
    let bytes: Vec<_> = before.iter().map(contents).collect();
    for &(program, words, input) in REPLACING {
        let outcome = call(program, words);
        assert_eq!(outcome.status, Some(2), "{words}: {outcome}");
        let expected = format!("{input}: the input is also the output");
        assert!(outcome.stderr.contains(&expected), "{words}: {outcome}");
        assert_eq!(dir.names(), before, "{words}");
        assert_eq!(
            before.iter().map(contents).collect::<Vec<_>>(),
            bytes,
            "{words}"
        );
    }
}
